//! What the operator wants: the first choice, the better path, refresh and expiry.

use std::sync::Arc;

use natsd_path::{Config, EventKind, Limits, Metric, Policy, Prices, Reason, State, Tariff};

use crate::world::{Link, World, ms, preferring, secs};

#[test]
fn the_first_choice_is_the_best_announced_at_once() {
    let world = World::new(vec![Link { announced: false, ..Link::rtt(ms(5)) }, Link::rtt(ms(60)), Link::rtt(ms(30))]);
    assert_eq!(world.active(0), Some(2));
    let mut events = world.hosts[0].events.iter().map(|event| event.kind);
    assert!(events.any(|kind| matches!(kind, EventKind::Switch { from: None, reason: Reason::FirstChoice, .. })));
}

#[test]
fn a_first_choice_that_does_not_answer_is_left_for_one_that_does() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.cut(0);
    let took = world.run_until(secs(1), |world| world.active(0) == Some(1));
    assert!(took <= ms(160), "{took:?}");
}

#[test]
fn traffic_moves_once_to_a_better_path_and_only_after_the_hold_time() {
    let mut world = World::new(vec![Link::rtt(ms(60))]);
    world.traffic(0, ms(20), 200);
    world.run(secs(5));
    world.links.push(Link::rtt(ms(20)));
    world.lookup();
    let took = world.run_until(secs(6), |world| world.active(0) == Some(1));
    assert!(took > secs(3) && took < secs(4), "{took:?}");
    world.run(secs(60));
    assert!(matches!(world.switches(0)[..], [EventKind::Switch { reason: Reason::Better(Metric::Latency), .. }]));
}

#[test]
fn a_slightly_better_path_moves_nothing() {
    let mut world = World::new(vec![Link::rtt(ms(29)), Link::rtt(ms(60))]);
    world.run(secs(5));
    world.links.push(Link::rtt(ms(21)));
    world.lookup();
    world.run(secs(30));
    assert_eq!((world.active(0), world.switches(0).len()), (Some(0), 0));
}

#[test]
fn a_path_that_has_become_slow_is_left() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.links[0].delay = ms(50);
    world.run(secs(20));
    assert_eq!(world.active(0), Some(1));
    assert!(matches!(world.switches(0)[..], [EventKind::Switch { reason: Reason::Better(Metric::Latency), .. }]));
}

#[test]
fn another_preference_takes_effect_at_a_reload() {
    let narrow = Link { bandwidth: Some(10_000), ..Link::rtt(ms(20)) };
    let wide = Link { bandwidth: Some(1_000_000), ..Link::rtt(ms(60)) };
    let mut world = World::new(vec![narrow, wide]);
    world.run(secs(5));
    assert_eq!(world.active(0), Some(0));
    world.want(0, preferring("bandwidth,latency"));
    world.run(secs(4));
    assert_eq!(world.active(0), Some(1));
}

#[test]
fn a_refresh_keeps_ids_and_measurements() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.run(secs(5));
    let before = world.report(0, 1);
    world.lookup();
    let after = world.report(0, 1);
    assert_eq!((before.id, before.rtt, before.probes_answered), (after.id, after.rtt, after.probes_answered));
}

#[test]
fn a_withdrawn_active_path_is_used_until_shortly_before_it_expires() {
    let mut world = World::new(vec![Link { expiry: Some(secs(60)), ..Link::rtt(ms(20)) }, Link::rtt(ms(60))]);
    world.traffic(0, ms(20), 200);
    world.run(secs(30));
    world.offer(&[1]);
    world.run(secs(24));
    assert_eq!(world.active(0), Some(0));
    world.run(secs(2));
    assert_eq!(world.active(0), Some(1));
    world.run(secs(4));
    assert!(world.kinds(0, |kind| matches!(kind, EventKind::Removed { .. })).len() == 1);
    assert!(matches!(world.switches(0)[..], [EventKind::Switch { reason: Reason::Expiring, .. }]));
}

