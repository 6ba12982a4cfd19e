use std::collections::BinaryHeap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::route::wire::{self, Read, Reader, WireError};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn lines_are_read_as_they_are_written() {
    for op in [Op::Sequence(Position { epoch: u64::MAX, number: 7 }), Op::Ask(0), Op::Got(1 << 40)] {
        let mut line = Vec::new();
        op.write(&mut line);
        assert_eq!(Reader::default().read(&line), Ok(Read::Op(wire::Op::Spread(op), line.len())));
    }
    for line in ["SEQ 1\r\n", "SEQ 1 2 3\r\n", "SEQ x 1\r\n", "ASK\r\n", "ASK -1\r\n", "GOT 99999999999999999999\r\n"] {
        assert!(matches!(Reader::default().read(line.as_bytes()), Err(WireError::Malformed(_))), "{line:?}");
    }
}

/// What is on its way on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Op(Op),
    Message(u64),
}

/// A connection over a path of some rate and delay.
struct Wire {
    lane: Lane,
    /// Bytes a second, and for how long.
    rate: f64,
    delay: Duration,
    free: Duration,
    carried: usize,
}

/// When something comes, at which lane, whether at the sender; a heap gives what comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due(std::cmp::Reverse<(Duration, u64)>);

/// Both ends, and what is between them.
#[derive(Default)]
struct Ground {
    now: Duration,
    scheduler: Scheduler,
    resequencer: Resequencer<u64>,
    wires: Vec<Wire>,
    due: BinaryHeap<Due>,
    items: std::collections::HashMap<u64, (Lane, bool, Item)>,
    serial: u64,
    got: Vec<u64>,
    most_held: usize,
}

const SIZE: usize = 1024;

impl Ground {
    fn new(wires: &[(f64, u64)]) -> Self {
        let mut ground = Self::default();
        for (lane, &(rate, delay)) in wires.iter().enumerate() {
            ground.wires.push(Wire { lane: lane as Lane, rate, delay: MS(delay), free: MS(0), carried: 0 });
            for op in ground.scheduler.handle_lane(lane as Lane, 1, ground.now) {
                ground.send(lane as Lane, Item::Op(op));
            }
        }
        ground.run_for(MS(1000));
        ground
    }

    fn come(&mut self, at: Duration, lane: Lane, back: bool, item: Item) {
        self.serial += 1;
        self.items.insert(self.serial, (lane, back, item));
        self.due.push(Due(std::cmp::Reverse((at, self.serial))));
    }

    fn send(&mut self, lane: Lane, item: Item) {
        let now = self.now;
        let Some(wire) = self.wires.iter_mut().find(|wire| wire.lane == lane) else { return };
        let size = if matches!(item, Item::Message(_)) { SIZE } else { 16 };
        wire.free = wire.free.max(now) + Duration::from_secs_f64(size as f64 / wire.rate);
        wire.carried += size;
        let at = wire.free + wire.delay;
        self.come(at, lane, false, item);
    }

    fn publish(&mut self, number: u64) {
        let now = self.now;
        let lane = self.scheduler.choose(SIZE, || now).expect("there is one");
        let dealt = self.scheduler.deal(SIZE, || now);
        let items = [dealt.before.map(Item::Op), Some(Item::Message(number)), dealt.after.map(Item::Op)];
        items.into_iter().flatten().for_each(|item| self.send(lane, item));
        while dealt.after.is_some()
            && let Some((lane, op)) = self.scheduler.poll_probe(now)
        {
            self.send(lane, Item::Op(op));
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Due(std::cmp::Reverse((at, serial)))) = self.due.pop() {
            if at > end {
                self.due.push(Due(std::cmp::Reverse((at, serial))));
                break;
            }
            self.now = at;
            let (lane, back, item) = self.items.remove(&serial).expect("it is there");
            if let Some(delay) = self.wires.iter().find(|wire| wire.lane == lane).map(|wire| wire.delay) {
                self.arrive(lane, back, item, delay);
            }
        }
        self.now = end;
    }

