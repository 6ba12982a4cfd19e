//! The manager's settings.

use std::time::Duration;

use crate::Policy;

/// Preference and timers. `Default` gives the documented values.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the operator wants of a path.
    pub policy: Policy,
    /// Shortest silence after which a path can be left. 60 ms: shorter ones gave false switches in measurements.
    pub min_silence: Duration,
    /// Longest silence before a path can be left. 500 ms.
    pub max_silence: Duration,
    /// How long the peer may hold back an acknowledgement at most. 25 ms, QUIC's `max_ack_delay`.
    pub ack_delay: Duration,
    /// How late an answer is usual on a path that works: the delay that we ask the peer's QUIC for (5 ms), and timers
    /// and schedulers on both sides. 20 ms.
    pub lateness: Duration,
    /// Round-trip time assumed of a path that is neither measured nor announced. 200 ms.
    pub assumed_rtt: Duration,
    /// How long a path must be better before traffic moves to it. 3 s.
    pub hold: Duration,
    /// A lower latency counts from this difference on. 10 ms, or a fifth of the latency if that is more.
    pub latency_margin: Duration,
    /// Between probes of the active path. 1 s.
    pub active_interval: Duration,
    /// Between probes of each of the best three standby paths. 500 ms.
    pub standby_interval: Duration,
    /// Between probes of the other standby paths. 2 s.
    pub spare_interval: Duration,
    /// Between probes of a dead path: from 250 ms, doubling up to `dead_interval_max`.
    pub dead_interval: Duration,
    /// Longest time between probes of a dead path. 5 s.
    pub dead_interval_max: Duration,
    /// Between probes of a path on probation. 200 ms.
    pub probation_interval: Duration,
    /// Shortest probation; doubles with each failure within 60 s of the last. 1 s.
    pub probation: Duration,
    /// Longest probation. 30 s.
    pub probation_max: Duration,
    /// Between rounds of probing all paths when none answers: from 100 ms, doubling up to `hunt_interval_max`.
    pub hunt_interval: Duration,
    /// Longest time between such rounds. 1 s.
    pub hunt_interval_max: Duration,
    /// Bytes a second that regular probes of all paths may take together, headers included. 8192.
    pub probe_budget: u32,
    /// How many paths are probed as long as they live. 16.
    pub probed: usize,
}

impl Config {
    /// The default of [`probe_budget`](Self::probe_budget): all regular probes of 16 paths of six links, and some as large as packets get.
    pub const PROBE_BUDGET: u32 = 8192;
}

impl Default for Config {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            policy: Policy::default(),
            min_silence: ms(60),
            max_silence: ms(500),
            ack_delay: ms(25),
            lateness: ms(20),
            assumed_rtt: ms(200),
            hold: ms(3000),
            latency_margin: ms(10),
            active_interval: ms(1000),
            standby_interval: ms(500),
            spare_interval: ms(2000),
            dead_interval: ms(250),
            dead_interval_max: ms(5000),
            probation_interval: ms(200),
            probation: ms(1000),
            probation_max: ms(30_000),
            hunt_interval: ms(100),
            hunt_interval_max: ms(1000),
            probe_budget: Self::PROBE_BUDGET,
            probed: 16,
        }
    }
}
