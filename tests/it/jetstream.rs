//! Streams of nats-server, whose messages clients of natsd get: over routes, between clusters, and from leaf node to hub and back.

use serde_json::{Value, json};

use crate::gateway;
use crate::harness::client::{Client, Delivery};
use crate::harness::node::{Node, Setup, free_port};
use crate::harness::server::{Program, TestServer, wait_for};
use crate::harness::with_both;
use crate::leaf;

/// Leaf nodes ask for streams of others by their domain.
const JETSTREAM: &str = "jetstream { store_dir: \"{dir}/js\", domain: D }";

/// Asks a server that has streams, whose client this is.
fn ask(client: &mut Client, request: &str, body: &str) -> Value {
    client.subscribe("asked", "ask");
    client.request(&format!("$JS.API.{request}"), "asked", body);
    let answer = client.next();
    client.send("UNSUB ask\r\n");
    serde_json::from_str(&answer.payload).unwrap_or_else(|_| panic!("{request}: {answer:?}"))
}

/// As [`ask`], for something to be made.
fn order(client: &mut Client, request: &str, body: &Value) {
    let answer = ask(client, request, &body.to_string());
    assert!(answer["error"].is_null(), "{request}: {answer}");
}

/// Servers with JetStream agree first on who leads; until then they may not even answer.
fn wait_for_jetstream(client: &mut Client) {
    client.subscribe("ready", "ready");
    wait_for("JetStream to be ready", || {
        client.request("$JS.API.INFO", "ready", "");
        let ready = |answer: &Delivery| answer.payload.contains("\"api\"") && !answer.payload.contains("\"error\"");
        client.drain().iter().any(ready).then_some(())
    });
    client.send("UNSUB ready\r\n");
    client.drain();
}

fn make_stream(client: &mut Client) {
    order(client, "STREAM.CREATE.S", &json!({"name": "S", "subjects": ["orders.*"], "storage": "memory"}));
}

fn make_consumer(client: &mut Client, name: &str, more: Value) {
    let mut config = json!({"durable_name": name, "ack_policy": "explicit", "ack_wait": 600_000_000_000_i64});
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    order(client, &format!("CONSUMER.DURABLE.CREATE.S.{name}"), &json!({"stream_name": "S", "config": config}));
}

/// Waits until the consumer has heard of everything.
fn wait_until_acknowledged(client: &mut Client, name: &str, count: u64) {
    wait_for(&format!("{count} messages of {name} to be acknowledged"), || {
        let info = ask(client, &format!("CONSUMER.INFO.S.{name}"), "");
        let done = info["ack_floor"]["stream_seq"] == count && info["num_ack_pending"] == 0;
        done.then_some(())
    });
}

/// What the client of any server sees of message `n` of the stream: where it was published, and where it is acknowledged.
fn check(got: &Delivery, consumer: &str, n: usize) -> String {
    assert_eq!((&*got.subject, &*got.payload), (&*format!("orders.{n}"), &*format!("order {n}")), "{got:?}");
    let reply = got.reply.clone().expect("it wants to be acknowledged");
    let head = format!("$JS.ACK.S.{consumer}.1.{n}.{n}.");
    assert!(reply.starts_with(&head) && !reply.contains('@'), "{reply}");
    reply
}

/// A client that gets answers, and whose server is known to be listening for them where the streams are.
fn asking(port: u16, owner: &mut Client, answers: &str) -> Client {
    let mut client = Client::connect(port);
    client.subscribe(answers, "answers");
    client.flush();
    owner.wait_for_interest(answers, true);
    client
}

/// Asks until somebody answers: what was just made may not be known here yet.
fn answered(client: &mut Client, answers: &str, subject: &str, payload: &str) -> Delivery {
    wait_for(&format!("an answer of {subject}"), || {
        client.request(subject, answers, payload);
        Some(client.next()).filter(|answer| !answer.headers.starts_with("NATS/1.0 503"))
    })
}

