//! TLS of clients. The scenarios take the kind of the server: [`interop`](crate::interop) runs them with Go's
//! nats-server as well.

use std::process::Command;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use rustls::{ClientConfig, version};

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::tls::Authority;

const QUIET: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
const NOT_TLS: &str = "TLS handshake error: ";

fn serve(program: Program, authority: &Authority, more: &str) -> TestServer {
    TestServer::start(program, &format!("debug: true\n{}", authority.block(more)))
}

/// A connection over TLS that has read the INFO in the clear and said CONNECT.
fn client(server: &TestServer, config: Arc<ClientConfig>) -> Raw {
    let mut raw = server.connect();
    raw.begin_tls(config).expect("a handshake");
    raw.send(QUIET);
    raw
}

/// Whether a client with this configuration is let in.
fn is_admitted(server: &TestServer, config: Arc<ClientConfig>) -> bool {
    let mut raw = server.connect();
    raw.begin_tls(config).is_ok() && raw.is_answered()
}

fn flag(info: &serde_json::Value, name: &str) -> bool {
    info[name].as_bool().unwrap_or(false)
}

pub fn clients_speak_over_tls(program: Program) {
    let authority = Authority::new();
    let server = serve(program, &authority, "");
    for config in [authority.only(&version::TLS13), authority.only(&version::TLS12)] {
        let raw = server.connect();
        assert_eq!(
            ["tls_required", "tls_verify", "tls_available"].map(|name| flag(&raw.info, name)),
            [true, false, false]
        );
        let (mut here, mut there) = (client(&server, config.clone()), client(&server, config));
        here.send("SUB foo.* 1\r\n");
        here.expect_pong();
        there.send("PUB foo.bar 2\r\nhi\r\nPUB foo.baz 0\r\n\r\n");
        here.expect("MSG foo.bar 1 2\r\nhi\r\nMSG foo.baz 1 0\r\n\r\n");
        for len in [16_383, 16_384, 131_071, 1_000_000] {
            let body: String = (0..len).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
            there.send(&format!("PUB foo.large {len}\r\n{body}\r\n"));
            here.expect(&format!("MSG foo.large 1 {len}\r\n{body}\r\n"));
        }
        there.send("FOO\r\n");
        there.expect("-ERR 'Unknown Protocol Operation'\r\n");
        there.expect_closed();
    }
}

pub fn who_speaks_no_tls_is_sent_away(program: Program) {
    let authority = Authority::new();
    let mut server = serve(program, &authority, "timeout: 0.3");
    let mut plain = server.connect();
    plain.send("CONNECT {}\r\nPING\r\n");
    plain.expect_closed();
    server.wait_for_line(&format!(
        "{NOT_TLS}{}",
        if program == Program::Natsd { "first record" } else { "tls: first record" }
    ));
    server.wait_for_line("TLS Handshake Failure");
    server.connect().expect_closed();
    server.wait_for_line("TLS Handshake Failure");
    assert!(is_admitted(&server, authority.stranger()), "others are served");
}

pub fn certificates_are_asked_for(program: Program) {
    let authority = Authority::new();
    let others = Authority::new();
    let mut server = serve(program, &authority, "verify: true");
    assert!(flag(&server.connect().info, "tls_verify"));
    assert!(!is_admitted(&server, authority.stranger()));
    server.wait_for_line(NOT_TLS);
    assert!(is_admitted(&server, authority.member("client")));

    // A certificate of somebody else, whose own server we would believe.
    for file in ["client.pem", "client.key"] {
        std::fs::copy(others.file(file), authority.file(&format!("other{}", &file[6..]))).expect("a copy");
    }
    assert!(!is_admitted(&server, authority.member("other")));
    server.wait_for_line(NOT_TLS);
}

pub fn only_pinned_keys_are_taken(program: Program) {
    let authority = Authority::new();
    let pins = format!("verify: true, pinned_certs: [\"{}\"]", authority.pin("client"));
    let mut server = serve(program, &authority, &pins);
    assert!(is_admitted(&server, authority.member("client")));
    assert!(!is_admitted(&server, authority.member("server")));
    server.wait_for_line("TLS handshake error: certificate not pinned");
}

