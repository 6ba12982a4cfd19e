//! Failover on SCION's reference programs, with nats-py as clients.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use natsd_lab::description::Network;
use natsd_lab::engine::Engine;
use natsd_lab::link::Cut;
use natsd_lab::reference::Reference;
use serde_json::Value;

use crate::harness::network::{Ground, Pair, wait_for};
use crate::identity::strangers_are_refused;
use crate::mtu_holes::goes_on_with_what_passes;

const SECONDS: &str = "6";
const RATE: &str = "500";
const SUBJECT: &str = "stream";

/// `$NATSD_PYTHON`, the one that `.ci/tools` installs, or the system's, if it has nats-py.
fn python() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/python/bin/python");
    let candidates =
        std::env::var_os("NATSD_PYTHON").map(PathBuf::from).into_iter().chain([installed, "python3".into()]);
    let has_nats = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", "import nats"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let found = candidates.into_iter().find(has_nats);
    found.expect("this test needs Python with nats-py: run .ci/tools, which installs it, or set NATSD_PYTHON")
}

/// One end of a paced stream of numbered messages; killed when dropped.
struct StreamEnd(Child);

impl StreamEnd {
    fn start(python: &Path, role: &str, port: u16, more: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/stream.py");
        let url = format!("nats://127.0.0.1:{port}");
        let mut command = Command::new(python);
        command.arg(script).args([role, &url, SUBJECT, SECONDS]).args(more).stdout(Stdio::piped());
        Self(command.spawn().expect("Python starts"))
    }

    /// The JSON that it prints at its end.
    fn report(&mut self) -> Value {
        let mut text = String::new();
        self.0.stdout.take().expect("it is piped").read_to_string(&mut text).expect("text");
        serde_json::from_str(text.lines().last().expect("a report")).expect("JSON")
    }
}

impl Drop for StreamEnd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A small network of the reference programs, which keep their files in `dir`.
fn reference(dir: &Path) -> Ground {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("topology/small.toml");
    let network = Network::read(&file).expect("a valid network");
    Ground::start(async |options| {
        let reference = Reference::start(network, &options, dir).await;
        let reference = reference.unwrap_or_else(|error| panic!("{error}; .ci/tools installs SCION's programs"));
        Arc::new(reference) as Arc<dyn Engine>
    })
}

#[test]
fn strangers_are_refused_on_reference_routers() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ground = reference(dir.path());
    strangers_are_refused(&ground);
    ground.runtime.block_on(ground.engine.stop()).expect("stopped");
}

#[test]
fn smaller_packets_are_sent_where_reference_routers_carry_no_large_ones() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(reference(dir.path()), "latency", false);
    goes_on_with_what_passes(&pair, &["a111", "peer"]);
    pair.ground.runtime.block_on(pair.ground.engine.stop()).expect("stopped");
}

#[test]
fn a_black_hole_loses_nothing_on_reference_routers() {
    let python = python();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(reference(dir.path()), "latency", false);
    pair.settle();
    let best = pair.active(0);
    assert!(best.iter().any(|interface| interface == "1-ff00:0:111#1"), "not over the core: {best:?}");
    let routes = pair.routes();

    let mut subscriber = StreamEnd::start(&python, "sub", pair.client_port(1), &[]);
    let mut ready = String::new();
    let mut output = BufReader::new(subscriber.0.stdout.take().expect("it is piped"));
    output.read_line(&mut ready).expect("text");
    assert_eq!(ready, "READY\n");
    pair.client(0).wait_for_interest(SUBJECT, true);
    let mut publisher = StreamEnd::start(&python, "pub", pair.client_port(0), &[RATE, "128"]);
    wait_for("a second of messages is under way", || pair.read(0, "/varz")["in_msgs"].as_u64() > Some(500));
    pair.ground.engine.cut("a111", Cut::BlackHole, None).expect("there is such a link");

    let sent = publisher.report();
    let mut text = String::new();
    output.read_to_string(&mut text).expect("text");
    let received: Value = serde_json::from_str(text.lines().last().expect("a report")).expect("JSON");
    assert_eq!((&sent["sent"], &sent["reconnects"]), (&3000.into(), &0.into()), "{sent}");
    for (key, wanted) in [("received", 3000), ("lost", 0), ("duplicated", 0), ("reordered", 0), ("reconnects", 0)] {
        assert_eq!(received[key], wanted, "{key}: {received}");
    }
    assert!(pair.active(0).iter().all(|interface| interface != "1-ff00:0:111#1"), "still on the cut link");
    assert_eq!(pair.routes(), routes, "a route was made anew");
    pair.ground.runtime.block_on(pair.ground.engine.stop()).expect("stopped");
}
