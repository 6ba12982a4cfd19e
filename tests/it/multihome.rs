//! Hosts with several IP addresses and no SCION: pairs of addresses are paths.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::http::json;
use crate::harness::node::{Node, Setup, free_port};
use crate::harness::relay::Relay;
use crate::harness::server::{Program, programs, wait_for};

/// What the longest pause may be when a path becomes a black hole: as with SCION, with room for a busy machine.
const GAP: Duration = Duration::from_secs(2);

/// Both addresses of a host.
fn addresses(host: u8) -> [IpAddr; 2] {
    [[127, 0, host, 1].into(), [127, 0, host, 2].into()]
}

fn udp(host: u8, port: u16) -> String {
    let [first, second] = addresses(host);
    format!("\"udp://[{first},{second}]:{port}\"")
}

/// A server that takes routes over UDP at both addresses of `host`, and over TCP.
struct Member {
    node: Node,
    http: u16,
    udp: u16,
}

impl Member {
    fn start(name: &str, authority: &tempfile::TempDir, listens: Option<u8>, cluster: &str, more: &str) -> Self {
        let (http, port) = (free_port(), free_port());
        let listen = listens.map(|host| udp(host, port)).unwrap_or_default();
        let cluster = format!("authority: \"{}\"\n{cluster}", authority.path().display());
        let more = format!("http: \"127.0.0.1:{http}\"\n{more}");
        let setup = Setup { listen: &listen, cluster: &cluster, more: &more, ..Setup::default() };
        let node = Node::start(Program::Natsd, name, setup);
        crate::harness::http::wait_until_open(http);
        Self { node, http, udp: port }
    }

    /// The paths to the one peer over UDP.
    fn paths(&self) -> Option<Value> {
        json(self.http, "/pathz")["peers"].as_array()?.first().cloned()
    }

    /// Both ends of each path that is in one of these states.
    fn ends(&self, states: &[&str]) -> BTreeSet<(String, String)> {
        let peer = self.paths().unwrap_or_default();
        let paths = peer["paths"].as_array().cloned().unwrap_or_default();
        let wanted = paths.iter().filter(|path| states.iter().any(|state| path["state"] == *state));
        let end = |path: &Value, key: &str| path[key].as_str().unwrap_or_default().to_owned();
        wanted.map(|path| (end(path, "local_addr"), end(path, "remote_addr"))).collect()
    }

    fn works_over(&self, paths: usize) {
        let what = format!("{paths} paths of {} answer", self.node.name);
        wait_for(&what, || (self.ends(&["active", "standby"]).len() == paths).then_some(()));
    }

    /// Where the active path leads.
    fn active(&self) -> String {
        let active = wait_for("a path", || self.ends(&["active"]).into_iter().next());
        active.1
    }

    /// Those that routes have, which a route that is made anew does not keep.
    fn routes(&self) -> BTreeSet<String> {
        let routes = json(self.http, "/routez")["routes"].as_array().cloned().unwrap_or_default();
        routes.iter().map(|route| format!("{} {} {}", route["rid"], route["ip"], route["port"])).collect()
    }
}

fn authority() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    natsd::authority::open(dir.path()).expect("made");
    dir
}

/// Two servers with two addresses each, and a network of two relays between them.
struct Pair {
    here: Member,
    there: Member,
    relays: Vec<(SocketAddr, Relay)>,
    _authority: tempfile::TempDir,
}

/// `tcp`: the second is dialled over TCP, too.
fn pair(tcp: bool) -> Pair {
    let authority = authority();
    let there = Member::start("there", &authority, Some(31), "", "");
    let port = free_port();
    let at = addresses(32).map(|host| SocketAddr::new(host, port));
    let to = addresses(31).map(|host| SocketAddr::new(host, there.udp));
    let relays = at.into_iter().zip(to).map(|(at, to)| (at, Relay::start(at, to))).collect();
    let tcp = if tcp { format!(", \"nats-route://127.0.0.1:{}\"", there.node.route_port) } else { String::new() };
    let routes = format!("routes: [[{}{tcp}]]", udp(32, port));
    let [first, second] = addresses(33);
    let multihome = format!("multihome {{ addresses: [\"{first}\", \"{second}\"], path_preference: latency }}");
    let here = Member::start("here", &authority, None, &routes, &multihome);
    Pair { here, there, relays, _authority: authority }
}

