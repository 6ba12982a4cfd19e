//! The state machine of routers and links, with a clock that jumps.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use natsd_lab::{
    addresses::AsAddresses,
    description::Network,
    fabric::{Fabric, KeepAlive},
    link::{Cut, LinkChange},
    links::Way,
    mover::{Now, StateMachine, Transmit},
    paths::{self, Path},
    segments::{Segments, Validity, forwarding_keys},
};
use sciparse::{
    address::socket_addr::ScionSocketAddr,
    core::{encode::WireEncode, view::View},
    dataplane_path::{
        model::DpPath,
        standard::view::StandardPathView,
        view::{ScionDpPathViewExt, ScionDpPathViewRef},
    },
    identifier::isd_asn::IsdAsn,
    packet::{
        model::ScionUdpPacket,
        view::{ScionRawPacketView, ScionUdpPacketView},
    },
    payload::scmp::{types::ScmpParameterProblemCode, view::ScmpMessageView},
};

const MS: Duration = Duration::from_millis(1);
const UNIX: u64 = 1_800_000_000;
const LIFETIME: Duration = Duration::from_secs(3600);

/// A network whose time passes only when a test says so.
struct Lab {
    network: Network,
    addresses: Vec<AsAddresses>,
    segments: Segments,
    fabric: Fabric,
    start: Instant,
    now: Now,
}

impl Lab {
    fn new() -> Self {
        Self::of(Network::default_network())
    }

    fn of(network: Network) -> Self {
        let addresses: Vec<_> = (0..network.ases.len()).map(|i| AsAddresses::derive(&network, i, 20)).collect();
        let mut rng = fastrand::Rng::with_seed(3);
        let keys = forwarding_keys(&network, &mut rng);
        let validity = Validity::lasting(LIFETIME, UNIX);
        let start = Instant::now();
        Self {
            segments: Segments::beacon(&network, &keys, validity, &mut rng),
            fabric: Fabric::new(&network, &keys, &addresses, KeepAlive::default(), 1),
            addresses,
            network,
            start,
            now: Now { instant: start, unix: UNIX },
        }
    }

    fn index(&self, ia: &str) -> usize {
        let ia: IsdAsn = ia.parse().expect("an ISD-AS number");
        self.network.as_index(ia).expect("an AS of the network")
    }

    fn paths(&self, from: &str, to: &str) -> Vec<Path> {
        paths::find(&self.network, &self.segments, self.index(from), self.index(to))
    }

    /// The path whose first and only links are named.
    fn path(&self, from: &str, to: &str, links: &[&str]) -> Path {
        let names = |path: &Path| -> Vec<&str> {
            let firsts = path.interfaces.iter().step_by(2);
            firsts
                .filter_map(|i| self.network.link_at(*i))
                .map(|(link, _)| self.network.links[link].name.as_str())
                .collect()
        };
        let mut paths = self.paths(from, to).into_iter();
        paths.find(|path| names(path) == links).expect("such a path")
    }

    fn host(&self, ia: &str, port: u16) -> ScionSocketAddr {
        let at = self.index(ia);
        ScionSocketAddr::new(self.network.ases[at].ia, self.addresses[at].host.into(), port)
    }

    /// A packet from port 5000 of a host to port 6000 of another.
    fn packet(&self, from: &str, to: &str, raw: &[u8], payload: usize) -> Vec<u8> {
        let (path, _) = StandardPathView::try_from_slice(raw).expect("a path");
        let path = DpPath::from_view(&ScionDpPathViewRef::Standard(path));
        let (from, to) = (self.host(from, 5000), self.host(to, 6000));
        ScionUdpPacket::new(from, to, path, vec![7; payload]).try_encode_to_vec().expect("a valid packet")
    }

    fn send(&mut self, from: &str, packet: Vec<u8>) {
        let at = self.index(from);
        let source = SocketAddr::new(self.addresses[at].host, 5000);
        self.fabric.handle_datagram(at, source, packet, self.now);
    }

    /// Lets time pass from event to event until something reaches a host, at most `limit`.
    fn receive(&mut self, limit: Duration) -> Option<Transmit> {
        let end = self.now.instant + limit;
        loop {
            if let Some(transmit) = self.fabric.poll_transmit() {
                return Some(transmit);
            }
            match self.fabric.poll_timeout().filter(|due| *due <= end) {
                Some(due) => self.now.instant = self.now.instant.max(due),
                None => {
                    self.now.instant = end;
                    return None;
                }
            }
            self.fabric.handle_timeout(self.now);
        }
    }

    fn pass(&mut self, time: Duration) {
        assert_eq!(self.receive(time), None, "nothing was under way");
    }

    fn elapsed(&self) -> Duration {
        self.now.instant - self.start
    }

