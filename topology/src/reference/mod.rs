//! The engine of the reference SCION programs: real routers, control services, daemons and dispatchers (v0.14), with
//! every link between two routers relayed through this process, where it is delayed, limited and cut.

mod config;
mod processes;
mod relay;

use std::{
    io,
    net::{SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use scion_protobuf::{
    connectrpc::{
        Protocol,
        client::{ClientConfig, HttpClient},
    },
    proto::daemon::v1::{DaemonServiceClient, PathsRequest},
};
use sciparse::identifier::isd_asn::IsdAsn;

pub use self::processes::find_program;
use self::{
    processes::{Process, Processes},
    relay::Relay,
};
use crate::{
    addresses::AsAddresses,
    description::Network,
    engine::{Engine, LabError, LabOptions, LinkStatus, Operation, Unit, find_as, find_link, ways},
    link::{Cut, LinkChange},
    links::Way,
    mover::{Mover, bind},
    paths,
    segments::{Segments, Validity, forwarding_keys},
};

/// The programs that the engine needs.
pub const PROGRAMS: [&str; 5] = ["router", "control", "daemon", "dispatcher", "scion-pki"];
/// Longest wait for all paths after a start.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// How often the state of starting programs is asked for.
const POLL: Duration = Duration::from_millis(100);

/// A running network of reference programs. Dropping it kills them.
#[derive(Debug)]
pub struct Reference {
    network: Arc<Network>,
    addresses: Vec<AsAddresses>,
    mover: Mover<Relay>,
    processes: Processes,
    directory: PathBuf,
}

/// Why the reference engine did not start or do what it was told.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum ReferenceError {
    #[error(
        "the SCION program `{program}` is not in {searched}: build the reference programs (v0.14.0, \
         https://github.com/scionproto/scion) and set SCION_BIN to their directory"
    )]
    NoProgram { program: &'static str, searched: String },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{program}` cannot be started: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("`{program}` ended at once; its log is {}", log.display())]
    Ended { program: String, log: PathBuf },
    #[error("scion-pki made no certificates: {0}")]
    Certificates(String),
    #[error(
        "the relay of link `{link}` cannot listen on {address}: {source}; is another lab using this network number?"
    )]
    Relay { link: String, address: SocketAddrV4, source: io::Error },
    #[error("after {0:?} {1}; the logs are in {2}")]
    NotReady(Duration, String, String),
    #[error("network number {0}: the reference engine needs this number and the next, so use 1 to 253")]
    Net(u8),
    #[error("AS {0}: its host is IPv6, which the reference engine does not do: leave `host` out, or use the emulator")]
    Ipv6(IsdAsn),
}

impl Reference {
    /// Writes configurations and keys below `directory`, starts everything, and returns when all daemons have all paths.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ReferenceError`] within [`LabError::Reference`].
    pub async fn start(network: Network, options: &LabOptions, directory: &Path) -> Result<Self, LabError> {
        Ok(Self::try_start(network, options, directory).await?)
    }

    async fn try_start(network: Network, options: &LabOptions, directory: &Path) -> Result<Self, ReferenceError> {
        if !(1..=253).contains(&options.net) {
            return Err(ReferenceError::Net(options.net));
        }
        if let Some(six) = network.ases.iter().find(|a| a.host.is_some_and(|host| host.is_ipv6())) {
            return Err(ReferenceError::Ipv6(six.ia));
        }
        let programs = processes::find_programs()?;
        let network = Arc::new(network);
        let addresses: Vec<_> =
            (0..network.ases.len()).map(|i| AsAddresses::derive(&network, i, options.net)).collect();
        let layout = config::Layout::new(&network, &addresses, options, directory);
        layout.write()?;
        processes::make_certificates(&programs, directory)?;
        layout.distribute_certificates()?;

        let relay = Relay::new(&network, &layout.link_addresses(), options.seed);
        let mover =
            Mover::new(relay).map_err(|source| ReferenceError::Spawn { program: "relay".to_owned(), source })?;
        for (link, ends) in network.links.iter().zip(layout.link_addresses()) {
            for end in ends {
                bind(end.relay.into())
                    .and_then(|socket| mover.open(socket))
                    .map_err(|source| ReferenceError::Relay { link: link.name.clone(), address: end.relay, source })?;
            }
        }
        let processes = Processes::new(programs, directory.to_owned());
        let lab = Self { network, addresses, mover, processes, directory: directory.to_owned() };
        lab.launch().await?;
        Ok(lab)
    }

