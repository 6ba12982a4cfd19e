//! How long a certificate is good for.

use std::time::{Duration, SystemTime};

/// How long before its end a certificate is replaced at most; a short one when a third of its life is left.
const AHEAD: Duration = Duration::from_secs(30 * 24 * 3600);

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) begins: SystemTime,
    pub(crate) ends: SystemTime,
}

impl Validity {
    /// When it is to be replaced.
    pub(crate) fn due(&self) -> SystemTime {
        let life = self.ends.duration_since(self.begins).unwrap_or_default();
        self.ends.checked_sub(AHEAD.min(life / 3)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(24 * 3600) * day
    }

    #[test]
    fn a_certificate_is_replaced_a_month_or_a_third_of_its_life_before_it_ends() {
        for (life, due) in [(3650, 3620), (90, 60), (30, 20), (3, 2)] {
            assert_eq!(Validity { begins: SystemTime::UNIX_EPOCH, ends: day(life) }.due(), day(due), "{life} days");
        }
        let odd = Validity { begins: day(5), ends: day(4) };
        assert_eq!(odd.due(), day(4), "one that never holds is replaced at once when it ends");
    }
}
