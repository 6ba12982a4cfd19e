//! Whole clusters in one thread.

mod network;

use super::*;
use crate::route::hello::{RouteClass, SubjectRules};
use network::{Network, config, info};
use proptest::prelude::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn one_seed_is_enough_for_a_full_mesh() {
    let mut network = Network::new(&[&[], &[0], &[0], &[0]]);
    network.run(secs(1));
    network.assert_full_mesh();
}

/// Servers that `dialer` has dialled so far, or is to dial later.
fn dials_of(network: &Network, dialer: usize) -> usize {
    network.wires.values().filter(|wire| wire.dialer == dialer).count()
        + usize::from(network.servers[dialer].cluster.poll_timeout().is_some())
}

#[test]
fn a_passive_server_dials_nobody_and_is_a_member_all_the_same() {
    // Of those that come later, each hears of the passive ones from the seed.
    let passive = [0, 2];
    let mut network = Network::with(&[&[], &[0], &[], &[1], &[1]], |config| {
        config.passive = passive.iter().any(|number| config.info.server_name == format!("s{number}"));
    });
    network.servers[1].seeds.push(2);
    network.servers[1].cluster.add_route(1, Duration::ZERO);
    for late in [3, 4] {
        network.servers[late].up = false;
    }
    network.run(secs(1));
    for late in [3, 4] {
        network.restart(late);
        network.run(secs(1));
    }
    let peers: Vec<_> = network.servers.iter().map(|server| server.cluster.peer_count()).collect();
    // All but the two passive ones, that nobody brings together.
    assert_eq!(peers, [3, 4, 3, 4, 4]);
    for server in passive {
        assert_eq!(dials_of(&network, server), 0);
        let now = network.now;
        network.servers[server].cluster.add_route(7, now);
        network.servers[server].cluster.handle_gossip(&info(9, 0), now);
        assert_eq!(network.servers[server].cluster.poll_timeout(), None);
    }
}

#[test]
fn a_server_that_listens_nowhere_joins_all_that_are_there_and_that_come() {
    let mut network = Network::with(&[&[], &[0], &[0], &[0]], |config| {
        if config.info.server_name == "s2" {
            config.info.host.clear();
            config.info.port = 0;
        }
    });
    for late in [2, 3] {
        network.servers[late].up = false;
    }
    network.run(secs(1));
    network.servers[2].up = true;
    network.run(secs(1));
    network.restart(3);
    network.run(secs(1));
    network.assert_full_mesh();
    assert!(network.wires.values().all(|wire| wire.acceptor != 2));
}

#[test]
fn servers_of_a_dag_have_the_connections_that_are_configured() {
    let mut network = Network::with(&[&[], &[0], &[1], &[1, 2]], |config| {
        config.dag = true;
        config.pool_size = Some(1);
    });
    network.run(secs(10));
    let mut pairs: Vec<_> = network.wires.values().map(|wire| (wire.dialer, wire.acceptor)).collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [(1, 0), (2, 1), (3, 1), (3, 2)]);
}

#[test]
fn servers_of_a_dag_and_of_a_mesh_refuse_each_other() {
    for dag in [true, false] {
        let mut cluster = Cluster::new(Config { dag, ..config(info(0, 0), 0) }, Duration::ZERO);
        let route_type = if dag { String::new() } else { DAG.into() };
        let peer = RouteInfo { route_type, ..info(1, 0) };
        let peer = Introduction { info: peer, slot: Slot::Pool(0), solicited: false };
        cluster.handle_introduction(LinkId(1), None, peer, None, Duration::ZERO);
        let Some(Event::Close(_, CloseReason::RouteType(_), Some(text))) = cluster.poll_event() else {
            panic!("refused")
        };
        let (ours, theirs) = if dag { ("dag", "mesh") } else { ("mesh", "dag") };
        let said = format!("s0 has route_type {ours} and s1 has route_type {theirs}: set the same in cluster {{}}");
        assert!(text.starts_with(&said), "{text}");
    }
}

#[test]
fn servers_that_dial_each_other_at_once_keep_one_connection_a_slot() {
    let mut network = Network::new(&[&[1], &[0]]);
    network.run(Duration::from_millis(500));
    network.assert_full_mesh();
}

#[test]
fn two_clusters_become_one_when_a_route_joins_them() {
    let mut network = Network::new(&[&[], &[0], &[], &[2], &[0, 2]]);
    network.servers[4].up = false;
    network.run(secs(1));
    network.restart(4);
    network.run(secs(1));
    network.assert_full_mesh();
}

