//! The messages of one class to one peer, which several connections share out; see [`natsd_core::route::spread`].
//!
//! Locks, in this order: `arrivals`, and with it all that delivering takes; `sending`; then those of the connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use natsd_core::encode::Message;
use natsd_core::route::spread::{Op, Resequencer, Scheduler};
use parking_lot::{Mutex, MutexGuard};

use super::registry::Clock;
use crate::hub::Hub;
use crate::link::batch::Batch;
use crate::link::outbound::{Outbound, Sink};
use crate::link::{Errand, Kind, Link, PeerServer};
use crate::transport::Peer;

/// Bytes of a message's line besides its subject, about.
const LINE: usize = 32;

/// See the [module](self).
pub(crate) struct Spread {
    clock: Clock,
    sending: Mutex<Sending>,
    /// Each message as the line that it came in.
    arrivals: Mutex<Resequencer<Vec<u8>>>,
}

#[derive(Default)]
struct Sending {
    scheduler: Scheduler,
    links: Vec<Arc<Link>>,
}

impl Sending {
    fn probe(&mut self, now: Duration, batch: &mut Batch) {
        while let Some((lane, op)) = self.scheduler.poll_probe(now) {
            if let Some(link) = self.links.iter().find(|link| link.id == lane) {
                link.send(batch, |out| op.write(out));
            }
        }
    }
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spread").finish_non_exhaustive()
    }
}

impl Spread {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, sending: Mutex::default(), arrivals: Mutex::default() }
    }

    /// What messages are given to in place of one connection to this server.
    pub(super) fn stand_in(self: &Arc<Self>, hub: &Hub, server: &PeerServer) -> Arc<Link> {
        let nowhere = Peer::Tcp(([0, 0, 0, 0], 0).into());
        let (out, limits) = (Outbound::new(Sink::Gone), hub.outbound_limits(Kind::Route));
        let link = Link::new(hub.next_id(), Kind::Route, nowhere, None, out, limits);
        let _ = link.spread.set(self.clone());
        let server = PeerServer {
            name: server.name.clone(),
            slot: server.slot.clone(),
            traces: server.traces,
            leaf_origins: server.leaf_origins,
            queues_only: server.queues_only,
            carriers: None,
        };
        let _ = link.server.set(Box::new(server));
        Arc::new(link)
    }

    /// There is one connection more. It takes messages once the peer has [answered](Self::answered).
    pub(super) fn join(&self, link: &Arc<Link>) {
        let now = (self.clock)();
        let mut sending = self.sending.lock();
        // Nanoseconds: the peer may remember an epoch of ours after we have forgotten it.
        let ops = sending.scheduler.handle_lane(link.id, now.as_nanos() as u64, now);
        sending.links.push(link.clone());
        link.send_soon(|out| ops.iter().for_each(|op| op.write(out)));
    }

    /// The peer has answered on a connection. Returns whether messages may be given to it from now on that could not before.
    pub(super) fn answered(&self, link: &Link, offset: u64) -> bool {
        let mut sending = self.sending.lock();
        let before = sending.scheduler.is_ready();
        sending.scheduler.handle_got(link.id, offset, (self.clock)());
        !before && sending.scheduler.is_ready()
    }

    /// A connection is over. Returns whether no other one takes messages.
    pub(super) fn leave(&self, link: &Link) -> bool {
        let mut sending = self.sending.lock();
        let Some(at) = sending.links.iter().position(|known| known.id == link.id) else { return false };
        sending.links.swap_remove(at);
        let op = sending.scheduler.handle_lane_end(link.id);
        sending.links.iter().for_each(|link| link.send_soon(|out| op.write(out)));
        !sending.scheduler.is_ready()
    }

    /// What the peer sends.
    pub(super) fn arrivals(&self) -> MutexGuard<'_, Resequencer<Vec<u8>>> {
        self.arrivals.lock()
    }

    /// Sends by the connection that is expected to bring the message first. `false` if there is none.
    pub(crate) fn route<'q>(
        &self,
        account: &[u8],
        message: &Message<'_>,
        errand: Errand<'_>,
        queues: impl Iterator<Item = &'q [u8]>,
        batch: &mut Batch,
    ) -> bool {
        let size = message.body.len() + message.subject.len() + LINE;
        let mut sending = self.sending.lock();
        while let Some(lane) = sending.scheduler.choose(size, || (self.clock)()) {
            let Some(link) = sending.links.iter().find(|link| link.id == lane).cloned() else { return false };
            let mut out = link.outbound();
            if out.is_closing() {
                drop(out);
                sending.scheduler.handle_closing(lane);
                continue;
            }
            let dealt = sending.scheduler.deal(size, || (self.clock)());
            let say = |op: Option<Op>, out: &mut Outbound| {
                if let Some(op) = op {
                    op.write(out.buffer());
                }
            };
            say(dealt.before, &mut out);
            link.append(&mut out, account, message, errand, queues, batch);
            say(dealt.after, &mut out);
            link.appended(out, batch);
            if dealt.after.is_some() {
                sending.probe((self.clock)(), batch);
            }
            return true;
        }
        false
    }
}
