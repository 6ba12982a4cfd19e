//! Monitoring of a running server, and `natsd top` which reads it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use natsd::Server;
use natsd::config::options::{Listen, Options};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(10);

fn options() -> Options {
    Options {
        server_name: Some("alpha".into()),
        listen: vec![Listen::Tcp { host: "127.0.0.1".into(), port: 0 }],
        http: Some(("127.0.0.1".into(), 0)),
        ..Options::default()
    }
}

/// Without a system account, in which the server itself would have subscriptions.
async fn start() -> Server {
    Server::start(Options { system_account: None, ..options() }).await.expect("started")
}

fn monitor(server: &Server) -> SocketAddr {
    server.monitor_addr().expect("monitoring is on")
}

#[tokio::test]
async fn users_are_told_to_who_asks() {
    let authorization = "authorization { timeout: 1.5, users: [{user: alice, password: hidden}] }";
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("server.conf");
    std::fs::write(&file, format!("listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\n{authorization}"))
        .expect("written");
    let (options, _) = natsd::config::load(&file, Options::default()).expect("valid");
    let server = Server::start(options).await.expect("started");
    let varz = read(monitor(&server), "/varz").await;
    assert_eq!((&varz["auth_required"], &varz["auth_timeout"]), (&true.into(), &1.5.into()));

    let mut open = BufReader::new(TcpStream::connect(server.client_addrs()[0]).await.expect("clients are accepted"));
    say(&mut open, "CONNECT {\"user\":\"alice\",\"pass\":\"hidden\",\"verbose\":false}\r\n").await;
    let connection = |connz: &Value| connz["connections"][0].clone();
    let told = connection(&read(monitor(&server), "/connz?auth=1&user=alice").await);
    assert_eq!(told["authorized_user"], "alice", "{told}");
    assert_eq!(connection(&read(monitor(&server), "/connz").await)["authorized_user"], Value::Null);
    assert_eq!(connection(&read(monitor(&server), "/connz?auth=1&user=bob").await), Value::Null);
    drop(open);
    let path = "/connz?auth=1&state=closed";
    let closed = read_until(monitor(&server), path, |connz| connz["num_connections"] == 1).await;
    assert_eq!(connection(&closed)["authorized_user"], "alice");
    assert!(!closed.to_string().contains("hidden"));
}

/// Status and body.
async fn get(monitor: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(monitor).await.expect("monitoring accepts");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writable");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("readable");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

async fn read(monitor: SocketAddr, path: &str) -> Value {
    let (status, body) = get(monitor, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect(path)
}

/// Reads `path` until `done`.
async fn read_until(monitor: SocketAddr, path: &str, done: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let document = read(monitor, path).await;
        if done(&document) {
            return document;
        }
        assert!(start.elapsed() < DEADLINE, "{path} stays {document:#}");
    }
}

/// A client that says what `lines` say, and has an answer to its last ping.
async fn client(server: &Server, lines: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(server.client_addrs()[0]).await.expect("clients are accepted");
    let mut client = BufReader::new(stream);
    say(&mut client, &format!("CONNECT {{\"name\":\"kitchen\",\"lang\":\"test\",\"verbose\":false}}\r\n{lines}")).await;
    client
}

async fn say(client: &mut BufReader<TcpStream>, lines: &str) {
    client.write_all(format!("{lines}PING\r\n").as_bytes()).await.expect("writable");
    let mut line = String::new();
    while line != "PONG\r\n" {
        line.clear();
        let read = tokio::time::timeout(DEADLINE, client.read_line(&mut line)).await.expect("answered");
        assert_ne!(read.expect("readable"), 0, "closed");
    }
}

/// Keys at any depth; of a list, those of its first element.
fn keys(value: &Value) -> BTreeSet<String> {
    fn collect(value: &Value, prefix: &str, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    into.insert(format!("{prefix}{key}"));
                    collect(value, &format!("{prefix}{key}."), into);
                }
            }
            Value::Array(list) => list.iter().take(1).for_each(|value| collect(value, prefix, into)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(value, "", &mut found);
    found
}

/// What is different from the keys that nats-server has.
fn differences(ours: &Value, theirs: &str) -> String {
    // Measured at any time.
    let volatile = |key: &String| key != "connections.rtt";
    let (ours, theirs) = (keys(ours), keys(&serde_json::from_str(theirs).expect("sample")));
    let extra = ours.difference(&theirs).filter(|key| volatile(key)).map(|key| format!("+ {key}"));
    let missing = theirs.difference(&ours).filter(|key| volatile(key)).map(|key| format!("- {key}"));
    extra.chain(missing).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn keys_are_nats_servers() {
    let server = Server::start(options()).await.expect("started");
    let monitor = monitor(&server);
    let _client = client(&server, "SUB foo.> 1\r\n").await;
    let varz = read(monitor, "/varz").await;
    let connz = read(monitor, "/connz?subs=detail&auth=1").await;
    let subsz = read(monitor, "/subsz?subs=1&test=foo.x").await;
    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../crates/api/tests/nats-server-2.15.2/", $name))
        };
    }
    // The sample's server is in a cluster, this one is not; the rest is authentication, TLS, accounts and JetStream.
    insta::assert_snapshot!("varz_keys", differences(&varz, sample!("varz.json")));
    // The sample's client has no language test.
    insta::assert_snapshot!("connz_keys", differences(&connz, sample!("connz.json")));
    insta::assert_snapshot!("subsz_keys", differences(&subsz, sample!("subsz.json")));
}

