//! What servers say to one of another cluster, line by line.

use std::net::TcpListener;

use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::with_both;

with_both!(
    a_cluster_is_greeted_and_told_of_interest,
    clients_are_told_that_the_port_is_wrong,
    strangers_are_turned_away,
    interest_goes_the_other_way,
    a_name_of_our_own_cluster_is_refused,
    messages_are_for_plain_subscribers_and_the_named_groups,
    accounts_that_nobody_knows_are_told_once,
    an_optimistic_cluster_gets_what_it_has_not_refused,
    who_is_not_the_wanted_cluster_is_told_so,
    answers_of_clients_go_where_they_were_asked_for,
    who_comes_is_dialled_where_it_says,
);

fn server(program: Program, more: &str) -> (TestServer, u16) {
    let port = free_port();
    let config = format!("server_name: a\ngateway {{ name: A, listen: \"127.0.0.1:{port}\"\n{more} }}");
    (TestServer::start(program, &config), port)
}

/// `INFO` of a server of the cluster F, which nobody can dial.
fn info(more: &str) -> String {
    format!(
        "INFO {{\"server_id\":\"NF\",\"server_name\":\"f\",\"version\":\"2.15.2\",\"proto\":2,\"headers\":true,\
         \"max_payload\":1048576{more}}}\r\n"
    )
}

/// A server of the cluster F that has come in.
fn cluster(port: u16) -> Raw {
    let mut raw = Raw::connect(port);
    raw.send("CONNECT {\"name\":\"NF\",\"gateway\":\"F\"}\r\n");
    raw.send(&info(",\"gateway\":\"F\",\"gateway_nrp\":true,\"gateway_iom\":true"));
    raw
}

/// The next line that is about `$G`, or a command about it.
fn about_global(raw: &mut Raw) -> String {
    loop {
        let line = raw.line();
        if line.contains("$G") || line.contains("JEc=") {
            return line;
        }
    }
}

fn a_cluster_is_greeted_and_told_of_interest(program: Program) {
    let (server, port) = server(program, "");
    let mut early = server.client();
    early.send("SUB early.* 1\r\nSUB early.* q 2\r\n");
    early.expect_pong();
    let mut raw = cluster(port);
    let url = format!("127.0.0.1:{port}");
    let expected = [
        ("gateway", "A".into()),
        ("gateway_url", url.as_str().into()),
        ("gateway_urls", vec![url.as_str()].into()),
        ("gateway_nrp", true.into()),
        ("gateway_iom", true.into()),
        ("headers", true.into()),
        ("host", "127.0.0.1".into()),
        ("port", port.into()),
    ];
    for (field, value) in expected {
        let value: serde_json::Value = value;
        assert_eq!(raw.info[field], value, "{field}");
    }
    assert!(raw.info.get("auth_required").is_none() && raw.info.get("gateway_cmd").is_none());
    let mut told: Vec<_> = (0..4).map(|_| about_global(&mut raw)).collect();
    told.sort();
    assert!(told[0].ends_with("\"gateway\":\"A\",\"gateway_cmd\":2,\"gateway_cmd_payload\":\"JEc=\"}"), "{told:?}");
    assert!(told[1].ends_with("\"gateway_cmd\":3,\"gateway_cmd_payload\":\"JEc=\"}"), "{told:?}");
    assert_eq!(told[2..], ["RS+ $G early.*", "RS+ $G early.* q 1"]);

    let mut other = server.client();
    for client in [&mut early, &mut other] {
        client.send("SUB foo 7\r\nSUB foo w 8\r\n");
        client.expect_pong();
    }
    assert_eq!([about_global(&mut raw), about_global(&mut raw)], ["RS+ $G foo", "RS+ $G foo w 1"]);
    for client in [&mut early, &mut other] {
        client.send("UNSUB 7\r\nUNSUB 8\r\n");
        client.expect_pong();
    }
    assert_eq!([about_global(&mut raw), about_global(&mut raw)], ["RS- $G foo", "RS- $G foo w"]);
    drop(early);
    let mut gone = [about_global(&mut raw), about_global(&mut raw)];
    gone.sort();
    assert_eq!(gone, ["RS- $G early.*", "RS- $G early.* q"]);
}

/// What comes after whatever is told of interest.
fn last_words(raw: Raw) -> String {
    let words = raw.last_words();
    words.lines().last().unwrap_or_default().to_owned()
}

fn clients_are_told_that_the_port_is_wrong(program: Program) {
    let (_server, port) = server(program, "");
    let mut raw = Raw::connect(port);
    raw.send("CONNECT {\"verbose\":false,\"lang\":\"go\"}\r\n");
    assert_eq!(last_words(raw), "-ERR 'attempted to connect to gateway port'");
}

