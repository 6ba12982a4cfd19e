//! Operator mode on both servers: where accounts come from, what they share, and what their clients see when what was
//! signed ends or becomes another.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use natsd_auth::jwt::{Activation, Claims, Export, Import, ShareKind, User, UserLimits, UserScope};
use nkeys::KeyPair;

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::harness::websocket::Ws;
use crate::operator::{Realm, Tenant, VIOLATION, allowed, connect, seconds, subjects, try_member, user};

const BOTH: [Program; 2] = [Program::Natsd, Program::Go];

/// A user of `tenant` who is in.
fn member(server: &TestServer, tenant: &Tenant, change: impl FnOnce(&mut Claims<User>)) -> Raw {
    try_member(server.port, tenant, change).expect("a user of a known account")
}

fn memory(realm: &Realm, tenants: &[&Tenant]) -> String {
    format!("resolver: MEMORY\n{}", realm.preload(tenants))
}

#[test]
fn connections_end_when_tokens_do() {
    for program in BOTH {
        let realm = Realm::new();
        let (lasting, short) = (Tenant::new(|_| ()), Tenant::new(|claims| claims.registered.expires = seconds() + 8));
        let server = TestServer::start(program, &memory(&realm, &[&lasting, &short]));
        let mut of_user = member(&server, &lasting, |claims| claims.registered.expires = seconds() + 3);
        let mut of_account = member(&server, &short, |_| ());
        let mut stays = member(&server, &lasting, |_| ());
        assert_eq!(of_user.line(), "-ERR 'User Authentication Expired'", "{program:?}");
        of_user.expect_closed();
        assert_eq!(of_account.line(), "-ERR 'Account Authentication Expired'", "{program:?}");
        of_account.expect_closed();
        stays.send("PING\r\n");
        assert_eq!(stays.line(), "PONG", "{program:?}");
    }
}

#[test]
fn what_an_account_says_anew_holds_for_its_clients() {
    for program in BOTH {
        let realm = Realm::new();
        let signer = KeyPair::new_account();
        let mut tenant = Tenant::new(|claims| {
            claims.body.signing_keys.0.insert(signer.public_key(), Some(UserScope::new("role")));
        });
        let gone = Tenant::new(|_| ());
        let server = TestServer::start(program, &memory(&realm, &[&tenant, &gone]));
        let revoked = KeyPair::new_user();
        let token = user(&revoked, |_| ()).encode(&tenant.pair, seconds() - 5).expect("accounts sign users");
        let (mut revoked_client, ..) = connect(&server, &token, Some(&revoked));
        assert_eq!(revoked_client.line(), "PONG");
        let scoped = KeyPair::new_user();
        let body = User { limits: UserLimits::default(), issuer_account: tenant.key() };
        let token = Claims::new(scoped.public_key(), body).encode(&signer, seconds()).expect("accounts sign users");
        let (mut scoped, ..) = connect(&server, &token, Some(&scoped));
        assert_eq!(scoped.line(), "PONG");
        let mut lost = member(&server, &gone, |_| ());
        let mut stays = member(&server, &tenant, |_| ());
        assert_eq!(allowed(&mut stays, &[("PUB", "a"), ("SUB", "a")]), [true, true]);

        tenant.claims.body.revocations.insert(revoked.public_key(), seconds());
        tenant.claims.body.signing_keys.0.clear();
        tenant.claims.body.default_permissions.publish = subjects(&["b"], &[]);
        server.reconfigure(&memory(&realm, &[&tenant]));
        assert_eq!(revoked_client.line(), "-ERR 'User Authentication Revoked'", "{program:?}");
        revoked_client.expect_closed();
        // nats-server may say before that a user without its scope has no subscriptions left.
        scoped.drain();
        wait_for("the new default permissions", || {
            (allowed(&mut stays, &[("PUB", "a"), ("PUB", "b")]) == [false, true]).then_some(())
        });
        if program == Program::Natsd {
            // nats-server lets who is in stay in an account that is gone.
            assert_eq!(lost.line(), VIOLATION);
        }
    }
}

fn export(kind: ShareKind, subject: &str, token_req: bool) -> Export {
    Export { kind, subject: subject.into(), token_req, ..Export::default() }
}

fn import(from: &Tenant, kind: ShareKind, subject: &str, local: &str, token: String) -> Import {
    let (subject, local_subject, account) = (subject.to_owned(), local.to_owned(), from.key());
    Import { kind, subject, local_subject, account, token, ..Import::default() }
}