    /// Routers come first, so that control services find live interfaces and beacon at once.
    async fn launch(&self) -> Result<(), ReferenceError> {
        self.launch_all(&[Process::Dispatcher, Process::Router])?;
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.interfaces_up().await {
            self.pause(deadline, || "the routers' interfaces are not up".to_owned()).await?;
        }
        self.launch_all(&[Process::Control, Process::Daemon])?;
        let mut missing = self.expected_paths();
        while let Some(&(from, to, expected)) = missing.last() {
            if self.count_paths(from, to).await >= Some(expected) {
                missing.pop();
                continue;
            }
            let ia = |i: usize| self.network.ases[i].ia;
            let complaint = || format!("{} does not have all {expected} paths to {}", ia(from), ia(to));
            self.pause(deadline, complaint).await?;
        }
        Ok(())
    }

    fn launch_all(&self, kinds: &[Process]) -> Result<(), ReferenceError> {
        for kind in kinds {
            for autonomous_system in &self.network.ases {
                self.processes.start(*kind, autonomous_system.octet)?;
            }
        }
        Ok(())
    }

    async fn pause(&self, deadline: Instant, complaint: impl Fn() -> String) -> Result<(), ReferenceError> {
        self.processes.check()?;
        if Instant::now() > deadline {
            let logs = self.directory.display().to_string();
            return Err(ReferenceError::NotReady(START_TIMEOUT, complaint(), logs));
        }
        tokio::time::sleep(POLL).await;
        Ok(())
    }

    async fn interfaces_up(&self) -> bool {
        for (as_index, at) in self.addresses.iter().enumerate() {
            let expected = self.network.interfaces(as_index).count();
            let address = SocketAddr::new(at.router.ip(), config::ROUTER_API_PORT);
            if processes::interfaces_up(address).await != Some(expected) {
                return false;
            }
        }
        true
    }

    /// Each pair of ASes with the number of paths from the first to the second.
    fn expected_paths(&self) -> Vec<(usize, usize, usize)> {
        let mut rng = fastrand::Rng::with_seed(0);
        let keys = forwarding_keys(&self.network, &mut rng);
        let validity = Validity::lasting(Duration::from_secs(3600), 0);
        let segments = Segments::beacon(&self.network, &keys, validity, &mut rng);
        let all = 0..self.network.ases.len();
        all.clone()
            .flat_map(|from| all.clone().map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .map(|(from, to)| (from, to, paths::find(&self.network, &segments, from, to).len()))
            .collect()
    }

    async fn count_paths(&self, from: usize, to: usize) -> Option<usize> {
        let uri = format!("http://{}", self.addresses[from].daemon).parse().ok()?;
        let config = ClientConfig::new(uri).with_protocol(Protocol::Grpc);
        let client = DaemonServiceClient::new(HttpClient::plaintext_http2_only(), config);
        let request = PathsRequest {
            source_isd_as: self.network.ases[from].ia.to_u64(),
            destination_isd_as: self.network.ases[to].ia.to_u64(),
            refresh: true,
            ..Default::default()
        };
        let answer = tokio::time::timeout(Duration::from_secs(2), client.paths(request)).await;
        Some(answer.ok()?.ok()?.into_owned().paths.len())
    }
}

impl Engine for Reference {
    fn addresses(&self, ia: IsdAsn) -> Option<AsAddresses> {
        self.network.as_index(ia).map(|i| self.addresses[i])
    }

    fn cut(&self, link: &str, how: Cut, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        self.mover.with(|relay| relay.links_mut().set_cut(link, &ways(way), Some(how)));
        Ok(())
    }

    fn restore(&self, link: &str, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        self.mover.with(|relay| relay.links_mut().set_cut(link, &ways(way), None));
        Ok(())
    }

    fn set(&self, link: &str, change: &LinkChange, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        self.mover.with(|relay| relay.links_mut().change(link, &ways(way), change));
        Ok(())
    }

    fn links(&self) -> Vec<LinkStatus> {
        self.mover.with(|relay| relay.links_mut().status())
    }

    fn stop_unit(&self, unit: Unit, ia: IsdAsn) -> Operation<'_> {
        Box::pin(async move {
            let octet = self.network.ases[find_as(&self.network, ia)?].octet;
            self.processes.stop(unit.into(), octet);
            Ok(())
        })
    }

    fn start_unit(&self, unit: Unit, ia: IsdAsn) -> Operation<'_> {
        Box::pin(async move {
            let octet = self.network.ases[find_as(&self.network, ia)?].octet;
            Ok(self.processes.start(unit.into(), octet)?)
        })
    }

    fn stop(&self) -> Operation<'_> {
        Box::pin(async {
            self.processes.stop_all();
            self.mover.stop().await;
            Ok(())
        })
    }
}
