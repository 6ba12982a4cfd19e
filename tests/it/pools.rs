//! Several connections between two servers: which accounts each carries, whatever the two are configured to, natsd and
//! nats-server, whoever dials.

use std::collections::BTreeMap;

use crate::harness::client::Client;
use crate::harness::http::{json, wait_until_open};
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::wait_for;

/// Accounts with one user each, who is called as they are. `SYS` is that of the servers.
const ACCOUNTS: [&str; 4] = ["A", "B", "C", "SYS"];

/// What two servers say of their pool.
#[derive(Clone, Copy, Debug)]
struct Ways {
    pool_size: i32,
    /// Accounts with a connection of their own.
    accounts: &'static str,
}

fn ways(pool_size: i32, accounts: &'static str) -> Ways {
    Ways { pool_size, accounts }
}

struct Member {
    node: Node,
    monitoring: u16,
}

fn start(kind: Kind, name: &str, seeds: &[&Member], ways: Ways) -> Member {
    let monitoring = free_port();
    let user = |name: &str| format!("{name} {{ users: [{{ user: {name}, password: {name} }}] }}\n");
    let accounts: String = ACCOUNTS.map(user).concat();
    let more = format!("http: \"127.0.0.1:{monitoring}\"\nsystem_account: SYS\naccounts {{\n{accounts}}}");
    let cluster = format!("accounts: [{}]", ways.accounts);
    let routes: Vec<_> = seeds.iter().map(|seed| &seed.node).collect();
    let pool_size = Some(ways.pool_size);
    let setup = Setup { routes: &routes, pool_size, cluster: &cluster, more: &more, ..Setup::default() };
    let node = Node::start(kind, name, setup);
    wait_until_open(monitoring);
    Member { node, monitoring }
}

/// For every account, whatever is published at one server comes to all others, once.
fn all_accounts_pass(members: &[Member]) {
    for account in ACCOUNTS {
        let connect = |member: &Member| Client::connect_as(member.node.port, account);
        let mut clients: Vec<_> = members.iter().map(connect).collect();
        for (client, member) in clients.iter_mut().zip(members) {
            client.subscribe("all", "1");
            client.subscribe(&format!("at.{}", member.node.name), "2");
            client.flush();
        }
        for client in &mut clients {
            for member in members {
                client.wait_for_interest(&format!("at.{}", member.node.name), true);
            }
        }
        // What took a second way in one round would be heard in the next.
        for round in 1..=2 {
            for publisher in 0..clients.len() {
                clients[publisher].publish("all", account);
                for client in &mut clients {
                    assert_eq!(client.take(1)[0].payload, account, "round {round}");
                }
            }
        }
        assert!(clients.iter_mut().all(|client| client.drain().is_empty()), "{account} hears something twice");
    }
}

/// How many connections there are to each other server, without those of an account, and those of each account.
fn connections(member: &Member) -> BTreeMap<(String, String), usize> {
    let routes = json(member.monitoring, "/routez")["routes"].take();
    let mut counts = BTreeMap::new();
    for route in routes.as_array().expect("a list") {
        let text = |key: &str| route[key].as_str().unwrap_or_default().to_owned();
        *counts.entry((text("remote_name"), text("account"))).or_default() += 1;
    }
    counts
}

/// Waits until `member` has so many connections of the pool to each of the others, and one for each of the accounts.
fn wait_for_connections(member: &Member, others: &[&str], pool: usize, accounts: &[&str]) {
    let mut expected = BTreeMap::new();
    for other in others {
        expected.insert(((*other).to_owned(), String::new()), pool);
        expected.extend(accounts.iter().map(|account| (((*other).to_owned(), (*account).to_owned()), 1)));
    }
    wait_for(&format!("{expected:?} at {}", member.node.name), || (connections(member) == expected).then_some(()));
}

/// Of two natsd the servers' own account shares the pool, unless it is listed.
fn own_of_system(kinds: &[Kind]) -> &'static [&'static str] {
    if kinds.iter().all(|kind| *kind == Kind::Natsd) { &[] } else { &["SYS"] }
}

fn every_pool_carries_every_account(kinds: [Kind; 2]) {
    let sys = own_of_system(&kinds);
    for (one, other, pool, accounts) in [
        (ways(3, ""), ways(3, ""), 3, &[][..]),
        (ways(1, ""), ways(4, ""), 4, &[]),
        (ways(5, ""), ways(2, ""), 5, &[]),
        (ways(3, "A"), ways(3, "A"), 3, &["A"]),
        (ways(2, "A, B"), ways(1, "B, A"), 2, &["A", "B"]),
        (ways(2, "A, SYS"), ways(2, "SYS, A"), 2, &["A", "SYS"]),
    ] {
        let a = start(kinds[0], "a", &[], one);
        let b = start(kinds[1], "b", &[&a], other);
        let listed = [accounts, sys].concat();
        for (member, other) in [(&a, "b"), (&b, "a")] {
            wait_for_connections(member, &[other], pool, &listed);
        }
        all_accounts_pass(&[a, b]);
    }
}

