//! What the account of a leaf node shares with other accounts of its hub.

use super::{Pair, Roles, Setup, with_roles};
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::server::{TestServer, wait_for};

with_roles!(
    streams_of_other_accounts_reach_leaf_nodes,
    groups_share_imported_streams,
    leaf_nodes_ask_services_of_other_accounts,
    services_may_be_behind_leaf_nodes,
    hubs_know_who_asks_by_the_name_of_their_own_account,
);

/// The leaf node is in account B, which imports from A.
const HUB: &str = "accounts {\n\
    A { users: [{ user: a, password: a }], exports: [{ stream: \"news.>\" }, { service: help }] }\n\
    B { users: [{ user: b, password: b }], imports: [\n\
        { stream: { account: A, subject: \"news.>\" }, prefix: of }\n\
        { service: { account: A, subject: help }, to: ask }] }\n\
    C { users: [{ user: c, password: c }] } }";

fn start(roles: Roles) -> Pair {
    Setup { hub: HUB, user: "b:b@", ..Setup::default() }.start(roles)
}

fn streams_of_other_accounts_reach_leaf_nodes(roles: Roles) {
    let pair = start(roles);
    let mut at_leaf = Client::connect(pair.leaf.port);
    at_leaf.subscribe("of.news.*", "1");
    at_leaf.subscribe("of.news.sport", "2");
    at_leaf.flush();
    let mut exporter = Client::connect_as(pair.hub.port, "a");
    exporter.wait_for_interest("news.sport", true);
    exporter.wait_for_interest("news.other", true);
    assert!(!exporter.sees_interest("news.of.others"), "nobody wants that");
    exporter.publish("news.sport", "one");
    exporter.publish("news.other", "two");
    let mut got: Vec<_> = at_leaf.take(3).into_iter().map(|got| (got.sid, got.subject, got.payload)).collect();
    got.sort();
    let expected = [("1", "of.news.other", "two"), ("1", "of.news.sport", "one"), ("2", "of.news.sport", "one")];
    assert_eq!(got, expected.map(|(sid, subject, payload)| (sid.into(), subject.into(), payload.into())));

    let mut stranger = Client::connect_as(pair.hub.port, "c");
    assert!(!stranger.sees_interest("news.sport"));
    at_leaf.send("UNSUB 1\r\nUNSUB 2\r\n");
    at_leaf.flush();
    exporter.wait_for_interest("news.sport", false);
    assert!(at_leaf.drain().is_empty(), "each once");
}

fn groups_share_imported_streams(roles: Roles) {
    let pair = start(roles);
    let mut members = [(); 2].map(|()| Client::connect(pair.leaf.port));
    for member in &mut members {
        member.subscribe_queue("of.news.work", "q", "1");
        member.flush();
    }
    let mut exporter = Client::connect_as(pair.hub.port, "a");
    exporter.wait_for_interest("news.work", true);
    for n in 0..100 {
        exporter.publish("news.work", &n.to_string());
    }
    let mut shares = [0; 2];
    wait_for("all messages", || {
        for (share, member) in shares.iter_mut().zip(&mut members) {
            *share += member.drain().len();
        }
        (shares[0] + shares[1] >= 100).then_some(())
    });
    assert_eq!(shares[0] + shares[1], 100);
    assert!(shares.iter().all(|share| *share > 10), "{shares:?}");
}

fn leaf_nodes_ask_services_of_other_accounts(roles: Roles) {
    let pair = start(roles);
    let mut service = Client::connect_as(pair.hub.port, "a");
    service.subscribe("help", "1");
    service.flush();
    let mut client = Client::connect(pair.leaf.port);
    client.subscribe("answers.*", "2");
    client.wait_for_interest("ask", true);
    client.request("ask", "answers.1", "?");
    let request = service.next();
    assert_eq!(request.payload, "?");
    assert!(request.headers.contains("\"acc\":\"B\""), "{}", request.headers);
    service.publish(&request.reply.expect("an answer is wanted"), "!");
    let answer = client.next();
    assert_eq!((answer.subject.as_str(), answer.payload.as_str()), ("answers.1", "!"));
}

