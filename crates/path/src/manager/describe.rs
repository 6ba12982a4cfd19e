//! The report: all paths in their order, each with the comparison that put it there.

use std::time::{Duration, Instant};

use super::Manager;
use crate::event::Millis;
use crate::path::Path;
use crate::rank::{Cost, Ground, Runner, elect};
use crate::{Metric, PathReport};

impl Manager {
    /// All paths, best first.
    pub fn report(&self, now: Instant) -> Vec<PathReport> {
        let mut runners: Vec<Runner> =
            self.paths.iter().map(|p| Runner { id: p.id, score: p.score(&self.config.preference) }).collect();
        let mut reports = Vec::with_capacity(runners.len());
        let mut above: Option<(&Path, crate::rank::Election)> = None;
        while let Some(election) = elect(&runners, &self.config.preference, self.config.latency_margin, None) {
            runners.retain(|runner| runner.id != election.winner);
            let Some(index) = self.index(election.winner) else { break };
            let path = &self.paths[index];
            let mut why = match &above {
                Some((better, lost)) => self.comparison(lost.ground(path.id), path, better),
                None if self.paths.len() == 1 => "the only path".to_owned(),
                None => "the best".to_owned(),
            };
            why.push_str(self.remark(path, reports.len()));
            reports.push(self.describe(now, path, reports.len() + 1, why));
            above = Some((path, election));
        }
        reports
    }

    /// Why `path` comes after `better`.
    fn comparison(&self, ground: Ground, path: &Path, better: &Path) -> String {
        let state = |path: &Path| path.state(Some(path.id) == self.active);
        match ground {
            Ground::Kind => "TCP/IP comes after every SCION path".to_owned(),
            Ground::Standing => format!("{}, {} is {}", state(path), better.id, state(better)),
            Ground::Metric(metric) => {
                format!("{metric} {}, {} has {}", value(metric, path), better.id, value(metric, better))
            }
            Ground::Hops => {
                format!("equal but for hops: {}, {} has {}", path.candidate.hops(), better.id, better.candidate.hops())
            }
            Ground::Order => format!("no clear difference to {}", better.id),
        }
    }

    /// What the rank alone does not explain about the traffic.
    fn remark(&self, path: &Path, better: usize) -> &'static str {
        match (Some(path.id) == self.active, path.ahead_since.is_some()) {
            (true, _) if path.withdrawn => "; no longer offered, keeps the traffic until it expires",
            (true, _) if better > 0 => "; keeps the traffic until another is clearly better for the hold time",
            (false, true) => "; clearly better than the active path, gets the traffic if it stays so",
            _ => "",
        }
    }

    fn describe(&self, now: Instant, path: &Path, rank: usize, why: String) -> PathReport {
        let candidate = &path.candidate;
        let active = Some(path.id) == self.active;
        let measured = path.rtt.get().map(|rtt| rtt.smoothed);
        let unknown = |metric: &Metric| Cost::of(*metric, candidate, measured) == Cost::Unknown;
        let metrics = [Metric::Latency, Metric::Bandwidth, Metric::Hops, Metric::Mtu];
        PathReport {
            id: path.id,
            fingerprint: candidate.fingerprint,
            kind: candidate.kind,
            interfaces: candidate.interfaces.clone(),
            hops: candidate.hops(),
            mtu: (candidate.mtu > 0).then_some(candidate.mtu),
            expires_in: candidate.expiry.map(|expiry| expiry.saturating_duration_since(now)),
            state: path.state(active),
            active,
            rank,
            why,
            announced_latency: candidate.latency,
            announced_bandwidth: candidate.bandwidth,
            rtt: path.rtt.get(),
            measured_bandwidth: None,
            loss: path.loss.fraction(),
            last_received: path.last_received.map(|at| now.saturating_duration_since(at)),
            probes_sent: path.probes_sent,
            probes_answered: path.probes_answered,
            failures: path.failures,
            unknown: metrics.into_iter().filter(unknown).collect(),
            unprobeable: self.unprobeable,
        }
    }
}

/// A metric of a path in words, with where it comes from.
fn value(metric: Metric, path: &Path) -> String {
    let candidate = &path.candidate;
    let latency = |rtt: Duration, source| format!("{} ({source})", Millis(rtt));
    let known = match metric {
        Metric::Latency => match (path.rtt.get(), candidate.latency) {
            (Some(rtt), _) => Some(latency(rtt.smoothed, "measured")),
            (None, Some(one_way)) => Some(latency(one_way.saturating_mul(2), "announced")),
            (None, None) => None,
        },
        Metric::Bandwidth => candidate.bandwidth.map(|kbit| format!("{kbit} kbit/s")),
        Metric::Hops => Some(candidate.hops().to_string()),
        Metric::Mtu => (candidate.mtu > 0).then(|| format!("{} bytes", candidate.mtu)),
    };
    known.unwrap_or_else(|| "unknown".to_owned())
}
