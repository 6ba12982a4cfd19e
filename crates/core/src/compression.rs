//! Compression of what goes between two servers: which way, how they agree on one, and the [stream] itself.
//!
//! Each side says in its `INFO` what it wants. The side that dialled looks at the other's, says what it chose, and speaks
//! compressed from there on; the other answers with its `INFO` once more, compressed. Each direction has a level of its own.

pub mod stream;

use std::time::Duration;

use thiserror::Error;

/// How hard a sender tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Not at all: framed and checked, no more.
    Uncompressed,
    /// Little work.
    Fast,
    /// More work.
    Better,
    /// Much more work.
    Best,
}

impl Level {
    /// As `INFO` and monitoring call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "s2_uncompressed",
            Self::Fast => "s2_fast",
            Self::Better => "s2_better",
            Self::Best => "s2_best",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Uncompressed, Self::Fast, Self::Better, Self::Best].into_iter().find(|level| level.name() == name)
    }
}

/// Round-trip times up to which a level is enough: of [`Level::Uncompressed`], `Fast`, `Better` and `Best` in this order.
/// Zero leaves a level out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(Vec<Duration>);

/// Round-trip times that are no thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ThresholdsError {
    /// A later one is smaller.
    #[error("RTT thresholds are in ascending order, but for those that are 0")]
    Order,
    /// There are more than levels.
    #[error("there are at most 4 RTT thresholds: up to which nothing is compressed, then fast, better, best")]
    TooMany,
    /// None of them is more than zero.
    #[error("at least one RTT threshold is greater than 0")]
    None,
}

impl Default for Thresholds {
    /// 10, 50 and 100 ms.
    fn default() -> Self {
        Self([10, 50, 100].map(Duration::from_millis).to_vec())
    }
}

impl Thresholds {
    /// # Errors
    ///
    /// When they are not in order, more than four, or all zero.
    pub fn new(mut times: Vec<Duration>) -> Result<Self, ThresholdsError> {
        if !times.iter().filter(|time| !time.is_zero()).is_sorted() {
            return Err(ThresholdsError::Order);
        }
        times.truncate(times.iter().rposition(|time| !time.is_zero()).map_or(0, |last| last + 1));
        match times.len() {
            0 => Err(ThresholdsError::None),
            1..=4 => Ok(Self(times)),
            _ => Err(ThresholdsError::TooMany),
        }
    }

    /// The times.
    pub fn times(&self) -> &[Duration] {
        &self.0
    }

    /// What is right for a peer that is this far away.
    pub fn level(&self, rtt: Duration) -> Level {
        let last = if self.0.len() >= 3 { 3 } else { self.0.len().saturating_sub(1) };
        match self.0.iter().position(|up_to| rtt <= *up_to).unwrap_or(last) {
            0 => Level::Uncompressed,
            1 => Level::Fast,
            2 => Level::Better,
            _ => Level::Best,
        }
    }
}

/// What a server is configured to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As one that has never heard of it.
    Unsupported,
    /// Nothing is compressed.
    Off,
    /// It is, if the other side wants it.
    Accept,
    /// It is, if the other side takes it, with the level that the round-trip time asks for.
    Auto(Thresholds),
    /// It is, if the other side takes it, with this level.
    Always(Level),
}

/// What came of it on one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It was not talked about, or the other side knows nothing of it.
    #[default]
    Unsupported,
    /// One side does not want it.
    Off,
    /// With this level.
    On(Level),
}

impl Status {
    /// As monitoring calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsupported => "not supported",
            Self::Off => "off",
            Self::On(level) => level.name(),
        }
    }
}

/// What two servers agree on, as one of them sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Nothing is compressed.
    Plain(Status),
    /// With the level that the round-trip time asks for.
    Auto,
    /// With this level.
    Level(Level),
}

impl Agreement {
    /// As `INFO` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain(_) => "off",
            Self::Auto => "s2_auto",
            Self::Level(level) => level.name(),
        }
    }
}

/// The other side wants something that is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unsupported route compression mode {:?}", .0.chars().take(64).collect::<String>())]
pub struct UnknownMode(String);

/// What a change of configuration means for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It has to be made anew.
    Renegotiate,
    /// The level is another.
    Level(Level),
}

impl Mode {
    /// As `INFO` calls it; empty for [`Unsupported`](Self::Unsupported).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unsupported => "",
            Self::Off => "off",
            Self::Accept => "accept",
            Self::Auto(_) => "s2_auto",
            Self::Always(level) => level.name(),
        }
    }

    /// Whether anything may be compressed, so that the other side is to be asked.
    pub fn is_negotiable(&self) -> bool {
        !matches!(self, Self::Unsupported | Self::Off)
    }

    /// What we do with a server whose `INFO` says `theirs`; empty if it says nothing.
    ///
    /// # Errors
    ///
    /// When we would compress and do not know what it asks for.
    pub fn agree(&self, theirs: &str) -> Result<Agreement, UnknownMode> {
        if theirs.is_empty() || theirs == "not supported" {
            return Ok(Agreement::Plain(Status::Unsupported));
        }
        let known = Level::named(theirs);
        Ok(match self {
            Self::Unsupported => Agreement::Plain(Status::Unsupported),
            Self::Off => Agreement::Plain(Status::Off),
            _ if theirs == "off" => Agreement::Plain(Status::Off),
            _ if known.is_none() && !matches!(theirs, "accept" | "s2_auto") => {
                return Err(UnknownMode(theirs.to_owned()));
            }
            Self::Accept if theirs == "accept" => Agreement::Plain(Status::Off),
            Self::Accept => Agreement::Level(known.unwrap_or(Level::Fast)),
            Self::Auto(_) => Agreement::Auto,
            Self::Always(level) => Agreement::Level(*level),
        })
    }

    /// The level to begin with, or to go on with, at this round-trip time; `None` if nothing is compressed.
    pub fn level(&self, agreement: Agreement, rtt: Duration) -> Option<Level> {
        match (agreement, self) {
            (Agreement::Plain(_), _) => None,
            (Agreement::Level(level), _) => Some(level),
            (Agreement::Auto, Self::Auto(thresholds)) => Some(thresholds.level(rtt)),
            (Agreement::Auto, _) => Some(Level::Fast),
        }
    }

    /// The level that a connection is to have from now on, if this mode depends on the round-trip time.
    pub fn level_at(&self, rtt: Duration) -> Option<Level> {
        match self {
            Self::Auto(thresholds) => Some(thresholds.level(rtt)),
            _ => None,
        }
    }

    /// What it means for a connection that this is the mode from now on.
    pub fn change(&self, status: Status, rtt: Duration) -> Change {
        match (status, self) {
            (Status::Unsupported, _) | (Status::Off, Self::Off) => Change::None,
            (Status::On(now), Self::Always(level)) if now == *level => Change::None,
            (Status::Off, _) | (_, Self::Unsupported | Self::Off | Self::Accept) => Change::Renegotiate,
            (Status::On(_), Self::Auto(thresholds)) => Change::Level(thresholds.level(rtt)),
            (Status::On(_), Self::Always(level)) => Change::Level(*level),
        }
    }
}

#[cfg(test)]
mod tests;
