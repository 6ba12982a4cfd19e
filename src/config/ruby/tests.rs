//! What old files mean now. Both samples have the shape of those that the Ruby server came with.

use std::time::Duration;

use crate::config::options::{Listen, Options};
use crate::config::{convert, load};

const SERVER: &str = "
# A comment

---
# Port and address
port: 4242
net: 127.0.0.1 # the address to bind

authorization:
  user: derek
  password: T0pS3cr3t
  timeout: 0.5

pid_file: '/tmp/nats.pid'
log_file: '/tmp/nats.log'
logtime: true
debug: false
trace: no
no_epoll: false
ssl: false
syslog: nats_server

max_control_line: 512
max_payload: 512000
max_pending: 2_000_000
max_connections: 100

http:
  net: 127.0.0.2
  port: 8222
  user: me
  password: 1234

ping:
  interval: 0.1
  max_outstanding: 2
";

/// An option of each, as the new file says it.
fn converted(name: &str, text: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join(name);
    std::fs::write(&file, text).expect(name);
    let at = format!("{}/", dir.path().display());
    convert(&file).map_err(|errors| errors.to_string().replace(&at, ""))
}

fn options(name: &str, text: &str) -> Options {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join(name);
    std::fs::write(&file, text).expect(name);
    let (options, warnings) = load(&file, Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(warnings.is_empty(), "{warnings}");
    Options { config_file: None, config_digest: None, ..options }
}

/// T: natsd needs either a YAML reader (by extension or first-line `---`) or a converter.
#[test]
fn a_yaml_file_is_read_by_its_name_or_its_first_line_and_converted() {
    let read = options("server.yml", SERVER);
    assert_eq!(read.listen, [Listen::Tcp { host: "127.0.0.1".into(), port: 4242 }]);
    assert_eq!((read.max_control_line, read.max_payload, read.max_pending), (512, 512_000, 2_000_000));
    assert_eq!((read.ping_interval, read.ping_max), (Duration::from_millis(100), 3));
    assert_eq!(read.http, Some(("127.0.0.2".into(), 8222)));
    assert_eq!(read.http_login, Some(natsd_auth::Login::new("me", "1234")));
    assert_eq!(read.authorization.timeout, Duration::from_millis(500));
    assert!(read.authorization.is_required() && read.syslog && read.logtime && !read.trace);

    assert_eq!(format!("{:?}", options("server.conf", SERVER)), format!("{read:?}"), "by its first line");
    let today = converted("server.yaml", SERVER).expect("valid");
    assert_eq!(format!("{:?}", options("today.conf", &today)), format!("{read:?}"));
    insta::assert_snapshot!(today);
}

/// T: accept a list, a single URL, and a whitespace-separated string.
#[test]
fn routes_may_be_a_list_or_a_url_or_indented_lines() {
    let routes = |text: &str| {
        let cluster = options("cluster.yml", &format!("cluster:\n  port: 4244\n  routes:{text}\n")).cluster;
        let routes = cluster.expect("on").routes;
        routes.iter().map(|remote| remote.urls[0].address.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(routes(" nats-route://u:p@localhost:4220"), "localhost:4220");
    assert_eq!(routes("\n    - nats-route://a:1\n    - nats-route://b:2"), "a:1 b:2");
    assert_eq!(routes("\n    nats-route://user:pass@a:4220\n    nats-route://user:pass@b:4221"), "a:4220 b:4221");
    assert_eq!(routes(""), "");
    let listen = options("c.yml", "net: localhost\ncluster: {port: 4244}").cluster.expect("on").listen;
    assert_eq!(listen, [Listen::Tcp { host: "localhost".into(), port: 4244 }]);
}

/// T: a config with `users` and no `user`: all users are accepted. With both, the Ruby server took all of them, too.
#[test]
fn a_single_user_and_a_list_go_together() {
    let text = "authorization:\n  user: one\n  pass: 1\n  users:\n    - user: two\n      password: 2\n    - {user: three, pass: 3}\n";
    assert!(options("users.yml", text).authorization.directory.is_list());
    insta::assert_snapshot!(converted("users.yml", text).expect("valid"), @r#"
    authorization {
      users: [
        {
          user: "one"
          password: "1"
        }
        {
          user: "two"
          password: "2"
        }
        {
          user: "three"
          password: "3"
        }
      ]
    }
    "#);
}

#[test]
fn what_has_no_counterpart_is_told_with_its_place() {
    let text = "port: many\nssl: true\nauthorization: [derek]\nunheard_of: 1\nping: {interval: often}\nlog_file: ~\n\
                http: {port: 8222, users: []}\ncluster:\n  routes: {a: b}\n  weight: 3\n";
    insta::assert_snapshot!(converted("old.yml", text).expect_err("invalid"), @r#"
    old.yml:1:1: port: expected an integer, found a string
    old.yml:2:1: ssl: the Ruby server made up a certificate, natsd needs one: use natsd convert without this line, and add tls { cert_file, key_file }
    old.yml:3:1: authorization: expected a map, found a list
    old.yml:4:1: unknown field "unheard_of"
    old.yml:5:8: interval: expected a number of seconds, found a string
    old.yml:7:20: unknown field "users"
    old.yml:9:3: routes: expected URLs, found a map
    old.yml:10:3: unknown field "weight"
    "#);
    let routes = converted("old.yml", "cluster: {port: 1, routes: 'http://x'}").expect_err("no route");
    assert!(routes.starts_with("old.yml:1:28: routes: "), "{routes}");
    let not = converted("new.conf", "port: 4222").expect_err("nothing to do");
    assert!(not.starts_with("new.conf is no YAML file of the Ruby server: "), "{not}");
}