fn strangers_are_turned_away(program: Program) {
    let (_server, port) = server(program, "reject_unknown: true, authorization { user: g, password: p, timeout: 1 }");
    let mut raw = Raw::connect(port);
    assert_eq!(raw.info["auth_required"], true);
    raw.send("CONNECT {\"name\":\"NF\",\"gateway\":\"F\",\"user\":\"g\",\"pass\":\"p\"}\r\n");
    assert_eq!(last_words(raw), "-ERR 'Connection to gateway \"A\" rejected'");
    let mut raw = Raw::connect(port);
    raw.send("CONNECT {\"name\":\"NF\",\"gateway\":\"F\",\"user\":\"g\",\"pass\":\"wrong\"}\r\n");
    assert_eq!(last_words(raw), "-ERR 'Authorization Violation'");
    assert_eq!(last_words(Raw::connect(port)), "-ERR 'Authentication Timeout'");
}

fn interest_goes_the_other_way(program: Program) {
    let (_server, port) = server(program, "");
    let mut raw = cluster(port);
    raw.send("RS+ $G foo\r\n");
    raw.last_words();
}

fn a_name_of_our_own_cluster_is_refused(program: Program) {
    let (mut server, port) = server(program, "");
    let mut raw = Raw::connect(port);
    raw.send("CONNECT {\"name\":\"NF\",\"gateway\":\"F\"}\r\n");
    raw.send(&info(",\"gateway\":\"F\"").replace("\"f\"", "\"a\""));
    raw.last_words();
    crate::leaf::wait_for_log(&mut server, "Remote server has a duplicate name: \"a\"");
}

fn messages_are_for_plain_subscribers_and_the_named_groups(program: Program) {
    let (server, port) = server(program, "");
    let mut client = server.client();
    client.send("SUB foo 1\r\nSUB foo q 2\r\nSUB foo w 3\r\n");
    client.expect_pong();
    let mut raw = cluster(port);
    raw.send("RMSG $G foo 1\r\na\r\n");
    client.expect("MSG foo 1 1\r\na\r\n");
    raw.send("RMSG $G foo | w 1\r\nb\r\n");
    let mut got = [client.line(), client.line(), client.line(), client.line()];
    got.sort();
    assert_eq!(got, ["MSG foo 1 1", "MSG foo 3 1", "b", "b"]);
    raw.send("HMSG $G foo + re q w 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    let mut lines: Vec<_> = (0..9).map(|_| client.line()).filter(|line| line.starts_with("HMSG")).collect();
    lines.sort();
    assert_eq!(lines, ["HMSG foo 1 re 12 14", "HMSG foo 2 re 12 14", "HMSG foo 3 re 12 14"]);
}

fn accounts_that_nobody_knows_are_told_once(program: Program) {
    let (server, port) = server(program, "");
    let mut client = server.client();
    client.send("SUB foo 1\r\n");
    client.expect_pong();
    let mut raw = cluster(port);
    raw.send("RMSG NOPE foo 1\r\nx\r\nRMSG NOPE bar 1\r\nx\r\nRMSG $G foo 1\r\ny\r\n");
    client.expect("MSG foo 1 1\r\ny\r\n");
    let said = |raw: &mut Raw| loop {
        let line = raw.line();
        if line.starts_with("A- ") || line.starts_with("RS+ $G end") {
            return line;
        }
    };
    assert_eq!(said(&mut raw), "A- NOPE");
    client.send("SUB end 2\r\n");
    assert_eq!(said(&mut raw), "RS+ $G end");
}

/// A server that dials the cluster F, and its connection there, on which `INFO` with this is said.
fn dialled(program: Program, more: &str) -> (TestServer, Raw) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("nats://127.0.0.1:{}", listener.local_addr().expect("bound").port());
    let (server, _) = server(program, &format!("gateways: [{{ name: F, url: \"{url}\" }}]"));
    let (stream, _) = listener.accept().expect("it is dialled");
    let mut raw = Raw::over(stream);
    raw.send(&info(more));
    (server, raw)
}

/// The next line that is a message of an account of clients.
fn message(raw: &mut Raw) -> String {
    loop {
        let line = raw.line();
        if line.starts_with("RMSG $G") {
            return line;
        }
    }
}

