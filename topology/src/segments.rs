//! Beaconing: the path segments that the control services of a network would have registered.
//!
//! Beacons start at the core ASes and travel along core links (core segments) and from parent to child (up and down
//! segments). Each AS on the way appends its hop field, authenticated with its own forwarding key.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use sciparse::{
    dataplane_path::standard::{
        mac::{
            ForwardingKey,
            algo::{calculate_hop_mac, mac_beta_step},
        },
        types::EXP_TIME_UNIT,
    },
    identifier::isd_asn::IsdAsn,
    segment::{AsEntry, HopEntry, PeerEntry, SegmentHopField, UnsignedPathSegment},
};

use crate::description::{Interface, Network, Relation};

/// How many segments are kept for each pair of first and last AS, the shortest first; the reference control service keeps
/// as many.
const SEGMENTS_PER_PAIR: usize = 20;

/// The segments of a network at one time.
#[derive(Debug)]
pub struct Segments {
    /// Between core ASes.
    pub core: Vec<UnsignedPathSegment>,
    /// From core ASes down to all others; the same segments serve as up segments.
    pub down: Vec<UnsignedPathSegment>,
}

/// Hop fields of one beaconing run: when they start to be valid and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    timestamp: u32,
    exp_time: u8,
}

impl Validity {
    /// The lifetime as the hop field format has it: in units of 337.5 s, minus one.
    pub fn exp_time(self) -> u8 {
        self.exp_time
    }

    /// Hop fields that expire `lifetime` after `unix_now` (seconds). The format counts in steps of 337.5 s from the
    /// beacon's timestamp, so shorter lifetimes are had by a timestamp in the past. Lifetimes end at 24 h.
    pub fn lasting(lifetime: Duration, unix_now: u64) -> Self {
        let units = (lifetime.as_secs_f64() / EXP_TIME_UNIT.as_secs_f64()).ceil().clamp(1.0, 256.0);
        let span = EXP_TIME_UNIT.mul_f64(units);
        let age = span.saturating_sub(lifetime).as_secs();
        Self {
            timestamp: u32::try_from(unix_now.saturating_sub(age)).unwrap_or(u32::MAX),
            exp_time: (units as u16 - 1) as u8,
        }
    }
}

/// The forwarding key of each AS, in the order of [`Network::ases`].
pub fn forwarding_keys(network: &Network, rng: &mut fastrand::Rng) -> Vec<ForwardingKey> {
    let mut key = |_| {
        let mut key = [0; 16];
        rng.fill(&mut key);
        key
    };
    network.ases.iter().map(&mut key).collect()
}

impl Segments {
    /// Runs beaconing once.
    pub fn beacon(network: &Network, keys: &[ForwardingKey], validity: Validity, rng: &mut fastrand::Rng) -> Self {
        let mut originate = |relation| {
            let cores = (0..network.ases.len()).filter(|i| network.ases[*i].core);
            let chains: Vec<_> = cores.flat_map(|c| chains(network, c, relation)).collect();
            chains.iter().map(|chain| segment(network, keys, validity, rng.u16(..), chain)).collect()
        };
        Self { core: originate(Relation::Core), down: originate(Relation::Child) }
    }
}

/// A link on the way of a beacon: the interface it leaves by and the one it arrives at.
#[derive(Debug, Clone, Copy)]
struct Step {
    from: Interface,
    to: Interface,
    mtu: u16,
}

/// The loop-free ways of beacons from `origin` over links that have `relation` seen from the sender, shortest first.
fn chains(network: &Network, origin: usize, relation: Relation) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    let mut kept: HashMap<usize, usize> = HashMap::new();
    let mut queue = VecDeque::from([Vec::<Step>::new()]);
    while let Some(chain) = queue.pop_front() {
        let at = chain.last().map_or(origin, |step| step.to.as_index);
        for (_, link, side) in network.interfaces(at) {
            let link = &network.links[link];
            let step = Step { from: link.ends[side], to: link.ends[1 - side], mtu: link.mtu };
            let next = step.to.as_index;
            let visited = next == origin || chain.iter().any(|s| s.to.as_index == next);
            let count = kept.entry(next).or_default();
            if link.relation(side) != relation || visited || *count == SEGMENTS_PER_PAIR {
                continue;
            }
            *count += 1;
            let mut longer = chain.clone();
            longer.push(step);
            found.push(longer.clone());
            queue.push_back(longer);
        }
    }
    found
}