impl Pair {
    fn relay(&self, to: &str) -> &Relay {
        let found = self.relays.iter().find(|(at, _)| at.to_string() == to);
        &found.unwrap_or_else(|| panic!("nothing leads to {to}")).1
    }

    /// Passes messages one by one, with something done in between; gives the longest pause. Nothing is lost or comes twice.
    fn pass(&self, messages: u32, mut meanwhile: impl FnMut(u32)) -> Duration {
        let (mut from, mut to) = (self.here.node.client(), self.there.node.client());
        to.subscribe("tick", "1");
        from.wait_for_interest("tick", true);
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        for number in 0..messages {
            meanwhile(number);
            from.publish("tick", &number.to_string());
            assert_eq!(to.next().payload, number.to_string());
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        assert!(to.drain().is_empty(), "some came twice");
        longest
    }
}

#[test]
fn a_pair_of_addresses_that_becomes_a_black_hole_is_left_and_nothing_is_lost() {
    let pair = pair(false);
    pair.here.works_over(4);
    pair.there.works_over(4);
    for server in [&pair.here, &pair.there] {
        wait_for("all routes of the pool", || (server.routes().len() == 3).then_some(()));
    }
    let routes = (pair.here.routes(), pair.there.routes());
    for _ in 0..2 {
        let dead = pair.here.active();
        let gap = pair.pass(300, |number| {
            if number == 100 {
                pair.relay(&dead).cut(true);
            }
        });
        assert!(gap < GAP, "{gap:?}");
        assert_ne!(pair.here.active(), dead);
        pair.relay(&dead).cut(false);
        pair.here.works_over(4);
        pair.there.works_over(4);
    }
    assert_eq!((pair.here.routes(), pair.there.routes()), routes, "a route was made anew");
    let peer = pair.here.paths().expect("a peer");
    assert_eq!((&peer["transport"], &peer["links"][0]["kind"]), (&"udp".into(), &"route".into()));
    assert_eq!(peer["path_preference"], serde_json::json!(["latency"]));
    assert!(peer["switches"].as_u64() >= Some(2), "{peer}");
    assert!(pair.here.node.log().contains("paths to 127.0.32.1:"), "{}", pair.here.node.log());
}

#[test]
fn tcp_carries_the_traffic_while_no_pair_of_addresses_works() {
    let pair = pair(true);
    pair.here.works_over(4);
    wait_for("all routes of the pool", || (pair.here.routes().len() == 3).then_some(()));
    let routes = pair.here.routes();
    let transport = || pair.here.paths().map(|peer| peer["transport"].clone()).unwrap_or_default();
    assert_eq!(transport(), "udp");
    pair.pass(200, |number| {
        if number == 100 {
            pair.relays.iter().for_each(|(_, relay)| relay.cut(true));
        }
    });
    wait_for("TCP carries the traffic", || (transport() == "tcp").then_some(()));
    pair.pass(100, |_| {});
    pair.relays.iter().for_each(|(_, relay)| relay.cut(false));
    wait_for("UDP is back", || (transport() == "udp").then_some(()));
    pair.pass(100, |_| {});
    assert_eq!(pair.here.routes(), routes, "a route was made anew");
}

#[test]
fn servers_heard_of_are_reached_at_all_their_addresses() {
    let authority = authority();
    let first = Member::start("first", &authority, Some(34), "", "");
    let route = |to: &Member, host| format!("routes: [{}]", udp(host, to.udp));
    let second = Member::start("second", &authority, Some(35), &route(&first, 34), "");
    second.works_over(4);
    // Knows the second alone, by one of its addresses.
    let [known, _] = addresses(35);
    let routes = format!("routes: [\"udp://{known}:{}\"]", second.udp);
    let third = Member::start("third", &authority, Some(39), &routes, "");
    // Whichever of the two dials.
    let first_host = format!("{}:", addresses(34)[0]);
    let found = wait_for("the third finds the first", || {
        let peers = json(third.http, "/pathz")["peers"].as_array().cloned()?;
        let peer = peers
            .into_iter()
            .find(|peer| peer["remote_as"].as_str().is_some_and(|host| host.starts_with(&first_host)))?;
        (peer["paths"].as_array().map(Vec::len) == Some(4)).then_some(peer)
    });
    assert_eq!(found["transport"], "udp");
    let mut listener = first.node.client();
    listener.subscribe("far", "1");
    let mut speaker = third.node.client();
    speaker.wait_for_interest("far", true);
    speaker.publish("far", "hello");
    assert_eq!(listener.next().payload, "hello");
}

#[test]
fn servers_that_know_tcp_alone_are_members_too() {
    for program in programs() {
        let authority = authority();
        let first = Member::start("first", &authority, Some(36), "", "");
        let routes = format!("routes: [{}]", udp(36, first.udp));
        let second = Member::start("second", &authority, Some(37), &routes, "");
        let plain = Node::start(program, "plain", Setup { routes: &[&first.node], ..Setup::default() });
        let mut listener = plain.client();
        listener.subscribe("tcp", "1");
        listener.flush();
        for member in [&first, &second] {
            let mut speaker = member.node.client();
            speaker.wait_for_interest("tcp", true);
            speaker.publish("tcp", &member.node.name);
            assert_eq!(listener.next().payload, member.node.name, "{program:?}");
        }
        assert_eq!(second.paths().map(|peer| peer["transport"].clone()), Some("udp".into()));
    }
}

#[test]
fn without_a_certificate_of_the_authority_there_is_no_route() {
    let (ours, theirs) = (authority(), authority());
    let first = Member::start("first", &ours, Some(38), "", "");
    let routes = format!("routes: [{}]", udp(38, first.udp));
    let stranger = Member::start("stranger", &theirs, None, &routes, "");
    wait_for("a refusal", || first.node.log().contains("Refused route connection over UDP from ").then_some(()));
    assert!(first.routes().is_empty() && stranger.routes().is_empty());
}

#[test]
fn addresses_that_cannot_be_are_named_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let refusal = |config: &str| {
        let file = dir.path().join("bad.conf");
        std::fs::write(&file, config).expect("bad.conf");
        let output =
            Command::new(env!("CARGO_BIN_EXE_natsd")).arg("-t").arg("-c").arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{config}: {said}");
        said.replace(&*dir.path().to_string_lossy(), "")
    };
    let said: Vec<_> = [
        "cluster { listen: \"udp://0.0.0.0:6222\" }",
        "cluster { listen: \"udp://10.0.1.1,10.1.1.1:6222\" }",
        "cluster { listen: \"udp://[10.0.1.1,10.0.1.1]:6222\" }",
        "cluster { routes: [\"udp://peer.example.org:6222\"] }",
        "cluster { routes: [\"udp://[10.0.1.2,10.1.1.2]\"] }",
        "listen: \"udp://10.0.1.1:4222\"",
        "gateway { name: A, listen: \"udp://10.0.1.1:7222\" }",
        "leafnodes { remotes: [{ url: \"udp://10.0.1.1:7422\" }] }",
        "multihome { addresses: [\"10.0.1.1\", \"eth0\"] }\ncluster { listen: 6222 }",
        "multihome { addresses: [\"10.0.1.1\", \"10.0.1.1\"] }\ncluster { listen: 6222 }",
        "multihome { avoid: \"2\" }\ncluster { listen: 6222 }",
        "multihome { addresses: \"10.0.1.1\" }",
        "multihome: true",
        "cluster { listen: \"udp://10.0.1.1:6222\", tls { cert_file: \"a\", key_file: \"b\" } }",
    ]
    .map(refusal)
    .into_iter()
    .collect();
    insta::assert_snapshot!(said.join(""));
}
