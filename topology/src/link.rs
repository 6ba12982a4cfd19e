//! One direction of an emulated link: how long a packet takes, and whether it arrives at all.
//!
//! Sans-IO: time and randomness are parameters. Both engines use it, the emulator between its routers and the reference
//! engine between the real ones.

use std::time::{Duration, Instant};

/// Bytes of the IPv4 and UDP headers that a real link would carry besides the SCION packet; they count against the rate.
const UNDERLAY_OVERHEAD: u64 = 28;
/// Bound on what one direction holds, for links without a rate, where no queue limit applies.
const MAX_BYTES_IN_FLIGHT: usize = 32 << 20;

/// How a link direction behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkParams {
    /// Propagation delay, one way.
    pub latency: Duration,
    /// Upper bound of an additional delay, drawn evenly for each packet; packets are never reordered.
    pub jitter: Duration,
    /// Rate in bit/s, 0 is unlimited.
    pub bandwidth_bps: u64,
    /// Chance of loss for each packet, in percent.
    pub loss_pct: f64,
    /// Longest wait in front of a limited rate; what would wait longer is dropped.
    pub queue: Duration,
}

/// Changes to the parameters of a direction; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LinkChange {
    /// See [`LinkParams::latency`].
    pub latency: Option<Duration>,
    /// See [`LinkParams::jitter`].
    pub jitter: Option<Duration>,
    /// See [`LinkParams::bandwidth_bps`].
    pub bandwidth_bps: Option<u64>,
    /// See [`LinkParams::loss_pct`].
    pub loss_pct: Option<f64>,
    /// See [`LinkParams::queue`].
    pub queue: Option<Duration>,
    /// The largest packet that passes, bytes. Nobody announces the change: larger ones vanish.
    pub mtu: Option<u16>,
}

/// Ways for a link to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing passes, so the routers notice after their detection time and answer with SCMP from then on.
    Cable,
    /// The routers' keep-alives pass and nothing else does: no router ever reports it.
    BlackHole,
}

/// What a packet is to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Of hosts: goes through the whole emulation.
    Data,
    /// Of the routers themselves (BFD): survives a black hole.
    KeepAlive,
}

/// Why a packet did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The direction is cut.
    Cut,
    /// Larger than the link's MTU.
    Mtu,
    /// Random loss.
    Random,
    /// The queue in front of the bottleneck is full.
    Queue,
}

/// What a direction carried and dropped since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct LinkCounters {
    /// Packets delivered.
    pub packets: u64,
    /// Bytes delivered, SCION headers included.
    pub bytes: u64,
    /// Dropped because the direction is cut.
    pub lost_cut: u64,
    /// Dropped because of the MTU.
    pub lost_mtu: u64,
    /// Dropped by chance.
    pub lost_random: u64,
    /// Dropped for want of queue space.
    pub lost_queue: u64,
}

/// One direction of a link.
#[derive(Debug, Clone)]
pub struct Direction {
    params: LinkParams,
    mtu: u16,
    cut: Option<Cut>,
    bottleneck_free: Option<Instant>,
    last_arrival: Option<Instant>,
    in_flight: usize,
    counters: LinkCounters,
}

impl Direction {
    /// An intact direction that carries packets of up to `mtu` bytes.
    pub fn new(params: LinkParams, mtu: u16) -> Self {
        Self {
            params,
            mtu,
            cut: None,
            bottleneck_free: None,
            last_arrival: None,
            in_flight: 0,
            counters: LinkCounters::default(),
        }
    }

    /// Current parameters.
    pub fn params(&self) -> &LinkParams {
        &self.params
    }

    /// Whether and how it is cut.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Cuts the direction, or mends it with `None`.
    pub fn set_cut(&mut self, cut: Option<Cut>) {
        self.cut = cut;
    }

