//! All links of a network with the packets on them. Sans-IO, shared by both engines.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use crate::{
    description::Network,
    engine::{DirectionStatus, LinkStatus},
    link::{Cut, Direction, LinkChange, Traffic},
};

/// A direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From end `a` to end `b`.
    Ab,
    /// From end `b` to end `a`.
    Ba,
}

impl Way {
    /// Both directions.
    pub const BOTH: [Self; 2] = [Self::Ab, Self::Ba];
}

/// Links in the order of [`Network::links`]; side 0 of each is end `a`.
#[derive(Debug)]
pub struct Links {
    /// Indexed by link, then by the sending side.
    directions: Vec<[Direction; 2]>,
    names: Vec<String>,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    sequence: u64,
    rng: fastrand::Rng,
}

/// A packet on a link. The order of fields makes the earliest, then the first sent, come first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    due: Instant,
    sequence: u64,
    link: usize,
    side: usize,
    keep_alive: bool,
    packet: Vec<u8>,
}

impl Links {
    /// Intact links as described.
    pub fn new(network: &Network, seed: u64) -> Self {
        let directions = network.links.iter().map(|link| {
            let direction = Direction::new(link.params, link.mtu);
            [direction.clone(), direction]
        });
        Self {
            directions: directions.collect(),
            names: network.links.iter().map(|l| l.name.clone()).collect(),
            arrivals: BinaryHeap::new(),
            sequence: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Sends a packet from one side of a link. It shows up in [`Links::arrival`] unless it is lost.
    pub fn send(&mut self, link: usize, side: usize, traffic: Traffic, packet: Vec<u8>, now: Instant) {
        let direction = &mut self.directions[link][side];
        if let Ok(due) = direction.admit(packet.len(), traffic, now, &mut self.rng) {
            self.sequence += 1;
            self.arrivals.push(Reverse(Arrival {
                due,
                sequence: self.sequence,
                link,
                side: 1 - side,
                keep_alive: traffic == Traffic::KeepAlive,
                packet,
            }));
        }
    }

    /// The next packet that has arrived by `now`, with the link and the side where it comes out.
    pub fn arrival(&mut self, now: Instant) -> Option<(usize, usize, Vec<u8>)> {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            let Reverse(arrival) = self.arrivals.pop()?;
            let traffic = match arrival.keep_alive {
                true => Traffic::KeepAlive,
                false => Traffic::Data,
            };
            let direction = &mut self.directions[arrival.link][1 - arrival.side];
            if direction.arrive(arrival.packet.len(), traffic).is_ok() {
                return Some((arrival.link, arrival.side, arrival.packet));
            }
        }
        None
    }

    /// When the next packet arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.arrivals.peek().map(|Reverse(next)| next.due)
    }

    /// Cuts the given directions of a link, or mends them with `None`.
    pub fn set_cut(&mut self, link: usize, ways: &[Way], cut: Option<Cut>) {
        for way in ways {
            self.directions[link][*way as usize].set_cut(cut);
        }
    }

    /// Changes how the given directions of a link behave.
    pub fn change(&mut self, link: usize, ways: &[Way], change: &LinkChange) {
        for way in ways {
            self.directions[link][*way as usize].change(change);
        }
    }

    /// Whether keep-alives are lost in a direction, which fails them in both.
    pub fn cable_cut(&self, link: usize) -> bool {
        self.directions[link].iter().any(|direction| direction.cut() == Some(Cut::Cable))
    }

    /// All links as they are now.
    pub fn status(&self) -> Vec<LinkStatus> {
        self.names
            .iter()
            .zip(&self.directions)
            .map(|(name, [ab, ba])| LinkStatus {
                name: name.clone(),
                ab: DirectionStatus::of(ab),
                ba: DirectionStatus::of(ba),
            })
            .collect()
    }
}
