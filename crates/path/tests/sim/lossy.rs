//! Paths that live and lose a part of what they carry.

use natsd_path::{EventKind, Reason, State};

use crate::world::{Link, World, ms, secs};

/// Host 0 sends a message of 200 bytes every 5 ms for ten seconds over the first link.
fn busy(links: Vec<Link>) -> World {
    let mut world = World::new(links);
    world.traffic(0, ms(5), 200);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(0));
    world.forget();
    world
}

#[test]
fn a_path_that_loses_a_third_is_left_and_named() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.links[0].loss = 0.3;
    let took = world.run_until(secs(20), |world| world.active(0) == Some(1));
    assert!(took <= secs(6), "{took:?}");
    world.run(secs(5));
    assert_eq!(world.active(0), Some(1));
    let moved = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::Switch { reason: Reason::Lossy(10..) | Reason::ProbesLost(_) | Reason::Silence(_), .. }
        )
    };
    assert!(world.switches(0).iter().all(moved), "{:?}", world.switches(0));
    let report = world.report(0, 0);
    if report.state == State::Standby {
        assert!(report.why.starts_with("loses "), "{}", report.why);
        assert_eq!(report.decided_by, Some("loss"));
    }
    assert!(report.condition.is_some(), "{report:?}");
}

#[test]
fn traffic_comes_back_when_the_path_has_been_sound_for_a_while() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.links[0].loss = 0.3;
    world.run(secs(20));
    assert_eq!(world.active(0), Some(1));
    world.links[0].loss = 0.0;
    world.run(secs(20));
    assert_eq!(world.active(0), Some(1), "not yet");
    world.run(secs(120));
    assert_eq!((world.active(0), world.report(0, 0).condition), (Some(0), None));
}

#[test]
fn a_path_is_not_left_for_another_that_loses_as_much() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link { loss: 0.3, ..Link::rtt(ms(60)) }]);
    world.run(secs(60));
    world.links[0].loss = 0.15;
    world.run(secs(60));
    assert_eq!(world.active(0), Some(0));
}

/// The soak that the path manager has to survive: 5 % loss each way and 50 ms of jitter.
#[test]
fn an_hour_of_usual_loss_and_jitter_moves_nothing() {
    let link = |rtt| Link { loss: 0.05, jitter: ms(50), ..Link::rtt(ms(rtt)) };
    let mut world = World::new(vec![link(20), link(100), link(200)]);
    world.traffic(0, ms(20), 200);
    world.run(secs(30));
    world.forget();
    world.run(secs(3600));
    assert_eq!(world.switches(0), []);
    assert_eq!((world.report(0, 0).condition, world.active(0)), (None, Some(0)));
}

#[test]
fn full_queues_are_named() {
    let mut world = busy(vec![Link::rtt(ms(20))]);
    world.links[0].delay = ms(160);
    world.run(secs(20));
    let condition = world.report(0, 0).condition.expect("it is seen");
    assert!(
        condition.starts_with("its queues are full: 3") && condition.ends_with("20.0 ms when they are empty"),
        "{condition}"
    );
}
