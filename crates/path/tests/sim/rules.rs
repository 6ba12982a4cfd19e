//! What the operator rules out, and limits that paths should keep.

use natsd_path::{Acl, Config, EventKind, Limits, PathReport, Policy, Reason, Rule, Rules, State};

use crate::world::{Link, World, ms, preferring, secs};

/// Nothing may cross these interfaces: link 0 is `1-ff00:0:111#1`, and so on.
fn without(interfaces: &[&str]) -> Policy {
    let entries: Vec<_> = interfaces.iter().map(|interface| format!("- {interface}")).chain(["+".to_owned()]).collect();
    let rules = Rules { strict: vec![Rule::Acl(Acl::new(&entries).expect("an ACL"))], ..Rules::default() };
    Policy { rules, ..Policy::default() }
}

fn within(limits: Limits, preference: &str) -> Config {
    let rules = Rules { limits, ..Rules::default() };
    Config { policy: Policy { rules, ..preferring(preference) }, ..Config::default() }
}

fn excluded(world: &World) -> Vec<PathReport> {
    let report = world.hosts[0].manager.report(world.now);
    report.into_iter().filter(|path| path.state == State::Excluded).collect()
}

#[test]
fn an_excluded_path_carries_nothing_even_when_all_others_fail() {
    let config = Config { policy: without(&["1-ff00:0:111#1"]), ..Config::default() };
    let mut world = World::with_config(vec![Link::rtt(ms(5)), Link::rtt(ms(20)), Link::rtt(ms(40))], config);
    world.traffic(0, ms(20), 200);
    world.run(secs(5));
    assert_eq!(world.active(0), Some(1));
    world.cut(1);
    world.run(secs(5));
    assert_eq!(world.active(0), Some(2));
    world.cut(2);
    world.run(secs(30));
    assert_ne!(world.active(0), Some(0));
    let [path] = &excluded(&world)[..] else { panic!("one is excluded") };
    assert_eq!((path.rank, path.probes_sent), (3, 0), "nobody asks it");
    assert_eq!(path.why, "acl \"- 1-ff00:0:111#1\" excludes 1-ff00:0:111#1");
}

#[test]
fn a_rule_that_comes_moves_the_traffic_at_once_and_one_that_goes_gives_the_path_back() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.traffic(0, ms(20), 200);
    world.run(secs(5));
    world.forget();
    world.want(0, without(&["1-ff00:0:112#1"]));
    assert_eq!(world.active(0), Some(1));
    assert!(matches!(world.switches(0)[..], [EventKind::Switch { reason: Reason::Excluded, .. }]));
    world.run(secs(5));
    assert_eq!(excluded(&world).len(), 1);
    world.want(0, Policy::default());
    assert!(excluded(&world).is_empty());
    world.run(secs(8));
    assert_eq!(world.active(0), Some(0));
    world.stop_traffic(0);
    world.run(secs(1));
    assert_eq!(world.undelivered(0), 0);
}

#[test]
fn when_rules_exclude_all_paths_nothing_is_sent_and_that_is_said_once() {
    let config = Config { policy: without(&["1-ff00:0:112"]), ..Config::default() };
    let mut world = World::with_config(vec![Link::rtt(ms(20)), Link::rtt(ms(60))], config);
    world.run(secs(5));
    world.lookup();
    assert_eq!(world.active(0), None);
    assert_eq!(world.kinds(0, |kind| matches!(kind, EventKind::NoneAllowed { paths: 2 })).len(), 1);
    assert_eq!(world.hosts[0].probes_sent, 0);
    world.want(0, Policy::default());
    assert_eq!(world.active(0), Some(0));
}

#[test]
fn tcp_is_no_way_around_the_rules() {
    let mut policy = without(&["1-ff00:0:111#9"]);
    let world = |policy: &Policy| {
        let links = vec![Link::rtt(ms(20)), Link::tcp(ms(20))];
        let mut world = World::with_config(links, Config { policy: policy.clone(), ..Config::default() });
        world.traffic(0, ms(20), 200);
        world.run(secs(5));
        world.cut(0);
        world.run(secs(10));
        world
    };
    assert_eq!(world(&policy).active(0), Some(0));
    policy.rules.tcp = Some(true);
    assert_eq!(world(&policy).active(0), Some(1));
}

#[test]
fn a_path_that_becomes_slower_than_the_limit_is_left_although_it_is_preferred() {
    let limits = Limits { latency: Some(ms(100)), ..Limits::default() };
    let wide = Link { bandwidth: Some(1_000_000), ..Link::rtt(ms(20)) };
    let narrow = Link { bandwidth: Some(10_000), ..Link::rtt(ms(60)) };
    let mut world = World::with_config(vec![wide, narrow], within(limits, "bandwidth"));
    world.run(secs(10));
    assert_eq!(world.active(0), Some(0));
    world.forget();
    world.links[0].delay = ms(75);
    world.run(secs(15));
    assert_eq!(world.active(0), Some(1));
    assert!(matches!(world.switches(0)[..], [EventKind::Switch { reason: Reason::WithinLimits, .. }]));
    let why = world.report(0, 0).why;
    assert!(why.starts_with("breaks max_latency 100.0 ms; ") && why.ends_with(" breaks none"), "{why}");
}

#[test]
fn a_limit_that_no_path_keeps_stops_nothing() {
    let limits = Limits { latency: Some(ms(1)), bandwidth: Some(u64::MAX), mtu: Some(9000), ..Limits::default() };
    let mut world = World::with_config(vec![Link::rtt(ms(20)), Link::rtt(ms(60))], within(limits, "latency"));
    world.traffic(0, ms(20), 200);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(0));
    world.cut(0);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(1));
}
