//! A peer that knows nothing of our probes.

use natsd_path::{EventKind, Reason};

use crate::world::{Link, World, ms, secs};

fn foreign(links: Vec<Link>) -> World {
    let mut world = World::new(links);
    world.hosts[1].answers_probes = false;
    world.traffic(0, ms(20), 200);
    world
}

#[test]
fn traffic_without_probe_replies_makes_a_peer_unprobeable() {
    let mut world = foreign(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
    world.run(secs(30));
    assert_eq!((world.active(0), world.switches(0).len()), (Some(0), 0));
    assert!(world.report(0, 0).unprobeable);
    let alarm = |kind: &EventKind| matches!(kind, EventKind::Down { .. } | EventKind::NoPath { .. });
    assert_eq!(world.kinds(0, alarm), []);
    assert_eq!(world.kinds(0, |kind| *kind == EventKind::Unprobeable).len(), 1);
}

#[test]
fn silence_alone_moves_traffic_to_the_next_path() {
    let mut world = foreign(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
    world.run(secs(30));
    world.forget();
    world.cut(0);
    let took = world.run_until(secs(2), |world| world.active(0) == Some(1));
    assert!(took < ms(300), "{took:?}");
    world.run(secs(20));
    assert_eq!(world.switches(0).len(), 1);
    assert!(matches!(world.switches(0)[0], EventKind::Switch { reason: Reason::Silence(_), .. }));
}

#[test]
fn traffic_ends_up_where_the_peer_is() {
    let mut world = foreign(vec![Link::rtt(ms(20)), Link::rtt(ms(40)), Link::rtt(ms(60))]);
    world.traffic(1, ms(20), 200);
    world.run(secs(30));
    world.cut(0);
    world.cut(1);
    let took = world.run_until(secs(2), |world| (world.active(0), world.active(1)) == (Some(2), Some(2)));
    assert!(took < ms(500), "{took:?}");
}

#[test]
fn a_peer_that_learns_to_answer_is_probed_again() {
    let mut world = foreign(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
    world.run(secs(30));
    world.hosts[1].answers_probes = true;
    world.run(secs(10));
    assert!(!world.report(0, 0).unprobeable);
    assert_eq!((world.active(0), world.switches(0).len()), (Some(0), 0));
}

#[test]
fn a_probeable_peer_may_become_a_foreign_one() {
    let mut world = foreign(vec![Link::rtt(ms(20)), Link::rtt(ms(40))]);
    world.hosts[1].answers_probes = true;
    world.run(secs(10));
    world.hosts[1].answers_probes = false;
    world.run(secs(30));
    assert!(world.report(0, 0).unprobeable);
    assert_eq!((world.active(0), world.switches(0).len()), (Some(0), 0));
}
