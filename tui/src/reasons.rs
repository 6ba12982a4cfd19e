//! Why a path stands where it does: all that counts, in the order in which it counts.

use natsd_api::{PathInfo, PathState, PeerInfo, Transport};

use crate::format::{bandwidth, millis, percent};

/// Something that paths are compared by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Criterion {
    /// What it is called in `decided_by`.
    pub(crate) word: String,
    /// For people; preferences of the operator have their number.
    pub(crate) title: String,
    /// Of this path, and of the one it is compared to.
    pub(crate) values: [String; 2],
    /// This is what tells the two apart.
    pub(crate) decides: bool,
}

/// A path and the one that it is compared to: the one above it, or of the first the one below.
pub(crate) struct Comparison<'a> {
    pub(crate) path: &'a PathInfo,
    pub(crate) other: Option<&'a PathInfo>,
    /// Which of the two ranks lower: what decided is said of that one.
    pub(crate) loser: &'a PathInfo,
}

impl<'a> Comparison<'a> {
    pub(crate) fn of(path: &'a PathInfo, peer: &'a PeerInfo) -> Self {
        let at = |rank| peer.paths.iter().find(|other| other.rank == rank && other.state != PathState::Excluded);
        let other = match path.rank {
            _ if path.state == PathState::Excluded => None,
            0 | 1 => at(path.rank.saturating_add(1)),
            rank => at(rank - 1),
        };
        let loser = other.filter(|_| path.rank < 2).unwrap_or(path);
        Self { path, other, loser }
    }

    /// All that counts, most important first.
    pub(crate) fn criteria(&self, preference: &[String]) -> Vec<Criterion> {
        let decided_by = self.loser.decided_by.as_deref();
        let mut criteria = vec![
            self.criterion("kind", "SCION, UDP first", |path| transport(path.transport).into()),
            self.criterion("state", "answers", |path| path.state.as_str().into()),
            self.criterion("loss", "not lossy", losses),
            self.criterion("hole", "large packets", large_packets),
        ];
        for (word, title) in [("offer", "still offered"), ("limits", "limits kept"), ("crowding", "apart from lanes")] {
            if decided_by == Some(word) {
                criteria.push(self.criterion(word, title, |_| "see above".into()));
            }
        }
        for (place, word) in preference.iter().enumerate() {
            criteria.push(self.criterion(word, &format!("{} {word}", place + 1), |path| metric(word, path)));
        }
        if !preference.iter().any(|word| word == "hops") {
            criteria.push(self.criterion("hops", "fewer hops", |path| metric("hops", path)));
        }
        if decided_by == Some("order") {
            criteria.push(self.criterion("order", "nothing: by name", |path| path.fingerprint.clone()));
        }
        criteria
    }

    fn criterion(&self, word: &str, title: &str, value: impl Fn(&PathInfo) -> String) -> Criterion {
        Criterion {
            word: word.to_owned(),
            title: title.to_owned(),
            values: [value(self.path), self.other.map(&value).unwrap_or_default()],
            decides: self.other.is_some() && self.loser.decided_by.as_deref() == Some(word),
        }
    }
}

/// A metric of a path as it counts in a comparison, with where it comes from.
fn metric(word: &str, path: &PathInfo) -> String {
    let (announced, measured) = (&path.announced, &path.measured);
    let known = match word {
        "latency" => match (measured.rtt_ms, announced.latency_ms) {
            (Some(rtt), _) => Some(format!("{} measured", millis(Some(rtt)))),
            (None, Some(one_way)) => Some(format!("{} announced", millis(Some(one_way * 2.0)))),
            (None, None) => None,
        },
        "bandwidth" => match (measured.bandwidth_kbps, measured.delivered_kbps, announced.bandwidth_kbps) {
            (Some(gives), _, _) => Some(format!("{} measured", bandwidth(Some(gives)))),
            (None, Some(least), said) if said.is_none_or(|said| least > said) => {
                Some(format!("at least {} measured", bandwidth(Some(least))))
            }
            (None, _, said) => said.map(|said| format!("{} announced", bandwidth(Some(said)))),
        },
        "hops" => Some(path.hops.to_string()),
        "mtu" => match (measured.mtu, path.mtu) {
            (Some(mtu), _) => Some(format!("{mtu} measured")),
            (None, mtu) => mtu.map(|mtu| format!("{mtu} announced")),
        },
        _ => None,
    };
    known.unwrap_or_else(|| "unknown".into())
}

