//! What other servers tell: that they are there, and how many clients each account has at them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use natsd_api::{AccountConns, ServerInfo};

/// Servers that are remembered, at most.
const MAX_SERVERS: usize = 4096;
/// A server that tells nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(150);

/// See the [module](self).
#[derive(Default)]
pub(super) struct Servers {
    heard: HashMap<String, Instant>,
    /// Clients by account, and by server.
    clients: HashMap<String, HashMap<String, u64>>,
}

impl Servers {
    /// How many are there.
    pub(super) fn len(&self) -> usize {
        self.heard.len()
    }

    /// A server is there. Returns whether that is news.
    pub(super) fn hear(&mut self, server: &ServerInfo, now: Instant) -> bool {
        let known = self.heard.contains_key(&server.id);
        if known || self.heard.len() < MAX_SERVERS {
            self.heard.insert(server.id.clone(), now);
        }
        !known
    }

    /// A server tells how many clients an account has. Returns how many those are at all of them.
    pub(super) fn count(&mut self, told: &AccountConns) -> u64 {
        let servers = self.clients.entry(told.stat.account.clone()).or_default();
        if told.stat.conns == 0 {
            servers.remove(&told.server.id);
        } else if servers.len() < MAX_SERVERS || servers.contains_key(&told.server.id) {
            servers.insert(told.server.id.clone(), told.stat.conns);
        }
        let sum = sum(servers);
        self.clients.retain(|_, servers| !servers.is_empty());
        sum
    }

    /// A server is gone. Returns how many clients its accounts have at the others.
    pub(super) fn forget(&mut self, server: &str) -> Vec<(String, u64)> {
        self.heard.remove(server);
        let mut left = Vec::new();
        self.clients.retain(|account, servers| {
            if servers.remove(server).is_some() {
                left.push((account.clone(), sum(servers)));
            }
            !servers.is_empty()
        });
        left
    }

    /// Servers that have been silent for too long.
    pub(super) fn silent(&self, now: Instant) -> Vec<String> {
        let gone = |at: &Instant| now.saturating_duration_since(*at) > SILENCE;
        self.heard.iter().filter(|(_, at)| gone(at)).map(|(server, _)| server.clone()).collect()
    }
}

fn sum(servers: &HashMap<String, u64>) -> u64 {
    servers.values().fold(0, |sum, clients| sum.saturating_add(*clients))
}

#[cfg(test)]
mod tests {
    use natsd_api::AccountStat;

    use super::*;

    fn told(server: &str, account: &str, conns: u64) -> AccountConns {
        AccountConns {
            server: ServerInfo { id: server.into(), ..ServerInfo::default() },
            stat: AccountStat { account: account.into(), conns, ..AccountStat::default() },
            ..AccountConns::default()
        }
    }

    #[test]
    fn clients_are_added_up_until_their_server_is_gone() {
        let mut servers = Servers::default();
        assert_eq!(servers.count(&told("X", "A", 2)), 2);
        assert_eq!(servers.count(&told("Y", "A", 3)), 5);
        assert_eq!(servers.count(&told("X", "A", 1)), 4);
        assert_eq!(servers.count(&told("Y", "B", u64::MAX)), u64::MAX);
        assert_eq!(servers.count(&told("X", "B", 1)), u64::MAX);
        let mut left = servers.forget("Y");
        left.sort();
        assert_eq!(left, [("A".to_owned(), 1), ("B".to_owned(), 1)]);
        assert_eq!(servers.count(&told("X", "A", 0)), 0);
        assert!(servers.clients.contains_key("B") && !servers.clients.contains_key("A"));
    }

    #[test]
    fn the_silent_are_found_and_there_are_not_too_many() {
        let mut servers = Servers::default();
        let start = Instant::now();
        let server = |id: usize| ServerInfo { id: id.to_string(), ..ServerInfo::default() };
        assert!(servers.hear(&server(1), start) && !servers.hear(&server(1), start));
        assert!(servers.hear(&server(2), start + SILENCE));
        assert_eq!(servers.silent(start + SILENCE), Vec::<String>::new());
        assert_eq!(servers.silent(start + SILENCE + Duration::from_secs(1)), ["1"]);
        for id in 0..2 * MAX_SERVERS {
            servers.hear(&server(id), start);
        }
        assert_eq!(servers.len(), MAX_SERVERS);
    }
}
