//! Where the peers of a destination are sent to: the manager's choice, turned into headers.

use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use natsd_path::{Candidate, Fingerprint, PathId};

use super::State;
use crate::metadata::PathInfo;
use crate::peers::{Peer, Route};
use crate::probe::Probe;

impl State {
    pub(super) fn live_peers(&mut self) -> Vec<Arc<Peer>> {
        self.peers.retain(|p| p.strong_count() > 0);
        self.peers.iter().filter_map(Weak::upgrade).filter(|p| p.is_live()).collect()
    }

    /// What there is to choose from, TCP/IP with it if a peer lists that.
    pub(super) fn candidates(&mut self) -> Vec<Candidate> {
        let (now, date) = (Instant::now(), SystemTime::now());
        let mut candidates: Vec<Candidate> = self.current.iter().map(|p| p.candidate(now, date)).collect();
        if self.live_peers().iter().any(|p| p.tunnel.is_possible()) {
            candidates.push(Candidate::tcp());
        }
        candidates
    }

    /// Learns the manager's names after it was given a new set.
    pub(super) fn learn_ids(&mut self) {
        for info in &self.current {
            if let Some(id) = self.manager.id_of(info.fingerprint()) {
                self.paths.insert(id, Arc::new(info.clone()));
                self.by_interfaces.insert(info.ids().into(), id);
            }
        }
        self.tcp = self.manager.id_of(Fingerprint::TCP);
    }

    pub(super) fn forget(&mut self, path: PathId) {
        self.paths.remove(&path);
        self.last_sent.remove(&path);
        self.by_interfaces.retain(|_, id| *id != path);
    }

    pub(super) fn describe(&self, path: PathId) -> String {
        match self.paths.get(&path).map(Arc::as_ref) {
            Some(PathInfo { way: Some(way), .. }) => way.to_string(),
            Some(info) if info.interfaces.is_empty() => "within the AS".to_owned(),
            Some(info) => info.interfaces.iter().map(|i| i.to_string()).collect::<Vec<_>>().join(" "),
            None => "TCP/IP".to_owned(),
        }
    }

    /// The route of `peer` over `path`; `None` when it has none there.
    pub(super) fn route_of(&self, peer: &Peer, path: PathId) -> Option<Route> {
        if Some(path) == self.tcp {
            return peer.tunnel.is_possible().then_some(Route::Tcp(Some(path)));
        }
        let template = peer.socket.upgrade()?.template(peer, self.paths.get(&path)?, path)?;
        Some(Route::Scion(template))
    }

    pub(super) fn route(&self, peer: &Arc<Peer>, path: PathId) {
        if let Some(route) = self.route_of(peer, path) {
            peer.set_route(route);
        }
    }

    pub(super) fn route_all(&mut self, path: PathId) {
        for peer in self.peers.iter().filter_map(Weak::upgrade) {
            self.route(&peer, path);
        }
    }

    /// There are paths, and none that the operator's rules allow.
    pub(super) fn is_barred(&self) -> bool {
        self.manager.active().is_none() && self.manager.excluded().next().is_some()
    }

    /// Nothing more goes to the peers, by whatever way.
    pub(super) fn unroute_all(&mut self) {
        for peer in self.peers.iter().filter_map(Weak::upgrade) {
            peer.set_hedge(None);
            peer.clear_route();
        }
    }

    /// Sends each peer's last datagrams again: the acknowledgement of data tells QUIC at once what was lost, and what
    /// it acknowledged itself may have been lost as well. Twice after a switch, because the peer believes that we moved
    /// from the second packet in a row on.
    pub(super) fn replay(&mut self, times: usize) {
        for peer in self.live_peers() {
            let Some(socket) = peer.socket.upgrade() else { continue };
            for datagram in peer.last() {
                for _ in 0..times {
                    socket.send_now(&peer, &datagram);
                }
            }
        }
    }

    /// Asks the peer that was heard last. True also when nobody is there to be asked: that is no fault of the path.
    pub(super) fn probe(&mut self, probe: natsd_path::Probe) -> bool {
        let tcp = Some(probe.path) == self.tcp;
        let peers = self.live_peers();
        let candidates = peers.iter().filter(|p| !tcp || p.tunnel.is_possible());
        let Some(peer) = candidates.max_by_key(|p| p.heard()) else { return true };
        let (Some(socket), Some(route)) = (peer.socket.upgrade(), self.route_of(peer, probe.path)) else { return true };
        let room = match &route {
            Route::Scion(template) => {
                // What passes is asked of sizes up to what is announced, more than that the first router refuses.
                let mtu = self.paths.get(&probe.path).map(|p| usize::from(p.mtu)).filter(|mtu| *mtu > 0);
                mtu.map_or(1200, |mtu| mtu.saturating_sub(template.len()))
            }
            Route::Tcp(_) => 1200,
        };
        self.last_sent.insert(probe.path, Instant::now());
        let request = if probe.unanswered { Probe::Unanswered(probe.token) } else { Probe::Request(probe.token) };
        let mut request = request.encode(usize::from(probe.size).min(room));
        peer.ways.lock().seal(&mut request);
        socket.send_over(peer, &route, &request)
    }
}
