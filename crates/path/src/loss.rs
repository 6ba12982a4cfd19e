//! The share of recent probes that was lost.

/// How many results the window holds.
const WINDOW: u64 = 64;
/// The loss expected of a path not measured yet.
const PRIOR: f64 = 0.15;

/// The results of the last 64 probes, one bit each.
#[derive(Default)]
pub(crate) struct Window {
    lost: u64,
    results: u64,
}

impl Window {
    /// How many results it holds.
    pub(crate) const SIZE: u64 = WINDOW;

    /// How many there have been.
    pub(crate) fn results(&self) -> u64 {
        self.results
    }

    /// Notes a result and returns its number, by which [`forgive`](Self::forgive) finds it.
    pub(crate) fn record(&mut self, lost: bool) -> u64 {
        self.lost = self.lost << 1 | u64::from(lost);
        self.results += 1;
        self.results
    }

    /// The answer of a probe that counted as lost came after all.
    pub(crate) fn forgive(&mut self, number: u64) {
        let age = self.results.saturating_sub(number);
        if age < WINDOW {
            self.lost &= !(1 << age);
        }
    }

    /// From 0 to 1; `None` before the first result.
    pub(crate) fn fraction(&self) -> Option<f64> {
        (self.results > 0).then(|| f64::from(self.lost.count_ones()) / self.results.min(WINDOW) as f64)
    }

    /// The share to expect of the next probe, judged by all but the `newest` results. Begins at 15 % and
    /// approaches what is measured.
    pub(crate) fn expected(&self, newest: u32) -> f64 {
        let lost = self.lost.checked_shr(newest).unwrap_or(0);
        let results = self.results.min(WINDOW).saturating_sub(u64::from(newest));
        (f64::from(lost.count_ones()) + PRIOR) / (results + 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_results_leave_the_window() {
        let mut window = Window::default();
        assert_eq!(window.fraction(), None);
        window.record(true);
        window.record(false);
        assert_eq!(window.fraction(), Some(0.5));
        for _ in 0..64 {
            window.record(false);
        }
        assert_eq!(window.fraction(), Some(0.0));
    }

    #[test]
    fn a_run_of_losses_does_not_count_against_itself() {
        let mut window = Window::default();
        assert_eq!(window.expected(0), PRIOR);
        for lost in [false, true, false, false, true, true] {
            window.record(lost);
        }
        assert_eq!(window.expected(2), (1.0 + PRIOR) / 5.0);
        assert_eq!(window.expected(64), PRIOR);
    }

    #[test]
    fn a_late_answer_is_no_loss() {
        let mut window = Window::default();
        let number = window.record(true);
        window.record(true);
        window.forgive(number);
        assert_eq!(window.fraction(), Some(0.5));
        for _ in 0..100 {
            window.record(true);
        }
        window.forgive(number);
        assert_eq!(window.fraction(), Some(1.0));
    }
}
