//! Paths without a daemon: the AS's own topology file says who we are, and its control services are asked for segments.

#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod turns;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use connectrpc::client::{CallOptions, ClientConfig, Http2Connection, SharedHttp2Connection};
use connectrpc::{ConnectError, ErrorCode, Protocol};
use natsd_path::IsdAs;
use parking_lot::Mutex;
use scion_protobuf::proto::control_plane::v1::{SegmentLookupServiceClient, SegmentsRequest};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::error::DaemonError;
use crate::metadata::PathInfo;
use crate::segments::memory::Memory;
use crate::segments::search::{ROUNDS, Request, Search};
use crate::segments::{Segment, decode, join};
use crate::source::{Boxed, LocalAs, PathSource};
use crate::topology::Topology;
use turns::Turns;

/// A control service may have to ask in other ASes first.
const TIMEOUT: Duration = Duration::from_secs(5);
/// To connect takes a round trip within the AS.
const CONNECT: Duration = Duration::from_secs(2);
/// Bytes of an answer.
const MAX_ANSWER: usize = 4 << 20;

/// A client of the AS's control services that connects when needed and again after a loss. Clones are the same.
#[derive(Clone)]
pub(crate) struct ControlServices(Arc<Inner>);

struct Inner {
    file: PathBuf,
    known: Mutex<Arc<Known>>,
    memory: Mutex<Memory>,
}

/// What the file says, and who is asked because of that.
struct Known {
    topology: Topology,
    clients: Vec<SegmentLookupServiceClient<SharedHttp2Connection>>,
    turns: Mutex<Turns>,
    /// What the last one said that failed.
    last: Mutex<String>,
}

/// Why there are no segments.
enum Failure {
    /// No control service is there.
    Silent(DaemonError),
    /// One is there and knows none.
    Refused(DaemonError),
}

type Found = Result<Arc<Vec<Segment>>, Failure>;

impl ControlServices {
    /// Reads the file. Connects with the first question.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub(crate) fn new(file: &Path) -> Result<Self, DaemonError> {
        let known = Known::new(Topology::read(file)?)?;
        let known = Mutex::new(Arc::new(known));
        Ok(Self(Arc::new(Inner { file: file.to_owned(), known, memory: Mutex::new(Memory::new()) })))
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.known.lock())
    }

    /// Whether the file says something else than before.
    fn read_again(&self) -> Result<bool, DaemonError> {
        let new = Topology::read(&self.0.file)?;
        let before = self.known();
        if new == before.topology {
            return Ok(false);
        }
        if new.local.isd_as != before.topology.local.isd_as {
            self.0.memory.lock().clear();
        }
        log::info!("{} has changed and was read again", self.0.file.display());
        *self.0.known.lock() = Arc::new(Known::new(new)?);
        Ok(true)
    }

    /// After a failure of all: what the file says may have changed, and then they are worth asking again.
    fn has_moved(&self) -> bool {
        self.read_again().unwrap_or_else(|error| {
            log::debug!("the topology is as it was: {error}");
            false
        })
    }

    async fn reach(&self) -> Result<LocalAs, DaemonError> {
        let known = self.known();
        if known.turns.lock().is_alive(Instant::now()) || known.connect().await {
            return Ok(known.topology.local.clone());
        }
        Err(known.silence(&self.0.file))
    }

    /// The segments that answer a question: known ones, or those that a control service tells now.
    async fn segments(&self, request: Request, refresh: bool) -> Found {
        let since = Instant::now();
        let slot = self.0.memory.lock().slot(request);
        let mut answer = slot.lock().await;
        if let Some(segments) = answer.fresh(Instant::now(), since, refresh) {
            return Ok(segments);
        }
        match self.known().ask(request, &self.0.file).await {
            Ok(segments) => Ok(answer.learn(Instant::now(), SystemTime::now(), segments)),
            Err(failure) => answer.stale(SystemTime::now()).ok_or(failure),
        }
    }

    /// All segments that paths may be made of, and why there may be more.
    async fn search(
        &self,
        search: Search,
        refresh: bool,
    ) -> Result<(Vec<Arc<Vec<Segment>>>, Option<DaemonError>), DaemonError> {
        let (mut found, mut refused) = (Vec::<Arc<Vec<Segment>>>::new(), None);
        for round in 0..ROUNDS {
            let mut asked = JoinSet::new();
            let so_far: Vec<_> = found.iter().flat_map(|segments| segments.iter()).collect();
            for request in search.round(round, &so_far) {
                let control = self.clone();
                asked.spawn(async move { control.segments(request, refresh).await });
            }
            while let Some(answer) = asked.join_next().await {
                match answer {
                    Ok(Ok(segments)) => found.push(segments),
                    Ok(Err(Failure::Refused(error))) => refused = Some(error),
                    Ok(Err(Failure::Silent(error))) => return Err(error),
                    // It was stopped with the runtime.
                    Err(_) => {}
                }
            }
        }
        Ok((found, refused))
    }

    async fn look_up(&self, from: IsdAs, to: IsdAs, refresh: bool) -> Result<Vec<PathInfo>, DaemonError> {
        let known = self.known();
        let search = Search { from, core: known.topology.core, to };
        let (found, refused) = self.search(search, refresh).await?;
        let joined = tokio::task::spawn_blocking(move || {
            let all: Vec<_> = found.iter().flat_map(|segments| segments.iter()).collect();
            join::paths(from, to, &search.useful(&all), &known.topology.routers, SystemTime::now())
        });
        let paths = joined.await.unwrap_or_default();
        match refused {
            Some(error) if paths.is_empty() => Err(error),
            _ => Ok(paths),
        }
    }
}

