//! Two hosts without SCION, with several addresses each: those of the loopback interface.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use natsd_path::{PlainAddr, State, Wishes};

use super::*;
use crate::{Lane, PeerPaths};

fn hosts(net: u8) -> [IpAddr; 2] {
    [[127, 0, net, 1].into(), [127, 0, net, 2].into()]
}

/// A port that is free at all addresses.
fn free_port() -> u16 {
    UdpSocket::bind("0.0.0.0:0").expect("a port").local_addr().expect("bound").port()
}

/// Listens at two addresses and echoes.
fn listening(identity: &Identity) -> (Host, PlainAddr) {
    let host = Host::plain(&hosts(21), Wishes::default());
    let at = PlainAddr::new(&hosts(21), free_port()).expect("an address");
    tokio::spawn(echo(host.listen_plain(&at, identity).expect("listens")));
    (host, at)
}

/// Waits until the one peer of `host` is as `wanted`.
async fn until(host: &Host, wanted: impl Fn(&PeerPaths) -> bool) -> PeerPaths {
    let start = Instant::now();
    loop {
        let found = host.paths().into_iter().next();
        match found {
            Some(paths) if wanted(&paths) => return paths,
            other => assert!(start.elapsed() < DEADLINE, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The ends of the paths that answer.
fn alive(paths: &PeerPaths) -> HashSet<(IpAddr, IpAddr)> {
    let answers = paths.paths.iter().filter(|path| matches!(path.state, State::Active | State::Standby));
    answers.map(|path| paths.ends[&path.id]).map(|(here, there)| (here, there.ip())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_learn_all_pairs_of_addresses() {
    let identity = identity();
    let (server, at) = listening(&identity);
    let client = Host::plain(&hosts(22), Wishes::default());
    within_deadline(async {
        let dialer = client.dialer(&identity).expect("a port");
        let stream = dialer.dial_plain(Lane::default(), &at, None).await.expect("connects");
        assert_eq!(stream.place(), Place::Host(at.first()));
        let of_client = until(&client, |paths| alive(paths).len() == 4).await;
        let of_server = until(&server, |paths| alive(paths).len() == 4).await;
        let turned: HashSet<_> = alive(&of_server).into_iter().map(|(here, there)| (there, here)).collect();
        assert_eq!(alive(&of_client), turned, "the same ways from both ends");
        assert!(of_client.paths.iter().all(|path| path.kind == Kind::Ip && path.hops == 1));
        assert_eq!(of_client.remote, Place::Host(at.first()));
        exchange(stream).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_this_host_does_not_have_is_a_path_that_does_not_work() {
    let identity = identity();
    let (_server, at) = listening(&identity);
    // For documentation: nobody has it.
    let client = Host::plain(&["192.0.2.1".parse().expect("an address"), hosts(22)[0]], Wishes::default());
    within_deadline(async {
        let dialer = client.dialer(&identity).expect("a port");
        let stream = dialer.dial_plain(Lane::default(), &at, None).await.expect("connects by the other address");
        let paths = until(&client, |paths| alive(paths).len() == 2 && paths.paths.len() == 4).await;
        assert!(alive(&paths).iter().all(|(here, _)| *here == hosts(22)[0]));
        exchange(stream).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_to_other_addresses_and_of_scion_are_not_taken() {
    let identity = identity();
    let (server, at) = listening(&identity);
    let client = Host::plain(&[], Wishes::default());
    within_deadline(async {
        let dialer = client.dialer(&identity).expect("a port");
        let other = PlainAddr::new(&[[127, 0, 21, 3].into()], at.port()).expect("an address");
        let answer = tokio::time::timeout(Duration::from_secs(1), dialer.dial_plain(Lane::default(), &other, None));
        assert!(answer.await.is_err(), "the socket is bound to all addresses, and takes what comes to two");
        let scion = host(true);
        scion.ready().await.expect("runs");
        let to = ScionAddr { isd_as: AS, host: at.hosts()[0], port: at.port() };
        let dialer = scion.dialer(&identity).expect("a port");
        let answer = tokio::time::timeout(Duration::from_secs(1), dialer.dial(to, None));
        assert!(answer.await.is_err(), "nobody is in an AS there");
        assert!(server.paths().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_is_the_last_resort_without_scion_too() {
    let identity = identity();
    let (server, at) = listening(&identity);
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let fallback = TcpFallback { address: tcp.local_addr().expect("bound").to_string(), tls: false };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            stream.write_all(b"INFO {\"scion_tunnel\":true}\r\n").await.expect("writes");
            server.accept_tunnel(stream, bytes::Bytes::new());
        }
    });
    let client = Host::plain(&hosts(22)[..1], Wishes::default());
    within_deadline(async {
        // There the same server would be called by another name, and takes nothing.
        let wrong = PlainAddr::new(&[[127, 0, 21, 3].into()], at.port()).expect("an address");
        let dialer = client.dialer(&identity).expect("a port");
        let stream = dialer.dial_plain(Lane::default(), &wrong, Some(fallback)).await.expect("connects");
        let paths = until(&client, |paths| paths.peers.first().is_some_and(|peer| peer.1 == Kind::Tcp)).await;
        assert_eq!(paths.remote, Place::Host(SocketAddr::new(wrong.hosts()[0], wrong.port())));
        exchange(stream).await;
    })
    .await;
}
