//! The reference engine: the real programs with the same description and the same commands.

use std::time::Duration;

use natsd_lab::{
    description::Network,
    engine::{Engine, LabOptions, Unit},
    link::Cut,
    reference::Reference,
};

use crate::host::{DEADLINE, Host, Received, choose, ia, paths};

const A: &str = "1-ff00:0:111";
const B: &str = "1-ff00:0:112";

#[tokio::test(flavor = "multi_thread")]
async fn the_real_programs_run_a_described_network() {
    let network = Network::parse(include_str!("../../small.toml")).expect("correct");
    let directory = tempfile::tempdir().expect("a directory");
    let options = LabOptions { net: 231, ..LabOptions::default() };
    let lab = Reference::start(network, &options, directory.path()).await.expect("a running network");
    let (a, b) = (Host::bind(&lab, A).await, Host::bind(&lab, B).await);

    let known = paths(&lab, A, B).await;
    assert_eq!(known.len(), 2);
    for path in &known {
        a.send(&b, path, b"PING").await;
        b.answer_one(b"PONG").await;
        assert_eq!(a.receive(DEADLINE).await, Some(Received::Data(b"PONG".to_vec())));
    }

    let peer = choose(&known, 3, 1);
    lab.cut("peer", Cut::BlackHole, None).expect("a link");
    a.send(&b, peer, b"lost").await;
    assert_eq!(b.receive(Duration::from_millis(300)).await, None);
    lab.cut("peer", Cut::Cable, None).expect("a link");
    a.send_until(&b, peer, &Received::InterfaceDown(ia(A), 3)).await;
    lab.restore("peer", None).expect("a link");

    lab.stop_unit(Unit::Router, ia("1-ff00:0:110")).await.expect("an AS");
    let over_core = choose(&known, 1, 2);
    a.send_until(&b, over_core, &Received::InterfaceDown(ia(A), 1)).await;
    lab.stop().await.expect("a clean end");
}
