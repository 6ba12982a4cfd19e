//! `natsd link`: clients that know nothing of SCION, over SCION.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use natsd_lab::link::Cut;

use crate::harness::client::Client;
use crate::harness::network::{ASES, Ground, Pair, SCION_CLIENTS, wait_for};
use crate::harness::server::Program;

/// A link from the second AS to the server in the first one; killed when dropped.
pub struct Link {
    process: Child,
    lines: BufReader<std::process::ChildStderr>,
    pub port: u16,
}

impl Link {
    pub fn start(ground: &Ground, ca: &Path) -> Self {
        let at = ground.addresses(ASES[1]);
        let mut process = Command::new(Program::Natsd.path())
            .args([
                "link",
                "--listen",
                "127.0.0.1:-1",
                "--to",
                &format!("scion://{}", ground.scion_address(0, SCION_CLIENTS)),
            ])
            .args(["--daemon", &at.daemon.to_string(), "--local", &at.host.to_string(), "--ca"])
            .arg(ca)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut link = Self { process, lines, port: 0 };
        let line = link.wait_for_line("Listening for client connections on 127.0.0.1:");
        let (_, port) = line.split_once("127.0.0.1:").expect("an address");
        link.port = port.split(',').next().and_then(|port| port.parse().ok()).expect("a port");
        link
    }

    fn wait_for_line(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.lines.read_line(&mut line).expect("text") > 0, "it ended without {text:?}");
        }
        line
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn plain_clients_talk_over_scion_and_come_back_through_the_link() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let link = Link::start(&pair.ground, &pair.ground.authority().join("ca.pem"));
    let (mut near, mut far) = (Client::connect(pair.client_port(0)), Client::connect(link.port));
    let info = far.next_info();
    let urls = serde_json::json!([format!("127.0.0.1:{}", link.port)]);
    assert_eq!((&info["connect_urls"], &info["port"]), (&urls, &link.port.into()), "{info}");
    far.subscribe("there", "1");
    far.flush();
    let mut sent = 0;
    let mut exchange = || {
        for _ in 0..100 {
            near.publish("there", &format!("INFO {sent}"));
            sent += 1;
        }
        near.flush();
        let payloads: Vec<_> = far.take(100).into_iter().map(|message| message.payload).collect();
        assert_eq!(payloads, (sent - 100..sent).map(|number| format!("INFO {number}")).collect::<Vec<_>>());
    };
    exchange();
    let clients = || pair.read(0, "/connz")["connections"].clone();
    let before = clients();
    pair.ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
    exchange();
    let cids = |connections: &serde_json::Value| {
        let connections = connections.as_array().expect("connections").clone();
        connections.iter().map(|connection| connection["cid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(cids(&clients()), cids(&before), "a client came anew");
    drop(far);
    wait_for("the server knows that the client is gone", || pair.read(0, "/connz")["num_connections"] == 1);
}

#[test]
fn a_server_that_proves_nothing_gets_no_client() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    let elsewhere = tempfile::tempdir().expect("a directory");
    natsd::authority::open(elsewhere.path()).expect("made");
    let mut link = Link::start(&pair.ground, &elsewhere.path().join("ca.pem"));
    let _client = std::net::TcpStream::connect(("127.0.0.1", link.port)).expect("the link accepts");
    let line = link.wait_for_line("do not believe each other");
    assert!(line.contains(&format!("[{},", ASES[0])), "{line}");
}
