//! Paths over plain IP. A way is a pair of addresses, one of this host and one of the peer.
//!
//! Between servers without SCION the same packets travel as within an AS: a SCION header with an empty path and ISD-AS 0-0
//! on both sides, which a socket for SCION refuses and which claims nothing. The hosts in that header are names: those by
//! which the dialer calls both ends, whatever way a packet takes. The way itself is in the addresses of the UDP datagram.
//!
//! The dialer knows its addresses and those of the peer, and pairs them. The acceptor knows neither where the dialer's packets
//! leave nor what becomes of their source underway, so it learns ways: the one by which the handshake came, and
//! those over which a probe comes with a seal that only the other end of the connection could make. What it learns is a
//! candidate and nothing more: traffic goes there once its own probes are answered. Who can read the packets between two servers
//! can send a sealed probe on from elsewhere, and gets no more than that: it has to carry the traffic like any router.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use natsd_path::{Fingerprint, Interface, IsdAs, PlainAddr, ScionAddr};
use quinn::Connection;
use ring::hmac::{self, HMAC_SHA256, Key};

use crate::probe;
use crate::template::NO_AS;
use crate::underlay::source_towards;

/// Ways to one peer.
pub(crate) const MOST: usize = 16;

/// One that was learned and not confirmed for so long is no candidate any more. Dialers probe each of their ways, the dead
/// ones every five seconds.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// If there are too many, one that was not confirmed for so long makes room.
const STALE: Duration = Duration::from_secs(15);

/// Connections to one peer whose seals are known.
const SEALS: usize = 64;
/// Bytes of a seal, which follows the content of a probe.
const SEAL: usize = 16;

/// UDP payload that any way is trusted with. With IPv6 below it is a packet of 1,316 bytes, which fits every tunnel in common use.
pub(crate) const MTU: u16 = 1268;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    /// Where packets leave.
    pub(crate) here: IpAddr,
    /// Where they go to.
    pub(crate) there: SocketAddr,
}

impl Way {
    /// Its name where SCION paths are named by their interfaces, of which there is an even number.
    pub(crate) fn name(self) -> [u16; 17] {
        let mut name = [0; 17];
        name[..8].copy_from_slice(&segments(self.here));
        name[8..16].copy_from_slice(&segments(self.there.ip()));
        name[16] = self.there.port();
        name
    }

    pub(crate) fn from_name(name: &[u16]) -> Option<Self> {
        let name: &[u16; 17] = name.try_into().ok()?;
        let host = |at: usize| -> Option<IpAddr> {
            let segments: [u16; 8] = name[at..at + 8].try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(segments)).to_canonical())
        };
        Some(Self { here: host(0)?, there: SocketAddr::new(host(8)?, name[16]) })
    }

    /// Both ends, as the path manager compares what paths share.
    pub(crate) fn interfaces(self) -> Vec<Interface> {
        let end = |host| {
            let Fingerprint([high, low, ..]) = hashed(&segments(host));
            Interface { isd_as: NO_AS, id: u16::from_be_bytes([high, low]) }
        };
        vec![end(self.here), end(self.there.ip())]
    }

    pub(crate) fn fingerprint(self) -> Fingerprint {
        hashed(&self.name())
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.here, self.there)
    }
}

fn segments(host: IpAddr) -> [u16; 8] {
    match host {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().segments(),
        IpAddr::V6(v6) => v6.segments(),
    }
}

fn hashed(numbers: &[u16]) -> Fingerprint {
    let numbers: Vec<_> = numbers.iter().map(|&id| Interface { isd_as: IsdAs(0), id }).collect();
    Fingerprint::of(&numbers)
}

/// The ways from these addresses (that of the system's choice if there are none) to those, the most wanted first.
pub(crate) fn pairs(here: &[IpAddr], there: &[SocketAddr]) -> Vec<Way> {
    if here.is_empty() {
        let towards = |&there: &SocketAddr| Some(Way { here: source_towards(there)?, there });
        return there.iter().filter_map(towards).take(MOST).collect();
    }
    // First those that share no end with each other.
    let turns = (0..there.len()).flat_map(|turn| (0..here.len()).map(move |at| (at, (at + turn) % there.len())));
    let ways = turns.map(|(from, to)| Way { here: here[from], there: there[to] });
    ways.filter(|way| way.here.is_ipv4() == way.there.is_ipv4()).take(MOST).collect()
}

