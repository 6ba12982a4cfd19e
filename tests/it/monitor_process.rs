//! Monitoring endpoints of what is off, and of the process; keys and headers as nats-server has them.

#[cfg(feature = "interop")]
use std::collections::BTreeSet;

use std::net::TcpStream;

use serde_json::Value;

use crate::harness::http;
use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, programs, wait_for};

#[test]
fn what_is_off_answers_as_nothing_configured() {
    for program in programs() {
        let port = free_port();
        let _server = TestServer::start(program, &format!("http: \"127.0.0.1:{port}\"\nhttp_base_path: /edge"));
        for (path, expected) in [
            ("gatewayz?accs=1&gw_name=x", r#"{"outbound_gateways":{},"inbound_gateways":{}}"#),
            ("leafz?subs=1", r#"{"leafnodes":0,"leafs":[]}"#),
            (
                "jsz?acc=A&streams=1&limit=3",
                r#"{"memory":0,"storage":0,"reserved_memory":0,"reserved_storage":0,"accounts":0,"ha_assets":0,
                   "api":{"level":0,"total":0,"errors":0},"disabled":true,"config":{"max_memory":0,"max_storage":0},
                   "streams":0,"consumers":0,"messages":0,"bytes":0,"total":0}"#,
            ),
            ("ipqueuesz", "{}"),
        ] {
            let reply = http::get(port, &format!("/edge/{path}"));
            assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, "application/json"), "{path}");
            assert_eq!(reply.headers["access-control-allow-origin"], "*", "{path}");
            let mut found: Value = serde_json::from_str(&reply.body).expect(path);
            let object = found.as_object_mut().expect("an object");
            if path != "ipqueuesz" {
                assert!(object.remove("server_id").is_some() && object.remove("now").is_some(), "{program:?}: {path}");
            }
            assert_eq!(found, serde_json::from_str::<Value>(expected).expect(expected), "{program:?}: {path}");
        }
        let reply = http::get(port, "/edge/raftz");
        assert_eq!((reply.status, reply.body.as_str()), (404, "No Raft nodes registered"), "{program:?}");
        assert_eq!(http::get(port, "/jsz").status, 404, "below the base path alone");
        assert_eq!(http::json(port, "/edge/subscriptionsz")["limit"], 1024);
        assert_eq!(http::json(port, "/edge/varz")["http_req_stats"]["/subsz"], 1, "{program:?}");
    }
}

#[test]
fn wrong_parameters_of_what_is_off_are_refused() {
    for program in programs() {
        let port = free_port();
        let _server = TestServer::start(program, &format!("http: \"127.0.0.1:{port}\""));
        for (path, parameter) in [
            ("/gatewayz?subs=x", "boolean for 'subs'"),
            ("/gatewayz?accs=x", "boolean for 'accs'"),
            ("/leafz?subs=x", "boolean for 'subs'"),
            ("/jsz?accounts=x", "boolean for 'accounts'"),
            ("/jsz?direct-consumers=x&offset=y", "boolean for 'direct-consumers'"),
            ("/jsz?offset=x&leader-only=y", "int for 'offset'"),
            ("/jsz?stream-leader-only=x", "boolean for 'stream-leader-only'"),
            ("/ipqueuesz?all=x", "boolean for 'all'"),
        ] {
            let reply = http::get(port, path);
            assert_eq!(reply.status, 400, "{program:?}: {path}");
            assert!(reply.body.starts_with(&format!("Error decoding {parameter}: strconv.")), "{path}: {}", reply.body);
        }
    }
}

#[test]
fn the_process_is_told_without_secrets() {
    for program in programs() {
        let port = free_port().to_string();
        let server = TestServer::quiet(program, "", &["-m", &port, "--user", "me", "--pass", "hidden"]);
        let port = port.parse().expect("a port");
        // Clients can connect before that.
        wait_for("monitoring", || TcpStream::connect(("127.0.0.1", port)).ok());
        let reply = http::get(port, "/debug/vars");
        assert_eq!(reply.headers["content-type"], "application/json; charset=utf-8");
        let vars: Value = serde_json::from_str(&reply.body).expect("JSON");
        let args = vars["cmdline"].as_array().expect("a list");
        assert_eq!(args[0], program.path().to_str().expect("a path"));
        assert!(args.iter().any(|arg| arg == "-m"), "{args:?}");
        for key in ["Sys", "PauseTotalNs", "NumGC", "EnableGC"] {
            assert!(!vars["memstats"][key].is_null(), "{program:?}: {key}");
        }
        assert!(vars["memstats"]["Sys"].as_u64() > Some(1 << 20));
        if program == Program::Natsd {
            assert!(!reply.body.contains("hidden") && !reply.body.contains("\"me\""), "{}", reply.body);
            let threads = http::get(port, "/stacksz");
            let own = format!("thread {} [", server.pid());
            assert!(threads.status == 200 && threads.body.starts_with(&own), "{}", threads.body);
            assert!(threads.body.contains("tokio"), "{}", threads.body);
        }
    }
}

