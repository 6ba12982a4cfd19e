//! What the log says of clients, line by line, as nats-server says it.

use nkeys::KeyPair;

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, programs, wait_for};

/// The id of a client, and a line about it: from the level on, without addresses.
type Line = (String, String);

/// The lines about clients, once there is one with `last` in it.
fn lines_and_ids(server: &TestServer, last: &str) -> Vec<Line> {
    let log = server.wait_for_file("n.log", last);
    let about = |line: &str| -> Option<Line> {
        let (before, after) = line.split_once(" - cid:")?;
        let level = before.split_whitespace().rev().nth(1)?;
        let text = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let cid = &after[..after.len() - text.len()];
        Some((cid.to_owned(), format!("{level}{text}")))
    };
    log.lines().filter_map(about).collect()
}

/// As [`lines_and_ids`], without the ids.
fn lines(server: &TestServer, last: &str) -> Vec<String> {
    lines_and_ids(server, last).into_iter().map(|(_, line)| line).collect()
}

/// The server connects itself to see whether it is there; what is logged of that is not looked at.
fn of_connection(lines: Vec<Line>, marker: &str) -> Vec<String> {
    let at = lines.iter().position(|(_, line)| line.contains(marker));
    let at = at.unwrap_or_else(|| panic!("{marker} in {lines:#?}"));
    let cid = lines[at].0.clone();
    lines.into_iter().skip(at).filter(|(of, _)| *of == cid).map(|(_, line)| line).collect()
}

#[test]
fn lines_name_program_account_and_user() {
    for program in programs() {
        let config = "log_file: \"{dir}/n.log\"\nauthorization { users: [{ user: a, password: b, permissions {\
                      publish { deny: \"no.>\" }, subscribe { deny: [\"no.>\", \"q.x g\"] } } }] }";
        let server = TestServer::quiet(program, config, &["-DV"]);
        let mut raw = Raw::connect(server.port);
        raw.send("CONNECT {\"user\":\"a\",\"pass\":\"b\",\"verbose\":false,\"lang\":\"py\",\"version\":\"1.2\",\"name\":\"x \\\"y\"}\r\n");
        raw.send("PUB no.x 2\r\nhi\r\nSUB no.x 1\r\nSUB no.x g 2\r\nSUB foo 3\r\nPUB foo 0\r\n\r\nUNSUB 3\r\nPING\r\n");
        while raw.line() != "PONG" {}
        drop(raw);
        let lines = of_connection(lines_and_ids(&server, "\"$G/user:a\" - Client connection closed"), "<<- [CONNECT");
        let who = "\"v1.2:py:x \\\"y\" - \"$G/user:a\"";
        let shown: Vec<_> = lines[1..].iter().map(|line| line.replace(who, "WHO")).collect();
        assert!(
            lines[0].starts_with("[TRC] - <<- [CONNECT {\"user\":\"a\",\"pass\":\"[REDACTED]\""),
            "{program:?}: {}",
            lines[0]
        );
        let expected = [
            "[TRC] - WHO - <<- [PUB no.x 2]",
            "[TRC] - WHO - <<- MSG_PAYLOAD: [\"hi\"]",
            "[TRC] - WHO - ->> [-ERR Permissions Violation for Publish to \"no.x\"]",
            "[ERR] - WHO - Publish Violation - Subject \"no.x\"",
            "[TRC] - WHO - <<- [SUB no.x 1]",
            "[TRC] - WHO - ->> [-ERR Permissions Violation for Subscription to \"no.x\"]",
            "[ERR] - WHO - Subscription Violation - Subject \"no.x\", SID 1",
            "[TRC] - WHO - <<- [SUB no.x g 2]",
            "[TRC] - WHO - ->> [-ERR Permissions Violation for Subscription to \"no.x\" using queue \"g\"]",
            "[ERR] - WHO - Subscription Violation - Subject \"no.x\", Queue: \"g\", SID 2",
            "[TRC] - WHO - <<- [SUB foo 3]",
            "[TRC] - WHO - <<- [PUB foo 0]",
            "[TRC] - WHO - ->> [MSG foo 3 0]",
            "[TRC] - WHO - <<- [UNSUB 3]",
            "[TRC] - WHO - <-> [DELSUB 3]",
            "[TRC] - WHO - <<- [PING]",
            "[TRC] - WHO - ->> [PONG]",
            "[DBG] - WHO - Client connection closed: Client Closed",
        ];
        assert_eq!(shown, expected, "{program:?}");
    }
}

