//! What paths deliver, and what follows from that.

use natsd_path::{Config, EventKind, Limits, Metric, Policy, Reason, Rules};

use crate::world::{Link, World, ms, preferring, secs};

/// Announced and real bandwidth, kbit/s.
fn wide(announced: impl Into<Option<u64>>, real: u64) -> Link {
    Link { bandwidth: announced.into(), rate: Some(real), ..Link::rtt(ms(20)) }
}

/// As much as paths carry: 24 kB may be on their way.
fn flood(world: &mut World) {
    world.hosts[0].window = 20;
    world.traffic(0, ms(1), 1200);
}

fn by(policy: Policy, links: Vec<Link>) -> World {
    World::with_config(links, Config { policy, ..Config::default() })
}

fn moves_for_bandwidth(world: &World) -> usize {
    let for_bandwidth =
        |kind: &EventKind| matches!(kind, EventKind::Switch { reason: Reason::Better(Metric::Bandwidth), .. });
    world.switches(0).iter().filter(|kind| for_bandwidth(kind)).count()
}

#[test]
fn a_full_path_shows_what_it_gives() {
    let mut world = by(preferring("hops"), vec![wide(None, 2000)]);
    flood(&mut world);
    world.run(secs(10));
    let report = world.report(0, 0);
    let measured = report.measured_bandwidth.expect("it is full");
    assert!((1900..=2000).contains(&measured), "{measured} kbit/s");
    assert!(report.unknown.is_empty(), "{report:?}");
}

#[test]
fn light_traffic_shows_only_that_a_path_gives_that_much() {
    let mut world = by(preferring("bandwidth"), vec![wide(8000, 8000), wide(4000, 4000)]);
    world.traffic(0, ms(10), 500);
    world.run(secs(600));
    let report = world.report(0, 0);
    assert_eq!((report.measured_bandwidth, report.delivered_bandwidth), (None, Some(400)));
    assert_eq!((world.active(0), world.switches(0)), (Some(0), vec![]), "what is announced is not lowered by that");
}

#[test]
fn a_path_that_gives_less_than_announced_is_left_once() {
    let mut world = by(preferring("bandwidth"), vec![wide(40_000, 1000), wide(6000, 5000), wide(4000, 4000)]);
    assert_eq!(world.active(0), Some(0), "by what is announced");
    flood(&mut world);
    let took = world.run_until(secs(10), |world| world.active(0) == Some(1));
    assert!(took >= secs(3), "not before the hold time: {took:?}");
    world.run(secs(1200));
    assert_eq!((world.active(0), moves_for_bandwidth(&world)), (Some(1), 1), "{:?}", world.switches(0));
    assert_eq!(world.report(0, 0).decided_by, Some("bandwidth"));
    let why = world.report(0, 0).why;
    assert!(why.starts_with("bandwidth ") && why.contains(" kbit/s (measured), #2 has "), "{why}");
}

#[test]
fn a_path_that_delivers_more_than_announced_is_lifted() {
    let policy = Policy {
        rules: Rules { limits: Limits { bandwidth: Some(1500), ..Limits::default() }, ..Rules::default() },
        ..preferring("latency")
    };
    let mut world = by(policy, vec![wide(1000, 3000), Link { rate: Some(3000), ..Link::rtt(ms(200)) }]);
    assert_eq!(world.active(0), Some(1), "what is announced breaks the limit");
    world.hosts[0].window = 80;
    world.traffic(0, ms(5), 1200);
    world.links[1].cut = [true; 2];
    world.run_until(secs(5), |world| world.active(0) == Some(0));
    world.run(secs(5));
    world.restore(1);
    world.run(secs(120));
    assert_eq!(world.active(0), Some(0), "it is quicker, and delivers 1920 kbit/s: {}", world.report(0, 0).why);
}

#[test]
fn a_limit_is_broken_by_what_a_full_path_gives() {
    let policy = Policy {
        rules: Rules { limits: Limits { bandwidth: Some(1500), ..Limits::default() }, ..Rules::default() },
        ..preferring("latency")
    };
    let mut world = by(policy, vec![wide(40_000, 1000), Link { rate: Some(3000), ..Link::rtt(ms(200)) }]);
    flood(&mut world);
    world.run_until(secs(10), |world| world.active(0) == Some(1));
    let moved = world.switches(0);
    assert!(matches!(moved[..], [EventKind::Switch { reason: Reason::WithinLimits, .. }]), "{moved:?}");
    world.run(secs(600));
    assert_eq!((world.active(0), world.switches(0).len()), (Some(1), 1), "{:?}", world.switches(0));
}

/// 4096 kbit/s is where a class begins: whatever moves a little there must not move traffic again and again.
#[test]
fn paths_about_equally_wide_do_not_take_turns() {
    let mut world = by(preferring("bandwidth"), vec![wide(8000, 4090), wide(4100, 4100), wide(4200, 4000)]);
    flood(&mut world);
    for round in 0..600u64 {
        let wobble = round * 7919 % 400;
        (0..3).for_each(|link| world.links[link].rate = Some(3900 + wobble));
        world.run(secs(2));
    }
    assert!(world.switches(0).len() <= 3, "{:?}", world.switches(0));
}
