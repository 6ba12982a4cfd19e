//! The route protocol to the letter: a peer made by hand against one server.

use crate::harness::node::{Kind, Node, Setup};
use crate::harness::peer::Peer;

fn server(kind: Kind) -> Node {
    Node::start(kind, "a", Setup::default())
}

/// Who has no business on the route port is told so, where nats-server tells it, and closed.
pub fn who_is_no_peer_is_sent_away(kind: Kind) {
    let node = server(kind);
    let info =
        "\"version\":\"2.15.2\",\"proto\":2,\"host\":\"127.0.0.1\",\"port\":1,\"headers\":true,\"cluster\":\"c1\"";
    let hello = "CONNECT {\"name\":\"NF\",\"cluster\":\"c1\"}\r\n";
    let cases = [
        ("CONNECT {\"verbose\":false,\"lang\":\"go\"}\r\n", "-ERR 'attempted to connect to route port'\r\n"),
        (
            "CONNECT {\"name\":\"NF\",\"cluster\":\"zz\"}\r\n",
            "-ERR 'Rejecting connection, cluster name \"zz\" does not match \"c1\"'\r\n",
        ),
        (
            "CONNECT {\"name\":\"NF\",\"cluster\":\"_\"}\r\n",
            "-ERR 'Rejecting connection, cluster name \"_\" is reserved'\r\n",
        ),
        (
            "CONNECT {\"cluster\":\"c1\",\"gateway\":\"g1\"}\r\n",
            "-ERR 'Rejecting connection from gateway \"g1\" on the Route port'\r\n",
        ),
        (&format!("{hello}INFO {{\"server_id\":\"NF\",\"server_name\":\"a\",{info}}}\r\n"), ""),
        (
            &format!(
                "{hello}INFO {{\"server_id\":\"NF\",\"server_name\":\"f\",{info},\"route_pool_size\":3,\"route_pool_idx\":7}}\r\n"
            ),
            "-ERR 'Invalid route pool index: 7 - pool size is 3'\r\n",
        ),
        (
            &format!("{hello}INFO {{\"server_id\":\"NF\",\"server_name\":\"f\",{info},\"route_account\":\"$G\"}}\r\n"),
            "-ERR 'Not possible to have a dedicated route for account \"$G\" between those servers'\r\n",
        ),
    ];
    for (said, answer) in cases {
        let mut peer = Peer::connect(node.route_port);
        peer.send(said);
        assert_eq!(peer.last_words(), answer, "after {said:?}");
    }
}

/// Who says nothing is not waited for.
fn silence_is_not_waited_for(kind: Kind) {
    let node = server(kind);
    assert_eq!(Peer::connect(node.route_port).last_words(), "-ERR 'Authentication Timeout'\r\n");
}

/// What cannot be right ends the connection; of malformed arguments without a word.
pub fn malformed_lines_end_the_route(kind: Kind) {
    let node = server(kind);
    let cases = [
        ("RS+ $G\r\n", None),
        ("RS- $G foo q 1\r\n", None),
        ("RMSG $G\r\n", None),
        ("RMSG $G foo -1\r\n", None),
        ("RMSG $G foo 1\r\nxx\r\n", Some("-ERR 'Unknown Protocol Operation'\r\n")),
        ("NONSENSE\r\n", Some("-ERR 'Unknown Protocol Operation'\r\n")),
    ];
    for (number, (line, error)) in cases.into_iter().enumerate() {
        // Another name each time: the server may still be busy with the end of the last one.
        let mut peer = Peer::join(node.route_port, &format!("f{number}"));
        peer.send(line);
        let words = peer.last_words();
        match error {
            Some(error) => assert!(words.ends_with(error), "{line:?}: {words:?}"),
            None => assert!(!words.contains("-ERR"), "{line:?}: {words:?}"),
        }
    }
}

/// Interest is told once a subject, queue groups with their weight; messages name all groups that match.
pub fn interest_is_told_once(kind: Kind) {
    let node = server(kind);
    let mut peer = Peer::join(node.route_port, "f");
    let mut client = node.client();
    peer.said();
    let mut tell = |client_says: &str| {
        client.send(client_says);
        client.flush();
        peer.said()
    };
    assert_eq!(tell("SUB foo 1\r\n"), ["RS+ $G foo"]);
    assert_eq!(tell("SUB foo 2\r\nUNSUB 2\r\n"), [""; 0]);
    assert_eq!(tell("SUB foo q 3\r\n"), ["RS+ $G foo q 1"]);
    assert_eq!(tell("SUB foo q 4\r\n"), ["RS+ $G foo q 2"]);
    assert_eq!(tell("UNSUB 3\r\n"), ["RS+ $G foo q 1"]);
    assert_eq!(tell("UNSUB 4\r\n"), ["RS- $G foo q"]);
    assert_eq!(tell("UNSUB 1\r\n"), ["RS- $G foo"]);
    assert_eq!(tell("SUB bar.* 5\r\nUNSUB 5 1\r\n"), ["RS+ $G bar.*"]);
    assert_eq!(tell("PUB bar.x 0\r\n\r\n"), ["RS- $G bar.*"]);
}

/// A peer that was not there when clients subscribed hears of it all the same.
pub fn a_new_peer_hears_of_all_interest(kind: Kind) {
    let node = server(kind);
    let mut client = node.client();
    client.send("SUB foo 1\r\nSUB bar q 2\r\nSUB bar q 3\r\n");
    client.flush();
    let mut peer = Peer::connect(node.route_port);
    peer.send("CONNECT {\"name\":\"NF\",\"cluster\":\"c1\"}\r\n");
    peer.send("INFO {\"server_id\":\"NF\",\"server_name\":\"f\",\"proto\":2,\"headers\":true,\"cluster\":\"c1\"}\r\n");
    let mut told = peer.said();
    told.retain(|line| !line.contains("_probe"));
    told.sort();
    assert_eq!(told, ["RS+ $G bar q 2", "RS+ $G foo"]);
}

