//! Between two real routers: takes the packets of one and gives them to the other, by way of an emulated link.

use std::{
    collections::VecDeque,
    net::{SocketAddr, SocketAddrV4},
    time::Instant,
};

use crate::{
    description::Network,
    link::Traffic,
    links::Links,
    mover::{Now, StateMachine, Transmit},
};

/// Offset of the next-header field in a SCION packet, and its value for BFD.
const NEXT_HEADER: usize = 4;
const BFD: u8 = 203;

/// One end of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The router's own address on the link.
    pub(super) router: SocketAddrV4,
    /// What it takes for the other router: the relay's address.
    pub(super) relay: SocketAddrV4,
}

/// All links of a network. Socket 2 n is the relay at end `a` of link n, socket 2 n + 1 the one at end `b`.
#[derive(Debug)]
pub(super) struct Relay {
    links: Links,
    ends: Vec<[End; 2]>,
    transmits: VecDeque<Transmit>,
}

impl Relay {
    pub(super) fn new(network: &Network, ends: &[[End; 2]], seed: u64) -> Self {
        Self { links: Links::new(network, seed), ends: ends.to_vec(), transmits: VecDeque::new() }
    }

    pub(super) fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}

impl StateMachine for Relay {
    fn handle_datagram(&mut self, socket: usize, from: SocketAddr, packet: Vec<u8>, now: Now) {
        let (link, side) = (socket / 2, socket % 2);
        if from != SocketAddr::from(self.ends[link][side].router) {
            return;
        }
        let traffic = match packet.get(NEXT_HEADER) {
            Some(&BFD) => Traffic::KeepAlive,
            _ => Traffic::Data,
        };
        self.links.send(link, side, traffic, packet, now.instant);
        self.handle_timeout(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        while let Some((link, side, packet)) = self.links.arrival(now.instant) {
            let to = self.ends[link][side].router.into();
            self.transmits.push_back(Transmit { socket: 2 * link + side, to, packet });
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.links.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
}
