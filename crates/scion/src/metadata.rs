//! A path as the daemon gives it, and as the path manager wants it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use natsd_path::{Candidate, Fingerprint, Interface, IsdAs, Kind};
use scion_protobuf::proto::daemon::v1::Path;

use crate::header;
use crate::template::header_len;
use crate::ways::{self, Way};

/// A path with what is needed to send over it.
#[derive(Clone, Debug)]
pub struct PathInfo {
    /// In travel order, two a link; empty within an AS.
    pub interfaces: Vec<Interface>,
    /// Largest SCION packet in bytes, 0 when unknown.
    pub mtu: u16,
    /// When routers stop accepting it.
    pub expiry: Option<SystemTime>,
    /// Announced one-way latency of the whole path; `None` when any part is unannounced.
    pub latency: Option<Duration>,
    /// Its parts: between the first interface and the second, and so on.
    pub latencies: Vec<Option<Duration>>,
    /// Announced bottleneck bandwidth in kbit/s; `None` when no link announces any.
    pub bandwidth: Option<u64>,
    /// The border router to send to; `None` within an AS.
    pub next_hop: Option<SocketAddr>,
    /// The raw data-plane path.
    pub(crate) raw: Vec<u8>,
    /// What it is where there is no SCION.
    pub(crate) way: Option<Way>,
}

impl PathInfo {
    /// The path within an AS.
    pub(crate) fn within(mtu: u16) -> Self {
        Self {
            interfaces: vec![],
            mtu,
            expiry: None,
            latency: None,
            latencies: vec![],
            bandwidth: None,
            next_hop: None,
            raw: vec![],
            way: None,
        }
    }

    /// A path over plain IP.
    pub(crate) fn over(way: Way) -> Self {
        let interfaces = way.interfaces();
        Self { interfaces, next_hop: Some(way.there), way: Some(way), ..Self::within(ways::MTU) }
    }

    /// What makes it the same path after a refresh.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.way.map_or_else(|| Fingerprint::of(&self.interfaces), Way::fingerprint)
    }

    /// `None`: the daemon's path is damaged (no next hop, an interface out of range, a raw path that does not parse or
    /// does not cross the interfaces that it should).
    pub(crate) fn from_daemon(path: Path) -> Option<Self> {
        let interfaces = path
            .interfaces
            .iter()
            .map(|i| Some(Interface { isd_as: IsdAs(i.isd_as), id: u16::try_from(i.id).ok()? }))
            .collect::<Option<Vec<_>>>()?;
        if !path.raw.is_empty() {
            let crossed = header::interfaces(&path.raw)?;
            if !crossed.iter().eq(interfaces.iter().map(|i| &i.id)) {
                log::warn!("a path of the SCION daemon is ignored: it says {interfaces:?} and crosses {crossed:?}");
                return None;
            }
        }
        let next_hop = path.interface.as_option().and_then(|i| i.address.as_option()).map(|a| a.address.as_str());
        let next_hop = match next_hop {
            Some(text) => Some(text.parse().ok()?),
            None if path.raw.is_empty() => None,
            None => return None,
        };
        let expiry = path
            .expiration
            .as_option()
            .and_then(|t| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(t.seconds).ok()?)));
        let latencies: Vec<_> = path.latency.iter().map(|d| announced_latency(d.seconds, d.nanos)).collect();
        Some(Self {
            latency: total_latency(latencies.iter().copied(), interfaces.len()),
            latencies,
            bandwidth: bottleneck(&path.bandwidth),
            mtu: u16::try_from(path.mtu).unwrap_or(u16::MAX),
            interfaces,
            expiry,
            next_hop,
            raw: path.raw,
            way: None,
        })
    }

    /// For the path manager. Takes both clocks, as expiry is a date and the manager's time is monotonic.
    pub fn candidate(&self, now: Instant, date: SystemTime) -> Candidate {
        Candidate {
            fingerprint: self.fingerprint(),
            kind: if self.way.is_some() { Kind::Ip } else { Kind::Scion },
            interfaces: self.interfaces.clone(),
            mtu: self.mtu,
            overhead: u16::try_from(self.header_len(self.next_hop.map(|router| router.ip()))).unwrap_or(u16::MAX),
            expiry: self.expiry.and_then(|at| now.checked_add(at.duration_since(date).unwrap_or_default())),
            latency: self.latency,
            bandwidth: self.bandwidth,
            ..Candidate::tcp()
        }
    }

    /// Bytes of a packet before its payload, where this host and the peer have addresses of the family of `host`; of
    /// IPv4 when that is not known.
    fn header_len(&self, host: Option<IpAddr>) -> usize {
        let host = host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        header_len(host, host, self.raw.len())
    }

    /// The interface numbers as they can be read from a packet's path, or the name of the way that it took.
    pub(crate) fn ids(&self) -> Vec<u16> {
        if let Some(way) = self.way {
            return way.name().to_vec();
        }
        self.interfaces.iter().map(|i| i.id).collect()
    }
}

/// A negative latency says that the AS announces none.
fn announced_latency(seconds: i64, nanos: i32) -> Option<Duration> {
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?.min(999_999_999)))
}

/// The sum, if every one of the N-1 parts between N interfaces is announced.
pub(crate) fn total_latency(
    parts: impl ExactSizeIterator<Item = Option<Duration>>,
    interfaces: usize,
) -> Option<Duration> {
    if interfaces == 0 || parts.len() + 1 != interfaces {
        return None;
    }
    parts.sum()
}

/// The smallest announced bandwidth; within ASes it is rarely announced and rarely the bottleneck, so unannounced parts
/// (0) do not count.
pub(crate) fn bottleneck(parts: &[u64]) -> Option<u64> {
    parts.iter().copied().filter(|&kbit| kbit > 0).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_known_when_all_its_parts_are() {
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(total_latency([ms(1), ms(2), ms(3)].into_iter(), 4), ms(6));
        assert_eq!(total_latency([ms(1), None, ms(3)].into_iter(), 4), None);
        assert_eq!(total_latency([ms(1)].into_iter(), 4), None);
        assert_eq!(announced_latency(0, -1), None);
        assert_eq!(announced_latency(1, 5), Some(Duration::new(1, 5)));
    }

    #[test]
    fn the_bottleneck_is_the_smallest_announced_bandwidth() {
        assert_eq!(bottleneck(&[10_000, 0, 2000]), Some(2000));
        assert_eq!(bottleneck(&[0]), None);
    }

    #[test]
    fn an_expired_path_expires_now() {
        let (now, date) = (Instant::now(), SystemTime::now());
        let path = PathInfo { expiry: Some(SystemTime::UNIX_EPOCH), ..PathInfo::within(1472) };
        assert_eq!(path.candidate(now, date).expiry, Some(now));
    }

    #[test]
    fn a_path_without_a_router_is_refused() {
        assert!(PathInfo::from_daemon(Path { raw: vec![0; 4], ..Default::default() }).is_none());
        assert!(PathInfo::from_daemon(Path::default()).is_some(), "within an AS there is none");
    }
}
