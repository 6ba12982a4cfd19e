//! Which path is better.
//!
//! [`Score`] is a strict order: kind, standing, whether it is still offered, loss, MTU hole, broken limits, crowding, the operator's metrics, hops, fingerprint. It decides what is probed
//! first. Traffic is placed by an [`elect`]ion instead, in which latencies within a margin count as equal, so that
//! noise moves nothing: round by round, in order of importance, the paths that are clearly worse than the best of the
//! field drop out. The path that carries traffic may be worse by the whole margin, the others by half of it; a path
//! that wins traffic for another metric therefore does not lose it again by noise in latency.

use std::time::Duration;

use crate::measured::Measured;
use crate::{Candidate, Fingerprint, Kind, Metric, PathId, Policy, Preference};

/// How usable a path is; the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Answers.
    Up,
    /// Asked, has not answered yet.
    Unproven,
    /// Never asked.
    Unasked,
    Probation,
    Suspect,
    Dead,
}

/// A metric turned into something of which less is better; the unknown is worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    Known(u64),
    Unknown,
}

impl Cost {
    /// Of what is measured, else announced.
    pub(crate) fn of(metric: Metric, candidate: &Candidate, measured: &Measured) -> Self {
        let known = match metric {
            Metric::Latency => {
                let rtt = measured.expected_rtt(candidate);
                rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX))
            }
            Metric::Bandwidth => {
                measured.expected_bandwidth(candidate).map(|kbit| u64::from(u64::BITS - bandwidth_class(kbit)))
            }
            Metric::Hops => Some(candidate.hops() as u64),
            Metric::Mtu => (candidate.mtu > 0).then(|| u64::from(u16::MAX - candidate.mtu)),
            Metric::Cost => candidate.cost,
            Metric::Carbon => candidate.carbon,
        };
        known.map_or(Cost::Unknown, Cost::Known)
    }

    /// Whether this is worse than `best` by a difference that counts.
    fn clearly_worse(self, best: Cost, metric: Metric, margin: Duration, incumbent: bool) -> bool {
        match (self, best) {
            (Cost::Known(own), Cost::Known(best)) if metric == Metric::Latency => {
                let margin = own.div_ceil(5).max(u64::try_from(margin.as_micros()).unwrap_or(u64::MAX));
                own.saturating_sub(best) >= if incumbent { margin } else { margin / 2 }.max(1)
            }
            (own, best) => own > best,
        }
    }
}

/// Bandwidths of one class count as equal: each class is twice the one below.
pub(crate) fn bandwidth_class(kbit: u64) -> u32 {
    kbit.checked_ilog2().map_or(0, |class| class + 1)
}

/// A path's place in the strict order; less is better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Score {
    pub(crate) kind: Kind,
    pub(crate) standing: Standing,
    /// Lookups do not list it any more.
    pub(crate) withdrawn: bool,
    /// It loses so much that others are better.
    pub(crate) lossy: bool,
    /// It carries less than is announced, so that packets are lost that are as large as others carry.
    pub(crate) narrow: bool,
    /// How many of the operator's limits it breaks.
    pub(crate) broken: usize,
    /// How much of it other lanes use; see [`Manager::handle_crowd`](crate::Manager::handle_crowd).
    pub(crate) crowding: usize,
    /// In the operator's order.
    pub(crate) costs: [Cost; Metric::ALL.len()],
    pub(crate) hops: usize,
    pub(crate) fingerprint: Fingerprint,
}

impl Score {
    pub(crate) fn new(policy: &Policy, candidate: &Candidate, standing: Standing, measured: Measured) -> Self {
        let mut costs = [Cost::Unknown; Metric::ALL.len()];
        for (cost, metric) in costs.iter_mut().zip(policy.preference.metrics()) {
            *cost = Cost::of(*metric, candidate, &measured);
        }
        Self {
            kind: candidate.kind,
            standing,
            withdrawn: false,
            lossy: false,
            narrow: false,
            broken: policy.rules.limits.broken(candidate, &measured),
            crowding: 0,
            costs,
            hops: candidate.hops(),
            fingerprint: candidate.fingerprint,
        }
    }
}

/// What a comparison turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// SCION, and UDP/IP, before TCP/IP.
    Kind,
    /// Usable before unusable.
    Standing,
    /// Listed before no longer listed.
    Offer,
    /// Sound before lossy.
    Loss,
    /// Carrying what is announced before carrying less.
    Hole,
    /// Fewer broken limits before more.
    Limits,
    /// Apart before together with other lanes.
    Crowding,
    /// A metric of the preference.
    Metric(Metric),
    /// Nothing above differs (enough): hops.
    Hops,
    /// Nothing else differs: an arbitrary but stable order.
    Order,
}

