//! Who is let into the cluster, and why others are not.

use std::time::Duration;

use super::name::{Agreement, agree};
use super::peer::Peer;
use super::{Cluster, Event, MAX_DEDICATED, MAX_PEERS, MAX_POOL, Pending};
use crate::route::CloseReason;
use crate::route::hello::RouteInfo;
use crate::route::session::{Introduction, Slot};

/// Why a peer is not admitted, and what it is told.
pub(super) struct Refusal {
    pub(super) reason: CloseReason,
    pub(super) text: Option<String>,
}

impl From<CloseReason> for Refusal {
    fn from(reason: CloseReason) -> Self {
        Self { reason, text: None }
    }
}

impl Cluster {
    pub(super) fn verdict(&mut self, peer: &Introduction, now: Duration) -> Result<(), Refusal> {
        let info = &peer.info;
        if info.server_id == self.info.server_id {
            return Err(CloseReason::ToSelf.into());
        }
        self.check_route_type(info)?;
        self.check_slot(peer)?;
        self.agree_on_name((&info.cluster, info.dynamic), &info.server_id, now)?;
        self.check_server_name(info)?;
        if !self.peers.contains_key(&info.server_id) && self.peers.len() >= MAX_PEERS {
            return Err(CloseReason::TooManyPeers.into());
        }
        self.check_duplicate(peer)
    }

    /// A server that is a hop of others would send those of a mesh what is none of their business, and they would not pass it on.
    fn check_route_type(&self, theirs: &RouteInfo) -> Result<(), Refusal> {
        if self.info.route_type == theirs.route_type {
            return Ok(());
        }
        let what = |info: &RouteInfo| if info.route_type.is_empty() { "mesh".into() } else { info.route_type.clone() };
        let (ours, theirs_is) = (what(&self.info), what(theirs).escape_debug().to_string());
        let text = format!(
            "{} has route_type {ours} and {} has route_type {theirs_is}: set the same in cluster {{}} of both; servers \
             other than natsd have mesh alone",
            self.info.server_name,
            theirs.server_name.escape_debug()
        );
        Err(Refusal { reason: CloseReason::RouteType(text.clone()), text: Some(text) })
    }

    fn check_slot(&self, peer: &Introduction) -> Result<(), Refusal> {
        let pool = self.pool_with(&peer.info);
        let pooled = self.pool_size.is_some() && peer.info.route_pool_size > 0;
        let text = match &peer.slot {
            Slot::Pool(index) if *index < pool => return Ok(()),
            Slot::Pool(index) => format!("Invalid route pool index: {index} - pool size is {pool}"),
            Slot::Class(pattern, index) if pooled && *index < self.connections_of(pattern, &peer.info) => return Ok(()),
            Slot::Class(pattern, _) => {
                let pattern = pattern.escape_debug();
                format!(
                    "No route for subjects \"{pattern}\": give both servers a pool and the same scion {{ paths {{}} }}"
                )
            }
            Slot::Account(account) if pooled => {
                if self.dedicated.is_wanted(account) || !self.shared.contains(account) {
                    return Ok(());
                }
                format!("No route for account \"{}\"", account.escape_debug())
            }
            Slot::Account(account) => {
                let account = account.escape_debug();
                format!("Not possible to have a dedicated route for account \"{account}\" between those servers")
            }
        };
        Err(Refusal { reason: CloseReason::BadSlot, text: Some(text) })
    }

    /// A server that crashed and came back under its old name is a stranger with a name that is taken. Should the
    /// holder of the name not answer, the stranger gets in at its next attempt.
    fn check_server_name(&mut self, info: &RouteInfo) -> Result<(), Refusal> {
        let taken = |peer: &&Peer| peer.info.server_name == info.server_name && peer.info.server_id != info.server_id;
        let holder = self.peers.values().find(taken);
        if info.server_name.is_empty() || (holder.is_none() && info.server_name != self.info.server_name) {
            return Ok(());
        }
        let doubted = holder.into_iter().flat_map(|holder| holder.links.values());
        self.events.extend(doubted.map(|link| Event::Probe(link.id)));
        Err(CloseReason::DuplicateName.into())
    }

    /// A connection that is admitted stays. When two servers dial each other at once, each has one that is not admitted
    /// yet when the other's arrives: the ids decide, and both ends decide the same. Other implementations count the
    /// connection that they make as theirs from the start, so it is that one which stays.
    fn check_duplicate(&mut self, peer: &Introduction) -> Result<(), Refusal> {
        let id = &peer.info.server_id;
        let known = self.peers.get(id);
        if let Slot::Account(_) = peer.slot
            && known.is_some_and(|known| known.links.len() >= MAX_DEDICATED + usize::from(MAX_POOL))
        {
            return Err(CloseReason::BadSlot.into());
        }
        if let Some(existing) = known.and_then(|known| known.links.get(&peer.slot)) {
            self.events.push_back(Event::Probe(existing.id));
            return Err(CloseReason::Duplicate.into());
        }
        let same = |pending: &Pending| pending.peer.info.server_id == *id && pending.peer.slot == peer.slot;
        let ours_stays = peer.solicited || (peer.info.is_natsd() && self.info.server_id < *id);
        if ours_stays && self.pending.values().any(same) {
            return Err(CloseReason::Duplicate.into());
        }
        Ok(())
    }

    /// Brings the names together if that can be; if ours changes, connections under the old one end.
    pub(super) fn agree_on_name(&mut self, theirs: (&str, bool), their_id: &str, now: Duration) -> Result<(), Refusal> {
        let refuse = |text| Err(Refusal { reason: CloseReason::ClusterName, text: Some(text) });
        if theirs.0 == "_" {
            return refuse("Rejecting connection, cluster name \"_\" is reserved".to_owned());
        }
        match agree((&self.info.cluster, self.info.dynamic), theirs) {
            Agreement::Keep => {}
            Agreement::Adopt => self.adopt(theirs, their_id, now),
            Agreement::Conflict => {
                let (ours, theirs) = (&self.info.cluster, theirs.0.escape_debug());
                return refuse(format!("Rejecting connection, cluster name \"{theirs}\" does not match \"{ours}\""));
            }
        }
        Ok(())
    }

    fn adopt(&mut self, (name, dynamic): (&str, bool), from: &str, now: Duration) {
        name.clone_into(&mut self.info.cluster);
        self.info.dynamic = dynamic;
        self.events.push_back(Event::Renamed);
        let others = self.peers.iter().filter(|(id, _)| *id != from).flat_map(|(_, peer)| peer.links.values());
        let others: Vec<_> = others.map(|link| link.id).collect();
        for link in others {
            self.events.push_back(Event::Close(link, CloseReason::ClusterRenamed, None));
            self.handle_closed(link, now);
        }
    }
}