/// As when the control plane has lost sight of half of the network, and then that half alone is left.
#[test]
fn a_path_that_is_no_longer_listed_carries_the_traffic_when_all_others_fail() {
    let link = |rtt| Link { expiry: Some(secs(300)), ..Link::rtt(ms(rtt)) };
    let mut world = World::new(vec![link(20), link(40), link(60)]);
    world.traffic(0, ms(20), 2000);
    world.run(secs(5));
    world.offer(&[0]);
    world.run(secs(5));
    assert_eq!(world.active(0), Some(0));
    assert_eq!(world.state(0, 1), State::Standby);
    world.cut(0);
    world.run(secs(1));
    assert_eq!(world.active(0), Some(1));
    world.restore(0);
    world.run(secs(60));
    assert_eq!(world.active(0), Some(0), "what is listed goes before what is not");
    world.run(secs(240));
    assert_eq!(world.kinds(0, |kind| matches!(kind, EventKind::Removed { .. })).len(), 3, "all have expired");
}

#[test]
fn an_expired_last_path_leaves_none() {
    let mut world = World::new(vec![Link { expiry: Some(secs(20)), ..Link::rtt(ms(20)) }]);
    world.run(secs(21));
    assert_eq!(world.active(0), None);
    assert!(!world.kinds(0, |kind| matches!(kind, EventKind::NoPath { .. })).is_empty());
    world.links[0].expiry = Some(secs(3600));
    world.lookup();
    assert_eq!(world.active(0), Some(0));
}

#[test]
fn sixteen_paths_are_probed_and_the_rest_wait() {
    let mut world = World::new((0..40).map(|n| Link::rtt(ms(20 + n))).collect());
    world.run(secs(5));
    let probed = (0..40).filter(|link| world.state(0, *link) != State::Candidate).count();
    assert_eq!(probed, 16);
    world.cut(3);
    world.run(secs(10));
    assert_eq!((world.state(0, 3), world.state(0, 16)), (State::Dead, State::Standby), "the next one takes its turn");
}

#[test]
fn the_report_explains_each_rank() {
    let known = Link { bandwidth: Some(100_000), ..Link::rtt(ms(20)) };
    let unknown = Link { announced: false, ..Link::rtt(ms(60)) };
    let mut world = World::new(vec![
        known.clone(),
        unknown,
        Link::rtt(ms(22)),
        Link { cut: [true; 2], ..known },
        Link::tcp(ms(90)),
    ]);
    world.run(secs(10));
    let lines: Vec<String> = world.hosts[0]
        .manager
        .report(world.now)
        .iter()
        .map(|path| {
            let unknown: Vec<_> = path.unknown.iter().map(|metric| metric.as_str()).collect();
            format!("{} {} {}: {} | unknown: {}", path.rank, path.id, path.state, path.why, unknown.join(","))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn costing(preference: &str, entries: &[(&str, u64)]) -> Policy {
    let prices = Prices { cost: Tariff::new(entries).expect("a table"), ..Prices::default() };
    let policy = Policy::from(preference.parse::<natsd_path::Preference>().expect("a preference"));
    Policy { prices: Arc::new(prices), ..policy }
}

#[test]
fn a_path_that_costs_less_is_preferred_and_another_table_counts_at_once() {
    let policy = costing("cost,latency", &[("1-ff00:0:111#1", 5), ("0-0", 1)]);
    let config = Config { policy, ..Config::default() };
    let mut world = World::with_config(vec![Link::rtt(ms(20)), Link::rtt(ms(60))], config);
    world.traffic(0, ms(20), 200);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(1));
    let report = world.report(0, 0);
    assert_eq!(report.cost, Some(7));
    assert_eq!(report.why, "cost 7 (costs: 1-ff00:0:111#1 5, 0-0 1, 0-0 1), #1 has 2 (costs: 0-0 1, 0-0 1)");
    world.forget();
    let now = world.now;
    let dearer = costing("cost,latency", &[("1-ff00:0:111#2", 5)]);
    world.hosts[0].manager.set_policy(now, dearer);
    world.run(secs(10));
    assert_eq!((world.active(0), world.report(0, 0).cost), (Some(0), Some(0)));
    assert!(matches!(world.switches(0)[..], [EventKind::Switch { reason: Reason::Better(Metric::Cost), .. }]));
}

#[test]
fn a_path_that_costs_too_much_is_the_last_choice() {
    let mut policy = costing("latency", &[("1-ff00:0:111#1", 5)]);
    policy.rules.limits = Limits { cost: Some(4), ..Limits::default() };
    let config = Config { policy, ..Config::default() };
    let mut world = World::with_config(vec![Link::rtt(ms(20)), Link::rtt(ms(60))], config);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(1));
    assert_eq!(world.report(0, 0).why, "breaks max_cost 4; #1 breaks none");
    world.cut(1);
    world.traffic(0, ms(20), 200);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(0), "what costs too much is better than nothing");
}
