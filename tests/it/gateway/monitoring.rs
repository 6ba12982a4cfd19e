//! What monitoring tells of other clusters.

use super::{Pair, Roles, Setup, with_roles};
use crate::harness::client::Client;
use crate::harness::http::json;
use crate::harness::node::free_port;
use crate::leaf::subscriber;

with_roles!(both_clusters_are_told_of_each_other);

fn both_clusters_are_told_of_each_other(roles: Roles) {
    let both = "http: \"127.0.0.1:-1\"";
    let Pair { mut a, mut b } = Setup { both, b: "connect_retries: 3", ..Setup::default() }.start(roles);
    let ports = [&mut a, &mut b].map(|server| {
        let line = server.log().iter().find(|line| line.contains("Starting http monitor on ")).expect("logged").clone();
        line.rsplit_once(':').expect("host:port").1.parse::<u16>().expect("a port")
    });
    let mut listener = subscriber(&b, "foo");
    listener.subscribe_queue("foo", "q", "2");
    listener.flush();
    let mut client = Client::connect(a.port);
    client.wait_for_interest("foo", true);
    client.publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");

    let of_a = json(ports[0], "/gatewayz?accs=1&subs=1");
    assert_eq!((&of_a["name"], &of_a["host"]), (&"A".into(), &"127.0.0.1".into()));
    let out = &of_a["outbound_gateways"]["B"];
    assert_eq!((&out["configured"], &out["connection"]["kind"]), (&true.into(), &"Gateway".into()));
    let id = json(ports[1], "/varz")["server_id"].clone();
    assert_eq!(out["connection"]["name"], id);
    assert!(out["connection"]["out_msgs"].as_u64() >= Some(1), "{out}");
    assert!(out["connection"]["subscriptions"].as_u64() >= Some(2), "{out}");
    assert!(out["connection"].get("type").is_none(), "{out}");
    let global = |remote: &serde_json::Value| {
        let accounts = remote["accounts"].as_array().expect("asked for").clone();
        accounts.into_iter().find(|account| account["name"] == "$G").expect("there is one")
    };
    let account = global(out);
    assert_eq!(account["interest_mode"], "Interest-Only");
    assert_eq!((&account["interest_only_threshold"], &account["num_subs"]), (&1000.into(), &3.into()), "{account}");
    assert_eq!(account["num_queue_subs"], 1);
    let mut list: Vec<_> = account["subscriptions_list"].as_array().expect("asked for").iter().collect();
    list.sort_by_key(|subject| subject.to_string());
    assert_eq!(list, ["_probe", "foo", "foo"]);
    let inbound = &of_a["inbound_gateways"]["B"][0];
    assert_eq!((&inbound["configured"], &global(inbound)["interest_mode"]), (&false.into(), &"Interest-Only".into()));

    let of_b = json(ports[1], "/gatewayz?gw_name=A&acc_name=$G&subs=detail");
    assert_eq!(of_b["outbound_gateways"]["A"]["configured"], false, "it was heard of");
    assert_eq!(of_b["inbound_gateways"]["A"][0]["accounts"].as_array().map(Vec::len), Some(1));
    assert!(of_b["inbound_gateways"]["A"][0]["connection"]["in_msgs"].as_u64() >= Some(1));
    let nobody = json(ports[1], "/gatewayz?gw_name=X");
    assert_eq!((&nobody["outbound_gateways"], &nobody["inbound_gateways"]), (&().into(), &serde_json::json!({})));

    let [of_a, of_b] = ports.map(|port| json(port, "/varz"));
    assert_eq!((&of_a["gateway"]["name"], &of_b["gateway"]["connect_retries"]), (&"A".into(), &3.into()));
    assert_eq!((&of_a["gateway"]["gateways"][0]["name"], &of_a["gateway"]["auth_timeout"]), (&"B".into(), &2.into()));
    assert_eq!(of_a["cluster"]["name"].as_str().unwrap_or("A"), "A");
    let stats = json(ports[0], "/accstatz");
    let stat = &stats["account_statz"][0];
    assert!(stat["sent"]["gateways"]["msgs"].as_u64() >= Some(1), "{stat}");
}

#[test]
fn the_port_that_was_free_is_told() {
    let port = free_port();
    let config = format!("http: {port}\ngateway {{ name: A, host: 127.0.0.1, port: -1 }}");
    let server = crate::harness::server::TestServer::natsd(&config);
    let told = json(port, "/gatewayz");
    let bound = told["port"].as_u64().expect("a port");
    assert!(server.log().iter().any(|line| line.ends_with(&format!("gateways connections on 127.0.0.1:{bound}"))));
}
