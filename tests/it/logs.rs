//! Where the log goes and what is in it.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use crate::harness::DEADLINE;
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, programs, wait_for};

#[test]
fn a_log_file_that_was_moved_is_opened_again() {
    for program in programs() {
        let server = TestServer::quiet(program, "log_file: \"{dir}/n.log\"", &[]);
        server.wait_for_file("n.log", "[INF] Server is ready\n");
        std::fs::rename(server.dir().join("n.log"), server.dir().join("old.log")).expect("moved away");
        let reopen = format!("reopen={}", server.pid());
        let told = Command::new(Program::Natsd.path()).args(["--signal", &reopen]).status().expect("natsd runs");
        assert!(told.success());
        let new = server.wait_for_file("n.log", "[INF] File log re-opened\n");
        assert_eq!(new.lines().count(), 1, "{program:?}: {new}");
        let old = server.wait_for_file("old.log", "Trapped \"user defined signal 1\" signal\n");
        assert!(old.starts_with(&format!("[{}] ", server.pid())), "{program:?}: {old}");
    }
}

#[test]
fn a_log_file_does_not_grow_beyond_its_limit() {
    for program in programs() {
        let config = "log_file: \"{dir}/n.log\"\nlogfile_size_limit: 2000\nlogfile_max_num: 3\ntrace: true";
        let server = TestServer::quiet(program, config, &[]);
        let mut client = server.client();
        for _ in 0..200 {
            client.expect_pong();
        }
        let files = || std::fs::read_dir(server.dir()).expect("its directory").map(|file| file.expect("a file"));
        let logs = || files().filter(|file| file.file_name().to_string_lossy().starts_with("n.log"));
        let text = wait_for("rotation", || {
            assert!(logs().count() <= 4, "the oldest goes as soon as there is a new one");
            let texts: Vec<_> = logs().filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
            Some(texts)
                .filter(|texts| texts.len() == 3 && texts.iter().any(|text| text.contains("Purged log file \"n.log.")))
        });
        for text in text {
            assert!(text.len() < 2500, "{program:?}: {} bytes", text.len());
            assert!(text.ends_with('\n'), "{program:?}: {text}");
        }
    }
}

#[test]
fn a_full_disk_stops_nobody() {
    let server = TestServer::quiet(Program::Natsd, "log_file: /dev/full\nlogfile_size_limit: 100", &["-DV"]);
    let mut client = server.client();
    client.send("SUB foo 1\r\nPUB foo 2\r\nhi\r\n");
    client.expect("MSG foo 1 2\r\nhi\r\n");
    client.expect_nothing();
}

#[test]
fn syslog_over_udp_hears_what_nats_server_would_say() {
    for program in programs() {
        let syslog = UdpSocket::bind("127.0.0.1:0").expect("a port");
        syslog.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let config = format!("remote_syslog: \"udp://{}\"", syslog.local_addr().expect("bound"));
        let server = TestServer::quiet(program, &config, &["-D"]);
        let name = Program::Natsd.path().with_file_name(program.path().file_name().expect("a program"));
        let from = format!(" {}[{}]: ", name.file_name().expect("a program").to_string_lossy(), server.pid());
        let mut seen = Vec::new();
        while !seen.iter().any(|line: &String| line.contains("Client connection closed")) {
            let mut line = [0; 2000];
            let len = syslog.recv(&mut line).expect("a line");
            seen.push(String::from_utf8_lossy(&line[..len]).into_owned());
        }
        for line in &seen {
            // <5>2026-11-21T14:11:55Z host natsd[7]: text
            let (head, text) = line.split_once(&from).unwrap_or_else(|| panic!("{program:?}: {line}"));
            let priority = if text.starts_with("127.0.0.1:") || text.contains("Go build") || text.starts_with("Created")
            {
                "<7>"
            } else {
                "<5>"
            };
            assert!(head.starts_with(priority) && line.ends_with('\n'), "{program:?}: {line}");
            let (time, host) = head[3..].split_once(' ').unwrap_or_else(|| panic!("{program:?}: {line}"));
            assert!(time.parse::<jiff::Timestamp>().is_ok(), "{program:?}: {line}");
            assert_eq!(host.as_bytes(), rustix::system::uname().nodename().to_bytes(), "{program:?}");
        }
    }
}

#[test]
fn a_syslog_that_goes_away_and_comes_back_stops_nobody() {
    let syslog = TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = format!("remote_syslog: \"tcp://{}\"", syslog.local_addr().expect("bound"));
    let server = TestServer::quiet(Program::Natsd, &config, &["-DV"]);
    let (first, _) = syslog.accept().expect("natsd connects");
    drop(first);
    let mut client = server.client();
    client.expect_pong();
    syslog.set_nonblocking(true).expect("a listener");
    let again = wait_for("another connection", || {
        client.expect_pong();
        syslog.accept().ok()
    });
    again.0.set_nonblocking(false).expect("a stream");
    again.0.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    client.expect_pong();
    let mut lines = BufReader::new(again.0).lines().map(|line| line.expect("a line"));
    assert!(lines.any(|line| line.contains("->> [PONG]")));
}