#[test]
fn a_killed_server_is_back_within_two_seconds() {
    let mut network = Network::new(&[&[], &[0], &[0]]);
    network.run(secs(3));
    network.kill(0);
    network.run(secs(5));
    network.restart(0);
    network.run(Duration::from_millis(1900));
    network.assert_full_mesh();
}

#[test]
fn clients_hear_of_the_servers_that_are_there() {
    let mut network = Network::new(&[&[], &[0], &[0]]);
    network.run(secs(1));
    assert_eq!(network.servers[0].cluster.client_urls().plain, ["127.0.0.1:4001", "127.0.0.1:4002"]);
    network.servers[1].cluster.enter_lame_duck();
    network.run(secs(1));
    assert_eq!(network.servers[0].cluster.client_urls().plain, ["127.0.0.1:4002"]);
    network.kill(2);
    network.run(secs(1));
    assert!(network.servers[0].cluster.client_urls().plain.is_empty());
}

#[test]
fn clients_hear_nothing_when_that_is_not_wanted() {
    let mut network = Network::with(&[&[], &[0]], |config| config.advertise = false);
    network.run(secs(1));
    assert!(network.servers[0].cluster.client_urls().plain.is_empty());
    assert!(network.servers[0].cluster.info().connect_urls.is_empty());
}

#[test]
fn a_route_to_oneself_is_given_up() {
    let mut network = Network::new(&[&[0]]);
    network.run(secs(10));
    assert!(network.wires.is_empty());
    assert_eq!(network.servers[0].cluster.poll_timeout(), None);
}

#[test]
fn a_route_that_is_removed_ends_and_one_that_is_added_begins() {
    let mut network = Network::new(&[&[], &[0], &[]]);
    network.run(secs(2));
    let now = network.now;
    let peers = |network: &Network| network.servers.iter().map(|s| s.cluster.peer_count()).collect::<Vec<_>>();
    assert_eq!(peers(&network), [1, 1, 0]);
    network.servers[1].cluster.remove_route(0, now);
    network.run(secs(60));
    assert_eq!((peers(&network), network.wires.len()), (vec![0, 0, 0], 0));
    assert_eq!(network.servers[1].cluster.poll_timeout(), None);

    let now = network.now;
    network.servers[1].seeds.push(2);
    network.servers[1].cluster.add_route(1, now);
    network.run(secs(2));
    assert_eq!(peers(&network), [0, 1, 1]);
}

/// Whatever a dial has come to when its route is removed, nothing comes of it.
#[test]
fn a_route_that_is_removed_while_it_is_dialled_leads_nowhere() {
    for after in 0..40 {
        let mut network = Network::new(&[&[], &[0]]);
        network.run(Duration::from_millis(after));
        let now = network.now;
        network.servers[1].cluster.remove_route(0, now);
        network.run(secs(60));
        assert!(network.wires.is_empty(), "removed after {after} ms");
        assert_eq!(network.servers[0].cluster.peer_count(), 0, "removed after {after} ms");
    }
}

#[test]
fn peers_hear_what_an_operator_changes() {
    let mut network = Network::new(&[&[], &[0]]);
    network.run(secs(1));
    let terms = |ip: &str, advertise| Terms {
        ip: ip.into(),
        client_urls: ClientUrls { plain: vec!["nats.example:1".into()], ..ClientUrls::default() },
        auth_required: false,
        import: None,
        export: None,
        max_payload: 5,
        advertise,
        connect_retries: 1,
        connect_backoff: true,
        compression: "off",
    };
    network.servers[1].cluster.set_terms(terms("nats-route://b:1/", true));
    network.run(secs(1));
    assert_eq!(network.servers[0].cluster.client_urls().plain, ["nats.example:1"]);
    network.servers[1].cluster.set_terms(terms("nats-route://b:1/", false));
    network.run(secs(1));
    assert!(network.servers[0].cluster.client_urls().plain.is_empty());
    assert!(network.servers[1].cluster.client_urls().plain.is_empty());
}

#[test]
fn other_rules_are_told_on_every_connection() {
    let mut network = Network::new(&[&[], &[0]]);
    network.run(secs(1));
    let cluster = &mut network.servers[1].cluster;
    let mut told = |allow: Option<&str>| {
        let rules = allow.map(|subject| SubjectRules { allow: vec![subject.into()], ..SubjectRules::default() });
        cluster.set_terms(Terms {
            ip: String::new(),
            client_urls: ClientUrls::default(),
            auth_required: false,
            import: None,
            export: rules.clone(),
            max_payload: 5,
            advertise: true,
            connect_retries: 0,
            connect_backoff: false,
            compression: "off",
        });
        let events = std::iter::from_fn(|| cluster.poll_event());
        events.filter(|event| matches!(event, Event::Tell(_, info) if info.export == rules)).count()
    };
    assert_eq!(told(Some("a")), 3);
    assert_eq!(told(Some("a")), 0);
    assert_eq!(told(None), 3);
}