#[test]
fn what_is_not_told_is_not_named() {
    for program in programs() {
        for (connect, who) in [
            ("{\"version\":\"1\"}", "\"v1\" - "),
            ("{\"lang\":\"go\",\"name\":\"n\"}", "\"go:n\" - "),
            ("{\"name\":\"n\"}", "\"n\" - "),
            ("{}", ""),
        ] {
            let server = TestServer::quiet(program, "log_file: \"{dir}/n.log\"", &["-V"]);
            let mut raw = server.connect();
            raw.send(&format!("CONNECT {connect}\r\nPING\r\n"));
            let lines = lines(&server, "->> [PONG]");
            assert_eq!(lines.last().map(String::as_str), Some(&*format!("[TRC] - {who}->> [PONG]")), "{program:?}");
        }
    }
}

#[test]
fn users_by_key_and_by_token_are_named() {
    for program in programs() {
        let server = TestServer::quiet(program, "log_file: \"{dir}/n.log\"\nauthorization { token: hidden }", &["-V"]);
        let mut raw = server.connect();
        raw.send("CONNECT {\"auth_token\":\"hidden\"}\r\nPING\r\n");
        let log = lines(&server, "->> [PONG]");
        assert_eq!(log.last().map(String::as_str), Some("[TRC] - \"$G/token\" - ->> [PONG]"), "{program:?}");
        assert!(!log.join("\n").contains("hidden"));

        let pair = KeyPair::new_user();
        let config =
            format!("log_file: \"{{dir}}/n.log\"\nauthorization {{ users: [{{ nkey: {} }}] }}", pair.public_key());
        let server = TestServer::quiet(program, &config, &["-V"]);
        let mut raw = server.connect();
        let nonce = raw.info["nonce"].as_str().expect("a nonce").to_owned();
        let sig = data_encoding::BASE64URL_NOPAD.encode(&pair.sign(nonce.as_bytes()).expect("signed"));
        raw.send(&format!("CONNECT {{\"nkey\":\"{}\",\"sig\":\"{sig}\"}}\r\nPING\r\n", pair.public_key()));
        let log = lines(&server, "->> [PONG]");
        let expected = format!("[TRC] - \"$G/nkey:{}\" - ->> [PONG]", pair.public_key());
        assert_eq!(log.last(), Some(&expected), "{program:?}");
    }
}

#[test]
fn who_takes_too_long_is_told_once() {
    for program in programs() {
        let config = "log_file: \"{dir}/n.log\"\nauthorization { user: a, password: b, timeout: 0.1 }";
        let server = TestServer::quiet(program, config, &["-DV"]);
        let mut raw = server.connect();
        assert_eq!(raw.rest(), "-ERR 'Authentication Timeout'\r\n");
        let log = wait_for("the end of both connections", || {
            let log = server.wait_for_file("n.log", "closed: Authentication Timeout");
            (log.matches("->> [-ERR Authentication Timeout]").count() > 0).then_some(log)
        });
        let cid = log.lines().find(|line| line.contains("closed: Authentication Timeout")).expect("it is there");
        let cid = cid.split(" - ").nth(1).expect("a cid");
        let told = log.lines().filter(|line| line.contains(cid) && line.contains("[-ERR ")).count();
        assert_eq!(told, 1, "{program:?}: {log}");
        assert!(log.lines().any(|line| line.contains("[DBG]") && line.ends_with(" - Authentication Timeout")), "{log}");
    }
}

#[test]
fn of_payloads_headers_alone_are_traced_if_wanted() {
    for program in programs() {
        let config = "log_file: \"{dir}/n.log\"\ntrace_headers: true\ntrace_verbose: true";
        let server = TestServer::quiet(program, config, &["-V"]);
        let mut raw = server.client();
        raw.send("PUB foo 5\r\nplain\r\nHPUB foo 18 24\r\nNATS/1.0\r\nA: b\r\n\r\nhidden\r\nPING\r\n");
        let log = lines(&server, "->> [PONG]").join("\n");
        assert!(!log.contains("plain") && !log.contains("hidden"), "{program:?}: {log}");
        assert!(log.contains("<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\nA: b\"]"), "{program:?}: {log}");
        assert_eq!(log.matches("MSG_PAYLOAD").count(), 1, "{program:?}: {log}");
    }
}

/// The ports file is named after the program, whatever that is called.
#[test]
fn the_ports_file_has_the_name_of_the_program() {
    for name in ["nats-server", "natsd"] {
        let dir = tempfile::tempdir().expect("a directory");
        let program = dir.path().join(name);
        std::os::unix::fs::symlink(Program::Natsd.path(), &program).expect("a link");
        let mut process = std::process::Command::new(&program)
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("natsd runs");
        let file = dir.path().join(format!("{name}_{}.ports", process.id()));
        wait_for("the ports file", || file.exists().then_some(()));
        process.kill().expect("it runs");
        process.wait().expect("it was killed");
    }
}
