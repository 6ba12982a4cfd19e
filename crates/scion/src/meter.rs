//! Counts what the peers of connections acknowledge, where QUIC knows it: in its congestion control.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use quinn::Connection;
use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};

/// What one connection has delivered since it was asked last.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    limited: AtomicU64,
    congestions: AtomicU64,
}

/// Bytes acknowledged, how many of them while congestion control alone held the sender back, and how often that found
/// packets lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) bytes: u64,
    pub(crate) limited: u64,
    pub(crate) congestions: u64,
}

impl Meter {
    /// That of a connection; `None` if its congestion control is not ours.
    pub(crate) fn of(connection: &Connection) -> Option<Arc<Self>> {
        let metered = connection.congestion_state().into_any().downcast::<Metered>().ok()?;
        Some(Arc::clone(&metered.meter))
    }

    /// What there was since the last call.
    pub(crate) fn take(&self) -> Reading {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Reading { bytes: take(&self.bytes), limited: take(&self.limited), congestions: take(&self.congestions) }
    }

    fn acknowledged(&self, bytes: u64, idle: bool) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if !idle {
            self.limited.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl std::ops::AddAssign for Reading {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.limited = self.limited.saturating_add(other.limited);
        self.congestions = self.congestions.saturating_add(other.congestions);
    }
}

/// Makes the congestion control of each connection: CUBIC, with a meter.
pub(crate) struct Metering;

impl ControllerFactory for Metering {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let cubic = Arc::new(CubicConfig::default()).build(now, current_mtu);
        Box::new(Metered { cubic, meter: Arc::default() })
    }
}

struct Metered {
    cubic: Box<dyn Controller>,
    meter: Arc<Meter>,
}

impl Controller for Metered {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.meter.acknowledged(bytes, app_limited);
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.meter.congestions.fetch_add(1, Ordering::Relaxed);
        self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.cubic.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { cubic: self.cubic.clone_box(), meter: Arc::clone(&self.meter) })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_controller_count_together() {
        let now = Instant::now();
        let mut first = Arc::new(Metering).build(now, 1200);
        let mut second = first.clone_box();
        let plain = Arc::new(CubicConfig::default()).build(now, 1200);
        assert_eq!((first.window(), first.initial_window()), (plain.window(), plain.initial_window()));
        first.on_congestion_event(now, now, false, 1200);
        second.on_congestion_event(now, now, false, 1200);
        assert!(first.window() < plain.window(), "it is CUBIC that answers");
        let metered = first.into_any().downcast::<Metered>().expect("it is ours");
        metered.meter.acknowledged(100, true);
        metered.meter.acknowledged(50, false);
        assert_eq!(metered.meter.take(), Reading { bytes: 150, limited: 50, congestions: 2 });
        assert_eq!(metered.meter.take(), Reading::default());
    }
}