#[test]
fn accounts_share_what_their_tokens_say() {
    for program in BOTH {
        let realm = Realm::new();
        let exporter = Tenant::new(|claims| {
            claims.body.exports = vec![
                export(ShareKind::Stream, "news.>", false),
                export(ShareKind::Stream, "paid.>", true),
                export(ShareKind::Service, "ask", false),
            ];
        });
        let mut importer = Tenant::new(|_| ());
        let activation = Activation { subject: "paid.>".into(), kind: ShareKind::Stream, ..Activation::default() };
        let activation = Claims::new(importer.key(), activation).encode(&exporter.pair, seconds()).expect("it signs");
        importer.claims.body.imports = vec![
            import(&exporter, ShareKind::Stream, "news.>", "theirs.>", String::new()),
            import(&exporter, ShareKind::Stream, "paid.>", "", activation),
            import(&exporter, ShareKind::Service, "ask", "help", String::new()),
        ];
        let stranger = Tenant::new(|claims| {
            claims.body.imports = vec![import(&exporter, ShareKind::Stream, "paid.>", "", String::new())];
        });
        let server = TestServer::start(program, &memory(&realm, &[&importer, &exporter, &stranger]));
        let mut reader = member(&server, &importer, |_| ());
        let mut excluded = member(&server, &stranger, |_| ());
        reader.send("SUB theirs.* 1\r\nSUB paid.> 2\r\nSUB in 3\r\n");
        reader.expect_pong();
        excluded.send("SUB paid.> 1\r\n");
        excluded.expect_pong();
        let mut writer = member(&server, &exporter, |_| ());
        writer.send("SUB ask 9\r\nPUB news.a 1\r\nx\r\nPUB paid.b 1\r\ny\r\n");
        writer.expect_pong();
        reader.expect("MSG theirs.a 1 1\r\nx\r\nMSG paid.b 2 1\r\ny\r\n");
        reader.send("PUB help in 1\r\nq\r\n");
        let request = writer.line();
        let reply = request.split(' ').nth(3).expect("a reply subject").to_owned();
        assert!(request.starts_with("MSG ask 9 "), "{request}");
        assert_eq!(writer.line(), "q");
        writer.send(&format!("PUB {reply} 1\r\na\r\n"));
        reader.expect("MSG in 3 1\r\na\r\n");
        excluded.expect_pong();
    }
}

#[test]
fn tokens_and_accounts_set_limits() {
    for program in BOTH {
        let realm = Realm::new();
        let mut tenant = Tenant::new(|claims| {
            claims.body.limits.account.conn = 2;
            claims.body.limits.nats.payload = 8;
        });
        let server = TestServer::start(program, &memory(&realm, &[&tenant]));
        let mut first = member(&server, &tenant, |claims| {
            claims.body.limits.nats.subs = 1;
            claims.body.limits.nats.payload = 4;
        });
        first.send("SUB a 1\r\nSUB b 2\r\n");
        assert_eq!(first.line(), "-ERR 'maximum subscriptions exceeded'", "{program:?}");
        first.send("PUB a 5\r\n");
        assert_eq!(first.line(), "-ERR 'Maximum Payload Violation'", "{program:?}");
        first.expect_closed();
        let mut second = member(&server, &tenant, |_| ());
        second.send("PUB a 8\r\n12345678\r\n");
        second.expect_pong();
        let mut third = member(&server, &tenant, |_| ());
        let pair = KeyPair::new_user();
        let token = user(&pair, |_| ()).encode(&tenant.pair, seconds()).expect("accounts sign users");
        let (mut fourth, ..) = connect(&server, &token, Some(&pair));
        assert_eq!(fourth.line(), "-ERR 'maximum account active connections exceeded'", "{program:?}");
        fourth.expect_closed();
        tenant.claims.body.limits.account.conn = 1;
        server.reconfigure(&memory(&realm, &[&tenant]));
        assert_eq!(third.line(), "-ERR 'maximum account active connections exceeded'", "{program:?}");
        second.expect_pong();
    }
}

#[test]
fn who_shows_no_token_is_the_sentinel() {
    for program in BOTH {
        let realm = Realm::new();
        let tenant = Tenant::new(|_| ());
        let sentinel = user(&KeyPair::new_user(), |claims| {
            claims.body.limits.bearer = true;
            claims.body.limits.permissions.publish = subjects(&["only"], &[]);
        });
        let sentinel = sentinel.encode(&tenant.pair, seconds()).expect("accounts sign users");
        let config = format!("{}\ndefault_sentinel: {sentinel}\n", memory(&realm, &[&tenant]));
        let server = TestServer::start(program, &config);
        let (mut client, ..) = connect(&server, "", None);
        assert_eq!(client.line(), "PONG", "{program:?}");
        assert_eq!(allowed(&mut client, &[("PUB", "only"), ("PUB", "other")]), [true, false]);
    }
}

