//! Received headers that are known byte for byte: no parsing for them.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use natsd_path::PathId;

use crate::peers::Peer;
use crate::ways::Way;

/// Headers remembered by one endpoint. A connection has one for each path that the peer uses.
const MAX: usize = 2048;

/// What a header says.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) peer: Arc<Peer>,
    /// The interfaces of the way back, in travel order.
    pub(crate) back: Box<[u16]>,
    /// The path manager's name for the way back, and of which generation of its paths that is.
    pub(crate) path: (u64, Option<PathId>),
}

/// Headers with the fields that differ from packet to packet (lengths, checksum) set to zero.
#[derive(Debug)]
pub(crate) struct Cache {
    known: HashMap<Box<[u8]>, Known>,
    key: Vec<u8>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { known: HashMap::new(), key: Vec::new() }
    }

    /// The header's meaning and its length.
    pub(crate) fn find(&mut self, packet: &[u8], way: Option<Way>) -> Option<(&mut Known, usize)> {
        let len = self.mask(packet, way)?;
        Some((self.known.get_mut(self.key.as_slice())?, len))
    }

    /// Remembers the header of a packet that was just looked for.
    pub(crate) fn insert(&mut self, packet: &[u8], way: Option<Way>, known: Known) {
        if self.known.len() >= MAX {
            // Cheaper than keeping an order: whoever is alive is back with the next packet.
            self.known.clear();
        }
        if self.mask(packet, way).is_some() {
            self.known.insert(self.key.as_slice().into(), known);
        }
    }

    /// Whoever is no longer connected must not be kept alive by the cache.
    pub(crate) fn forget_dead(&mut self) {
        self.known.retain(|_, known| known.peer.is_live());
    }

    fn mask(&mut self, packet: &[u8], way: Option<Way>) -> Option<usize> {
        let len = usize::from(*packet.get(5)?) * 4 + 8;
        let header = packet.get(..len).filter(|_| packet[4] == crate::header::UDP && len >= 44)?;
        self.key.clear();
        self.key.extend_from_slice(header);
        self.key[6..8].fill(0);
        self.key[len - 4..].fill(0);
        for part in way.iter().flat_map(|way| way.name()) {
            self.key.extend_from_slice(&part.to_be_bytes());
        }
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::tests::captured;
    use crate::peers::Peers;
    use proptest::prelude::*;
    use std::sync::Weak;

    fn known() -> Known {
        let addr = "1-ff00:0:111,127.20.111.10:50000".parse().expect("address");
        let peer = Peers::new().enter(&Weak::new(), addr).expect("room");
        Known { peer, back: [3, 3].into(), path: (0, None) }
    }

    #[test]
    fn length_and_checksum_do_not_matter_and_all_else_does() {
        let mut cache = Cache::new();
        let packet = captured();
        assert!(cache.find(&packet, None).is_none());
        cache.insert(&packet, None, known());
        for (at, byte) in packet.iter().enumerate().take(88) {
            let mut other = packet.clone();
            other[at] = byte ^ 4;
            let varies = [6, 7, 84, 85, 86, 87].contains(&at);
            assert_eq!(cache.find(&other, None).is_some_and(|(_, len)| len == 88), varies, "byte {at}");
        }
    }

    #[test]
    fn a_header_means_something_else_by_another_way() {
        let mut cache = Cache::new();
        let packet = captured();
        let way = |there: &str| Way { here: [127, 0, 0, 1].into(), there: there.parse().expect("an address") };
        cache.insert(&packet, Some(way("127.0.0.2:1")), known());
        assert!(cache.find(&packet, Some(way("127.0.0.2:1"))).is_some());
        assert!(cache.find(&packet, Some(way("127.0.0.2:2"))).is_none() && cache.find(&packet, None).is_none());
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = Cache::new();
        for n in 0..3 * MAX as u32 {
            let mut packet = captured();
            packet[20..24].copy_from_slice(&n.to_be_bytes());
            cache.insert(&packet, None, known());
        }
        assert!(cache.known.len() <= MAX);
        cache.forget_dead();
        assert!(cache.known.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let mut cache = Cache::new();
            cache.insert(&bytes, None, known());
            let _ = cache.find(&bytes, None);
        }
    }
}
