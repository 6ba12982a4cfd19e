//! The receiver: brings messages into order.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use super::{Lane, Position};

/// Bytes of messages that wait for others before them. Beyond that they go ahead of these: order yields, messages do not.
pub const MAX_HELD_BYTES: usize = 32 << 20;
/// The same, messages.
pub const MAX_HELD_MESSAGES: usize = 1 << 17;

/// A peer says of a connection what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("numbers of messages that go back from {before:?} to {after:?}")]
pub struct Disorder {
    /// What was expected at least.
    pub before: Position,
    /// What was said.
    pub after: Position,
}

/// What becomes of a message that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next one.
    Next,
    /// It waits for others: [`hold`](Resequencer::hold) it under this number.
    Early(u64),
}

/// See the [module](super).
#[derive(Debug)]
pub struct Resequencer<T> {
    epoch: u64,
    /// All before it are delivered, or lost.
    next: u64,
    held: BTreeMap<u64, (T, usize)>,
    bytes: usize,
    ready: VecDeque<T>,
    lanes: Vec<(Lane, Position)>,
    yielded: u64,
}

impl<T> Default for Resequencer<T> {
    fn default() -> Self {
        let (held, ready) = Default::default();
        Self { epoch: 0, next: 1, held, bytes: 0, ready, lanes: Vec::new(), yielded: 0 }
    }
}

impl<T> Resequencer<T> {
    /// The next message on a connection has this number. Afterwards, [`poll`](Self::poll).
    ///
    /// # Errors
    /// If that was used on the connection already.
    pub fn handle_sequence(&mut self, lane: Lane, position: Position) -> Result<(), Disorder> {
        match self.lanes.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, before)) if position < *before => {
                return Err(Disorder { before: *before, after: position });
            }
            Some((_, before)) => *before = position,
            None => self.lanes.push((lane, position)),
        }
        if position.epoch > self.epoch {
            self.release();
            (self.epoch, self.next) = (position.epoch, 1);
        }
        Ok(())
    }

    /// A message has come on a connection. Afterwards, [`poll`](Self::poll).
    pub fn handle_message(&mut self, lane: Lane) -> Arrival {
        let Some((_, position)) = self.lanes.iter_mut().find(|(known, _)| *known == lane) else { return Arrival::Next };
        let Position { epoch, number } = *position;
        position.number = number.saturating_add(1);
        if epoch != self.epoch || number < self.next {
            return Arrival::Next;
        }
        if number == self.next {
            self.next += 1;
            return Arrival::Next;
        }
        Arrival::Early(number)
    }

    /// Keeps a message of `size` bytes that came early. Afterwards, [`poll`](Self::poll).
    pub fn hold(&mut self, number: u64, message: T, size: usize) {
        if let Some((twice, size)) = self.held.insert(number, (message, size)) {
            self.bytes -= size;
            self.ready.push_back(twice);
        }
        self.bytes += size;
    }

    /// A connection is over: what it had to bring and did not is lost. Afterwards, [`poll`](Self::poll).
    pub fn handle_lane_end(&mut self, lane: Lane) {
        self.lanes.retain(|(known, _)| *known != lane);
    }

    /// A message whose turn it is.
    pub fn poll(&mut self) -> Option<T> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        let first = *self.held.keys().next()?;
        let full = self.bytes > MAX_HELD_BYTES || self.held.len() > MAX_HELD_MESSAGES;
        if first > self.next {
            if first > self.settled() && !full {
                return None;
            }
            self.yielded += u64::from(first > self.settled());
        }
        let (number, (message, size)) = self.held.pop_first()?;
        self.bytes -= size;
        self.next = self.next.max(number + 1);
        Some(message)
    }

    /// How often order had to yield because too much waited.
    pub fn yielded(&self) -> u64 {
        self.yielded
    }

    /// Messages that wait.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// No connection brings what is before this number any more.
    fn settled(&self) -> u64 {
        let current = self.lanes.iter().filter(|(_, position)| position.epoch == self.epoch);
        current.map(|(_, position)| position.number).min().unwrap_or(u64::MAX)
    }

    /// What waits does not wait any longer.
    fn release(&mut self) {
        self.bytes = 0;
        self.ready.extend(std::mem::take(&mut self.held).into_values().map(|(message, _)| message));
    }
}
