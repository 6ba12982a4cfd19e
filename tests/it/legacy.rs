//! What the Ruby server did and operators of it rely on. The tests are named after the statements of what it did; where Go's
//! protocol says otherwise, that holds and there is no test here.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::http;
use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{TestServer, natsd, wait_for};

/// natsd with an old file, killed when dropped.
struct Old {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Old {
    /// `{port}` in `yaml` is the port of clients.
    fn start(yaml: &str, args: &[&str]) -> Self {
        let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
        let file = dir.path().join("nats.yml");
        std::fs::write(&file, yaml.replace("{port}", &port.to_string())).expect("nats.yml");
        let process = Command::new(env!("CARGO_BIN_EXE_natsd"))
            .arg("-c")
            .arg(&file)
            .args(args)
            .stderr(Stdio::null())
            .spawn()
            .expect("natsd runs");
        let old = Self { process, port, _dir: dir };
        wait_for("a listener", || TcpStream::connect(("127.0.0.1", old.port)).ok());
        old
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file in a directory that lasts as long.
fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect(name);
    (dir, path)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn flags_win_over_the_file_but_limits_of_the_file_always_hold() {
    let http = free_port();
    let yaml = "net: 127.0.0.1\nport: 1\nmax_payload: 10\nmax_connections: 1\nhttp: {port: 2}\n";
    let port = free_port();
    let (_dir, path) = file("nats.yml", yaml);
    let mut process = Command::new(env!("CARGO_BIN_EXE_natsd"))
        .arg("-c")
        .arg(&path)
        .args(["-p", &port.to_string(), "-m", &http.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .expect("natsd runs");
    wait_for("monitoring", || TcpStream::connect(("127.0.0.1", http)).ok());
    let varz = http::json(http, "/varz");
    let told = ["port", "http_port", "max_payload", "max_connections"].map(|key| varz[key].as_u64());
    process.kill().expect("it runs");
    process.wait().expect("it was killed");
    assert_eq!(told, [Some(port.into()), Some(http.into()), Some(10), Some(1)]);
}

#[test]
fn an_unreadable_or_bad_yaml_file_ends_with_a_message_and_status_1() {
    let (_dir, path) = file("bad.yml", "port: 4222\nauthorization: [\n");
    let path = path.display().to_string();
    let output = natsd(&["-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("natsd: Could not read configuration file: {path}:");
    assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    let output = natsd(&["-c", "no-such.yml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot read the configuration file no-such.yml"), "{}", stderr(&output));
}

#[test]
fn an_unknown_option_is_an_error() {
    let output = natsd(&["--no_such_option"]);
    assert!(!output.status.success() && stderr(&output).contains("--no_such_option"));
}

#[test]
fn a_converted_file_is_valid_and_a_wrong_one_prints_nothing() {
    let (dir, path) = file("nats.yml", "---\nport: 4242\nauthorization: {user: u, password: 'p\"\\x'}\n");
    let output = natsd(&["convert", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let today = dir.path().join("nats.conf");
    std::fs::write(&today, &output.stdout).expect("nats.conf");
    let check = natsd(&["-t", "-c", &today.display().to_string()]);
    assert!(check.status.success(), "{}", stderr(&check));

    let (_dir, path) = file("nats.yml", "port: 4242\nclustre: {}\n");
    let output = natsd(&["convert", &path.display().to_string()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let expected = format!("natsd convert: {}:2:1: unknown field \"clustre\"\n", path.display());
    assert_eq!(stderr(&output), expected);
}

#[test]
fn all_users_of_the_file_are_accepted_and_nobody_else() {
    let users = "authorization:\n  users:\n    - user: a\n      pass: one\n    - user: b\n      password: two\n";
    let old = Old::start(&format!("net: 127.0.0.1\nport: {{port}}\n{users}"), &[]);
    for (user, pass, answer) in [("a", "one", "+OK"), ("b", "two", "+OK"), ("a", "two", "-ERR 'Authorization")] {
        let mut client = Raw::connect(old.port);
        client.send(&format!("CONNECT {{\"user\":\"{user}\",\"pass\":\"{pass}\"}}\r\n"));
        assert!(client.line().starts_with(answer), "{user} {pass}");
    }
}

#[test]
fn control_c_and_control_d_close_a_telnet_session_silently() {
    let server = TestServer::natsd("");
    let locked = TestServer::natsd("authorization { user: u, password: p }");
    for port in [server.port, locked.port] {
        for bytes in [&b"\xff\xf4\xff\xfd\x06"[..], b"\x04", b"\x04\r\n", b"\x03\r\n", b"hel\x06\r\n"] {
            let mut telnet = Raw::connect(port);
            telnet.send_bytes(bytes);
            assert_eq!(telnet.rest(), "", "{bytes:?}");
        }
    }
    let mut telnet = server.connect();
    telnet.send("SUB foo 1\r\nPUB foo 2\r\n\x04\x06\r\n");
    telnet.expect("+OK\r\n+OK\r\nMSG foo 1 2\r\n\x04\x06\r\n");
}

#[test]
fn telnet_works_without_connect_and_echoes_ok() {
    let server = TestServer::natsd("");
    let mut telnet = server.connect();
    telnet.send("sub foo 1\r\npub foo 2\r\nhi\r\nunsub 1\r\nping\r\n");
    telnet.expect("+OK\r\n+OK\r\nMSG foo 1 2\r\nhi\r\n+OK\r\nPONG\r\n");
}

#[test]
fn info_has_the_fields_of_old() {
    let server = TestServer::natsd("authorization { user: u, password: p }");
    let info = server.connect().info;
    for field in ["server_id", "host", "port", "version", "auth_required", "max_payload"] {
        assert!(!info[field].is_null(), "{field}: {info}");
    }
    assert_eq!((&info["auth_required"], &info["port"]), (&true.into(), &server.port.into()));
}

#[test]
fn info_is_sent_before_too_many_connections_are_told() {
    let server = TestServer::natsd("max_connections: 1");
    let mut first = server.client();
    first.expect_pong();
    let mut second = server.connect();
    assert_eq!(second.info["port"], server.port);
    second.expect("-ERR 'maximum connections exceeded'\r\n");
    second.expect_closed();
}

/// Also that the interval may be a fraction, and that one ping more than `max_outstanding` goes without an answer.
#[test]
fn pings_are_sent_every_interval_until_more_than_max_outstanding_are_unanswered() {
    let old = Old::start("net: 127.0.0.1\nport: {port}\nping: {interval: 0.1, max_outstanding: 1}\n", &[]);
    let mut client = Raw::connect(old.port);
    client.send("CONNECT {\"verbose\":false}\r\nPING\r\n");
    let start = Instant::now();
    assert_eq!(client.rest(), "PONG\r\nPING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
    assert!(start.elapsed() > Duration::from_millis(200), "three intervals, the first of them longer");
}

#[test]
fn http_user_and_password_are_basic_authentication() {
    let http = free_port();
    let yaml = format!("net: 127.0.0.1\nport: {{port}}\nhttp: {{port: {http}, user: me, password: secret}}\n");
    let _old = Old::start(&yaml, &[]);
    wait_for("monitoring", || TcpStream::connect(("127.0.0.1", http)).ok());
    for path in ["/varz", "/healthz", "/metrics", "/"] {
        let refused = http::get(http, path);
        assert_eq!((refused.status, refused.body.as_str()), (401, "401 Unauthorized\n"), "{path}");
        assert!(refused.headers["www-authenticate"].starts_with("Basic realm="), "{path}");
        let wrong = http::get_with(http, path, "Authorization: Basic bWU6c2VjcmV1\r\n");
        assert_eq!(wrong.status, 401, "{path}");
        // me:secret
        let right = http::get_with(http, path, "Authorization: Basic bWU6c2VjcmV0\r\n");
        assert_eq!(right.status, 200, "{path}: {}", right.body);
    }
    let reply = http::get_with(http, "/varz", "Authorization: Basic bWU6c2VjcmV0\r\n");
    let varz: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(varz["http_req_stats"]["/varz"], 2, "refusals do not count");

    #[cfg(feature = "tui")]
    {
        let top = |url: &str| natsd(&["top", "--mode", "json", "--cycles", "1", "--connect", url]);
        let output = top(&format!("http://me:secret@127.0.0.1:{http}"));
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(!String::from_utf8_lossy(&output.stdout).contains("secret"));
        let output = top(&format!("http://127.0.0.1:{http}"));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("wants a name and a password"), "{}", stderr(&output));
    }
}

#[cfg(feature = "tui")]
#[test]
fn our_own_tools_look_where_nats_uri_says() {
    let run = |name: &str, value: &str| {
        let mut top = Command::new(env!("CARGO_BIN_EXE_natsd"));
        top.args(["top", "--cycles", "1", "--mode", "json"]).env_remove("NATS_URL").env_remove("NATS_URI");
        top.env(name, value).output().expect("natsd runs")
    };
    let http = free_port();
    let _server = TestServer::natsd(&format!("http: \"127.0.0.1:{http}\""));
    let output = run("NATS_URI", &format!("http://127.0.0.1:{http}"));
    assert!(output.status.success(), "{}", stderr(&output));
    let output = run("NATS_URL", "nats://a b:1");
    assert!(stderr(&output).starts_with("natsd top: NATS_URL \"http://a b\" is not"), "{}", stderr(&output));
}

#[test]
fn monitoring_and_routes_are_never_on_by_default() {
    let mut server = TestServer::natsd("debug: true");
    server.signal("TERM");
    server.wait_for_end();
    let log = server.log().join("\n");
    assert!(!log.contains("monitor") && !log.contains("route connections"), "{log}");
}

#[test]
fn without_logtime_lines_have_no_time() {
    let mut server = TestServer::natsd("logtime: false");
    server.signal("TERM");
    server.wait_for_end();
    for line in server.log() {
        assert!(line.starts_with(&format!("[{}] [", server.pid())), "{line}");
    }
}

#[test]
fn no_user_password_or_token_is_in_info_or_monitoring() {
    let http = free_port();
    let yaml = format!(
        "net: 127.0.0.1\nport: {{port}}\nauthorization: {{user: us3r, password: p4ss}}\nhttp: {{port: {http}}}\n\
         cluster: {{port: {}, routes: 'nats-route://r0ute:s3cret@127.0.0.1:1'}}\n",
        free_port()
    );
    let old = Old::start(&yaml, &["--user", "fl4g", "--pass", "h1dden"]);
    wait_for("monitoring", || TcpStream::connect(("127.0.0.1", http)).ok());
    let mut told = Raw::connect(old.port).info.to_string();
    for path in ["/varz", "/connz", "/connz?state=any", "/routez", "/subsz", "/metrics", "/debug/vars", "/stacksz", "/"]
    {
        told += &http::get(http, path).body;
    }
    for secret in ["us3r", "p4ss", "r0ute", "s3cret", "fl4g", "h1dden"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}
