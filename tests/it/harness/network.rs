//! A SCION network with a clustered server in each of two ASes, all in the test's own process.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Instant;

use natsd::Server;
use natsd::config::options::{ClusterOptions, Listen, Options, PeerAddr, Remote, RouteUrl, ScionOptions};
use natsd_lab::addresses::{AsAddresses, ROUTER_PORT};
use natsd_lab::description::Network;
use natsd_lab::emulator::Emulator;
use natsd_lab::engine::{Engine, LabOptions};
use natsd_path::{Preference, ScionAddr};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::client::Client;
use super::{DEADLINE, POLL};

/// The ASes with a server: both ends of the link `peer`.
pub const ASES: [&str; 2] = ["1-ff00:0:111", "1-ff00:0:112"];
/// Where each server takes clients over SCION.
pub const SCION_CLIENTS: u16 = 4222;
/// Where each server takes routes over SCION.
pub const SCION_ROUTES: u16 = 4248;
/// Where each server takes routes over TCP.
pub const TCP_ROUTES: u16 = 6222;
/// Connections that two servers have when nothing is said about `pool_size`.
const ROUTES: u64 = 3;

/// A network number that nobody uses. Test runs at the same time begin at different ones.
pub fn free_net() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    // The reference engine takes two numbers; those from 200 on are the lab's own tests'.
    let run = std::process::id();
    let (begin, first) = (100 + (run % 3) as u8 * 32, (run / 3 % 16) as u8 * 2);
    let mut nets = std::iter::repeat_with(|| begin + NEXT.fetch_add(2, Relaxed).wrapping_add(first) % 32).take(16);
    let is_free = |net: &u8| UdpSocket::bind((Ipv4Addr::new(127, *net, 110, 1), ROUTER_PORT)).is_ok();
    nets.find(is_free).expect("sixteen labs on one machine are enough")
}

/// A running network without servers.
pub struct Ground {
    pub runtime: Runtime,
    pub engine: Arc<dyn Engine>,
    net: u8,
    /// Where the servers of a pair are.
    homes: [&'static str; 2],
    authority: tempfile::TempDir,
}

impl Ground {
    /// The default network in the emulator.
    pub fn emulated() -> Self {
        Self::emulate(Network::default_network())
    }