#[test]
fn without_a_pool_there_is_one_connection() {
    let mut network = Network::with(&[&[], &[0]], |config| {
        config.pool_size = config.info.server_name.ends_with('0').then_some(3);
    });
    network.run(secs(1));
    assert_eq!(network.wires.len(), 1);
}

#[test]
fn of_different_pool_sizes_the_larger_holds() {
    let mut network = Network::with(&[&[], &[0]], |config| {
        config.pool_size = Some(if config.info.server_name.ends_with('0') { 3 } else { 1 });
    });
    network.run(secs(1));
    network.assert_full_mesh();
}

#[test]
fn made_up_cluster_names_become_one() {
    let mut network = Network::with(&[&[], &[0], &[0]], |config| {
        config.info.cluster = format!("made-up-{}", config.info.server_name);
        config.info.dynamic = true;
    });
    network.run(secs(5));
    network.assert_full_mesh();
    for server in &network.servers {
        assert_eq!(server.cluster.info().cluster, "made-up-s2");
    }
}

#[test]
fn explicit_routes_are_dialled_for_ever_and_back_off_when_asked_to() {
    let mut dials = Vec::new();
    for connect_backoff in [false, true] {
        let config = Config { connect_backoff, ..config(info(0, 0), 1) };
        let mut cluster = Cluster::new(config, Duration::ZERO);
        let mut times = Vec::new();
        for _ in 0..8 {
            let now = cluster.poll_timeout().expect("a configured route is always due some time");
            times.push(now.as_secs());
            let dial = cluster.poll_dial(now).expect("due");
            cluster.handle_dial_failed(dial.id, false, now);
        }
        dials.push(times);
    }
    assert_eq!(dials[0], [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(dials[1], [0, 1, 3, 7, 15, 31, 61, 91]);
}

#[test]
fn a_server_heard_of_is_tried_ever_more_rarely_for_an_hour() {
    let mut cluster = Cluster::new(Config { connect_retries: 2, ..config(info(0, 0), 0) }, Duration::ZERO);
    cluster.handle_gossip(&info(1, 0), Duration::ZERO);
    let mut times = Vec::new();
    while let Some(now) = cluster.poll_timeout() {
        let dial = cluster.poll_dial(now).expect("due");
        assert_eq!(dial.place, Place::Told(vec!["nats-route://127.0.0.1:2/".into()]));
        cluster.handle_dial_failed(dial.id, false, now);
        times.push(now.as_secs());
    }
    assert_eq!(times[..7], [0, 1, 2, 7, 17, 37, 77]);
    assert_eq!(times.len(), 3 + 64);
    assert!((3600..4000).contains(times.last().expect("there were some")), "{times:?}");
}

#[test]
fn a_server_heard_of_that_ends_every_connection_is_given_up() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    cluster.handle_gossip(&info(1, 0), Duration::ZERO);
    let mut attempts = 0;
    while let Some(now) = cluster.poll_timeout() {
        let dial = cluster.poll_dial(now).expect("due");
        cluster.handle_dial_failed(dial.id, true, now);
        attempts += 1;
    }
    assert_eq!(attempts, 11);
}

#[test]
fn peers_that_are_alive_are_reminded_of_each_other_in_turn() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    let go = RouteInfo { natsd: String::new(), ..info(4, 0) };
    for (link, info) in [(1, info(1, 0)), (2, info(2, 0)), (3, info(3, 0)), (4, go)] {
        let peer = Introduction { info, slot: Slot::Pool(0), solicited: false };
        cluster.handle_introduction(LinkId(link), None, peer, None, Duration::ZERO);
    }
    while cluster.poll_event().is_some() {}
    let mut remind = |link| {
        cluster.handle_alive(LinkId(link));
        match cluster.poll_event() {
            Some(Event::Tell(to, info)) => {
                assert_eq!((to, GossipMode::from(info.gossip_mode)), (LinkId(link), GossipMode::Override));
                Some(info.server_name)
            }
            _ => None,
        }
    };
    let told: Vec<_> = std::iter::repeat_with(|| remind(1).expect("there are others")).take(4).collect();
    assert_eq!(told, ["s2", "s3", "s4", "s2"]);
    assert_eq!(remind(4), None, "other implementations are left alone");
}