pub fn versions_and_ciphers_are_chosen(program: Program) {
    let authority = Authority::new();
    let server = serve(program, &authority, "min_version: \"1.3\", curve_preferences: [CurveP256]");
    assert!(is_admitted(&server, authority.only(&version::TLS13)));
    assert!(!is_admitted(&server, authority.only(&version::TLS12)));

    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let mut server = serve(program, &authority, &format!("cipher_suites: [{suite}]"));
    assert!(is_admitted(&server, authority.only(&version::TLS12)));
    server.wait_for_line(&format!("TLS version 1.2, cipher suite {suite}"));
    assert!(is_admitted(&server, authority.only(&version::TLS13)));
}

pub fn some_clients_do_without(program: Program) {
    let authority = Authority::new();
    let server = TestServer::start(program, &format!("{}\nallow_non_tls: true", authority.block("timeout: 0.3")));
    let mut plain = server.connect();
    assert_eq!(["tls_required", "tls_available"].map(|name| flag(&plain.info, name)), [false, true]);
    plain.send(QUIET);
    plain.send("SUB foo 1\r\n");
    plain.expect_pong();
    let mut sealed = client(&server, authority.stranger());
    sealed.send("PUB foo 2\r\nhi\r\n");
    plain.expect("MSG foo 1 2\r\nhi\r\n");
}

pub fn the_handshake_may_come_first(program: Program) {
    let authority = Authority::new();
    let mut server = serve(program, &authority, "handshake_first: true, timeout: 0.3");
    let mut raw = Raw::silent(server.port);
    raw.begin_tls(authority.stranger()).expect("a handshake");
    assert!(flag(&raw.expect_info(), "tls_required"));
    raw.send(QUIET);
    raw.expect_pong();
    Raw::silent(server.port).expect_closed();
    server.wait_for_line(NOT_TLS);
}

pub fn the_handshake_may_come_first_or_not(program: Program) {
    let authority = Authority::new();
    let server = serve(program, &authority, "handshake_first: \"300ms\"");
    let mut first = Raw::silent(server.port);
    first.begin_tls(authority.stranger()).expect("a handshake");
    assert!(flag(&first.expect_info(), "tls_required"));
    // Reads the INFO in the clear, as the server has waited long enough.
    assert!(is_admitted(&server, authority.stranger()));
}

pub fn handshakes_are_limited(program: Program) {
    let authority = Authority::new();
    let server = serve(program, &authority, "connection_rate_limit: 1");
    let refused = (0..3).any(|_| {
        let mut raw = server.connect();
        match raw.begin_tls(authority.stranger()) {
            Ok(()) => false,
            Err(_) => {
                let mut told = server.connect();
                told.expect("-ERR 'Connection throttling is active. Please try again later.'\r\n");
                told.expect_closed();
                true
            }
        }
    });
    assert!(refused);
}

/// What a receiver does not take is kept for it, sealed or not, and nothing is lost.
pub fn slow_receivers_get_all(program: Program) {
    const MESSAGES: usize = 300;
    let authority = Authority::new();
    let server = serve(program, &authority, "");
    let mut slow = client(&server, authority.stranger());
    slow.send("SUB foo 1\r\n");
    slow.expect_pong();
    let mut fast = client(&server, authority.stranger());
    let body = |i: usize| format!("{i:06}").repeat(10_000);
    for i in 0..MESSAGES {
        fast.send(&format!("PUB foo 60000\r\n{}\r\n", body(i)));
    }
    fast.expect_pong();
    for i in 0..MESSAGES {
        slow.expect(&format!("MSG foo 1 60000\r\n{}\r\n", body(i)));
    }
    slow.expect_pong();
}