#[tokio::test]
async fn messages_and_subscriptions_are_counted() {
    let server = start().await;
    let monitor = monitor(&server);
    let mut sender = client(&server, "").await;
    let mut receiver = client(&server, "SUB orders.* 7\r\nSUB orders.new workers 8\r\nUNSUB 8 5\r\n").await;
    say(&mut sender, "PUB orders.old 3\r\nabc\r\nPUB nobody 2\r\nab\r\n").await;
    say(&mut receiver, "").await;

    let varz = read_until(monitor, "/varz", |varz| varz["in_msgs"] == 2 && varz["out_msgs"] == 1).await;
    for (key, want) in [
        ("in_bytes", 5),
        ("in_client_msgs", 2),
        ("in_client_bytes", 5),
        ("out_bytes", 3),
        ("out_client_msgs", 1),
        ("out_client_bytes", 3),
        ("connections", 2),
        ("total_connections", 2),
        ("subscriptions", 2),
        ("max_payload", 1 << 20),
    ] {
        assert_eq!(varz[key], want, "{key}");
    }
    assert_eq!(varz["server_name"], "alpha");
    assert_eq!(varz["port"], server.client_addrs()[0].port());
    assert_eq!(varz["http_port"], monitor.port());

    let connz = read(monitor, "/connz?sort=subs&subs=detail").await;
    let first = &connz["connections"][0];
    assert_eq!((&first["out_msgs"], &first["out_bytes"], &first["in_msgs"]), (&1.into(), &3.into(), &0.into()));
    assert_eq!((first["name"].as_str(), first["lang"].as_str()), (Some("kitchen"), Some("test")));
    let details = &first["subscriptions_list_detail"];
    assert_eq!(
        (&details[0]["subject"], &details[0]["sid"], &details[0]["msgs"]),
        (&"orders.*".into(), &"7".into(), &1.into())
    );
    assert_eq!((&details[1]["qgroup"], &details[1]["max"]), (&"workers".into(), &5.into()));

    let subsz = read(monitor, "/subsz?subs=1&test=orders.new").await;
    assert_eq!(
        (&subsz["total"], &subsz["num_subscriptions"], &subsz["num_inserts"]),
        (&2.into(), &2.into(), &2.into())
    );
}

