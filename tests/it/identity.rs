//! Who is let in over SCION, and what the log says of the others.

use natsd::config::options::{ClusterOptions, ScionOptions, TlsOptions};
use natsd_lab::link::Cut;
use natsd_path::ScionAddr;
use natsd_scion::{DialError, Host, HostConfig, Identity, Stream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::harness::DEADLINE;
use crate::harness::identity::{dialer, visitor};
use crate::harness::network::{ASES, Ground, Pair, SCION_CLIENTS, SCION_ROUTES, wait_for};
use crate::harness::server::{TestServer, natsd};
use crate::harness::tls::Authority;

/// Where leaf nodes come in.
const SCION_LEAFS: u16 = 4251;

/// Dials from the second AS and waits for the first bytes.
pub fn visit(ground: &Ground, to: ScionAddr, identity: &Identity) -> Result<Stream, DialError> {
    let at = ground.addresses(ASES[1]);
    let config = HostConfig { daemon: Some(at.daemon.to_string()), local: Some(at.host), ..HostConfig::default() };
    ground.runtime.block_on(async {
        let host = Host::start(config).expect("an address");
        host.ready().await.expect("the daemon answers");
        let mut stream = host.dialer(identity).expect("a port").dial(to, None).await?;
        let mut info = [0; 5];
        let read = tokio::time::timeout(DEADLINE, stream.read_exact(&mut info)).await.expect("in time");
        read.expect("an INFO");
        assert_eq!(&info, b"INFO ");
        Ok(stream)
    })
}

/// A server in the first AS, in a process of its own, that takes routes and clients over SCION.
pub fn server(ground: &Ground, scion: &str, cluster: &str, more: &str) -> TestServer {
    let at = ground.addresses(ASES[0]);
    let address = |port| ground.scion_address(0, port);
    TestServer::natsd(&format!(
        "listen: [\"127.0.0.1:-1\", \"nats://{}\"]\nscion {{ daemon: \"{}\", local: \"{}\", {scion} }}\n\
         cluster {{ name: c1, listen: \"nats://{}\", {cluster} }}\n{more}",
        address(SCION_CLIENTS),
        at.daemon,
        at.host,
        address(SCION_ROUTES)
    ))
}

pub fn authority(ground: &Ground) -> String {
    format!("authority: \"{}\"", ground.authority().display())
}

/// A dialer that believes the server's authority and shows what `stranger` has in `name.pem`.
fn impostor(ground: &Ground, stranger: &Authority, name: &str) -> Identity {
    let own = (stranger.file(&format!("{name}.pem")), stranger.file(&format!("{name}.key")));
    dialer(&ground.authority().join("ca.pem"), Some(own))
}

#[test]
fn strangers_make_no_route_and_the_log_tells_of_which_as_they_are() {
    strangers_are_refused(&Ground::emulated());
}

/// Of three strangers none makes a route, and a member does.
pub fn strangers_are_refused(ground: &Ground) {
    let other = Authority::new();
    other.self_sign("loner");
    for stranger in ["nobody", "of another cluster", "self-signed"] {
        for (port, what) in [(SCION_ROUTES, "route"), (SCION_LEAFS, "leafnode")] {
            let leafnodes = format!("leafnodes {{ listen: \"nats://{}\" }}", ground.scion_address(0, SCION_LEAFS));
            // One each: the log tells of an AS once in a while.
            let mut server = server(ground, "", &authority(ground), &leafnodes);
            let identity = match stranger {
                "nobody" => visitor(ground.authority()),
                "self-signed" => impostor(ground, &other, "loner"),
                _ => impostor(ground, &other, "client"),
            };
            let refused = visit(ground, ground.scion_address(0, port), &identity).expect_err(stranger);
            assert!(matches!(refused, DialError::Disbelief { .. }), "{stranger}: {refused}");
            let line = server.wait_for_line(&format!("Refused {what} connection over SCION from "));
            assert!(line.contains(&format!("from [{},", ASES[1])), "{stranger}: {line}");
            // The same is welcome as a client, who says who he is by himself.
            visit(ground, ground.scion_address(0, SCION_CLIENTS), &identity).expect(stranger);
        }
    }
    let member = ground.authority();
    let member = dialer(&member.join("ca.pem"), Some((member.join("node.pem"), member.join("node.key"))));
    let _server = server(ground, "", &authority(ground), "");
    visit(ground, ground.scion_address(0, SCION_ROUTES), &member).expect("a member");
}

#[test]
fn servers_of_two_authorities_do_not_meet() {
    let ground = Ground::emulated();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let mut first = server(&ground, "", &authority(&ground), "");
    let mut options = ground.options(1, "latency", false);
    options.cluster.as_mut().expect("clustered").authority = Some(elsewhere.path().into());
    let second = ground.serve(options);
    let line = first.wait_for_line("Refused route connection over SCION from ");
    assert!(line.contains(&format!("from [{},", ASES[1])), "{line}");
    assert_eq!(second.route_count(), 0);
}

#[test]
fn a_server_proves_itself_to_clients_too() {
    let ground = Ground::emulated();
    let _server = server(&ground, "", &authority(&ground), "");
    let elsewhere = tempfile::tempdir().expect("a directory");
    natsd::authority::open(elsewhere.path()).expect("made");
    let clients = ground.scion_address(0, SCION_CLIENTS);
    let refused = visit(&ground, clients, &visitor(elsewhere.path())).expect_err("another authority");
    assert!(matches!(refused, DialError::Disbelief { .. }), "{refused}");
    visit(&ground, clients, &visitor(ground.authority())).expect("the right one");
}

#[test]
fn clients_need_a_certificate_where_verify_asks_for_one() {
    let ground = Ground::emulated();
    let ours = Authority::new();
    ours.sign("server", rcgen::CertificateParams::new(vec!["natsd".to_owned()]).expect("a name"));
    let mut server = server(&ground, "", &authority(&ground), &ours.block("verify: true"));
    let clients = ground.scion_address(0, SCION_CLIENTS);
    let nobody = dialer(&ours.file("ca.pem"), None);
    assert!(matches!(visit(&ground, clients, &nobody), Err(DialError::Disbelief { .. })));
    let line = server.wait_for_line("Refused client connection over SCION from ");
    assert!(line.contains(&format!("from [{},", ASES[1])), "{line}");
    let somebody = dialer(&ours.file("ca.pem"), Some((ours.file("client.pem"), ours.file("client.key"))));
    visit(&ground, clients, &somebody).expect("verified");
}

#[test]
fn over_scion_too_a_certificate_says_who_the_client_is() {
    let ground = Ground::emulated();
    let ours = Authority::new();
    let named = |name: &str| rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    ours.sign("server", named("natsd"));
    ours.sign("alice", named("alice.example"));
    ours.sign("mallory", named("mallory.example"));
    let users = "authorization { users: [{ user: \"alice.example\" }] }";
    let more = format!("{users}\n{}", ours.block("verify_and_map: true"));
    let _server = server(&ground, "", &authority(&ground), &more);
    let answer = |name: &str| {
        let own = (ours.file(&format!("{name}.pem")), ours.file(&format!("{name}.key")));
        let identity = dialer(&ours.file("ca.pem"), Some(own));
        let stream = visit(&ground, ground.scion_address(0, SCION_CLIENTS), &identity).expect(name);
        ground.runtime.block_on(async {
            let mut stream = BufReader::new(stream);
            let mut info = String::new();
            stream.read_line(&mut info).await.expect("the rest of INFO");
            assert!(!info.contains("tls_required"), "QUIC does that: {info}");
            stream.write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").await.expect("writable");
            let mut line = String::new();
            tokio::time::timeout(DEADLINE, stream.read_line(&mut line)).await.expect("in time").expect("an answer");
            line
        })
    };
    assert_eq!(answer("alice"), "PONG\r\n");
    assert_eq!(answer("mallory"), "-ERR 'Authorization Violation'\r\n");
}

#[test]
fn an_as_is_turned_away_whatever_it_shows() {
    let ground = Ground::emulated();
    let deny = format!("deny: [\"2-0\", \"{}\"]", ASES[1]);
    let mut server = server(&ground, &deny, &authority(&ground), "");
    let clients = ground.scion_address(0, SCION_CLIENTS);
    assert!(visit(&ground, clients, &visitor(ground.authority())).is_err());
    let line = server.wait_for_line("Refused client connection over SCION from ");
    assert!(line.contains(&format!("from [{},", ASES[1])) && line.contains("scion.deny"), "{line}");
}

#[test]
fn who_is_allowed_changes_while_the_server_runs() {
    let mut pair = Pair::start(Ground::emulated(), "latency", false);
    pair.wait_for_routes();
    let routes = pair.routes();
    let clients = pair.ground.scion_address(0, SCION_CLIENTS);
    let visitor = visitor(pair.ground.authority());
    let mut allow = |list: &[&str]| {
        let mut options = pair.ground.options(0, "latency", false);
        let scion = options.scion.take().expect("SCION is on");
        let allow = list.iter().map(|isd_as| isd_as.parse().expect("an AS")).collect();
        options.scion = Some(ScionOptions { allow, ..scion });
        pair.reload(0, options);
        visit(&pair.ground, clients, &visitor).is_ok()
    };
    assert!(!allow(&[ASES[0], "2-0"]));
    assert!(allow(&["1-0"]));
    assert!(!allow(&["2-0"]));
    assert!(allow(&[]));
    assert_eq!(pair.routes(), routes, "those that are in stay");
}

/// `tls {}` of routes with the certificate of that name.
fn routes_with(authority: &Authority, name: &str) -> TlsOptions {
    TlsOptions {
        cert_file: Some(authority.file(&format!("{name}.pem"))),
        key_file: Some(authority.file(&format!("{name}.key"))),
        ca_file: Some(authority.file("ca.pem")),
        ..TlsOptions::default()
    }
}

fn with_tls(cluster: &mut ClusterOptions, tls: TlsOptions) {
    cluster.authority = None;
    cluster.tls = Some(tls);
}

#[test]
fn routes_with_tls_take_scion_and_fall_back_to_tcp_and_return() {
    let authority = Authority::new();
    let certificate = |cluster: &mut ClusterOptions| with_tls(cluster, routes_with(&authority, "server"));
    let pair = Pair::start_changed(Ground::emulated(), true, |_, cluster| certificate(cluster));
    pair.settle();
    let routes = pair.routes();
    assert_eq!(pair.paths(0)["transport"], "scion");
    let (mut publisher, mut subscriber) = (pair.client(0), pair.client(1));
    subscriber.subscribe("over", "1");
    subscriber.flush();
    publisher.wait_for_interest("over", true);
    let mut sent = 0;
    let mut carried_by = |transport: &str| {
        wait_for(transport, || {
            publisher.publish("over", &sent.to_string());
            publisher.flush();
            sent += 1;
            [0, 1].iter().all(|&server| pair.paths(server)["transport"] == transport)
        });
    };
    pair.ground.for_all_links(|engine, link| engine.cut(link, Cut::BlackHole, None).expect("there is such a link"));
    carried_by("tcp");
    pair.ground.for_all_links(|engine, link| engine.restore(link, None).expect("there is such a link"));
    carried_by("scion");
    let payloads: Vec<_> = subscriber.take(sent).into_iter().map(|message| message.payload).collect();
    assert_eq!(payloads, (0..sent).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn with_tls_a_peer_that_is_silent_over_scion_is_asked_for_a_tunnel() {
    let authority = Authority::new();
    let ground = Ground::emulated();
    ground.for_all_links(|engine, link| engine.cut(link, Cut::BlackHole, None).expect("there is such a link"));
    let certificate = |cluster: &mut ClusterOptions| with_tls(cluster, routes_with(&authority, "server"));
    let pair = Pair::start_changed(ground, true, |_, cluster| certificate(cluster));
    pair.wait_for_routes();
    let routes = pair.routes();
    assert_eq!(pair.paths(0)["transport"], "tcp");
    let mut client = pair.client(0);
    pair.ground.for_all_links(|engine, link| engine.restore(link, None).expect("there is such a link"));
    wait_for("SCION carries the route", || {
        client.flush();
        pair.paths(0)["transport"] == "scion"
    });
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn only_pinned_keys_make_routes() {
    let ours = Authority::new();
    ours.issue("other");
    let ground = Ground::emulated();
    let file = |name: &str| ours.file(name).display().to_string();
    let tls = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", pinned_certs: [\"{}\"] }}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem"),
        ours.pin("client")
    );
    let mut first = server(&ground, "", &tls, "");
    let start = |name: &str| {
        let mut options = ground.options(1, "latency", false);
        with_tls(options.cluster.as_mut().expect("clustered"), routes_with(&ours, name));
        ground.serve(options)
    };
    let unwanted = start("other");
    let line = first.wait_for_line("Refused route connection over SCION from ");
    assert!(line.contains("certificate not pinned"), "{line}");
    assert_eq!(unwanted.route_count(), 0);
    ground.runtime.block_on(unwanted.shutdown());
    let wanted = start("client");
    wait_for("the pinned key makes a route", || wanted.route_count() > 0);
}

#[test]
fn certificates_are_read_again_at_a_reload() {
    let [old, new] = [Authority::new(), Authority::new()];
    let name = || rcgen::CertificateParams::new(vec!["natsd".to_owned()]).expect("a name");
    [&old, &new].iter().for_each(|authority| authority.sign("server", name()));
    let ground = Ground::emulated();
    let mut server = server(&ground, "", &authority(&ground), &old.block(""));
    let clients = ground.scion_address(0, SCION_CLIENTS);
    let believes = |authority: &Authority| visit(&ground, clients, &dialer(&authority.file("ca.pem"), None)).is_ok();
    assert_eq!((believes(&old), believes(&new)), (true, false));
    for file in ["server.pem", "server.key"] {
        std::fs::copy(new.file(file), old.file(file)).expect("copied");
    }
    server.signal("HUP");
    server.wait_for_line("Reloaded server configuration");
    assert_eq!((believes(&old), believes(&new)), (false, true));
}

#[test]
fn one_command_makes_members() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().display().to_string();
    let made = natsd(&["certs", "--dir", &at, "--node", "alpha", "beta=10.0.0.5,beta.example.org"]);
    let said = String::from_utf8_lossy(&made.stdout);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(said.contains("made the authority") && said.contains("made the node beta"), "{said}");
    let pair = Pair::start_with(Ground::emulated(), |here, cluster| {
        cluster.authority = Some(dir.path().join(["alpha", "beta"][here]));
    });
    pair.wait_for_routes();

    let again = natsd(&["certs", "--dir", &at, "--node", "alpha"]);
    let error = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1), "{error}");
    assert!(error.contains("node.pem is there already") && error.contains("--renew"), "{error}");
    assert!(String::from_utf8_lossy(&again.stdout).contains("found the authority"));
    assert_eq!(natsd(&["certs", "--dir", &at, "--node", "alpha", "--renew"]).status.code(), Some(0));
}