fn an_optimistic_cluster_gets_what_it_has_not_refused(program: Program) {
    let (server, mut raw) = dialled(program, ",\"gateway\":\"F\",\"gateway_nrp\":true");
    assert!(raw.line().starts_with("CONNECT {") && raw.line().starts_with("INFO {"));
    let mut client = server.client();
    let publish = |client: &mut Raw, subject: &str| {
        client.send(&format!("PUB {subject} 1\r\nx\r\n"));
        client.expect_pong();
    };
    publish(&mut client, "foo");
    assert_eq!(message(&mut raw), "RMSG $G foo 1");
    // What is said is heeded once it was answered.
    let say = |raw: &mut Raw, what: &str| {
        raw.send(&format!("{what}PING\r\n"));
        while raw.line() != "PONG" {}
    };
    say(&mut raw, "RS- $G foo\r\n");
    publish(&mut client, "foo");
    publish(&mut client, "bar");
    assert_eq!(message(&mut raw), "RMSG $G bar 1", "foo is of no interest");
    say(&mut raw, "RS+ $G foo\r\n");
    publish(&mut client, "foo");
    assert_eq!(message(&mut raw), "RMSG $G foo 1");
    say(&mut raw, "A- $G\r\n");
    publish(&mut client, "foo");
    say(&mut raw, "A+ $G\r\nRS+ $G foo q 1\r\nRS- $G foo\r\n");
    publish(&mut client, "foo");
    assert_eq!(message(&mut raw), "RMSG $G foo | q 1");
    let command = |cmd: u8| info(&format!(",\"gateway\":\"F\",\"gateway_cmd\":{cmd},\"gateway_cmd_payload\":\"JEc=\""));
    say(&mut raw, &format!("{}RS+ $G only\r\nRS- $G foo q\r\n{}", command(2), command(3)));
    for subject in ["foo", "bar", "only"] {
        publish(&mut client, subject);
    }
    assert_eq!(message(&mut raw), "RMSG $G only 1");
}

fn who_is_not_the_wanted_cluster_is_told_so(program: Program) {
    for (more, error) in [
        (",\"gateway\":\"X\"", "-ERR 'Connection from \"A\" rejected, wanted to connect to \"F\", this is \"X\"'"),
        ("", "-ERR 'Attempt to connect to gateway \"F\" using wrong port'"),
    ] {
        let (_server, raw) = dialled(program, more);
        assert_eq!(last_words(raw), error);
    }
}

fn answers_of_clients_go_where_they_were_asked_for(program: Program) {
    let (server, mut outbound) = dialled(program, ",\"gateway\":\"F\",\"gateway_nrp\":true,\"gateway_iom\":true");
    assert!(outbound.line().starts_with("CONNECT {"));
    outbound.expect_info();
    // The cluster F is known by the beginning of the SHA-256 of its name.
    let way = format!("_GR_.{}.abcdef.", known_by("F"));
    let mut service = Client::connect(server.port);
    service.subscribe("help", "1");
    service.flush();
    // Messages of F come over a connection that it makes.
    let url = outbound_port(&server);
    let mut inbound = cluster(url);
    inbound.send(&format!("RMSG $G help {way}inbox.7 1\r\n?\r\n"));
    let request = service.next();
    assert_eq!(request.reply.as_deref(), Some("inbox.7"), "the way is not for clients to see");
    service.publish("inbox.7", "!");
    assert_eq!(message(&mut outbound), format!("RMSG $G {way}inbox.7 1"));
}

/// And other clusters are told where that is.
fn who_comes_is_dialled_where_it_says(program: Program) {
    let (mut server, port) = server(program, "");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("127.0.0.1:{}", listener.local_addr().expect("bound").port());
    let mut raw = Raw::connect(port);
    raw.send("CONNECT {\"name\":\"NF\",\"gateway\":\"F\"}\r\n");
    raw.send(&info(&format!(",\"gateway\":\"F\",\"gateway_urls\":[\"{url}\"],\"gateway_iom\":true")));
    let (stream, _) = listener.accept().expect("it is dialled");
    let mut outbound = Raw::over(stream);
    outbound.send(&info(",\"gateway\":\"F\",\"gateway_iom\":true"));
    assert!(outbound.line().contains("\"gateway\":\"A\""));
    let log = format!("Connecting to implicit gateway \"F\" ({url}) at {url} (attempt 1)");
    crate::leaf::wait_for_log(&mut server, &log);

    let mut other = Raw::connect(port);
    other.send("CONNECT {\"name\":\"NX\",\"gateway\":\"X\"}\r\n");
    other.send(&info(",\"gateway\":\"X\"").replace("\"f\"", "\"x\""));
    let told = loop {
        let line = other.line();
        if line.contains("\"gateway_cmd\":1") {
            break line;
        }
    };
    assert!(told.contains(&format!("\"gateway\":\"F\",\"gateway_urls\":[\"{url}\"]")), "{told}");
    // Gone, and nobody there any more: given up.
    drop((listener, raw, outbound));
    crate::leaf::wait_for_log(&mut server, "Error connecting to implicit gateway \"F\"");
}

fn known_by(name: &str) -> String {
    use sha2::{Digest, Sha256};
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    Sha256::digest(name).iter().take(6).map(|byte| char::from(digits[usize::from(*byte) % 62])).collect()
}

/// Where a server takes other clusters, as its log says.
fn outbound_port(server: &TestServer) -> u16 {
    let line = server.log().iter().find(|line| line.contains("Listening for gateways connections on")).expect("logged");
    line.rsplit_once(':').expect("host:port").1.parse().expect("a port")
}
