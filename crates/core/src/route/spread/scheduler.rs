//! The sender: which connection takes the next message.

use std::collections::VecDeque;
use std::time::Duration;

use super::windowed::Windowed;
use super::{Lane, Op, Position};

/// Bytes after which the connection is chosen anew.
const RUN: usize = 16 * 1024;
/// What the rate of a connection is measured over, at least.
const RATE_INTERVAL: Duration = Duration::from_millis(50);
/// How long the shortest delay counts.
const DELAY_WINDOW: Duration = Duration::from_secs(10);
/// How long nothing is asked on a connection before it is asked for the sake of its delay.
const PROBE_AFTER: Duration = Duration::from_millis(500);
/// Questions that may be open on one connection; beyond that nothing more is asked until one is answered.
const MAX_MARKS: usize = 4096;

/// See the [module](super).
#[derive(Debug, Default)]
pub struct Scheduler {
    epoch: u64,
    /// Of the next message.
    number: u64,
    lanes: Vec<State>,
    run: Option<Run>,
}

/// Messages that one connection takes one after the other.
#[derive(Clone, Copy, Debug)]
struct Run {
    lane: Lane,
    left: usize,
}

/// Around the message that is sent next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dealt {
    /// Comes before it.
    pub before: Option<Op>,
    /// Comes after it.
    pub after: Option<Op>,
}

/// An open question.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Bytes sent before.
    sent: u64,
    /// Of these, what was on its way.
    waited: u64,
    at: Duration,
}

#[derive(Debug)]
struct State {
    lane: Lane,
    /// The receiver knows of it.
    ready: bool,
    /// It is about to end.
    closing: bool,
    /// Of the message that the receiver expects next on it.
    told: Position,
    /// Bytes sent, and of those the ones that have come as far as is known.
    sent: u64,
    came: u64,
    /// Open questions.
    marks: VecDeque<Mark>,
    asked: Duration,
    /// Where the rate is measured from: since then there was always something on its way.
    busy: Option<(u64, Duration)>,
    /// Bytes a second.
    rate: Option<f64>,
    /// From a question to its answer.
    delay: Windowed<Duration>,
}

impl State {
    fn new(lane: Lane) -> Self {
        Self {
            lane,
            ready: false,
            closing: false,
            told: Position { epoch: 0, number: 0 },
            sent: 0,
            came: 0,
            marks: VecDeque::new(),
            asked: Duration::ZERO,
            busy: None,
            rate: None,
            delay: Windowed::new(DELAY_WINDOW),
        }
    }

    fn takes_messages(&self) -> bool {
        self.ready && !self.closing
    }

    /// How long a message of `size` bytes is expected to take if it is sent now; at this rate, if it was not measured.
    fn expected(&self, size: usize, rate: Option<f64>, now: Duration) -> Duration {
        let waits = (self.sent - self.came) as f64 + size as f64;
        let queued = self.rate.or(rate).map_or(Duration::ZERO, |rate| Duration::from_secs_f64(waits / rate));
        let overdue = self.marks.front().map_or(Duration::ZERO, |mark| now.saturating_sub(mark.at));
        queued.max(overdue).max(self.delay.get(Duration::min).unwrap_or_default())
    }

    fn ask(&mut self, now: Duration) -> Option<Op> {
        (self.marks.len() < MAX_MARKS).then(|| {
            self.asked = now;
            self.marks.push_back(Mark { sent: self.sent, waited: self.sent - self.came, at: now });
            Op::Ask(self.sent)
        })
    }

    fn answered(&mut self, offset: u64, now: Duration) {
        let mut last = None;
        while self.marks.front().is_some_and(|mark| mark.sent <= offset) {
            last = self.marks.pop_front();
        }
        let Some(mark) = last else { return };
        self.came = mark.sent;
        self.ready = true;
        let took = now.saturating_sub(mark.at);
        self.delay.update(took, now, Duration::min);
        // At least as much: a path that is given little would otherwise never show that it can carry more.
        if mark.waited > 0 && !took.is_zero() {
            let least = mark.waited as f64 / took.as_secs_f64();
            self.rate = Some(self.rate.map_or(least, |rate| rate.max(least)));
        }
        let (from, since) = *self.busy.get_or_insert((self.came, now));
        let interval = now.saturating_sub(since);
        if interval >= RATE_INTERVAL && self.came > from {
            let sample = (self.came - from) as f64 / interval.as_secs_f64();
            self.rate = Some(self.rate.map_or(sample, |rate| f64::midpoint(rate, sample)));
            self.busy = Some((self.came, now));
        }
        if self.marks.is_empty() {
            self.busy = None;
        }
    }
}