/// Every form of a routed message, out and in.
pub fn messages_name_whom_they_are_for(kind: Kind) {
    let node = server(kind);
    let mut peer = Peer::join(node.route_port, "f");
    let mut client = node.client();
    peer.send("RS+ $G out\r\nRS+ $G out q 1\r\nRS+ $G only w 1\r\n");
    peer.said();
    let mut hear = |client_says: &str| {
        client.send(client_says);
        client.flush();
        let mut lines = peer.said();
        lines.retain(|line| !line.starts_with("RS"));
        lines
    };
    assert_eq!(hear("PUB out 2\r\nhi\r\n"), ["RMSG $G out | q 2", "hi"]);
    assert_eq!(hear("PUB out back 2\r\nhi\r\n"), ["RMSG $G out + back q 2", "hi"]);
    assert_eq!(hear("PUB only back 0\r\n\r\n"), ["RMSG $G only + back w 0", ""]);
    assert_eq!(
        hear("HPUB out back 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n"),
        ["HMSG $G out + back q 18 20", "NATS/1.0", "A: b", "", "hi"]
    );
    assert_eq!(hear("PUB nobody 2\r\nhi\r\n"), [""; 0]);

    client.send("SUB in plain\r\nSUB in q queue\r\n");
    client.flush();
    peer.send("RMSG $G in 1\r\n1\r\nRMSG $G in | q 1\r\n2\r\nRMSG $G in + r q 1\r\n3\r\nRMSG $G in r 1\r\n4\r\n");
    peer.send("RMSG NOPE in 1\r\n5\r\nHMSG $G in 12 13\r\nNATS/1.0\r\n\r\n6\r\n");
    peer.said();
    let got = client.take(7);
    let of = |sid: &str| -> Vec<_> {
        let for_sid = got.iter().filter(|delivery| delivery.sid == sid);
        for_sid.map(|delivery| (delivery.payload.as_str(), delivery.reply.as_deref())).collect()
    };
    assert_eq!(of("plain"), [("1", None), ("2", None), ("3", Some("r")), ("4", Some("r")), ("6", None)]);
    assert_eq!(of("queue"), [("2", None), ("3", Some("r"))]);
    assert_eq!(client.drain(), []);
}

/// What comes from one peer goes to no other: neither messages nor interest.
pub fn one_hop_is_all(kind: Kind) {
    let node = server(kind);
    let mut one = Peer::join(node.route_port, "f");
    let mut other = Peer::join(node.route_port, "g");
    other.send("RS+ $G foo\r\n");
    other.said();
    one.send("RS+ $G bar\r\nRMSG $G foo 2\r\nhi\r\n");
    one.said();
    assert_eq!(other.said(), [""; 0]);
    assert_eq!(one.said(), [""; 0]);
}

/// A message for a member of a queue group that is not here any more goes on to a server that has one.
pub fn a_group_without_members_here_is_served_elsewhere(kind: Kind) {
    let node = server(kind);
    let mut from = Peer::join(node.route_port, "f");
    let mut member = Peer::join(node.route_port, "g");
    let mut plain = Peer::join(node.route_port, "h");
    from.send("RS+ $G foo q 1\r\n");
    from.said();
    // With one member nats-server would choose the sender, which was there first, and drop the message.
    member.send("RS+ $G foo q 2\r\nRS+ $G bar q 1\r\n");
    member.said();
    plain.send("RS+ $G foo\r\nRS+ $G bar\r\n");
    plain.said();
    from.send("RMSG $G foo | q 2\r\nhi\r\nRMSG $G bar + r q 2\r\nho\r\nRMSG $G foo | other 2\r\nno\r\n");
    from.send("HMSG $G foo | q 12 12\r\nNATS/1.0\r\n\r\n\r\n");
    assert_eq!(from.said(), [""; 0]);
    assert_eq!(plain.said(), [""; 0]);
    assert_eq!(
        member.said(),
        ["RMSG $G foo | q 2", "hi", "RMSG $G bar + r q 2", "ho", "HMSG $G foo | q 12 12", "NATS/1.0", "", ""]
    );
    let mut client = node.client();
    client.subscribe_queue("foo", "q", "1");
    client.flush();
    from.send("RMSG $G foo | q 4\r\nhere\r\n");
    from.said();
    assert_eq!(client.next().payload, "here");
    let said = member.said();
    assert!(!said.iter().any(|line| line.starts_with("RMSG")), "{said:?}");
}

mod natsd_only {
    use super::Kind::Natsd;

    #[test]
    fn who_is_no_peer_is_sent_away() {
        super::who_is_no_peer_is_sent_away(Natsd);
    }

    #[test]
    fn silence_is_not_waited_for() {
        super::silence_is_not_waited_for(Natsd);
    }

    #[test]
    fn malformed_lines_end_the_route() {
        super::malformed_lines_end_the_route(Natsd);
    }

    #[test]
    fn interest_is_told_once() {
        super::interest_is_told_once(Natsd);
    }

    #[test]
    fn a_new_peer_hears_of_all_interest() {
        super::a_new_peer_hears_of_all_interest(Natsd);
    }

    #[test]
    fn messages_name_whom_they_are_for() {
        super::messages_name_whom_they_are_for(Natsd);
    }

    #[test]
    fn one_hop_is_all() {
        super::one_hop_is_all(Natsd);
    }

    #[test]
    fn a_group_without_members_here_is_served_elsewhere() {
        super::a_group_without_members_here_is_served_elsewhere(Natsd);
    }
}
