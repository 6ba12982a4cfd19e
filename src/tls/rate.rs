//! `connection_rate_limit`.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Over which the limit counts.
const WINDOW: Duration = Duration::from_secs(1);

/// Lets so many pass a second.
pub(super) struct Rate {
    limit: u32,
    window: Mutex<(Instant, u32)>,
}

impl Rate {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, window: Mutex::new((Instant::now(), 0)) }
    }

    pub(super) fn admits(&self) -> bool {
        self.admits_at(Instant::now())
    }

    fn admits_at(&self, now: Instant) -> bool {
        let (began, count) = &mut *self.window.lock();
        if now.saturating_duration_since(*began) >= WINDOW {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_a_second() {
        let rate = Rate::new(2);
        let start = Instant::now();
        let pass = |millis| rate.admits_at(start + Duration::from_millis(millis));
        assert_eq!([0, 10, 20, 900].map(pass), [true, true, false, false]);
        assert_eq!([1100, 1200, 1300].map(pass), [true, true, false]);
    }
}
