//! Clusters in one thread, on a clock that jumps: hubs, accounts, routes and what is said on them are those of the server;
//! only sockets and tasks are not. Connections break, networks split, servers end and come back, at random.
//!
//! There are meshes, and graphs in which servers pass on what is for others.
//!
//! Whatever happens, nobody gets a message twice, and no queue group gets it at two of its members; between servers that
//! have been connected for a while nothing is lost; and when all is quiet every server knows exactly what the others are
//! interested in.
//!
//! `NATSD_SEEDS=100..200 cargo test --lib route::simulation` plays other games than usual, or one again that went wrong.

mod checks;
mod game;
mod network;
mod server;

use std::ops::Range;

use crate::config::options::RouteType;
use game::Game;

/// The games that are played when nothing else is said. CI plays three times as many.
const SEEDS: Range<u64> = 0..1_000;

fn seeds() -> Range<u64> {
    let Ok(wanted) = std::env::var("NATSD_SEEDS") else { return SEEDS };
    let number = |text: &str| text.parse().expect("NATSD_SEEDS is FIRST..END, two numbers");
    let (first, end) = wanted.split_once("..").expect("NATSD_SEEDS is FIRST..END, two numbers");
    number(first)..number(end)
}

fn play(route_type: RouteType, seeds: &Range<u64>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let own = seeds.clone().skip(thread as usize).step_by(threads as usize);
            scope.spawn(move || own.for_each(|seed| Game::new(seed, route_type).play()));
        }
    });
}

#[test]
fn clusters_neither_double_nor_lose_messages_nor_keep_phantom_interest() {
    play(RouteType::Mesh, &seeds());
}

#[test]
fn neither_do_clusters_over_several_hops() {
    play(RouteType::Dag, &seeds());
}
