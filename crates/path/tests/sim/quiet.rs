//! Networks that are bad but work: traffic must not move.

use natsd_path::EventKind;

use crate::world::{Link, World, ms, secs};

/// Runs for two minutes and demands that the active path was never left for dead.
fn no_false_failover(links: Vec<Link>, every: u64, size: usize) {
    let mut world = World::new(links);
    world.traffic(0, ms(every), size);
    world.traffic(1, ms(every), 100);
    world.run(secs(120));
    for side in 0..2 {
        let dead = world.kinds(side, |kind| matches!(kind, EventKind::Down { .. } | EventKind::NoPath { .. }));
        assert_eq!(dead, [], "host {side}");
    }
}

#[test]
fn jitter_of_200_ms() {
    let jittery = |rtt| Link { jitter: ms(200), ..Link::rtt(ms(rtt)) };
    no_false_failover(vec![jittery(20), jittery(60)], 20, 200);
}

/// Nothing is known of the jitter as yet when traffic begins, and little is announced of the delay.
#[test]
fn jitter_from_the_first_packet_on() {
    let jittery = |rtt| Link { jitter: ms(50), loss: 0.05, ..Link::rtt(ms(rtt)) };
    let (mut down, mut hosts) = (0, 0);
    for rtt in 0..300 {
        let mut world = World::new([0, 2, 20, 40].map(|more| jittery(8 + rtt / 10 + more)).into());
        world.traffic(0, ms(1 + rtt % 10), if rtt % 2 == 0 { 200 } else { 1200 });
        world.traffic(1, ms(1 + rtt % 7), 1200);
        world.run(secs(2));
        for side in 0..2 {
            down += usize::from(!world.kinds(side, |kind| matches!(kind, EventKind::Down { .. })).is_empty());
            hosts += 1;
        }
    }
    assert!(down * 100 < hosts, "{down} of {hosts} left a path that lives");
}

#[test]
fn jitter_on_the_active_path_alone() {
    let links = vec![Link { jitter: ms(60), ..Link::rtt(ms(20)) }, Link::rtt(ms(100))];
    no_false_failover(links, 20, 200);
}

#[test]
fn five_percent_loss_with_frequent_messages() {
    let lossy = |rtt| Link { loss: 0.05, ..Link::rtt(ms(rtt)) };
    no_false_failover(vec![lossy(20), lossy(40), lossy(60)], 10, 200);
}

#[test]
fn five_percent_loss_with_rare_messages() {
    let lossy = |rtt| Link { loss: 0.05, ..Link::rtt(ms(rtt)) };
    no_false_failover(vec![lossy(20), lossy(40), lossy(60)], 250, 200);
}

#[test]
fn five_percent_loss_with_large_messages() {
    let lossy = |rtt| Link { loss: 0.05, ..Link::rtt(ms(rtt)) };
    no_false_failover(vec![lossy(20), lossy(40), lossy(60)], 50, 1300);
}

#[test]
fn a_round_trip_of_a_second() {
    no_false_failover(vec![Link { announced: false, ..Link::rtt(ms(1000)) }, Link::rtt(ms(1100))], 50, 200);
}

#[test]
fn an_idle_pair_of_hosts_stays_where_it_is_and_probes_little() {
    let mut world = World::new(vec![Link::rtt(ms(20)), Link::rtt(ms(40)), Link::rtt(ms(60))]);
    world.run(secs(60));
    assert_eq!((world.switches(0), world.active(0)), (vec![], Some(0)));
    assert!(world.hosts[0].probes_sent < 330, "{} probes in a minute", world.hosts[0].probes_sent);
}
