//! Probe tokens and probe jitter, both drawn from the seed the driver gave.

use std::time::Duration;

use crate::siphash::siphash24;

/// A stream of 64 bit values that nobody without the seed can foretell: SipHash of a counter.
pub(crate) struct Tokens {
    key: (u64, u64),
    counter: u64,
}

impl Tokens {
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: (seed, splitmix(seed)), counter: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        siphash24(self.key.0, self.key.1, &self.counter.to_le_bytes())
    }

    /// A duration from nothing up to `most`.
    pub(crate) fn jitter(&mut self, most: Duration) -> Duration {
        most.mul_f64((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// One step of SplitMix64: spreads a 64 bit seed over the second half of the key.
fn splitmix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_seed_gives_other_tokens() {
        let (mut a, mut b) = (Tokens::new(1), Tokens::new(2));
        assert!((0..100).all(|_| a.next() != b.next()));
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let mut tokens = Tokens::new(7);
        let most = Duration::from_millis(50);
        assert!((0..1000).all(|_| tokens.jitter(most) < most));
    }
}
