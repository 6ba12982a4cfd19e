//! `/stacksz`: what the threads of the process are at.

use std::fs;
use std::path::Path;

use axum::http::StatusCode;

use super::process::TICKS_PER_SECOND;
use super::{Answer, Context, Params};

/// One line a thread: `thread 42 [sleeping] 0.15s: tokio-rt-worker`, by number. Tasks inside of threads leave no stack
/// while they wait, so there is nothing more to see.
pub(super) fn stacksz(_: &Context, _: &Params) -> Answer {
    let Ok(entries) = fs::read_dir("/proc/self/task") else {
        return Answer::text(StatusCode::NOT_FOUND, "this system does not tell of threads\n".into());
    };
    let mut ids: Vec<u32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    let lines = ids.into_iter().filter_map(|id| line(id, &fs::read_to_string(stat_file(id)).ok()?));
    Answer::text(StatusCode::OK, lines.collect())
}

fn stat_file(id: u32) -> impl AsRef<Path> {
    format!("/proc/self/task/{id}/stat")
}

/// The line of a thread from what Linux says of it. `None` when that is not as expected.
fn line(id: u32, stat: &str) -> Option<String> {
    let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = match fields.next()? {
        "R" => "running",
        "S" => "sleeping",
        "D" => "waiting for a device",
        "T" | "t" => "stopped",
        "Z" | "X" => "ended",
        other => other,
    };
    let ticks: u64 = fields.by_ref().skip(10).take(2).map(|n| n.parse().unwrap_or(0)).sum();
    Some(format!("thread {id} [{state}] {:.2}s: {name}\n", ticks as f64 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_names_of_any_kind() {
        let stat = "7 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 130 25 0 0 20 0 1 0";
        assert_eq!(line(7, stat).as_deref(), Some("thread 7 [running] 1.55s: a) b (c\n"));
        assert_eq!(line(7, "7 name R"), None);
    }
}
