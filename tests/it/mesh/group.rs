//! A queue group with members all over a cluster.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::harness::client::{Client, Delivery};
use crate::harness::server::wait_for;

/// Adds so many members to the group, called `m0`, `m1` and so on.
pub fn join_group(client: &mut Client, members: usize) {
    for member in 0..members {
        client.subscribe_queue("jobs", "workers", &format!("m{member}"));
    }
    client.flush();
}

/// Publishes numbers at one server; what the members at each server got, once all have come.
pub fn work(clients: &mut [Client], publisher: usize, count: usize) -> Vec<Vec<Delivery>> {
    let mut jobs = String::new();
    for number in 0..count {
        let number = number.to_string();
        write!(jobs, "PUB jobs {}\r\n{number}\r\n", number.len()).expect("a String takes all");
    }
    clients[publisher].send(&jobs);
    clients[publisher].flush();
    let mut got = vec![Vec::new(); clients.len()];
    wait_for("all work to be done", || {
        for (client, got) in clients.iter_mut().zip(&mut got) {
            got.extend(client.drain());
        }
        (got.iter().map(Vec::len).sum::<usize>() >= count).then_some(())
    });
    let numbers = got.iter().flatten().map(|delivery| &*delivery.payload).collect::<BTreeSet<_>>();
    assert_eq!((numbers.len(), got.iter().map(Vec::len).sum::<usize>()), (count, count), "each job is done once");
    got
}
