//! Ranks paths that were asked once, without a [`Manager`](crate::Manager) that watches them.

use std::time::Duration;

use crate::measured::Measured;
use crate::rank::{Runner, Score, Standing, order};
use crate::why::{self, Subject};
use crate::{Candidate, Config, PathId, Policy};

/// What became of a single question to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody asked.
    NotAsked,
    /// It was asked and did not answer.
    Silent,
    /// It answered after this round trip.
    After(Duration),
}

impl Answer {
    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::NotAsked => "unknown",
            Answer::Silent => "timeout",
            Answer::After(_) => "alive",
        }
    }

    /// The round trip, of a path that answered.
    pub fn rtt(self) -> Option<Duration> {
        match self {
            Answer::After(rtt) => Some(rtt),
            Answer::NotAsked | Answer::Silent => None,
        }
    }

    fn standing(self) -> Standing {
        match self {
            Answer::After(_) => Standing::Up,
            Answer::NotAsked => Standing::Unasked,
            Answer::Silent => Standing::Dead,
        }
    }
}

/// A path's place among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Its place in the list that was given.
    pub index: usize,
    /// A rule excludes it; such paths come after all others.
    pub excluded: bool,
    /// What it costs, and how much carbon, by the operator's tables.
    pub prices: [Option<u64>; 2],
    /// The comparison that put it at its rank, `#1` there is the path of rank 1; or the rule that excludes it.
    pub why: String,
}

/// Ranks `paths` as a [`Manager`](crate::Manager) would, the best first.
pub fn survey(policy: &Policy, paths: &[(Candidate, Answer)]) -> Vec<Ranked> {
    let mut paths = paths.to_vec();
    paths.iter_mut().for_each(|(candidate, _)| policy.prices.price(candidate));
    let id = |index| PathId(u32::try_from(index).unwrap_or(u32::MAX));
    let exclusions: Vec<_> = paths.iter().map(|(candidate, _)| policy.rules.exclusion(candidate)).collect();
    let allowed = paths.iter().enumerate().filter(|(index, _)| exclusions[*index].is_none());
    let runners: Vec<_> = allowed
        .map(|(index, (candidate, answer))| Runner {
            id: id(index),
            score: Score::new(policy, candidate, answer.standing(), Measured::of_rtt(answer.rtt())),
        })
        .collect();
    let count = runners.len();
    let order = order(runners, &policy.preference, Config::default().latency_margin);
    let subject = |path: PathId, rank| {
        let (candidate, answer) = &paths[path.0 as usize];
        Subject {
            name: id(rank),
            state: answer.as_str(),
            crowding: 0,
            lossy: None,
            candidate,
            limits: &policy.rules.limits,
            measured: Measured::of_rtt(answer.rtt()),
            prices: &policy.prices,
        }
    };
    let ranked = |index: usize, excluded, why| {
        let prices = [paths[index].0.cost, paths[index].0.carbon];
        Ranked { index, excluded, prices, why }
    };
    let allowed = order.into_iter().enumerate().map(|(above, (path, lost))| {
        let why = match lost {
            None => why::best(count).to_owned(),
            Some((better, ground)) => why::worse(ground, &subject(path, above + 1), &subject(better, above)),
        };
        ranked(path.0 as usize, false, why)
    });
    let excluded = exclusions.iter().enumerate().filter_map(|(index, rule)| Some((index, rule.clone()?)));
    allowed.chain(excluded.map(|(index, rule)| ranked(index, true, rule))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fingerprint, Kind, Preference};

    fn path(name: u8, latency_ms: u64, kbit: u64, answer: Answer) -> (Candidate, Answer) {
        let candidate = Candidate {
            fingerprint: Fingerprint([name; 8]),
            kind: Kind::Scion,
            latency: Some(Duration::from_millis(latency_ms)),
            bandwidth: Some(kbit),
            ..Candidate::tcp()
        };
        (candidate, answer)
    }

    fn ranks(preference: &str, paths: &[(Candidate, Answer)]) -> Vec<(usize, String)> {
        let preference: Preference = preference.parse().expect("a preference");
        let ranked = survey(&preference.into(), paths);
        ranked.into_iter().map(|path| (path.index, path.why)).collect()
    }

    #[test]
    fn paths_rank_by_what_answers_then_by_preference_and_name_the_one_above() {
        let ms = |ms| Answer::After(Duration::from_millis(ms));
        let paths = [path(0, 1, 9000, Answer::Silent), path(1, 20, 9000, ms(41)), path(2, 4, 1000, ms(9))];
        let by_latency = ranks("latency,bandwidth", &paths);
        let latency = "latency 41.0 ms (measured), #1 has 9.0 ms (measured)";
        let wanted = [(2, "the best"), (1, latency), (0, "timeout, #2 is alive")];
        assert_eq!(by_latency, wanted.map(|(index, why)| (index, why.to_owned())));
        assert_eq!(ranks("bandwidth", &paths)[0].0, 1);
    }

    #[test]
    fn unasked_paths_rank_by_what_is_announced() {
        let paths = [path(0, 50, 1, Answer::NotAsked), path(1, 5, 1, Answer::NotAsked)];
        let why = "latency 100.0 ms (announced), #1 has 10.0 ms (announced)";
        assert_eq!(ranks("latency", &paths), [(1, "the best".to_owned()), (0, why.to_owned())]);
        assert_eq!(ranks("latency", &paths[..1]), [(0, "the only path".to_owned())]);
        assert_eq!(ranks("latency", &[]), []);
    }

    #[test]
    fn excluded_paths_come_last_with_their_rule() {
        let mut paths = [1, 2].map(|ms| path(ms, u64::from(ms), 1, Answer::NotAsked));
        paths[0].0.interfaces = ["1-1#3", "1-2#4"].map(|text| text.parse().expect("an interface")).into();
        let rules = crate::Rules::told("avoid\t1-1#3").expect("a rule");
        let ranked = survey(&Policy { rules, ..Policy::default() }, &paths);
        let told: Vec<_> = ranked.iter().map(|path| (path.index, path.excluded, path.why.as_str())).collect();
        assert_eq!(told, [(1, false, "the only path"), (0, true, "avoid \"1-1#3\" is crossed")]);
    }
}
