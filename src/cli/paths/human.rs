//! Paths as a table.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use natsd_path::{Answer, Sequence};

use super::super::survey::{Surveyed, hops, ms};
use super::Listing;

const COLUMNS: [&str; 8] = ["RANK", "STATUS", "RTT", "ANNOUNCED", "BANDWIDTH", "MTU", "EXPIRES IN", "FINGERPRINT"];
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// A line of figures for each path, then its hops and why it ranks there.
pub(super) fn render(listing: &Listing<'_>, extended: bool, colour: bool) -> String {
    let Listing { host, from, to, paths, wanted } = listing;
    let rows: Vec<_> = paths.iter().map(|path| cells(path, SystemTime::now())).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.fold(COLUMNS[column].len(), usize::max)
    };
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    let mut text = format!("Paths from {from} to {to}, by {}\n", wanted.policy.preference);
    if let Some(source) = &wanted.source {
        let _ = writeln!(text, "For {source}");
        wanted.policy.lines().iter().for_each(|rule| text.push_str(&format!("      {rule}\n")));
    }
    line(&mut text, COLUMNS.iter().map(|name| (*name).to_owned()), &widths, None);
    for (path, row) in paths.iter().zip(rows) {
        let paint = colour.then_some(match path.answer {
            Answer::After(_) => GREEN,
            Answer::Silent => RED,
            Answer::NotAsked => PLAIN,
        });
        line(&mut text, row.into_iter(), &widths, paint);
        let _ = writeln!(text, "      {}\n      {}", hops(&path.info), path.why);
        if extended {
            let parts = path.info.latencies.iter().map(|part| part.map_or("unknown".into(), ms));
            let _ = writeln!(
                text,
                "      next hop {}, from {}\n      sequence {}\n      latencies {}",
                path.info.next_hop.map_or("none".into(), |hop| hop.to_string()),
                host.local_ip(&path.info).map_or("unknown".into(), |ip| ip.to_string()),
                Sequence::of(&path.info.interfaces),
                parts.collect::<Vec<_>>().join(", "),
            );
        }
    }
    text
}

fn line(text: &mut String, cells: impl Iterator<Item = String>, widths: &[usize], paint: Option<&str>) {
    let cells = cells.zip(widths).enumerate().map(|(column, (cell, width))| {
        let cell = format!("{cell:width$}");
        match paint {
            Some(colour) if COLUMNS[column] == "STATUS" => format!("{colour}{cell}{PLAIN}"),
            _ => cell,
        }
    });
    text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
    text.push('\n');
}

fn cells(path: &Surveyed, now: SystemTime) -> [String; COLUMNS.len()] {
    let unknown = || "unknown".to_owned();
    let left = path.info.expiry.map(|at| at.duration_since(now).unwrap_or_default());
    [
        path.rank.to_string(),
        if path.excluded { "excluded".to_owned() } else { path.answer.as_str().to_owned() },
        path.answer.rtt().map_or_else(unknown, ms),
        path.info.latency.map_or_else(unknown, ms),
        path.info.bandwidth.map_or_else(unknown, bandwidth),
        if path.info.mtu > 0 { path.info.mtu.to_string() } else { unknown() },
        left.map_or_else(unknown, remaining),
        path.candidate.fingerprint.to_string(),
    ]
}

fn bandwidth(kbit: u64) -> String {
    match kbit {
        1_000_000.. => format!("{} Gbit/s", kbit as f64 / 1e6),
        1000.. => format!("{} Mbit/s", kbit as f64 / 1e3),
        _ => format!("{kbit} kbit/s"),
    }
}

fn remaining(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        3600.. => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        60.. => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_unit_that_reads_best() {
        assert_eq!([2_500_000, 40_000, 64].map(bandwidth), ["2.5 Gbit/s", "40 Mbit/s", "64 kbit/s"]);
        assert_eq!([21_540, 61, 9].map(|seconds| remaining(Duration::from_secs(seconds))), ["5h59m", "1m01s", "9s"]);
    }
}