    fn arrive(&mut self, lane: Lane, back: bool, item: Item, delay: Duration) {
        match item {
            Item::Op(Op::Got(offset)) if back => self.scheduler.handle_got(lane, offset, self.now),
            Item::Op(Op::Ask(offset)) => self.come(self.now + delay, lane, true, Item::Op(Op::Got(offset))),
            Item::Op(Op::Sequence(position)) => self.resequencer.handle_sequence(lane, position).expect("it goes on"),
            Item::Op(Op::Got(_)) => unreachable!("it comes back"),
            Item::Message(number) => match self.resequencer.handle_message(lane) {
                Arrival::Next => self.got.push(number),
                Arrival::Early(at) => self.resequencer.hold(at, number, SIZE),
            },
        }
        self.most_held = self.most_held.max(self.resequencer.held());
        self.got.extend(std::iter::from_fn(|| self.resequencer.poll()));
    }

    /// The connection breaks, with all that is on its way.
    fn break_off(&mut self, lane: Lane) {
        self.wires.retain(|wire| wire.lane != lane);
        let op = self.scheduler.handle_lane_end(lane);
        for other in self.scheduler.lanes().collect::<Vec<_>>() {
            self.send(other, Item::Op(op));
        }
        self.resequencer.handle_lane_end(lane);
        self.got.extend(std::iter::from_fn(|| self.resequencer.poll()));
    }

    /// Publishes at so many bytes a second for so long, in steps of a millisecond.
    fn publish_at(&mut self, rate: f64, time: Duration, first: u64) -> u64 {
        let (start, mut number) = (self.now, first);
        while self.now < start + time {
            while (number - first) as f64 * (SIZE as f64) < rate * (self.now - start).as_secs_f64() {
                self.publish(number);
                number += 1;
            }
            self.run_for(MS(1));
        }
        number
    }
}

const MBIT: f64 = 125_000.0;

#[test]
fn paths_carry_in_proportion_to_what_they_can_and_order_is_kept() {
    let mut ground = Ground::new(&[(20.0 * MBIT, 10), (10.0 * MBIT, 30), (5.0 * MBIT, 5)]);
    let count = ground.publish_at(36.0 * MBIT, Duration::from_secs(10), 0);
    ground.run_for(Duration::from_secs(5));
    assert!(ground.got.iter().copied().eq(0..count), "all came once and in order");
    let all: usize = ground.wires.iter().map(|wire| wire.carried).sum();
    let shares: Vec<_> = ground.wires.iter().map(|wire| wire.carried * 100 / all).collect();
    for (share, fair) in shares.iter().zip([57, 29, 14]) {
        assert!(share.abs_diff(fair) <= 4, "{shares:?}");
    }
    assert!(ground.most_held * SIZE < 2 << 20, "{} messages waited", ground.most_held);
}

/// As congestion control makes of every path at first.
#[test]
fn a_path_that_was_slow_at_first_gets_its_share_soon() {
    let mut ground = Ground::new(&[(20.0 * MBIT, 10), (0.5 * MBIT, 10), (0.5 * MBIT, 40)]);
    let count = ground.publish_at(15.0 * MBIT, MS(200), 0);
    ground.wires.iter_mut().for_each(|wire| (wire.rate, wire.carried) = (20.0 * MBIT, 0));
    ground.publish_at(60.0 * MBIT, MS(1500), count);
    let shares: Vec<_> = ground.wires.iter().map(|wire| wire.carried / 1000).collect();
    assert!(shares.iter().min() > Some(&2500), "of 11,250 kB, {shares:?} kB");
}

#[test]
fn what_one_path_can_carry_takes_the_one_of_the_least_delay() {
    let mut ground = Ground::new(&[(20.0 * MBIT, 40), (20.0 * MBIT, 5)]);
    ground.publish_at(MBIT, Duration::from_secs(10), 0);
    let [far, near] = [0, 1].map(|at: usize| ground.wires[at].carried);
    assert!(far * 20 < near, "{far} beside {near}");
}

