//! Several lanes to one AS: each has a manager, and all cross the same links.

use std::time::Duration;

use natsd_path::{Config, EventKind, Lanes, Reason};

use crate::world::{Link, World, ms, secs};

/// A world a lane, in step.
struct Pool {
    worlds: Vec<World>,
    /// Of each host.
    lanes: [Lanes; 2],
}

impl Pool {
    fn new(lanes: u16, links: &[Link]) -> Self {
        let config = |lane| Lanes::config(lane, Config::default());
        let worlds = (0..lanes).map(|lane| World::with_config(links.to_vec(), config(lane))).collect();
        let mut pool = Self { worlds, lanes: Default::default() };
        for world in &mut pool.worlds {
            world.traffic(0, ms(10), 1000);
            world.traffic(1, ms(10), 1000);
        }
        pool.tell();
        pool
    }

    /// Tells every lane where the others are.
    fn tell(&mut self) {
        for side in 0..2 {
            for (lane, world) in (0..).zip(&self.worlds) {
                let active = world.active(side).map(|link| world.report(side, link).interfaces);
                self.lanes[side].occupy(("".into(), lane), &active.unwrap_or_default());
            }
            for (lane, world) in (0..).zip(&mut self.worlds) {
                world.crowd(side, &self.lanes[side].crowd("", lane));
            }
        }
    }

    fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 10 {
            self.worlds.iter_mut().for_each(|world| world.run(ms(10)));
            self.tell();
        }
    }

    /// The links that carry the lanes of a host, in the order of the lanes.
    fn active(&self, side: usize) -> Vec<Option<usize>> {
        self.worlds.iter().map(|world| world.active(side)).collect()
    }

    fn cut(&mut self, link: usize) {
        self.worlds.iter_mut().for_each(|world| world.cut(link));
    }

    fn restore(&mut self, link: usize) {
        self.worlds.iter_mut().for_each(|world| world.restore(link));
    }

    /// Ends the traffic; what was sent arrives.
    fn hush(&mut self) {
        for world in &mut self.worlds {
            world.stop_traffic(0);
            world.stop_traffic(1);
        }
        self.run(secs(1));
    }

    fn undelivered(&self) -> usize {
        self.worlds.iter().map(|world| world.undelivered(0) + world.undelivered(1)).sum()
    }
}

fn three() -> Vec<Link> {
    vec![Link::rtt(ms(10)), Link::rtt(ms(40)), Link::rtt(ms(90))]
}

#[test]
fn lanes_find_paths_apart_from_each_other_and_the_first_keeps_the_best() {
    let mut pool = Pool::new(3, &three());
    pool.run(secs(15));
    for side in 0..2 {
        let active = pool.active(side);
        assert_eq!(active[0], Some(0), "the first lane goes where the preference says");
        assert!(active.contains(&Some(1)) && active.contains(&Some(2)), "{active:?}");
    }
    let reason = |kind: &EventKind| matches!(kind, EventKind::Switch { reason: Reason::Apart, .. });
    let moves: Vec<_> = pool.worlds.iter().map(|world| world.kinds(0, reason).len()).collect();
    assert!(moves[0] == 0 && moves.iter().sum::<usize>() <= 3, "{moves:?}");
}

#[test]
fn there_is_peace_with_more_lanes_than_paths() {
    let mut pool = Pool::new(7, &three());
    pool.run(secs(40));
    let settled = pool.active(0);
    for link in 0..3 {
        let lanes = settled.iter().filter(|active| **active == Some(link)).count();
        assert!((2..=3).contains(&lanes), "{settled:?}");
    }
    pool.run(secs(60));
    assert_eq!(pool.active(0), settled);
}

#[test]
fn a_cut_moves_only_the_lane_that_it_meets_and_costs_nothing() {
    for cut in 0..3 {
        let mut pool = Pool::new(3, &three());
        pool.run(secs(15));
        let before = pool.active(0);
        pool.cut(cut);
        pool.run(secs(2));
        for (was, is) in before.iter().zip(pool.active(0)) {
            assert!((*was == is) == (*was != Some(cut)), "{before:?} with {cut} cut: {:?}", pool.active(0));
        }
        pool.restore(cut);
        pool.run(secs(30));
        let mut again = pool.active(0);
        assert_eq!(again[0], Some(0));
        again.sort();
        assert_eq!(again, [Some(0), Some(1), Some(2)], "the path that is back is used");
        pool.hush();
        assert_eq!(pool.undelivered(), 0);
    }
}

#[test]
fn paths_that_share_a_part_are_better_than_the_same_path() {
    let shares = |rtt| Link { shares: Some(7), ..Link::rtt(ms(rtt)) };
    let mut pool = Pool::new(2, &[shares(10), shares(20)]);
    pool.run(secs(15));
    assert_eq!(pool.active(0), [Some(0), Some(1)]);
    assert_eq!(pool.worlds[1].report(0, 0).decided_by, Some("crowding"));
    let why = pool.worlds[1].report(0, 0).why;
    assert_eq!(why, "other lanes use 4 of its interfaces, 1 of #1");
}