/// Who has no pool has one connection for all, accounts of their own as well.
fn without_a_pool_one_connection_is_for_all(kinds: [Kind; 2]) {
    for (one, other) in [
        (ways(-1, ""), ways(-1, "")),
        (ways(-1, ""), ways(3, "")),
        (ways(3, ""), ways(-1, "")),
        (ways(3, "A"), ways(-1, "")),
        (ways(-1, ""), ways(3, "A")),
    ] {
        let a = start(kinds[0], "a", &[], one);
        let b = start(kinds[1], "b", &[&a], other);
        for (member, other) in [(&a, "b"), (&b, "a")] {
            wait_for_connections(member, &[other], 1, &[]);
        }
        all_accounts_pass(&[a, b]);
    }
}

/// Servers that hear of each other make all these connections, too.
fn gossip_leads_to_all_connections(kinds: [Kind; 3]) {
    let pool = ways(2, "A");
    let a = start(kinds[0], "a", &[], pool);
    let b = start(kinds[1], "b", &[&a], pool);
    let c = start(kinds[2], "c", &[&a], pool);
    let kinds = BTreeMap::from([("a", kinds[0]), ("b", kinds[1]), ("c", kinds[2])]);
    for (member, others) in [(&a, ["b", "c"]), (&b, ["a", "c"]), (&c, ["a", "b"])] {
        let mut expected = BTreeMap::new();
        for other in others {
            let accounts = own_of_system(&[kinds[&*member.node.name], kinds[other]]);
            let counts = [("", 2), ("A", 1)].into_iter().chain(accounts.iter().map(|account| (*account, 1)));
            expected.extend(counts.map(|(account, count)| ((other.to_owned(), account.to_owned()), count)));
        }
        wait_for(&format!("{expected:?} at {}", member.node.name), || (connections(member) == expected).then_some(()));
    }
    all_accounts_pass(&[a, b, c]);
}

/// Another pool and other accounts take new connections, and nothing more.
fn pools_change_with_the_configuration(kinds: [Kind; 2]) {
    let sys = own_of_system(&kinds);
    let a = start(kinds[0], "a", &[], ways(2, ""));
    let b = start(kinds[1], "b", &[&a], ways(2, ""));
    let members = [a, b];
    let all_have = |pool, accounts: &[&str]| {
        let listed = [accounts, sys].concat();
        wait_for_connections(&members[0], &["b"], pool, &listed);
        wait_for_connections(&members[1], &["a"], pool, &listed);
        all_accounts_pass(&members);
    };
    all_have(2, &[]);
    members[0].node.reload("pool_size: 2", "pool_size: 4");
    all_have(4, &[]);
    members[1].node.reload("accounts: []", "accounts: [A]");
    members[0].node.reload("accounts: []", "accounts: [A]");
    all_have(4, &["A"]);
    members[0].node.reload("pool_size: 4", "pool_size: 1");
    all_have(2, &["A"]);
}

/// An account that one of two natsd alone lists has no connection of its own, and passes all the same.
#[test]
fn natsd_makes_no_connection_that_the_peer_does_not_want() {
    let a = start(Kind::Natsd, "a", &[], ways(2, "A, B"));
    let b = start(Kind::Natsd, "b", &[&a], ways(2, "B, C"));
    wait_for_connections(&a, &["b"], 2, &["B"]);
    all_accounts_pass(&[a, b]);
}

mod natsd_alone {
    use crate::harness::node::Kind::Natsd;

    #[test]
    fn every_pool_carries_every_account() {
        super::every_pool_carries_every_account([Natsd, Natsd]);
    }

    #[test]
    fn without_a_pool_one_connection_is_for_all() {
        super::without_a_pool_one_connection_is_for_all([Natsd, Natsd]);
    }

    #[test]
    fn gossip_leads_to_all_connections() {
        super::gossip_leads_to_all_connections([Natsd, Natsd, Natsd]);
    }

    #[test]
    fn pools_change_with_the_configuration() {
        super::pools_change_with_the_configuration([Natsd, Natsd]);
    }
}

#[cfg(feature = "interop")]
mod with_go {
    use crate::harness::node::Kind::{Go, Natsd};

    #[test]
    fn every_pool_carries_every_account_when_go_dials() {
        super::every_pool_carries_every_account([Natsd, Go]);
    }

    #[test]
    fn every_pool_carries_every_account_when_natsd_dials() {
        super::every_pool_carries_every_account([Go, Natsd]);
    }

    #[test]
    fn without_a_pool_one_connection_is_for_all_when_go_dials() {
        super::without_a_pool_one_connection_is_for_all([Natsd, Go]);
    }

    #[test]
    fn without_a_pool_one_connection_is_for_all_when_natsd_dials() {
        super::without_a_pool_one_connection_is_for_all([Go, Natsd]);
    }

    #[test]
    fn pools_change_with_the_configuration() {
        super::pools_change_with_the_configuration([Natsd, Go]);
        super::pools_change_with_the_configuration([Go, Natsd]);
    }

    #[test]
    fn gossip_leads_to_all_connections() {
        super::gossip_leads_to_all_connections([Go, Natsd, Natsd]);
        super::gossip_leads_to_all_connections([Natsd, Go, Natsd]);
        super::gossip_leads_to_all_connections([Natsd, Go, Go]);
    }
}