    fn cut(&mut self, link: &str, ways: &[Way], how: Option<Cut>) {
        let link = self.network.link_index(link).expect("a link");
        self.fabric.set_cut(link, ways, how, self.now.instant);
    }
}

fn udp(packet: &[u8]) -> &ScionUdpPacketView {
    let (view, _) = ScionUdpPacketView::try_from_slice(packet).expect("a SCION/UDP packet");
    view
}

/// What an SCMP message from the network says: its type with the details that matter here.
fn scmp(transmit: &Transmit) -> String {
    let (view, _) = ScionRawPacketView::try_from_slice(&transmit.packet).expect("a SCION packet");
    let origin = view.header().src_ia();
    match view.try_as_scmp().expect("an SCMP message").scmp().message() {
        ScmpMessageView::ExternalInterfaceDown(m) => format!(
            "{origin}: interface {}#{} down, {} bytes quoted",
            m.isd_asn(),
            m.interface_id(),
            m.offending_packet().len()
        ),
        ScmpMessageView::ParameterProblem(m) => {
            format!("{origin}: {:?} at {}", m.code(), m.pointer())
        }
        other => format!("{origin}: {other:?}"),
    }
}

#[test]
fn as_many_paths_as_the_reference_control_plane_finds() {
    let lab = Lab::new();
    let count = |from: &str, to: &str| lab.paths(from, to).len();
    assert_eq!(count("1-ff00:0:111", "1-ff00:0:112"), 7);
    assert_eq!(count("1-ff00:0:111", "1-ff00:0:121"), 6);
    assert_eq!(count("1-ff00:0:111", "1-ff00:0:110"), 3);
    assert_eq!(count("1-ff00:0:110", "1-ff00:0:120"), 2);
    assert_eq!(count("1-ff00:0:110", "1-ff00:0:112"), 3);
}

#[test]
fn path_metadata_is_that_of_the_reference_daemon() {
    let lab = Lab::new();
    let describe = |path: &Path| {
        let ms = |l: Option<Duration>| l.map_or("?".into(), |l| l.as_millis().to_string());
        let latency: Vec<String> = path.latencies(&lab.network).into_iter().map(ms).collect();
        let bandwidth = path.bandwidths(&lab.network);
        format!(
            "{} hops, mtu {}, ms {}, kbit/s {:?}, raw {} bytes",
            path.interfaces.len() / 2 + 1,
            path.mtu,
            latency.join(" "),
            bandwidth.iter().flatten().collect::<Vec<_>>(),
            path.raw.len()
        )
    };
    let paths = lab.paths("1-ff00:0:111", "1-ff00:0:112");
    insta::assert_snapshot!(paths.iter().map(describe).collect::<Vec<_>>().join("\n"), @r"
    2 hops, mtu 1400, ms 4, kbit/s [2000], raw 44 bytes
    3 hops, mtu 1472, ms 5 1 5, kbit/s [10000, 10000000, 10000], raw 68 bytes
    3 hops, mtu 1472, ms 15 1 15, kbit/s [40000, 10000000, 40000], raw 68 bytes
    4 hops, mtu 1472, ms 5 1 10 1 15, kbit/s [10000, 10000000, 100000, 10000000, 40000], raw 100 bytes
    4 hops, mtu 1472, ms 5 1 30 1 15, kbit/s [10000, 10000000, 20000, 10000000, 40000], raw 100 bytes
    4 hops, mtu 1472, ms 15 1 10 1 5, kbit/s [40000, 10000000, 100000, 10000000, 10000], raw 100 bytes
    4 hops, mtu 1472, ms 15 1 30 1 5, kbit/s [40000, 10000000, 20000, 10000000, 10000], raw 100 bytes
    ");
}

#[test]
fn paths_expire_as_configured() {
    for path in Lab::new().paths("1-ff00:0:111", "1-ff00:0:112") {
        assert!(path.expiration.abs_diff(UNIX + LIFETIME.as_secs()) <= 1);
    }
}

#[test]
fn what_an_as_does_not_announce_is_unknown() {
    let network = Network::parse(include_str!("../../scionlab.toml")).expect("correct");
    let lab = Lab::of(network);
    let paths = lab.paths("17-ffaa:1:10b", "17-ffaa:1:10c");
    let path = &paths[0];
    let latencies = path.latencies(&lab.network);
    assert_eq!(latencies, [None, None, None], "a shortcut over the attachment point");
    assert_eq!(path.bandwidths(&lab.network), [None, Some(10_000_000), None]);
    assert_eq!(path.mtu, 1472);
}

#[test]
fn a_packet_arrives_over_each_path_and_so_does_the_reply_over_the_reversed_one() {
    for (file, from, to) in [
        (include_str!("../../default.toml"), "1-ff00:0:111", "1-ff00:0:112"),
        (include_str!("../../default.toml"), "1-ff00:0:110", "1-ff00:0:121"),
        (include_str!("../../default.toml"), "1-ff00:0:121", "1-ff00:0:120"),
        (include_str!("../../scionlab.toml"), "17-ffaa:1:10b", "19-ffaa:1:10d"),
        (include_str!("../../scionlab.toml"), "17-ffaa:1:10b", "17-ffaa:1:10c"),
        (include_str!("../../scionlab.toml"), "19-ffaa:1:10d", "16-ffaa:0:1001"),
    ] {
        let network = Network::parse(file).expect("correct");
        let count = Lab::of(network.clone()).paths(from, to).len();
        assert!(count > 0);
        for n in 0..count {
            let mut lab = Lab::of(network.clone());
            for link in 0..network.links.len() {
                let certain = LinkChange { loss_pct: Some(0.0), ..LinkChange::default() };
                lab.fabric.links_mut().change(link, &Way::BOTH, &certain);
            }
            let path = lab.paths(from, to).swap_remove(n);
            there_and_back(&mut lab, from, to, &path);
        }
    }
}

fn there_and_back(lab: &mut Lab, from: &str, to: &str, path: &Path) {
    let packet = lab.packet(from, to, &path.raw, 100);
    lab.send(from, packet);
    let arrived = lab.receive(Duration::from_secs(1)).expect("the packet");
    assert_eq!(arrived.to, SocketAddr::new(lab.addresses[lab.index(to)].host, 6000));
    let received = udp(&arrived.packet);
    assert_eq!(received.udp().payload(), [7; 100]);

    let back = DpPath::from_view(&received.as_raw().header().path().as_ref())
        .try_into_reversed()
        .expect("a path to turn around");
    let reply = ScionUdpPacket::new(lab.host(to, 6000), lab.host(from, 5000), back, vec![8; 50]);
    lab.send(to, reply.try_encode_to_vec().expect("a valid packet"));
    let arrived = lab.receive(Duration::from_secs(1)).expect("the reply");
    assert_eq!(arrived.to, SocketAddr::new(lab.addresses[lab.index(from)].host, 5000));
    assert_eq!(udp(&arrived.packet).udp().payload(), [8; 50]);
}

#[test]
fn a_packet_takes_the_sum_of_the_latencies_and_of_its_own_length() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["a111", "a112"]);
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 1000);
    let wire_bits = (packet.len() + 28) as u32 * 8;
    lab.send("1-ff00:0:111", packet);
    lab.receive(Duration::from_secs(1)).expect("the packet");
    let serialization = Duration::from_nanos(100) * wire_bits; // 10 Mbit/s
    assert_eq!(lab.elapsed(), 10 * MS + 2 * serialization);
}

