//! Accounts that have a connection between two servers to themselves.

use super::hello::RouteInfo;

/// Accounts that one server wants to have connections of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dedicated {
    configured: Vec<String>,
    /// That of the servers; other implementations expect it on a connection of its own.
    system: Option<String>,
}

impl Dedicated {
    /// Those `configured`, and the `system` account. There are none `without_pool`.
    pub fn new(mut configured: Vec<String>, system: Option<String>, without_pool: bool) -> Self {
        if without_pool {
            return Self::default();
        }
        configured.sort_unstable();
        configured.dedup();
        Self { configured, system }
    }

    /// What peers are told: natsd goes by it, others go by their own configuration alone.
    pub fn told(&self) -> Vec<String> {
        self.configured.clone()
    }

    /// Whether this account is wanted to have a connection of its own to some peer.
    pub fn is_wanted(&self, account: &str) -> bool {
        self.configured.iter().any(|name| name == account) || self.system.as_deref() == Some(account)
    }

    /// Whether `account` has a connection of its own to this peer.
    pub fn has_own(&self, peer: &RouteInfo, account: &[u8]) -> bool {
        self.with(peer).any(|name| name.as_bytes() == account)
    }

    /// The accounts that have connections of their own to this peer.
    pub fn with<'a>(&'a self, peer: &'a RouteInfo) -> impl Iterator<Item = &'a String> {
        let pooled = peer.route_pool_size > 0;
        let others = self.system.iter().filter(|name| !peer.is_natsd() && !self.configured.contains(name));
        let agreed = |name: &&String| !peer.is_natsd() || peer.route_accounts.contains(name);
        self.configured.iter().filter(agreed).chain(others).filter(move |_| pooled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn natsd_goes_by_what_both_want_and_others_by_what_they_want_themselves() {
        let ours = Dedicated::new(names(&["B", "A", "B"]), Some("$SYS".into()), false);
        let natsd = |accounts: &[&str]| RouteInfo {
            natsd: "1".into(),
            route_pool_size: 3,
            route_accounts: names(accounts),
            ..RouteInfo::default()
        };
        let other = RouteInfo { route_pool_size: 1, ..RouteInfo::default() };
        let with = |peer: &RouteInfo| ours.with(peer).cloned().collect::<Vec<_>>();
        assert_eq!(with(&natsd(&["B", "C"])), ["B"]);
        assert_eq!(with(&natsd(&[])), names(&[]));
        assert_eq!(with(&other), ["A", "B", "$SYS"]);
        assert_eq!(with(&RouteInfo { route_pool_size: 0, ..other.clone() }), names(&[]));
        assert!(ours.has_own(&other, b"$SYS") && !ours.has_own(&natsd(&["B"]), b"$SYS"));
        assert!(ours.is_wanted("A") && ours.is_wanted("$SYS") && !ours.is_wanted("C"));
        let listed = Dedicated::new(names(&["$SYS"]), Some("$SYS".into()), false);
        assert_eq!(listed.with(&natsd(&["$SYS"])).count(), 1);
        assert_eq!(listed.with(&other).count(), 1);
        let alone = Dedicated::new(names(&["A"]), Some("$SYS".into()), true);
        assert_eq!(alone.with(&other).count(), 0, "without a pool there is one connection for all");
    }
}