impl Ground {
    /// One word, for programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ground::Kind => "kind",
            Ground::Standing => "state",
            Ground::Offer => "offer",
            Ground::Loss => "loss",
            Ground::Hole => "hole",
            Ground::Limits => "limits",
            Ground::Crowding => "crowding",
            Ground::Metric(metric) => metric.as_str(),
            Ground::Hops => "hops",
            Ground::Order => "order",
        }
    }
}

/// A path that stands for election.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) id: PathId,
    pub(crate) score: Score,
}

/// The result of an election.
#[derive(Debug)]
pub(crate) struct Election {
    pub(crate) winner: PathId,
    /// The paths that no metric told apart from the winner, the winner included.
    pub(crate) field: Vec<PathId>,
    /// Who dropped out, and on what ground.
    pub(crate) dropped: Vec<(PathId, Ground)>,
}

impl Election {
    /// What the winner won by against `path`.
    pub(crate) fn ground(&self, path: PathId) -> Ground {
        self.dropped.iter().find(|(id, _)| *id == path).map_or(Ground::Order, |(_, ground)| *ground)
    }
}

/// Chooses the path for the traffic. The incumbent keeps it unless a metric drops it. `None` if nobody runs.
pub(crate) fn elect(
    runners: &[Runner],
    preference: &Preference,
    margin: Duration,
    incumbent: Option<PathId>,
) -> Option<Election> {
    let mut field: Vec<&Runner> = runners.iter().collect();
    let mut dropped = Vec::new();
    let mut drop_if = |field: &mut Vec<&Runner>, ground, worse: &dyn Fn(&Runner) -> bool| {
        field.retain(|runner| {
            let worse = worse(runner);
            if worse {
                dropped.push((runner.id, ground));
            }
            !worse
        });
    };
    let kind = field.iter().map(|r| r.score.kind).min()?;
    drop_if(&mut field, Ground::Kind, &|r| r.score.kind > kind);
    let standing = field.iter().map(|r| r.score.standing).min()?;
    drop_if(&mut field, Ground::Standing, &|r| r.score.standing > standing);
    let withdrawn = |r: &Runner| r.score.withdrawn && Some(r.id) != incumbent;
    if !field.iter().all(|r| withdrawn(r)) {
        drop_if(&mut field, Ground::Offer, &withdrawn);
    }
    let lossy = field.iter().map(|r| r.score.lossy).min()?;
    drop_if(&mut field, Ground::Loss, &|r| r.score.lossy != lossy);
    let narrow = field.iter().map(|r| r.score.narrow).min()?;
    drop_if(&mut field, Ground::Hole, &|r| r.score.narrow != narrow);
    let broken = field.iter().map(|r| r.score.broken).min()?;
    drop_if(&mut field, Ground::Limits, &|r| r.score.broken > broken);
    let crowding = field.iter().map(|r| r.score.crowding).min()?;
    drop_if(&mut field, Ground::Crowding, &|r| r.score.crowding > crowding);
    for (index, metric) in preference.metrics().iter().enumerate().take(Metric::ALL.len()) {
        let best = field.iter().map(|r| r.score.costs[index]).min()?;
        drop_if(&mut field, Ground::Metric(*metric), &|r| {
            r.score.costs[index].clearly_worse(best, *metric, margin, Some(r.id) == incumbent)
        });
    }
    let equals = field.iter().map(|r| r.id).collect();
    if let Some(winner) = field.iter().map(|r| r.id).find(|id| Some(*id) == incumbent) {
        return Some(Election { winner, field: equals, dropped });
    }
    let hops = field.iter().map(|r| r.score.hops).min()?;
    drop_if(&mut field, Ground::Hops, &|r| r.score.hops > hops);
    let winner = field.iter().min_by_key(|r| &r.score)?.id;
    Some(Election { winner, field: equals, dropped })
}

