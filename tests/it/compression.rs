//! Routes that are compressed: every way to configure it beside every other, natsd and nats-server, whoever dials.

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::http;
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::wait_for;

/// What can be configured, and what it is called; the round-trip times make a level of `s2_auto` sure on any machine.
pub const MODES: [(&str, &str); 6] = [
    ("off", "off"),
    ("accept", "accept"),
    ("{ mode: s2_auto, rtt_thresholds: [\"0s\", \"0s\", \"1m\"] }", "s2_auto"),
    ("s2_fast", "s2_fast"),
    ("better", "s2_better"),
    ("s2_best", "s2_best"),
];

/// `s2_auto` where nobody is far enough away for anything to be packed.
const NEAR: (&str, &str) = ("{ mode: s2_auto, rtt_thresholds: [\"1m\"] }", "near");

/// Nothing is packed, but all is framed: natsd can be told so, nats-server comes to it by `s2_auto` alone.
const FRAMED: [(&str, &str); 2] = [("s2_uncompressed", "s2_uncompressed"), NEAR];

/// What a server in the one mode does on a route to a server in the other.
pub fn expected(own: &str, other: &str) -> &'static str {
    let of = |mode: &str| match mode {
        "near" | "s2_uncompressed" => "s2_uncompressed",
        "s2_auto" | "s2_better" => "s2_better",
        "s2_fast" => "s2_fast",
        _ => "s2_best",
    };
    match (own, other) {
        ("off", _) | (_, "off") | ("accept", "accept") => "off",
        // What is automatic over there may differ here.
        ("accept", "s2_auto" | "near") => "s2_fast",
        ("accept", other) => of(other),
        (own, _) => of(own),
    }
}

/// A server, where it is monitored, and its mode.
struct Member {
    node: Node,
    monitoring: u16,
    mode: &'static str,
}

/// What it is configured to do, and what that is called.
type Configured = (Kind, (&'static str, &'static str));

/// Each dials all before it.
fn members(wanted: &[Configured], cluster: &str) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for &(kind, (configured, mode)) in wanted {
        let monitoring = free_port();
        let routes: Vec<_> = members.iter().map(|member| &member.node).collect();
        let cluster = format!("compression: {configured}\n{cluster}");
        let more = format!("http: \"127.0.0.1:{monitoring}\"");
        let (name, routes) = (format!("{kind:?}-{mode}"), &*routes);
        let setup = Setup { routes, pool_size: Some(1), cluster: &cluster, more: &more, ..Setup::default() };
        let node = Node::start(kind, &name, setup);
        http::wait_until_open(monitoring);
        members.push(Member { node, monitoring, mode });
    }
    members
}

/// What is compressed of what goes to each other server, as monitoring tells it.
fn shown(member: &Member) -> Vec<(String, String)> {
    let routes = http::json(member.monitoring, "/routez")["routes"].take();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let routes = routes.as_array().expect("a list");
    routes.iter().map(|route| (text(&route["remote_name"]), text(&route["compression"]))).collect()
}

/// Text that repeats, noise, and what is longer than a block.
pub fn payloads() -> Vec<String> {
    let mut seed = 7_u64;
    let mut noise = |len: usize| {
        let next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + ((seed >> 33) % 90) as u8)
        };
        std::iter::repeat_with(next).take(len).collect::<String>()
    };
    let mixed = (0..200).map(|line| format!("line {line} {}", noise(line % 17))).collect();
    vec![String::new(), "x".into(), "ab".repeat(20_000), noise(3000), noise(300_000), "y".repeat(900_000), mixed]
}

fn every_mode_goes_with_every_other(kinds: &[Kind], cluster: &str) {
    let all: Vec<_> = kinds.iter().flat_map(|kind| MODES.map(|mode| (*kind, mode))).collect();
    they_go_together(&all, cluster);
}

/// Two that frame alone, dialled by all others, or dialling them if that is wanted.
fn what_is_only_framed_is_understood(framing: Kind, others: Kind, they_dial: bool) {
    let framing = FRAMED.map(|mode| (framing, mode)).to_vec();
    let others = [("accept", "accept"), ("s2_fast", "s2_fast"), ("off", "off"), NEAR].map(|mode| (others, mode));
    // The same server twice would have one name.
    let others: Vec<_> = others.into_iter().filter(|other| !framing.contains(other)).collect();
    they_go_together(&if they_dial { [others, framing] } else { [framing, others] }.concat(), "");
}

