//! The log, in the format of nats-server: `[pid] 2026/11/21 06:54:02.624120 [INF] text`.
//!
//! One logger serves the process. [`init`] starts it, [`prepare`] and [`adopt`] change it while it runs, [`reopen`] lets
//! others move its file away. Whatever becomes of the place that the log goes to, nobody who logs waits for long or fails:
//! lines that cannot be written are counted, and that is said as soon as one can be.

mod file;
mod syslog;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use jiff::Zoned;
use jiff::tz::TimeZone;
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use thiserror::Error;

use crate::config::options::{Options, SyslogAddr};
use file::LogFile;
use syslog::Syslog;

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
    /// There is no syslog.
    #[error("cannot connect to syslog at {address}: {source}; start it, or log elsewhere with log_file or -l")]
    Syslog {
        /// Where it should be.
        address: SyslogAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Something else in this process logs already.
    #[error("a logger is set already")]
    Taken,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

struct Logger {
    to: Mutex<Target>,
    time: AtomicBool,
    utc: AtomicBool,
    pid: u32,
}

enum Target {
    Stderr,
    File(LogFile),
    Syslog(Syslog),
}

/// A place for the log that is ready to be used.
pub struct Prepared(Target);

/// Starts logging for this process, as `options` want it.
///
/// # Errors
///
/// When the file cannot be opened or syslog not be reached, or on the second call.
pub fn init(options: &Options) -> Result<(), LogError> {
    let Prepared(to) = prepare(options)?;
    let (time, utc) = (AtomicBool::new(options.logtime), AtomicBool::new(options.logtime_utc));
    let mut started = false;
    let logger = LOGGER.get_or_init(|| {
        started = true;
        Logger { to: Mutex::new(to), time, utc, pid: std::process::id() }
    });
    if !started || log::set_logger(logger).is_err() {
        return Err(LogError::Taken);
    }
    set_level(options);
    Ok(())
}

/// Opens the place where the log is to go, but logs nothing there yet.
///
/// # Errors
///
/// When the file cannot be opened or syslog not be reached.
pub fn prepare(options: &Options) -> Result<Prepared, LogError> {
    let target = if let Some(path) = &options.log_file {
        let opened = LogFile::open(path.clone(), options.log_size_limit, options.log_max_num);
        Target::File(opened.map_err(|source| LogError::File { path: path.clone(), source })?)
    } else if let Some(address) = options.syslog_address() {
        let connected = Syslog::connect(address.clone());
        Target::Syslog(connected.map_err(|source| LogError::Syslog { address, source })?)
    } else {
        Target::Stderr
    };
    Ok(Prepared(target))
}

/// From now on logs as `options` say, to another place if there is one. Does nothing in a process without [`init`].
pub fn adopt(options: &Options, place: Option<Prepared>) {
    let Some(logger) = LOGGER.get() else { return };
    logger.time.store(options.logtime, Relaxed);
    logger.utc.store(options.logtime_utc, Relaxed);
    if let Some(Prepared(target)) = place {
        let old = std::mem::replace(&mut *logger.to.lock(), target);
        // What syslog still has to send takes a while: nobody should wait for the lock meanwhile.
        drop(old);
    }
    set_level(options);
}

/// Opens the log file again, under its name: somebody may have moved the old one away.
pub fn reopen() {
    let Some(logger) = LOGGER.get() else { return };
    let reopened = match &mut *logger.to.lock() {
        Target::File(file) => Some(file.reopen()),
        Target::Stderr | Target::Syslog(_) => None,
    };
    match reopened {
        Some(Ok(())) => log::info!("File log re-opened"),
        Some(Err(error)) => log::error!("The log file cannot be opened again, the log goes on in the old one: {error}"),
        None => log::info!("File log re-open ignored, not a file logger"),
    }
}

fn set_level(options: &Options) {
    log::set_max_level(match (options.trace, options.debug) {
        (true, _) => LevelFilter::Trace,
        (false, true) => LevelFilter::Debug,
        (false, false) => LevelFilter::Info,
    });
    DEBUG.store(options.debug, Relaxed);
    crate::link::trace::limit_payloads(options.max_traced_msg_len, options.trace_headers);
}

/// Tracing does not include debugging.
static DEBUG: AtomicBool = AtomicBool::new(true);

fn label(level: Level) -> &'static str {
    match level {
        Level::Error => "ERR",
        Level::Warn => "WRN",
        Level::Info => "INF",
        Level::Debug => "DBG",
        Level::Trace => "TRC",
    }
}

/// How lines begin, and what time it is.
struct Format {
    time: bool,
    now: Zoned,
    pid: u32,
}

impl Format {
    fn line(&self, level: Level, text: impl std::fmt::Display) -> String {
        let time = if self.time { self.now.strftime("%Y/%m/%d %H:%M:%S%.6f ").to_string() } else { String::new() };
        format!("[{}] {time}[{}] {}\n", self.pid, label(level), joined(text, "\n\t"))
    }
}

/// A text of several lines must not look like several texts: names that peers choose are in it.
fn joined(text: impl std::fmt::Display, between: &str) -> String {
    let text = text.to_string();
    if text.contains('\n') { text.replace('\n', between) } else { text }
}

impl Log for Logger {
    /// Libraries log for their own authors, except when something is wrong.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let wanted = metadata.level() != Level::Debug || DEBUG.load(Relaxed);
        wanted && (metadata.target().starts_with("natsd") || metadata.level() <= Level::Warn)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = if self.utc.load(Relaxed) { Zoned::now().with_time_zone(TimeZone::UTC) } else { Zoned::now() };
        let format = Format { time: self.time.load(Relaxed), now, pid: self.pid };
        match &mut *self.to.lock() {
            Target::Stderr => {
                // Where would one say that standard error is gone?
                let _ = io::stderr().write_all(format.line(record.level(), record.args()).as_bytes());
            }
            Target::File(file) => file.log(&format, record.level(), record.args()),
            Target::Syslog(syslog) => syslog.log(record.level(), record.args()),
        }
    }

    /// Waits a moment for lines on their way to syslog.
    fn flush(&self) {
        if let Target::Syslog(syslog) = &*self.to.lock() {
            syslog.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_those_of_nats_server() {
        let now = "2026-11-21T06:54:02.62412Z".parse::<jiff::Timestamp>().unwrap().to_zoned(TimeZone::UTC);
        let line = |time| Format { time, now: now.clone(), pid: 42 }.line(Level::Info, "Server is ready");
        assert_eq!(line(true), "[42] 2026/11/21 06:54:02.624120 [INF] Server is ready\n");
        assert_eq!(line(false), "[42] [INF] Server is ready\n");
        let forged = Format { time: false, now, pid: 42 }.line(Level::Info, "Remote: x\n[42] [ERR] forged");
        assert_eq!(forged, "[42] [INF] Remote: x\n\t[42] [ERR] forged\n");
    }
}