#[test]
fn who_is_not_admitted_is_told_why() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    let mut refusals = Vec::new();
    let stranger = info(1, 0);
    let pooled = RouteInfo { route_pool_size: 3, ..stranger.clone() };
    let cases = [
        ("itself", info(0, 0), Slot::Pool(0)),
        ("our name", RouteInfo { server_name: "s0".into(), ..stranger.clone() }, Slot::Pool(0)),
        ("other cluster", RouteInfo { cluster: "z\"z".into(), ..stranger.clone() }, Slot::Pool(0)),
        ("reserved cluster", RouteInfo { cluster: "_".into(), ..stranger.clone() }, Slot::Pool(0)),
        ("beyond the pool", pooled.clone(), Slot::Pool(7)),
        ("dedicated, but shared here", pooled, Slot::Account("$G".into())),
        ("dedicated without pool", stranger, Slot::Account("$G".into())),
    ];
    for (number, (what, info, slot)) in cases.into_iter().enumerate() {
        let peer = Introduction { info, slot, solicited: false };
        cluster.handle_introduction(LinkId(number as u64), None, peer, None, Duration::ZERO);
        while let Some(event) = cluster.poll_event() {
            refusals.push(format!("{what}: {event:?}"));
        }
    }
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn a_returning_server_of_the_same_name_makes_the_old_one_prove_itself() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    let arrive = |cluster: &mut Cluster, link, generation| {
        let peer = Introduction { info: info(1, generation), slot: Slot::Pool(0), solicited: false };
        cluster.handle_introduction(LinkId(link), None, peer, None, secs(60));
        std::iter::from_fn(|| cluster.poll_event()).collect::<Vec<_>>()
    };
    assert_eq!(arrive(&mut cluster, 1, 0)[0], Event::Open(LinkId(1)));
    let events = arrive(&mut cluster, 2, 1);
    assert_eq!(events, [Event::Probe(LinkId(1)), Event::Close(LinkId(2), CloseReason::DuplicateName, None)]);
    cluster.handle_closed(LinkId(1), secs(62));
    assert!(arrive(&mut cluster, 3, 1).contains(&Event::Open(LinkId(3))));
}

#[test]
fn other_implementations_get_a_route_for_the_system_account() {
    let mut cluster = Cluster::new(config(info(0, 0), 1), Duration::ZERO);
    let dial = cluster.poll_dial(Duration::ZERO).expect("due");
    let theirs = RouteInfo { natsd: String::new(), route_pool_size: 1, ..info(1, 0) };
    let peer = Introduction { info: theirs, slot: dial.slot, solicited: true };
    cluster.handle_introduction(LinkId(1), Some(dial.id), peer, None, Duration::ZERO);
    cluster.handle_confirmed(LinkId(1), Duration::ZERO);
    let wanted: Vec<_> = std::iter::from_fn(|| cluster.poll_dial(Duration::ZERO)).map(|dial| dial.slot).collect();
    assert_eq!(wanted, [Slot::Pool(1), Slot::Pool(2), Slot::Account("$SYS".into())]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_connected_set_of_seeds_becomes_a_full_mesh(
        parents in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
        extra in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
    ) {
        let size = parents.len() + 1;
        let mut seeds = vec![Vec::new(); size];
        for (child, parent) in parents.iter().enumerate() {
            seeds[child + 1].push(parent.index(child + 1));
        }
        for (from, to) in &extra {
            seeds[from.index(size)].push(to.index(size));
        }
        let seeds: Vec<_> = seeds.iter().map(Vec::as_slice).collect();
        let mut network = Network::new(&seeds);
        network.run(secs(20));
        network.assert_full_mesh();
    }
}

#[test]
fn a_lame_duck_is_not_recommended_whatever_it_says_of_itself() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    let peer = Introduction { info: info(1, 0), slot: Slot::Pool(0), solicited: false };
    cluster.handle_introduction(LinkId(1), None, peer, None, Duration::ZERO);
    assert_eq!(cluster.client_urls().plain, ["127.0.0.1:4001"]);
    cluster.handle_update(LinkId(1), RouteInfo { lame_duck: true, ..info(1, 0) });
    assert!(cluster.client_urls().plain.is_empty());
}

