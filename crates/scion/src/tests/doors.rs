//! What strangers and those between the ends may try, and what it must not change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_path::{EventKind, IsdAs, ScionAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::wire::{ASES, Wire, payload};
use super::{echo, identity, within_deadline};
use crate::header;
use crate::{Host, Stream};

/// The smallest datagram that QUIC begins with, and no datagram is larger than the other.
const INITIAL: u64 = 1200;
const DATAGRAM: u64 = 1472;

fn listener(isd_as: IsdAs) -> ScionAddr {
    ScionAddr { isd_as, host: [127, 0, 0, 1].into(), port: 0 }
}

/// A server that echoes behind a greeting, and a connection to it over the first way.
struct Meeting {
    wire: Wire,
    server: Host,
    client: Host,
    stream: Stream,
    /// Of the client and of the server.
    at: [ScionAddr; 2],
}

impl Meeting {
    /// The server is told of these ways to the client.
    async fn new(known_to_server: &[usize]) -> Self {
        let wire = Wire::start().await;
        let (client, server) = (wire.host(0, &[0, 1]), wire.host(1, known_to_server));
        client.ready().await.expect("it knows its AS");
        server.ready().await.expect("it knows its AS");
        let identity = identity();
        let endpoint = server.listen(listener(ASES[1]), &identity).await.expect("listens");
        let to = endpoint.local_addr();
        tokio::spawn(echo(endpoint));
        let dialer = client.dialer(&identity).expect("a port");
        let from = dialer.local_addr();
        let mut stream = dialer.dial(to, None).await.expect("connects");
        stream.read_exact(&mut [0; 6]).await.expect("a greeting");
        Self { wire, server, client, stream, at: [from, to] }
    }

    /// Sends so many bytes and gets them back.
    async fn exchange(&mut self, bytes: usize) {
        let sent = vec![7; bytes];
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let mut got = vec![0; bytes];
        let (wrote, read) = tokio::join!(writer.write_all(&sent), reader.read_exact(&mut got));
        wrote.expect("written");
        read.expect("it comes back");
    }

    fn active(host: &Host) -> Option<Vec<u16>> {
        let peer = host.paths().into_iter().next()?;
        let active = peer.paths.into_iter().find(|path| path.active)?;
        Some(active.interfaces.iter().map(|interface| interface.id).collect())
    }

    /// Waits until both ends know their paths and have measured them.
    async fn settle(&mut self, hosts: usize) {
        for host in [&self.client, &self.server].into_iter().take(hosts) {
            let measured = || {
                let peers = host.paths();
                peers.first().is_some_and(|peer| peer.paths.len() == 2 && peer.paths.iter().all(|p| p.rtt.is_some()))
            };
            until(measured).await;
        }
    }
}

async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How often traffic moved, by the events since.
fn moves(events: &mut tokio::sync::broadcast::Receiver<crate::PathEvent>) -> usize {
    let all = std::iter::from_fn(|| events.try_recv().ok());
    all.filter(|event| matches!(event.kind, EventKind::Switch { .. })).count()
}

/// The message by which a router says that the link behind `interface` of the sender's AS is down.
fn interface_down(interface: u64, quote: &[u8]) -> Vec<u8> {
    let mut message = vec![5, 0, 0, 0];
    message.extend_from_slice(&ASES[0].0.to_be_bytes());
    message.extend_from_slice(&interface.to_be_bytes());
    message.extend_from_slice(quote);
    message
}

