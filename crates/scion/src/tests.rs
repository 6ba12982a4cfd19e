//! Two hosts in one process: within one AS, and with TCP/IP only.

mod doors;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use natsd_path::{IsdAs, Kind, ScionAddr};
use quinn::{ConnectionError, ReadError};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::error::DaemonError;
use crate::metadata::PathInfo;
use crate::source::{Boxed, LocalAs, PathSource};
use crate::{
    AcceptError, DialError, Endpoint, Host, HostConfig, Identity, ListenError, Place, Stream, TUNNEL_QUESTION,
    TcpFallback,
};

mod plain;

const AS: IsdAs = IsdAs(0x0001_ff00_0000_0111);
const DEADLINE: Duration = Duration::from_secs(20);

/// A daemon that knows its AS and no other, or is down.
struct Alone(bool);

impl PathSource for Alone {
    fn name(&self) -> String {
        "test:1".to_owned()
    }

    fn title(&self) -> String {
        "the SCION daemon at test:1".to_owned()
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        let down = DaemonError::Call { address: "test:1".into(), method: "AS", reason: "it is down".into() };
        let local = LocalAs { isd_as: AS, mtu: 1472, ports: None };
        Box::pin(std::future::ready(if self.0 { Ok(local) } else { Err(down) }))
    }

    fn paths(&self, _: IsdAs, _: IsdAs, _: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

fn host(daemon_is_up: bool) -> Host {
    let local = Some([127, 0, 0, 1].into());
    Host::with_source(Arc::new(Alone(daemon_is_up)), HostConfig { local, ..HostConfig::default() })
}

fn any_port() -> ScionAddr {
    ScionAddr { isd_as: AS, host: [127, 0, 0, 1].into(), port: 0 }
}

/// Both ends of a connection that believe each other, and nobody else.
fn identity() -> Identity {
    identity_speaking(&[b"natsd", b"qs"])
}

fn identity_speaking(protocols: &[&[u8]]) -> Identity {
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
    let admits = Arc::new(|_: &[_]| Ok(()));
    Identity::speaking(protocols, Some(server), Some(client), admits).expect("QUIC can be spoken")
}

async fn listen(host: &Host, identity: &Identity) -> Endpoint {
    host.listen(any_port(), identity).await.expect("listens")
}

/// Returns what comes, behind a greeting.
async fn echo(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let stream = incoming.await.expect("accepted");
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            writer.write_all(b"INFO\r\n").await.expect("writes");
            tokio::io::copy(&mut reader, &mut writer).await.expect("copies");
            writer.shutdown().await.expect("finishes");
        });
    }
}

/// Sends a megabyte and wants it back.
async fn exchange(stream: Stream) {
    let sent: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
    let (mut reader, mut writer) = stream.into_split();
    let mut greeting = [0; 6];
    reader.read_exact(&mut greeting).await.expect("greeting");
    assert_eq!(&greeting, b"INFO\r\n");
    let copy = sent.clone();
    let writes = tokio::spawn(async move {
        writer.write_all(&copy).await.expect("writes");
        writer.shutdown().await.expect("finishes");
    });
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await.expect("reads");
    writes.await.expect("no panic");
    assert!(got == sent, "{} bytes came back of {}", got.len(), sent.len());
}

