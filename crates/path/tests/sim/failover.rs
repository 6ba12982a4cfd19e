//! The active path fails: how soon traffic flows again, and that nothing is lost.

use std::time::Duration;

use natsd_path::{Config, EventKind, Reason, State};

use crate::world::{Link, World, ms, preferring, secs};

/// Host 0 sends a message of 200 bytes every 10 ms; links of 20, 40 and 60 ms round trip, in use for ten seconds.
fn settled() -> World {
    settled_on(vec![Link::rtt(ms(20)), Link::rtt(ms(40)), Link::rtt(ms(60))])
}

fn settled_on(links: Vec<Link>) -> World {
    let mut world = World::new(links);
    world.traffic(0, ms(10), 200);
    world.run(secs(10));
    assert_eq!((world.active(0), world.active(1)), (Some(0), Some(0)));
    assert_eq!(world.switches(0), [], "nothing moves while all is well");
    world.forget();
    world
}

fn reason(world: &World, side: usize) -> Reason {
    match world.switches(side)[..] {
        [EventKind::Switch { reason, .. }] => reason,
        ref other => panic!("one switch expected: {other:?}"),
    }
}

/// Three round trips of the new path and 100 ms.
const FAST: Duration = ms(3 * 40 + 100);

#[test]
fn a_black_hole_is_left_for_the_next_best_path() {
    let mut world = settled();
    world.cut(0);
    world.run(secs(5));
    assert_eq!(world.active(0), Some(1));
    assert!(matches!(reason(&world, 0), Reason::Silence(_)));
    assert!(world.hosts[1].longest_gap < FAST, "gap {:?}", world.hosts[1].longest_gap);
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
    assert_eq!(world.state(0, 0), State::Dead);
}

#[test]
fn the_gap_is_short_whenever_the_cut_comes() {
    let gap = |offset: u64| {
        let mut world = settled();
        world.run(ms(offset * 37));
        world.cut(0);
        world.run(secs(2));
        assert_eq!(world.switches(0).len(), 1);
        world.hosts[1].longest_gap
    };
    let mut gaps: Vec<_> = (0..40).map(gap).collect();
    gaps.sort();
    assert!(gaps[20] < ms(140) && gaps[39] < FAST, "median {:?}, longest {:?}", gaps[20], gaps[39]);
}

#[test]
fn a_routers_word_makes_it_faster() {
    let gap = |scmp: bool| {
        let mut world = settled_on(vec![Link { scmp, ..Link::rtt(ms(60)) }, Link::rtt(ms(80))]);
        world.cut(0);
        world.run(secs(5));
        assert_eq!(world.active(0), Some(1));
        assert_eq!(matches!(reason(&world, 0), Reason::Scmp(_)), scmp);
        world.hosts[1].longest_gap
    };
    let (with, without) = (gap(true), gap(false));
    assert!(with < without, "{with:?} with SCMP, {without:?} without");
}

#[test]
fn a_false_word_of_a_router_moves_nothing() {
    let mut world = settled();
    let id = world.hosts[0].manager.active().expect("settled");
    let lie = natsd_path::Scmp::ExternalInterfaceDown(world.report(0, 0).interfaces[0]);
    for _ in 0..10_000 {
        world.hosts[0].manager.handle_scmp(world.now, id, lie);
        world.run(ms(1));
    }
    assert_eq!(world.switches(0), []);
    assert!(world.hosts[0].probes_sent < 200, "{} probes in 10 s", world.hosts[0].probes_sent);
}

#[test]
fn the_sending_direction_alone_fails() {
    let mut world = settled();
    world.traffic(1, ms(10), 200);
    world.run(secs(1));
    world.forget();
    world.links[0].cut[0] = true;
    world.run(secs(5));
    assert_eq!((world.active(0), world.active(1)), (Some(1), Some(1)));
    assert!(world.hosts[1].longest_gap < FAST, "gap {:?}", world.hosts[1].longest_gap);
    assert_eq!((world.switches(0).len(), world.switches(1).len()), (1, 1));
}