impl Scheduler {
    /// A connection is there. Says what is to be sent on it; it takes messages once that is answered. `epoch` begins if there
    /// is no other one; it must be higher than all before.
    pub fn handle_lane(&mut self, lane: Lane, epoch: u64, now: Duration) -> [Op; 2] {
        if self.lanes.is_empty() {
            (self.epoch, self.number) = (epoch.max(self.epoch + 1), 1);
        }
        let mut state = State::new(lane);
        state.told = Position { epoch: self.epoch, number: self.number };
        state.ask(now);
        self.lanes.push(state);
        [Op::Sequence(self.position()), Op::Ask(0)]
    }

    /// The receiver has answered on a connection. Answers to what was not asked are ignored.
    pub fn handle_got(&mut self, lane: Lane, offset: u64, now: Duration) {
        if let Some(state) = self.lanes.iter_mut().find(|state| state.lane == lane) {
            state.answered(offset, now);
        }
    }

    /// A connection is over. Says what is to be sent on each of the others, so that the receiver does not wait for what was
    /// lost with it.
    pub fn handle_lane_end(&mut self, lane: Lane) -> Op {
        self.lanes.retain(|state| state.lane != lane);
        self.run = self.run.filter(|run| run.lane != lane);
        let position = self.position();
        self.lanes.iter_mut().for_each(|state| state.told = position);
        Op::Sequence(position)
    }

    /// A connection is about to end: it takes no more messages.
    pub fn handle_closing(&mut self, lane: Lane) {
        self.run = self.run.filter(|run| run.lane != lane);
        if let Some(state) = self.lanes.iter_mut().find(|state| state.lane == lane) {
            state.closing = true;
        }
    }

    /// Whether there is a connection that takes messages.
    pub fn is_ready(&self) -> bool {
        self.lanes.iter().any(State::takes_messages)
    }

    /// The connections.
    pub fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.lanes.iter().map(|state| state.lane)
    }

    /// The connection that takes the next message, of `size` bytes. The time is asked for only when it is chosen anew. `None`
    /// if none is ready.
    pub fn choose(&mut self, size: usize, now: impl FnOnce() -> Duration) -> Option<Lane> {
        if let Some(run) = self.run.filter(|run| run.left > 0) {
            return Some(run.lane);
        }
        let now = now();
        let highest = self.lanes.iter().filter_map(|state| state.rate).reduce(f64::max);
        let ready = self.lanes.iter().filter(|state| state.takes_messages());
        let best = ready.min_by_key(|state| state.expected(size, highest, now))?;
        self.run = Some(Run { lane: best.lane, left: RUN });
        self.run.map(|run| run.lane)
    }

    /// The connection that was [chosen](Self::choose) takes the message.
    pub fn deal(&mut self, size: usize, now: impl FnOnce() -> Duration) -> Dealt {
        let position = self.position();
        let Some(run) = &mut self.run else { return Dealt::default() };
        let Some(state) = self.lanes.iter_mut().find(|state| state.lane == run.lane) else { return Dealt::default() };
        let before = (state.told != position).then_some(Op::Sequence(position));
        self.number += 1;
        state.told = Position { number: self.number, ..position };
        state.sent += size as u64;
        run.left = run.left.saturating_sub(size);
        let after = if run.left == 0 { state.ask(now()) } else { None };
        Dealt { before, after }
    }

    /// What is to be sent on a connection that has had nothing to do for a while: its path may have become a better one. To be
    /// called after each question that [`deal`](Self::deal) asks.
    pub fn poll_probe(&mut self, now: Duration) -> Option<(Lane, Op)> {
        let is_due = |state: &&mut State| state.marks.is_empty() && now >= state.asked + PROBE_AFTER;
        let state = self.lanes.iter_mut().filter(|state| state.takes_messages()).find(is_due)?;
        Some((state.lane, state.ask(now)?))
    }

    fn position(&self) -> Position {
        Position { epoch: self.epoch, number: self.number }
    }
}
