//! The copies of one message, one for each neighbour that some of its receivers are reached by.

use std::sync::Arc;

use natsd_core::route::dag::{MAX_STOPS, Node, wire};
use natsd_core::route::wire::MAX_CONTROL_LINE;

use crate::link::Link;
use crate::link::batch::Batch;

/// Bytes of stops beyond which there is another copy: a line has its limit.
const MAX_STOP_BYTES: usize = MAX_CONTROL_LINE / 2;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Copies {
    copies: Vec<One>,
}

struct One {
    by: Arc<Link>,
    stops: Vec<u8>,
    count: usize,
}

impl Copies {
    /// The server `node`, which is reached `by` that link, gets it: all there, or only members of the groups.
    pub(crate) fn add<'q>(
        &mut self,
        by: Arc<Link>,
        node: Node,
        plain: bool,
        queues: impl Iterator<Item = &'q [u8]> + Clone,
    ) {
        let has_room =
            |one: &&mut One| Arc::ptr_eq(&one.by, &by) && one.count < MAX_STOPS && one.stops.len() < MAX_STOP_BYTES;
        if let Some(one) = self.copies.iter_mut().find(has_room) {
            one.count += 1;
            return wire::write_stop(&mut one.stops, node, plain, queues);
        }
        let mut stops = Vec::new();
        wire::write_stop(&mut stops, node, plain, queues);
        self.copies.push(One { by, stops, count: 1 });
    }

    /// Sends them. `message` is as it left here or came here; it may take another hop.
    pub(crate) fn send(self, message: &wire::Message<'_>, batch: &mut Batch) {
        let Some(hops) = message.hops.checked_sub(1) else { return };
        for One { by, stops, .. } in self.copies {
            let mut onward = *message;
            onward.hops = hops;
            by.forward(&onward, &stops, batch);
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }
}