    /// What it carried so far.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// Applies new parameters to the packets that enter from now on.
    pub fn change(&mut self, change: &LinkChange) {
        let p = &mut self.params;
        p.latency = change.latency.unwrap_or(p.latency);
        p.jitter = change.jitter.unwrap_or(p.jitter);
        p.loss_pct = change.loss_pct.unwrap_or(p.loss_pct);
        p.queue = change.queue.unwrap_or(p.queue);
        self.mtu = change.mtu.unwrap_or(self.mtu);
        if let Some(rate) = change.bandwidth_bps {
            p.bandwidth_bps = rate;
            self.bottleneck_free = None;
        }
    }

    /// A packet of `len` bytes enters at `now`: when it arrives, unless it is lost. What is admitted must be handed to
    /// [`Direction::arrive`] at that time.
    ///
    /// # Errors
    /// Why the packet is lost.
    pub fn admit(
        &mut self,
        len: usize,
        traffic: Traffic,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Result<Instant, Loss> {
        match self.admission(len, traffic, now, rng) {
            Ok(arrival) => {
                self.in_flight += len;
                self.last_arrival = Some(arrival);
                Ok(arrival)
            }
            Err(loss) => {
                self.count_loss(loss);
                Err(loss)
            }
        }
    }

    /// An admitted packet reaches the far end. It is lost when the direction was cut meanwhile.
    ///
    /// # Errors
    /// Why the packet is lost.
    pub fn arrive(&mut self, len: usize, traffic: Traffic) -> Result<(), Loss> {
        self.in_flight = self.in_flight.saturating_sub(len);
        if self.blocks(traffic) {
            self.count_loss(Loss::Cut);
            return Err(Loss::Cut);
        }
        self.counters.packets += 1;
        self.counters.bytes += len as u64;
        Ok(())
    }

    fn blocks(&self, traffic: Traffic) -> bool {
        match self.cut {
            None => false,
            Some(Cut::Cable) => true,
            Some(Cut::BlackHole) => traffic == Traffic::Data,
        }
    }

    fn admission(
        &mut self,
        len: usize,
        traffic: Traffic,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Result<Instant, Loss> {
        if self.blocks(traffic) {
            return Err(Loss::Cut);
        }
        if len > usize::from(self.mtu) {
            return Err(Loss::Mtu);
        }
        if self.params.loss_pct > 0.0 && rng.f64() * 100.0 < self.params.loss_pct {
            return Err(Loss::Random);
        }
        if self.in_flight + len > MAX_BYTES_IN_FLIGHT {
            return Err(Loss::Queue);
        }
        let sent = self.through_bottleneck(len, now)?;
        let jitter = self.params.jitter.mul_f64(rng.f64());
        let arrival = sent + self.params.latency + jitter;
        Ok(self.last_arrival.map_or(arrival, |last| last.max(arrival)).max(now))
    }

    fn through_bottleneck(&mut self, len: usize, now: Instant) -> Result<Instant, Loss> {
        let rate = self.params.bandwidth_bps;
        if rate == 0 {
            return Ok(now);
        }
        let start = self.bottleneck_free.map_or(now, |free| free.max(now));
        if start - now > self.params.queue {
            return Err(Loss::Queue);
        }
        let bits = (len as u64 + UNDERLAY_OVERHEAD) * 8;
        let done = start + Duration::from_nanos(bits.saturating_mul(1_000_000_000) / rate);
        self.bottleneck_free = Some(done);
        Ok(done)
    }

    fn count_loss(&mut self, loss: Loss) {
        let counter = match loss {
            Loss::Cut => &mut self.counters.lost_cut,
            Loss::Mtu => &mut self.counters.lost_mtu,
            Loss::Random => &mut self.counters.lost_random,
            Loss::Queue => &mut self.counters.lost_queue,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn params() -> LinkParams {
        LinkParams { latency: 10 * MS, jitter: Duration::ZERO, bandwidth_bps: 0, loss_pct: 0.0, queue: 100 * MS }
    }

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(7)
    }

    #[test]
    fn a_packet_takes_the_latency() {
        let now = Instant::now();
        let mut link = Direction::new(params(), 1472);
        assert_eq!(link.admit(1000, Traffic::Data, now, &mut rng()), Ok(now + 10 * MS));
        assert_eq!(link.arrive(1000, Traffic::Data), Ok(()));
        assert_eq!((link.counters().packets, link.counters().bytes), (1, 1000));
    }

    #[test]
    fn a_limited_rate_spaces_packets_and_its_queue_is_bounded() {
        let now = Instant::now();
        let mut link = Direction::new(
            LinkParams {
                bandwidth_bps: 8_000_000, // 1 byte a µs
                queue: 2 * MS,
                ..params()
            },
            1472,
        );
        let mut rng = rng();
        for n in 1..=3 {
            assert_eq!(link.admit(972, Traffic::Data, now, &mut rng), Ok(now + (10 + n) * MS));
        }
        assert_eq!(link.admit(972, Traffic::Data, now, &mut rng), Err(Loss::Queue));
        assert_eq!(
            link.admit(972, Traffic::Data, now + MS, &mut rng),
            Ok(now + 14 * MS),
            "room again once the queue has drained"
        );
    }

    #[test]
    fn jitter_never_reorders() {
        let now = Instant::now();
        let mut link = Direction::new(LinkParams { jitter: 50 * MS, ..params() }, 1472);
        let mut rng = rng();
        let arrivals: Vec<_> =
            (0..100).map(|n| link.admit(100, Traffic::Data, now + n * MS, &mut rng).expect("admitted")).collect();
        assert!(arrivals.is_sorted());
        assert!(arrivals[99] <= now + (99 + 60) * MS);
    }

    #[test]
    fn what_exceeds_the_mtu_is_lost() {
        let mut link = Direction::new(params(), 1400);
        let now = Instant::now();
        assert!(link.admit(1400, Traffic::Data, now, &mut rng()).is_ok());
        assert_eq!(link.admit(1401, Traffic::Data, now, &mut rng()), Err(Loss::Mtu));
        assert_eq!(link.counters().lost_mtu, 1);
    }

    #[test]
    fn loss_hits_the_share_asked_for_and_repeats_with_the_seed() {
        let run = || {
            let mut link = Direction::new(LinkParams { loss_pct: 10.0, ..params() }, 1472);
            let (now, mut rng) = (Instant::now(), rng());
            (0..10_000).map(|_| link.admit(100, Traffic::Data, now, &mut rng).is_err()).collect::<Vec<_>>()
        };
        let lost = run().iter().filter(|lost| **lost).count();
        assert!((900..1100).contains(&lost), "{lost} of 10000");
        assert_eq!(run(), run());
    }

    #[test]
    fn a_cut_takes_the_packets_under_way_with_it() {
        let mut link = Direction::new(params(), 1472);
        let now = Instant::now();
        assert!(link.admit(100, Traffic::Data, now, &mut rng()).is_ok());
        link.set_cut(Some(Cut::Cable));
        assert_eq!(link.arrive(100, Traffic::Data), Err(Loss::Cut));
        assert_eq!(link.admit(100, Traffic::Data, now, &mut rng()), Err(Loss::Cut));
        link.set_cut(None);
        assert!(link.admit(100, Traffic::Data, now, &mut rng()).is_ok());
    }

    #[test]
    fn keep_alives_pass_a_black_hole_but_no_cut_cable() {
        let mut link = Direction::new(params(), 1472);
        let (now, mut rng) = (Instant::now(), rng());
        link.set_cut(Some(Cut::BlackHole));
        assert!(link.admit(100, Traffic::KeepAlive, now, &mut rng).is_ok());
        assert_eq!(link.admit(100, Traffic::Data, now, &mut rng), Err(Loss::Cut));
        link.set_cut(Some(Cut::Cable));
        assert_eq!(link.arrive(100, Traffic::KeepAlive), Err(Loss::Cut));
    }

    #[test]
    fn a_link_without_a_rate_is_bounded_too() {
        let mut link = Direction::new(LinkParams { latency: Duration::from_secs(60), ..params() }, 8900);
        let (now, mut rng) = (Instant::now(), rng());
        let admitted = (0..10_000).filter(|_| link.admit(8900, Traffic::Data, now, &mut rng).is_ok()).count();
        assert_eq!(admitted, MAX_BYTES_IN_FLIGHT / 8900);
    }
}
