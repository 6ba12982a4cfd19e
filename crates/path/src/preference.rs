//! What the operator wants of a path, in order of importance.

use std::fmt;
use std::str::FromStr;

/// A property that paths are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Round-trip time, lower is better.
    Latency,
    /// Bottleneck bandwidth, higher is better.
    Bandwidth,
    /// Inter-AS hops, fewer is better.
    Hops,
    /// Largest packet, larger is better.
    Mtu,
    /// What it costs by the operator's table, lower is better.
    Cost,
    /// Carbon by the operator's table, lower is better.
    Carbon,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Latency, Self::Bandwidth, Self::Hops, Self::Mtu, Self::Cost, Self::Carbon];

    /// The word for it in `path_preference`.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Latency => "latency",
            Metric::Bandwidth => "bandwidth",
            Metric::Hops => "hops",
            Metric::Mtu => "mtu",
            Metric::Cost => "cost",
            Metric::Carbon => "carbon",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `scion { path_preference }`: metrics, most important first, each at most once. The default is
/// `latency,bandwidth,hops,mtu`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference(Vec<Metric>);

impl Preference {
    /// The metrics in order of importance; never empty.
    pub fn metrics(&self) -> &[Metric] {
        &self.0
    }

    /// The words for them, in the same order.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl Default for Preference {
    fn default() -> Self {
        Self(vec![Metric::Latency, Metric::Bandwidth, Metric::Hops, Metric::Mtu])
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|m| m.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

/// Why a `path_preference` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreferenceError {
    /// The list holds no word.
    #[error(
        "path_preference is empty; give a list such as \"latency,bandwidth\" (of latency, bandwidth, hops, mtu, cost, carbon)"
    )]
    Empty,
    /// A word is not a metric.
    #[error("path_preference {0:?} is not known; use latency, bandwidth, hops, mtu, cost or carbon")]
    Unknown(String),
    /// A metric is listed twice.
    #[error("path_preference lists {0} twice")]
    Twice(Metric),
}

impl FromStr for Preference {
    type Err = PreferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut metrics = Vec::new();
        for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let known = Metric::ALL.into_iter().find(|metric| metric.as_str().eq_ignore_ascii_case(word));
            let metric = known.ok_or_else(|| PreferenceError::Unknown(word.to_owned()))?;
            if metrics.contains(&metric) {
                return Err(PreferenceError::Twice(metric));
            }
            metrics.push(metric);
        }
        if metrics.is_empty() { Err(PreferenceError::Empty) } else { Ok(Self(metrics)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_blanks_are_ignored() {
        let preference: Preference = "bandwidth, latency".parse().expect("valid");
        assert_eq!(preference.metrics(), [Metric::Bandwidth, Metric::Latency]);
        assert_eq!(preference.to_string(), "bandwidth,latency");
    }

    #[test]
    fn nonsense_is_refused_with_the_word() {
        assert_eq!("latency,speed".parse::<Preference>(), Err(PreferenceError::Unknown("speed".into())));
        assert_eq!("mtu,mtu".parse::<Preference>(), Err(PreferenceError::Twice(Metric::Mtu)));
        assert_eq!(" , ".parse::<Preference>(), Err(PreferenceError::Empty));
    }
}
