//! `natsd link`: carries the bytes of NATS clients over SCION, to a server that listens there.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use natsd_core::relay::{Relay, RelayError};
use natsd_path::ScionAddr;
use natsd_scion::{DialError, Endpoint, Host, Identity, ListenError, ReadHalf};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, Semaphore};

use super::args::LinkFlags;
use super::source::SourceError;
use crate::authority::{self, AuthorityError, CA};
use crate::config::options::{Options, TlsOptions};
use crate::logging::{self, LogError};
use crate::tls::{TlsError, quic};
use crate::transport::tcp;

/// Clients at the same time.
const CLIENTS: usize = 1024;
/// What is read from the server at once, bytes.
const READ: usize = 64 * 1024;

/// Why nothing is carried.
#[derive(Debug, Error)]
enum LinkError {
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen { address: String, source: io::Error },
    #[error("{0}; name the authority that vouches for the server with --ca")]
    Authority(#[from] AuthorityError),
    #[error("--ca, --cert, --key: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why a client is let go.
#[derive(Debug, Error)]
enum CarryError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("cannot dial: {0}")]
    Bind(#[from] ListenError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the server does not speak NATS: {0}")]
    Protocol(#[from] RelayError),
}

/// Carries until it is interrupted.
pub fn run(flags: &LinkFlags) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(LinkError::Runtime);
    match runtime.and_then(|runtime| runtime.block_on(link(flags))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natsd link: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all clients have in common.
struct Carrier {
    host: Host,
    identity: Identity,
    endpoint: OnceCell<Endpoint>,
    servers: Vec<ScionAddr>,
}

async fn link(flags: &LinkFlags) -> Result<(), LinkError> {
    logging::init(&Options::default())?;
    let identity = identity(flags)?;
    let (host, port) = &flags.listen;
    let failed = |source| LinkError::Listen { address: format!("{host}:{port}"), source };
    let socket = tcp::listen(host, *port).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let wishes: natsd_path::Wishes = flags.preference.clone().into();
    let host = flags.source.host(wishes)?;
    log::info!("Listening for client connections on {address}, which are carried over SCION");
    let servers = flags.to.clone();
    let carrier = Arc::new(Carrier { host, identity, endpoint: OnceCell::new(), servers });
    tokio::select! {
        () = accept(carrier, socket) => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(LinkError::Runtime),
    }
}

/// Believes servers that `--ca` vouches for, or the authority of this machine.
fn identity(flags: &LinkFlags) -> Result<Identity, LinkError> {
    let ca_file = match &flags.ca {
        Some(file) => file.clone(),
        None => authority::default_dir()?.join(CA),
    };
    let (cert_file, key_file) = (flags.cert.clone(), flags.key.clone());
    Ok(quic::dialer(&TlsOptions { ca_file: Some(ca_file), cert_file, key_file, ..TlsOptions::default() })?)
}

async fn accept(carrier: Arc<Carrier>, socket: TcpListener) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match socket.accept().await {
            Ok((stream, client)) => {
                let carrier = Arc::clone(&carrier);
                tokio::spawn(async move {
                    if let Err(error) = carrier.carry(stream).await {
                        log::warn!("{client}: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: some will be free later.
                log::error!("Accepting clients failed, trying again: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

impl Carrier {
    /// Carries all that one client and the server say to each other.
    async fn carry(&self, client: TcpStream) -> Result<(), CarryError> {
        client.set_nodelay(true)?;
        let here = client.local_addr()?;
        let server = self.dial().await?;
        let (from_server, mut to_server) = server.into_split();
        let (mut from_client, to_client) = client.into_split();
        let up = async {
            tokio::io::copy(&mut from_client, &mut to_server).await?;
            to_server.shutdown().await?;
            Ok(())
        };
        tokio::select! {
            ended = up => ended,
            ended = carry_down(from_server, to_client, here) => ended,
        }
    }

    /// The first server that answers.
    async fn dial(&self) -> Result<natsd_scion::Stream, CarryError> {
        // Bound at the first use, when the daemon has probably told which ports it may be.
        let endpoint = self.endpoint.get_or_try_init(|| async { self.host.dialer(&self.identity) }).await?;
        let (last, first) = self.servers.split_last().expect("--to is required");
        for server in first {
            match endpoint.dial(*server, None).await {
                Ok(stream) => return Ok(stream),
                Err(error) => log::warn!("{error}"),
            }
        }
        Ok(endpoint.dial(*last, None).await?)
    }
}

/// Carries what the server says to a client that came to `here`.
async fn carry_down(
    mut from_server: ReadHalf,
    mut to_client: OwnedWriteHalf,
    here: SocketAddr,
) -> Result<(), CarryError> {
    let mut relay = Relay::new(&here.ip().to_canonical().to_string(), here.port());
    let (mut read, mut out) = (vec![0; READ], Vec::with_capacity(READ));
    loop {
        match from_server.read(&mut read).await? {
            0 => return Ok(to_client.shutdown().await?),
            len => relay.pass(&read[..len], &mut out)?,
        }
        to_client.write_all(&out).await?;
        out.clear();
    }
}
