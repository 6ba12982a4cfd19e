//! Clusters of natsd and Go's nats-server.

use crate::cluster;
use crate::harness::node::Kind::{Go, Natsd};

#[test]
fn messages_flow_both_ways_when_natsd_dials() {
    cluster::messages_flow_both_ways([Go, Natsd]);
}

#[test]
fn messages_flow_both_ways_when_go_dials() {
    cluster::messages_flow_both_ways([Natsd, Go]);
}

#[test]
fn requests_are_answered_when_natsd_dials() {
    cluster::requests_are_answered([Go, Natsd]);
}

#[test]
fn requests_are_answered_when_go_dials() {
    cluster::requests_are_answered([Natsd, Go]);
}

#[test]
fn queue_groups_share_evenly_when_natsd_dials() {
    cluster::queue_groups_share_evenly([Go, Natsd]);
}

#[test]
fn queue_groups_share_evenly_when_go_dials() {
    cluster::queue_groups_share_evenly([Natsd, Go]);
}

#[test]
fn queue_groups_shrink() {
    cluster::queue_groups_shrink([Go, Natsd]);
    cluster::queue_groups_shrink([Natsd, Go]);
}

#[test]
fn pool_sizes_need_not_agree_when_natsd_dials() {
    cluster::pool_sizes_need_not_agree([Go, Natsd]);
}

#[test]
fn pool_sizes_need_not_agree_when_go_dials() {
    cluster::pool_sizes_need_not_agree([Natsd, Go]);
}

#[test]
fn a_natsd_seed_makes_a_full_mesh_of_go_servers() {
    cluster::one_seed_makes_a_full_mesh([Natsd, Go, Go]);
}

#[test]
fn a_go_seed_makes_a_full_mesh_of_natsd_servers() {
    cluster::one_seed_makes_a_full_mesh([Go, Natsd, Natsd]);
}

#[test]
fn a_natsd_seed_makes_a_full_mesh_of_both() {
    cluster::one_seed_makes_a_full_mesh([Natsd, Go, Natsd]);
    cluster::one_seed_makes_a_full_mesh([Natsd, Natsd, Go]);
}

#[test]
fn a_go_seed_makes_a_full_mesh_of_both() {
    cluster::one_seed_makes_a_full_mesh([Go, Go, Natsd]);
    cluster::one_seed_makes_a_full_mesh([Go, Natsd, Go]);
}

#[test]
fn a_killed_natsd_comes_back() {
    cluster::a_killed_server_comes_back([Natsd, Go, Go], 0);
    cluster::a_killed_server_comes_back([Go, Natsd, Go], 1);
}

#[test]
fn a_killed_go_server_comes_back() {
    cluster::a_killed_server_comes_back([Go, Natsd, Natsd], 0);
    cluster::a_killed_server_comes_back([Natsd, Natsd, Go], 2);
}

#[test]
fn clients_hear_of_other_servers() {
    cluster::clients_hear_of_other_servers([Go, Natsd]);
    cluster::clients_hear_of_other_servers([Natsd, Go]);
}

#[test]
fn go_only() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let is = |x: &str| only.is_empty() || only == x;
    if is("flow") {
        cluster::messages_flow_both_ways([Go, Go]);
        eprintln!("flow ok");
    }
    if is("req") {
        cluster::requests_are_answered([Go, Go]);
        eprintln!("req ok");
    }
    if is("queue") {
        cluster::queue_groups_share_evenly([Go, Go]);
        eprintln!("queue ok");
    }
    if is("shrink") {
        cluster::queue_groups_shrink([Go, Go]);
        eprintln!("shrink ok");
    }
    if is("pool") {
        cluster::pool_sizes_need_not_agree([Go, Go]);
        eprintln!("pool ok");
    }
    if is("seed") {
        cluster::one_seed_makes_a_full_mesh([Go, Go, Go]);
        eprintln!("seed ok");
    }
    if is("kill0") {
        cluster::a_killed_server_comes_back([Go, Go, Go], 0);
        eprintln!("kill0 ok");
    }
    if is("kill1") {
        cluster::a_killed_server_comes_back([Go, Go, Go], 1);
        eprintln!("kill1 ok");
    }
    if is("hear") {
        cluster::clients_hear_of_other_servers([Go, Go]);
        eprintln!("hear ok");
    }
}