fn services_may_be_behind_leaf_nodes(roles: Roles) {
    let pair = Setup { hub: HUB, user: "a:a@", ..Setup::default() }.start(roles);
    let mut service = Client::connect(pair.leaf.port);
    service.subscribe("help", "1");
    service.flush();
    let mut client = Client::connect_as(pair.hub.port, "b");
    client.subscribe("answers.*", "2");
    client.wait_for_interest("ask", true);
    // What the account listens to for answers may be told after the request that it was made up for.
    let answer = wait_for("an answer", || {
        client.request("ask", "answers.1", "?");
        let request = service.next();
        service.publish(&request.reply.expect("an answer is wanted"), "!");
        service.flush();
        client.drain().pop()
    });
    assert_eq!((answer.subject.as_str(), answer.payload.as_str()), ("answers.1", "!"));

    client.subscribe("of.news.leaf", "3");
    client.flush();
    let mut publisher = Client::connect(pair.leaf.port);
    publisher.wait_for_interest("news.leaf", true);
    publisher.publish("news.leaf", "from the leaf");
    wait_for("the stream", || client.drain().into_iter().find(|got| got.payload == "from the leaf"));
}

/// The leaf node's accounts ASKS and GIVES are FAR and NEAR at the hub; each side has a service that the other one's clients ask
/// through an account of their own.
fn hubs_know_who_asks_by_the_name_of_their_own_account(roles: Roles) {
    let port = free_port();
    let accounts = |[asks, gives]: [&str; 2]| {
        format!(
            "accounts {{ {asks}: {{ users: [{{ user: x, password: x }}], imports: [{{ service: {{ account: {gives}, \
             subject: help }}, to: \"{asks}.help\" }}] }}, {gives}: {{ users: [{{ user: y, password: y }}], exports: [{{ service: help }}] }} }}"
        )
    };
    let hub = format!(
        "server_name: hub\nleafnodes {{ listen: \"127.0.0.1:{port}\", compression: off }}\n{}",
        accounts(["FAR", "NEAR"])
    );
    let remote = |user: &str, account: &str| {
        let url = format!("nats-leaf://{user}:{user}@127.0.0.1:{port}");
        format!("{{ url: \"{url}\", account: {account}, compression: off }}")
    };
    let leaf = format!(
        "server_name: leaf\nleafnodes {{ remotes: [{}, {}] }}\n{}",
        remote("x", "ASKS"),
        remote("y", "GIVES"),
        accounts(["ASKS", "GIVES"])
    );
    let hub = TestServer::start(roles.hub, &hub);
    let leaf = TestServer::start(roles.leaf, &leaf);
    for (asks, gives, service_here) in [(&leaf, &hub, "ASKS.help"), (&hub, &leaf, "FAR.help")] {
        // Both accounts are connected.
        let mut known = Client::connect_as(gives.port, "x");
        known.subscribe("known", "1");
        known.flush();
        let mut client = Client::connect_as(asks.port, "x");
        client.wait_for_interest("known", true);
        let mut service = Client::connect_as(gives.port, "y");
        service.subscribe("help", "1");
        service.flush();
        Client::connect_as(asks.port, "y").wait_for_interest("help", true);
        client.send(&format!("SUB answer 9\r\nPUB {service_here} answer 1\r\n?\r\n"));
        let request = service.next();
        let info = request.headers.lines().find_map(|line| line.strip_prefix("Nats-Request-Info: ")).expect("who asks");
        let info: serde_json::Value = serde_json::from_str(info).expect("JSON");
        assert_eq!((&info["acc"], request.payload.as_str()), (&"FAR".into(), "?"), "at the hub it is called so");
        service.publish(&request.reply.expect("an answer is wanted"), "!");
        assert_eq!(client.next().payload, "!");
    }
}
