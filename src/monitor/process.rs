//! What the operating system says of this process. Linux only; zero elsewhere.

use std::fs;
use std::time::{Duration, Instant};

/// The unit of times in `/proc/self/stat`. Linux shows user space 100 ticks a second on every architecture.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;
/// Time between two readings below which ticks are too coarse to tell the use of the processor.
const SHORTEST: Duration = Duration::from_secs(1);

/// Processor use since the last reading.
#[derive(Debug)]
pub(super) struct ProcessorUse {
    at: Instant,
    ticks: u64,
    percent: f64,
}

impl ProcessorUse {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now, ticks: processor_ticks().unwrap_or(0), percent: 0.0 }
    }

    /// Per cent of one processor since the last reading that was at least a second ago, in tenths.
    pub(super) fn percent(&mut self, now: Instant) -> f64 {
        let passed = now.duration_since(self.at);
        if passed >= SHORTEST {
            let ticks = processor_ticks().unwrap_or(0);
            let seconds = ticks.saturating_sub(self.ticks) as f64 / TICKS_PER_SECOND;
            let percent = (seconds / passed.as_secs_f64() * 1000.0).round() / 10.0;
            *self = Self { at: now, ticks, percent };
        }
        self.percent
    }
}

/// Resident memory, bytes.
pub(super) fn resident_memory() -> u64 {
    memory(&["VmRSS:"])
}

/// Address space of heap and stacks, bytes; not all of it need be used.
pub(super) fn private_memory() -> u64 {
    memory(&["VmData:", "VmStk:"])
}

/// The sum of these lines of the status, bytes.
fn memory(names: &[&str]) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |line: &str| {
        let (name, value) = line.split_at_checked(line.find(':')? + 1)?;
        names.contains(&name).then(|| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())?
    };
    status.lines().filter_map(kilobytes).sum::<u64>() * 1024
}

/// User and system time of the process.
fn processor_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the name in parentheses, may hold anything. utime and stime are fields 14 and 15.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!((1 << 20..1 << 40).contains(&resident_memory()));
        assert!((1 << 20..1 << 44).contains(&private_memory()));
    }

    #[test]
    fn a_busy_thread_shows_and_quick_readings_repeat_the_last_value() {
        let start = Instant::now();
        let mut used = ProcessorUse::new(start);
        let ticks = processor_ticks().expect("readable");
        while processor_ticks().expect("readable") < ticks + 2 {
            std::hint::spin_loop();
        }
        let percent = used.percent(start + SHORTEST);
        assert!(percent >= 2.0, "{percent}");
        assert_eq!(used.percent(start + SHORTEST * 3 / 2), percent);
    }
}
