//! Paths without a daemon, on SCION's reference programs: from the AS's topology file and its control service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use natsd::config::options::ScionOptions;
use natsd_lab::description::Network;
use natsd_lab::engine::{Engine, Unit};
use natsd_lab::link::Cut;
use natsd_lab::reference::Reference;
use natsd_path::IsdAs;
use natsd_scion::{Host, HostConfig, PathInfo};
use serde_json::{Value, json};

use crate::harness::POLL;
use crate::harness::network::{ASES, Ground, Pair, wait_for};
use crate::harness::server::natsd;

/// Two ISDs: core ASes with and without others beside them, leaves below one and two of them, peers in both ISDs.
const TWO_ISDS: &str = r#"
as = [
    { ia = "1-ff00:0:110", core = true },
    { ia = "1-ff00:0:120", core = true },
    { ia = "1-ff00:0:111" },
    { ia = "2-ff00:0:210", core = true },
    { ia = "2-ff00:0:211" },
]
link = [
    { name = "core", a = "1-ff00:0:110#1", b = "1-ff00:0:120#1", type = "core", latency_ms = 2 },
    { name = "a210", a = "1-ff00:0:110#2", b = "2-ff00:0:210#1", type = "core", latency_ms = 3 },
    { name = "b210", a = "1-ff00:0:120#2", b = "2-ff00:0:210#2", type = "core", latency_ms = 4, bandwidth_mbit = 9 },
    { name = "a111", a = "1-ff00:0:110#11", b = "1-ff00:0:111#1", type = "child", latency_ms = 5, mtu = 1400 },
    { name = "b111", a = "1-ff00:0:120#11", b = "1-ff00:0:111#2", type = "child", latency_ms = 6 },
    { name = "c211", a = "2-ff00:0:210#11", b = "2-ff00:0:211#1", type = "child", latency_ms = 7 },
    { name = "peer", a = "1-ff00:0:111#3", b = "2-ff00:0:211#3", type = "peer", latency_ms = 8, mtu = 1350 },
]
"#;

/// Beacons and requests between ASes take their time where the machine has other things to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// A network of the reference programs, which keep their files in `dir`.
fn reference(dir: &Path, network: Network) -> Ground {
    Ground::start(async |options| {
        let reference = Reference::start(network, &options, dir).await;
        let reference = reference.unwrap_or_else(|error| panic!("{error}; .ci/tools installs SCION's programs"));
        Arc::new(reference) as Arc<dyn Engine>
    })
}

/// The topology file of each AS.
fn files(network: &Network, dir: &Path) -> BTreeMap<IsdAs, PathBuf> {
    let file = |octet: u8| dir.join(format!("AS{octet}")).join("topology.json");
    network.ases.iter().map(|one| (IsdAs(one.ia.to_u64()), file(one.octet))).collect()
}

fn switch(ground: &Ground, unit: Unit, isd_as: IsdAs, on: bool) {
    let isd_as = isd_as.to_string().parse().expect("an AS");
    let engine = &ground.engine;
    let done = if on { engine.start_unit(unit, isd_as) } else { engine.stop_unit(unit, isd_as) };
    ground.runtime.block_on(done).expect("there is such a program");
}

/// All of a path that does not change with the next beacon.
fn lasting(path: &PathInfo) -> String {
    let PathInfo { interfaces, mtu, expiry, latency, latencies, bandwidth, next_hop, .. } = path;
    assert!(expiry.is_some_and(|at| at > SystemTime::now()), "{path:?}");
    let hops: Vec<_> = interfaces.iter().map(ToString::to_string).collect();
    format!("{} mtu {mtu} latency {latency:?} {latencies:?} bandwidth {bandwidth:?} by {next_hop:?}", hops.join(" "))
}

async fn paths(host: &Host, to: IsdAs) -> Vec<String> {
    let found = host.lookup(to, true).await.unwrap_or_default();
    let mut found: Vec<_> = found.iter().map(lasting).collect();
    found.sort();
    found
}

/// Asks until the paths are these, in a network that is slow to tell.
async fn until_equal(host: &Host, to: IsdAs, mut wanted: impl AsyncFnMut() -> Vec<String>) -> Vec<String> {
    let start = Instant::now();
    loop {
        let (found, wanted) = (paths(host, to).await, wanted().await);
        if found == wanted && !found.is_empty() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "to {to}: found {found:#?}, wanted {wanted:#?}");
        tokio::time::sleep(POLL).await;
    }
}

#[test]
fn every_pair_of_ases_has_the_paths_that_daemons_give() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let network = Network::parse(TWO_ISDS).expect("a valid network");
    let files = files(&network, dir.path());
    let ground = reference(dir.path(), network);
    let others = |from: &IsdAs| files.keys().copied().filter(|to| to != from).collect::<Vec<_>>();
    let without = |from| {
        let topology = Some(PathBuf::clone(&files[from]));
        Host::start(HostConfig { topology, ..HostConfig::default() }).expect("a valid file")
    };

    let mut of_daemons = BTreeMap::new();
    ground.runtime.block_on(async {
        for from in files.keys() {
            let daemon = Some(ground.addresses(&from.to_string()).daemon.to_string());
            let daemon = Host::start(HostConfig { daemon, ..HostConfig::default() }).expect("an address");
            assert_eq!(daemon.ready().await.expect("it runs"), *from);
            let host = without(from);
            for to in others(from) {
                of_daemons.insert((*from, to), until_equal(&host, to, async || paths(&daemon, to).await).await);
            }
        }
    });
    files.keys().for_each(|isd_as| switch(&ground, Unit::Daemon, *isd_as, false));
    ground.runtime.block_on(async {
        for from in files.keys() {
            let host = without(from);
            assert_eq!(host.ready().await.expect("it is known"), *from);
            for to in others(from) {
                until_equal(&host, to, async || of_daemons[&(*from, to)].clone()).await;
            }
        }
    });
    assert_eq!(of_daemons.len(), 20);
    let leaves = ["1-ff00:0:111", "2-ff00:0:211"].map(|text| text.parse().expect("an AS"));
    assert!(of_daemons[&leaves.into()].len() >= 5, "{of_daemons:#?}");
    ground.runtime.block_on(ground.engine.stop()).expect("stopped");
}

