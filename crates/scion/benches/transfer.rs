//! What SCION costs QUIC: `cargo bench -p natsd-scion --features bench --bench transfer [-- MIB [ROUNDS]]`.
//!
//! One stream of bytes over loopback by TCP, by QUIC over UDP, by the same QUIC over SCION within an AS, and over SCION with
//! the header of a path of two hops (no router is in between). Sender and receiver have a thread each; the CPU time is
//! that of both. The ways take turns in each round; medians count.

use std::any::Any;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use natsd_path::ScionAddr;
use natsd_scion::bench::{Ends, any_port, host_of_one_as, host_of_two_ases, is_sound, without_scion};
use natsd_scion::{Endpoint, Identity};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const CHUNK: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Tcp,
    Udp,
    SameAs,
    TwoHops,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Tcp, "TCP, no TLS"),
    (Way::Udp, "QUIC over UDP"),
    (Way::SameAs, "QUIC over SCION, same AS"),
    (Way::TwoHops, "QUIC over SCION, two hops"),
];

/// What one transfer took.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    sender: Duration,
    receiver: Duration,
}

fn main() {
    assert!(is_sound(), "the path is none");
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let (mib, rounds) = (numbers.first().copied().unwrap_or(512), numbers.get(1).copied().unwrap_or(5));
    let mut costs = WAYS.map(|_| Vec::new());
    for round in 0..rounds as usize {
        for turn in 0..WAYS.len() {
            let way = (turn + round) % WAYS.len();
            costs[way].push(transfer(WAYS[way].0, mib << 20));
        }
    }
    let gib = mib as f64 / 1024.0;
    let median = |costs: &[Cost], of: &dyn Fn(&Cost) -> Duration| {
        let mut values: Vec<_> = costs.iter().map(of).collect();
        values.sort();
        values[values.len() / 2].as_secs_f64()
    };
    println!("{:<26} {:>8} {:>16} {:>16} {:>10}", "way", "Mbit/s", "send CPU s/GiB", "recv CPU s/GiB", "both");
    let mut both = Vec::new();
    for ((_, title), costs) in WAYS.iter().zip(&costs) {
        let rate = mib as f64 * 8.388_608 / median(costs, &|cost| cost.wall);
        let [send, receive] = [median(costs, &|cost| cost.sender) / gib, median(costs, &|cost| cost.receiver) / gib];
        both.push(median(costs, &|cost| cost.sender + cost.receiver) / gib);
        println!("{title:<26} {rate:>8.0} {send:>16.2} {receive:>16.2} {:>10.2}", both[both.len() - 1]);
    }
    let mut ratios = String::new();
    for (at, (_, title)) in WAYS.iter().enumerate().skip(2) {
        let _ = write!(ratios, "; {title} {:.2}", both[at] / both[1]);
    }
    println!("CPU beside QUIC over UDP{ratios} ({mib} MiB, medians of {rounds})");
}

/// CPU time of the calling thread.
fn cpu() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanos = schedule.split_whitespace().next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanos.expect("the first number is the time"))
}

type Reader = Box<dyn AsyncRead + Unpin>;
type Writer = Box<dyn AsyncWrite + Unpin>;

/// What both ends have of a transfer.
#[derive(Clone)]
struct Ground {
    way: Way,
    identity: Identity,
    ends: Ends,
    bytes: u64,
}

/// Where the receiver is.
#[derive(Clone, Copy)]
enum Place {
    Ip(SocketAddr),
    Scion(ScionAddr),
}

/// Sends so many bytes.
fn transfer(way: Way, bytes: u64) -> Cost {
    let ground = Ground { way, identity: identity(), ends: Ends::default(), bytes };
    let (tell, told) = mpsc::channel();
    let (finish, done) = oneshot::channel();
    let other = ground.clone();
    let receiver = std::thread::spawn(move || on_this_thread(other.receive(tell, done)));
    let sender = std::thread::spawn(move || {
        let to = told.recv().expect("the receiver listens");
        on_this_thread(ground.send(to, finish))
    });
    let (wall, sender) = sender.join().expect("it sends");
    Cost { wall, sender, receiver: receiver.join().expect("it receives") }
}

fn on_this_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

impl Ground {
    /// Takes all bytes, and says so. Returns the CPU time from the first one on.
    async fn receive(self, tell: mpsc::Sender<Place>, done: oneshot::Receiver<()>) -> Duration {
        let (mut reader, mut writer, _keep) = self.accept(&tell).await;
        writer.write_all(b"!").await.expect("writes");
        let (mut buffer, mut left) = (vec![0; CHUNK], self.bytes);
        left -= reader.read(&mut buffer).await.expect("reads") as u64;
        let before = cpu();
        while left > 0 {
            left -= reader.read(&mut buffer).await.expect("reads") as u64;
        }
        let took = cpu() - before;
        writer.write_all(b"!").await.expect("writes");
        let _ = done.await;
        took
    }

