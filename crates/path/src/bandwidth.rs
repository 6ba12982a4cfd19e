//! How much a path delivers, from the traffic itself.
//!
//! What the peer acknowledged within a time was delivered. Whether the path could have delivered more is another question: only when the
//! sender had more to send, was held back by congestion control alone, and the path showed that it was full (packets lost, or probes that wait
//! in queues) is that rate what the path gives. Otherwise it is a lower bound: it may lift what is announced, and never lowers it.
//!
//! A rate is believed when the path was full twice in a row, so that the start of a transfer does not count. It changes when
//! the smoothed rate has moved by a fifth, so that paths about equally wide do not take turns.

use std::time::{Duration, Instant};

use crate::recent::RecentMax;

/// Share of what was delivered while congestion control held the sender back, from which on the sender always had more.
const LIMITED: f64 = 0.8;
/// What one more rate counts against those before.
const WEIGHT: f64 = 0.25;
/// Share by which the smoothed rate moves before another one is believed.
const MARGIN: f64 = 0.2;
/// How long a rate is believed at which the path was not seen full again.
const BELIEVED: Duration = Duration::from_secs(3600);
/// The most that was delivered is remembered for one to two of these.
const REMEMBERED: Duration = Duration::from_secs(1800);
/// Shorter times say nothing.
const SHORTEST: Duration = Duration::from_millis(200);

/// What connections delivered over a path within some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How long that was; at least 200 ms, less is ignored.
    pub over: Duration,
    /// Bytes that the peer acknowledged, of all connections together.
    pub bytes: u64,
    /// How many of these while congestion control alone held the sender back.
    pub limited: u64,
    /// How often congestion control found packets lost.
    pub congestions: u64,
}

impl Delivery {
    /// Bits a millisecond.
    fn kbit(&self) -> u64 {
        let millis = u64::try_from(self.over.as_millis()).unwrap_or(u64::MAX).max(1);
        self.bytes.saturating_mul(8) / millis
    }

    fn sender_had_more(&self) -> bool {
        self.bytes > 0 && self.limited as f64 >= self.bytes as f64 * LIMITED
    }
}

/// A rate at which the path was full.
#[derive(Clone, Copy, Debug)]
struct Full {
    smoothed: f64,
    /// Follows the smoothed rate in steps.
    believed: u64,
    at: Instant,
}

/// What is known of how much one path delivers, kbit/s.
#[derive(Default)]
pub(crate) struct Bandwidth {
    full: Option<Full>,
    /// The path was full the last time.
    was_full: bool,
    most: RecentMax<u64, { REMEMBERED.as_secs() }>,
    /// Of late.
    delivered: Option<u64>,
}

impl Bandwidth {
    /// `queued`: probes waited in queues meanwhile.
    pub(crate) fn record(&mut self, now: Instant, delivery: &Delivery, queued: bool) {
        if delivery.over < SHORTEST {
            return;
        }
        let kbit = delivery.kbit();
        self.most.record(now, kbit);
        let full = delivery.sender_had_more() && (queued || delivery.congestions > 0);
        if std::mem::replace(&mut self.was_full, full) && full {
            self.believe(now, kbit);
        } else if let Some(known) = self.full.as_mut().filter(|known| kbit > known.believed) {
            // It gave more than it was thought to have.
            (known.smoothed, known.believed) = (kbit as f64, kbit);
        }
        self.forget(now);
    }

    fn believe(&mut self, now: Instant, kbit: u64) {
        let known = self.full.get_or_insert(Full { smoothed: kbit as f64, believed: kbit, at: now });
        known.at = now;
        known.smoothed += (kbit as f64 - known.smoothed) * WEIGHT;
        if (known.smoothed - known.believed as f64).abs() > known.believed as f64 * MARGIN {
            known.believed = known.smoothed.round() as u64;
        }
    }

    /// Lets go of what is too old.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.full = self.full.filter(|known| known.at + BELIEVED > now);
        self.delivered = Some(self.most.get(now)).filter(|kbit| *kbit > 0);
    }

    /// What the path gives when it is full.
    pub(crate) fn measured(&self) -> Option<u64> {
        self.full.map(|known| known.believed)
    }

    /// The most that it has delivered of late; it may give more.
    pub(crate) fn delivered(&self) -> Option<u64> {
        self.delivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn filled(kbit: u64) -> Delivery {
        let bytes = kbit * 1000 / 8;
        Delivery { over: SECOND, bytes, limited: bytes, congestions: 1 }
    }

    fn light(kbit: u64) -> Delivery {
        Delivery { limited: 0, congestions: 0, ..filled(kbit) }
    }

    /// What is known after these deliveries, one a second.
    #[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
    fn after(deliveries: &[Delivery]) -> (Option<u64>, Option<u64>) {
        let (mut now, mut bandwidth) = (Instant::now(), Bandwidth::default());
        for delivery in deliveries {
            now += SECOND;
            bandwidth.record(now, delivery, false);
        }
        (bandwidth.measured(), bandwidth.delivered())
    }

    #[test]
    fn only_a_full_path_shows_what_it_gives() {
        assert_eq!(after(&[filled(3000), filled(8000)]), (Some(8000), Some(8000)), "the first one begins a transfer");
        assert_eq!(after(&[filled(8000)]), (None, Some(8000)));
        assert_eq!(after(&[light(100), light(300), light(200)]), (None, Some(300)));
        let unhindered = Delivery { congestions: 0, ..filled(8000) };
        assert_eq!(after(&[unhindered; 5]), (None, Some(8000)), "it may give more");
        let mostly_idle = Delivery { limited: 8000, ..filled(8000) };
        assert_eq!(after(&[mostly_idle; 5]), (None, Some(8000)));
        let short = Delivery { over: Duration::from_millis(10), ..filled(1000) };
        assert_eq!(after(&[short; 5]), (None, None));
    }

    #[test]
    fn queues_show_a_full_path_where_nothing_is_lost() {
        let full = Delivery { congestions: 0, ..filled(8000) };
        let (now, mut bandwidth) = (after_start(), Bandwidth::default());
        (1..3).for_each(|second| bandwidth.record(now + SECOND * second, &full, true));
        assert_eq!(bandwidth.measured(), Some(8000));
    }

    #[test]
    fn what_is_believed_moves_by_a_fifth_or_not_at_all() {
        let wobbling: Vec<_> = (0..1000).map(|n| filled(if n % 2 == 0 { 9000 } else { 11_000 })).collect();
        assert_eq!(after(&wobbling).0, Some(11_000));
        let halved = [vec![filled(10_000); 5], vec![filled(5000); 40]].concat();
        assert!(after(&halved).0.is_some_and(|kbit| (5000..6300).contains(&kbit)), "{:?}", after(&halved));
        let risen = [vec![filled(10_000); 5], vec![light(12_000)]].concat();
        assert_eq!(after(&risen).0, Some(12_000), "a lower bound lifts what was measured");
    }

    #[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
    fn after_start() -> Instant {
        Instant::now()
    }

    #[test]
    fn what_was_measured_long_ago_is_forgotten() {
        let (start, mut bandwidth) = (after_start(), Bandwidth::default());
        (1..3).for_each(|second| bandwidth.record(start + SECOND * second, &filled(8000), false));
        (2..3602).for_each(|second| bandwidth.forget(start + SECOND * second));
        assert_eq!((bandwidth.measured(), bandwidth.delivered()), (Some(8000), None));
        bandwidth.forget(start + SECOND * 3602);
        assert_eq!(bandwidth.measured(), None);
    }
}
