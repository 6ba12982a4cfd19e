//! The description of a network: which ASes there are, which links connect them, and how those links behave.
//!
//! A description is a TOML file (format: `topology/README.md`). Reading one yields a [`Network`] that is known to be
//! consistent, so the engines need not check it again.

use std::{
    collections::{HashMap, HashSet},
    fmt, fs,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use sciparse::identifier::isd_asn::IsdAsn;
use serde::Deserialize;

use crate::link::LinkParams;

/// The MTU of an AS or a link that states none: what an Ethernet frame leaves for a SCION packet over IPv4 and UDP.
pub const DEFAULT_MTU: u16 = 1472;
/// How much a link buffers in front of its bottleneck when the description does not say.
pub const DEFAULT_QUEUE: Duration = Duration::from_millis(100);

/// A network that passed all checks.
#[derive(Debug, Clone)]
pub struct Network {
    /// ASes in the order of the file. [`Interface::as_index`] points in here.
    pub ases: Vec<AutonomousSystem>,
    /// Links in the order of the file.
    pub links: Vec<Link>,
}

/// One AS.
#[derive(Debug, Clone)]
pub struct AutonomousSystem {
    /// ISD-AS number.
    pub ia: IsdAsn,
    /// Whether it is a core AS, which is where beacons start.
    pub core: bool,
    /// Largest SCION packet that the AS carries internally, in bytes.
    pub mtu: u16,
    /// Position announced for all of its border routers.
    pub geo: Option<Geo>,
    /// Note that paths through this AS carry.
    pub note: String,
    /// Third octet of the addresses of this AS, unique in the network.
    pub octet: u8,
    /// Address of the application host when it is not the derived one. The underlay of the AS is of its family.
    pub host: Option<IpAddr>,
}

/// A position on earth, WGS 84.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geo {
    /// Degrees north.
    pub latitude: f32,
    /// Degrees east.
    pub longitude: f32,
    /// Civic address.
    #[serde(default)]
    pub address: String,
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Index into [`Network::ases`].
    pub as_index: usize,
    /// Interface number, unique in its AS, never 0.
    pub id: u16,
}

/// What a link means to routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Between two core ASes.
    Core,
    /// From the parent (end `a`) to the child (end `b`).
    Child,
    /// Between two ASes that exchange only their own and their children's traffic.
    Peer,
}

/// A link and how it behaves when the lab starts.
#[derive(Debug, Clone)]
pub struct Link {
    /// Name for commands, unique in the network.
    pub name: String,
    /// End `a` and end `b`.
    pub ends: [Interface; 2],
    /// Routing type.
    pub kind: LinkKind,
    /// Behaviour of both directions at the start.
    pub params: LinkParams,
    /// Largest SCION packet it carries, headers included, in bytes.
    pub mtu: u16,
    /// Whether the ASes announce latency and bandwidth of this link in beacons.
    pub announce: bool,
}

/// How an AS sees the neighbour behind one of its interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Another core AS.
    Core,
    /// The neighbour is a provider.
    Parent,
    /// The neighbour is a customer.
    Child,
    /// The neighbour is a peer.
    Peer,
}

impl Link {
    /// The relation that the AS at `side` (0 is `a`, 1 is `b`) has to the other end.
    pub fn relation(&self, side: usize) -> Relation {
        match (self.kind, side) {
            (LinkKind::Core, _) => Relation::Core,
            (LinkKind::Peer, _) => Relation::Peer,
            (LinkKind::Child, 0) => Relation::Child,
            (LinkKind::Child, _) => Relation::Parent,
        }
    }
}

impl Network {
    /// Reads and checks a description file.
    ///
    /// # Errors
    /// [`DescriptionError`] names the file, the AS or link at fault, and what to change.
    pub fn read(path: &Path) -> Result<Self, DescriptionError> {
        let fail = |fault| DescriptionError { file: path.to_owned(), fault };
        let text = fs::read_to_string(path).map_err(|e| fail(Fault::Read(e)))?;
        Self::parse(&text).map_err(fail)
    }

    /// The network of `topology/default.toml`, which is built in.
    pub fn default_network() -> Self {
        Self::parse(include_str!("../default.toml")).expect("a test reads the built-in description")
    }

