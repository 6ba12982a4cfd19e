//! The log, in the format of nats-server: `[pid] 2026/11/21 06:54:02.624120 [INF] text`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Zoned;
use jiff::tz::TimeZone;
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use thiserror::Error;

use crate::config::options::Options;

/// Why the log cannot be written.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("cannot open the log file {path}: {source}; choose another with log_file or -l")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something else in this process logs already.
    #[error("a logger is set already")]
    Taken,
}

struct Logger {
    to: Mutex<Target>,
    time: bool,
    utc: bool,
    pid: u32,
}

enum Target {
    Stderr,
    File(File),
}

/// Starts logging for this process, as `options` want it.
///
/// # Errors
///
/// When the file cannot be opened, or on the second call.
pub fn init(options: &Options) -> Result<(), LogError> {
    let to = match &options.log_file {
        None => Target::Stderr,
        Some(path) => {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            Target::File(opened.map_err(|source| LogError::File { path: path.clone(), source })?)
        }
    };
    let logger =
        Logger { to: Mutex::new(to), time: options.logtime, utc: options.logtime_utc, pid: std::process::id() };
    log::set_boxed_logger(Box::new(logger)).map_err(|_| LogError::Taken)?;
    log::set_max_level(match (options.trace, options.debug) {
        (true, _) => LevelFilter::Trace,
        (false, true) => LevelFilter::Debug,
        (false, false) => LevelFilter::Info,
    });
    Ok(())
}

fn label(level: Level) -> &'static str {
    match level {
        Level::Error => "ERR",
        Level::Warn => "WRN",
        Level::Info => "INF",
        Level::Debug => "DBG",
        Level::Trace => "TRC",
    }
}

impl Logger {
    fn line(&self, record: &Record<'_>, now: &Zoned) -> String {
        let label = label(record.level());
        let time = if self.time { now.strftime("%Y/%m/%d %H:%M:%S%.6f ").to_string() } else { String::new() };
        format!("[{}] {time}[{label}] {}\n", self.pid, record.args())
    }
}

impl Log for Logger {
    /// Libraries log for their own authors, except when something is wrong.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("natsd") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = if self.utc { Zoned::now().with_time_zone(TimeZone::UTC) } else { Zoned::now() };
        let line = self.line(record, &now);
        // Where would one say that the log cannot be written?
        let _ = match &mut *self.to.lock() {
            Target::Stderr => io::stderr().write_all(line.as_bytes()),
            Target::File(file) => file.write_all(line.as_bytes()),
        };
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_those_of_nats_server() {
        let now = "2026-11-21T06:54:02.62412Z".parse::<jiff::Timestamp>().unwrap().to_zoned(TimeZone::UTC);
        let logger = |time| Logger { to: Mutex::new(Target::Stderr), time, utc: true, pid: 42 };
        let record = Record::builder().level(Level::Info).args(format_args!("Server is ready")).build();
        assert_eq!(logger(true).line(&record, &now), "[42] 2026/11/21 06:54:02.624120 [INF] Server is ready\n");
        assert_eq!(logger(false).line(&record, &now), "[42] [INF] Server is ready\n");
    }
}
