//! Handshakes that are under way at a listener, and who may begin another one.
//!
//! A first packet costs its sender nothing, and can name any address as its own. When there are more than a few, who comes first has to
//! prove that packets reach it (a retry, RFC 9000 section 8.1.2); who has proven it shares what there is with the others of its AS.

use std::collections::HashMap;
use std::sync::Arc;

use natsd_path::IsdAs;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Under way at the same time.
const MOST: usize = 256;
/// Of hosts of one AS.
const MOST_OF_AN_AS: usize = 128;
/// As many may begin without a proof.
const UNPROVEN: usize = 32;

/// Those of one listener. Clones are one and the same.
#[derive(Clone, Default)]
pub(super) struct Handshakes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    by_as: Mutex<HashMap<IsdAs, usize>>,
    ended: Notify,
}

/// What becomes of one who wants to begin.
pub(super) enum Turn {
    /// The handshake goes on, and ends when this is dropped.
    Begin(Handshake),
    /// It has to prove its address first.
    Prove,
    /// There are too many of its AS.
    Refuse,
}

/// One that is under way.
pub(super) struct Handshake {
    of: IsdAs,
    handshakes: Handshakes,
}

impl Handshakes {
    /// Waits until there is room for one more.
    pub(super) async fn room(&self) {
        loop {
            let ended = self.0.ended.notified();
            if under_way(&self.0.by_as.lock()) < MOST {
                return;
            }
            ended.await;
        }
    }

    /// A host of this AS wants to begin, and has `proven` that packets to its address reach it, or not.
    pub(super) fn turn(&self, of: IsdAs, proven: bool) -> Turn {
        let mut by_as = self.0.by_as.lock();
        match by_as.get(&of).copied().unwrap_or(0) {
            _ if under_way(&by_as) >= UNPROVEN && !proven => Turn::Prove,
            own if own >= MOST_OF_AN_AS => Turn::Refuse,
            own => {
                by_as.insert(of, own + 1);
                Turn::Begin(Handshake { of, handshakes: self.clone() })
            }
        }
    }
}

fn under_way(by_as: &HashMap<IsdAs, usize>) -> usize {
    by_as.values().sum()
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut by_as = self.handshakes.0.by_as.lock();
        if let Some(own) = by_as.get_mut(&self.of) {
            *own -= 1;
            if *own == 0 {
                by_as.remove(&self.of);
            }
        }
        drop(by_as);
        self.handshakes.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many handshakes of an AS, all proven.
    fn begin(handshakes: &Handshakes, of: u64, count: usize) -> Vec<Handshake> {
        let one = |_| match handshakes.turn(IsdAs(of), true) {
            Turn::Begin(handshake) => Some(handshake),
            Turn::Prove | Turn::Refuse => None,
        };
        (0..count).filter_map(one).collect()
    }

    #[test]
    fn a_flood_of_invented_addresses_has_to_prove_them_and_stops_nobody() {
        let handshakes = Handshakes::default();
        let flood: Vec<_> = (0..10_000).map(|invented| handshakes.turn(IsdAs(invented), false)).collect();
        let begun = flood.iter().filter(|turn| matches!(turn, Turn::Begin(_))).count();
        assert_eq!(
            (begun, flood.iter().filter(|turn| matches!(turn, Turn::Prove)).count()),
            (UNPROVEN, 10_000 - UNPROVEN)
        );
        assert!(matches!(handshakes.turn(IsdAs(1), true), Turn::Begin(_)));
        drop(flood);
        assert!(matches!(handshakes.turn(IsdAs(1), false), Turn::Begin(_)), "when it is over nobody needs to");
    }

    #[tokio::test]
    async fn an_as_cannot_take_all_the_room() {
        let handshakes = Handshakes::default();
        let greedy = begin(&handshakes, 1, 1000);
        assert_eq!(greedy.len(), MOST_OF_AN_AS);
        let others = begin(&handshakes, 2, 1000);
        assert_eq!(others.len(), MOST_OF_AN_AS);
        let mut room = Box::pin(handshakes.room());
        assert!(futures_are_pending(&mut room).await);
        drop(greedy);
        room.await;
        assert_eq!(begin(&handshakes, 1, 1).len(), 1);
    }

    async fn futures_are_pending(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
    }
}