    /// Sends all bytes. Returns how long it took until all had come, and the CPU time.
    async fn send(self, to: Place, done: oneshot::Sender<()>) -> (Duration, Duration) {
        let (mut reader, mut writer, _keep) = self.dial(to).await;
        let chunk = vec![0; CHUNK];
        let mut one = [0];
        reader.read_exact(&mut one).await.expect("reads");
        let (began, before) = (Instant::now(), cpu());
        for _ in 0..self.bytes / CHUNK as u64 {
            writer.write_all(&chunk).await.expect("writes");
        }
        reader.read_exact(&mut one).await.expect("reads");
        let cost = (began.elapsed(), cpu() - before);
        let _ = done.send(());
        cost
    }

    async fn accept(&self, tell: &mpsc::Sender<Place>) -> (Reader, Writer, Box<dyn Any>) {
        let tell = |place| tell.send(place).expect("the sender waits");
        match self.way {
            Way::Tcp => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
                tell(Place::Ip(listener.local_addr().expect("bound")));
                let (reader, writer) = listener.accept().await.expect("somebody comes").0.into_split();
                (Box::new(reader), Box::new(writer), Box::new(()))
            }
            Way::Udp => {
                let (server, _) = without_scion(&self.identity).expect("an identity");
                let endpoint = quinn::Endpoint::server(server, (Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
                tell(Place::Ip(endpoint.local_addr().expect("bound")));
                let connection = endpoint.accept().await.expect("somebody comes").await.expect("connects");
                let (writer, reader) = connection.open_bi().await.expect("opens");
                (Box::new(reader), Box::new(writer), Box::new((endpoint, connection)))
            }
            Way::SameAs | Way::TwoHops => {
                let endpoint = self.listen(0).await;
                tell(Place::Scion(endpoint.local_addr()));
                let stream = endpoint.accept().await.expect("somebody comes").await.expect("connects");
                let (reader, writer) = stream.into_split();
                (Box::new(reader), Box::new(writer), Box::new(endpoint))
            }
        }
    }

    async fn dial(&self, to: Place) -> (Reader, Writer, Box<dyn Any>) {
        match (self.way, to) {
            (Way::Tcp, Place::Ip(to)) => {
                let (reader, writer) = TcpStream::connect(to).await.expect("connects").into_split();
                (Box::new(reader), Box::new(writer), Box::new(()))
            }
            (_, Place::Ip(to)) => {
                let (_, client) = without_scion(&self.identity).expect("an identity");
                let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
                let connection =
                    endpoint.connect_with(client, to, "natsd").expect("an address").await.expect("connects");
                let (writer, reader) = connection.accept_bi().await.expect("opens");
                (Box::new(reader), Box::new(writer), Box::new((endpoint, connection)))
            }
            (_, Place::Scion(to)) => {
                let endpoint = self.listen(1).await;
                let (reader, writer) = endpoint.dial(to, None).await.expect("connects").into_split();
                (Box::new(reader), Box::new(writer), Box::new(endpoint))
            }
        }
    }

    async fn listen(&self, at: usize) -> Endpoint {
        let host = match self.way {
            Way::TwoHops => host_of_two_ases(at, &self.ends),
            _ => host_of_one_as(),
        };
        let isd_as = host.ready().await.expect("it knows its AS");
        let endpoint = host.listen(any_port(isd_as), &self.identity).await.expect("a port");
        let here = endpoint.local_addr();
        let _ = self.ends[at].set((here.host, here.port).into());
        endpoint
    }
}

/// Both ends show the same certificate and believe it.
fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["natsd".to_owned()]).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let (chain, key) = (vec![made.cert.der().clone()], made.signing_key.serialize_der());
    let key = || PrivateKeyDer::Pkcs8(key.clone().into());
    let (roots, provider) = (Arc::new(roots), Arc::new(rustls::crypto::ring::default_provider()));
    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .expect("a version")
        .with_client_cert_verifier(clients.expect("a verifier"))
        .with_single_cert(chain.clone(), key())
        .expect("they go together");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key())
        .expect("they go together");
    Identity::new(Some(server), Some(client), Arc::new(|_: &[_]| Ok(()))).expect("QUIC can be spoken")
}