fn segment(
    network: &Network,
    keys: &[ForwardingKey],
    validity: Validity,
    segment_id: u16,
    chain: &[Step],
) -> UnsignedPathSegment {
    let mut beta = segment_id;
    let mut entries = Vec::with_capacity(chain.len() + 1);
    for position in 0..=chain.len() {
        let arrival = position.checked_sub(1).map(|p| &chain[p]);
        let departure = chain.get(position);
        let as_index = arrival
            .map(|step| step.to.as_index)
            .or(departure.map(|step| step.from.as_index))
            .expect("a chain has at least one link");
        let egress = departure.map_or(0, |step| step.from.id);
        let signer = HopSigner { key: &keys[as_index], validity };
        let hop_field = signer.hop(beta, arrival.map_or(0, |step| step.to.id), egress);
        beta = mac_beta_step(beta, *hop_field.mac.as_bytes());
        let peer_entries = match arrival {
            Some(_) => peer_entries(network, as_index, &signer, beta, egress),
            None => Vec::new(),
        };
        entries.push(AsEntry {
            local: network.ases[as_index].ia,
            next: departure.map_or(IsdAsn::WILDCARD, |step| network.ases[step.to.as_index].ia),
            mtu: u32::from(network.ases[as_index].mtu),
            hop_entry: HopEntry { ingress_mtu: arrival.map_or(0, |step| step.mtu), hop_field },
            peer_entries,
            extensions: Vec::new(),
            unsigned_extensions: Vec::new(),
        });
    }
    UnsignedPathSegment::new(validity.timestamp, segment_id, entries)
}

/// Entries for the peering links of an AS. Their MACs chain like that of the next AS, that is, after the regular hop
/// field of this one (`beta`), because a packet over the peering link skips the latter.
fn peer_entries(network: &Network, as_index: usize, signer: &HopSigner<'_>, beta: u16, egress: u16) -> Vec<PeerEntry> {
    network
        .interfaces(as_index)
        .filter(|(_, link, side)| network.links[*link].relation(*side) == Relation::Peer)
        .map(|(id, link, side)| {
            let link = &network.links[link];
            let far = link.ends[1 - side];
            PeerEntry {
                peer: network.ases[far.as_index].ia,
                peer_interface: far.id,
                peer_mtu: link.mtu,
                hop_field: signer.hop(beta, id, egress),
            }
        })
        .collect()
}

struct HopSigner<'a> {
    key: &'a ForwardingKey,
    validity: Validity,
}

impl HopSigner<'_> {
    fn hop(&self, beta: u16, cons_ingress: u16, cons_egress: u16) -> SegmentHopField {
        let Validity { timestamp, exp_time } = self.validity;
        let mac = calculate_hop_mac(beta, timestamp, exp_time, cons_ingress, cons_egress, self.key);
        SegmentHopField { expiration_units: exp_time, cons_ingress, cons_egress, mac: mac.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(v: Validity) -> u64 {
        let span = EXP_TIME_UNIT.mul_f64(f64::from(v.exp_time) + 1.0);
        u64::from(v.timestamp) + span.as_secs()
    }

    #[test]
    fn hop_fields_last_as_long_as_asked() {
        let now = 1_800_000_000;
        for seconds in [1, 30, 337, 338, 3600, 21_600, 86_400] {
            let v = Validity::lasting(Duration::from_secs(seconds), now);
            assert!(expiry(v).abs_diff(now + seconds) <= 1, "{seconds} s gave {}", expiry(v) - now);
        }
        assert_eq!(
            Validity::lasting(Duration::from_secs(6 * 3600), now),
            Validity { timestamp: now as u32, exp_time: 63 },
            "six hours, as the reference control service uses"
        );
    }

    #[test]
    fn the_default_network_has_a_segment_for_each_way_down() {
        let network = Network::default_network();
        let mut rng = fastrand::Rng::with_seed(1);
        let keys = forwarding_keys(&network, &mut rng);
        let segments =
            Segments::beacon(&network, &keys, Validity::lasting(Duration::from_secs(3600), 1_800_000_000), &mut rng);
        assert_eq!(segments.core.len(), 4, "two core links, both directions");
        assert_eq!(segments.down.len(), 6, "three leaves below two cores");
    }
}
