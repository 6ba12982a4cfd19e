//! Whatever comes, in whatever order: no panic, a known active path, a timeout in the future.

use std::time::{Duration, Instant};

use natsd_path::{
    Avoided, Candidate, Config, Delivery, Fingerprint, Interface, IsdAs, Kind, Limits, Manager, PathId, Policy, Probe,
    Rule, Rules, Scmp, State,
};
use proptest::prelude::*;

use crate::world::preferring;

/// What a lookup says of one of six paths, the last of which is the TCP/IP fallback.
#[derive(Clone, Debug, Default)]
struct Offer {
    number: u8,
    expires_in: Option<Duration>,
    latency: Option<Duration>,
    mtu: u16,
    bandwidth: Option<u64>,
}

#[derive(Clone, Debug)]
enum Input {
    Wait(u32),
    Timeout,
    Paths(Vec<Offer>),
    Sent(u32, usize, bool),
    Received(u32, usize),
    PeerDeaf(u32),
    Reply(usize),
    UnknownReply(u64),
    Scmp(u32, u8),
    SendError(u32),
    Delivered(u32, u64, u64, u64),
    Want(bool, u8),
}

fn input() -> impl Strategy<Value = Input> {
    let expires_in = prop::option::of((0..300_000u64).prop_map(Duration::from_millis));
    let latency = prop::option::of(any::<u64>().prop_map(Duration::from_nanos));
    let path = (0..6u8, expires_in, latency, any::<u16>(), any::<Option<u64>>()).prop_map(
        |(number, expires_in, latency, mtu, bandwidth)| Offer { number, expires_in, latency, mtu, bandwidth },
    );
    prop_oneof![
        4 => prop_oneof![0..300u32, 0..20_000u32, Just(3_600_000u32)].prop_map(Input::Wait),
        6 => Just(Input::Timeout),
        1 => prop::collection::vec(path, 0..6).prop_map(Input::Paths),
        4 => (0..12u32, any::<usize>(), any::<bool>()).prop_map(|(p, l, a)| Input::Sent(p, l, a)),
        2 => (0..12u32, 1..4usize).prop_map(|(p, n)| Input::Received(p, n)),
        1 => (0..12u32).prop_map(Input::PeerDeaf),
        4 => (0..8usize).prop_map(Input::Reply),
        1 => any::<u64>().prop_map(Input::UnknownReply),
        1 => (0..12u32, 0..4u8).prop_map(|(p, k)| Input::Scmp(p, k)),
        1 => (0..12u32).prop_map(Input::SendError),
        2 => (0..12u32, any::<u64>(), any::<u64>(), 0..3u64).prop_map(|(p, b, l, c)| Input::Delivered(p, b, l, c)),
        1 => (any::<bool>(), any::<u8>()).prop_map(|(latency, rules)| Input::Want(latency, rules)),
    ]
}

fn interface(id: u16) -> Interface {
    Interface { isd_as: IsdAs(7), id }
}

fn candidate(now: Instant, offer: &Offer) -> Candidate {
    if offer.number == 5 {
        return Candidate::tcp();
    }
    let interfaces = vec![interface(u16::from(offer.number)), interface(100), interface(101), interface(200)];
    Candidate {
        fingerprint: Fingerprint::of(&interfaces),
        kind: Kind::Scion,
        interfaces,
        mtu: offer.mtu,
        overhead: 100,
        expiry: offer.expires_in.map(|left| now + left),
        latency: offer.latency,
        bandwidth: offer.bandwidth,
        ..Candidate::tcp()
    }
}

/// A bit for each of the first five paths, which it excludes, one for limits, and two for TCP/IP.
fn some_rules(bits: u8) -> Rules {
    let bit = |number: u8| bits & 1 << number != 0;
    let avoided = (0..5u8).filter(|number| bit(*number)).map(|number| format!("0-7#{number}").parse());
    let avoided: Vec<Avoided> = avoided.filter_map(Result::ok).collect();
    let limits = Limits {
        latency: Some(Duration::from_millis(50)),
        bandwidth: Some(1000),
        mtu: Some(1300),
        cost: Some(5),
        carbon: None,
    };
    Rules {
        strict: if avoided.is_empty() { Vec::new() } else { vec![Rule::Avoid(avoided)] },
        limits: if bit(5) { limits } else { Limits::default() },
        tcp: bit(6).then_some(bit(7)),
    }
}