#[test]
fn a_cookie_may_hold_a_token() {
    for program in BOTH {
        let realm = Realm::new();
        let tenant = Tenant::new(|_| ());
        let websocket = "websocket { listen: \"127.0.0.1:-1\", no_tls: true, jwt_cookie: j }";
        let server = TestServer::start(program, &format!("{websocket}\n{}", memory(&realm, &[&tenant])));
        let bearer = user(&KeyPair::new_user(), |claims| claims.body.limits.bearer = true);
        let bearer = bearer.encode(&tenant.pair, seconds()).expect("accounts sign users");
        let stranger = user(&KeyPair::new_user(), |claims| claims.body.limits.bearer = true);
        let stranger = stranger.encode(&KeyPair::new_account(), seconds()).expect("accounts sign users");
        for (cookie, connect, expected) in [
            (format!("Cookie: j={bearer}"), "{\"verbose\":false}".to_owned(), "PONG"),
            (format!("Cookie: j={stranger}"), "{\"verbose\":false}".to_owned(), VIOLATION),
            (format!("Cookie: j={stranger}"), format!("{{\"verbose\":false,\"jwt\":\"{bearer}\"}}"), "PONG"),
            (format!("Cookie: k={bearer}"), "{\"verbose\":false}".to_owned(), VIOLATION),
        ] {
            let mut ws = Ws::connect_with(&server, &[&cookie]);
            ws.send(&format!("CONNECT {connect}\r\nPING\r\n"));
            assert_eq!(ws.line(), expected, "{program:?} {cookie} {connect}");
        }
    }
}

/// A web server that has accounts: path and text. Counts the requests for each path but the first, which shows that it is there.
fn web(accounts: Vec<(String, String)>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (asked, accounts) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(accounts)));
    let count = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (count, accounts) = (count.clone(), accounts.clone());
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(len) if len > 0 => request.extend_from_slice(&buffer[..len]),
                        _ => return,
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                let path = text.split(' ').nth(1).expect("a path").to_owned();
                let accounts = accounts.lock().expect("nobody panics");
                let found = accounts.iter().find(|(known, _)| *known == path).map(|(_, text)| text.clone());
                let (status, body) = match (path.as_str(), found) {
                    ("/accounts/", _) => ("200 OK", "here".to_owned()),
                    (_, Some(text)) => ("200 OK", text),
                    (_, None) => ("404 Not Found", String::new()),
                };
                if path != "/accounts/" {
                    count.fetch_add(1, Relaxed);
                }
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                // Whoever asked may be gone.
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    (port, asked)
}

#[test]
fn accounts_come_from_a_web_server() {
    for program in BOTH {
        let realm = Realm::new();
        let (tenant, absent) = (Tenant::new(|_| ()), Tenant::new(|_| ()));
        let huge = Tenant::new(|_| ());
        let path = |tenant: &Tenant| format!("/accounts/{}", tenant.key());
        let (port, asked) = web(vec![
            (path(&tenant), realm.signed(&tenant)),
            (path(&realm.system), realm.signed(&realm.system)),
            (path(&huge), "x".repeat(2 << 20)),
        ]);
        let config = format!("operator: {}\nresolver: URL(http://127.0.0.1:{port}/accounts/)\n", realm.token);
        let server = TestServer::start(program, &config);
        let before = asked.load(Relaxed);
        for _ in 0..3 {
            member(&server, &tenant, |_| ()).expect_pong();
        }
        assert_eq!(asked.load(Relaxed), before + 1, "{program:?}: it is remembered");
        for tenant in [&absent, &huge] {
            let pair = KeyPair::new_user();
            let token = user(&pair, |_| ()).encode(&tenant.pair, seconds()).expect("accounts sign users");
            let (mut client, ..) = connect(&server, &token, Some(&pair));
            assert_eq!(client.line(), VIOLATION, "{program:?}");
        }
    }
}

#[test]
fn accounts_come_from_a_directory() {
    for (program, kind) in BOTH.into_iter().flat_map(|program| [(program, "full"), (program, "cache")]) {
        let realm = Realm::new();
        let mut tenant = Tenant::new(|_| ());
        let config = format!("resolver {{ type: {kind}, dir: '{{dir}}/jwt' }}\n{}", realm.preload(&[&tenant]));
        let server = TestServer::start(program, &config);
        let mut client = member(&server, &tenant, |_| ());
        client.expect_pong();
        let file = server.dir().join("jwt").join(format!("{}.jwt", tenant.key()));
        assert!(config.contains(&std::fs::read_to_string(&file).expect("it is there")));
        if program == Program::Natsd {
            tenant.claims.body.default_permissions.publish = subjects(&["b"], &[]);
            std::fs::write(&file, realm.signed(&tenant)).expect("it can be written");
            server.signal("HUP");
            wait_for("the new default permissions", || {
                (allowed(&mut client, &[("PUB", "a"), ("PUB", "b")]) == [false, true]).then_some(())
            });
        }
    }
}

#[test]
fn a_server_needs_its_system_account() {
    let realm = Realm::new();
    let config = format!("operator: {}\nresolver: MEMORY\nlisten: \"127.0.0.1:-1\"\n", realm.token);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), config).expect("it can be written");
    let path = file.path().to_str().expect("a text");
    let ended = crate::harness::server::natsd(&["-c", path]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains(&realm.system.key()), "{said}");
}