#[cfg(feature = "interop")]
fn keys(value: &Value, prefix: &str, into: &mut BTreeSet<String>) {
    if let Value::Object(map) = value {
        for (key, value) in map {
            into.insert(format!("{prefix}{key}"));
            keys(value, &format!("{prefix}{key}."), into);
        }
    }
}

/// With TLS, users and a cluster, `/varz` has the keys of nats-server and its values, but for what natsd does not have.
#[cfg(feature = "interop")]
#[test]
fn varz_of_a_server_with_everything_on_has_the_keys_of_nats_server() {
    let documents = programs().into_iter().map(|program| {
        let port = free_port();
        let authority = crate::harness::tls::Authority::new();
        let config = format!(
            "http: \"127.0.0.1:{port}\"\nserver_name: s\n{}\ncluster {{ name: c, listen: \"127.0.0.1:-1\", \
             routes: [\"nats://127.0.0.1:1\"], {} }}\nauthorization {{ user: a, password: b, timeout: 3.5 }}",
            authority.block("timeout: 3, verify: true"),
            authority.block("timeout: 4"),
        );
        let _server = TestServer::start(program, &config);
        http::json(port, "/varz")
    });
    let documents: Vec<Value> = documents.collect();
    for key in ["tls_timeout", "auth_timeout", "tls_verify", "tls_required", "max_payload", "write_deadline"] {
        assert_eq!(documents[0][key], documents[1][key], "{key}");
    }
    for key in ["tls_timeout", "tls_verify", "pool_size", "name", "addr", "urls"] {
        assert_eq!(documents[0]["cluster"][key], documents[1]["cluster"][key], "{key}");
    }
    let [ours, theirs] = [0, 1].map(|n: usize| {
        let mut found = BTreeSet::new();
        keys(&documents[n], "", &mut found);
        found
    });
    let missing: Vec<_> = theirs.difference(&ours).filter(|key| !key.starts_with("feature_flags")).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // nats-server tells its own address only when there is a route.
    assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), ["connect_urls", "natsd"]);
}

/// All endpoints are served over TLS and below the base path, and those of JSON to pages from elsewhere.
#[test]
fn all_endpoints_are_served_over_tls_below_the_base_path_and_to_other_origins() {
    let authority = crate::harness::tls::Authority::new();
    let headers = programs().into_iter().map(|program| {
        let port = free_port();
        let config = format!("https: \"127.0.0.1:{port}\"\nhttp_base_path: /edge\n{}", authority.block(""));
        let _server = TestServer::start(program, &config);
        let read = |path: &str| {
            let mut raw = Raw::silent(port);
            raw.begin_tls(authority.stranger()).expect("a handshake");
            raw.send(&format!("GET /edge{path} HTTP/1.0\r\nHost: test\r\n\r\n"));
            let reply = raw.rest();
            let head = reply.split_once("\r\n\r\n").expect(path).0.to_lowercase();
            let field = |name: &str| {
                let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                value.unwrap_or_default().to_owned()
            };
            let status = head.split(' ').nth(1).expect(path).to_owned();
            [path.to_owned(), status, field("content-type"), field("access-control-allow-origin")].join(" ")
        };
        let mut answers: Vec<_> = [
            "",
            "/varz",
            "/connz",
            "/routez",
            "/subsz",
            "/subscriptionsz",
            "/healthz",
            "/gatewayz",
            "/leafz",
            "/jsz",
            "/raftz",
            "/ipqueuesz",
            "/debug/vars",
        ]
        .map(read)
        .into();
        if program == Program::Natsd {
            assert_eq!(read("/metrics"), "/metrics 200 text/plain; version=0.0.4; charset=utf-8 ");
            assert_eq!(read("/stacksz"), "/stacksz 200 text/plain; charset=utf-8 ");
        }
        answers.sort();
        answers
    });
    let headers: Vec<_> = headers.collect();
    assert!(headers[0].contains(&"/jsz 200 application/json *".to_owned()), "{:#?}", headers[0]);
    if let Some(theirs) = headers.get(1) {
        assert_eq!(&headers[0], theirs);
    }
}

#[test]
fn certificates_of_clients_are_told_to_who_asks() {
    let authority = crate::harness::tls::Authority::new();
    for program in programs() {
        let port = free_port();
        let config = format!("http: \"127.0.0.1:{port}\"\n{}", authority.block("verify: true"));
        let server = TestServer::start(program, &config);
        let mut client = server.connect();
        client.begin_tls(authority.member("client")).expect("a handshake");
        assert!(client.is_answered());
        let connection = |query: &str| http::json(port, &format!("/connz{query}"))["connections"][0].clone();
        assert!(connection("")["tls_peer_certs"].is_null(), "{program:?}");
        let certificates = connection("?auth=1")["tls_peer_certs"].clone();
        let told = &certificates[0];
        assert_eq!(told["spki_sha256"], authority.pin("client"), "{program:?}: {certificates}");
        assert_eq!(told["subject"], "CN=rcgen self signed cert", "{program:?}: {certificates}");
        assert_eq!(told["cert_sha256"].as_str().map(str::len), Some(64), "{program:?}");
    }
}