#[test]
fn the_receiving_direction_alone_fails() {
    let mut world = settled();
    world.links[0].cut[1] = true;
    world.run(secs(5));
    assert_eq!((world.active(0), world.active(1)), (Some(1), Some(1)));
    assert!(world.hosts[1].longest_gap < FAST, "gap {:?}", world.hosts[1].longest_gap);
    assert_eq!(reason(&world, 1), Reason::PeerDeaf, "host 1 sends nothing that awaits an answer: it must be told");
}

/// The hosts' preferences differ: host 0 sends messages over link 0, host 1 acknowledges them over link 1.
fn lopsided() -> World {
    let link = |rtt, bandwidth| Link { bandwidth: Some(bandwidth), ..Link::rtt(ms(rtt)) };
    let links = vec![link(20, 1_000), link(60, 100_000), link(80, 10_000)];
    let config = |preference: &str| Config { policy: preferring(preference), ..Config::default() };
    let mut world = World::with_configs(links, ["latency", "bandwidth"].map(config));
    world.traffic(0, ms(10), 200);
    world.hosts[0].window = 15;
    world.run(secs(30));
    assert_eq!((world.active(0), world.active(1)), (Some(0), Some(1)));
    world.forget();
    world
}

#[test]
fn acknowledgements_on_another_path_are_no_reason_for_doubt() {
    let mut world = lopsided();
    world.run(secs(60));
    for side in 0..2 {
        let doubts = world.kinds(side, |kind| matches!(kind, EventKind::Suspect { .. }));
        assert_eq!(doubts, [], "host {side}");
    }
}

#[test]
fn the_path_of_the_acknowledgements_alone_fails() {
    let mut world = lopsided();
    world.cut(1);
    world.run(secs(5));
    assert_eq!((world.active(0), world.active(1)), (Some(0), Some(2)));
    assert_eq!(reason(&world, 1), Reason::PeerDeaf);
    assert_eq!(world.switches(0), []);
    assert!(world.hosts[1].longest_gap < FAST, "gap {:?}", world.hosts[1].longest_gap);
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn a_needless_suspicion_is_not_echoed() {
    let mut world = settled();
    world.traffic(1, ms(10), 200);
    world.run(secs(1));
    world.forget();
    world.links[0].delay += ms(45);
    world.run(ms(60));
    world.links[0].delay -= ms(45);
    world.run(secs(5));
    let doubts = |side| world.kinds(side, |kind| matches!(kind, EventKind::Suspect { .. })).len();
    assert!(doubts(0) >= 1 && doubts(1) >= 1, "the delay is noticed");
    assert!(doubts(0) + doubts(1) <= 4, "{:?} {:?}", world.hosts[0].events, world.hosts[1].events);
    assert_eq!((world.switches(0), world.switches(1)), (vec![], vec![]));
}

#[test]
fn a_liar_who_speaks_for_the_peer_moves_nothing() {
    let mut world = settled();
    let standby = world.report(0, 1).id;
    for _ in 0..10_000 {
        world.hosts[0].manager.handle_peer_deaf(world.now, standby);
        world.hosts[0].manager.handle_received(world.now, standby, 2);
        world.run(ms(1));
    }
    assert_eq!(world.switches(0), []);
    assert!(world.hosts[0].probes_sent < 200, "{} probes in 10 s", world.hosts[0].probes_sent);
}

#[test]
fn while_a_path_is_in_doubt_traffic_goes_over_the_best_that_answers() {
    let narrow = Link { bandwidth: Some(1_000), ..Link::rtt(ms(8)) };
    let wide = |rtt| Link { bandwidth: Some(100_000), ..Link::rtt(ms(rtt)) };
    let config = Config { policy: preferring("bandwidth,latency"), ..Config::default() };
    let mut world = World::with_config(vec![wide(60), narrow, wide(70)], config);
    world.traffic(0, ms(10), 200);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(0));
    world.forget();
    world.cut(0);
    let hedged = |link| move |world: &World| world.hedge(0) == Some(link);
    world.run_until(ms(200), hedged(1));
    world.run_until(ms(200), hedged(2));
    world.run(secs(2));
    assert_eq!(world.active(0), Some(2));
    assert_eq!(world.switches(0).len(), 1, "no detour over the one that answers first");
}