#[tokio::test]
async fn a_closed_client_is_remembered_with_its_reason() {
    let server = start().await;
    let monitor = monitor(&server);
    drop(client(&server, "SUB a 1\r\nSUB b 2\r\n").await);
    let connz = read_until(monitor, "/connz?state=closed&sort=stop", |connz| connz["num_connections"] == 1).await;
    let closed = &connz["connections"][0];
    assert_eq!(closed["reason"], "Client Closed");
    assert_eq!(closed["subscriptions"], 2);
    let subsz = read(monitor, "/subsz").await;
    assert_eq!((&subsz["num_removes"], &subsz["num_subscriptions"]), (&2.into(), &0.into()));
    let varz = read(monitor, "/varz").await;
    assert_eq!((&varz["connections"], &varz["total_connections"]), (&0.into(), &1.into()));
}

#[tokio::test]
async fn a_lame_duck_is_not_healthy() {
    let mut server = start().await;
    let monitor = monitor(&server);
    let _client = client(&server, "").await;
    assert_eq!(get(monitor, "/healthz").await, (200, r#"{"status":"ok"}"#.into()));
    let unhealthy = async {
        while get(monitor, "/healthz").await.0 == 200 {}
        get(monitor, "/healthz").await
    };
    let answer = tokio::select! {
        answer = tokio::time::timeout(DEADLINE, unhealthy) => answer.expect("unhealthy in time"),
        () = server.lame_duck() => panic!("the client is still there"),
    };
    let body = r#"{"status":"unavailable","error":"lame duck mode: no new clients"}"#;
    assert_eq!(answer, (503, body.into()));
}

#[cfg(feature = "tui")]
mod top {
    use std::process::{Output, Stdio};

    use tokio::process::Command;

    use super::*;

    /// Runs `natsd top` with `flags`.
    async fn top(flags: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_natsd"));
        command.arg("top").args(flags).stdin(Stdio::null()).kill_on_drop(true);
        tokio::time::timeout(DEADLINE, command.output()).await.expect("ended in time").expect("started")
    }

    #[tokio::test]
    async fn prints_json_lines() {
        let server = start().await;
        let url = format!("http://{}", monitor(&server));
        let output = top(&["--connect", &url, "--mode", "json", "--cycles", "2"]).await;
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["servers"][0]["url"], url);
        assert_eq!(lines[1]["servers"][0]["varz"]["server_id"], server.id());
        assert_eq!(lines[1]["servers"][0]["pathz"], Value::Null);
    }

    #[tokio::test]
    async fn prints_text_without_a_terminal() {
        let server = start().await;
        let url = format!("http://{}", monitor(&server));
        let output = top(&["--connect", &url, "--cycles", "1"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(" conns 0 routes 0 subs 0 in 0/s 0B/s out 0/s 0B/s "), "{text}");
    }

    #[tokio::test]
    async fn says_what_is_wrong() {
        let output = top(&["--connect", "http://127.0.0.1:1", "--cycles", "1", "--mode", "json"]).await;
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("natsd top: cannot connect to http://127.0.0.1:1: "), "{text}");

        let output = top(&["--connect", "nats://127.0.0.1:4222"]).await;
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("the scheme is not http"), "{text}");
    }
}

/// What a reload changed shows, and since when.
#[tokio::test]
async fn varz_follows_a_reload() {
    let mut server = start().await;
    let address = monitor(&server);
    let before = read(address, "/varz").await;
    let options =
        Options { system_account: None, max_payload: 1000, config_digest: Some("sha256:new".into()), ..options() };
    server.reload(options).expect("a limit can change");
    let after = read(address, "/varz").await;
    assert_eq!((&after["max_payload"], &after["config_digest"]), (&1000.into(), &"sha256:new".into()));
    assert_eq!(after["start"], before["start"]);
    let loaded = |varz: &Value| varz["config_load_time"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    assert!(loaded(&after) > loaded(&before), "{:?} after {:?}", loaded(&after), loaded(&before));
    server.shutdown().await;
}
