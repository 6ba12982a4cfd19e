//! What one second or minute of a path amounts to.

use std::fmt;
use std::time::Duration;

use crate::State;

/// Round-trip times of the probes that were answered within a second or minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RttRange {
    /// The shortest.
    pub min: Duration,
    /// The mean, to the microsecond.
    pub mean: Duration,
    /// The longest.
    pub max: Duration,
}

/// A second or a minute of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How long ago it began.
    pub age: Duration,
    /// Of the probes answered in it; `None` if there were none.
    pub rtt: Option<RttRange>,
    /// Probes answered in it, at most 65535.
    pub answered: u32,
    /// Probes that were given up in it, at most 65535. The answers of some may have come later.
    pub lost: u32,
    /// Packets of the traffic that QUIC sent over it, as told once a second.
    pub packets: u32,
    /// Packets of the traffic that QUIC declared lost.
    pub packets_lost: u32,
    /// Bytes of the traffic sent over it, in QUIC datagrams without SCION headers.
    pub bytes: u64,
    /// All states that the path was in.
    pub states: States,
}

/// A [`Sample`] that stays small.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    bytes: u64,
    number: u32,
    /// Microseconds: the shortest, the mean and the longest.
    rtt: [u32; 3],
    packets: u32,
    packets_lost: u32,
    answered: u16,
    lost: u16,
    states: States,
}

const _: () = assert!(size_of::<Packed>() <= 40, "the bound of 26 KiB a path rests on this");

impl Packed {
    /// Which second or minute since the first it is.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn unpack(&self, age: Duration) -> Sample {
        let [min, mean, max] = self.rtt.map(|micros| Duration::from_micros(micros.into()));
        Sample {
            age,
            rtt: (self.answered > 0).then_some(RttRange { min, mean, max }),
            answered: self.answered.into(),
            lost: self.lost.into(),
            packets: self.packets,
            packets_lost: self.packets_lost,
            bytes: self.bytes,
            states: self.states,
        }
    }
}

/// A set of states.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct States(u8);

impl States {
    /// Those in it, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = State> {
        ALL.into_iter().filter(move |state| self.0 & bit(*state) != 0)
    }

    fn insert(&mut self, other: States) {
        self.0 |= other.0;
    }
}

impl FromIterator<State> for States {
    fn from_iter<T: IntoIterator<Item = State>>(states: T) -> Self {
        Self(states.into_iter().fold(0, |bits, state| bits | bit(state)))
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

const ALL: [State; 8] = [
    State::Candidate,
    State::Probing,
    State::Standby,
    State::Active,
    State::Suspect,
    State::Dead,
    State::Probation,
    State::Excluded,
];

fn bit(state: State) -> u8 {
    1 << state as u8
}

/// A second or minute that is not over.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) number: u32,
    /// Whether there is anything worth a sample.
    eventful: bool,
    /// Microseconds.
    rtt_sum: u64,
    rtt_min: u32,
    rtt_max: u32,
    answered: u32,
    lost: u32,
    packets: u64,
    packets_lost: u64,
    bytes: u64,
    states: States,
}

impl Tally {
    /// Nothing yet but the state that the path is in.
    pub(super) fn new(number: u32, state: Option<State>) -> Self {
        Self { number, states: state.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn stands(&mut self, state: State) {
        self.eventful = true;
        self.states.insert([state].into_iter().collect());
    }

    pub(super) fn answered(&mut self, rtt: Duration) {
        let micros = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
        self.merge(&Self {
            eventful: true,
            rtt_sum: micros.into(),
            rtt_min: micros,
            rtt_max: micros,
            answered: 1,
            ..Self::default()
        });
    }

    pub(super) fn missed(&mut self) {
        self.eventful = true;
        self.lost = self.lost.saturating_add(1);
    }

    pub(super) fn traffic(&mut self, packets: u64, lost: u64) {
        self.eventful = true;
        self.packets = self.packets.saturating_add(packets);
        self.packets_lost = self.packets_lost.saturating_add(lost);
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.eventful = true;
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Adds what is in `part`, if there is anything.
    pub(super) fn merge(&mut self, part: &Tally) {
        if !part.eventful {
            return;
        }
        if part.answered > 0 {
            self.rtt_min = if self.answered > 0 { self.rtt_min.min(part.rtt_min) } else { part.rtt_min };
            self.rtt_max = self.rtt_max.max(part.rtt_max);
        }
        self.eventful = true;
        self.rtt_sum = self.rtt_sum.saturating_add(part.rtt_sum);
        self.answered = self.answered.saturating_add(part.answered);
        self.lost = self.lost.saturating_add(part.lost);
        self.packets = self.packets.saturating_add(part.packets);
        self.packets_lost = self.packets_lost.saturating_add(part.packets_lost);
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.states.insert(part.states);
    }

    /// `None` if there is nothing worth a sample.
    pub(super) fn pack(&self) -> Option<Packed> {
        let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        let int = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let mean = self.rtt_sum.checked_div(self.answered.into()).unwrap_or(0);
        self.eventful.then(|| Packed {
            bytes: self.bytes,
            number: self.number,
            rtt: [self.rtt_min, int(mean), self.rtt_max],
            packets: int(self.packets),
            packets_lost: int(self.packets_lost),
            answered: short(self.answered),
            lost: short(self.lost),
            states: self.states,
        })
    }
}
