//! The best of the values of late.

use std::time::Duration;

/// Keeps the value that is the best of those that came within a window of time, at least, and two of them at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windowed<T> {
    window: Duration,
    began: Duration,
    now: Option<T>,
    before: Option<T>,
}

impl<T: Copy> Windowed<T> {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, began: Duration::ZERO, now: None, before: None }
    }

    /// Takes a value; `best` chooses between two.
    pub(super) fn update(&mut self, value: T, now: Duration, best: impl Fn(T, T) -> T) {
        let age = now.saturating_sub(self.began);
        if age >= self.window {
            self.before = self.now.take().filter(|_| age < 2 * self.window);
            self.began = now;
        }
        self.now = Some(self.now.map_or(value, |known| best(known, value)));
    }

    pub(super) fn get(&self, best: impl Fn(T, T) -> T) -> Option<T> {
        match (self.now, self.before) {
            (Some(now), Some(before)) => Some(best(now, before)),
            (now, before) => now.or(before),
        }
    }
}