    /// Checks the text of a description.
    ///
    /// # Errors
    /// The [`Fault`], without the file name that [`Network::read`] adds.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let file: File = toml::from_str(text).map_err(|e| Fault::Syntax(e.to_string().trim_end().to_owned()))?;
        let ases = check_ases(file.ases)?;
        let index: HashMap<IsdAsn, usize> = ases.iter().enumerate().map(|(i, a)| (a.ia, i)).collect();
        let links = check_links(file.links, &ases, &index)?;
        Ok(Self { ases, links })
    }

    /// Index of the AS with this number.
    pub fn as_index(&self, ia: IsdAsn) -> Option<usize> {
        self.ases.iter().position(|a| a.ia == ia)
    }

    /// Index of the link with this name.
    pub fn link_index(&self, name: &str) -> Option<usize> {
        self.links.iter().position(|l| l.name == name)
    }

    /// The link at an interface, and which side of it the interface is.
    pub fn link_at(&self, interface: Interface) -> Option<(usize, usize)> {
        self.links.iter().enumerate().find_map(|(i, link)| {
            let side = link.ends.iter().position(|end| *end == interface)?;
            Some((i, side))
        })
    }

    /// The interfaces of an AS with the link and side that each belongs to.
    pub fn interfaces(&self, as_index: usize) -> impl Iterator<Item = (u16, usize, usize)> + '_ {
        self.links.iter().enumerate().flat_map(move |(l, link)| {
            link.ends
                .iter()
                .enumerate()
                .filter(move |(_, end)| end.as_index == as_index)
                .map(move |(side, end)| (end.id, l, side))
        })
    }
}

