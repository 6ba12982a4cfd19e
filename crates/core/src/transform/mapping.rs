//! Mappings: which transform a published subject goes through, by weight.

use std::fmt;

use thiserror::Error;

use super::{Transform, TransformError};
use crate::subject;

/// Weights are percents; what is left to this keeps its subject.
pub const WHOLE: u8 = 100;

/// One subject that a share of the messages goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What it becomes.
    pub transform: Transform,
    /// Percents of the messages, up to 100.
    pub weight: u8,
    /// Only in this cluster.
    pub cluster: Option<String>,
}

/// What becomes of the subjects of one pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    source: Box<[u8]>,
    destinations: Vec<Destination>,
}

/// Why there is no such mapping.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MappingError {
    /// A destination that cannot be.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// More than 100 percent, in a cluster or in general.
    #[error("the weights add up to more than 100")]
    Weight,
    /// One destination twice in a cluster or in general.
    #[error("{0:?} is listed twice")]
    Twice(String),
}

impl Mapping {
    /// What is published to `source` goes to `destinations` by their weights. Those of the server's own cluster count
    /// alone, if there are some.
    ///
    /// # Errors
    ///
    /// More than 100 percent, or the same destination twice, within a cluster or among those of no cluster.
    pub fn new(source: &str, destinations: Vec<Destination>) -> Result<Self, MappingError> {
        for (at, destination) in destinations.iter().enumerate() {
            let same = |other: &&Destination| other.cluster == destination.cluster;
            let weight: u32 = destinations.iter().filter(same).map(|d| u32::from(d.weight)).sum();
            if weight > u32::from(WHOLE) {
                return Err(MappingError::Weight);
            }
            if destinations[..at].iter().filter(same).any(|other| other.transform == destination.transform) {
                return Err(MappingError::Twice(String::from_utf8_lossy(&destination.transform.destination).into()));
            }
        }
        Ok(Self { source: source.as_bytes().into(), destinations })
    }

    /// The transform for one message; `None`: it keeps its subject.
    fn choose(&self, cluster: Option<&str>, random: &mut impl FnMut(u32) -> u32) -> Option<&Transform> {
        let in_cluster =
            |destination: &&Destination| destination.cluster.is_some() && destination.cluster.as_deref() == cluster;
        let own = cluster.filter(|_| self.destinations.iter().any(|destination| in_cluster(&destination)));
        let mut candidates =
            self.destinations.iter().filter(|destination| destination.cluster.as_deref() == own).peekable();
        if candidates.peek().is_some_and(|only| only.weight == WHOLE) {
            return candidates.next().map(|only| &only.transform);
        }
        let mut left = random(u32::from(WHOLE));
        let chosen = candidates.find(|destination| {
            let taken = left < u32::from(destination.weight);
            left = left.saturating_sub(u32::from(destination.weight));
            taken
        });
        chosen.map(|destination| &destination.transform)
    }
}

/// The mappings of an account, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings(Vec<Mapping>);

impl Mappings {
    /// The first mapping whose source matches a subject is the one that counts.
    pub fn new(mappings: Vec<Mapping>) -> Self {
        Self(mappings)
    }

    /// All of them: the source, and its destinations.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[Destination])> {
        self.0.iter().map(|mapping| (&*mapping.source, &*mapping.destinations))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what becomes of `subject` in a server of this cluster; false if it stays. `random` gives a number below its
    /// argument.
    pub fn apply(
        &self,
        subject: &[u8],
        cluster: Option<&str>,
        random: &mut impl FnMut(u32) -> u32,
        out: &mut Vec<u8>,
    ) -> bool {
        let mapping = self.0.iter().find(|mapping| subject::matches(&mapping.source, subject));
        let transform = mapping.and_then(|mapping| mapping.choose(cluster, random));
        transform.is_some_and(|transform| transform.apply(subject, random, out))
    }
}

/// For the log.
impl fmt::Display for Mappings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mapping) in self.0.iter().enumerate() {
            let before = if at > 0 { ", " } else { "" };
            write!(f, "{before}{}:", String::from_utf8_lossy(&mapping.source))?;
            for Destination { transform, weight, cluster } in &mapping.destinations {
                write!(f, " {} {weight}%", String::from_utf8_lossy(&transform.destination))?;
                cluster.iter().try_for_each(|cluster| write!(f, " in {cluster}"))?;
            }
        }
        Ok(())
    }
}