/// All kinds of consumers of a stream at `streams`, with clients of another server, which ask at `api`.
fn consumers_are_served(streams: u16, here: u16, api: &str) {
    let mut owner = Client::connect(streams);
    wait_for_jetstream(&mut owner);
    make_stream(&mut owner);
    let mut other = asking(here, &mut owner, "answers.here");
    let mut pushed = Client::connect(here);
    pushed.subscribe("push.here", "PUSH");
    pushed.subscribe_queue("shared.in", "workers", "SHARED");
    pushed.flush();
    for subject in ["push.here", "shared.in"] {
        owner.wait_for_interest(subject, true);
    }
    make_consumer(&mut owner, "PUSH", json!({"deliver_subject": "push.here"}));
    make_consumer(&mut owner, "SHARED", json!({"deliver_subject": "shared.in", "deliver_group": "workers"}));
    make_consumer(&mut owner, "PULL", json!({}));

    let mut source = asking(streams, &mut owner, "stored.there");
    for n in 1..=2 {
        answered(&mut source, "stored.there", &format!("orders.{n}"), &format!("order {n}"));
    }
    let stored = answered(&mut other, "answers.here", "orders.3", "order 3");
    assert!(stored.payload.contains("\"seq\":3"), "{stored:?}");
    let got = pushed.take(6);
    for consumer in ["PUSH", "SHARED"] {
        let of_consumer: Vec<_> = got.iter().filter(|message| message.sid == consumer).collect();
        assert_eq!(of_consumer.len(), 3, "{got:?}");
        for (message, n) in of_consumer.into_iter().zip(1..) {
            let ack = check(message, consumer, n);
            answered(&mut other, "answers.here", &ack, "+ACK");
        }
        wait_until_acknowledged(&mut owner, consumer, 3);
    }

    let mut pulls = asking(here, &mut owner, "pulled.here");
    for n in 1..=3 {
        let message = answered(&mut pulls, "pulled.here", &format!("{api}.CONSUMER.MSG.NEXT.S.PULL"), "{\"batch\":1}");
        let ack = check(&message, "PULL", n);
        answered(&mut other, "answers.here", &ack, "+ACK");
    }
    wait_until_acknowledged(&mut owner, "PULL", 3);
}

/// Streams and consumers are made, looked at and removed at a server that has none itself.
fn the_whole_api_answers(here: u16) {
    let mut client = Client::connect(here);
    order(&mut client, "STREAM.CREATE.T", &json!({"name": "T", "subjects": ["parts.*"], "storage": "memory"}));
    client.subscribe("stored", "stored");
    let stored = answered(&mut client, "stored", "parts.1", "bolt");
    assert!(stored.payload.contains("\"stream\":\"T\""), "{stored:?}");
    client.send("UNSUB answers\r\n");
    assert_eq!(ask(&mut client, "STREAM.INFO.T", "")["state"]["messages"], 1);
    assert_eq!(ask(&mut client, "STREAM.MSG.GET.T", "{\"seq\":1}")["message"]["subject"], "parts.1");
    assert!(ask(&mut client, "STREAM.NAMES", "")["streams"].as_array().expect("a list").contains(&json!("T")));
    let consumer = json!({"stream_name": "T", "config": {"durable_name": "C", "ack_policy": "explicit"}});
    order(&mut client, "CONSUMER.DURABLE.CREATE.T.C", &consumer);
    client.subscribe("pulled", "pulled");
    let got = answered(&mut client, "pulled", "$JS.API.CONSUMER.MSG.NEXT.T.C", "");
    assert_eq!((&*got.subject, &*got.payload), ("parts.1", "bolt"));
    assert!(client.drain().is_empty(), "one answer is all");
    assert_eq!(ask(&mut client, "STREAM.DELETE.T", "")["success"], true);
    assert_eq!(ask(&mut client, "STREAM.INFO.NONE", "")["error"]["err_code"], 10059);
}

/// Two servers with streams, as one alone would not make a cluster, and one that is dialled by both.
fn over_routes(program: Program) {
    let here = Node::start(program, "here", Setup::default());
    let one = Node::start(Program::Go, "one", Setup { routes: &[&here], more: JETSTREAM, ..Setup::default() });
    let two = Node::start(Program::Go, "two", Setup { routes: &[&here, &one], more: JETSTREAM, ..Setup::default() });
    consumers_are_served(two.port, here.port, "$JS.API");
    the_whole_api_answers(here.port);
}

