//! What a route costs over SCION and over TCP: `cargo bench --bench routes [-- MIB]`.
//!
//! Two servers each: over TCP, over SCION within one AS, and over SCION through the routers of two ASes of an emulated
//! network. A client of one publishes messages of 1 KiB, a client of the other counts them, and none may be missing.
//! The emulated routers run in this process, so their work is not in the CPU time of the servers, but competes with it.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use natsd_lab::addresses::AsAddresses;
use natsd_lab::description::Network;
use natsd_lab::emulator::Emulator;
use natsd_lab::engine::{Engine, LabOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Second octet of the addresses, unlike that of the tests and of `natsd lab`.
const NET: u8 = 93;
const SIZE: usize = 1024;
/// Bytes that may be under way: a slow route slows the publisher down instead of being cut.
const WINDOW: u64 = 4 << 20;
/// MiB sent before measuring begins.
const WARM_UP: u64 = 8;
/// How long servers may take to start and to find each other.
const PATIENCE: Duration = Duration::from_secs(20);
/// Without news for so long, messages are lost.
const SILENCE: Duration = Duration::from_secs(10);

const CLIENT_PORT: u16 = 4222;
const ROUTE_PORT: u16 = 6222;

/// Two ASes at a link without a limit.
const NETWORK: &str = r#"
[[as]]
ia = "1-ff00:0:110"
core = true
octet = 1

[[as]]
ia = "1-ff00:0:111"
octet = 2

[[link]]
name = "link"
a = "1-ff00:0:110#1"
b = "1-ff00:0:111#1"
type = "child"
"#;

fn main() -> Result<()> {
    let mib = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(256);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("network.toml");
    fs::write(&file, NETWORK)?;
    let network = Network::read(&file)?;
    let options = LabOptions { net: NET, ..LabOptions::default() };
    let emulator = runtime.block_on(Emulator::start(network.clone(), &options))?;

    let place = |index: usize, last| {
        let ia = network.ases[index].ia;
        let at = emulator.addresses(ia).ok_or("the network has no such AS")?;
        let [a, b, c, _] = at.tcp.octets();
        Ok::<_, Box<dyn Error>>(Place { isd_as: ia.to_string(), host: Ipv4Addr::new(a, b, c, last), at })
    };
    println!("{:<26} {:>8} {:>12}   ({mib} MiB in messages of {SIZE} B, both servers)", "route", "MB/s", "CPU s/GiB");
    for (title, over, places) in [
        ("TCP", Over::Tcp, [place(0, 10)?, place(0, 11)?]),
        ("SCION, same AS", Over::Scion, [place(0, 12)?, place(0, 13)?]),
        ("SCION, through 2 routers", Over::Scion, [place(0, 14)?, place(1, 14)?]),
    ] {
        let cost = measure(directory.path(), over, &places, mib).map_err(|error| format!("{title}: {error}"))?;
        println!("{title:<26} {:>8.0} {:>12.2}", cost.mb_per_s, cost.cpu_s_per_gib);
    }
    runtime.block_on(emulator.stop())?;
    Ok(())
}

#[derive(Clone, Copy)]
enum Over {
    Tcp,
    Scion,
}

/// Where a server runs.
struct Place {
    isd_as: String,
    host: Ipv4Addr,
    at: AsAddresses,
}

impl Place {
    fn configuration(&self, directory: &Path, over: Over, peer: &Self) -> String {
        let Self { isd_as, host, at } = self;
        let common = format!("listen: \"{host}:{CLIENT_PORT}\"\nserver_name: \"{host}\"\n");
        match over {
            Over::Tcp => format!(
                "{common}cluster {{ name: bench, listen: \"{host}:{ROUTE_PORT}\", pool_size: -1, \
                 routes: [\"nats-route://{}:{ROUTE_PORT}\"] }}\n",
                peer.host
            ),
            Over::Scion => format!(
                "{common}scion {{ daemon: \"{}\", local: \"{host}\" }}\n\
                 cluster {{ name: bench, listen: \"nats://{isd_as},{host}:{ROUTE_PORT}\", pool_size: -1, \
                 authority: \"{}\", routes: [\"nats-route://[{},{}]:{ROUTE_PORT}\"] }}\n",
                at.daemon,
                directory.join("authority").display(),
                peer.isd_as,
                peer.host
            ),
        }
    }
}

struct Cost {
    mb_per_s: f64,
    cpu_s_per_gib: f64,
}

fn measure(directory: &Path, over: Over, places: &[Place; 2], mib: u64) -> Result<Cost> {
    let servers = [
        Server::start(directory, over, &places[0], &places[1])?,
        Server::start(directory, over, &places[1], &places[0])?,
    ];
    let mut subscriber = Client::connect(&servers[1])?;
    subscriber.send("SUB bench.data 1\r\nPING\r\n")?;
    subscriber.expect("PONG")?;
    let mut publisher = Client::connect(&servers[0])?;
    wait_for_route(&mut publisher, &mut subscriber)?;

    transfer(&publisher, &mut subscriber, WARM_UP)?;
    let (cpu, start) = (cpu_seconds(&servers)?, Instant::now());
    transfer(&publisher, &mut subscriber, mib)?;
    let (cpu, seconds) = (cpu_seconds(&servers)? - cpu, start.elapsed().as_secs_f64());
    Ok(Cost { mb_per_s: mib as f64 * 1.048_576 / seconds, cpu_s_per_gib: cpu / (mib as f64 / 1024.0) })
}

/// Publishes single messages until one arrives, then lets all that are still under way arrive.
fn wait_for_route(publisher: &mut Client, subscriber: &mut Client) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut published = 0_u64;
    subscriber.set_patience(Duration::from_millis(100))?;
    let mut arrived = loop {
        published += 1;
        publisher.send(&format!("PUB bench.data 8\r\n{published:08}\r\n"))?;
        match subscriber.message() {
            Ok(message) => break message.to_vec(),
            Err(_) if Instant::now() < deadline => {}
            Err(error) => return Err(format!("the servers did not find each other: {error}").into()),
        }
    };
    subscriber.set_patience(SILENCE)?;
    let last = format!("{published:08}");
    while arrived != last.as_bytes() {
        arrived = subscriber.message()?.to_vec();
    }
    Ok(())
}