/// What is known of the ways to one peer.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Where the peer listens; none if it came to us.
    dialled: Vec<SocketAddr>,
    /// Those by which it came, each with when that was last confirmed.
    learned: Vec<(Way, Instant)>,
    /// Of its connections, each with its number.
    seals: Vec<(usize, Key)>,
    /// What this end is called in packets between the two.
    pub(crate) name: Option<ScionAddr>,
}

impl Ways {
    /// The peer is dialled at these addresses, too.
    pub(crate) fn dial(&mut self, to: &PlainAddr) {
        for host in to.hosts() {
            let there = SocketAddr::new(*host, to.port());
            if self.dialled.len() < PlainAddr::MOST && !self.dialled.contains(&there) {
                self.dialled.push(there);
            }
        }
    }

    /// A peer that came to us calls us so. Returns whether that is news.
    pub(crate) fn call_us(&mut self, name: ScionAddr) -> bool {
        self.dialled.is_empty() && self.name.replace(name) != Some(name)
    }

    /// All that may be used, if packets leave at `here`.
    pub(crate) fn all(&mut self, here: &[IpAddr], now: Instant) -> Vec<Way> {
        self.learned.retain(|(_, confirmed)| now.saturating_duration_since(*confirmed) < FORGOTTEN);
        let learned = self.learned.iter().map(|(way, _)| *way);
        pairs(here, &self.dialled).into_iter().chain(learned).collect()
    }

    /// The peer is known to be at the other end of `way`. Returns whether that is news.
    pub(crate) fn learn(&mut self, way: Way, now: Instant) -> bool {
        if let Some((_, confirmed)) = self.learned.iter_mut().find(|(known, _)| *known == way) {
            *confirmed = now;
            return false;
        }
        if self.learned.len() >= MOST {
            let oldest = self.learned.iter().enumerate().min_by_key(|(_, (_, confirmed))| *confirmed);
            let stale = |at: &Instant| now.saturating_duration_since(*at) >= STALE;
            match oldest.filter(|(_, (_, confirmed))| stale(confirmed)).map(|(at, _)| at) {
                Some(at) => drop(self.learned.swap_remove(at)),
                None => return false,
            }
        }
        self.learned.push((way, now));
        true
    }

    /// Puts a seal on a probe of ours, if the peer has to know where we are.
    pub(crate) fn seal(&self, probe: &mut Vec<u8>) {
        if let Some((_, key)) = self.seals.last().filter(|_| !self.dialled.is_empty()) {
            probe.resize(probe.len().max(probe::MIN + SEAL), 0);
            let tag = hmac::sign(key, &probe[..probe::MIN]);
            probe[probe::MIN..probe::MIN + SEAL].copy_from_slice(&tag.as_ref()[..SEAL]);
        }
    }

    /// Whether the peer has sealed this probe of its own.
    pub(crate) fn is_sealed(&self, probe: &[u8]) -> bool {
        let (Some(content), Some(seal)) = (probe.get(..probe::MIN), probe.get(probe::MIN..probe::MIN + SEAL)) else {
            return false;
        };
        let fits = |(_, key): &(usize, Key)| {
            let tag = hmac::sign(key, content);
            // In the same time whatever differs.
            tag.as_ref()[..SEAL].iter().zip(seal).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
        };
        self.dialled.is_empty() && self.seals.iter().any(fits)
    }

    /// From now on probes are sealed with what both ends of `connection` know.
    pub(crate) fn join(&mut self, connection: &Connection) {
        let mut secret = [0; 32];
        if self.seals.len() < SEALS
            && connection.export_keying_material(&mut secret, b"EXPORTER-natsd-ways", b"").is_ok()
        {
            self.seals.push((connection.stable_id(), Key::new(HMAC_SHA256, &secret)));
        }
    }

