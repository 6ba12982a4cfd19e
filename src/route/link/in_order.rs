//! A route that has messages of its own, alone or with others that share them out.

use natsd_core::route::encode::Head;
use natsd_core::route::spread::{Arrival, Op as Order, Resequencer};
use natsd_core::route::wire::Read;
use natsd_core::route::wire::Reader;

use super::{Arc, Batch, CloseReason, HubSide, Introduction, Kind, MAX_HOPS, Message, Op, Slot, Spread};

/// Bytes of a message's line besides what it names, at most.
const LINE: usize = 64;

impl HubSide {
    /// From now on messages of its class may take the connection.
    pub(super) fn join_class(&mut self, peer: &Introduction) {
        let carriers = self.link.server.get().and_then(|server| server.carriers.as_ref());
        let (Some(carriers), Slot::Class(pattern, _)) = (carriers, &peer.slot) else { return };
        let clock = self.clock.clone();
        if let Some(spread) = carriers.spread(pattern, &peer.info, || Spread::new(clock)) {
            spread.join(&self.link);
            self.spread = Some(spread);
        } else {
            carriers.set(pattern, Some(&self.link));
            self.hub.accounts.forget_matches();
        }
    }

    /// What the connection was for goes with all else again, if there is no other one for it.
    pub(super) fn leave_class(&mut self) {
        let Some(server) = self.link.server.get() else { return };
        let (Slot::Class(pattern, _), Some(carriers)) = (&server.slot, &server.carriers) else { return };
        let was_last = match self.spread.take() {
            None => carriers.remove(&self.link),
            Some(spread) => {
                let was_last = spread.leave(&self.link);
                if was_last {
                    carriers.set(pattern, None);
                }
                let mut batch = Batch::default();
                let mut arrivals = spread.arrivals();
                arrivals.handle_lane_end(self.link.id);
                self.deliver_held(&mut arrivals, &mut batch);
                batch.flush(&self.hub);
                was_last
            }
        };
        if was_last {
            self.hub.accounts.forget_matches();
        }
    }

    /// The peer tells of the order of what it sends, or asks.
    pub(super) fn hear_of_order(&mut self, op: Order, batch: &mut Batch) -> Result<(), CloseReason> {
        let Some(spread) = self.spread.clone() else { return Err(CloseReason::ProtocolViolation) };
        match op {
            Order::Sequence(position) => {
                let mut arrivals = spread.arrivals();
                arrivals.handle_sequence(self.link.id, position).map_err(|disorder| {
                    log::error!("{} - closed: {disorder}", self.link.describe());
                    CloseReason::ProtocolViolation
                })?;
                self.deliver_held(&mut arrivals, batch);
            }
            Order::Ask(offset) => self.link.send(batch, |out| Order::Got(offset).write(out)),
            Order::Got(offset) => {
                let server = self.link.server.get();
                if let (true, Some(server)) = (spread.answered(&self.link, offset), server)
                    && let (Slot::Class(pattern, _), Some(carriers)) = (&server.slot, &server.carriers)
                {
                    carriers.set(pattern, Some(&spread.stand_in(&self.hub, server)));
                    self.hub.accounts.forget_matches();
                }
            }
        }
        Ok(())
    }

    /// Delivers a message when its turn has come.
    pub(super) fn deliver_in_order(&mut self, spread: &Arc<Spread>, message: &Message<'_>, batch: &mut Batch) {
        let mut arrivals = spread.arrivals();
        match arrivals.handle_message(self.link.id) {
            Arrival::Next => self.deliver(message, MAX_HOPS, batch),
            Arrival::Early(number) => {
                self.enter(message, batch);
                batch.count_received(Kind::Route, message.body.len());
                let line = line_of(message);
                let size = line.len();
                arrivals.hold(number, line, size);
            }
        }
        self.deliver_held(&mut arrivals, batch);
    }

    fn deliver_held(&mut self, arrivals: &mut Resequencer<Vec<u8>>, batch: &mut Batch) {
        let yielded = arrivals.yielded();
        while let Some(line) = arrivals.poll() {
            if let Ok(Read::Op(Op::Message(message), _)) = Reader::new(false).read(&line)
                && self.enter(&message, batch)
            {
                self.hand_out(&message, MAX_HOPS, batch);
            }
        }
        if arrivals.yielded() > yielded {
            log::warn!(
                "{} - too much waits for messages that another connection is to bring: some overtake these",
                self.link.describe()
            );
        }
    }
}

/// The message as it came.
fn line_of(message: &Message<'_>) -> Vec<u8> {
    let Message { origin, account, subject, reply, queues, queues_only, header_len, body } = *message;
    let names = [origin, account, Some(subject), reply].into_iter().flatten().map(<[u8]>::len).sum::<usize>();
    let mut line = Vec::with_capacity(names + queues.0.len() + body.len() + LINE);
    let head = Head { account, subject, reply, queues_only };
    match origin {
        Some(origin) => head.write_from_leaf(&mut line, origin, queues, header_len, body.len()),
        None => head.write(&mut line, queues, header_len, body.len()),
    }
    line.extend_from_slice(body);
    line.extend_from_slice(b"\r\n");
    line
}
