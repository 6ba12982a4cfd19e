//! What comes beside QUIC: probes, SCMP, and datagrams from TCP.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use natsd_path::{PathId, ScionAddr};

use super::{INJECTED, Socket, Source, way_back};
use crate::header::{self, Header};
use crate::peers::Peer;
use crate::probe::{self, Probe};
use crate::scmp;
use crate::template::Template;

impl Socket {
    /// A datagram came inside a TCP connection.
    pub(crate) fn inject(&self, peer: &Arc<Peer>, datagram: Bytes) {
        peer.note_heard(self.peers.clock());
        if probe::is_quic(&datagram) {
            let path = peer.destination().as_ref().and_then(|known| known.tcp());
            peer.note_way(self.peers.clock(), path.is_some());
            if let (Some(destination), Some(path)) = (&*peer.destination(), path) {
                destination.drive(|manager, now| manager.handle_received(now, path, 1));
            }
            let mut injected = self.injected.lock();
            if injected.len() < INJECTED {
                injected.push_back((peer.synthetic, datagram));
            }
            drop(injected);
            if let Some(waker) = self.waker.lock().take() {
                waker.wake();
            }
            return;
        }
        match Probe::parse(&datagram) {
            Some(request @ (Probe::Request(token) | Probe::Unanswered(token))) => {
                peer.tunnel.send(peer, self, &Probe::Reply(token).encode(datagram.len()));
                let path = peer.destination().as_ref().and_then(|d| d.tcp());
                peer_asks(peer, request, path);
            }
            Some(Probe::Reply(token)) => probe_reply(peer, token),
            None => {}
        }
    }

    /// Answers probes over the path by which they came; strangers get a limited number of answers. A request does not
    /// count as a sign of life of the way to the peer: it came the other way.
    pub(super) fn probe(
        &self,
        peer: Option<&Arc<Peer>>,
        (from, here): (ScionAddr, ScionAddr),
        header: &Header<'_>,
        payload: &[u8],
        source: Source,
    ) {
        match (Probe::parse(payload), peer.filter(|p| p.is_live())) {
            (Some(request @ (Probe::Request(token) | Probe::Unanswered(token))), peer) => {
                if peer.is_none() && !self.probes_of_strangers.take(Instant::now()) {
                    return;
                }
                let back = header::reverse(header.path);
                let template = back.and_then(|raw| Template::new(here, from, &raw, source.from, None));
                if let Some(template) = template {
                    let template = template.leaving(source.way.map(|way| way.here));
                    let mut out = Vec::with_capacity(template.len() + payload.len());
                    template.append(&Probe::Reply(token).encode(payload.len()), &mut out);
                    // Lost like any other packet if the buffer is full.
                    let _ = self.underlay.send(template.hop(), &out, None);
                }
                if let Some(peer) = peer {
                    self.learn(peer, source, payload);
                    peer_asks(peer, request, came_over(peer, header, source));
                }
            }
            (Some(Probe::Reply(token)), Some(peer)) => {
                peer.note_heard(self.peers.clock());
                probe_reply(peer, token);
            }
            _ => {}
        }
    }

    /// Errors of routers are hints, and so many of them count. Questions are for the dispatcher of the host: this port answers none.
    pub(super) fn scmp(&self, message: &[u8]) {
        let Some(scmp::Message::Error { evidence, quoted }) = scmp::parse(message) else { return };
        let local = self.underlay.local();
        let ours = quoted.from.port == local.port()
            && Some(quoted.from.isd_as) == self.isd_as()
            && (local.ip().is_unspecified() || local.ip() == quoted.from.host);
        if let Some(peer) = self.peers.get(&quoted.to).filter(|p| ours && p.is_live())
            && let Some(destination) = &*peer.destination()
            && peer.complaints.take(Instant::now())
        {
            log::debug!("a router says about a packet to {}: {evidence}", quoted.to);
            destination.scmp(&quoted.interfaces, evidence);
        }
    }
}

/// Our name for the path by which a packet came.
fn came_over(peer: &Peer, header: &Header<'_>, source: Source) -> Option<PathId> {
    peer.destination().as_ref()?.path_over(&way_back(header, source)?).1
}

fn peer_asks(peer: &Peer, request: Probe, path: Option<PathId>) {
    if let (Probe::Unanswered(_), Some(path), Some(destination)) = (request, path, &*peer.destination()) {
        destination.drive(|manager, now| manager.handle_peer_deaf(now, path));
    }
}

fn probe_reply(peer: &Peer, token: u64) {
    let destination = peer.destination();
    let ruled = destination.as_ref().is_some_and(|destination| destination.active().is_some());
    if !ruled && peer.proves_way_back(token) {
        return;
    }
    if let Some(destination) = &*destination {
        destination.drive(|manager, now| {
            manager.handle_probe_reply(now, token);
        });
    }
}
