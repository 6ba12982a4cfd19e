//! The emulator on real sockets. Each test has a network number of its own, so that they run side by side.

use std::{
    net::Ipv6Addr,
    sync::Arc,
    time::{Duration, Instant},
};

use natsd_lab::{
    control,
    description::Network,
    emulator::Emulator,
    engine::{Engine, LabOptions, Unit},
    fabric::KeepAlive,
    link::{Cut, LinkChange},
    links::Way,
};
use scion_protobuf::{buffa_types::google::protobuf::Empty, proto::daemon::v1::ASRequest};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::host::{DEADLINE, Host, Received, choose, daemon, ia, paths};

const A: &str = "1-ff00:0:111";
const B: &str = "1-ff00:0:112";
const MS: Duration = Duration::from_millis(1);

async fn lab(net: u8) -> Emulator {
    let keep_alive = KeepAlive { detection: 100 * MS, recovery: 50 * MS };
    let options = LabOptions { net, keep_alive, ..LabOptions::default() };
    Emulator::start(Network::default_network(), &options).await.expect("free addresses")
}

#[tokio::test]
async fn a_packet_and_its_reply_travel_over_each_path() {
    let lab = lab(201).await;
    let (a, b) = (Host::bind(&lab, A).await, Host::bind(&lab, B).await);
    let paths = paths(&lab, A, B).await;
    assert_eq!(paths.len(), 7);
    for path in &paths {
        a.send(&b, path, b"PING").await;
        b.answer_one(b"PONG").await;
        assert_eq!(a.receive(DEADLINE).await, Some(Received::Data(b"PONG".to_vec())));
    }
}

#[tokio::test]
async fn packets_cross_from_one_address_family_to_the_other() {
    let network = Network::default_network();
    let [a, b] = [A, B].map(|at| network.as_index(ia(at)).expect("an AS"));
    let options = LabOptions { net: 210, ..LabOptions::default() };
    for six in [[a].as_slice(), &[a, b]] {
        let mut network = network.clone();
        six.iter().for_each(|&index| network.ases[index].host = Some(Ipv6Addr::LOCALHOST.into()));
        let lab = Emulator::start(network, &options).await.expect("free addresses");
        assert!(
            lab.addresses(ia(A)).is_some_and(|at| at.router.is_ipv6() && at.router.port() > 0 && at.tcp.is_loopback())
        );
        let (a, b) = (Host::bind(&lab, A).await, Host::bind(&lab, B).await);
        for path in &paths(&lab, A, B).await {
            a.send(&b, path, b"PING").await;
            b.answer_one(b"PONG").await;
            assert_eq!(a.receive(DEADLINE).await, Some(Received::Data(b"PONG".to_vec())));
        }
        lab.stop().await.expect("a clean end");
    }
}

#[tokio::test]
async fn the_daemon_tells_what_a_host_needs_to_know() {
    let lab = lab(202).await;
    let at = lab.addresses(ia(A)).expect("an AS");
    let client = daemon(&at);
    let about = client.r#as(ASRequest::default()).await.expect("an answer").into_owned();
    assert_eq!((about.isd_as, about.core, about.mtu), (ia(A).to_u64(), false, 1472));
    let ports = client.port_range(Empty::default()).await.expect("an answer").into_owned();
    assert_eq!((ports.dispatched_port_start, ports.dispatched_port_end), (1024, 65535));
    let interfaces = client.interfaces(Default::default()).await.expect("an answer").into_owned();
    assert_eq!(interfaces.interfaces.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    let services = client.services(Default::default()).await.expect("an answer").into_owned();
    assert_eq!(services.services["control"].services[0].uri, at.control.to_string());

    let local = paths(&lab, A, A).await;
    assert_eq!(local.len(), 1);
    assert!(local[0].raw.is_empty() && local[0].interfaces.is_empty());
}

#[tokio::test]
async fn cut_links_are_reported_and_work_again_after_the_repair() {
    let lab = lab(203).await;
    let (a, b) = (Host::bind(&lab, A).await, Host::bind(&lab, B).await);
    let paths = paths(&lab, A, B).await;
    let path = choose(&paths, 3, 1);
    lab.cut("peer", Cut::Cable, None).expect("a link");
    let took = a.send_until(&b, path, &Received::InterfaceDown(ia(A), 3)).await;
    assert!(took >= 100 * MS, "{took:?} is less than the detection time");
    lab.restore("peer", None).expect("a link");
    let (to, from) = (Host::bind(&lab, B).await, Host::bind(&lab, A).await);
    let deadline = Instant::now() + DEADLINE;
    while to.receive(20 * MS).await.is_none() {
        assert!(Instant::now() < deadline, "the link stays down");
        from.send(&to, path, b"hello").await;
    }
}

#[tokio::test]
async fn a_black_hole_is_silent_and_may_be_one_way() {
    let lab = lab(204).await;
    let (a, b) = (Host::bind(&lab, A).await, Host::bind(&lab, B).await);
    let (there, back) = (paths(&lab, A, B).await, paths(&lab, B, A).await);
    lab.cut("peer", Cut::BlackHole, Some(Way::Ab)).expect("a link");
    a.send(&b, choose(&there, 3, 1), b"lost").await;
    b.send(&a, choose(&back, 3, 1), b"arrives").await;
    assert_eq!(a.receive(DEADLINE).await, Some(Received::Data(b"arrives".to_vec())));
    assert_eq!(b.receive(200 * MS).await, None);
}

#[tokio::test]
async fn latency_follows_the_settings() {
    let lab = lab(205).await;
    let (a, b) = (Host::bind(&lab, A).await, Host::bind(&lab, B).await);
    let paths = paths(&lab, A, B).await;
    let change = LinkChange { latency: Some(60 * MS), ..LinkChange::default() };
    lab.set("peer", &change, None).expect("a link");
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        a.send(&b, choose(&paths, 3, 1), b"timed").await;
        b.receive(DEADLINE).await.expect("the packet");
        fastest = fastest.min(start.elapsed());
    }
    assert!((60 * MS..75 * MS).contains(&fastest), "{fastest:?}");
}

