//! Two ends of a link over a real SCION network, to measure what cuts cost.
//!
//! ```text
//! natsd certs --dir AUTHORITY --node pair
//! pair listen '[1-ff00:0:112,127.60.112.10]:4222' DAEMON
//! pair dial   '[1-ff00:0:112,127.60.112.10]:4222' DAEMON LOCAL_IP [--tcp HOST:PORT] [--seconds N] [--every MS] [--bulk]
//! ```
//! `$PAIR_IDENTITY` names the directory of the certificate, AUTHORITY/pair. The dialer sends a numbered message every few milliseconds; the listener returns each. The dialer prints the longest
//! gap between two returned messages of each second that had one above 40 ms, and at the end what is missing or doubled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_scion::{Host, HostConfig, Identity, ReadHalf, Stream, TcpFallback, WriteHalf};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const MESSAGE: usize = 100;

struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, meta: &log::Metadata<'_>) -> bool {
        meta.target().starts_with("natsd")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            eprintln!("{:.3} {} {}", now.as_secs_f64(), record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    log::set_logger(&Stderr).map_err(|e| e.to_string())?;
    let debug = std::env::var_os("PAIR_DEBUG").is_some();
    log::set_max_level(if debug { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned();
    let [verb, addr, daemon] = args.get(..3).unwrap_or_default() else { return Err("see the source for usage".into()) };
    let local = args.get(3).and_then(|a| a.parse().ok());
    let host = Host::start(HostConfig { daemon: Some(daemon.clone()), local, ..HostConfig::default() })?;
    if verb == "listen" {
        return listen(host, addr, option("--tcp")).await;
    }
    let seconds = option("--seconds").map_or(Ok(10), |n| n.parse())?;
    let every = Duration::from_millis(option("--every").map_or(Ok(5), |n| n.parse())?);
    let started = Instant::now();
    if !args.iter().any(|a| a == "--no-wait") {
        host.ready().await?;
    }
    let tcp = option("--tcp").map(|address| TcpFallback { address, tls: false });
    let stream = host.dialer(&identity()?)?.dial(addr.parse()?, tcp).await?;
    eprintln!("connected after {:?}", started.elapsed());
    let stats = stream.stats();
    let (reader, writer) = stream.into_split();
    if args.iter().any(|a| a == "--bulk") {
        return bulk(reader, writer, seconds).await;
    }
    let sent = tokio::spawn(send(writer, Duration::from_secs(seconds), every));
    let got = receive(reader).await?;
    println!("sent {} received {got} lost {} rtt {:?}", sent.await??, stats.lost_packets(), stats.rtt());
    for to in host.paths() {
        for path in to.paths {
            println!(
                "{} {} {} rtt {:?} loss {:?} probes {}/{}: {}",
                path.rank,
                path.id,
                path.state,
                path.rtt.map(|r| r.smoothed),
                path.loss,
                path.probes_answered,
                path.probes_sent,
                path.why
            );
        }
    }
    Ok(())
}

/// Believes those whom the same authority vouches for.
fn identity() -> Result<Identity, Failure> {
    let dir = std::path::PathBuf::from(std::env::var_os("PAIR_IDENTITY").ok_or("PAIR_IDENTITY is not set")?);
    let chain = CertificateDer::pem_file_iter(dir.join("node.pem"))?.collect::<Result<Vec<_>, _>>()?;
    let key = || PrivateKeyDer::from_pem_file(dir.join("node.key"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem"))?)?;
    let (roots, provider) = (Arc::new(roots), Arc::new(rustls::crypto::ring::default_provider()));
    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain.clone(), key()?)?;
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key()?)?;
    Ok(Identity::new(Some(server), Some(client), Arc::new(|_: &[_]| Ok(())))?)
}

async fn listen(host: Host, addr: &str, tcp: Option<String>) -> Result<(), Failure> {
    let endpoint = host.listen(addr.parse()?, &identity()?).await?;
    if let Some(tcp) = tcp {
        let listener = tokio::net::TcpListener::bind(tcp).await?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if stream.write_all(b"INFO {\"scion_tunnel\":true}\r\n").await.is_ok() {
                    host.accept_tunnel(stream, bytes::Bytes::new());
                }
            }
        });
    }
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            match incoming.await {
                Ok(stream) => match echo(stream).await {
                    Ok(()) => eprintln!("closed"),
                    Err(e) => eprintln!("{e}"),
                },
                Err(e) => eprintln!("{e}"),
            }
        });
    }
    Ok(())
}

async fn echo(stream: Stream) -> Result<(), Failure> {
    eprintln!("accepted {}", stream.peer());
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(b"HELLO").await?;
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await?;
    Ok(())
}

async fn send(mut writer: WriteHalf, lasts: Duration, every: Duration) -> Result<u64, Failure> {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(every);
    let mut number = 0u64;
    while started.elapsed() < lasts {
        ticks.tick().await;
        let mut message = [0; MESSAGE];
        message[..8].copy_from_slice(&number.to_be_bytes());
        writer.write_all(&message).await?;
        number += 1;
    }
    writer.shutdown().await?;
    Ok(number)
}

async fn receive(mut reader: ReadHalf) -> Result<u64, Failure> {
    let mut hello = [0; 5];
    reader.read_exact(&mut hello).await?;
    let (mut last, mut number) = (Instant::now(), 0u64);
    let mut message = [0; MESSAGE];
    while reader.read_exact(&mut message).await.is_ok() {
        let got = u64::from_be_bytes(message[..8].try_into()?);
        if got != number {
            return Err(format!("message {got} where {number} was expected").into());
        }
        number += 1;
        let gap = last.elapsed();
        if gap > Duration::from_millis(40) {
            println!("gap {:.1} ms before message {number}", gap.as_secs_f64() * 1000.0);
        }
        last = Instant::now();
    }
    Ok(number)
}

async fn bulk(mut reader: ReadHalf, mut writer: WriteHalf, seconds: u64) -> Result<(), Failure> {
    let sender = tokio::spawn(async move {
        let started = Instant::now();
        let block = vec![7; 256 * 1024];
        while started.elapsed() < Duration::from_secs(seconds) {
            writer.write_all(&block).await?;
        }
        writer.shutdown().await
    });
    let (started, mut total, mut buffer) = (Instant::now(), 0usize, vec![0; 256 * 1024]);
    loop {
        match reader.read(&mut buffer).await? {
            0 => break,
            n => total += n,
        }
    }
    sender.await??;
    println!("{:.0} Mbit/s each way", total as f64 * 8e-6 / started.elapsed().as_secs_f64());
    Ok(())
}