/// A stream of one account, whose messages another account imports, and asks for.
fn over_routes_to_another_account(program: Program) {
    let accounts = |more: &str| {
        format!(
            "accounts {{ A: {{ users: [{{ user: a, password: a }}], {more} exports: [{{ stream: \"push.>\" }}, \
             {{ service: \"$JS.API.CONSUMER.MSG.NEXT.>\", response_type: stream }}, {{ service: \"$JS.ACK.>\" }}] }}, \
             B: {{ users: [{{ user: b, password: b }}], imports: [\
             {{ stream: {{ account: A, subject: \"push.>\" }}, prefix: \"in\" }}, \
             {{ service: {{ account: A, subject: \"$JS.API.CONSUMER.MSG.NEXT.>\" }} }}, \
             {{ service: {{ account: A, subject: \"$JS.ACK.>\" }} }}] }}, SYS: {{}} }}\nsystem_account: SYS"
        )
    };
    let (with, without) = (format!("{JETSTREAM}\n{}", accounts("jetstream: enabled,")), accounts(""));
    let here = Node::start(program, "here", Setup { more: &without, ..Setup::default() });
    let one = Node::start(Program::Go, "one", Setup { routes: &[&here], more: &with, ..Setup::default() });
    let two = Node::start(Program::Go, "two", Setup { routes: &[&here, &one], more: &with, ..Setup::default() });
    let mut owner = Client::connect_as(two.port, "a");
    wait_for_jetstream(&mut owner);
    make_stream(&mut owner);
    let mut pushed = Client::connect_as(here.port, "b");
    pushed.subscribe("in.push.here", "1");
    pushed.flush();
    owner.wait_for_interest("push.here", true);
    make_consumer(&mut owner, "PUSH", json!({"deliver_subject": "push.here"}));
    make_consumer(&mut owner, "PULL", json!({}));
    owner.subscribe("stored", "2");
    answered(&mut owner, "stored", "orders.1", "order 1");
    let mut other = Client::connect_as(here.port, "b");
    other.subscribe("answers.here", "3");
    let ack = check(&pushed.next(), "PUSH", 1);
    answered(&mut other, "answers.here", &ack, "+ACK");
    wait_until_acknowledged(&mut owner, "PUSH", 1);
    let pulled = answered(&mut other, "answers.here", "$JS.API.CONSUMER.MSG.NEXT.S.PULL", "{\"batch\":1}");
    let ack = check(&pulled, "PULL", 1);
    answered(&mut other, "answers.here", &ack, "+ACK");
    wait_until_acknowledged(&mut owner, "PULL", 1);
}

fn from_another_cluster(program: Program) {
    let ports = [free_port(), free_port(), free_port()];
    let gateway = |name: &str, port: u16, other: &str, at: u16| {
        format!(
            "gateway {{ name: {name}, listen: \"127.0.0.1:{port}\", \
             gateways: [{{ name: {other}, url: \"nats://127.0.0.1:{at}\" }}] }}"
        )
    };
    let mut here = TestServer::start(program, &format!("server_name: here\n{}", gateway("A", ports[0], "B", ports[1])));
    let [one, two] = [1, 2].map(|at| format!("{JETSTREAM}\n{}", gateway("B", ports[at], "A", ports[0])));
    let cluster = "name: B";
    let one = Setup { cluster, more: &one, ..Setup::default() };
    // It needs a route to begin with.
    let port = free_port();
    let routes = format!("name: B\nroutes: [\"nats-route://127.0.0.1:{port}\"]");
    let one = Node::start(Program::Go, "one", Setup { cluster: &routes, ..one });
    let two = Node::start(Program::Go, "two", Setup { cluster, routes: &[&one], more: &two, ..Setup::default() });
    gateway::connected(&mut here, "B");
    consumers_are_served(two.port, here.port, "$JS.API");
    the_whole_api_answers(here.port);
}

fn from_a_leaf_node(program: Program) {
    let setup = leaf::Setup { leaf: JETSTREAM, ..leaf::Setup::default() };
    let pair = setup.start(leaf::Roles { hub: program, leaf: Program::Go });
    consumers_are_served(pair.leaf.port, pair.hub.port, "$JS.D.API");
}

fn from_a_hub(program: Program) {
    let setup = leaf::Setup { hub: JETSTREAM, ..leaf::Setup::default() };
    let pair = setup.start(leaf::Roles { hub: Program::Go, leaf: program });
    consumers_are_served(pair.hub.port, pair.leaf.port, "$JS.D.API");
}

with_both!(over_routes, over_routes_to_another_account, from_another_cluster, from_a_leaf_node, from_a_hub);