    /// The default network, but with these ASes on an underlay of IPv6. The servers are in `homes`.
    pub fn with_ipv6(ases: &[&str], homes: [&'static str; 2]) -> Self {
        let mut network = Network::default_network();
        for isd_as in ases {
            let index = network.as_index(isd_as.parse().expect("an AS")).expect("the network has it");
            network.ases[index].host = Some(Ipv6Addr::LOCALHOST.into());
        }
        Self { homes, ..Self::emulate(network) }
    }

    fn emulate(network: Network) -> Self {
        Self::start(async |options| {
            let emulator = Emulator::start(network, &options).await.expect("the emulator starts");
            Arc::new(emulator) as Arc<dyn Engine>
        })
    }

    pub fn start(engine: impl AsyncFnOnce(LabOptions) -> Arc<dyn Engine>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let net = free_net();
        let engine = runtime.block_on(engine(LabOptions { net, ..LabOptions::default() }));
        let authority = tempfile::tempdir().expect("a temporary directory");
        Self { runtime, engine, net, homes: ASES, authority }
    }

    pub fn addresses(&self, isd_as: &str) -> AsAddresses {
        self.engine.addresses(isd_as.parse().expect("an AS")).expect("the network has it")
    }

    /// The directory of the authority that both servers believe.
    pub fn authority(&self) -> &Path {
        self.authority.path()
    }

    /// Where a server listens: [`SCION_CLIENTS`] or its port for routes.
    pub fn scion_address(&self, server: usize, port: u16) -> ScionAddr {
        let isd_as = self.homes[server];
        let host = self.addresses(isd_as).host;
        // All tests at the same time share the one address of IPv6's loopback.
        let port = if host.is_ipv6() { port + u16::from(self.net) * 64 + server as u16 } else { port };
        ScionAddr { isd_as: isd_as.parse().expect("an AS"), host, port }
    }

    /// Cuts or mends all links of the first server's AS.
    pub fn for_all_links(&self, act: impl Fn(&dyn Engine, &str)) {
        ["a111", "b111", "peer"].iter().for_each(|link| act(self.engine.as_ref(), link));
    }

    /// For a server at home in an AS, with a route to the other one.
    pub fn options(&self, here: usize, preference: &str, tcp: bool) -> Options {
        let there = 1 - here;
        let at = self.addresses(self.homes[here]);
        let preference: Preference = preference.parse().expect("a preference");
        let loopback = || "127.0.0.1".to_owned();
        let url = |address| RouteUrl { user: None, password: None, address };
        let mut urls = vec![url(PeerAddr::Scion(self.scion_address(there, SCION_ROUTES)))];
        let mut listen = vec![Listen::Scion(self.scion_address(here, SCION_ROUTES))];
        if tcp {
            urls.push(url(PeerAddr::Tcp { host: self.addresses(self.homes[there]).tcp.to_string(), port: TCP_ROUTES }));
            listen.push(Listen::Tcp { host: at.tcp.to_string(), port: TCP_ROUTES });
        }
        Options {
            server_name: Some(format!("server {here} in {}", self.homes[here])),
            listen: vec![
                Listen::Tcp { host: loopback(), port: 0 },
                Listen::Scion(self.scion_address(here, SCION_CLIENTS)),
            ],
            http: Some((loopback(), 0)),
            cluster: Some(ClusterOptions {
                name: Some("c1".into()),
                listen,
                routes: vec![Remote { urls }],
                authority: Some(self.authority().to_owned()),
                ..ClusterOptions::default()
            }),
            scion: Some(ScionOptions {
                daemon: Some(at.daemon.to_string()),
                local: Some(at.host),
                wishes: preference.into(),
                ..ScionOptions::default()
            }),
            ..Options::default()
        }
    }
}

impl Ground {
    pub fn serve(&self, options: Options) -> Server {
        self.runtime.block_on(Server::start(options)).expect("the server starts")
    }

    /// As [`serve`](Self::serve), where a server has just ended: its last words may keep the ports for a moment.
    pub fn serve_again(&self, options: &Options) -> Server {
        let mut server = None;
        wait_for("the ports are free again", || {
            server = self.runtime.block_on(Server::start(options.clone())).ok();
            server.is_some()
        });
        server.expect("it was waited for")
    }

    /// For a server in the second AS that takes routes at its TCP address alone.
    fn without_scion(&self) -> Options {
        let mut options = self.options(1, "latency", true);
        options.scion = None;
        options.listen.retain(|listen| matches!(listen, Listen::Tcp { .. }));
        if let Some(cluster) = &mut options.cluster {
            cluster.listen.retain(|listen| matches!(listen, Listen::Tcp { .. }));
            cluster.authority = None;
            cluster.routes.clear();
        }
        options
    }
}

/// Two servers with routes to each other over SCION, and over TCP if that is wanted too.
pub struct Pair {
    pub ground: Ground,
    servers: [Server; 2],
}

impl Pair {
    pub fn start(ground: Ground, preference: &str, tcp: bool) -> Self {
        let options = [0, 1].map(|here| ground.options(here, preference, tcp));
        Self::start_of(ground, options)
    }

    /// Servers with these options.
    pub fn start_of(ground: Ground, options: [Options; 2]) -> Self {
        let servers = options.map(|options| ground.serve(options));
        Self { ground, servers }
    }

    /// As [`start`](Self::start) without TCP, with something else in the options of each server.
    pub fn start_with(ground: Ground, change: impl FnMut(usize, &mut ClusterOptions)) -> Self {
        Self::start_changed(ground, false, change)
    }

    /// As [`start`](Self::start), with something else in the options of each server.
    pub fn start_changed(ground: Ground, tcp: bool, mut change: impl FnMut(usize, &mut ClusterOptions)) -> Self {
        let servers = [0, 1].map(|here| {
            let mut options = ground.options(here, "latency", tcp);
            change(here, options.cluster.as_mut().expect("they are clustered"));
            ground.serve(options)
        });
        Self { ground, servers }
    }

