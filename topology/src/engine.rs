//! What a lab can be told, whichever engine runs it.

use std::{fmt, future::Future, pin::Pin, str::FromStr, time::Duration};

use sciparse::identifier::isd_asn::IsdAsn;
use serde::Serialize;

use crate::{
    addresses::AsAddresses,
    description::Network,
    fabric::KeepAlive,
    link::{Cut, Direction, LinkChange, LinkCounters},
    links::Way,
    reference::ReferenceError,
};

/// How to start a lab.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// Second octet of all addresses, so that several labs run side by side. The reference engine takes `net + 1` too.
    pub net: u8,
    /// When routers notice cuts and repairs.
    pub keep_alive: KeepAlive,
    /// How long hop fields are valid after beaconing.
    pub path_lifetime: Duration,
    /// How old the segments behind a daemon's answer may be.
    pub beacon_interval: Duration,
    /// Seed of loss, jitter and keys.
    pub seed: u64,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            net: 20,
            keep_alive: KeepAlive::default(),
            path_lifetime: Duration::from_secs(6 * 3600),
            beacon_interval: Duration::from_secs(5),
            seed: 0,
        }
    }
}

/// A future of an engine's slow operations.
pub type Operation<'a> = Pin<Box<dyn Future<Output = Result<(), LabError>> + Send + 'a>>;

/// A running lab. Links are known by name, ASes by number.
pub trait Engine: Send + Sync {
    /// Where the parts of an AS listen; `None` for an AS that the network does not have.
    fn addresses(&self, ia: IsdAsn) -> Option<AsAddresses>;

    /// Cuts a link in one direction, or both with `None`.
    ///
    /// # Errors
    /// [`LabError::NoSuchLink`].
    fn cut(&self, link: &str, how: Cut, way: Option<Way>) -> Result<(), LabError>;

    /// Mends a link in one direction, or both with `None`.
    ///
    /// # Errors
    /// [`LabError::NoSuchLink`].
    fn restore(&self, link: &str, way: Option<Way>) -> Result<(), LabError>;

    /// Changes how a link behaves in one direction, or both with `None`. What ASes announce stays.
    ///
    /// # Errors
    /// [`LabError::NoSuchLink`].
    fn set(&self, link: &str, change: &LinkChange, way: Option<Way>) -> Result<(), LabError>;

    /// All links as they are now.
    fn links(&self) -> Vec<LinkStatus>;

    /// Stops a part of an AS, as if its process had died.
    ///
    /// # Errors
    /// [`LabError::NoSuchAs`], or what the engine met.
    fn stop_unit(&self, unit: Unit, ia: IsdAsn) -> Operation<'_>;

    /// Starts a stopped part of an AS again.
    ///
    /// # Errors
    /// [`LabError::NoSuchAs`], or what the engine met.
    fn start_unit(&self, unit: Unit, ia: IsdAsn) -> Operation<'_>;

    /// Ends the lab and frees its addresses. Dropping an engine does the same without waiting.
    fn stop(&self) -> Operation<'_>;
}

/// A part of an AS that can be stopped and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The border router.
    Router,
    /// The daemon that applications ask for paths.
    Daemon,
    /// The control service that daemons ask for segments.
    Control,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Router, Self::Daemon, Self::Control];
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Router => "router",
            Self::Daemon => "daemon",
            Self::Control => "control",
        })
    }
}

impl FromStr for Unit {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        Self::ALL.into_iter().find(|unit| unit.to_string() == text).ok_or_else(|| LabError::NoSuchUnit(text.to_owned()))
    }
}

/// A link and its two directions.
#[derive(Debug, Clone, Serialize)]
pub struct LinkStatus {
    /// Name.
    pub name: String,
    /// From `a` to `b`.
    pub ab: DirectionStatus,
    /// From `b` to `a`.
    pub ba: DirectionStatus,
}

/// One direction of a link.
#[derive(Debug, Clone, Serialize)]
pub struct DirectionStatus {
    /// Propagation delay in ms.
    pub latency_ms: f64,
    /// Rate in Mbit/s, 0 is unlimited.
    pub bandwidth_mbit: f64,
    /// Random loss in percent.
    pub loss_pct: f64,
    /// `cable`, `black hole`, or absent when intact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<&'static str>,
    /// What it carried and lost.
    #[serde(flatten)]
    pub counters: LinkCounters,
}

impl DirectionStatus {
    /// Describes a direction.
    pub(crate) fn of(direction: &Direction) -> Self {
        let params = direction.params();
        Self {
            latency_ms: params.latency.as_secs_f64() * 1e3,
            bandwidth_mbit: params.bandwidth_bps as f64 / 1e6,
            loss_pct: params.loss_pct,
            cut: direction.cut().map(|cut| match cut {
                Cut::Cable => "cable",
                Cut::BlackHole => "black hole",
            }),
            counters: direction.counters(),
        }
    }
}

/// Why a lab did not start or do what it was told.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum LabError {
    #[error("no link is called `{name}`: the links are {known}")]
    NoSuchLink { name: String, known: String },
    #[error("the network has no AS {ia}: the ASes are {known}")]
    NoSuchAs { ia: IsdAsn, known: String },
    #[error("no unit is called `{0}`: the units are router, daemon, control")]
    NoSuchUnit(String),
    #[error("AS {ia}: the {unit} cannot listen on {address}: {source}; is another lab using this network number?")]
    Listen { ia: IsdAsn, unit: &'static str, address: String, source: std::io::Error },
    #[error("cannot start the thread that moves packets: {0}")]
    Thread(std::io::Error),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Index of an AS, or an error that lists those there are.
pub(crate) fn find_as(network: &Network, ia: IsdAsn) -> Result<usize, LabError> {
    network
        .as_index(ia)
        .ok_or_else(|| LabError::NoSuchAs { ia, known: join(network.ases.iter().map(|a| a.ia.to_string())) })
}

/// Index of a link, or an error that lists those there are.
pub(crate) fn find_link(network: &Network, name: &str) -> Result<usize, LabError> {
    network.link_index(name).ok_or_else(|| LabError::NoSuchLink {
        name: name.to_owned(),
        known: join(network.links.iter().map(|l| l.name.clone())),
    })
}

fn join(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The directions that a command means.
pub(crate) fn ways(way: Option<Way>) -> Vec<Way> {
    way.map_or_else(|| vec![Way::Ab, Way::Ba], |way| vec![way])
}