pub fn users_are_asked_for_inside(program: Program) {
    let (authority, pair) = (Authority::new(), nkeys::KeyPair::new_user());
    let users = format!("users: [{{ user: alice, password: secret }}, {{ nkey: {} }}]", pair.public_key());
    for first in ["false", "true"] {
        let more = format!("handshake_first: {first}");
        let config = format!("debug: true\n{}\nauthorization {{ {users} }}", authority.block(&more));
        let server = TestServer::start(program, &config);
        let enter = || {
            let mut raw = if first == "true" { Raw::silent(server.port) } else { server.connect() };
            raw.begin_tls(authority.stranger()).expect("a handshake");
            if first == "true" {
                raw.info = raw.expect_info();
            }
            assert!(flag(&raw.info, "auth_required"), "{program:?}");
            raw
        };
        let mut alice = enter();
        alice.send("CONNECT {\"verbose\":false,\"user\":\"alice\",\"pass\":\"secret\"}\r\n");
        alice.expect_pong();
        let mut wrong = enter();
        wrong.send("CONNECT {\"verbose\":false,\"user\":\"alice\",\"pass\":\"other\"}\r\n");
        wrong.expect("-ERR 'Authorization Violation'\r\n");
        wrong.expect_closed();
        let mut keyed = enter();
        let nonce = keyed.info["nonce"].as_str().expect("a nonce");
        let signature = data_encoding::BASE64URL_NOPAD.encode(&pair.sign(nonce.as_bytes()).expect("a pair signs"));
        let key = pair.public_key();
        keyed.send(&format!("CONNECT {{\"verbose\":false,\"nkey\":\"{key}\",\"sig\":\"{signature}\"}}\r\n"));
        keyed.expect_pong();
    }
}

pub fn certificates_say_who_one_is(program: Program) {
    let authority = Authority::new();
    let make = |name: &str, alternative: Option<SanType>, subject: &[(DnType, &str)]| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = alternative.into_iter().collect();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        authority.sign(name, params);
    };
    let text = |text: &str| text.try_into().expect("ASCII");
    let nobody = [(DnType::CommonName, "nobody")];
    make("mail", Some(SanType::Rfc822Name(text("me@example.org"))), &nobody);
    make("host", Some(SanType::DnsName(text("host.example"))), &nobody);
    make("uri", Some(SanType::URI(text("spiffe://example/me"))), &nobody);
    make(
        "subject",
        None,
        &[(DnType::OrganizationName, "Org"), (DnType::OrganizationalUnitName, "Unit"), (DnType::CommonName, "Name")],
    );
    make("stranger", None, &nobody);
    let users = ["me@example.org", "host.example", "spiffe://example/me", "CN=Name,OU=Unit,O=Org"];
    let users: String = users
        .iter()
        .map(|user| {
            format!("{{ user: \"{user}\", permissions: {{ publish: \"{}\" }} }}\n", user.replace(['.', ' '], "_"))
        })
        .collect();
    let config = format!(
        "{}\nauthorization {{ users: [{users}{{ user: typed, password: p }}] }}",
        authority.block("verify_and_map: true")
    );
    let server = TestServer::start(program, &config);
    for (certificate, user) in [
        ("mail", "me@example_org"),
        ("host", "host_example"),
        ("uri", "spiffe://example/me"),
        ("subject", "CN=Name,OU=Unit,O=Org"),
    ] {
        let mut raw = client(&server, authority.member(certificate));
        raw.send(&format!("PUB {user} 0\r\n\r\nPUB other 0\r\n\r\n"));
        raw.expect("-ERR 'Permissions Violation for Publish to \"other\"'\r\n");
        raw.expect_nothing();
    }
    assert!(!is_admitted(&server, authority.member("stranger")));
    assert!(!is_admitted(&server, authority.stranger()));
    let mut typed = server.connect();
    typed.begin_tls(authority.member("stranger")).expect("a handshake");
    typed.send("CONNECT {\"verbose\":false,\"user\":\"typed\",\"pass\":\"p\"}\r\n");
    typed.expect("-ERR 'Authorization Violation'\r\n");
}

/// Which certificate is shown to whom, by the name that it is for.
pub fn one_of_several_certificates_is_shown(program: Program) {
    let authority = Authority::new();
    authority.sign("other", CertificateParams::new(vec!["other.example".to_owned()]).expect("a name"));
    let file = |name: &str| authority.file(name).display().to_string();
    let pairs = ["other", "server"].map(|name| {
        format!("{{ cert_file: \"{}\", key_file: \"{}\" }}", file(&format!("{name}.pem")), file(&format!("{name}.key")))
    });
    let server = TestServer::start(program, &format!("tls {{ certs: [{}] }}", pairs.join(", ")));
    assert!(is_admitted(&server, authority.stranger()), "the one for localhost");
}

