//! No SCION path works: nothing is given up, TCP/IP takes over, SCION comes back.

use natsd_path::{Config, EventKind, PathId, Reason, State};

use crate::world::{Link, World, ms, preferring, secs};

fn no_path(world: &World) -> usize {
    world.kinds(0, |kind| matches!(kind, EventKind::NoPath { .. })).len()
}

#[test]
fn a_dead_peer_is_no_dead_path() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
    world.traffic(0, ms(50), 200);
    world.run(secs(5));
    world.forget();
    world.cut(0);
    world.cut(1);
    world.run(secs(30));
    assert_eq!(world.active(0), Some(0), "a path is never left for nothing");
    assert_eq!((world.switches(0).len(), no_path(&world)), (0, 1), "NoPath is said once");
    assert!(world.kinds(0, |kind| matches!(kind, EventKind::Down { .. })).is_empty());
    assert!(world.hosts[0].probes_sent < 150, "{} probes in 30 s", world.hosts[0].probes_sent);
    world.restore(1);
    let took = world.run_until(secs(2), |world| world.active(0) == Some(1));
    assert!(took <= ms(1200), "{took:?}");
    world.stop_traffic(0);
    world.run(secs(3));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn a_peer_that_comes_back_is_not_taken_for_one_that_answers_no_probes() {
    for offset in 0..40 {
        let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
        for side in 0..2 {
            world.traffic(side, ms(50), 200);
        }
        world.run(secs(5));
        world.cut(0);
        world.cut(1);
        world.run(secs(8) + ms(offset * 27));
        world.restore(0);
        world.restore(1);
        world.run(secs(5));
        for side in 0..2 {
            assert_eq!(world.kinds(side, |kind| *kind == EventKind::Unprobeable), []);
        }
    }
}

#[test]
fn when_all_come_back_at_once_traffic_stays() {
    let mut world = World::new(vec![Link::rtt(ms(40)), Link::rtt(ms(45))]);
    world.traffic(0, ms(50), 200);
    world.run(secs(5));
    world.cut(0);
    world.cut(1);
    world.run(secs(10));
    world.forget();
    world.restore(0);
    world.restore(1);
    world.run(secs(10));
    assert_eq!((world.active(0), world.switches(0).len()), (Some(0), 0));
}

/// The events that say when nothing answered and when that was over.
fn outages(world: &World) -> Vec<EventKind> {
    world.kinds(0, |kind| matches!(kind, EventKind::NoPath { .. } | EventKind::Up { .. } | EventKind::Switch { .. }))
}

#[test]
fn an_outage_without_a_switch_ends_with_an_answer_of_the_active_path() {
    for answers_probes in [true, false] {
        let mut world = World::new(vec![Link::rtt(ms(40))]);
        world.hosts[1].answers_probes = answers_probes;
        world.traffic(0, ms(50), 200);
        world.run(secs(30));
        world.forget();
        world.cut(0);
        world.run(secs(10));
        assert!(matches!(outages(&world)[..], [EventKind::NoPath { .. }]), "{:?}", outages(&world));
        world.restore(0);
        world.run(secs(10));
        let told = outages(&world);
        assert!(matches!(told[..], [EventKind::NoPath { .. }, EventKind::Up { path: PathId(0) }]), "{told:?}");
    }
}

#[test]
fn tcp_takes_over_within_two_seconds_and_hands_back() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(40)), Link::tcp(ms(100))]);
    world.traffic(0, ms(20), 200);
    world.run(secs(10));
    assert_eq!(world.report(0, 2).probes_sent, 0, "no tunnel while SCION works");
    world.forget();
    world.cut(0);
    world.cut(1);
    world.run(secs(10));
    assert_eq!((world.active(0), world.active(1)), (Some(2), Some(2)));
    assert!(world.hosts[1].longest_gap < secs(1), "gap {:?}", world.hosts[1].longest_gap);
    world.forget();
    world.restore(0);
    world.restore(1);
    let took = world.run_until(secs(6), |world| matches!(world.active(0), Some(0 | 1)));
    assert!(took > secs(1), "{took:?}: probation first");
    let back = |kind: &EventKind| matches!(kind, EventKind::Switch { reason: Reason::ScionBack, .. });
    assert_eq!(world.kinds(0, back).len(), 1);
    world.run(secs(10));
    assert_eq!((world.active(0), world.state(0, 2)), (Some(0), State::Candidate));
    assert!(world.hosts[1].longest_gap < ms(100), "gap {:?} on the way back", world.hosts[1].longest_gap);
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn tcp_hands_back_to_the_best_path_that_returns() {
    let narrow = Link { bandwidth: Some(1_000), ..Link::rtt(ms(8)) };
    let wide = Link { bandwidth: Some(100_000), ..Link::rtt(ms(60)) };
    let config = Config { policy: preferring("bandwidth,latency"), ..Config::default() };
    let mut world = World::with_config(vec![narrow, wide, Link::tcp(ms(100))], config);
    world.traffic(0, ms(20), 200);
    world.run(secs(10));
    world.cut(0);
    world.cut(1);
    world.run(secs(10));
    world.forget();
    world.restore(0);
    world.run(ms(700));
    world.restore(1);
    world.run(secs(10));
    let back = |kind: &EventKind| matches!(kind, EventKind::Switch { reason: Reason::ScionBack, .. });
    assert_eq!((world.active(0), world.kinds(0, back).len(), world.switches(0).len()), (Some(1), 1, 1));
}

#[test]
fn tcp_serves_from_the_start_when_no_scion_path_answers() {
    let mut world = World::new(vec![Link { announced: false, ..Link::rtt(ms(20)) }, Link::tcp(ms(100))]);
    world.cut(0);
    world.traffic(0, ms(100), 1200);
    let took = world.run_until(secs(2), |world| world.active(0) == Some(1));
    assert!(took < ms(1500), "{took:?}");
}

#[test]
fn tcp_serves_when_no_scion_path_is_known() {
    let mut world = World::new(vec![Link::tcp(ms(100))]);
    let took = world.run_until(secs(2), |world| world.active(0) == Some(0));
    assert!(took < ms(500), "{took:?}");
    world.links.push(Link::rtt(ms(20)));
    world.lookup();
    let took = world.run_until(secs(2), |world| world.active(0) == Some(1));
    assert!(took < ms(100), "{took:?}: a path that never failed needs no probation");
}

#[test]
fn a_path_on_probation_is_better_than_none() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
    world.traffic(0, ms(20), 200);
    world.run(secs(5));
    world.cut(0);
    world.run(secs(3));
    assert_eq!((world.active(0), world.state(0, 0)), (Some(1), State::Dead));
    world.restore(0);
    world.run_until(secs(6), |world| world.state(0, 0) == State::Probation);
    world.cut(1);
    let took = world.run_until(secs(1), |world| world.active(0) == Some(0));
    assert!(took < ms(300), "{took:?}");
}