#[test]
fn routers_report_a_cut_link_after_their_detection_time() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["a111", "a112"]);
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 10);
    lab.cut("a112", &Way::BOTH, Some(Cut::Cable));
    lab.send("1-ff00:0:111", packet.clone());
    lab.pass(499 * MS);
    lab.send("1-ff00:0:111", packet.clone());
    let answer = lab.receive(100 * MS).expect("it is past the detection time at the core");
    assert_eq!(answer.to.port(), 5000, "the source of the quoted packet");
    assert_eq!(scmp(&answer), format!("1-ff00:0:110: interface 1-ff00:0:110#12 down, {} bytes quoted", packet.len()));
    lab.cut("a112", &Way::BOTH, None);
    lab.pass(KeepAlive::default().recovery);
    lab.send("1-ff00:0:111", packet);
    assert_eq!(lab.receive(100 * MS).map(|t| t.to.port()), Some(6000));
}

#[test]
fn the_first_router_reports_its_own_link() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["peer"]);
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 10);
    lab.cut("peer", &[Way::Ba], Some(Cut::Cable));
    lab.pass(500 * MS);
    lab.send("1-ff00:0:111", packet.clone());
    let answer = lab.receive(Duration::ZERO).expect("an answer at once");
    assert_eq!(
        scmp(&answer),
        format!("1-ff00:0:111: interface 1-ff00:0:111#3 down, {} bytes quoted", packet.len()),
        "keep-alives need both directions"
    );
}

#[test]
fn nobody_reports_a_black_hole() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["peer"]);
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 10);
    lab.cut("peer", &Way::BOTH, Some(Cut::BlackHole));
    for _ in 0..10 {
        lab.send("1-ff00:0:111", packet.clone());
        lab.pass(500 * MS);
    }
}

