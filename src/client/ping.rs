//! Whether the client is alive, and how far away.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use natsd_core::error::ClientError;

use super::{Client, End};
use crate::link::batch::Batch;

/// The first ping measures the round trip, after 2 s at most and up to 20 % more, so that not all clients are asked at once.
const FIRST_PING: Duration = Duration::from_secs(2);
/// The round trip is measured again after this time.
const MEASURE_AGAIN: Duration = Duration::from_secs(3600);

pub(super) struct Pings {
    due: Instant,
    outstanding: u32,
    asked: Option<Instant>,
    measured: bool,
    heard: Instant,
}

impl Pings {
    /// `interval` is the time between two later pings.
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        let due = now + FIRST_PING.min(interval).mul_f64(1.0 + 0.2 * fastrand::f64());
        Self { due, outstanding: 0, asked: None, measured: false, heard: now }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The client is alive.
    pub(super) fn heard(&mut self, now: Option<Instant>) {
        self.heard = now.unwrap_or(self.heard);
    }

    fn needs_measurement(&self, now: Instant) -> bool {
        !self.measured || self.asked.is_none_or(|asked| now.saturating_duration_since(asked) > MEASURE_AGAIN)
    }
}

impl Client {
    /// The timer for pings has come.
    pub(super) fn ping(&mut self, now: Instant, batch: &mut Batch) {
        let options = self.hub.options();
        let interval = options.ping_interval_of(self.listener.is_websocket());
        self.pings.due = now + interval;
        let heard = now.saturating_duration_since(self.pings.heard) < interval;
        if heard && !self.pings.needs_measurement(now) {
            return;
        }
        if self.pings.outstanding + 1 > options.ping_max {
            return self.end(End::Told(ClientError::Stale), batch);
        }
        self.pings.outstanding += 1;
        self.pings.asked = Some(now);
        self.link.trace_out("PING");
        self.link.send(batch, |out| out.extend_from_slice(b"PING\r\n"));
    }

    pub(super) fn take_pong(&mut self) {
        self.pings.outstanding = 0;
        if let Some(asked) = self.pings.asked {
            self.pings.measured = true;
            self.link.rtt.store((asked.elapsed().as_nanos() as u64).max(1), Relaxed);
        }
    }

    pub(super) fn answer_ping(&mut self, batch: &mut Batch) {
        self.link.trace_out("PONG");
        self.link.send(batch, |out| out.extend_from_slice(b"PONG\r\n"));
        if self.flags.async_info && !self.link.welcomed.swap(true, Relaxed) {
            let info = self.listener.info(&self.hub, &self.link, true);
            self.link.send(batch, |out| info.write(out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ping_comes_early_and_not_later_than_others() {
        let now = Instant::now();
        let first = |interval| Pings::new(now, Duration::from_millis(interval)).due() - now;
        for _ in 0..100 {
            assert!((2000..=2400).contains(&first(120_000).as_millis()));
            assert!((500..=600).contains(&first(500).as_millis()));
        }
    }
}
