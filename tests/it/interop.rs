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
fn queue_groups_shrink() {
    cluster::queue_groups_shrink([Go, Natsd]);
    cluster::queue_groups_shrink([Natsd, Go]);
}

#[test]
fn clients_hear_of_other_servers() {
    cluster::clients_hear_of_other_servers([Go, Natsd]);
    cluster::clients_hear_of_other_servers([Natsd, Go]);
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
        cluster::queue_groups_shrink([Go; 2]);
        cluster::clients_hear_of_other_servers([Go; 2]);
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
