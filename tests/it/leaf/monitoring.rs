//! What monitoring tells of leaf nodes.

use super::{Pair, Roles, Setup, subscriber, with_roles};
use crate::harness::client::Client;
use crate::harness::http::json;
use crate::harness::node::free_port;

with_roles!(both_sides_are_told_of_each_other);

fn both_sides_are_told_of_each_other(roles: Roles) {
    let ports = [free_port(), free_port()];
    let [hub, leaf] = ports.map(|port| format!("http: \"127.0.0.1:{port}\""));
    let remote = "deny_imports: secret";
    let Pair { hub: at_hub, leaf: at_leaf } = Setup { hub: &hub, leaf: &leaf, remote, ..Setup::default() }.start(roles);
    let mut listener = subscriber(&at_leaf, "foo");
    let mut client = Client::connect(at_hub.port);
    client.wait_for_interest("foo", true);
    client.publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");

    let [of_hub, of_leaf] = ports.map(|port| json(port, "/leafz?subs=1"));
    assert_eq!((&of_hub["leafnodes"], &of_leaf["leafnodes"]), (&1.into(), &1.into()));
    let (to_leaf, to_hub) = (&of_hub["leafs"][0], &of_leaf["leafs"][0]);
    assert_eq!((&to_leaf["name"], &to_leaf["is_spoke"]), (&"leaf".into(), &false.into()));
    assert_eq!((&to_hub["name"], &to_hub["is_spoke"]), (&"hub".into(), &true.into()));
    assert_eq!((&to_leaf["account"], &to_leaf["ip"]), (&"$G".into(), &"127.0.0.1".into()));
    assert!(to_leaf["out_msgs"].as_u64() >= Some(1) && to_leaf["out_bytes"].as_u64() >= Some(5), "{to_leaf}");
    assert!(to_hub["in_msgs"].as_u64() >= Some(1), "{to_hub}");
    let list = to_leaf["subscriptions_list"].as_array().expect("asked for");
    assert!(list.contains(&"foo".into()), "{list:?}");
    assert_eq!(to_leaf["subscriptions"].as_u64(), Some(list.len() as u64));
    let others = json(ports[0], "/leafz?acc=OTHER");
    assert_eq!((&others["leafnodes"], others["leafs"].as_array().map(Vec::len)), (&0.into(), Some(0)));

    let [of_hub, of_leaf] = ports.map(|port| json(port, "/varz"));
    assert_eq!((&of_hub["leafnodes"], &of_leaf["leafnodes"]), (&1.into(), &1.into()));
    assert_eq!((&of_hub["leaf"]["host"], &of_hub["leaf"]["auth_timeout"]), (&"127.0.0.1".into(), &2.into()));
    let remote = &of_leaf["leaf"]["remotes"][0];
    assert_eq!((&remote["local_account"], &remote["deny"]["imports"][0]), (&"$G".into(), &"secret".into()));
    let account = json(ports[0], "/accountz?acc=$G");
    assert_eq!(account["account_detail"]["leafnode_connections"], 1);
    let stats = json(ports[0], "/accstatz");
    let stat = &stats["account_statz"][0];
    assert_eq!((&stat["leafnodes"], &stat["total_conns"]), (&1.into(), &2.into()), "{stat}");
    assert!(stat["sent"]["leafs"]["msgs"].as_u64() >= Some(1), "{stat}");
}