/// A description file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct DescriptionError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a description.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum Fault {
    #[error("cannot read it: {0}")]
    Read(std::io::Error),
    #[error("not a network description: {0}")]
    Syntax(String),
    #[error("no [[as]] section: describe at least one core AS")]
    NoAs,
    #[error("ISD {0} has no core AS: set `core = true` in one of its [[as]] sections")]
    NoCore(u16),
    #[error("AS `{0}`: not an ISD-AS number: write it like \"1-ff00:0:110\"")]
    BadIa(String),
    #[error("AS {0} is described twice: remove one of the [[as]] sections")]
    DuplicateAs(IsdAsn),
    #[error("AS {0}: its address octet {1} is taken by AS {2}: set another `octet` (1 to 254)")]
    OctetTaken(IsdAsn, u8, IsdAsn),
    #[error("AS {0}: no address octet is left to derive: set `octet` (1 to 254), unique in the network")]
    NoOctet(IsdAsn),
    #[error("AS {ia}: `{field}` is {value}: allowed is {allowed}")]
    AsValue { ia: IsdAsn, field: &'static str, value: String, allowed: &'static str },
    #[error("link number {0} has no usable name: set `name` to a word without spaces")]
    NoName(usize),
    #[error("two links are called `{0}`: rename one")]
    DuplicateLink(String),
    #[error("link `{link}`, end `{end}`: `{text}` is not an interface: write it like \"1-ff00:0:110#11\"")]
    BadInterface { link: String, end: char, text: String },
    #[error("link `{link}`, end `{end}`: AS {ia} is not described: add an [[as]] section or correct the number")]
    UnknownAs { link: String, end: char, ia: IsdAsn },
    #[error("link `{link}`: interface {interface} is already used by link `{other}`: choose another number")]
    InterfaceTaken { link: String, interface: String, other: String },
    #[error("link `{0}` connects an AS with itself: correct end `a` or `b`")]
    SelfLink(String),
    #[error("link `{link}` has type \"core\" but {ia} is no core AS: use \"child\" or \"peer\", or make the AS core")]
    NotCore { link: String, ia: IsdAsn },
    #[error(
        "link `{link}` makes the core AS {ia} a child: use type \"core\", or swap `a` (the parent) and `b` (the child)"
    )]
    CoreChild { link: String, ia: IsdAsn },
    #[error("link `{link}` connects ISDs {a} and {b} but has type \"child\": only core and peer links leave an ISD")]
    ChildLeavesIsd { link: String, a: u16, b: u16 },
    #[error("link `{link}`: `{field}` is {value}: allowed is {allowed}")]
    LinkValue { link: String, field: &'static str, value: String, allowed: &'static str },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "as")]
    ases: Vec<AsSection>,
    #[serde(default, rename = "link")]
    links: Vec<LinkSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsSection {
    ia: String,
    #[serde(default)]
    core: bool,
    mtu: Option<i64>,
    geo: Option<Geo>,
    note: Option<String>,
    octet: Option<i64>,
    host: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkSection {
    name: String,
    a: String,
    b: String,
    r#type: LinkKind,
    #[serde(default)]
    latency_ms: f64,
    #[serde(default)]
    jitter_ms: f64,
    #[serde(default)]
    bandwidth_mbit: f64,
    #[serde(default)]
    loss_pct: f64,
    queue_ms: Option<f64>,
    mtu: Option<i64>,
    #[serde(default = "announced")]
    announce: bool,
}

fn announced() -> bool {
    true
}

const MTU_ALLOWED: &str = "1200 to 8900 bytes";
const HOST_ALLOWED: &str = "an IPv4 address, or ::1 for an underlay of IPv6";

fn mtu(value: Option<i64>) -> Result<u16, String> {
    let value = value.unwrap_or(i64::from(DEFAULT_MTU));
    match u16::try_from(value) {
        Ok(mtu @ 1200..=8900) => Ok(mtu),
        _ => Err(value.to_string()),
    }
}

fn host(value: Option<IpAddr>) -> Result<Option<IpAddr>, String> {
    match value {
        Some(IpAddr::V6(v6)) if v6 != Ipv6Addr::LOCALHOST => Err(v6.to_string()),
        host => Ok(host),
    }
}

fn check_ases(sections: Vec<AsSection>) -> Result<Vec<AutonomousSystem>, Fault> {
    let mut ases: Vec<AutonomousSystem> = Vec::new();
    let mut octets: HashMap<u8, IsdAsn> = HashMap::new();
    for section in sections {
        let ia = parse_ia(&section.ia)?;
        if ases.iter().any(|a| a.ia == ia) {
            return Err(Fault::DuplicateAs(ia));
        }
        let octet = match section.octet {
            Some(value) => u8::try_from(value)
                .ok()
                .filter(|o| (1..=254).contains(o))
                .ok_or_else(|| Fault::AsValue { ia, field: "octet", value: value.to_string(), allowed: "1 to 254" })?,
            None => derived_octet(&section.ia)
                .filter(|o| !octets.contains_key(o))
                .or_else(|| (1..=254).find(|o| !octets.contains_key(o)))
                .ok_or(Fault::NoOctet(ia))?,
        };
        if let Some(other) = octets.insert(octet, ia) {
            return Err(Fault::OctetTaken(ia, octet, other));
        }
        ases.push(AutonomousSystem {
            ia,
            core: section.core,
            mtu: mtu(section.mtu).map_err(|value| Fault::AsValue { ia, field: "mtu", value, allowed: MTU_ALLOWED })?,
            geo: section.geo,
            note: section.note.unwrap_or_else(|| format!("lab AS {ia}")),
            octet,
            host: host(section.host).map_err(|value| Fault::AsValue {
                ia,
                field: "host",
                value,
                allowed: HOST_ALLOWED,
            })?,
        });
    }
    if ases.is_empty() {
        return Err(Fault::NoAs);
    }
    match ases.iter().find(|a| !ases.iter().any(|c| c.core && c.ia.isd() == a.ia.isd())) {
        Some(orphan) => Err(Fault::NoCore(orphan.ia.isd().0)),
        None => Ok(ases),
    }
}

/// `1-ff00:0:111` gives 111, as people expect; a group with letters or above 254 gives nothing.
fn derived_octet(ia: &str) -> Option<u8> {
    ia.rsplit(':').next()?.parse().ok().filter(|o| (1..=254).contains(o))
}

fn parse_ia(text: &str) -> Result<IsdAsn, Fault> {
    text.parse().map_err(|_| Fault::BadIa(text.to_owned()))
}

fn check_links(
    sections: Vec<LinkSection>,
    ases: &[AutonomousSystem],
    index: &HashMap<IsdAsn, usize>,
) -> Result<Vec<Link>, Fault> {
    let mut links: Vec<Link> = Vec::new();
    let mut names = HashSet::new();
    let mut taken: HashMap<Interface, String> = HashMap::new();
    for (number, section) in sections.into_iter().enumerate() {
        let name = section.name.clone();
        if name.is_empty() || name.contains(char::is_whitespace) || name == "*" {
            return Err(Fault::NoName(number + 1));
        }
        if !names.insert(name.clone()) {
            return Err(Fault::DuplicateLink(name));
        }
        let ends = [interface(&name, 'a', &section.a, index)?, interface(&name, 'b', &section.b, index)?];
        for (end, text) in ends.iter().zip([&section.a, &section.b]) {
            if let Some(other) = taken.insert(*end, name.clone()) {
                return Err(Fault::InterfaceTaken { link: name, interface: text.clone(), other });
            }
        }
        check_kind(&name, section.r#type, ends.map(|end| &ases[end.as_index]))?;
        links.push(Link {
            params: link_params(&name, &section)?,
            mtu: mtu(section.mtu).map_err(|value| Fault::LinkValue {
                link: name.clone(),
                field: "mtu",
                value,
                allowed: MTU_ALLOWED,
            })?,
            name,
            ends,
            kind: section.r#type,
            announce: section.announce,
        });
    }
    Ok(links)
}

fn interface(link: &str, end: char, text: &str, index: &HashMap<IsdAsn, usize>) -> Result<Interface, Fault> {
    let bad = || Fault::BadInterface { link: link.to_owned(), end, text: text.to_owned() };
    let (ia, id) = text.split_once('#').ok_or_else(bad)?;
    let ia: IsdAsn = ia.parse().map_err(|_| bad())?;
    let id = id.parse().ok().filter(|id| *id != 0).ok_or_else(bad)?;
    match index.get(&ia) {
        Some(&as_index) => Ok(Interface { as_index, id }),
        None => Err(Fault::UnknownAs { link: link.to_owned(), end, ia }),
    }
}

fn check_kind(link: &str, kind: LinkKind, [a, b]: [&AutonomousSystem; 2]) -> Result<(), Fault> {
    let link = link.to_owned();
    if a.ia == b.ia {
        return Err(Fault::SelfLink(link));
    }
    match kind {
        LinkKind::Core => match [a, b].into_iter().find(|x| !x.core) {
            Some(x) => Err(Fault::NotCore { link, ia: x.ia }),
            None => Ok(()),
        },
        LinkKind::Child if b.core => Err(Fault::CoreChild { link, ia: b.ia }),
        LinkKind::Child if a.ia.isd() != b.ia.isd() => {
            Err(Fault::ChildLeavesIsd { link, a: a.ia.isd().0, b: b.ia.isd().0 })
        }
        LinkKind::Child | LinkKind::Peer => Ok(()),
    }
}

fn link_params(link: &str, section: &LinkSection) -> Result<LinkParams, Fault> {
    let queue_ms = section.queue_ms.unwrap_or(DEFAULT_QUEUE.as_secs_f64() * 1e3);
    let ranges = [
        ("latency_ms", section.latency_ms, 60_000.0, "0 to 60000"),
        ("jitter_ms", section.jitter_ms, 60_000.0, "0 to 60000"),
        ("queue_ms", queue_ms, 60_000.0, "0 to 60000"),
        ("loss_pct", section.loss_pct, 100.0, "0 to 100"),
        ("bandwidth_mbit", section.bandwidth_mbit, 1e6, "0 (unlimited) to 1000000"),
    ];
    for (field, value, max, allowed) in ranges {
        if !(0.0..=max).contains(&value) {
            return Err(Fault::LinkValue { link: link.to_owned(), field, value: value.to_string(), allowed });
        }
    }
    let ms = |value: f64| Duration::from_secs_f64(value / 1e3);
    Ok(LinkParams {
        latency: ms(section.latency_ms),
        jitter: ms(section.jitter_ms),
        bandwidth_bps: (section.bandwidth_mbit * 1e6) as u64,
        loss_pct: section.loss_pct,
        queue: ms(queue_ms),
    })
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ASes, {} links", self.ases.len(), self.links.len())
    }
}
