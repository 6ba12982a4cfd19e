//! Files and the options they give, the samples, and the documentation.

mod clusters;
mod compression;
mod gateways;
mod leaf_nodes;
mod probes;
mod refused;
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use natsd_path::Part;
use proptest::prelude::*;

use super::{
    accounts, authorization, callout, cluster, gateway, leafnodes, mappings, monitoring, msg_trace, multihome,
    operator, paths, permissions, scion, server, sharing, tls, unsupported, websocket,
};
use crate::config::options::{HandshakeFirst, Listen, Options, PeerAddr, PoolPaths, WriteTimeout};
use crate::config::{ConfigErrors, Key, Warnings, load, load_in};

fn loaded(text: &str) -> Result<(Options, Warnings), ConfigErrors> {
    loaded_over(text, Options::default())
}

fn loaded_over(text: &str, base: Options) -> Result<(Options, Warnings), ConfigErrors> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("test.conf");
    std::fs::write(&file, text).expect("test.conf");
    load_in(&file, base, &|_| None)
}

fn options(text: &str) -> Options {
    let (options, warnings) = loaded(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    assert!(warnings.is_empty(), "{text}: {warnings}");
    options
}

fn tcp(host: &str, port: u16) -> Listen {
    Listen::Tcp { host: host.into(), port }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `*.conf` of a directory of the repository, by name.
fn conf_files(dir: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join(dir)).expect(dir);
    let mut files: Vec<_> = entries.map(|entry| entry.expect(dir).path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    assert!(!files.is_empty(), "{dir}");
    files
}

#[test]
fn every_sample_is_valid_without_a_warning() {
    for file in conf_files("configs") {
        let (_, warnings) = load(&file, Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(warnings.is_empty(), "{warnings}");
    }
}

#[test]
fn every_invalid_sample_says_what_to_do() {
    let root = format!("{}/", repository().display());
    let texts: Vec<_> = conf_files("configs/invalid")
        .iter()
        .map(|file| load(file, Options::default()).expect_err(&file.display().to_string()).to_string())
        .map(|text| text.replace(&root, ""))
        .collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn an_empty_file_changes_nothing() {
    let empty = Options { config_file: None, config_digest: None, ..options("") };
    assert_eq!(format!("{empty:?}"), format!("{:?}", Options::default()));
}

#[test]
fn clients_come_in_by_listen_or_by_host_and_port() {
    for (text, expected) in [
        ("listen: 4333", vec![tcp("0.0.0.0", 4333)]),
        ("listen: 127.0.0.1:4333", vec![tcp("127.0.0.1", 4333)]),
        ("listen: [\"[::1]:1\", 2 ]", vec![tcp("::1", 1), tcp("0.0.0.0", 2)]),
        ("port: -1", vec![tcp("0.0.0.0", 0)]),
        ("port: 0", vec![tcp("0.0.0.0", 4222)]),
        ("net: localhost", vec![tcp("localhost", 4222)]),
        ("Host: localhost, PORT: 4333", vec![tcp("localhost", 4333)]),
    ] {
        assert_eq!(options(text).listen, expected, "{text}");
    }
}

#[test]
fn port_zero_is_refused_where_it_could_mean_two_things() {
    for text in
        ["listen: 0", "listen: \"127.0.0.1:0\"", "cluster { port: 0 }", "cluster { listen: 0 }", "http: \"h:0\""]
    {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.contains("0") && errors.contains("-1 for any free port"), "{errors}");
    }
}

#[test]
fn monitoring_is_on_the_host_of_the_clients_unless_it_has_its_own() {
    for (text, host, port) in [
        ("http_port: 8222, host: 127.0.0.1", "127.0.0.1", 8222),
        ("monitor_port: -1", "0.0.0.0", 0),
        ("http: 8222\nlisten: localhost:4222", "localhost", 8222),
        ("http: 127.0.0.1:8222\nhost: localhost", "127.0.0.1", 8222),
    ] {
        assert_eq!(options(text).http, Some((host.to_owned(), port)), "{text}");
    }
    assert_eq!(options("http_port: 0").http, None);
    assert_eq!(options("http: 0").http, None);
    assert_eq!(options("http_base_path: nats/").http_base_path, "/nats");
    assert_eq!(options("http_base_path: \"/\"").http_base_path, "");
}

#[test]
fn a_server_is_labelled() {
    assert_eq!(options("server_tags: \" Region:EU \"").server_tags, ["region:eu"]);
    assert_eq!(options("server_tags: [a, B, \"\", A]").server_tags, ["a", "b"]);
    assert_eq!(options("server_tags: []").server_tags, [""; 0]);
    let labelled = options("server_metadata { Rack: \"7\", hall: north }");
    let expected = [("Rack", "7"), ("hall", "north")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(labelled.server_metadata, expected.into());
    for (text, reason) in [
        ("server_tags: 5", ":1:1: server_tags: expected a string, found an integer"),
        ("server_tags: [a, 5 ]", ":1:18: server_tags: expected a string, found an integer"),
        ("server_metadata: [a]", "expected a map"),
        ("server_metadata { a: 5 }", ":1:19: server_metadata: expected a string, found an integer"),
    ] {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.contains(reason), "{text}: {errors}");
    }
}

#[test]
fn limits_of_zero_mean_the_default_or_none() {
    let zero = options(
        "max_connections: 0\nmax_subs: 0\nmax_sub_tokens: 0\nmax_payload: 0\nmax_pending: 0\nmax_control_line: 0\n\
         ping_max: 0\nping_interval: \"0s\"\nwrite_deadline: \"0s\"\nmax_closed_clients: 0",
    );
    assert_eq!((zero.max_connections, zero.max_subscriptions, zero.max_sub_tokens), (None, None, None));
    let zero = Options { config_file: None, config_digest: None, max_connections: Some(65536), ..zero };
    assert_eq!(format!("{zero:?}"), format!("{:?}", Options::default()));
    assert_eq!(options("max_conn: -1").max_connections, None);
}

#[test]
fn sizes_take_suffixes() {
    let options = options("max_payload: 8mb\nmax_pending: 1GiB\nmax_control_line: 4k\nmax_traced_msg_len: 1kb");
    assert_eq!((options.max_payload, options.max_pending), (8 << 20, 1 << 30));
    assert_eq!((options.max_control_line, options.max_traced_msg_len), (4000, 1024));
}

#[test]
fn durations_are_quoted_and_bare_integers_are_seconds_with_a_warning() {
    assert_eq!(options("ping_interval: \"1m30s\"").ping_interval, Duration::from_secs(90));
    let (options, warnings) = loaded("ping_interval: 2\nwrite_deadline: 2m").expect("valid");
    assert_eq!(options.ping_interval, Duration::from_secs(2));
    assert_eq!(options.write_deadline, Duration::from_secs(2_000_000));
    assert_eq!(warnings.0.len(), 2);
    let text = warnings.to_string();
    let expected = "1:1: invalid use of field \"ping_interval\": ping_interval should be converted to a duration";
    assert!(text.contains(expected), "{text}");
    assert!(loaded("lame_duck_duration: 60").is_err(), "nats-server takes no integer here either");
}

#[test]
fn tls_is_read_with_its_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let file = |name: &str, text: String| {
        std::fs::write(dir.path().join(name), text).expect(name);
        format!("\"{}\"", dir.path().join(name).display())
    };
    let (cert, key) = (file("c.pem", made.cert.pem()), file("k.pem", made.signing_key.serialize_pem()));
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    let files = format!("cert_file: {cert}, key_file: {key}");
    let tls = |more: &str| options(&format!("tls {{ {files}, {more} }}")).tls.expect("tls");

    for (text, timeout) in [("0.5", 500), ("3", 3000), ("\"250ms\"", 250), ("0", 2000), ("0.0", 2000)] {
        assert_eq!(tls(&format!("timeout: {text}")).timeout, Duration::from_millis(timeout), "{text}");
    }
    let auto = HandshakeFirst::Within(Duration::from_millis(50));
    let first = [("true", HandshakeFirst::Always), ("\"off\"", HandshakeFirst::Never), ("auto", auto)];
    for (text, first) in first.into_iter().chain([("\"50ms\"", auto), ("\"0s\"", HandshakeFirst::Always)]) {
        assert_eq!(tls(&format!("handshake_first: {text}")).handshake_first, first, "{text}");
    }
    assert_eq!(tls(&format!("pinned_certs: [\"{}\"]", "aB".repeat(32))).pinned_certs, [[0xab; 32]]);
    assert_eq!(options(&format!("https: 8222\ntls {{ {files} }}")).https, Some(("0.0.0.0".into(), 8222)));

    let over_scion = |keys: &str, more: &str| {
        let listen = "listen: [\"[1-ff00:0:110,10.0.0.1]:1\", 2 ]";
        format!("scion: true\ncluster {{ {listen}, {keys} {{ {files}, {more} }} }}")
    };
    loaded(&over_scion("tls", &format!("ca_file: {cert}"))).expect("an authority");
    for (text, expected) in [
        ("tls {}".to_owned(), "missing 'cert_file'"),
        (format!("tls {{ cert_file: {cert} }}"), "missing 'key_file'"),
        (format!("tls {{ cert_file: {key}, key_file: {key} }}"), "there is none in it"),
        (format!("tls {{ cert_file: {cert}, key_file: {} }}", file("o.pem", other)), "do not go together"),
        (format!("tls {{ {files}, timeout: -0.5 }}"), "timeout"),
        (format!("tls {{ {files}, pinned_certs: [abc] }}"), "64 hexadecimal digits"),
        (format!("tls {{ {files}, cipher_suites: [] }}"), "the list is empty"),
        (format!("tls {{ {files}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA] }}"), "is not known"),
        (format!("tls {{ {files}, curve: X25519 }}"), "unknown field \"curve\""),
        (format!("tls {{ {files}, ocsp_peer: true }}"), "ocsp_peer is not supported"),
        (format!("tls {{ {files}, ca_file: {cert}, verify_cert_and_check_known_urls: true }}"), "of a cluster alone"),
        ("https: 8222".to_owned(), "https needs a certificate"),
        (format!("http: 1\nhttps: 2\ntls {{ {files} }}"), "remove one of http and https"),
        (over_scion("tls", ""), "an authority of the cluster vouches for; add ca_file"),
        (
            over_scion("tls", &format!("ca_file: {cert}, insecure: true")),
            "insecure is not for [1-ff00:0:110,10.0.0.1]:1",
        ),
        (
            over_scion("authority: there, tls", &format!("ca_file: {cert}")),
            "cluster.authority: cluster.tls says already",
        ),
        ("scion { allow: [\"1-ff00:0:110\", 2 ] }".to_owned(), "expected a string"),
        ("scion { deny: \"1:2\" }".to_owned(), "an ISD-AS looks like"),
        ("scion { allow: [] }".to_owned(), "the list is empty"),
    ] {
        let errors = loaded(&text).expect_err(&text).to_string();
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn an_as_may_have_so_many_connections() {
    let most = |text: &str| options(text).scion.expect("scion").max_connections_per_as;
    assert_eq!(most("scion: true"), Some(8192));
    assert_eq!(most("scion { max_connections_per_as: 3 }"), Some(3));
    assert_eq!(most("scion { max_connections_per_as: 0 }"), None);
    let errors = loaded("scion { max_connections_per_as: many }").expect_err("no number").to_string();
    assert!(errors.contains("an integer"), "{errors}");
    assert!(loaded("scion { max_connections_per_as: -5 }").is_err());
}

#[test]
fn pools_may_be_spread_and_accounts_have_preferences() {
    let text = "scion { pool_paths: disjoint, accounts { BULK { path_preference: \"bandwidth,hops\" } } }";
    let scion = options(text).scion.expect("scion");
    assert_eq!(scion.pool_paths, PoolPaths::Disjoint);
    assert_eq!(scion.wishes.accounts["BULK"].preference.as_ref().expect("it is said").to_string(), "bandwidth,hops");
    for (text, expected) in [
        ("scion { pool_paths: both }", "shared or disjoint"),
        ("scion { accounts { BULK {} } }", "path_preference, or another key for paths, is missing"),
        (
            "scion { accounts { BULK { path_preference: \"speed\" } } }",
            "use latency, bandwidth, hops, mtu, cost or carbon",
        ),
    ] {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn subjects_have_paths() {
    let text = "scion { paths { \"orders.>\": { prefer: latency, redundancy: 2 }, \"gov.*\" { acl: [\"- 2-0#0\", \"+\"], spread: 3 } } }";
    let subjects = options(text).scion.expect("scion").wishes.subjects;
    assert_eq!(subjects.keys().collect::<Vec<_>>(), ["gov.*", "orders.>"]);
    assert_eq!(subjects["orders.>"].wanted.redundant, Some(true));
    assert!(subjects["gov.*"].wanted.rules.is_strict());
    assert_eq!((subjects["orders.>"].spread, subjects["gov.*"].spread), (1, 3));
    let many: String = (0..17).map(|number| format!("\"a.{number}\" {{ redundancy: 2 }},")).collect();
    let without_pool = "cluster { listen: \"127.0.0.1:6222\", pool_size: -1 }";
    for (text, expected) in [
        ("scion { paths { \"a..b\" { redundancy: 2 } } }", "a subject, such as"),
        ("scion { paths { a { spread: 9 } } }", "use 1 to 8"),
        ("scion { paths { \"a\" {} } }", "path_preference, or another key for paths, is missing"),
        (&format!("scion {{ paths {{ {many} }} }}"), "more than 16 subjects have paths of their own"),
        (&format!("scion {{ paths {{ a {{ redundancy: 2 }} }} }}\n{without_pool}"), "paths of scion"),
    ] {
        let errors = match loaded(text) {
            Ok((options, _)) => options.check().expect_err(text).to_string(),
            Err(errors) => errors.to_string(),
        };
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn paths_have_rules_and_limits() {
    let text = "scion {
        acl: [\"- 2-0#0\", \"+\"], sequence: \"1 0*\", isds: [1, 3 ], avoid: \"1-ff00:0:110#3\", pin: \"1e924b9d737700d7\"
        max_latency: \"80ms\", min_bandwidth: \"10Mbit\", min_mtu: 1400, tcp_fallback: true, redundancy: 2
        destinations { \"3-0\" { max_latency: \"200ms\" } }
        accounts { BULK { path_preference: bandwidth, min_bandwidth: 500, tcp_fallback: false, redundancy: 1 } }
    }";
    let wishes = options(text).scion.expect("scion").wishes;
    let said = |to: &str, part| wishes.of(to.parse().expect("an AS"), part).lines().join("\n");
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        said("1-ff00:0:112", Part::Rest),
        said("3-ff00:0:310", Part::Account("BULK"))
    ));
    let refused = [
        "acl: \"- 2\"",
        "sequence: \"1-\"",
        "isds: 0",
        "avoid: \"0\"",
        "avoid: \"x\"",
        "pin: \"1e92\"",
        "max_latency: 0",
        "min_bandwidth: \"10 potatoes\"",
        "min_bandwidth: 0",
        "min_mtu: 70000",
        "redundancy: 3",
        "destinations { \"3\" { isds: 1 } }",
        "destinations { \"3-0\" {} }",
        "accounts { A { acls: [\"+\"] } }",
    ];
    let error = |rule: &str| loaded(&format!("scion {{ {rule} }}")).expect_err(rule).to_string();
    let errors = refused.map(|rule| error(rule).split_once(".conf:").expect("a place").1.to_owned());
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn the_scion_fork_s_two_servers() {
    let first = load(&repository().join("configs/server1.conf"), Options::default()).expect("server1").0;
    let second = load(&repository().join("configs/server2.conf"), Options::default()).expect("server2").0;
    assert_eq!(first.listen, [tcp("0.0.0.0", 4222)]);
    assert_eq!(first.scion.expect("scion").wishes.policy.preference.to_string(), "bandwidth,latency");
    let Listen::Scion(listening) = first.cluster.expect("cluster").listen[0] else { panic!("SCION listener") };
    let PeerAddr::Scion(dialled) = second.cluster.expect("cluster").routes[0].urls[0].address else {
        panic!("SCION route")
    };
    assert_eq!(listening, dialled);
}

#[test]
fn scion_is_a_switch_or_a_map() {
    for text in
        ["scion: true", "scion: enabled", "scion: Enable", "scion {}", "scion { path_preference: \"mtu, hops\" }"]
    {
        assert!(options(text).scion.is_some(), "{text}");
    }
    for text in ["", "scion: false", "scion: disabled", "scion: disable"] {
        assert!(options(text).scion.is_none(), "{text}");
    }
    let scion = options("scion { daemon: \"127.0.0.5:30255\", local: \"10.0.0.5\" }").scion.expect("scion");
    assert_eq!(scion.daemon.as_deref(), Some("127.0.0.5:30255"));
    assert_eq!(scion.local, Some([10, 0, 0, 5].into()));
    assert!(loaded("scion: perhaps").is_err());

    let scion = options("scion { topology: \"/etc/scion/topology.json\" }").scion.expect("scion");
    assert_eq!(scion.topology.as_deref(), Some(Path::new("/etc/scion/topology.json")));
    assert!(loaded("scion { topology: \"\" }").is_err());
    let scion = options("scion { endhost_api: \"http://10.0.0.9:48080\" }").scion.expect("scion");
    assert_eq!(scion.endhost_api.as_deref(), Some("http://10.0.0.9:48080"));
    assert!(loaded("scion { endhost_api: \"10.0.0.9:48080\" }").is_err());
    let both = loaded("scion { daemon: \"127.0.0.1:1\", topology: \"t.json\" }").expect_err("one of them").to_string();
    assert!(both.contains("daemon, topology and endhost_api exclude each other; keep the one"), "{both}");
}

#[test]
fn websocket_is_read_with_all_its_aliases() {
    let text = "websocket { net: h, port: -1, advertise: \"a:1\", no_tls: true, same_origin: true\n\
                allow_origins: [\"http://a\", \"https://B:1\"], handshake_timeout: \"3s\", compress: true\n\
                authentication { username: u, pass: p, timeout: 1.5 }, user_cookie: uc, pass_cookie: pc\n\
                token_cookie: tc, headers { X: \"1\" }, ping_interval: \"7s\" }";
    let websocket = options(text).websocket.expect("it is on");
    let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
    assert_eq!((websocket.host.as_str(), websocket.port, websocket.advertise.as_deref()), ("h", 0, Some("a:1")));
    assert!(websocket.no_tls && websocket.same_origin && websocket.compression && websocket.tls.is_none());
    let origins: Vec<_> =
        websocket.allowed_origins.iter().map(|(text, o)| (text.as_str(), o.host.as_str(), o.port)).collect();
    assert_eq!(origins, [("http://a", "a", 80), ("https://B:1", "b", 1)]);
    assert_eq!((websocket.handshake_timeout, websocket.auth_timeout), (seconds(3.0), seconds(1.5)));
    assert_eq!(websocket.ping_interval, seconds(7.0));
    assert!(websocket.directory.is_some_and(|directory| !directory.is_open()));
    let cookies = &websocket.cookies;
    assert_eq!([&cookies.user, &cookies.password, &cookies.token], ["uc", "pc", "tc"]);
    assert_eq!(websocket.headers, [("X".to_owned(), "1".to_owned())]);
    let short = options("ws { listen: 8080, no_tls: true }").websocket.expect("it is on");
    assert_eq!((short.host.as_str(), short.port, short.directory), ("0.0.0.0", 8080, None));
    assert!(options("proxy_protocol: true").proxy_protocol);
}

#[test]
fn the_scion_flag_is_enough_for_scion_addresses() {
    let text = "cluster { listen: \"[18-ffaa:1:10bf,127.0.0.1]:4248\" }";
    assert!(loaded(text).is_err());
    let base = Options { scion: Some(Default::default()), ..Options::default() };
    assert!(loaded_over(text, base).expect("valid").0.scion.is_some());
}

#[test]
fn monitoring_may_be_for_some_only() {
    let set = options("host: localhost\nhttp { port: 8222, user: me, password: p }");
    assert_eq!(set.http, Some(("localhost".into(), 8222)));
    assert_eq!(set.http_login, Some(natsd_auth::Login::new("me", "p")));
    let set = options("http { net: \"127.0.0.1\", port: -1 }");
    assert_eq!((set.http, set.http_login), (Some(("127.0.0.1".into(), 0)), None));
    for (text, problem) in [
        ("http { user: me, password: p }", "http: port is missing"),
        ("http { port: 1, user: me }", "http: password is missing"),
        ("http { port: 1, password: p }", "http: user is missing"),
        ("http { port: 1, users: [] }", "unknown field \"users\""),
    ] {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.ends_with(problem), "{errors}");
    }
}

#[test]
fn an_account_says_where_its_traces_go() {
    let target = |value: &str| {
        let set = options(&format!("accounts {{ A {{ {value} }} }}"));
        set.accounts[0].trace.as_ref().map(|target| (target.subject.clone(), target.sampling))
    };
    let to = |subject: &str, sampling: u8| Some((subject.to_owned(), sampling));
    assert_eq!(target(""), None);
    assert_eq!(target("msg_trace: \"a.b\""), to("a.b", 100));
    assert_eq!(target("trace_dest { dest: a }"), to("a", 100));
    assert_eq!(target("msg_trace { dest: a, sampling: 1 }"), to("a", 1));
    assert_eq!(target("msg_trace { dest: a, sampling: \"50%\" }"), to("a", 50));
    for (value, problem) in [
        ("1", "msg_trace: expected a subject, or { dest, sampling }, found an integer"),
        ("{ sampling: 5 }", "msg_trace: dest is missing"),
        ("\"a.*\"", "msg_trace: \"a.*\" is not known; use a subject without wildcards"),
        ("{ dest: \"a b\" }", "dest: \"a b\" is not known; use a subject without wildcards"),
        ("{ dest: a, sampling: 0 }", "sampling: 0 is out of range; use 1 to 100"),
        (
            "{ dest: a, sampling: \"101%\" }",
            "sampling: \"101%\" is not known; use a number from 1 to 100, such as 50 or \"50%\"",
        ),
        ("{ dest: a, ratio: 5 }", "unknown field \"ratio\""),
    ] {
        let errors = loaded(&format!("accounts {{ A {{ msg_trace: {value} }} }}")).expect_err(value).to_string();
        assert!(errors.ends_with(problem), "{errors}");
    }
}

#[test]
fn an_unknown_key_is_a_variable_if_something_refers_to_it() {
    assert_eq!(options("P=4333\nport: $P").listen, [tcp("0.0.0.0", 4333)]);
    let errors = loaded("P=4333\nport: 4222").expect_err("unused");
    assert!(errors.to_string().ends_with(":1:1: unknown field \"P\""), "{errors}");
}

#[test]
fn features_are_those_of_nats_server() {
    let flags = options("feature_flags { js_ack_fc_v2: true, js_raft_delete_range: false }").feature_flags;
    let on: Vec<_> = flags.iter().filter(|(_, on)| **on).map(|(flag, _)| flag.as_str()).collect();
    assert_eq!((on, flags.len()), (vec!["js_ack_fc_v2"], 4));
    for (text, reason) in [
        ("feature_flags { js_ack: true }", ":1:17: feature_flags: there is no feature \"js_ack\""),
        ("feature_flags { js_ack_fc_v2: 1 }", "expected true or false"),
        ("feature_flags: [js_ack_fc_v2]", "expected a map"),
    ] {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.contains(reason), "{text}: {errors}");
    }
}

#[test]
fn what_paths_cost_is_told_by_tables() {
    let text = "scion { costs { \"1-ff00:0:111#3\": 5, \"18-0\": 2 }, carbon { \"0-0\": 40 }, prefer: \"cost,carbon\", max_cost: 9, paths { a: { max_carbon: 3 } } }";
    let read = options(text);
    read.check().expect("they go together");
    let policy = read.scion.expect("on").wishes.policy;
    assert_eq!(policy.prices.cost.to_string(), "1-ff00:0:111#3: 5, 18-0: 2");
    assert_eq!(policy.prices.carbon.to_string(), "0-0: 40");
    assert_eq!((policy.preference.to_string().as_str(), policy.rules.limits.cost), ("cost,carbon", Some(9)));
    for (text, reason) in [
        ("scion { costs { \"1-ff00:0:111#3,4\": 5 } }", "an entry means one interface"),
        ("scion { costs { x: 5 } }", "costs: \"x\": a hop looks like"),
        ("scion { costs { \"18\": 5, \"18-0\": 6 } }", "means the same as \"18\""),
        ("scion { carbon { \"18\": -1 } }", ":1:18: carbon: -1 is out of range; use 0 to 1000000000"),
        ("scion { max_cost: -1 }", "max_cost: -1 is out of range"),
        ("scion { prefer: cost }", "path_preference cost asks what paths cost, and no table tells; add costs {}"),
        ("scion { costs { \"18\": 1 }, paths { a: { max_carbon: 3 } } }", "max_carbon 3 asks"),
        ("cluster { listen: \"udp://127.0.0.1:1\" }\nmultihome { prefer: carbon }", "add carbon {} to scion {}"),
    ] {
        let said = match loaded(text).map(|options| options.0.check()) {
            Err(errors) => errors.to_string(),
            Ok(Err(error)) => error.to_string(),
            Ok(Ok(())) => panic!("{text} is taken"),
        };
        assert!(said.contains(reason), "{text}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let errors = load(Path::new("/no/such.conf"), Options::default()).expect_err("no file");
    assert!(errors.to_string().starts_with("cannot read the configuration file /no/such.conf: "), "{errors}");
}

/// One row a key, as in docs/configuration.md.
fn rows<T>(keys: &[Key<T>]) -> String {
    let row = |key: &Key<T>| {
        let names: Vec<_> = key.names.iter().map(|name| format!("`{name}`")).collect();
        format!("| {} | {} | {} | {} |\n", names.join(", "), key.takes, key.default, key.doc)
    };
    keys.iter().map(row).collect()
}

#[test]
fn the_documentation_lists_every_key() {
    let docs = std::fs::read_to_string(repository().join("docs/configuration.md")).expect("docs/configuration.md");
    let users =
        [rows(authorization::KEYS), rows(authorization::USER_KEYS), rows(permissions::KEYS), rows(callout::KEYS)];
    let accounts = [
        rows(accounts::KEYS),
        rows(accounts::LIMITS),
        rows(msg_trace::KEYS),
        rows(sharing::EXPORT_KEYS),
        rows(sharing::IMPORT_KEYS),
    ];
    let blocks = [
        rows(cluster::KEYS),
        rows(mappings::KEYS),
        rows(tls::KEYS),
        rows(scion::KEYS),
        rows(multihome::KEYS),
        rows(paths::KEYS),
        rows(paths::CLASS_KEYS),
        rows(paths::ACCEPTED_KEYS),
        rows(websocket::KEYS),
    ];
    let leafs =
        [rows(leafnodes::KEYS), rows(leafnodes::remotes::KEYS), rows(leafnodes::proxy::KEYS), rows(gateway::KEYS)];
    let others = [rows(server::KEYS), rows(monitoring::KEYS), rows(operator::KEYS), rows(operator::RESOLVER_KEYS)];
    for table in others.into_iter().chain(blocks).chain(users).chain(accounts).chain(leafs) {
        assert!(docs.contains(&table), "docs/configuration.md should contain:\n{table}");
    }
}

proptest! {
    #[test]
    fn no_value_of_any_key_panics(key in 0..server::KEYS.len() + cluster::KEYS.len() + tls::KEYS.len() + scion::KEYS.len() + websocket::KEYS.len() + leafnodes::KEYS.len() + leafnodes::remotes::KEYS.len() + gateway::KEYS.len(), value in
        "-?[0-9]{1,20}[kmgb]{0,2}|\"[0-9a-z:,.@/ %-]{0,20}\"|true|\\[[0-9a-z, ]{0,9} \\]|\\{\\}|\"-?[0-9.]{0,25}[hms]{0,3}\"")
    {
        let top = server::KEYS.iter().map(|key| format!("{}: {value}", key.names[0]));
        let cluster = cluster::KEYS.iter().map(|key| format!("cluster {{ {}: {value} }}", key.names[0]));
        let scion = scion::KEYS.iter().map(|key| format!("scion {{ {}: {value} }}", key.names[0]));
        let tls = tls::KEYS.iter().map(|key| format!("tls {{ {}: {value} }}", key.names[0]));
        let websocket = websocket::KEYS.iter().map(|key| format!("websocket {{ {}: {value} }}", key.names[0]));
        let leafnodes = leafnodes::KEYS.iter().map(|key| format!("leafnodes {{ {}: {value} }}", key.names[0]));
        let remotes = leafnodes::remotes::KEYS.iter().map(|key| format!("leafnodes {{ remotes: [{{ {}: {value} }}] }}", key.names[0]));
        let gateway = gateway::KEYS.iter().map(|key| format!("gateway {{ name: G, {}: {value} }}", key.names[0]));
        let leafs = leafnodes.chain(remotes).chain(gateway);
        let text = top.chain(cluster).chain(tls).chain(scion).chain(websocket).chain(leafs).nth(key).expect("in range");
        let _ = loaded(&text);
    }
}