/// Everybody, best first, each but the first with the one above and what that one won by.
pub(crate) fn order(
    mut runners: Vec<Runner>,
    preference: &Preference,
    margin: Duration,
) -> Vec<(PathId, Option<(PathId, Ground)>)> {
    let mut order = Vec::with_capacity(runners.len());
    let mut above: Option<Election> = None;
    while let Some(election) = elect(&runners, preference, margin, None) {
        runners.retain(|runner| runner.id != election.winner);
        order.push((election.winner, above.map(|lost| (lost.winner, lost.ground(election.winner)))));
        above = Some(election);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Interface, IsdAs};

    const MARGIN: Duration = Duration::from_millis(10);

    struct Entry {
        rtt_ms: Option<u64>,
        kbit: Option<u64>,
        hops: usize,
        standing: Standing,
        kind: Kind,
    }

    fn up(rtt_ms: u64) -> Entry {
        Entry { rtt_ms: Some(rtt_ms), kbit: None, hops: 2, standing: Standing::Up, kind: Kind::Scion }
    }

    /// Elects among `entries`, which are named by their position.
    fn winner(preference: &str, entries: &[Entry], incumbent: Option<u32>) -> u32 {
        let preference: Preference = preference.parse().expect("a valid preference");
        let policy = Policy::from(preference.clone());
        let runner = |(index, entry): (usize, &Entry)| {
            let interfaces = vec![Interface { isd_as: IsdAs(1), id: index as u16 }; entry.hops * 2];
            let candidate = Candidate {
                fingerprint: Fingerprint([index as u8; 8]),
                kind: entry.kind,
                bandwidth: entry.kbit,
                interfaces,
                ..Candidate::tcp()
            };
            let measured = Measured::of_rtt(entry.rtt_ms.map(Duration::from_millis));
            let score = Score::new(&policy, &candidate, entry.standing, measured);
            Runner { id: PathId(index as u32), score }
        };
        let runners: Vec<_> = entries.iter().enumerate().map(runner).collect();
        elect(&runners, &preference, MARGIN, incumbent.map(PathId)).expect("somebody runs").winner.0
    }

    #[test]
    fn lower_latency_wins_and_unknown_latency_loses() {
        assert_eq!(winner("latency", &[up(80), up(20), Entry { rtt_ms: None, ..up(0) }], None), 1);
    }

    #[test]
    fn the_incumbent_keeps_its_traffic_within_the_margin() {
        assert_eq!(winner("latency", &[up(29), up(20)], Some(0)), 0);
        assert_eq!(winner("latency", &[up(30), up(20)], Some(0)), 1, "10 ms are the margin");
        assert_eq!(winner("latency", &[up(124), up(100)], Some(0)), 0, "a fifth is, of long latencies");
        assert_eq!(winner("latency", &[up(126), up(100)], Some(0)), 1);
    }

    #[test]
    fn the_next_metric_decides_among_equals() {
        let narrow = Entry { kbit: Some(10_000), ..up(20) };
        let wide = Entry { kbit: Some(100_000), ..up(22) };
        assert_eq!(winner("latency,bandwidth", &[narrow, wide], Some(0)), 1);
    }

    #[test]
    fn bandwidths_of_one_class_are_equal() {
        let a = Entry { kbit: Some(100_000), ..up(20) };
        let b = Entry { kbit: Some(110_000), ..up(60) };
        assert_eq!(winner("bandwidth,latency", &[b, a], None), 1);
    }

    #[test]
    fn small_steps_do_not_lead_in_a_circle() {
        let paths = || [Entry { hops: 3, ..up(20) }, Entry { hops: 2, ..up(24) }, Entry { hops: 1, ..up(38) }];
        let mut at = 0;
        let mut moves = 0;
        for _ in 0..10 {
            let next = winner("latency,hops", &paths(), Some(at));
            moves += u32::from(next != at);
            at = next;
        }
        assert_eq!((at, moves), (1, 1));
    }

    #[test]
    fn kind_comes_before_standing_and_standing_before_metrics() {
        let dead = Entry { standing: Standing::Dead, ..up(1) };
        let tcp = Entry { kind: Kind::Tcp, ..up(1) };
        assert_eq!(winner("latency", &[tcp, dead, up(500)], None), 2);
        let tcp = Entry { kind: Kind::Tcp, ..up(1) };
        let dead = Entry { standing: Standing::Dead, ..up(1) };
        assert_eq!(winner("latency", &[tcp, dead], None), 1);
    }

    #[test]
    fn fewer_hops_break_a_tie_but_move_no_traffic() {
        let (long, short) = (|| Entry { hops: 4, ..up(20) }, || Entry { hops: 3, ..up(20) });
        assert_eq!(winner("latency", &[long(), short()], None), 1);
        assert_eq!(winner("latency", &[long(), short()], Some(0)), 0);
    }
}
