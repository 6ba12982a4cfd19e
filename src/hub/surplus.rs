//! Connections of an account beyond those that it may have.

use std::collections::HashMap;

use natsd_core::encode::write_error;
use natsd_core::error::{ClientError, CloseReason};

use super::Hub;
use crate::link::{Kind, Link};

impl Hub {
    /// Lets the connections of these kinds see that something is new of their account, if it is among those that this
    /// `concerns`. The youngest go if there are too many now.
    pub(crate) fn wake_or_shed(&self, kinds: &[Kind], concerns: impl Fn(&str) -> bool) {
        let mut counts: HashMap<(String, bool), u64> = HashMap::new();
        for link in self.links().iter().filter(|link| kinds.contains(&link.kind) && !link.is_closing()) {
            let name = link.account_name();
            if !concerns(&name) {
                continue;
            }
            let is_leaf = link.kind == Kind::Leaf;
            let limits = self.accounts.get(name.as_bytes()).map(|account| account.spec().limits);
            let max = limits.and_then(|limits| if is_leaf { limits.leaf_nodes } else { limits.connections });
            let count = counts.entry((name, is_leaf)).or_default();
            *count += 1;
            if max.is_some_and(|max| *count > max) { send_away(link) } else { link.wake() }
        }
    }
}

fn send_away(link: &Link) {
    let error = ClientError::MaxAccountConnections;
    log::error!("{} - {error}", link.describe());
    link.send_now(|out| write_error(out, &error.to_string()));
    link.close(CloseReason::MaxAccountConnections);
}