    /// The connection is over.
    pub(crate) fn part(&mut self, connection: &Connection) {
        self.seals.retain(|(id, _)| *id != connection.stable_id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Probe;
    use proptest::prelude::*;

    fn way(here: &str, there: &str) -> Way {
        Way { here: here.parse().expect("an address"), there: there.parse().expect("an address") }
    }

    fn shown(here: &[&str], there: &[&str]) -> Vec<String> {
        let here: Vec<_> = here.iter().map(|host| host.parse().expect("an address")).collect();
        let there: Vec<_> = there.iter().map(|host| host.parse().expect("an address")).collect();
        pairs(&here, &there).iter().map(Way::to_string).collect()
    }

    #[test]
    fn ways_that_share_no_end_come_first() {
        let ways = shown(&["10.0.1.1", "10.1.1.1"], &["10.0.1.2:1", "10.1.1.2:1"]);
        let apart = ["10.0.1.1 to 10.0.1.2:1", "10.1.1.1 to 10.1.1.2:1"];
        assert_eq!((ways.len(), [&*ways[0], &*ways[1]]), (4, apart));
        assert_eq!(shown(&["10.0.1.1"], &["10.0.1.2:1", "10.1.1.2:1"]).len(), 2);
        assert_eq!(shown(&["10.0.1.1", "fd00::1"], &["[fd00::2]:1"]), ["fd00::1 to [fd00::2]:1"]);
        assert_eq!(shown(&[], &["127.0.0.1:1"]), ["127.0.0.1 to 127.0.0.1:1"], "the system's choice");
        let eight: Vec<_> = (1..9).map(|n| format!("10.0.0.{n}")).collect();
        let eight: Vec<_> = eight.iter().map(String::as_str).collect();
        let there: Vec<_> = eight.iter().map(|host| format!("{host}:1")).collect();
        assert_eq!(shown(&eight, &there.iter().map(String::as_str).collect::<Vec<_>>()).len(), MOST);
    }

    #[test]
    fn what_ways_share_are_the_addresses_of_their_ends() {
        let (one, other) = (way("10.0.1.1", "10.0.1.2:1"), way("10.0.1.1", "10.1.1.2:1"));
        assert_eq!(one.interfaces()[0], other.interfaces()[0]);
        assert_ne!(one.interfaces()[1], other.interfaces()[1]);
        assert_ne!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn ways_are_learned_and_forgotten_and_there_are_never_too_many() {
        let (mut ways, start) = (Ways::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let nth = |n: u16| way("10.0.1.1", &format!("10.9.9.9:{n}"));
        for n in 1..=MOST as u16 {
            assert!(ways.learn(nth(n), start));
        }
        assert!(!ways.learn(nth(99), after(1)), "all others were confirmed just now");
        for n in 2..=MOST as u16 {
            assert!(!ways.learn(nth(n), after(15)), "known");
        }
        assert!(ways.learn(nth(99), after(15)), "the first is stale");
        let known = ways.all(&[], after(16));
        assert!(known.len() == MOST && known.contains(&nth(99)) && !known.contains(&nth(1)));
        assert_eq!(ways.all(&[], after(75)), []);
    }

    fn with_seal(secret: u8) -> Ways {
        Ways { seals: vec![(1, Key::new(HMAC_SHA256, &[secret; 32]))], ..Ways::default() }
    }

    #[test]
    fn a_seal_is_of_the_other_end_of_the_connection() {
        let mut dialer = with_seal(1);
        dialer.dial(&"10.0.1.2:6222".parse().expect("an address"));
        let (acceptor, stranger) = (with_seal(1), with_seal(2));
        for size in [probe::MIN, 1200] {
            let plain = Probe::Request(7).encode(size);
            let mut probe = plain.clone();
            dialer.seal(&mut probe);
            assert_eq!(Probe::parse(&probe), Some(Probe::Request(7)), "as before for who knows no seals");
            assert!(acceptor.is_sealed(&probe) && !acceptor.is_sealed(&plain) && !stranger.is_sealed(&probe));
            assert!(!dialer.is_sealed(&probe), "not by its own words");
            probe[5] ^= 1;
            assert!(!acceptor.is_sealed(&probe), "of another token");
            let mut unsealed = plain.clone();
            acceptor.seal(&mut unsealed);
            assert_eq!(unsealed, plain, "nobody learns from the acceptor");
        }
    }

    proptest! {
        #[test]
        fn names_are_of_one_way(here: IpAddr, there: IpAddr, port: u16) {
            let way = Way { here: here.to_canonical(), there: SocketAddr::new(there.to_canonical(), port) };
            prop_assert_eq!(Way::from_name(&way.name()), Some(way));
        }

        #[test]
        fn no_bytes_are_a_seal_or_panic(bytes: Vec<u8>) {
            prop_assert!(!with_seal(1).is_sealed(&bytes));
        }
    }
}
