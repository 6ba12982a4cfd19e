//! What servers say on the port for leaf nodes, to one that is none of theirs.

use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::with_both;

with_both!(
    a_leaf_node_is_welcomed_and_told_of_interest,
    clients_are_told_that_the_port_is_wrong,
    nothing_goes_before_connect,
    what_may_not_be_sent_ends_it,
    old_versions_are_sent_away,
    accounts_may_have_few_leaf_nodes,
    a_leaf_node_that_comes_again_replaces_itself,
    what_comes_from_a_leaf_node_does_not_go_back,
    interest_of_leaf_nodes_may_be_isolated,
);

fn hub(program: Program, accepts: &str, more: &str) -> (TestServer, u16) {
    let port = free_port();
    let config =
        format!("server_name: hub\nleafnodes {{ listen: \"127.0.0.1:{port}\", compression: off\n{accepts} }}\n{more}");
    (TestServer::start(program, &config), port)
}

/// A leaf node that has read what the hub says to its `CONNECT`.
fn leaf(port: u16, name: &str, more: &str) -> Raw {
    let mut raw = Raw::connect(port);
    raw.send(&format!(
        "CONNECT {{\"version\":\"2.15.2\",\"server_id\":\"N{name}\",\"name\":\"{name}\",\"cluster\":\"{name}\",\"headers\":true,\
         \"compress_mode\":\"off\",\"remote_account\":\"$G\",\"protocol\":3{more}}}\r\n"
    ));
    raw
}

/// The same, once it has heard of `subject`.
fn hearing_of(mut raw: Raw, subject: &str) -> Raw {
    while raw.line() != format!("LS+ {subject}") {}
    raw
}

fn a_leaf_node_is_welcomed_and_told_of_interest(program: Program) {
    let (server, port) = hub(program, "", "");
    let mut raw = leaf(port, "L", "");
    for (field, value) in [("auth_required", true), ("headers", true), ("info_on_connect", true)] {
        assert_eq!(raw.info[field], value, "{field}");
    }
    assert_eq!(raw.info["leafnode_urls"][0], format!("127.0.0.1:{port}"));
    assert_eq!(raw.info["nonce"].as_str().expect("text").len(), 15);
    let info = raw.expect_info();
    assert_eq!((&info["connect_info"], &info["remote_account"]), (&true.into(), &"$G".into()));
    assert!(info.get("nonce").is_none());
    let mut told: Vec<_> = (0..5).map(|_| raw.line()).collect();
    told.sort();
    assert!(told[0].starts_with("LS+ $LDS."), "{told:?}");
    let requests = ["ACCOUNT.PING.CONNZ", "ACCOUNT.PING.STATZ", "SERVER.PING.CONNZ", "USER.INFO"];
    assert_eq!(told[1..], requests.map(|request| format!("LS+ $SYS.REQ.{request}")));

    let mut client = server.client();
    client.send("SUB foo 1\r\nSUB foo 2\r\nSUB bar q 3\r\nSUB bar q 4\r\n");
    client.expect_pong();
    raw.expect("LS+ foo\r\nLS+ bar q 1\r\nLS+ bar q 2\r\n");
    client.send("UNSUB 1\r\nUNSUB 2\r\nUNSUB 3\r\nUNSUB 4\r\n");
    raw.expect("LS- foo\r\nLS+ bar q 1\r\nLS- bar q\r\n");
}

fn clients_are_told_that_the_port_is_wrong(program: Program) {
    let (_server, port) = hub(program, "", "");
    let mut raw = Raw::connect(port);
    raw.send("CONNECT {\"lang\":\"go\"}\r\n");
    raw.expect("-ERR 'attempted to connect to leaf node port'\r\n");
    raw.expect_closed();
}

fn nothing_goes_before_connect(program: Program) {
    let (_server, port) = hub(program, "", "");
    let mut raw = Raw::connect(port);
    raw.send("LS+ foo\r\n");
    raw.expect("-ERR 'Authorization Violation'\r\n");
    raw.expect_closed();
    let (_server, port) = hub(program, "authorization { timeout: 0.2 }", "");
    let mut raw = Raw::connect(port);
    raw.expect("-ERR 'Authentication Timeout'\r\n");
    raw.expect_closed();
}