/// Another implementation, which goes by what it is told of accounts, hears that a natsd that joins owes it a connection for
/// the account of the servers: that natsd has none to us.
#[test]
fn others_are_told_of_accounts_that_a_newcomer_shares_with_us() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    let other = RouteInfo { natsd: String::new(), route_pool_size: 3, ..info(1, 0) };
    let newcomer = RouteInfo { route_pool_size: 3, ..info(2, 0) };
    let mut told = Vec::new();
    for (link, info) in [(1, other), (2, newcomer)] {
        let peer = Introduction { info, slot: Slot::Pool(0), solicited: false };
        cluster.handle_introduction(LinkId(link), None, peer, None, Duration::ZERO);
        told.extend(std::iter::from_fn(|| cluster.poll_event()).filter_map(|event| match event {
            Event::Tell(LinkId(1), info) => Some((info.server_name.clone(), info.route_account.clone())),
            _ => None,
        }));
    }
    assert_eq!(told, [("s2".into(), "$SYS".into()), ("s2".into(), String::new())]);
}

/// nats-server that is given another pool keeps connections of accounts: what it says on new ones counts.
#[test]
fn a_peer_may_have_another_pool_than_before() {
    let mut cluster = Cluster::new(config(info(0, 0), 1), Duration::ZERO);
    let peer = |pool| RouteInfo { natsd: String::new(), route_pool_size: pool, ..info(1, 0) };
    let mut link = 0;
    let mut connect = |cluster: &mut Cluster, pool| {
        let mut slots = Vec::new();
        while let Some(dial) = cluster.poll_dial(secs(60)) {
            link += 1;
            let peer = Introduction { info: peer(pool), slot: dial.slot.clone(), solicited: true };
            cluster.handle_introduction(LinkId(link), Some(dial.id), peer, None, Duration::ZERO);
            cluster.handle_confirmed(LinkId(link), Duration::ZERO);
            slots.push((LinkId(link), dial.slot));
        }
        slots
    };
    let first = connect(&mut cluster, 3);
    assert_eq!(first.len(), 4, "{first:?}");
    for (link, _) in first.iter().filter(|(_, slot)| matches!(slot, Slot::Pool(_))) {
        cluster.handle_closed(*link, secs(30));
    }
    let second = connect(&mut cluster, 5);
    assert_eq!(second.len(), 5, "{second:?}");
}

#[test]
fn another_pool_takes_new_connections() {
    let mut network = Network::new(&[&[], &[0]]);
    network.run(secs(1));
    let before = network.wires.len();
    let dedicated = Dedicated::new(vec!["A".into()], None, false);
    for server in 0..2 {
        let now = network.now;
        network.servers[server].cluster.set_pool(Some(4), dedicated.clone(), Vec::new(), now);
        network.run(secs(3));
    }
    assert_eq!((before, network.wires.len()), (3, 5));
}

#[test]
fn subjects_that_both_servers_list_have_a_connection() {
    let mut network = Network::with(&[&[], &[0], &[0]], |config| {
        let of_server: &[&str] = match config.info.server_name.as_str() {
            "s0" => &["orders.>", "bulk.>"],
            "s1" => &["bulk.>", "orders.>", "other"],
            _ => &["bulk.>"],
        };
        let class = |subjects: &&str| RouteClass {
            subjects: (*subjects).to_owned(),
            // The most that either wants.
            connections: u16::from(*subjects == "bulk.>" && config.info.server_name == "s1") * 2,
            in_order: config.info.server_name != "s2",
        };
        config.classes = of_server.iter().map(class).collect();
    });
    network.run(secs(1));
    let classes = |network: &Network, of: usize, with: usize| {
        let peer = &network.servers[of].cluster.peers[&format!("N{with}-0")];
        let named = |slot: &Slot| match slot {
            Slot::Class(pattern, index) => Some(format!("{pattern} {index}")),
            Slot::Pool(_) | Slot::Account(_) => None,
        };
        (peer.links.len(), peer.links.keys().filter_map(named).collect::<Vec<_>>())
    };
    for (of, with) in [(0, 1), (1, 0)] {
        let expected = ["bulk.> 0", "bulk.> 1", "orders.> 0"].map(str::to_owned);
        assert_eq!(classes(&network, of, with), (6, expected.into()));
    }
    assert_eq!(classes(&network, 0, 2), (4, vec!["bulk.> 0".to_owned()]));
    assert_eq!(classes(&network, 2, 1), (4, vec!["bulk.> 0".to_owned()]), "one alone cannot keep order");
    let now = network.now;
    let dedicated = Dedicated::new(Vec::new(), None, false);
    network.servers[1].cluster.set_pool(Some(3), dedicated, Vec::new(), now);
    network.run(secs(3));
    assert_eq!(classes(&network, 0, 1), (3, vec![]), "a reload takes them away");
}