#[test]
fn members_of_an_authority_that_was_renewed_believe_those_of_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().display().to_string();
    assert_eq!(natsd(&["certs", "--dir", &at, "--node", "alpha"]).status.code(), Some(0));
    let old = std::fs::read(dir.path().join("alpha/ca.pem")).expect("a certificate");
    let renewed = natsd(&["certs", "--dir", &at, "--renew"]);
    let said = String::from_utf8_lossy(&renewed.stdout);
    assert_eq!(renewed.status.code(), Some(0), "{}", String::from_utf8_lossy(&renewed.stderr));
    assert!(said.contains("renewed the authority") && said.contains("stays good"), "{said}");
    assert_eq!(natsd(&["certs", "--dir", &at, "--node", "beta"]).status.code(), Some(0));
    assert_ne!(std::fs::read(dir.path().join("beta/ca.pem")).expect("a certificate"), old);
    std::fs::write(dir.path().join("alpha/ca.pem"), old).expect("as it is on a node that nobody has told");
    let pair = Pair::start_with(Ground::emulated(), |here, cluster| {
        cluster.authority = Some(dir.path().join(["alpha", "beta"][here]));
    });
    pair.wait_for_routes();
}

#[test]
fn a_server_without_certificates_begins_an_authority_or_does_not_start() {
    let ground = Ground::emulated();
    let state = tempfile::tempdir().expect("a directory");
    let inner = state.path().join("authority");
    let start = || server(&ground, "", &format!("authority: \"{}\"", inner.display()), "");
    let told = |server: &TestServer, text: &str| server.log().iter().any(|line| line.contains(text));
    let first = start();
    assert!(told(&first, "Made an authority for the cluster in ") && told(&first, "natsd certs --dir"));
    drop(first);
    let again = start();
    assert!(told(&again, "Peers over SCION are those whom the authority in ") && !told(&again, "Made an authority"));
    drop(again);

    std::fs::remove_file(inner.join("node.key")).expect("it was there");
    std::fs::remove_file(inner.join("ca.key")).expect("it was there");
    let at = ground.addresses(ASES[0]);
    let file = state.path().join("server.conf");
    let text = format!(
        "port: -1\nscion {{ daemon: \"{}\", local: \"{}\" }}\ncluster {{ name: c, authority: \"{}\", listen: \"nats://{}\" }}\n",
        at.daemon,
        at.host,
        inner.display(),
        ground.scion_address(0, SCION_ROUTES)
    );
    std::fs::write(&file, text).expect("a configuration file");
    let refused = natsd(&["-c", &file.to_string_lossy()]);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("cluster.authority: ") && error.contains("node.pem and node.key missing"), "{error}");
}