fn they_go_together(wanted: &[Configured], cluster: &str) {
    let members = members(wanted, cluster);
    let mut clients: Vec<Client> = members.iter().map(|member| member.node.client()).collect();
    for (member, client) in members.iter().zip(&mut clients) {
        client.subscribe("all", "1");
        client.subscribe(&format!("at.{}", member.node.name), "2");
        client.flush();
    }
    for client in &mut clients {
        for member in &members {
            client.wait_for_interest(&format!("at.{}", member.node.name), true);
        }
    }
    let payloads = payloads();
    for at in 0..clients.len() {
        for payload in &payloads {
            clients[at].publish("all", payload);
        }
        for client in &mut clients {
            let got: Vec<_> = client.take(payloads.len()).into_iter().map(|message| message.payload).collect();
            assert!(got == payloads, "what {} sends", members[at].node.name);
        }
    }
    for member in &members {
        let others = members.iter().filter(|other| other.node.name != member.node.name);
        for other in others {
            let expected = expected(member.mode, other.mode);
            wait_for(&format!("{} to do {expected} towards {}", member.node.name, other.node.name), || {
                let routes = shown(member).into_iter().filter(|(name, _)| *name == other.node.name);
                let modes: Vec<_> = routes.map(|(_, mode)| mode).collect();
                (!modes.is_empty() && modes.iter().all(|mode| mode == expected)).then_some(())
            });
        }
    }
}

/// The second dials the first; all messages of a client at one come to a client at the other.
fn pair(kinds: [Kind; 2], cluster: [&str; 2]) -> ([Node; 2], u16) {
    let monitoring = free_port();
    let more = format!("http: \"127.0.0.1:{monitoring}\"");
    let a = Node::start(kinds[0], "a", Setup { cluster: cluster[0], more: &more, ..Setup::default() });
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], cluster: cluster[1], ..Setup::default() });
    http::wait_until_open(monitoring);
    ([a, b], monitoring)
}

fn flow(from: &Node, to: &Node, marker: &str) {
    let (mut from, mut to) = (from.client(), to.client());
    to.subscribe(marker, "1");
    to.flush();
    from.wait_for_interest(marker, true);
    for payload in payloads() {
        from.publish(marker, &payload);
    }
    let got = to.take(payloads().len());
    assert!(got.into_iter().map(|message| message.payload).eq(payloads()));
}

/// A level changes on the connection, the rest needs a new one.
fn it_changes_with_the_configuration(kinds: [Kind; 2]) {
    let (nodes, monitoring) = pair(kinds, ["compression: s2_fast", "compression: accept"]);
    let is = |expected: &str| {
        wait_for(expected, || {
            let routes = http::json(monitoring, "/routez")["routes"].take();
            let routes = routes.as_array().expect("a list").clone();
            let all = !routes.is_empty() && routes.iter().all(|route| route["compression"] == json!(expected));
            all.then(|| routes.iter().map(|route| route["rid"].as_u64().expect("a number")).max())
        })
    };
    flow(&nodes[0], &nodes[1], "one");
    let before = is("s2_fast");
    nodes[0].reload("compression: s2_fast", "compression: s2_best");
    assert_eq!(is("s2_best"), before, "the connections stay");
    flow(&nodes[0], &nodes[1], "two");
    nodes[0].reload("compression: s2_best", "compression: off");
    assert!(is("off") > before, "the connections are new");
    flow(&nodes[1], &nodes[0], "three");
    nodes[0].reload("compression: off", "compression: s2_better");
    is("s2_better");
    flow(&nodes[0], &nodes[1], "four");
    flow(&nodes[1], &nodes[0], "five");
}

mod natsd_alone {
    use crate::harness::node::Kind::Natsd;

    #[test]
    fn every_mode_goes_with_every_other() {
        super::every_mode_goes_with_every_other(&[Natsd], "");
    }

    #[test]
    fn what_is_only_framed_is_understood() {
        super::what_is_only_framed_is_understood(Natsd, Natsd, true);
    }

    #[test]
    fn it_changes_with_the_configuration() {
        super::it_changes_with_the_configuration([Natsd, Natsd]);
    }
}

#[cfg(feature = "interop")]
mod with_go {
    use crate::harness::node::Kind::{Go, Natsd};

    #[test]
    fn every_mode_goes_with_every_other_when_go_dials() {
        super::every_mode_goes_with_every_other(&[Natsd, Go], "");
    }

    #[test]
    fn every_mode_goes_with_every_other_when_natsd_dials() {
        super::every_mode_goes_with_every_other(&[Go, Natsd], "");
    }

    #[test]
    fn what_is_only_framed_is_understood_when_go_dials() {
        super::what_is_only_framed_is_understood(Natsd, Go, false);
    }

    #[test]
    fn what_is_only_framed_is_understood_when_natsd_dials() {
        super::what_is_only_framed_is_understood(Natsd, Go, true);
    }

    #[test]
    fn it_changes_with_the_configuration() {
        super::it_changes_with_the_configuration([Natsd, Go]);
        super::it_changes_with_the_configuration([Go, Natsd]);
    }
}
