//! Traffic that goes over two paths at once.

use std::time::Duration;

use natsd_path::{Config, Policy};

use crate::world::{Link, World, ms, secs};

fn redundant() -> Config {
    Config { policy: Policy { redundant: true, ..Policy::default() }, ..Config::default() }
}

/// Host 0 sends a message every 5 ms; both hosts want it over two paths.
fn busy(links: Vec<Link>) -> World {
    let mut world = World::with_config(links, redundant());
    world.traffic(0, ms(5), 200);
    world.run(secs(10));
    assert_eq!(world.active(0), Some(0));
    world.forget();
    world
}

/// The longest time without a new message at host 1 while this happens, and for ten seconds.
fn gap(world: &mut World, happens: impl FnOnce(&mut World)) -> Duration {
    world.hosts[1].longest_gap = Duration::ZERO;
    happens(world);
    world.run(secs(10));
    let gap = world.hosts[1].longest_gap;
    world.stop_traffic(0);
    world.run(secs(5));
    assert_eq!(world.undelivered(0), 0, "lost");
    gap
}

#[test]
fn a_copy_takes_the_path_that_shares_least() {
    let near = Link { shares: Some(1), ..Link::rtt(ms(20)) };
    let world = busy(vec![near.clone(), Link { shares: Some(1), ..Link::rtt(ms(22)) }, Link::rtt(ms(90))]);
    assert_eq!((world.active(0), world.hedge(0)), (Some(0), Some(2)));
    assert!(world.report(0, 2).why.ends_with("; carries a copy of all traffic"));
}

#[test]
fn nobody_waits_when_a_path_fails() {
    let links = || vec![Link::rtt(ms(20)), Link::rtt(ms(60)), Link::rtt(ms(100))];
    // What is on the slower path comes when it comes, and one message is 5 ms after the last.
    let difference = ms(20) + ms(5);
    let mut world = busy(links());
    let took = gap(&mut world, |world| world.cut(0));
    assert!(took <= difference, "{took:?}");
    assert_eq!((world.active(0), world.hedge(0)), (Some(1), Some(2)));

    let mut world = busy(links());
    let took = gap(&mut world, |world| world.cut(1));
    assert!(took <= ms(5), "{took:?}: the copy was not missed");
    assert_eq!((world.active(0), world.hedge(0)), (Some(0), Some(2)));
}

#[test]
fn what_one_path_loses_the_other_one_brings() {
    let mut world = busy(vec![Link { loss: 0.08, ..Link::rtt(ms(20)) }, Link::rtt(ms(30))]);
    let took = gap(&mut world, |_| {});
    assert!(took <= ms(10), "{took:?}");
}

#[test]
fn a_single_path_has_no_copy_until_there_is_another() {
    let mut world = busy(vec![Link::rtt(ms(20)), Link::rtt(ms(60))]);
    world.cut(1);
    world.run(secs(10));
    assert_eq!((world.active(0), world.hedge(0)), (Some(0), None));
    world.restore(1);
    world.run(secs(20));
    assert_eq!(world.hedge(0), Some(1));
    world.want(0, Policy::default());
    assert_eq!(world.hedge(0), None);
}
