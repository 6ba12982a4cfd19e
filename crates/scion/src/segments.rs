//! Path segments: from the answers of a control service to paths, without IO.
//!
//! A path is up to three segments long: up to a core AS, over to another core AS, down to the destination. `search` says
//! which to ask for, `decode` believes none that could not be travelled, `memory` keeps answers, `join` makes paths.
//!
//! Signatures are not looked at. The control service of the AS has verified what it hands out, and over the network of
//! the AS it is as trustworthy as a daemon there; whoever can forge its answers can make paths fail, but routers drop
//! packets over hops that no AS has authorised.

pub(crate) mod decode;
pub(crate) mod join;
pub(crate) mod memory;
pub(crate) mod search;

#[cfg(test)]
pub(crate) mod network;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use natsd_path::IsdAs;
use sciparse::segment::UnsignedPathSegment;

/// The most segments of one answer that are looked at.
pub(crate) const MAX_SEGMENTS: usize = 512;

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// From a leaf to a core AS of its ISD.
    Up,
    /// From a core AS to a leaf of its ISD.
    Down,
    /// Between core ASes.
    Core,
}

/// A segment that could be travelled: two ASes at least, none twice, with an interface at each end of every link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) kind: Kind,
    /// In the direction of its beacon: from a core AS to the leaf, or to another core AS.
    pub(crate) hops: UnsignedPathSegment,
    /// What each AS announces, beside `hops`.
    pub(crate) announced: Vec<Announced>,
    /// When the first of its hops ends.
    pub(crate) expiry: SystemTime,
}

/// What an AS announces of its links and of the ways within.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announced {
    /// From the interface that the beacon left by to others of the AS.
    pub(crate) within: Vec<Figures>,
    /// Of the links at interfaces of the AS.
    pub(crate) links: Vec<Figures>,
}

/// What is announced for an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) interface: u16,
    pub(crate) latency: Option<Duration>,
    /// kbit/s.
    pub(crate) bandwidth: Option<u64>,
}

impl Segment {
    /// Where the beacon began.
    pub(crate) fn first(&self) -> IsdAs {
        IsdAs(self.hops.first_ia().map_or(0, |isd_as| isd_as.to_u64()))
    }

    /// Where the beacon ended.
    pub(crate) fn last(&self) -> IsdAs {
        IsdAs(self.hops.last_ia().map_or(0, |isd_as| isd_as.to_u64()))
    }
}
