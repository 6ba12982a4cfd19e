//! Traces of messages that cross clusters: each server tells its part.

use super::{Roles, Setup, with_roles};
use crate::harness::client::Client;
use crate::leaf::{publisher, subscriber};

with_roles!(each_cluster_tells_its_part);

fn each_cluster_tells_its_part(roles: Roles) {
    let pair = Setup::default().start(roles);
    for ((from, to), names) in pair.ways().into_iter().zip([["a", "b"], ["b", "a"]]) {
        let mut listener = subscriber(to, "foo");
        let mut observer = subscriber(from, "trace");
        Client::connect(to.port).wait_for_interest("trace", true);
        let mut client = publisher(from, "foo");
        let headers = "NATS/1.0\r\nNats-Trace-Dest: trace\r\n\r\n";
        client.send(&format!("HPUB foo {} {}\r\n{headers}x\r\n", headers.len(), headers.len() + 1));
        let got = listener.next();
        assert_eq!(got.payload, "x");
        let parts: Vec<serde_json::Value> =
            observer.take(2).iter().map(|part| serde_json::from_str(&part.payload).expect("JSON")).collect();
        let of = |name: &str| parts.iter().find(|part| part["server"]["name"] == name).expect("told").clone();
        let (first, second) = (of(names[0]), of(names[1]));
        let egress = &first["events"][1];
        assert_eq!(
            (&egress["type"], &egress["kind"], &egress["hop"]),
            (&"eg".into(), &2.into(), &"1".into()),
            "{first}"
        );
        assert_eq!((&egress["name"], &first["hops"]), (&names[1].into(), &1.into()), "{first}");
        let ingress = &second["events"][0];
        assert_eq!((&ingress["type"], &ingress["kind"], &ingress["name"]), (&"in".into(), &2.into(), &names[0].into()));
        assert_eq!(second["request"]["header"]["Nats-Trace-Hop"][0], "1", "{second}");
        assert_eq!(second["events"][1]["kind"], 0, "{second}");
    }
}
