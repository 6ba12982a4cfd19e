//! What happens when one of the two is gone, or leads back to the other.

use super::{Roles, Setup, publisher, subscriber, wait_for_log, with_roles};
use crate::harness::node::free_port;
use crate::harness::server::TestServer;

with_roles!(a_hub_that_comes_back_is_found, loops_are_found, one_cluster_name_is_refused);

fn a_hub_that_comes_back_is_found(roles: Roles) {
    let setup = Setup::default();
    let (mut pair, port) = setup.start_apart(roles);
    let mut here = subscriber(&pair.leaf, "news");
    publisher(&pair.hub, "news");
    drop(pair.hub);
    pair.leaf.wait_for_line("Error trying to connect as leafnode to remote server");
    let mut client = publisher(&pair.leaf, "news");
    client.publish("news", "of the leaf");
    let payloads =
        |got: Vec<crate::harness::client::Delivery>| got.into_iter().map(|it| it.payload).collect::<Vec<_>>();
    assert_eq!(here.next().payload, "of the leaf", "what is here goes on");
    let hub = TestServer::start(roles.hub, &setup.hub_config(port));
    publisher(&hub, "news").publish("news", "of the hub");
    assert_eq!(payloads(here.take(1)), ["of the hub"]);
}

fn loops_are_found(roles: Roles) {
    let (one, two) = (free_port(), free_port());
    let config = |name: &str, own: u16, other: u16| {
        format!(
            "server_name: {name}\nleafnodes {{ listen: \"127.0.0.1:{own}\", compression: off, reconnect: \"100ms\"\n\
             remotes: [{{ url: \"nats-leaf://127.0.0.1:{other}\", compression: off }}] }}"
        )
    };
    let mut hub = TestServer::start(roles.hub, &config("one", one, two));
    let mut leaf = TestServer::start(roles.leaf, &config("two", two, one));
    let expected = "Loop detected for leafnode account=\"$G\". Delaying attempt to reconnect for 30s";
    wait_for_log(&mut hub, expected);
    wait_for_log(&mut leaf, expected);
}

fn one_cluster_name_is_refused(roles: Roles) {
    let cluster = || format!("cluster {{ name: same, listen: \"127.0.0.1:{}\" }}", free_port());
    let (hub, leaf) = (cluster(), cluster());
    let (mut pair, _) = Setup { hub: &hub, leaf: &leaf, ..Setup::default() }.start_apart(roles);
    wait_for_log(&mut pair.hub, "remote leafnode has same cluster name");
    let told = "Leafnode connection dropped with same cluster name error. Delaying attempt to reconnect for 30s";
    wait_for_log(&mut pair.leaf, told);
}