#[test]
fn a_path_that_became_better_is_found() {
    let mut ground = Ground::new(&[(20.0 * MBIT, 40), (20.0 * MBIT, 200)]);
    let count = ground.publish_at(MBIT, Duration::from_secs(1), 0);
    ground.wires[1].delay = MS(5);
    ground.wires.iter_mut().for_each(|wire| wire.carried = 0);
    ground.publish_at(MBIT, Duration::from_secs(4), count);
    assert!(ground.wires[1].carried > 2 * ground.wires[0].carried, "{}", ground.wires[1].carried);
}

#[test]
fn a_path_that_has_died_gets_little_more() {
    let mut ground = Ground::new(&[(20.0 * MBIT, 10), (20.0 * MBIT, 10)]);
    let count = ground.publish_at(30.0 * MBIT, Duration::from_secs(2), 0);
    ground.wires[0].delay = Duration::from_secs(60);
    let before = ground.wires[0].carried;
    ground.publish_at(15.0 * MBIT, Duration::from_secs(2), count);
    assert!(ground.wires[0].carried - before < 500_000, "{}", ground.wires[0].carried - before);
}

#[test]
fn nothing_waits_for_what_was_lost_with_a_connection() {
    let mut ground = Ground::new(&[(20.0 * MBIT, 10), (20.0 * MBIT, 50)]);
    let count = ground.publish_at(30.0 * MBIT, Duration::from_secs(1), 0);
    ground.break_off(1);
    ground.publish(count);
    ground.run_for(Duration::from_secs(1));
    assert_eq!(ground.resequencer.held(), 0);
    assert_eq!(ground.got.last(), Some(&count));
    assert!(ground.got.is_sorted());
    ground.break_off(0);
    assert!(!ground.scheduler.is_ready());
    for op in ground.scheduler.handle_lane(7, 1, ground.now) {
        if let Op::Sequence(position) = op {
            assert_eq!(position, Position { epoch: 2, number: 1 }, "a new epoch, whatever the clock says");
        }
    }
}

#[test]
fn a_connection_takes_nothing_before_the_receiver_knows_of_it() {
    let mut scheduler = Scheduler::default();
    let ops = scheduler.handle_lane(1, 9, MS(0));
    assert_eq!(ops, [Op::Sequence(Position { epoch: 9, number: 1 }), Op::Ask(0)]);
    assert_eq!(scheduler.choose(1, || MS(1)), None);
    scheduler.handle_got(1, 0, MS(20));
    assert_eq!(scheduler.choose(1, || MS(21)), Some(1));
    assert_eq!(scheduler.deal(1, || MS(21)), Dealt::default(), "its number was told with the connection");
    scheduler.handle_lane(2, 9, MS(30));
    scheduler.handle_got(2, 0, MS(31));
    assert_eq!(scheduler.choose(1, || MS(32)), Some(1), "until its run is over");
    let dealt = scheduler.deal(1 << 20, || MS(33));
    assert_eq!((dealt.before, dealt.after), (None, Some(Op::Ask(1 + (1 << 20)))));
    assert_eq!(scheduler.choose(1, || MS(34)), Some(2));
    let told = Op::Sequence(Position { epoch: 9, number: 3 });
    assert_eq!(scheduler.deal(1, || MS(34)), Dealt { before: Some(told), after: None });
    scheduler.handle_got(1, 77, MS(40));
    scheduler.handle_got(5, 1, MS(40));
}

