//! When a running server looks at its certificate, and what it does then. Free of IO: the time is a parameter.

use std::time::{Duration, SystemTime};

use super::renewal::Seen;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Between two looks: the files may be replaced by somebody else, and the clock may be set.
const LOOK: Duration = HOUR;
/// Between two attempts to make a certificate.
const RETRY: Duration = Duration::from_secs(5 * 60);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is another one than that in use: handshakes begin with it from now on.
    Adopt,
    /// It ends soon: another one is made.
    Renew,
    /// It ends soon, and nobody here can make another one.
    Warn,
}

/// Says once a day what is to be said; at once, if the clock was set back.
#[derive(Default)]
pub(crate) struct Daily(Option<SystemTime>);

impl Daily {
    /// Whether it is to be said now, which it will be then.
    pub(crate) fn is_time(&mut self, now: SystemTime) -> bool {
        let quiet = self.0.and_then(|said| now.duration_since(said).ok()).is_some_and(|since| since < DAY);
        if !quiet {
            self.0 = Some(now);
        }
        !quiet
    }
}

/// See the [module](self).
pub(crate) struct Schedule {
    used: Option<[u8; 32]>,
    warned: Daily,
    due: Option<SystemTime>,
    tried: bool,
}

impl Schedule {
    /// For a server that uses `seen`.
    pub(crate) fn new(seen: Option<&Seen>) -> Self {
        let due = seen.map(|seen| seen.validity.due());
        Self { used: seen.map(|seen| seen.digest), warned: Daily::default(), due, tried: false }
    }

    /// What is to be done with what is in the directory now; nothing is known of files that cannot be read.
    pub(crate) fn look(&mut self, seen: Option<&Seen>, now: SystemTime) -> Option<Step> {
        self.tried = false;
        let seen = seen?;
        self.due = Some(seen.validity.due());
        if self.used != Some(seen.digest) {
            self.used = Some(seen.digest);
            self.warned = Daily::default();
            return Some(Step::Adopt);
        }
        if now < seen.validity.due() {
            return None;
        }
        if seen.renewable {
            self.tried = true;
            return Some(Step::Renew);
        }
        self.warned.is_time(now).then_some(Step::Warn)
    }

    /// How long to wait until the next look.
    pub(crate) fn wait(&self, now: SystemTime) -> Duration {
        if self.tried {
            return RETRY;
        }
        let left = self.due.and_then(|due| due.duration_since(now).ok()).filter(|left| !left.is_zero());
        left.map_or(LOOK, |left| left.min(LOOK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Validity;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn day(day: u32) -> SystemTime {
        START + DAY * day
    }

    fn seen(ends: u32, mark: u8, renewable: bool) -> Seen {
        Seen { validity: Validity { begins: START, ends: day(ends) }, digest: [mark; 32], renewable }
    }

    /// The days on which something is done, as `act` does it to what is in the directory.
    fn run(days: u32, directory: &mut Seen, mut act: impl FnMut(Step, u32, &mut Seen)) -> Vec<(u32, Step)> {
        let (mut schedule, mut now) = (Schedule::new(Some(directory)), START);
        let (mut done, mut looks) = (Vec::new(), 0);
        while now < day(days) {
            let today = now.duration_since(START).expect("it goes on").as_secs() / DAY.as_secs();
            if let Some(step) = schedule.look(Some(directory), now) {
                act(step, today as u32, directory);
                done.push((today as u32, step));
            }
            let wait = schedule.wait(now);
            assert!(!wait.is_zero() && wait <= LOOK);
            now += wait;
            looks += 1;
        }
        assert!(looks <= days * 24 * 13, "{looks} looks");
        done
    }

    #[test]
    fn what_can_be_renewed_is_and_comes_into_use() {
        let mut directory = seen(90, 1, true);
        let done = run(200, &mut directory, |step, today, directory| {
            if step == Step::Renew {
                let validity = Validity { begins: day(today), ends: day(today + 90) };
                *directory = Seen { validity, digest: [today as u8; 32], ..*directory };
            }
        });
        let expected =
            [(60, Step::Renew), (60, Step::Adopt), (120, Step::Renew), (120, Step::Adopt), (180, Step::Renew)];
        assert_eq!(done[..5], expected);
    }

    #[test]
    fn what_fails_is_tried_again_and_what_cannot_be_renewed_is_told_once_a_day() {
        let mut renewable = seen(3, 1, true);
        let tries = run(3, &mut renewable, |_, _, _| ());
        assert_eq!(tries.len(), 24 * 12, "each five minutes of the last day");
        let mut bare = seen(30, 1, false);
        let told = run(24, &mut bare, |_, _, _| ());
        assert_eq!(told, [(20, Step::Warn), (21, Step::Warn), (22, Step::Warn), (23, Step::Warn)]);
    }

    #[test]
    fn what_somebody_else_puts_there_comes_into_use() {
        let mut schedule = Schedule::new(Some(&seen(30, 1, false)));
        assert_eq!(schedule.look(Some(&seen(30, 1, false)), day(1)), None);
        assert_eq!(schedule.look(Some(&seen(30, 2, false)), day(1)), Some(Step::Adopt), "with the same dates");
        assert_eq!(schedule.look(Some(&seen(30, 2, false)), day(1)), None);
        assert_eq!(schedule.look(None, day(25)), None, "files that are being replaced");
        assert_eq!(schedule.look(Some(&seen(60, 3, false)), day(25)), Some(Step::Adopt));
    }

    #[test]
    fn a_clock_that_is_set_back_or_ahead_is_looked_at_within_the_hour() {
        let mut schedule = Schedule::new(Some(&seen(3650, 1, true)));
        assert_eq!(schedule.look(Some(&seen(3650, 1, true)), day(100)), None);
        assert_eq!(schedule.wait(day(100)), LOOK);
        assert_eq!(schedule.look(Some(&seen(3650, 1, true)), day(3640)), Some(Step::Renew));
        let mut bare = Schedule::new(Some(&seen(30, 1, false)));
        assert_eq!(bare.look(Some(&seen(30, 1, false)), day(29)), Some(Step::Warn));
        assert_eq!(
            bare.look(Some(&seen(30, 1, false)), day(28)),
            Some(Step::Warn),
            "the clock was wrong then, or is now"
        );
    }
}