#[derive(Default)]
struct Seen {
    probes: Vec<Probe>,
}

fn apply(manager: &mut Manager, now: &mut Instant, seen: &mut Seen, input: &Input) {
    match input {
        Input::Wait(time) => *now += Duration::from_millis(u64::from(*time)),
        Input::Timeout => {
            // Either punctually or as late as the waits made it.
            *now = manager.poll_timeout().map_or(*now, |at| at.max(*now));
            manager.handle_timeout(*now);
            assert!(manager.poll_timeout().is_none_or(|at| at > *now));
        }
        Input::Paths(paths) => {
            let set: Vec<_> = paths.iter().map(|path| candidate(*now, path)).collect();
            manager.handle_paths(*now, &set);
        }
        Input::Sent(path, len, awaits) => {
            manager.handle_sent(*now, PathId(*path), *len, *awaits);
            manager.handle_carried(*now, PathId(*path), *len);
        }
        Input::Received(path, packets) => manager.handle_received(*now, PathId(*path), *packets),
        Input::PeerDeaf(path) => manager.handle_peer_deaf(*now, PathId(*path)),
        Input::Reply(back) => {
            if let Some(probe) = seen.probes.iter().rev().nth(*back) {
                manager.handle_probe_reply(*now, probe.token);
            }
        }
        Input::UnknownReply(token) => assert_eq!(manager.handle_probe_reply(*now, *token), None),
        Input::Scmp(path, kind) => {
            let scmp = match kind {
                0 => Scmp::ExternalInterfaceDown(interface(100)),
                1 => Scmp::InternalConnectivityDown { isd_as: IsdAs(7), ingress: 100, egress: 101 },
                2 => Scmp::PathExpired,
                _ => Scmp::Other { kind: 1, code: 4 },
            };
            manager.handle_scmp(*now, PathId(*path), scmp);
        }
        Input::SendError(path) => manager.handle_send_error(*now, PathId(*path)),
        Input::Delivered(path, bytes, limited, congestions) => {
            let (bytes, limited, congestions) = (*bytes, *limited, *congestions);
            let delivery = Delivery { over: Duration::from_secs(1), bytes, limited, congestions };
            manager.handle_delivery(*now, PathId(*path), &delivery);
        }
        Input::Want(latency, rules) => {
            let preference = if *latency { "latency" } else { "mtu,hops,bandwidth" };
            manager.set_policy(*now, Policy { rules: some_rules(*rules), ..preferring(preference) });
        }
    }
}

proptest! {
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
    fn no_sequence_of_inputs_breaks_the_manager(inputs in prop::collection::vec(input(), 0..300), seed: u64) {
        let mut manager = Manager::new(Config::default(), seed);
        let (mut now, mut seen) = (Instant::now(), Seen::default());
        let first = [0, 1].map(|number| candidate(now, &Offer { number, ..Offer::default() }));
        manager.handle_paths(now, &first);
        for input in &inputs {
            apply(&mut manager, &mut now, &mut seen, input);
            while let Some(event) = manager.poll_event() {
                prop_assert!(!event.kind.to_string().is_empty());
            }
            seen.probes.extend(std::iter::from_fn(|| manager.poll_probe()));
            let history = manager.history(now);
            prop_assert!(history.incidents.len() <= 128);
            prop_assert!(history.paths.iter().all(|path| path.seconds.len() <= 300 && path.minutes.len() <= 360));
            let reports = manager.report(now);
            prop_assert!(reports.iter().all(|report| !report.active || report.state != State::Excluded));
            let active: Vec<_> = reports.iter().filter(|report| report.active).map(|report| report.id).collect();
            prop_assert_eq!(active, manager.active().into_iter().collect::<Vec<_>>());
            prop_assert!(reports.iter().enumerate().all(|(index, report)| report.rank == index + 1));
        }
    }
}