#[test]
fn order_yields_before_too_much_waits() {
    let mut resequencer = Resequencer::default();
    let at = |number| Position { epoch: 1, number };
    resequencer.handle_sequence(1, at(1)).unwrap();
    resequencer.handle_sequence(2, at(2)).unwrap();
    let half = MAX_HELD_BYTES / 2;
    for number in 2..=4 {
        assert_eq!(resequencer.handle_message(2), Arrival::Early(number));
        resequencer.hold(number, number, half);
    }
    assert_eq!(std::iter::from_fn(|| resequencer.poll()).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(resequencer.yielded(), 1);
    assert_eq!(resequencer.handle_message(1), Arrival::Next, "late, but not lost");
    let back = resequencer.handle_sequence(2, at(2)).unwrap_err();
    assert_eq!(back, Disorder { before: at(5), after: at(2) });
}

#[test]
fn a_new_epoch_leaves_nothing_of_the_old_one_behind() {
    let mut resequencer = Resequencer::default();
    resequencer.handle_sequence(1, Position { epoch: 1, number: 1 }).unwrap();
    resequencer.handle_sequence(2, Position { epoch: 1, number: 5 }).unwrap();
    assert_eq!(resequencer.handle_message(2), Arrival::Early(5));
    resequencer.hold(5, 'a', 1);
    resequencer.handle_sequence(3, Position { epoch: 2, number: 1 }).unwrap();
    assert_eq!(resequencer.poll(), Some('a'));
    assert_eq!(resequencer.handle_message(1), Arrival::Next, "of the old epoch");
    assert_eq!(resequencer.handle_message(3), Arrival::Next);
}

proptest! {
    /// Paths of any kind, connections that break and come back at any time.
    #[test]
    fn whatever_happens_nothing_is_doubled_or_overtaken_and_only_broken_connections_lose(
        wires in proptest::collection::vec((1.0f64..50.0, 0u64..200), 1..5),
        rates in proptest::collection::vec(0.1f64..60.0, 1..8),
        breaks in proptest::collection::vec(any::<(u8, bool)>(), 0..6),
    ) {
        let wires: Vec<_> = wires.iter().map(|(rate, delay)| (rate * MBIT, *delay)).collect();
        let mut ground = Ground::new(&wires);
        let (mut count, mut lossless) = (0, true);
        for (at, rate) in rates.iter().enumerate() {
            if ground.scheduler.is_ready() {
                count = ground.publish_at(rate * MBIT, MS(200), count);
            }
            let Some(&(which, comes_back)) = breaks.get(at) else { continue };
            let lane = Lane::from(which) % wires.len() as Lane;
            let broken = ground.scheduler.lanes().find(|known| known % wires.len() as Lane == lane);
            if let Some(broken) = broken {
                lossless = false;
                ground.break_off(broken);
            }
            if comes_back {
                let (rate, delay) = wires[lane as usize];
                let lane = lane + wires.len() as Lane * (at as Lane + 1);
                ground.wires.push(Wire { lane, rate, delay: MS(delay), free: ground.now, carried: 0 });
                for op in ground.scheduler.handle_lane(lane, 1, ground.now) {
                    ground.send(lane, Item::Op(op));
                }
                ground.run_for(MS(500));
            }
        }
        ground.run_for(Duration::from_secs(600));
        prop_assert!(ground.got.is_sorted_by(|before, after| before < after), "in order, none twice");
        prop_assert_eq!(ground.resequencer.held(), 0);
        prop_assert!(!lossless || ground.got.len() as u64 == count);
    }

    /// A peer may say anything.
    #[test]
    fn a_peer_that_lies_ends_nothing_but_its_own_order(
        events in proptest::collection::vec((0u64..3, 0u64..4, 0u64..9, 0u8..4), 0..200),
    ) {
        let mut resequencer = Resequencer::default();
        let (mut came, mut gone) = (0, 0);
        for (lane, epoch, number, what) in events {
            match what {
                0 => { let _ = resequencer.handle_sequence(lane, Position { epoch, number }); }
                1 => resequencer.handle_lane_end(lane),
                _ => {
                    came += 1;
                    match resequencer.handle_message(lane) {
                        Arrival::Next => gone += 1,
                        Arrival::Early(number) => resequencer.hold(number, (), 1),
                    }
                }
            }
            gone += std::iter::from_fn(|| resequencer.poll()).count();
            prop_assert_eq!(came, gone + resequencer.held());
        }
        (0..3).for_each(|lane| resequencer.handle_lane_end(lane));
        gone += std::iter::from_fn(|| resequencer.poll()).count();
        prop_assert_eq!(came, gone, "nothing is lost");
    }
}