fn losses(path: &PathInfo) -> String {
    match (path.measured.loss, path.measured.traffic_loss) {
        (None, None) => "unknown".into(),
        (probes, None) => format!("{} of probes", percent(probes)),
        (None, traffic) => format!("{} of traffic", percent(traffic)),
        (probes, traffic) => format!("{} probes, {} data", percent(probes), percent(traffic)),
    }
}

fn large_packets(path: &PathInfo) -> String {
    path.measured.mtu.map_or_else(|| "no loss seen".into(), |mtu| format!("over {mtu} are lost"))
}

pub(crate) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Scion => "SCION",
        Transport::Udp => "UDP/IP",
        Transport::Tcp => "TCP/IP",
        Transport::Unknown => "unknown",
    }
}

/// Which of the traffic to an AS goes over the paths of `peer`. `peers` are all of the server.
pub(crate) fn traffic_class(peer: &PeerInfo, peers: &[PeerInfo]) -> String {
    match (peer.lane.as_str(), peers.iter().filter(|other| other.remote_as == peer.remote_as).count()) {
        ("", 0..2) => "all traffic".into(),
        ("", _) => "all other traffic".into(),
        (lane, _) if lane.starts_with("lane ") => format!("the routes of {lane}"),
        (lane, _) => lane.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn criteria(rank: usize) -> Vec<Criterion> {
        let pathz = testing::pathz();
        let peer = &pathz.peers[0];
        Comparison::of(&peer.paths[rank - 1], peer).criteria(&peer.path_preference)
    }

    #[test]
    fn the_first_is_compared_to_the_next_and_others_to_the_one_above() {
        let deciding = |rank| {
            let decides: Vec<_> = criteria(rank).into_iter().filter(|criterion| criterion.decides).collect();
            decides.into_iter().map(|criterion| (criterion.word, criterion.values)).collect::<Vec<_>>()
        };
        let [near, far] = ["22.4ms measured", "48.0ms measured"].map(String::from);
        assert_eq!(deciding(1), [("latency".to_owned(), [near.clone(), far.clone()])]);
        assert_eq!(deciding(2), [("latency".to_owned(), [far, near])]);
        assert_eq!(deciding(3), [("state".to_owned(), ["suspect".to_owned(), "standby".to_owned()])]);
    }

    #[test]
    fn values_say_whether_they_are_measured_announced_or_unknown() {
        let mut path = testing::pathz().peers[0].paths[0].clone();
        path.announced.latency_ms = Some(10.0);
        path.announced.bandwidth_kbps = Some(100_000);
        let all = |path: &PathInfo| ["latency", "bandwidth", "mtu"].map(|word| metric(word, path));
        path.measured.delivered_kbps = Some(99_000);
        path.measured.bandwidth_kbps = None;
        assert_eq!(all(&path), ["22.4ms measured", "100M announced", "1400 announced"]);
        path.measured.delivered_kbps = Some(120_000);
        path.measured.rtt_ms = None;
        path.measured.mtu = Some(1300);
        assert_eq!(all(&path), ["20.0ms announced", "at least 120M measured", "1300 measured"]);
        path.measured.bandwidth_kbps = Some(8000);
        path.announced.latency_ms = None;
        path.measured.mtu = None;
        path.mtu = None;
        assert_eq!(all(&path), ["unknown", "8M measured", "unknown"]);
    }

    #[test]
    fn lanes_say_what_they_carry() {
        let peer = |lane: &str| PeerInfo { lane: lane.into(), ..PeerInfo::default() };
        let peers = [peer(""), peer("lane 1"), peer("subjects orders.>")];
        let classes: Vec<_> = peers.iter().map(|peer| traffic_class(peer, &peers)).collect();
        assert_eq!(classes, ["all other traffic", "the routes of lane 1", "subjects orders.>"]);
        assert_eq!(traffic_class(&peers[0], &peers[..1]), "all traffic");
    }
}
