//! The report: all paths in their order, each with the comparison that put it there.

use std::time::Instant;

use super::Manager;
use crate::path::Path;
use crate::rank::{Cost, Runner, order};
use crate::why::{self, Subject};
use crate::{Metric, PathReport, State};

impl Manager {
    /// All paths, best first; then those that the rules exclude.
    pub fn report(&self, now: Instant) -> Vec<PathReport> {
        let runners = self.paths.iter().map(|p| Runner { id: p.id, score: p.score(&self.config.policy) }).collect();
        let order = order(runners, &self.config.policy.preference, self.config.latency_margin);
        let path = |id| self.index(id).map(|index| &self.paths[index]);
        let mut reports = Vec::with_capacity(order.len());
        for (id, above) in order {
            let Some(this) = path(id) else { continue };
            let above = above.and_then(|(better, ground)| Some((path(better)?, ground)));
            let mut why = match above {
                Some((better, ground)) => why::worse(ground, &self.subject(this), &self.subject(better)),
                None => why::best(self.paths.len()).to_owned(),
            };
            why.push_str(self.remark(this, reports.len()));
            let decided_by = above.map(|(_, ground)| ground.as_str());
            reports.push(PathReport { decided_by, ..self.describe(now, this, reports.len() + 1, why) });
        }
        for (id, candidate, rule) in &self.admission.excluded {
            let path = Path::new(*id, candidate.clone());
            let report = self.describe(now, &path, reports.len() + 1, rule.clone());
            reports.push(PathReport { state: State::Excluded, decided_by: Some("rule"), ..report });
        }
        reports
    }

    fn subject<'a>(&'a self, path: &'a Path) -> Subject<'a> {
        let state = path.state(Some(path.id) == self.active).as_str();
        Subject {
            name: path.id,
            state,
            crowding: path.crowding,
            lossy: path.lossiness.is_lossy().then(|| path.percent_lost()),
            candidate: &path.candidate,
            limits: &self.config.policy.rules.limits,
            measured: path.measured(),
            prices: &self.config.policy.prices,
        }
    }

    /// What the rank alone does not explain about the traffic.
    fn remark(&self, path: &Path, better: usize) -> &'static str {
        match (Some(path.id) == self.active, path.ahead_since.is_some()) {
            (true, _) if path.withdrawn => "; no longer offered, keeps the traffic until it expires",
            (true, _) if better > 0 => "; keeps the traffic until another is clearly better for the hold time",
            (false, _) if path.withdrawn => "; no longer offered, stands by until it expires",
            (false, _) if Some(path.id) == self.companion => "; carries a copy of all traffic",
            (false, true) => "; clearly better than the active path, gets the traffic if it stays so",
            _ => "",
        }
    }

    fn describe(&self, now: Instant, path: &Path, rank: usize, why: String) -> PathReport {
        let candidate = &path.candidate;
        let active = Some(path.id) == self.active;
        let measured = path.measured();
        let unknown = |metric: &Metric| Cost::of(*metric, candidate, &measured) == Cost::Unknown;
        // Of what no AS announces nobody wonders who has not asked for it.
        let wanted = |metric: &Metric| match self.config.policy.prices.of(*metric) {
            Some(_) => self.config.policy.preference.metrics().contains(metric),
            None => true,
        };
        PathReport {
            id: path.id,
            fingerprint: candidate.fingerprint,
            kind: candidate.kind,
            interfaces: candidate.interfaces.clone(),
            hops: candidate.hops(),
            mtu: Some(path.hole.announced().unwrap_or(candidate.mtu)).filter(|mtu| *mtu > 0),
            expires_in: candidate.expiry.map(|expiry| expiry.saturating_duration_since(now)),
            state: path.state(active),
            active,
            rank,
            why,
            decided_by: None,
            announced_latency: candidate.latency,
            announced_bandwidth: candidate.bandwidth,
            cost: candidate.cost,
            carbon: candidate.carbon,
            rtt: path.rtt.get(),
            measured_mtu: path.hole.limit().map(|_| candidate.mtu),
            measured_bandwidth: measured.bandwidth,
            delivered_bandwidth: measured.delivered,
            loss: path.loss.fraction(),
            traffic_loss: path.lossiness.of_traffic(),
            condition: path.condition(),
            last_received: path.last_received.map(|at| now.saturating_duration_since(at)),
            probes_sent: path.probes_sent,
            probe_bytes: path.probe_bytes,
            probes_answered: path.probes_answered,
            failures: path.failures,
            unknown: Metric::ALL.into_iter().filter(wanted).filter(unknown).collect(),
            unprobeable: self.unprobeable,
        }
    }
}
