//! Large packets vanish, and no other path carries them.

use natsd_path::{EventKind, Metric, Reason, State};

use crate::world::{Link, World, ms, preferring, secs};

/// Host 0 sends a message of 1345 bytes every 20 ms, which all links carry as yet.
fn busy(links: Vec<Link>) -> World {
    let mut world = World::new(links);
    world.traffic(0, ms(20), 1345);
    world.traffic(1, ms(20), 100);
    world.run(secs(4));
    world.forget();
    world
}

fn mtus(world: &World) -> Vec<EventKind> {
    world.kinds(0, |kind| matches!(kind, EventKind::Mtu { .. }))
}

#[test]
fn the_only_path_goes_on_with_what_passes() {
    let mut world = busy(vec![Link::rtt(ms(20))]);
    world.links[0].hole = 1300;
    let found = |world: &World| world.report(0, 0).measured_mtu.is_some();
    let took = world.run_until(secs(5), found);
    assert!(took <= secs(1), "{took:?}");
    world.run(secs(60));
    let report = world.report(0, 0);
    assert_eq!((report.state, report.mtu), (State::Active, Some(1472)));
    let mtu = report.measured_mtu.expect("found");
    assert!((1300 + 72 - 16..=1300 + 72).contains(&mtu), "{mtu}");
    assert_eq!(report.condition, Some(format!("packets of more than {mtu} bytes are lost, 1472 are announced")));
    assert_eq!(mtus(&world).len(), 1, "{:?}", mtus(&world));
    assert_eq!(world.kinds(0, |kind| matches!(kind, EventKind::NoPath { .. } | EventKind::Down { .. })), []);
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn the_whole_mtu_is_used_again_when_the_hole_is_gone() {
    let mut world = busy(vec![Link::rtt(ms(20))]);
    world.links[0].hole = 1250;
    world.run(secs(20));
    assert!(world.report(0, 0).measured_mtu.is_some());
    world.run(secs(300));
    assert_eq!(mtus(&world).len(), 1, "asked for more and not got it");
    world.links[0].hole = usize::MAX;
    world.run(secs(500));
    assert!(world.report(0, 0).measured_mtu.is_some(), "not asked yet: ten minutes after the second time");
    world.run(secs(200));
    assert_eq!((world.report(0, 0).measured_mtu, world.report(0, 0).condition), (None, None));
    assert!(matches!(mtus(&world)[..], [_, EventKind::Mtu { mtu: 1472, announced: Some(1472), .. }]));
}

#[test]
fn a_path_that_carries_all_is_preferred_and_the_narrow_one_is_there_when_it_fails() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.links[0].hole = 1300;
    world.run(secs(30));
    assert_eq!((world.active(0), world.switches(0).len()), (Some(1), 1));
    let narrow = world.report(0, 0);
    assert_eq!((narrow.state, narrow.measured_mtu.is_some()), (State::Standby, true), "{narrow:?}");
    assert!(narrow.why.starts_with("loses packets of more than 13"), "{}", narrow.why);
    assert_eq!(narrow.decided_by, Some("hole"));
    world.cut(1);
    let took = world.run_until(secs(5), |world| world.active(0) == Some(0));
    assert!(took <= secs(1), "{took:?}");
    world.run(secs(10));
    assert_eq!((world.active(0), world.state(0, 0)), (Some(0), State::Active));
    world.restore(1);
    world.run(secs(60));
    assert_eq!(world.active(0), Some(1));
    assert!(
        world
            .switches(0)
            .iter()
            .any(|kind| matches!(kind, EventKind::Switch { reason: Reason::Better(Metric::Mtu), .. }))
    );
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn where_all_have_a_hole_traffic_goes_on_over_one_of_them() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.links[0].hole = 1290;
    world.links[1].hole = 1230;
    world.run(secs(60));
    assert!(world.switches(0).len() <= 1, "{:?}", world.switches(0));
    let active = world.active(0).expect("one of them");
    assert_eq!(world.state(0, active), State::Active);
    assert!(world.report(0, active).measured_mtu.is_some());
    world.forget();
    world.run(secs(200));
    assert_eq!(world.switches(0), [], "and stays there");
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn what_is_preferred_and_demanded_of_an_mtu_is_what_passes() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.want(0, preferring("mtu,latency"));
    for link in 0..2 {
        world.links[link].hole = 1300 - 60 * link;
    }
    world.run(secs(60));
    let mut policy = preferring("mtu,latency");
    policy.rules.limits.mtu = Some(1350);
    world.want(0, policy);
    world.run(secs(60));
    assert_eq!(world.active(0), Some(0));
    if world.report(0, 1).measured_mtu.is_some() {
        assert!(world.report(0, 1).why.contains("min_mtu 1350"), "{}", world.report(0, 1).why);
    }
}

#[test]
fn a_path_that_carries_less_than_quic_needs_is_no_good() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.links[0].hole = 1100;
    world.run(secs(30));
    assert_eq!((world.active(0), world.state(0, 0)), (Some(1), State::Dead));
    assert_eq!(mtus(&world), []);
    world.links[0].hole = usize::MAX;
    world.run(secs(60));
    assert_eq!(world.active(0), Some(0), "it needs no search to come back whole");
}

#[test]
fn on_a_lossy_path_luck_is_not_taken_for_a_hole() {
    let mut world = busy(vec![Link { loss: 0.05, jitter: ms(20), ..Link::rtt(ms(60)) }]);
    world.run(secs(3600));
    assert_eq!(mtus(&world), []);
}
