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
fn routes_speak_over_tls_when_natsd_dials() {
    cluster::routes_speak_over_tls([Go, Natsd]);
}

#[test]
fn routes_speak_over_tls_when_go_dials() {
    cluster::routes_speak_over_tls([Natsd, Go]);
}

#[test]
fn gossip_leads_to_tls() {
    cluster::gossip_leads_to_tls([Natsd, Go, Natsd]);
    cluster::gossip_leads_to_tls([Go, Natsd, Natsd]);
}

#[test]
fn insecure_dialers_believe_anybody() {
    cluster::insecure_dialers_believe_anybody([Go, Natsd]);
    cluster::insecure_dialers_believe_anybody([Natsd, Go]);
}

#[test]
fn strangers_are_no_peers() {
    cluster::strangers_are_no_peers([Go, Natsd]);
    cluster::strangers_are_no_peers([Natsd, Go]);
}

/// The scenarios say what nats-server does, not what natsd makes of it.
mod go_only {
    use crate::harness::node::Kind::Go;
    use crate::{cluster, route};

    #[test]
    fn scenarios_of_clusters() {
        cluster::messages_flow_both_ways([Go; 2]);
        cluster::requests_are_answered([Go; 2]);
        cluster::queue_groups_share_evenly([Go; 2]);
        cluster::queue_groups_shrink([Go; 2]);
        cluster::pool_sizes_need_not_agree([Go; 2]);
        cluster::one_seed_makes_a_full_mesh([Go; 3]);
        cluster::a_killed_server_comes_back([Go; 3], 1);
        cluster::clients_hear_of_other_servers([Go; 2]);
        cluster::routes_speak_over_tls([Go; 2]);
        cluster::gossip_leads_to_tls([Go; 3]);
        cluster::insecure_dialers_believe_anybody([Go; 2]);
        cluster::strangers_are_no_peers([Go; 2]);
    }

    #[test]
    fn the_protocol_to_the_letter() {
        route::malformed_lines_end_the_route(Go);
        route::interest_is_told_once(Go);
        route::a_new_peer_hears_of_all_interest(Go);
        route::messages_name_whom_they_are_for(Go);
        route::one_hop_is_all(Go);
        route::a_group_without_members_here_is_served_elsewhere(Go);
        route::who_is_no_peer_is_sent_away(Go);
    }
}