/// Sends so many MiB from one client to the other.
fn transfer(publisher: &Client, subscriber: &mut Client, mib: u64) -> Result<()> {
    const BATCH: u64 = 64;
    let batches = (mib << 20) / SIZE as u64 / BATCH;
    let payload = "x".repeat(SIZE);
    let batch = format!("PUB bench.data {SIZE}\r\n{payload}\r\n").repeat(BATCH as usize);
    let received = AtomicU64::new(0);
    let mut out = publisher.stream.get_ref();
    thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            for sent in 0..batches {
                while (sent * BATCH).saturating_sub(received.load(Relaxed)) > WINDOW / SIZE as u64 {
                    thread::yield_now();
                }
                out.write_all(batch.as_bytes())?;
            }
            Ok::<_, std::io::Error>(())
        });
        let result = receive(subscriber, batches * BATCH, &received);
        // Frees a publisher that waits for what will not come.
        received.store(u64::MAX, Relaxed);
        publishing.join().map_err(|_| "the publisher panicked")??;
        result
    })
}

fn receive(subscriber: &mut Client, expected: u64, received: &AtomicU64) -> Result<()> {
    for number in 0..expected {
        let size =
            subscriber.message().map_err(|error| format!("{number} of {expected} messages came: {error}"))?.len();
        if size != SIZE {
            return Err(format!("message {number} has {size} B instead of {SIZE}").into());
        }
        received.store(number + 1, Relaxed);
    }
    Ok(())
}

/// A server in a process of its own, which ends with this value.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(directory: &Path, over: Over, place: &Place, peer: &Place) -> Result<Self> {
        let file = directory.join(format!("{}.conf", place.host));
        fs::write(&file, place.configuration(directory, over, peer))?;
        let log = fs::File::create(directory.join(format!("{}.log", place.host)))?;
        let process =
            Command::new(env!("CARGO_BIN_EXE_natsd")).arg("-c").arg(&file).stdout(Stdio::null()).stderr(log).spawn()?;
        Ok(Self { process, address: SocketAddr::from((place.host, CLIENT_PORT)) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// CPU time of `servers` since they started, in the kernel and outside.
fn cpu_seconds(servers: &[Server]) -> Result<f64> {
    /// `USER_HZ`, which is the same on all architectures that Linux runs on today.
    const TICKS_PER_SECOND: f64 = 100.0;
    let mut ticks = 0;
    for server in servers {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.process.id()))?;
        // The name, in parentheses, may hold blanks. utime and stime are the 12th and 13th field after it.
        let fields = stat.rsplit_once(')').ok_or("no name in stat")?.1.split_whitespace().skip(11).take(2);
        for field in fields {
            ticks += field.parse::<u64>()?;
        }
    }
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

struct Client {
    stream: BufReader<TcpStream>,
    /// The line that is being read: a timeout may come in its middle.
    line: String,
    message: Vec<u8>,
}

impl Client {
    fn connect(server: &Server) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(server.address) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(format!("{} does not listen: {error}", server.address).into()),
            }
        };
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(256 * 1024, stream);
        let mut client = Self { stream, line: String::new(), message: Vec::new() };
        client.set_patience(SILENCE)?;
        client.send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n")?;
        client.expect("PONG")?;
        Ok(client)
    }

    fn set_patience(&self, patience: Duration) -> Result<()> {
        Ok(self.stream.get_ref().set_read_timeout(Some(patience))?)
    }

    fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.stream.get_mut().write_all(text.as_bytes())?)
    }

    fn line(&mut self) -> Result<String> {
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(std::mem::take(&mut self.line).trim_end().to_owned())
    }

    fn expect(&mut self, wanted: &str) -> Result<()> {
        while self.line()? != wanted {}
        Ok(())
    }

    /// The payload of the next message. Answers pings on the way.
    fn message(&mut self) -> Result<&[u8]> {
        loop {
            let line = self.line()?;
            if line == "PING" {
                self.send("PONG\r\n")?;
            } else if line.starts_with("MSG ") {
                let size: usize = line.rsplit(' ').next().unwrap_or_default().parse()?;
                self.message.resize(size + 2, 0);
                self.stream.read_exact(&mut self.message)?;
                return Ok(&self.message[..size]);
            }
        }
    }
}