/// Without a `ca_file`, authorities are those of the system.
pub fn the_system_knows_authorities(program: Program) {
    let authority = Authority::new();
    let config = authority.block_without_ca("verify: true");
    let start = |roots: &str| {
        TestServer::start_in(program, &config, &[("SSL_CERT_FILE", roots), ("SSL_CERT_DIR", "")], |_| String::new())
    };
    let roots = authority.file("ca.pem").display().to_string();
    let server = start(&roots);
    assert!(is_admitted(&server, authority.member("client")));
    assert!(!is_admitted(&server, authority.stranger()));
    let other = Authority::new();
    let server = start(&other.file("ca.pem").display().to_string());
    assert!(!is_admitted(&server, authority.member("client")));
}

#[test]
fn a_system_without_authorities_is_an_error() {
    let authority = Authority::new();
    let file = authority.file("test.conf");
    let check = |config: &str| {
        std::fs::write(&file, config).expect("a file");
        let checked = Command::new(env!("CARGO_BIN_EXE_natsd"))
            .args(["-t", "-c"])
            .arg(&file)
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", "")
            .output()
            .expect("natsd runs");
        String::from_utf8(checked.stderr).expect("text")
    };
    let said = check(&authority.block_without_ca("verify: true"));
    assert!(said.contains("1:1: tls: verify needs somebody to believe") && said.contains("add ca_file"), "{said}");
    let said = check(&format!("cluster {{ listen: 6222, {} }}", authority.block_without_ca("")));
    assert!(said.contains("tls: verify needs somebody to believe"), "{said}");
    let fine = check(&authority.block("verify: true"));
    assert!(!fine.contains("believe"), "{fine}");
}

pub fn a_reload_brings_other_certificates(program: Program) {
    let (authority, other) = (Authority::new(), Authority::new());
    let https = "https: \"127.0.0.1:-1\"\n";
    let mut server =
        TestServer::start_and_then(program, &format!("{https}{}", authority.block("")), |server| match program {
            Program::Natsd => server.wait_for_line("Starting https monitor on "),
            #[cfg(feature = "interop")]
            Program::Go => String::new(),
        });
    let mut stays = client(&server, authority.stranger());
    stays.expect_nothing();
    for name in ["server.pem", "server.key"] {
        std::fs::copy(other.file(name), authority.file(name)).expect("a file");
    }
    server.reconfigure(&format!("{https}{}", authority.block("")));
    server.wait_for_line("Reloaded: tls = enabled");
    server.wait_for_line("Reloaded server configuration");
    assert!(is_admitted(&server, other.stranger()));
    assert!(server.connect().begin_tls(authority.stranger()).is_err());
    stays.expect_nothing();
    if program == Program::Natsd {
        let port = server.noted.rsplit_once(':').expect("host:port").1.parse().expect("a port");
        Raw::silent(port).begin_tls(other.stranger()).expect("the new one");
    }
    std::fs::write(authority.file("server.key"), "no key").expect("a file");
    server.reconfigure(&format!("{https}{}", authority.block("")));
    server.wait_for_line("Failed to reload server configuration: ");
    assert!(is_admitted(&server, other.stranger()), "as before");
}