impl PathSource for ControlServices {
    fn name(&self) -> String {
        self.known().topology.control.join(", ")
    }

    fn title(&self) -> String {
        self.known().title(&self.0.file)
    }

    fn known(&self) -> Option<LocalAs> {
        Some(ControlServices::known(self).topology.local.clone())
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        Box::pin(async move {
            match self.reach().await {
                Err(_) if self.has_moved() => self.reach().await,
                answer => answer,
            }
        })
    }

    fn paths(&self, from: IsdAs, to: IsdAs, refresh: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        Box::pin(async move {
            match self.look_up(from, to, refresh).await {
                Err(_) if self.has_moved() => self.look_up(from, to, refresh).await,
                answer => answer,
            }
        })
    }

    fn reload(&self) -> Result<(), DaemonError> {
        self.read_again().map(|_| ())
    }
}

impl Known {
    fn new(topology: Topology) -> Result<Self, DaemonError> {
        let client = |address: &String| -> Result<_, DaemonError> {
            let bad = |reason: String| DaemonError::Address { address: address.clone(), reason };
            let uri = || format!("http://{address}").parse().map_err(|e| bad(format!("{e}")));
            let config = ClientConfig::new(uri()?).with_protocol(Protocol::Grpc).with_default_timeout(TIMEOUT);
            let connection = Http2Connection::lazy_plaintext(uri()?).shared(64);
            Ok(SegmentLookupServiceClient::new(connection, config))
        };
        let clients = topology.control.iter().map(client).collect::<Result<Vec<_>, _>>()?;
        let turns = Mutex::new(Turns::new(clients.len()));
        Ok(Self { topology, clients, turns, last: Mutex::new("none was asked yet".to_owned()) })
    }

    fn title(&self, file: &Path) -> String {
        format!("the control service at {} (of {})", self.topology.control.join(" or "), file.display())
    }

    fn silence(&self, file: &Path) -> DaemonError {
        DaemonError::Control { title: self.title(file), reason: self.last.lock().clone() }
    }

    fn failed(&self, at: usize, reason: impl std::fmt::Display) {
        *self.last.lock() = format!("{}: {reason}", self.topology.control[at]);
        self.turns.lock().has_failed(at, Instant::now(), fastrand::f64());
    }

    fn answered(&self, at: usize) {
        self.turns.lock().has_answered(at, Instant::now());
    }

    /// Whether a control service takes connections.
    async fn connect(&self) -> bool {
        let order = self.turns.lock().order(Instant::now());
        for at in order {
            match within(CONNECT, TcpStream::connect(&self.topology.control[at])).await {
                Ok(_) => {
                    self.answered(at);
                    return true;
                }
                Err(reason) => self.failed(at, reason),
            }
        }
        false
    }

    async fn ask(&self, Request { from, to }: Request, file: &Path) -> Result<Vec<Segment>, Failure> {
        let order = self.turns.lock().order(Instant::now());
        let mut refused = None;
        for at in order {
            let request = SegmentsRequest { src_isd_as: from.0, dst_isd_as: to.0 };
            let options = CallOptions::default().with_max_message_size(MAX_ANSWER);
            match within(TIMEOUT, self.clients[at].segments_with_options(request, options)).await {
                Ok(answer) => {
                    self.answered(at);
                    return Ok(self.sound(at, decode::segments(answer.into_owned())));
                }
                Err(Unanswered::Error(error)) if !is_silence(&error) => {
                    self.turns.lock().has_answered(at, Instant::now());
                    let (address, reason) = (self.topology.control[at].clone(), error.to_string());
                    refused.get_or_insert(DaemonError::Segments { address, from, to, reason });
                }
                Err(reason) => self.failed(at, reason),
            }
        }
        Err(refused.map_or_else(|| Failure::Silent(self.silence(file)), Failure::Refused))
    }

    fn sound(&self, at: usize, (segments, damaged): (Vec<Segment>, Vec<&'static str>)) -> Vec<Segment> {
        if let Some(reason) = damaged.first() {
            let (count, address) = (damaged.len(), &self.topology.control[at]);
            log::warn!("{count} segments of the control service at {address} are ignored, the first because {reason}");
        }
        segments
    }
}

/// What became of a question instead of an answer.
pub(crate) enum Unanswered<E> {
    Error(E),
    Timeout(Duration),
}

impl<E: std::fmt::Display> std::fmt::Display for Unanswered<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Timeout(limit) => write!(f, "nothing came within {} s", limit.as_secs()),
        }
    }
}

pub(crate) async fn within<T, E>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Unanswered<E>> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(Unanswered::Error),
        Err(_) => Err(Unanswered::Timeout(limit)),
    }
}

/// Whether it tells of the way to the service, and not of what was asked.
fn is_silence(error: &ConnectError) -> bool {
    matches!(error.code, ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Canceled)
}