fn what_may_not_be_sent_ends_it(program: Program) {
    let users = "accounts { A { users: [{ user: a, password: a }, { user: l, password: p, permissions: {\n\
                 publish: \"up.>\", subscribe: \"down.>\" } }] } }";
    let (_server, port) = hub(program, "", users);
    let connect = ",\"user\":\"l\",\"pass\":\"p\"";
    let until_error = |mut raw: Raw| loop {
        let line = raw.line();
        if line.starts_with("-ERR") {
            return line;
        }
    };
    let mut raw = leaf(port, "L", connect);
    let info = raw.expect_info();
    assert_eq!(info["export"]["allow"][0], "up.>");
    assert_eq!(info["import"]["allow"][0], "down.>");
    raw.send("LMSG up.x 1\r\nx\r\nLMSG other 1\r\nx\r\n");
    assert_eq!(until_error(raw), "-ERR 'Permissions Violation for Publish to \"other\"'");
    let mut raw = leaf(port, "L", connect);
    raw.send("LS+ down.x\r\nLS+ other\r\n");
    assert_eq!(until_error(raw), "-ERR 'Permissions Violation for Subscription to \"other\"'");
}

fn old_versions_are_sent_away(program: Program) {
    let (_server, port) = hub(program, "min_version: \"2.10.0\"", "");
    let mut raw = Raw::connect(port);
    raw.send("CONNECT {\"version\":\"2.9.25\",\"name\":\"L\",\"cluster\":\"L\"}\r\n");
    raw.expect_info();
    raw.expect("-ERR 'connection rejected since minimum version required is \"2.10.0\"'\r\n");
    raw.expect_closed();
}

fn accounts_may_have_few_leaf_nodes(program: Program) {
    let accounts = "accounts { A { limits { max_leafs: 1 }, users: [{ user: l, password: p }] } }";
    let (_server, port) = hub(program, "", accounts);
    let connect = ",\"user\":\"l\",\"pass\":\"p\"";
    let mut first = leaf(port, "one", connect);
    first.expect_info();
    let mut second = leaf(port, "two", connect);
    assert_eq!(second.rest(), "-ERR 'maximum account active connections exceeded'\r\n");
    drop(first);
}

fn a_leaf_node_that_comes_again_replaces_itself(program: Program) {
    let (_server, port) = hub(program, "", "");
    let mut first = hearing_of(leaf(port, "L", ""), "$SYS.REQ.USER.INFO");
    let mut second = leaf(port, "L", "");
    second.expect_info();
    while first.line() != "-ERR 'Duplicate Remote LeafNode Connection'" {}
    first.expect_closed();
}

fn what_comes_from_a_leaf_node_does_not_go_back(program: Program) {
    let (server, port) = hub(program, "", "");
    let mut client = server.client();
    client.send("SUB foo 1\r\n");
    client.expect_pong();
    let mut one = hearing_of(leaf(port, "one", ""), "foo");
    one.send("LS+ foo\r\n");
    let mut two = hearing_of(leaf(port, "two", ""), "foo");
    two.send("LS+ foo\r\nLMSG foo 3\r\ntwo\r\n");
    client.expect("MSG foo 1 3\r\ntwo\r\n");
    let message = |raw: &mut Raw| loop {
        let line = raw.line();
        if line.starts_with("LMSG") {
            return (line, raw.line());
        }
    };
    assert_eq!(message(&mut one), ("LMSG foo 3".into(), "two".into()));
    one.send("HMSG foo re 12 15\r\nNATS/1.0\r\n\r\none\r\n");
    let line = loop {
        let line = two.line();
        if line.contains("MSG") {
            break line;
        }
    };
    assert_eq!(line, "HMSG foo re 12 15", "and not its own message before that");
}

fn interest_of_leaf_nodes_may_be_isolated(program: Program) {
    let (server, port) = hub(program, "", "");
    let mut other = hearing_of(leaf(port, "other", ""), "$SYS.REQ.USER.INFO");
    other.send("LS+ of.leaf\r\n");
    let mut client = server.client();
    let mut isolated = leaf(port, "isolated", ",\"isolate\":true");
    let mut open = hearing_of(leaf(port, "open", ""), "of.leaf");
    client.send("SUB of.client 1\r\n");
    client.expect_pong();
    loop {
        let line = isolated.line();
        assert_ne!(line, "LS+ of.leaf");
        if line == "LS+ of.client" {
            break;
        }
    }
    while open.line() != "LS+ of.client" {}
}