macro_rules! with_natsd {
    ($($scenario:ident),* $(,)?) => {
        mod natsd {
            use crate::harness::server::Program::Natsd;
            $(#[test] fn $scenario() { super::$scenario(Natsd) })*
        }
        #[cfg(feature = "interop")]
        mod go {
            use crate::harness::server::Program::Go;
            $(#[test] fn $scenario() { super::$scenario(Go) })*
        }
    };
}

with_natsd!(
    clients_speak_over_tls,
    who_speaks_no_tls_is_sent_away,
    certificates_are_asked_for,
    only_pinned_keys_are_taken,
    versions_and_ciphers_are_chosen,
    some_clients_do_without,
    the_handshake_may_come_first,
    the_handshake_may_come_first_or_not,
    handshakes_are_limited,
    slow_receivers_get_all,
    users_are_asked_for_inside,
    certificates_say_who_one_is,
    one_of_several_certificates_is_shown,
    a_reload_brings_other_certificates,
    the_system_knows_authorities,
);

#[test]
fn a_receiver_that_is_too_slow_is_cut_off_alone() {
    let authority = Authority::new();
    let config = format!("debug: true\nmax_pending: 1000000\nmax_payload: 100000\n{}", authority.block(""));
    let mut server = TestServer::natsd(&config);
    let mut slow = client(&server, authority.stranger());
    slow.send("SUB foo 1\r\n");
    slow.expect_pong();
    let mut fast = client(&server, authority.stranger());
    let message = format!("PUB foo 50000\r\n{}\r\n", "x".repeat(50_000));
    for _ in 0..400 {
        fast.send(&message);
    }
    server.wait_for_line("Slow Consumer (Pending Bytes)");
    fast.expect_pong();
}

#[test]
fn clients_at_their_limit_are_told_in_the_clear() {
    let authority = Authority::new();
    let server = TestServer::natsd(&format!("max_connections: 1\n{}", authority.block("")));
    let _first = client(&server, authority.stranger());
    let mut second = server.connect();
    second.expect("-ERR 'maximum connections exceeded'\r\n");
    second.expect_closed();
}

#[test]
fn a_server_that_ends_waits_for_no_handshake() {
    let authority = Authority::new();
    let mut server = TestServer::natsd(&authority.block("timeout: 60"));
    let mut silent = server.connect();
    server.signal("TERM");
    silent.expect_closed();
    assert!(server.wait_for_end().success());
}

/// Who says nothing for longer than a handshake may take is a client without TLS, and is pinged.
#[test]
fn a_silent_client_does_without() {
    let authority = Authority::new();
    let server = TestServer::natsd(&format!("{}\nallow_non_tls: true", authority.block("timeout: 0.3")));
    let mut silent = server.connect();
    silent.expect("PING\r\n");
}

#[test]
fn monitoring_tells_of_tls() {
    let authority = Authority::new();
    let cluster = format!("cluster {{ name: c1, listen: \"127.0.0.1:-1\"\n{} }}", authority.block(""));
    let config = format!("https: \"127.0.0.1:-1\"\n{}\n{cluster}", authority.block("verify: true"));
    let mut server = TestServer::start_and_then(Program::Natsd, &config, |server| {
        server.wait_for_line("Starting https monitor on ")
    });
    let port = server.noted.rsplit_once(':').expect("host:port").1.parse().expect("a port");
    assert!(!is_admitted(&server, authority.stranger()));
    let mut member = client(&server, authority.member("client"));
    member.expect_pong();

    // Monitoring asks for no certificate.
    let read = |path: &str| {
        let mut raw = Raw::silent(port);
        raw.begin_tls(authority.stranger()).expect("a handshake");
        raw.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        raw.rest()
    };
    let varz = read("/varz");
    for line in
        ["\"tls_required\": true", "\"tls_verify\": true", "\"http_port\": 0", &format!("\"https_port\": {port}")]
    {
        assert!(varz.contains(line), "{line} in {varz}");
    }
    // Those of the cluster are indented once more.
    assert!(varz.contains("\n    \"tls_required\": true") && varz.contains("\n    \"tls_verify\": true"), "{varz}");
    let open = read("/connz");
    for line in ["\"tls_version\": \"1.3\"", "\"tls_cipher_suite\": \"TLS_"] {
        assert!(open.contains(line), "{line} in {open}");
    }
    let closed = read("/connz?state=closed");
    assert!(closed.contains("\"reason\": \"TLS Handshake Failure\""), "{closed}");

    let mut plain = Raw::silent(port);
    plain.send("GET /varz HTTP/1.1\r\nHost: test\r\n\r\n");
    assert!(!plain.rest().contains("server_id"));
    server.signal("TERM");
    assert!(server.wait_for_end().success());
}