async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_within_an_as_carries_bytes_both_ways() {
    let (server, client) = (host(true), host(true));
    within_deadline(async {
        assert_eq!(server.ready().await.expect("runs"), AS);
        client.ready().await.expect("runs");
        let identity = identity();
        let endpoint = listen(&server, &identity).await;
        let to = endpoint.local_addr();
        tokio::spawn(echo(endpoint));
        let dialer = client.dialer(&identity).expect("binds");
        let stream = dialer.dial(to, None).await.expect("connects");
        assert_eq!(stream.peer(), to);
        assert!(stream.stats().path().is_some());
        exchange(stream).await;
        let paths = client.paths();
        assert_eq!((paths.len(), paths[0].remote, paths[0].paths.len()), (1, Place::As(AS), 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_know_single_streams_alone_have_one_each_way() {
    let (server, client) = (host(true), host(true));
    within_deadline(async {
        server.ready().await.expect("runs");
        let identity = identity_speaking(&[b"qs"]);
        let endpoint = listen(&server, &identity).await;
        let to = endpoint.local_addr();
        tokio::spawn(echo(endpoint));
        exchange(client.dialer(&identity).expect("binds").dial(to, None).await.expect("connects")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_daemon_tcp_carries_the_stream() {
    tcp_carries_the_stream(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_waits_for_tls_is_asked_whether_it_carries_the_stream() {
    tcp_carries_the_stream(true).await;
}

async fn tcp_carries_the_stream(tls: bool) {
    let (server, client) = (host(false), host(false));
    within_deadline(async {
        let identity = identity();
        let endpoint = listen(&server, &identity).await;
        let to = endpoint.local_addr();
        let to = ScionAddr { isd_as: AS, ..to };
        tokio::spawn(echo(endpoint));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let tcp = listener.local_addr().expect("bound").to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if tls {
                    let mut question = [0; TUNNEL_QUESTION.len()];
                    stream.read_exact(&mut question).await.expect("reads");
                    assert_eq!(question, TUNNEL_QUESTION);
                }
                stream.write_all(b"INFO {\"scion_tunnel\":true}\r\n").await.expect("writes");
                server.accept_tunnel(stream, bytes::Bytes::new());
            }
        });
        let dialer = client.dialer(&identity).expect("binds");
        let stream = dialer.dial(to, Some(TcpFallback { address: tcp, tls })).await.expect("connects");
        exchange(stream).await;
        assert_eq!(client.paths()[0].peers.first().map(|p| p.1).unwrap_or(Kind::Tcp), Kind::Tcp);
    })
    .await;
}

/// Dials from `client` to `server`; what became of it at both ends.
async fn meet(server: &Identity, client: &Identity) -> (Result<(), AcceptError>, Result<(), DialError>) {
    let host = host(true);
    within_deadline(async {
        host.ready().await.expect("runs");
        let endpoint = listen(&host, server).await;
        let to = endpoint.local_addr();
        let accepted = tokio::spawn(async move {
            let mut stream = endpoint.accept().await.expect("it comes").await?;
            stream.write_all(b"INFO").await.expect("writes");
            stream.shutdown().await.expect("finishes");
            // The dialer reads what there is, and goes.
            let _ = stream.read(&mut [0; 1]).await;
            Ok(())
        });
        let dialled = async {
            let mut stream = host.dialer(client).expect("binds").dial(to, None).await?;
            stream.read_exact(&mut [0; 4]).await.expect("a greeting");
            Ok(())
        };
        let dialled = dialled.await;
        (accepted.await.expect("no panic"), dialled)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_that_do_not_believe_each_other_both_know_why() {
    let (accepted, dialled) = meet(&identity(), &identity()).await;
    let (accepted, dialled) = (accepted.expect_err("a stranger"), dialled.expect_err("a stranger"));
    assert!(accepted.refusal().is_some(), "{accepted}");
    assert!(matches!(dialled, DialError::Disbelief { .. }), "{dialled}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_identities_hold_from_the_next_handshake_on() {
    let (server, client) = (identity(), identity());
    client.become_like(&server);
    let (accepted, dialled) = meet(&server, &client).await;
    accepted.expect("believed");
    dialled.expect("believed");
    client.become_like(&identity());
    assert!(meet(&server, &client).await.0.expect_err("a stranger").refusal().is_some());
}

#[tokio::test]
async fn an_address_of_another_as_is_refused_by_both_names() {
    let host = host(true);
    host.ready().await.expect("runs");
    let foreign = "1-ff00:0:112,127.0.0.1:0".parse().expect("address");
    let error = host.listen(foreign, &identity()).await.expect_err("foreign");
    assert!(matches!(error, ListenError::ForeignAs { .. }));
    let text = error.to_string();
    assert!(text.contains("1-ff00:0:111") && text.contains("1-ff00:0:112"), "{text}");
    assert!(text.ends_with("correct the address, or scion.daemon or scion.topology"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_does_not_disturb_a_connection() {
    let host = host(true);
    within_deadline(async {
        host.ready().await.expect("runs");
        let identity = identity();
        let endpoint = listen(&host, &identity).await;
        let to = endpoint.local_addr();
        tokio::spawn(echo(endpoint));
        let dialer = host.dialer(&identity).expect("binds");
        let stream = dialer.dial(to, None).await.expect("connects");
        let flood = tokio::spawn(async move {
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("binds");
            for n in 0..20_000u64 {
                // A would-be handshake from an invented AS, then noise.
                let from = ScionAddr { isd_as: IsdAs(1 << 50 | n), ..to };
                let at = (to.host, to.port).into();
                let template = crate::template::Template::new(from, to, &[], at, None).expect("fits");
                let mut packet = Vec::new();
                template.append(&[0xc0 | n as u8 & 0x3f; 1200], &mut packet);
                if n % 2 == 0 {
                    packet.iter_mut().skip(n as usize % 40).for_each(|byte| *byte ^= n as u8);
                }
                // A full buffer is part of the game.
                let _ = socket.send_to(&packet, at).await;
            }
        });
        exchange(stream).await;
        flood.await.expect("no panic");
        exchange(dialer.dial(to, None).await.expect("connects again")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_asked_to_prove_its_address_does_so() {
    let (server, client) = (host(true), host(true));
    within_deadline(async {
        server.ready().await.expect("runs");
        let identity = identity();
        let endpoint = listen(&server, &identity).await;
        let to = endpoint.local_addr();
        let asked = tokio::spawn(async move {
            let unproven = endpoint.accept().await.expect("it comes");
            assert!(!unproven.is_proven());
            unproven.ask_for_proof();
            // What it sent first may come twice.
            let proven = loop {
                let again = endpoint.accept().await.expect("it comes again");
                if again.is_proven() {
                    break again;
                }
                again.ask_for_proof();
            };
            let mut stream = proven.await.expect("accepted");
            stream.write_all(b"INFO").await.expect("writes");
            stream.shutdown().await.expect("finishes");
            let _ = stream.read(&mut [0; 1]).await;
        });
        let mut stream = client.dialer(&identity).expect("binds").dial(to, None).await.expect("connects");
        stream.read_exact(&mut [0; 4]).await.expect("a greeting");
        drop(stream);
        asked.await.expect("no panic");
    })
    .await;
}

/// A port that nobody listened at a moment ago.
fn free_port() -> ScionAddr {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
    ScionAddr { port: socket.local_addr().expect("bound").port(), ..any_port() }
}

#[test]
fn a_server_that_came_back_ends_what_it_had_open_when_it_died() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runs");
    let (first, second, dialer) = (runtime(), runtime(), runtime());
    let (at, identity) = (free_port(), identity().with_private_key(b"that of the server"));
    let serve = |identity: Identity| async move {
        let host = host(true);
        host.ready().await.expect("runs");
        // The port may not be free at once.
        let endpoint = loop {
            match host.listen(at, &identity).await {
                Ok(endpoint) => break endpoint,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        tokio::spawn(echo(endpoint));
        host
    };
    let server = first.block_on(within_deadline(serve(identity.clone())));
    let (client, mut stream) = dialer.block_on(within_deadline(async {
        let client = host(true);
        client.ready().await.expect("runs");
        let mut stream = client.dialer(&identity).expect("binds").dial(at, None).await.expect("connects");
        stream.read_exact(&mut [0; 6]).await.expect("a greeting");
        (client, stream)
    }));
    // Nobody is told.
    first.shutdown_background();
    drop(server);
    let again = second.block_on(within_deadline(serve(identity.clone())));
    let end = dialer.block_on(within_deadline(async {
        // It may be over before, if something had to be said again.
        let _ = stream.write_all(b"is anybody there?").await;
        stream.read(&mut [0; 1]).await.expect_err("the connection is gone")
    }));
    let why = end.get_ref().and_then(|error| error.downcast_ref::<ReadError>());
    assert!(matches!(why, Some(ReadError::ConnectionLost(ConnectionError::Reset))), "{why:?}");
    drop((again, client));
}
