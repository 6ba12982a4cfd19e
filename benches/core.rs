//! What a message costs in `natsd-core`: reading it, and finding who gets it. `cargo bench --bench core -- [FILTER]`.
//!
//! Each figure is the median of several rounds on one thread, in nanoseconds of wall time for one operation: it means
//! something only on a machine that does nothing else.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use natsd_core::encode::Message;
use natsd_core::parser::{self, Limits, Read};
use natsd_core::sublist::{Member, Sublist, Visitor};

/// Rounds of which the median counts.
const ROUNDS: usize = 11;
/// How long a round takes at least.
const ROUND: Duration = Duration::from_millis(50);

fn main() {
    // Cargo passes `--bench`.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let run = |name: &str, bench: &dyn Fn(&str)| {
        if name.contains(&filter) {
            bench(name);
        }
    };
    for size in [16, 128, 1024] {
        run(&format!("parser/PUB {size} B"), &|name| parse(name, "PUB orders.eu.new", size));
        run(&format!("encoder/MSG {size} B"), &|name| encode(name, size));
    }
    run("parser/PUB with reply", &|name| parse(name, "PUB orders.eu.new _INBOX.abcdefghijklmnop.1", 128));
    for (name, count) in [("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000)] {
        run(&format!("sublist/match among {name}"), &|title| find(title, count));
    }
    run("sublist/insert and remove", &insert_and_remove);
}

/// Calls `operation`, which does `per_call` things at a time, and prints what one of them takes.
fn measure(name: &str, per_call: usize, mut operation: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..=ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let mut done = 0;
            while start.elapsed() < ROUND {
                operation();
                done += per_call;
            }
            start.elapsed().as_secs_f64() * 1e9 / done as f64
        })
        // The first one warms up.
        .skip(1)
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:<28} {:>8.1} ns  ({:.1} to {:.1})", rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
}

fn parse(name: &str, line: &str, size: usize) {
    const MESSAGES: usize = 256;
    let input = format!("{line} {size}\r\n{}\r\n", "x".repeat(size)).repeat(MESSAGES);
    let limits = Limits { max_control_line: 4096, max_payload: 1 << 20, headers: true };
    measure(name, MESSAGES, || {
        let mut rest = black_box(input.as_bytes());
        while !rest.is_empty() {
            match parser::read(rest, &limits) {
                Ok(Read::Op(op, taken)) => {
                    black_box(op);
                    rest = &rest[taken..];
                }
                other => panic!("{other:?} at {} bytes before the end", rest.len()),
            }
        }
    });
}

fn encode(name: &str, size: usize) {
    const MESSAGES: usize = 256;
    let body = "x".repeat(size);
    let message = Message { subject: b"orders.eu.new", reply: None, header_len: 0, body: body.as_bytes() };
    let mut out = Vec::new();
    measure(name, MESSAGES, || {
        out.clear();
        for _ in 0..MESSAGES {
            black_box(&message).write(&mut out, b"1");
        }
        black_box(&out);
    });
}

#[derive(Default)]
struct Subscription {
    place: AtomicU32,
}

impl Member for Subscription {
    fn place(&self) -> u32 {
        self.place.load(Relaxed)
    }

    fn set_place(&self, place: u32) {
        self.place.store(place, Relaxed);
    }
}

#[derive(Default)]
struct Count(usize);

impl Visitor<Subscription> for Count {
    fn plain(&mut self, members: &[Arc<Subscription>]) {
        self.0 += members.len();
    }

    fn group(&mut self, _queue: &[u8], members: &[Arc<Subscription>]) {
        self.0 += members.len();
    }
}

/// Subject of the subscription `number`: 60 % literal, 30 % with a `*`, 10 % with a `>`.
fn pattern(number: usize) -> String {
    let (region, item) = (number % 97, number / 10);
    match number % 10 {
        0..6 => format!("shop.{region}.item.{item}.{}", number % 10),
        6..9 => format!("shop.*.item.{item}.{}", number % 10),
        _ => format!("shop.{region}.item.{item}.>"),
    }
}

fn find(name: &str, subscriptions: usize) {
    const SUBJECTS: usize = 4096;
    let mut list = Sublist::with_seed(7);
    for number in 0..subscriptions {
        list.insert(pattern(number).as_bytes(), None, Arc::new(Subscription::default()));
    }
    let mut rng = fastrand::Rng::with_seed(7);
    let subjects: Vec<_> = (0..SUBJECTS)
        .map(|_| {
            let number = rng.usize(..subscriptions);
            format!("shop.{}.item.{}.{}", number % 97, number / 10, number % 10)
        })
        .collect();
    measure(name, SUBJECTS, || {
        let mut found = Count::default();
        for subject in &subjects {
            list.matches(subject.as_bytes(), &mut found);
        }
        black_box(found.0);
    });
}

fn insert_and_remove(name: &str) {
    const SUBSCRIPTIONS: usize = 10_000;
    let subjects: Vec<_> = (0..SUBSCRIPTIONS).map(pattern).collect();
    let members: Vec<_> = (0..SUBSCRIPTIONS).map(|_| Arc::new(Subscription::default())).collect();
    let mut list = Sublist::with_seed(7);
    measure(name, SUBSCRIPTIONS, || {
        for (subject, member) in subjects.iter().zip(&members) {
            list.insert(subject.as_bytes(), None, member.clone());
        }
        for (subject, member) in subjects.iter().zip(&members) {
            list.remove(subject.as_bytes(), None, member);
        }
        assert!(list.is_empty(), "all that was added was removed");
    });
}
