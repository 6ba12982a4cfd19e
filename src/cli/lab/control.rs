//! The lab as the dashboard sees it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_lab::description::Network;
use natsd_lab::engine::{Engine, LinkStatus};
use natsd_lab::link::Cut;
use natsd_tui::{LabAction, LabControl, LabLink, LabLoad, LabView, LinkState};
use parking_lot::Mutex;

use super::load::Counters;

/// Rates are taken over at least this long.
const RATE_OVER: Duration = Duration::from_millis(500);

/// Shows and breaks the links of an engine.
pub(super) struct Control {
    ends: HashMap<String, [String; 2]>,
    engine: Arc<dyn Engine>,
    counters: Arc<Mutex<Counters>>,
    rates: Mutex<Rates>,
}

/// What was counted at an earlier time, and the rates since the time before that.
struct Rates {
    at: Instant,
    received: u64,
    bytes: HashMap<String, u64>,
    messages_per_second: f64,
    bits_per_second: HashMap<String, u64>,
}

impl Control {
    pub(super) fn new(network: &Network, engine: Arc<dyn Engine>, counters: Arc<Mutex<Counters>>) -> Self {
        let end = |end: natsd_lab::description::Interface| format!("{}#{}", network.ases[end.as_index].ia, end.id);
        let ends = network.links.iter().map(|link| (link.name.clone(), link.ends.map(end))).collect();
        let rates = Rates {
            at: Instant::now(),
            received: 0,
            bytes: HashMap::new(),
            messages_per_second: 0.0,
            bits_per_second: HashMap::new(),
        };
        Self { ends, engine, counters, rates: Mutex::new(rates) }
    }
}

impl LabControl for Control {
    fn view(&self) -> LabView {
        let links = self.engine.links();
        let counters = self.counters.lock();
        let mut rates = self.rates.lock();
        rates.update(&links, counters.received);
        LabView {
            load: LabLoad {
                sent: counters.sent,
                received: counters.received,
                lost: counters.overtaken(),
                duplicated: counters.duplicated,
                rate: rates.messages_per_second,
                longest_gap: counters.longest_gap,
            },
            links: links
                .into_iter()
                .map(|link| {
                    let [a, b] = self.ends.get(&link.name).cloned().unwrap_or_default();
                    let bits_per_second = rates.bits_per_second.get(&link.name).copied().unwrap_or_default();
                    let latency = Duration::from_secs_f64(link.ab.latency_ms / 1e3);
                    LabLink { a, b, latency, state: state(&link), bits_per_second, name: link.name }
                })
                .collect(),
        }
    }

    fn act(&self, action: LabAction) -> Result<(), String> {
        match action {
            LabAction::Cut(link) => self.engine.cut(&link, Cut::Cable, None),
            LabAction::BlackHole(link) => self.engine.cut(&link, Cut::BlackHole, None),
            LabAction::Restore(link) => self.engine.restore(&link, None),
            LabAction::RestoreAll => self.ends.keys().try_for_each(|link| self.engine.restore(link, None)),
        }
        .map_err(|error| error.to_string())
    }
}

fn state(link: &LinkStatus) -> LinkState {
    match (link.ab.cut, link.ba.cut) {
        (None, None) => LinkState::Up,
        (Some("black hole"), _) | (_, Some("black hole")) => LinkState::BlackHole,
        _ => LinkState::Cut,
    }
}

impl Rates {
    fn update(&mut self, links: &[LinkStatus], received: u64) {
        let elapsed = self.at.elapsed();
        if elapsed < RATE_OVER {
            return;
        }
        self.messages_per_second = (received - self.received) as f64 / elapsed.as_secs_f64();
        for link in links {
            let bytes = link.ab.counters.bytes + link.ba.counters.bytes;
            let before = self.bytes.insert(link.name.clone(), bytes).unwrap_or(bytes);
            let bits = (bytes - before) as f64 * 8.0 / elapsed.as_secs_f64();
            self.bits_per_second.insert(link.name.clone(), bits as u64);
        }
        self.received = received;
        self.at = Instant::now();
    }
}
