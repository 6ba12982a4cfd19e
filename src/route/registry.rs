//! The cluster, shared by the tasks of all routes.
//!
//! [`natsd_core::route::cluster::Cluster`] decides; here its decisions find their way to the connections they are about.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::Gate;
use arc_swap::ArcSwap;
use natsd_core::compression::Mode;
use natsd_core::route::CloseReason;
use natsd_core::route::cluster::{ClientUrls, Cluster, Dial, Event, LinkId};
use natsd_core::route::dedicated::Dedicated;
use natsd_core::route::hello::{RouteClass, RouteInfo};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};

/// Commands that may wait for one connection. One that lets this many pile up is not read from any more: it is cut.
const COMMANDS: usize = 2048;

/// What a connection is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Introduce us.
    Greet,
    /// The peer is admitted.
    Open,
    /// It is not, or not any more.
    Close(CloseReason, Option<String>),
    /// Find out whether the peer is alive.
    Probe,
    /// Send this `INFO`.
    Tell(Box<RouteInfo>),
    /// Other users and passwords are right now, or other subjects may pass.
    Renew,
}

/// What clients are told of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Name of the cluster, agreed on with the peers.
    pub name: String,
    /// Whether that name was made up rather than configured.
    pub dynamic: bool,
    /// Where clients reach the other servers, sorted.
    pub client_urls: ClientUrls,
    /// Where the other servers take leaf nodes, sorted.
    pub leafnode_urls: Vec<String>,
    /// Where the other servers take other clusters, sorted.
    pub gateway_urls: Vec<String>,
}

/// Tells the time since it was made. Simulations have one that jumps.
pub(crate) type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// That of the system.
pub(crate) fn system_clock() -> Clock {
    let started = Instant::now();
    Arc::new(move || started.elapsed())
}

/// The cluster and the ways to its connections.
pub(crate) struct Registry {
    /// Who is let into the cluster.
    pub(crate) gate: Gate,
    /// What is to be compressed of what goes to peers.
    pub(crate) compression: ArcSwap<Mode>,
    state: Mutex<State>,
    clock: Clock,
    started: Instant,
    dials: Notify,
    view: watch::Sender<View>,
}

struct State {
    cluster: Cluster,
    links: HashMap<LinkId, mpsc::Sender<Command>>,
}

impl Registry {
    /// `make` gets the time that all other times are measured on.
    pub(crate) fn new(gate: Gate, compression: Mode, clock: Clock, make: impl FnOnce(Duration) -> Cluster) -> Self {
        let cluster = make(Duration::ZERO);
        let view = watch::Sender::new(view_of(&cluster));
        let state = Mutex::new(State { cluster, links: HashMap::new() });
        let compression = ArcSwap::from_pointee(compression);
        Self { gate, compression, state, clock, started: Instant::now(), dials: Notify::new(), view }
    }

    /// Tells the time of [`now`](Self::now).
    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Time since the start.
    pub(crate) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// The moment that `time` stands for.
    pub(crate) fn instant(&self, time: Duration) -> Instant {
        self.started + time
    }

    /// The time that `instant` stands for.
    #[cfg(test)]
    pub(crate) fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.started)
    }

    /// Follows what clients are told.
    pub(crate) fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Our `INFO` as of now.
    pub(crate) fn info(&self) -> RouteInfo {
        self.state.lock().cluster.info().clone()
    }

    /// Opens the way to a new connection.
    pub(crate) fn enrol(&self, link: LinkId) -> mpsc::Receiver<Command> {
        let (sender, receiver) = mpsc::channel(COMMANDS);
        self.state.lock().links.insert(link, sender);
        receiver
    }

    /// `link` is gone, and with it whatever it stood for in the cluster.
    pub(crate) fn leave(&self, link: LinkId) {
        self.state.lock().links.remove(&link);
        self.drive(Some(link), |cluster, now| cluster.handle_closed(link, now));
    }

    /// Tells all connections that the rules for them are others now.
    pub(crate) fn renew(&self) {
        let mut state = self.state.lock();
        // The task of one that cannot take it sees the end of the channel and closes the connection.
        state.links.retain(|_, sender| sender.try_send(Command::Renew).is_ok());
    }

    /// Accounts are shared out otherwise from now on. Connections that were greeted before that end, whether the cluster
    /// knows of them yet or not.
    pub(crate) fn set_pool(&self, pool_size: Option<u16>, dedicated: Dedicated, classes: Vec<RouteClass>) {
        self.drive(None, |cluster, now| cluster.set_pool(pool_size, dedicated, classes, now));
        let close = || Command::Close(CloseReason::PoolChanged, None);
        self.state.lock().links.retain(|_, sender| sender.try_send(close()).is_ok());
    }

    /// Lets the cluster know something. Returns what the connection `own` has to do about it; others are told.
    pub(crate) fn drive(&self, own: Option<LinkId>, know: impl FnOnce(&mut Cluster, Duration)) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut state = self.state.lock();
        know(&mut state.cluster, self.now());
        while let Some(event) = state.cluster.poll_event() {
            let (link, command) = match event {
                Event::Greet(link) => (link, Command::Greet),
                Event::Open(link) => (link, Command::Open),
                Event::Close(link, reason, text) => (link, Command::Close(reason, text)),
                Event::Probe(link) => (link, Command::Probe),
                Event::Tell(link, info) => (link, Command::Tell(info)),
                Event::UrlsChanged | Event::Renamed => continue,
                Event::RouteToSelf(route) => {
                    log::info!(
                        "Configured route {}, counted since the start, leads to this server itself: ignored",
                        route + 1
                    );
                    continue;
                }
            };
            if own == Some(link) {
                commands.push(command);
            } else if state.links.get(&link).is_some_and(|sender| sender.try_send(command).is_err()) {
                // Its task sees the end of the channel and closes the connection.
                state.links.remove(&link);
            }
        }
        let view = view_of(&state.cluster);
        self.view.send_if_modified(|known| std::mem::replace(known, view.clone()) != view);
        drop(state);
        self.dials.notify_one();
        commands
    }

    /// The next connection to make, or when there will be one.
    pub(crate) fn poll_dial(&self) -> Result<Dial, Option<Duration>> {
        let mut state = self.state.lock();
        let dial = state.cluster.poll_dial(self.now());
        dial.ok_or_else(|| state.cluster.poll_timeout())
    }

    /// Waits for the next connection to make.
    pub(crate) async fn next_dial(&self) -> Dial {
        loop {
            match self.poll_dial() {
                Ok(dial) => return dial,
                Err(Some(due)) => {
                    let due = tokio::time::Instant::from_std(self.instant(due));
                    let _ = tokio::time::timeout_at(due, self.dials.notified()).await;
                }
                Err(None) => self.dials.notified().await,
            }
        }
    }
}

fn view_of(cluster: &Cluster) -> View {
    let info = cluster.info();
    View {
        name: info.cluster.clone(),
        dynamic: info.dynamic,
        client_urls: cluster.client_urls(),
        leafnode_urls: cluster.leafnode_urls(),
        gateway_urls: cluster.gateway_urls(),
    }
}
