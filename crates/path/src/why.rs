//! The comparison that put a path at its rank, in words.

use std::time::Duration;

use crate::event::{Millis, PathId};
use crate::measured::Measured;
use crate::rank::Ground;
use crate::{Candidate, Limits, Metric, Prices};

/// What a comparison says of a path.
pub(crate) struct Subject<'a> {
    /// What others call it.
    pub(crate) name: PathId,
    pub(crate) state: &'static str,
    /// How often other lanes use its interfaces.
    pub(crate) crowding: usize,
    pub(crate) candidate: &'a Candidate,
    /// Share of packets that a lossy path loses, percent.
    pub(crate) lossy: Option<u8>,
    pub(crate) limits: &'a Limits,
    pub(crate) measured: Measured,
    pub(crate) prices: &'a Prices,
}

/// Why a path is the first of `paths`.
pub(crate) fn best(paths: usize) -> &'static str {
    if paths == 1 { "the only path" } else { "the best" }
}

/// Why `path` comes after `better`.
pub(crate) fn worse(ground: Ground, path: &Subject<'_>, better: &Subject<'_>) -> String {
    match ground {
        Ground::Kind => "TCP/IP comes after every other path".to_owned(),
        Ground::Standing => format!("{}, {} is {}", path.state, better.name, better.state),
        Ground::Offer => format!("no longer offered, {} is", better.name),
        Ground::Loss => {
            format!("loses {} % of its packets, {} far fewer", path.lossy.unwrap_or_default(), better.name)
        }
        Ground::Hole => {
            format!("loses packets of more than {} bytes, {} loses none of those", path.candidate.mtu, better.name)
        }
        Ground::Limits => {
            let broken = |subject: &Subject<'_>| match subject.limits.describe(subject.candidate, &subject.measured) {
                none if none.is_empty() => "none".to_owned(),
                limits => limits,
            };
            format!("breaks {}; {} breaks {}", broken(path), better.name, broken(better))
        }
        Ground::Crowding => {
            let crowding = |subject: &Subject<'_>| subject.crowding;
            format!("other lanes use {} of its interfaces, {} of {}", crowding(path), crowding(better), better.name)
        }
        Ground::Metric(metric) => {
            format!("{metric} {}, {} has {}", value(metric, path), better.name, value(metric, better))
        }
        Ground::Hops => {
            let hops = |subject: &Subject<'_>| subject.candidate.hops();
            format!("equal but for hops: {}, {} has {}", hops(path), better.name, hops(better))
        }
        Ground::Order => format!("no clear difference to {}", better.name),
    }
}

/// A metric of a path in words, with where it comes from.
fn value(metric: Metric, path: &Subject<'_>) -> String {
    let candidate = path.candidate;
    let latency = |rtt: Duration, source| format!("{} ({source})", Millis(rtt));
    let known = match metric {
        Metric::Latency => match (path.measured.rtt, candidate.latency) {
            (Some(rtt), _) => Some(latency(rtt, "measured")),
            (None, Some(one_way)) => Some(latency(one_way.saturating_mul(2), "announced")),
            (None, None) => None,
        },
        Metric::Bandwidth => {
            let kbit = path.measured.expected_bandwidth(candidate);
            kbit.map(|kbit| match path.measured.bandwidth {
                Some(_) => format!("{kbit} kbit/s (measured)"),
                None if kbit > candidate.bandwidth.unwrap_or(0) => format!("at least {kbit} kbit/s (measured)"),
                None => format!("{kbit} kbit/s"),
            })
        }
        Metric::Hops => Some(candidate.hops().to_string()),
        Metric::Mtu => (candidate.mtu > 0).then(|| format!("{} bytes", candidate.mtu)),
        Metric::Cost => candidate.cost.map(|cost| priced(cost, "costs", &path.prices.cost.account(candidate))),
        Metric::Carbon => candidate.carbon.map(|cost| priced(cost, "carbon", &path.prices.carbon.account(candidate))),
    };
    known.unwrap_or_else(|| "unknown".to_owned())
}

/// A sum, the table that it comes from, and what it is the sum of.
fn priced(sum: u64, table: &str, parts: &str) -> String {
    match parts {
        "" => format!("{sum} ({table}: nothing that it crosses)"),
        parts => format!("{sum} ({table}: {parts})"),
    }
}