#[test]
fn without_syslog_there_is_no_server() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let output = Command::new(Program::Natsd.path()).args(["-p", "-1", "-r", &format!("tcp://{gone}")]).output();
    let output = output.expect("natsd runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with(&format!("natsd: cannot connect to syslog at tcp://{gone}: ")), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

/// The trace of a connection without what differs from run to run, and from program to program: its address, and that Go
/// names the user of CONNECT also where nobody has to say who it is.
fn trace(program: Program, args: &[&str]) -> Vec<String> {
    let server = TestServer::quiet(program, "log_file: \"{dir}/n.log\"", args);
    let mut raw = Raw::connect(server.port);
    raw.send(
        "CONNECT {\"verbose\":false,\"pedantic\":true,\"headers\":true,\"user\":\"u\",\"pass\":\"hidden\",\
         \"auth_token\":\"hidden\",\"sig\":\"hidden\"}\r\n",
    );
    raw.send("SUB foo 1\r\nSUB bar q 2\r\nPUB foo re 5\r\nhe\"\r\n\r\nUNSUB 2 7\r\n");
    raw.expect("MSG foo 1 re 5\r\nhe\"\r\n\r\n");
    raw.send("HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\nSUB a..b 3\r\nUNSUB 1\r\nPING\r\n");
    raw.expect("HMSG foo 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\n-ERR 'Invalid Subject'\r\nPONG\r\n");
    let log = wait_for("the last line", || {
        let log = std::fs::read_to_string(server.dir().join("n.log")).expect("the log");
        Some(log).filter(|log| log.matches("->> [PONG]").count() == 2)
    });
    assert!(!log.contains("hidden"), "{program:?}: {log}");
    let lines = log.lines().filter(|line| line.contains("[TRC]"));
    let arrow = |line: &str| line.find("<<-").or_else(|| line.find("->>")).map(|at| line[at..].to_owned());
    lines.filter_map(arrow).collect()
}

const TRACE: [&str; 18] = [
    r#"<<- [CONNECT {"verbose":false,"pedantic":true,"headers":true,"user":"u","pass":"[REDACTED]","auth_token":"[REDACTED]","sig":"[REDACTED]"}]"#,
    "<<- [SUB foo 1]",
    "<<- [SUB bar q 2]",
    "<<- [PUB foo re 5]",
    r#"<<- MSG_PAYLOAD: ["he\"..."]"#,
    "->> [MSG foo 1 re 5]",
    r#"->> MSG_PAYLOAD: ["he\"..."]"#,
    "<<- [UNSUB 2 7]",
    "<<- [HPUB foo 12 14]",
    r#"<<- MSG_PAYLOAD: ["NAT..."]"#,
    "->> [HMSG foo 1 12 14]",
    r#"->> MSG_PAYLOAD: ["NAT..."]"#,
    "<<- [PING]",
    "->> [PONG]",
    "<<- [SUB a..b 3]",
    "->> [-ERR Invalid Subject]",
    "<<- [UNSUB 1]",
    "<<- [PING]",
];

#[test]
fn traces_show_all_but_secrets() {
    for program in programs() {
        let trace = trace(program, &["-DV", "--max_traced_msg_len", "3"]);
        assert_eq!(trace[..trace.len() - 1], TRACE, "{program:?}");
        assert_eq!(trace.last().map(String::as_str), Some("->> [PONG]"), "{program:?}");
    }
}

/// What two servers say to each other, seen from the one that is dialled.
#[test]
fn traces_show_routes_without_their_credentials() {
    for program in programs() {
        let port = free_port();
        let config = format!("log_file: \"{{dir}}/n.log\"\ncluster {{ name: c, listen: \"127.0.0.1:{port}\" }}");
        let server = TestServer::quiet(Program::Natsd, &config, &["-DV"]);
        let route = format!("routes: [\"nats-route://u:hidden@127.0.0.1:{port}\"]");
        let other = format!("cluster {{ name: c, listen: \"127.0.0.1:-1\", {route} }}");
        let peer = TestServer::start(program, &other);
        let mut there = Client::connect(peer.port);
        there.subscribe("there", "1");
        there.flush();
        let mut here = Client::connect(server.port);
        here.subscribe("here", "1");
        here.subscribe_queue("group", "q", "2");
        here.wait_for_interest("there", true);
        there.wait_for_interest("here", true);
        there.wait_for_interest("group", true);
        here.publish("there", "one");
        there.request("here", "re", "two");
        there.publish("group", "three");
        assert_eq!((here.take(2).len(), there.next().payload.as_str()), (2, "one"));
        let log = std::fs::read_to_string(server.dir().join("n.log")).expect("the log");
        for line in [
            "<<- [RS+ $G there]",
            "->> [RS+ $G here]",
            "->> [RS+ $G group q 1]",
            "->> [RMSG $G there 3]",
            "->> MSG_PAYLOAD: [\"one\"]",
            "<<- [RMSG $G here re 3]",
            "<<- MSG_PAYLOAD: [\"two\"]",
            "<<- [RMSG $G group | q 5]",
        ] {
            let found = log.lines().any(|found| found.contains(" - rid:") && found.ends_with(line));
            assert!(found, "{line} of {program:?} in:\n{log}");
        }
        let introduces = |line: &&str| line.contains(" - rid:") && line.contains("<<- [CONNECT");
        let connect = log.lines().find(introduces).expect("the peer introduces itself");
        assert!(connect.contains("\"user\":\"u\"") && connect.contains("\"pass\":\"[REDACTED]\""), "{connect}");
        assert!(!log.contains("hidden"), "{program:?}: {log}");
    }
}