#[test]
fn the_successor_shares_least_with_the_dead_path() {
    let shared = |rtt| Link { shares: Some(9), ..Link::rtt(ms(rtt)) };
    let mut world = settled_on(vec![shared(20), shared(30), shared(40), shared(50), shared(55), Link::rtt(ms(60))]);
    for link in 0..5 {
        world.cut(link);
    }
    world.run(secs(2));
    assert_eq!(world.active(0), Some(5));
    assert_eq!(world.switches(0).len(), 1, "no detour over a path that fails with it");
    assert!(world.hosts[1].longest_gap < ms(3 * 60 + 100), "gap {:?}", world.hosts[1].longest_gap);
}

#[test]
fn paths_behind_a_broken_interface_are_suspected_together() {
    let shared = |rtt| Link { shares: Some(9), scmp: true, ..Link::rtt(ms(rtt)) };
    let mut world = settled_on(vec![shared(20), shared(30), Link::rtt(ms(60))]);
    world.cut(0);
    world.cut(1);
    let broken = |world: &World| world.state(0, 0) == State::Dead && world.state(0, 1) == State::Dead;
    let took = world.run_until(secs(2), broken);
    assert!(took < ms(300), "{took:?}: the standby path has missed no three probes yet");
    assert_eq!(world.active(0), Some(2));
}

#[test]
fn large_packets_vanish_while_small_ones_pass() {
    let mut world = settled_on(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
    world.traffic(0, ms(20), 1300);
    world.traffic(1, ms(20), 100);
    world.run(secs(3));
    world.forget();
    world.links[0].hole = 1200;
    world.run(secs(5));
    assert_eq!(world.active(0), Some(1));
    assert!(matches!(reason(&world, 0), Reason::LargePacketsLost(1300)), "{:?}", reason(&world, 0));
    world.run(secs(60));
    assert_eq!(world.switches(0).len(), 1, "the path with the hole does not come back");
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn a_flapping_link_is_trusted_ever_less() {
    let mut world = settled();
    for _ in 0..20 {
        world.cut(0);
        world.run(secs(2));
        world.restore(0);
        world.run(secs(8));
    }
    let moves = world.switches(0).len();
    assert!(moves <= 8, "{moves} switches in 20 flaps");
    world.run(secs(120));
    assert_eq!(world.active(0), Some(0), "at rest, the better path has the traffic again");
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn a_late_timer_judges_nobody() {
    let mut world = settled();
    let manager = &mut world.hosts[0].manager;
    let (id, now) = (manager.active().expect("settled"), world.now + secs(1));
    manager.handle_sent(world.now, id, 200, true);
    manager.handle_timeout(now);
    manager.handle_timeout(now + ms(1));
    assert_eq!(manager.active(), Some(id));
    let down = std::iter::from_fn(|| manager.poll_event()).any(|e| matches!(e.kind, EventKind::Down { .. }));
    assert!(!down, "a process that slept for a second must ask again first");
}

#[test]
fn a_failed_local_send_leaves_the_path_as_soon_as_another_answers() {
    let mut world = settled();
    world.cut(0);
    world.fail_send(0);
    let took = world.run_until(secs(1), |world| world.active(0) == Some(1));
    assert!(took <= ms(42), "{took:?}: one round trip of the new path");
    assert_eq!(reason(&world, 0), Reason::SendError);
}