    /// The first server dials the second one's SCION and TCP address; the second one has no SCION and dials nobody.
    pub fn start_half(ground: Ground) -> Self {
        let second = ground.serve(ground.without_scion());
        let first = ground.serve(ground.options(0, "latency", true));
        Self { ground, servers: [first, second] }
    }

    /// Ends the second server, which may have no SCION, and starts one that has it at the same addresses.
    pub fn give_scion_to_second(self) -> Self {
        let Self { ground, servers: [first, second] } = self;
        ground.runtime.block_on(second.shutdown());
        let second = ground.serve(ground.options(1, "latency", true));
        Self { ground, servers: [first, second] }
    }

    /// Gives a server other options while it runs.
    pub fn reload(&mut self, server: usize, options: Options) {
        let _within = self.ground.runtime.enter();
        self.servers[server].reload(options).expect("only what can change does");
    }

    /// As [`reload`](Self::reload); the error is what the log says of it.
    #[cfg(feature = "interop")]
    pub fn try_reload(&mut self, server: usize, options: Options) -> Result<(), String> {
        let _within = self.ground.runtime.enter();
        self.servers[server].reload(options).map_err(|error| error.to_string())
    }

    pub fn client(&self, server: usize) -> Client {
        Client::connect(self.client_port(server))
    }

    pub fn client_port(&self, server: usize) -> u16 {
        self.servers[server].client_addrs()[0].port()
    }

    /// Where a server's monitoring listens.
    pub fn monitor_port(&self, server: usize) -> u16 {
        self.servers[server].monitor_addr().expect("monitoring is on").port()
    }

    /// A document of monitoring.
    pub fn read(&self, server: usize, path: &str) -> Value {
        get(self.servers[server].monitor_addr().expect("monitoring is on"), path)
    }

    /// The paths from one server to the other's AS, best first, and what carries the traffic.
    pub fn paths(&self, server: usize) -> Value {
        self.read(server, "/pathz")["peers"][0].clone()
    }

    /// The interfaces of the path that carries the traffic.
    pub fn active(&self, server: usize) -> Vec<Value> {
        let peer = self.paths(server);
        let paths = peer["paths"].as_array().cloned().unwrap_or_default();
        let active = paths.into_iter().find(|path| path["fingerprint"] == peer["active"]);
        active.map(|path| path["interfaces"].as_array().cloned().unwrap_or_default()).unwrap_or_default()
    }

    /// The routes of both servers: the same as long as none was made anew.
    pub fn routes(&self) -> Vec<(Value, Value)> {
        let routes =
            [0, 1].map(|server| self.read(server, "/routez")["routes"].as_array().cloned().unwrap_or_default());
        let mut ids: Vec<_> = routes.iter().flatten().map(|r| (r["remote_id"].clone(), r["rid"].clone())).collect();
        ids.sort_by_key(|(server, rid)| (server.to_string(), rid.as_u64()));
        ids
    }

    /// Waits until the servers have all routes to each other.
    pub fn wait_for_routes(&self) {
        for server in [0, 1] {
            wait_for("all routes are there", || self.read(server, "/routez")["num_routes"] == ROUTES);
        }
    }

    /// As [`wait_for_routes`](Self::wait_for_routes), and until the servers have measured every path.
    pub fn settle(&self) {
        self.wait_for_routes();
        for server in [0, 1] {
            wait_for("all paths are measured", || {
                let peer = self.paths(server);
                let paths = peer["paths"].as_array().filter(|paths| !paths.is_empty());
                paths.is_some_and(|paths| {
                    paths.iter().all(|path| path["transport"] == "tcp" || path["measured"]["rtt_ms"].is_number())
                })
            });
        }
    }
}

/// Waits for a condition that cannot be listened to.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} until {what}");
        std::thread::sleep(POLL);
    }
}

fn get(monitor: SocketAddr, path: &str) -> Value {
    let mut stream = TcpStream::connect(monitor).expect("monitoring accepts");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("writable");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("readable");
    let (_, body) = reply.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect(path)
}
