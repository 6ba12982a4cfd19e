//! What probes cost.

use natsd_path::{Config, EventKind, Reason, State};

use crate::world::{Link, World, ms, secs};

/// 64 paths, and so many bytes a second for probes.
fn many(budget: u32) -> World {
    let links = (0..64).map(|n| Link::rtt(ms(20 + n))).collect();
    World::with_config(links, Config { probe_budget: budget, ..Config::default() })
}

/// What is saved up at most, and the probe that was on its way.
fn saved(budget: u64) -> u64 {
    (budget * 2).max(4096)
}

#[test]
fn an_idle_peer_with_64_paths_costs_no_more_than_the_budget() {
    for budget in [500, 2000, 8192] {
        let mut world = many(budget);
        world.run(secs(600));
        let (bytes, most) = (world.hosts[0].probe_bytes, u64::from(budget) * 600 + saved(budget.into()));
        assert!(bytes <= most, "{bytes} bytes of {most}");
        assert_eq!((world.switches(0), world.active(0)), (vec![], Some(0)), "at {budget}");
    }
    let mut world = many(2000);
    world.run(secs(600));
    assert!(world.hosts[0].probe_bytes >= 2000 * 600 * 9 / 10, "{} bytes", world.hosts[0].probe_bytes);
}

#[test]
fn all_paths_become_rarer_alike() {
    let mut world = many(1000);
    world.run(secs(600));
    let asked: Vec<_> = (0..16).map(|link| world.report(0, link).probes_sent).collect();
    let (least, most) = (asked.iter().min().expect("16"), asked.iter().max().expect("16"));
    assert!(*least >= 150 && most <= &(least * 2), "{asked:?}");
    let lives = |link: usize| matches!(world.state(0, link), State::Active | State::Standby);
    assert!((0..16).all(lives), "nothing was taken for dead because it was asked rarely");
}

/// How long after the cut of the active path traffic has moved.
fn failover(budget: u32) -> std::time::Duration {
    let mut world = many(budget);
    world.traffic(0, ms(5), 1300);
    // Long enough for as many measurements of either.
    world.run(secs(300));
    assert_eq!(world.active(0), Some(0));
    world.cut(0);
    world.run_until(secs(5), |world| world.active(0) != Some(0))
}

#[test]
fn a_suspect_is_asked_at_once_whatever_the_budget_is() {
    let (poor, rich) = (failover(2000), failover(1_000_000));
    assert!(poor <= rich + ms(5) && poor <= ms(150), "{poor:?} and {rich:?}");
}

#[test]
fn the_dead_come_back_although_the_budget_is_small() {
    let mut world = many(2000);
    world.traffic(0, ms(5), 1300);
    world.run(secs(20));
    world.cut(0);
    world.run(secs(10));
    world.restore(0);
    let back = |world: &World| world.hosts[0].events.iter().any(|e| matches!(e.kind, EventKind::Probation { .. }));
    world.run_until(secs(15), back);
    world.run_until(secs(30), |world| world.state(0, 0) == State::Standby || world.active(0) == Some(0));
}

#[test]
fn a_peer_that_is_gone_for_an_hour_costs_no_more_than_the_budget() {
    let mut world = many(2000);
    world.traffic(0, ms(20), 1300);
    world.run(secs(20));
    (0..64).for_each(|link| world.cut(link));
    world.run(secs(30));
    world.forget();
    world.run(secs(3600));
    let (bytes, most) = (world.hosts[0].probe_bytes, 2000 * 3600 + saved(2000) + 16 * 1600);
    assert!(bytes <= most, "{bytes} bytes of {most}");
    (0..64).for_each(|link| world.restore(link));
    let took = world.run_until(secs(30), |world| world.undelivered(0) < 100);
    assert!(took <= secs(15), "{took:?}");
}

#[test]
fn flapping_paths_do_not_silence_the_others() {
    let mut world = many(4000);
    world.traffic(0, ms(5), 1300);
    world.run(secs(20));
    for _ in 0..60 {
        let active = world.active(0).expect("there is one");
        world.cut(active);
        world.run(ms(500));
        world.restore(active);
        world.run(ms(500));
    }
    let failed = |kind: &EventKind| matches!(kind, EventKind::Switch { reason: Reason::Silence(_), .. });
    assert!(world.switches(0).iter().any(failed), "{:?}", world.switches(0));
    let asked: Vec<_> = (0..16).map(|link| world.report(0, link).probes_sent).collect();
    world.run(secs(30));
    let more: Vec<_> = (0..16).map(|link| world.report(0, link).probes_sent - asked[link]).collect();
    assert!(more.iter().filter(|n| **n > 0).count() >= 15, "{more:?}");
}