fn scmp_packet(from: ScionAddr, to: ScionAddr, message: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let (from, to) = ((from.isd_as, from.host), (to.isd_as, to.host));
    header::write(&mut packet, from, to, &[], header::SCMP).expect("it fits");
    packet[6..8].copy_from_slice(&(message.len() as u16).to_be_bytes());
    packet.extend_from_slice(message);
    packet
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forged_complaints_of_routers_moves_nothing_and_costs_little() {
    const A_SECOND: u32 = 10_000;
    const SECONDS: u32 = 2;
    within_deadline(async {
        let mut meeting = Meeting::new(&[0, 1]).await;
        meeting.settle(2).await;
        meeting.exchange(200_000).await;
        let quotes = meeting.wire.ways[0].take(1);
        let mut events = meeting.client.events();
        let probes = |wire: &Wire| wire.ways.iter().map(|way| way.probes(1)).sum::<u64>();
        let (before, begun) = (probes(&meeting.wire), Instant::now());
        let [client, server] = meeting.at;
        let victim = std::net::SocketAddr::new(client.host, client.port);
        let flood = tokio::spawn(async move {
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            let started = Instant::now();
            for n in 0..A_SECOND * SECONDS {
                let quote = &quotes[n as usize % quotes.len()];
                let forged = scmp_packet(server, client, &interface_down(3, &quote[..quote.len().min(200)]));
                let _ = socket.send_to(&forged, victim).await;
                let due = started + Duration::from_secs(1) * n / A_SECOND;
                if n % 100 == 0 {
                    tokio::time::sleep_until(due.into()).await;
                }
            }
        });
        while !flood.is_finished() {
            meeting.exchange(20_000).await;
        }
        flood.await.expect("no panic");
        assert_eq!((moves(&mut events), Meeting::active(&meeting.client)), (0, Some(vec![3, 3])));
        // Probes and answers, of which six a second are the regular ones. Five times at most the path is asked for the flood: 100, 200,
        // 400 ms and so on apart, with eight probes or so; and once a second by the peer, which sees the copies on the other path.
        let (asked, seconds) = (probes(&meeting.wire) - before, begun.elapsed().as_secs() + 1);
        assert!(asked <= (6 + 10) * seconds + 5 * 10, "{asked} probes in {seconds} s");
        meeting.exchange(200_000).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_by_scmp_are_not_answered() {
    within_deadline(async {
        let mut meeting = Meeting::new(&[0, 1]).await;
        let [client, server] = meeting.at;
        let asker = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        asker.set_nonblocking(true).expect("a socket");
        let port = asker.local_addr().expect("bound").port();
        let from = ScionAddr { port, ..client };
        for sequence in 0..1000 {
            let question = crate::scmp::echo_request(from, server, &[], sequence, 100).expect("it fits");
            let _ = asker.send_to(&question, (server.host, server.port));
        }
        meeting.exchange(200_000).await;
        let answer = asker.recv_from(&mut [0; 2048]).map(|(len, _)| len).map_err(|e| e.kind());
        assert_eq!(answer, Err(std::io::ErrorKind::WouldBlock));
    })
    .await;
}

/// Sends what the client said over the first way again: over the second, and from another AS and port.
async fn replay(meeting: &Meeting) {
    let [client, server] = meeting.at;
    let at = std::net::SocketAddr::new(server.host, server.port);
    let authentic = meeting.wire.ways[0].take(1);
    assert!(authentic.len() > 50, "{}", authentic.len());
    let elsewhere = ScionAddr { isd_as: IsdAs(0x0001_ff00_0000_0113), ..client };
    let beside = ScionAddr { port: client.port ^ 1, ..client };
    for packet in &authentic {
        for from in [client, elsewhere, beside] {
            let again = meeting.wire.packet(1, from, server, payload(packet));
            meeting.wire.ways[1].send(&again, at).await;
        }
    }
}

/// Where the path over which they come is known, copies may go there for a round trip now and then: the peer might have moved.
async fn replays_move_nothing(known_to_server: &[usize]) {
    within_deadline(async {
        let mut meeting = Meeting::new(known_to_server).await;
        meeting.settle(if known_to_server.is_empty() { 1 } else { 2 }).await;
        meeting.exchange(200_000).await;
        let (way, other) = (Arc::clone(&meeting.wire.ways[0]), Arc::clone(&meeting.wire.ways[1]));
        let (mut events, active) = (meeting.server.events(), Meeting::active(&meeting.server));
        let before = (way.quic(0), other.quic(0));
        for _ in 0..5 {
            replay(&meeting).await;
            meeting.exchange(200_000).await;
        }
        assert_eq!((moves(&mut events), Meeting::active(&meeting.server)), (0, active));
        let (here, there) = (way.quic(0) - before.0, other.quic(0) - before.1);
        assert!(here > 5 * 200_000, "{here}");
        let copies = if known_to_server.is_empty() { 0 } else { here / 3 };
        assert!(there <= copies, "{there} bytes went where the replays came from, {here} where the peer is");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays_over_another_path_move_nothing_when_paths_are_known() {
    replays_move_nothing(&[0, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays_over_another_path_move_nothing_when_no_path_is_known() {
    replays_move_nothing(&[]).await;
}

/// A server that has no paths follows a client that has changed its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_moves_is_followed_also_where_no_path_is_known() {
    within_deadline(async {
        let mut meeting = Meeting::new(&[]).await;
        meeting.settle(1).await;
        meeting.exchange(100_000).await;
        for to in 0..2 {
            meeting.wire.ways[0].pass(to, false);
        }
        while Meeting::active(&meeting.client) != Some(vec![4, 4]) {
            meeting.exchange(1000).await;
        }
        meeting.exchange(500_000).await;
        assert!(meeting.wire.ways[1].quic(0) > 500_000);
    })
    .await;
}

/// Somebody on the way keeps packets to themselves, and sends them on as from another AS before the server has seen them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_does_not_go_on_from_another_as() {
    within_deadline(async {
        let wire = Wire::start().await;
        let (client, server) = (wire.host(0, &[0]), wire.host(1, &[0]));
        client.ready().await.expect("it knows its AS");
        server.ready().await.expect("it knows its AS");
        let identity = identity();
        let endpoint = server.listen(listener(ASES[1]), &identity).await.expect("listens");
        let to = endpoint.local_addr();
        let served = tokio::spawn(async move {
            let mut stream = endpoint.accept().await.expect("it comes").await.expect("accepted");
            stream.write_all(b"INFO").await.expect("written");
            stream.read_to_end(&mut Vec::new()).await.expect_err("it is closed")
        });
        let dialer = client.dialer(&identity).expect("a port");
        let from = dialer.local_addr();
        let mut stream = dialer.dial(to, None).await.expect("connects");
        stream.read_exact(&mut [0; 4]).await.expect("a greeting");
        let (way, at) = (Arc::clone(&wire.ways[0]), std::net::SocketAddr::new(to.host, to.port));
        way.pass(1, false);
        drop(way.take(1));
        let thief = ScionAddr { isd_as: IsdAs(0x0001_ff00_0000_0113), ..from };
        let mut taken = 0;
        while !served.is_finished() {
            stream.write_all(&[7; 10]).await.expect("it is queued");
            for packet in way.take(1) {
                let as_own = wire.packet(0, thief, to, payload(&packet));
                taken += payload(&packet).len() as u64;
                way.send(&as_own, at).await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let end = served.await.expect("no panic").to_string();
        assert!(end.contains("lost"), "{end}");
        // QUIC lets a datagram pass whole as long as one byte of it may, and says goodbye.
        assert!(way.elsewhere() <= 3 * taken + 2 * DATAGRAM, "{} bytes for {taken}", way.elsewhere());
    })
    .await;
}

/// A handshake that nobody goes on with, and small packets by the other way: three times what came goes back, by each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_path_gives_no_more_to_send_to_whom_nobody_knows() {
    within_deadline(async {
        let wire = Wire::start().await;
        let (client, server) = (wire.host(0, &[0, 1]), wire.host(1, &[]));
        client.ready().await.expect("it knows its AS");
        server.ready().await.expect("it knows its AS");
        let identity = identity();
        let endpoint = server.listen(listener(ASES[1]), &identity).await.expect("listens");
        let to = endpoint.local_addr();
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move { drop(incoming.await) });
            }
        });
        // Answers never come, so that the dialer proves nothing.
        wire.ways.iter().for_each(|way| way.pass(0, false));
        let dialer = client.dialer(&identity).expect("a port");
        let from = dialer.local_addr();
        let dialling = tokio::spawn(async move { dialer.dial(to, None).await.map(drop) });
        until(|| wire.ways[0].packets(0) > 0).await;
        wire.ways.iter().for_each(|way| way.pass(1, false));
        let first = [wire.ways[0].quic(1), wire.ways[1].quic(1)];
        // What a victim of the second way would get for packets of 30 bytes. The first way is silent.
        let mut came = 0;
        let at = std::net::SocketAddr::new(to.host, to.port);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(4) {
            let small = wire.packet(1, from, to, &[0x40; 30]);
            wire.ways[1].send(&small, at).await;
            came += 30;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        dialling.abort();
        let went = [wire.ways[0].quic(0), wire.ways[1].quic(0)];
        assert!(went[0] >= INITIAL, "the server has answered");
        assert!(went[0] <= 3 * first[0] + DATAGRAM, "{went:?} for {first:?}");
        assert!(went[1] <= 3 * (first[1] + came), "{went:?} for {came}");
    })
    .await;
}
