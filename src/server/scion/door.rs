//! Who may begin a handshake over SCION, and what the log says of those who are turned away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use natsd_path::{IsdAs, ScionAddr};
use parking_lot::Mutex;

use crate::config::options::ScionOptions;

/// Between two lines about the same AS.
const QUIET: Duration = Duration::from_secs(10);
/// ASes that are told apart within that time. Those that strangers make up beyond them share a line.
const ASES: usize = 64;

/// `scion { allow, deny }`. Clones are one and the same.
#[derive(Clone)]
pub(super) struct Door {
    options: Arc<ArcSwap<ScionOptions>>,
    refusals: Arc<Mutex<Refusals>>,
}

impl Door {
    /// What `options` say at the time counts.
    pub(super) fn new(options: Arc<ArcSwap<ScionOptions>>) -> Self {
        Self { options, refusals: Arc::default() }
    }

    /// Whether a peer may begin. If not, that has been logged.
    pub(super) fn admits(&self, what: &str, peer: ScionAddr) -> bool {
        let admitted = self.options.load().admits(peer.isd_as);
        if let Err(key) = admitted {
            self.refused(what, peer, &format!("{key} turns AS {} away", peer.isd_as));
        }
        admitted.is_ok()
    }

    /// Logs that a peer was turned away, unless the log has had enough of its AS.
    pub(super) fn refused(&self, what: &str, peer: ScionAddr, reason: &str) {
        let more = self.refusals.lock().note(peer.isd_as, Instant::now());
        match more {
            Some(0) => log::warn!("Refused {what} connection over {} from {peer}: {reason}", over(peer)),
            Some(more) => log::warn!(
                "Refused {what} connection over {} from {peer}: {reason} ({more} more since the last line of its AS)",
                over(peer)
            ),
            None => {}
        }
    }
}

fn over(peer: ScionAddr) -> &'static str {
    if peer.isd_as == IsdAs(0) { "UDP" } else { "SCION" }
}

/// When the log told of an AS last, and how many it has kept to itself since.
#[derive(Default)]
struct Refusals(HashMap<IsdAs, (Instant, u64)>);

impl Refusals {
    /// How many were not told of, if it is time for a line.
    fn note(&mut self, from: IsdAs, now: Instant) -> Option<u64> {
        const OTHERS: IsdAs = IsdAs(0);
        if self.0.len() >= ASES && !self.0.contains_key(&from) {
            // One that was quiet has nothing to tell, or tells it with its next line.
            self.0.retain(|_, (told, more)| *more > 0 || now.duration_since(*told) < QUIET);
        }
        let key = if self.0.len() >= ASES && !self.0.contains_key(&from) { OTHERS } else { from };
        match self.0.get_mut(&key) {
            Some((told, more)) if now.duration_since(*told) < QUIET => {
                *more += 1;
                None
            }
            Some((told, more)) => {
                *told = now;
                Some(std::mem::take(more))
            }
            None => {
                self.0.insert(key, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isd_as(text: &str) -> IsdAs {
        text.parse().expect("an AS")
    }

    fn admits(allow: &[&str], deny: &[&str], from: &str) -> Result<(), &'static str> {
        let list = |list: &[&str]| list.iter().copied().map(isd_as).collect();
        ScionOptions { allow: list(allow), deny: list(deny), ..ScionOptions::default() }.admits(isd_as(from))
    }

    #[test]
    fn ases_are_meant_alone_or_by_their_isd() {
        assert_eq!(admits(&[], &[], "1-ff00:0:110"), Ok(()));
        let allow = ["1-ff00:0:110", "2-0"];
        assert_eq!(admits(&allow, &[], "1-ff00:0:110"), Ok(()));
        assert_eq!(admits(&allow, &[], "2-ff00:0:210"), Ok(()));
        assert_eq!(admits(&allow, &[], "1-ff00:0:111"), Err("scion.allow"));
        assert_eq!(admits(&allow, &["2-ff00:0:210"], "2-ff00:0:210"), Err("scion.deny"));
        assert_eq!(admits(&[], &["0-0"], "2-ff00:0:210"), Err("scion.deny"));
        // A peer that does not know its AS is of none that is allowed.
        assert_eq!(admits(&allow, &[], "0-0"), Err("scion.allow"));
    }

    #[test]
    fn the_log_tells_of_an_as_once_in_a_while_and_of_all_in_the_end() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let (one, other) = (isd_as("1-1"), isd_as("1-2"));
        assert_eq!(refusals.note(one, start), Some(0));
        assert_eq!(refusals.note(one, start), None);
        assert_eq!(refusals.note(other, start), Some(0), "one does not hide the other");
        assert_eq!(refusals.note(one, start + QUIET / 2), None);
        assert_eq!(refusals.note(one, start + QUIET), Some(2));
    }

    #[test]
    fn invented_ases_fill_neither_memory_nor_log() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let lines = (1..10_000).filter(|n| refusals.note(IsdAs(*n), start).is_some()).count();
        assert_eq!((lines, refusals.0.len()), (ASES + 1, ASES + 1));
        assert_eq!(refusals.note(IsdAs(77_777), start + QUIET), Some(0), "there is room again");
    }
}