/// The files of both servers, which name a control service first that is not there.
fn with_a_dead_service(network: &Network, dir: &Path, ground: &Ground) -> [PathBuf; 2] {
    let files = files(network, dir);
    ASES.map(|isd_as| {
        let file = files[&isd_as.parse().expect("an AS")].clone();
        let text = std::fs::read_to_string(&file).expect("a file");
        let mut topology: Value = serde_json::from_str(&text).expect("JSON");
        let nobody = ground.addresses(isd_as).host;
        topology["control_service"]["a-dead-one"] = json!({ "addr": format!("{nobody}:1") });
        let own = file.with_file_name("of-natsd.json");
        std::fs::write(&own, topology.to_string()).expect("writable");
        own
    })
}

#[test]
fn servers_without_daemons_meet_and_fail_over() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("topology/small.toml");
    let network = Network::read(&file).expect("a valid network");
    let ground = reference(dir.path(), network.clone());
    let own = with_a_dead_service(&network, dir.path(), &ground);
    let ases = ASES.map(|isd_as| isd_as.parse().expect("an AS"));
    ases.iter().for_each(|isd_as| switch(&ground, Unit::Daemon, *isd_as, false));

    let options = [0, 1].map(|here| {
        let mut options = ground.options(here, "latency", false);
        let scion = options.scion.take().expect("it is on");
        options.scion = Some(ScionOptions { daemon: None, topology: Some(own[here].clone()), ..scion });
        options
    });
    let mut pair = Pair::start_of(ground, options.clone());
    pair.settle();
    for server in [0, 1] {
        let daemon = pair.read(server, "/pathz")["daemon"].clone();
        assert_eq!(daemon["state"], "up", "{daemon}");
        assert!(daemon["address"].as_str().is_some_and(|text| text.contains(":30252")), "{daemon}");
    }
    assert_eq!(pair.paths(0)["paths"].as_array().map(Vec::len), Some(2));
    commands_read_the_file(dir.path(), &own[0]);
    let (best, routes) = (pair.active(0), pair.routes());
    assert!(best.iter().any(|interface| interface == "1-ff00:0:111#1"), "not over the core: {best:?}");

    let mut subscriber = pair.client(1);
    subscriber.subscribe("news", "1");
    subscriber.flush();
    let mut publisher = pair.client(0);
    publisher.wait_for_interest("news", true);
    pair.ground.engine.cut("a111", Cut::BlackHole, None).expect("there is such a link");
    for n in 0..200 {
        publisher.publish("news", &n.to_string());
    }
    publisher.flush();
    assert_eq!(subscriber.take(200).len(), 200);
    wait_for("traffic has left the cut link", || {
        let active = pair.active(0);
        !active.is_empty() && active.iter().all(|interface| interface != "1-ff00:0:111#1")
    });

    // No control service at all: what is known stays in use.
    switch(&pair.ground, Unit::Control, ases[0], false);
    wait_for("the loss is told", || pair.read(0, "/pathz")["daemon"]["state"] == "down");
    publisher.publish("news", "still");
    assert_eq!(subscriber.take(1).len(), 1);
    switch(&pair.ground, Unit::Control, ases[0], true);
    wait_for("its return is told", || pair.read(0, "/pathz")["daemon"]["state"] == "up");

    std::fs::write(&own[0], "{}").expect("writable");
    let refused = pair.try_reload(0, options[0].clone()).expect_err("no topology");
    assert!(refused.starts_with("scion.topology: ") && refused.contains("isd_as is missing"), "{refused}");
    std::fs::copy(own[0].with_file_name("topology.json"), &own[0]).expect("writable");
    pair.reload(0, options[0].clone());
    assert_eq!(pair.routes(), routes, "a route was made anew");
    pair.ground.runtime.block_on(pair.ground.engine.stop()).expect("stopped");
}

fn commands_read_the_file(dir: &Path, topology: &Path) {
    let topology = topology.to_str().expect("text");
    let listed = |flags: &[&str]| {
        let output = natsd(&[&["paths", ASES[1], "--format", "json", "--no-probe"], flags].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        document["paths"].as_array().map(Vec::len)
    };
    assert_eq!(listed(&["--topology", topology]), Some(2));
    let config = dir.join("natsd.conf");
    std::fs::write(&config, format!("scion {{ topology: \"{topology}\" }}")).expect("writable");
    assert_eq!(listed(&["--config", config.to_str().expect("text")]), Some(2));
}

#[test]
fn a_topology_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, config) = (dir.path().join("topology.json"), dir.path().join("natsd.conf"));
    std::fs::write(&file, r#"{ "isd_as": "1-ff00:0:111", "mtu": 1400, "control_service": { "c": {} } }"#).expect("w");
    std::fs::write(&config, format!("scion {{ topology: \"{}\" }}\nport: -1", file.display())).expect("writable");
    let config = config.to_str().expect("text");
    let wanted = format!("scion.topology: {}: control_service.c.addr is missing; copy the file", file.display());
    for flags in [&["-t", "-c", config][..], &["-c", config]] {
        let output = natsd(flags);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(&wanted), "{error}");
    }
    let output = natsd(&["paths", ASES[1], "--topology", file.to_str().expect("text")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("control_service.c.addr is missing"), "{error}");
}