#[test]
fn a_link_can_fail_in_one_direction() {
    let mut lab = Lab::new();
    let there = lab.path("1-ff00:0:111", "1-ff00:0:112", &["peer"]);
    let back = lab.path("1-ff00:0:112", "1-ff00:0:111", &["peer"]);
    lab.cut("peer", &[Way::Ab], Some(Cut::BlackHole));
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &there.raw, 10);
    lab.send("1-ff00:0:111", packet);
    lab.pass(100 * MS);
    let packet = lab.packet("1-ff00:0:112", "1-ff00:0:111", &back.raw, 10);
    lab.send("1-ff00:0:112", packet);
    assert!(lab.receive(100 * MS).is_some());
}

#[test]
fn a_stopped_router_is_silent_and_its_neighbours_notice() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["a111", "a112"]);
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 10);
    let core = lab.index("1-ff00:0:110");
    lab.fabric.set_running(core, false, lab.now.instant);
    lab.send("1-ff00:0:111", packet.clone());
    lab.pass(500 * MS);
    lab.send("1-ff00:0:111", packet.clone());
    let answer = lab.receive(Duration::ZERO).expect("an answer at once");
    assert!(scmp(&answer).starts_with("1-ff00:0:111: interface 1-ff00:0:111#1 down"));
    lab.fabric.set_running(core, true, lab.now.instant);
    lab.pass(KeepAlive::default().recovery);
    lab.send("1-ff00:0:111", packet);
    assert_eq!(lab.receive(100 * MS).map(|t| t.to.port()), Some(6000));
}

#[test]
fn a_packet_above_the_mtu_of_a_link_vanishes() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["peer"]);
    let headers = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 0).len();
    for (length, arrives) in [(1400, true), (1401, false)] {
        let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, length - headers);
        lab.send("1-ff00:0:111", packet);
        assert_eq!(lab.receive(100 * MS).is_some(), arrives, "{length} bytes");
    }
}

#[test]
fn routers_refuse_forged_and_expired_paths() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["peer"]);
    let problem = |code: ScmpParameterProblemCode, at: u16| format!("{code:?} at {at}");
    let (first_hop, second_hop) = (36 + 4 + 16, 36 + 4 + 16 + 12);

    let mut forged = path.raw.clone();
    forged[4 + 16 + 6] ^= 1; // MAC of the first hop field
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &forged, 10);
    lab.send("1-ff00:0:111", packet);
    let answer = lab.receive(100 * MS).expect("an answer");
    let expected = problem(ScmpParameterProblemCode::InvalidHopFieldMac, first_hop);
    assert_eq!(scmp(&answer), format!("1-ff00:0:111: {expected}"));

    let mut forged = path.raw.clone();
    forged[4 + 16 + 12 + 6] ^= 1; // MAC of the second hop field
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &forged, 10);
    lab.send("1-ff00:0:111", packet);
    let answer = lab.receive(100 * MS).expect("an answer over the peering link");
    let expected = problem(ScmpParameterProblemCode::InvalidHopFieldMac, second_hop);
    assert_eq!(scmp(&answer), format!("1-ff00:0:112: {expected}"));

    lab.now.unix += LIFETIME.as_secs() + 1;
    let packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 10);
    lab.send("1-ff00:0:111", packet);
    let answer = lab.receive(100 * MS).expect("an answer");
    let expected = problem(ScmpParameterProblemCode::PathExpired, first_hop);
    assert_eq!(scmp(&answer), format!("1-ff00:0:111: {expected}"));
}

#[test]
fn a_host_cannot_send_for_another_as() {
    let mut lab = Lab::new();
    let path = lab.path("1-ff00:0:111", "1-ff00:0:112", &["peer"]);
    let mut packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 10);
    packet[27] ^= 1; // last byte of the source AS
    lab.send("1-ff00:0:111", packet);
    let answer = lab.receive(100 * MS).expect("an answer");
    assert_eq!(scmp(&answer), "1-ff00:0:111: InvalidSourceAddress at 20");
}

proptest::proptest! {
    #[test]
    fn no_bytes_upset_a_router(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut lab = Lab::new();
        lab.send("1-ff00:0:111", bytes);
        while lab.receive(Duration::from_secs(1)).is_some() {}
    }

    #[test]
    fn no_change_to_a_packet_upsets_a_router(
        n in 0usize..7,
        changes in proptest::collection::vec((0usize..200, proptest::num::u8::ANY), 1..6),
    ) {
        let mut lab = Lab::new();
        let path = lab.paths("1-ff00:0:111", "1-ff00:0:112").swap_remove(n);
        let mut packet = lab.packet("1-ff00:0:111", "1-ff00:0:112", &path.raw, 20);
        for (at, value) in changes {
            let at = at % packet.len();
            packet[at] = value;
        }
        lab.send("1-ff00:0:111", packet);
        while lab.receive(Duration::from_secs(1)).is_some() {}
    }
}