#[tokio::test]
async fn stopped_units_fail_as_dead_processes_do() {
    let lab = lab(206).await;
    let (a, b) = (Host::bind(&lab, A).await, Host::bind(&lab, B).await);
    let before = paths(&lab, A, B).await;

    lab.stop_unit(Unit::Control, ia(A)).await.expect("an AS");
    assert!(paths(&lab, A, B).await.is_empty());
    lab.start_unit(Unit::Control, ia(A)).await.expect("an AS");
    assert_eq!(paths(&lab, A, B).await.len(), 7);

    lab.stop_unit(Unit::Daemon, ia(A)).await.expect("an AS");
    let at = lab.addresses(ia(A)).expect("an AS");
    assert!(TcpStream::connect(at.daemon).await.is_err());
    a.send(&b, choose(&before, 3, 1), b"traffic goes on").await;
    assert!(b.receive(DEADLINE).await.is_some());
    lab.start_unit(Unit::Daemon, ia(A)).await.expect("the address is free again");
    assert_eq!(paths(&lab, A, B).await.len(), 7);

    lab.stop_unit(Unit::Router, ia(B)).await.expect("an AS");
    a.send_until(&b, choose(&before, 3, 1), &Received::InterfaceDown(ia(A), 3)).await;
}

#[tokio::test]
async fn a_stopped_lab_frees_its_addresses() {
    for _ in 0..2 {
        let lab = lab(207).await;
        assert_eq!(paths(&lab, A, B).await.len(), 7);
        lab.stop().await.expect("a clean end");
    }
}

#[tokio::test]
async fn a_second_lab_with_the_same_number_says_what_is_wrong() {
    let _first = lab(208).await;
    let options = LabOptions { net: 208, ..LabOptions::default() };
    let error = Emulator::start(Network::default_network(), &options).await.expect_err("all is taken");
    insta::assert_snapshot!(error.to_string(), @"AS 1-ff00:0:110: the router cannot listen on 127.208.110.1:30042: Address already in use (os error 98); is another lab using this network number?");
}

#[tokio::test]
async fn commands_over_tcp() {
    let lab: Arc<dyn Engine> = Arc::new(lab(209).await);
    let listener = control::listen(Arc::clone(&lab), 209).await.expect("a free address");
    let stream = TcpStream::connect(control::address(209)).await.expect("it listens");
    let mut stream = BufReader::new(stream);
    let mut answers = Vec::new();
    for line in [
        "cut peer --dir ab --keep-bfd",
        "set core1 --latency 7 --rate 3.5 --loss 1",
        "stop router 1-ff00:0:121",
        "start router 1-ff00:0:121",
        "restore peer",
        "cut nothing",
        "cut",
        "set peer --latency soon",
        "set peer --colour 3",
        "cut peer --dir up",
        "stop engine 1-ff00:0:121",
        "stop router 121",
        "stop router 9-ff00:0:121",
        "explode",
    ] {
        stream.write_all(format!("{line}\n").as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_line(&mut answer).await.expect("an answer");
        answers.push(format!("{line}\n  {}", answer.trim_end()));
    }
    insta::assert_snapshot!("commands", answers.join("\n"));
    let core1 = &lab.links()[0];
    assert_eq!((core1.ab.latency_ms, core1.ba.bandwidth_mbit), (7.0, 3.5));
    listener.abort();
}
