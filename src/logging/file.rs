//! A log file that does not grow beyond its limit: it is moved aside and begun again.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Zoned;
use log::Level;

use super::Format;

/// Its owner writes it and its group may read it, as in nats-server.
const MODE: u32 = 0o640;

/// A log file.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Bytes in it.
    size: u64,
    /// Bytes from which on it is moved aside; 0 for never.
    limit: u64,
    /// As `limit`, but higher after an attempt that failed.
    rotate_at: u64,
    /// Files that stay, this one included; 0 for all.
    keep: usize,
    /// Lines that could not be written since the last one that could.
    lost: u64,
    /// The last line ends in its middle.
    torn: bool,
}

impl LogFile {
    /// Opens the file at `path`, or makes one.
    pub(super) fn open(path: PathBuf, limit: u64, keep: usize) -> io::Result<Self> {
        let (file, size) = open(&path)?;
        Ok(Self { path, file, size, limit, rotate_at: limit, keep, lost: 0, torn: false })
    }

    /// Opens the file of this name, which may be another one by now. The old one stays if that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size) = open(&self.path)?;
        (self.torn, self.rotate_at) = (false, self.limit);
        Ok(())
    }

    /// Writes a line. If that cannot be, it is counted.
    pub(super) fn log(&mut self, format: &Format, level: Level, text: impl Display) {
        self.say_what_is_lost(format);
        let line = format.line(level, text);
        if self.write(&line).is_err() {
            self.lost += 1;
        }
        if self.limit > 0 && self.size > self.rotate_at {
            self.rotate(format);
        }
    }

    fn say_what_is_lost(&mut self, format: &Format) {
        if self.lost == 0 {
            return;
        }
        let warning = format!("{} lines of the log could not be written and are lost", self.lost);
        if self.write(&format.line(Level::Warn, warning)).is_ok() {
            self.lost = 0;
        }
    }

    /// A full disk may take a part of a line: what comes next begins on a line of its own.
    fn write(&mut self, line: &str) -> io::Result<()> {
        let whole = if self.torn { format!("\n{line}") } else { line.to_owned() };
        let mut rest = whole.as_bytes();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.size += written as u64;
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn rotate(&mut self, format: &Format) {
        match self.move_aside() {
            Ok(backup) => {
                self.rotate_at = self.limit;
                let told = format!("Rotated log, backup saved as \"{}\"", backup.display());
                self.tell(format, Level::Info, &told);
                self.purge(format);
            }
            Err(error) => {
                self.rotate_at = self.size.saturating_add(self.limit);
                let told = format!("The log file cannot be rotated, next attempt at {} bytes: {error}", self.rotate_at);
                self.tell(format, Level::Error, &told);
            }
        }
    }

    /// A line about the file itself, which does not rotate it.
    fn tell(&mut self, format: &Format, level: Level, text: &str) {
        if self.write(&format.line(level, text)).is_err() {
            self.lost += 1;
        }
    }

    fn move_aside(&mut self) -> io::Result<PathBuf> {
        if !fs::symlink_metadata(&self.path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut backup = self.path.clone().into_os_string();
        backup.push(Zoned::now().strftime(".%Y.%m.%d.%H.%M.%S.%9N").to_string());
        let backup = PathBuf::from(backup);
        fs::rename(&self.path, &backup)?;
        match open(&self.path) {
            Ok((file, size)) => (self.file, self.size) = (file, size),
            Err(error) => {
                // The log goes on in the file that is open, which should have its name back.
                let _ = fs::rename(&backup, &self.path);
                return Err(error);
            }
        }
        self.torn = false;
        Ok(backup)
    }

    fn purge(&mut self, format: &Format) {
        if self.keep == 0 {
            return;
        }
        let backups = backups(&self.path);
        let surplus = (backups.len() + 1).saturating_sub(self.keep);
        for name in backups.iter().take(surplus) {
            match fs::remove_file(self.path.with_file_name(name)) {
                Ok(()) => self.tell(format, Level::Info, &format!("Purged log file \"{name}\"")),
                Err(error) => {
                    self.tell(format, Level::Error, &format!("Unable to remove old log file \"{name}\": {error}"));
                }
            }
        }
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(MODE).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Names of the files moved aside from `path`, oldest first. None if the directory cannot be read.
fn backups(path: &Path) -> Vec<String> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut backups: Vec<_> = names.filter(|found| found.strip_prefix(name).is_some_and(is_time)).collect();
    backups.sort_unstable();
    backups
}

/// Whether this is what a backup has after the name of the log file: nothing else may be removed.
fn is_time(suffix: &str) -> bool {
    let Some(digits) = suffix.strip_prefix('.') else { return false };
    let lengths = [4, 2, 2, 2, 2, 2, 9];
    let parts: Vec<_> = digits.split('.').collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, len)| part.len() == len && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn format() -> Format {
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        Format { time: false, now, pid: 7 }
    }

    #[test]
    fn a_file_at_its_limit_is_moved_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("n.log");
        let stranger = dir.path().join("n.log.2026.11.21.conf");
        fs::write(&stranger, "not ours").expect("a file");
        let mut log = LogFile::open(path.clone(), 1000, 3).expect("opened");
        for number in 0..90 {
            log.log(&format(), Level::Info, format_args!("line {number:02} of the log, with some text"));
        }
        let kept = backups(&path);
        assert_eq!(kept.len(), 2, "{kept:?}");
        let all: String = kept
            .iter()
            .map(|name| path.with_file_name(name))
            .chain([path.clone()])
            .fold(String::new(), |text, file| text + &fs::read_to_string(file).expect("a log"));
        assert!(
            all.contains("[INF] Rotated log, backup saved as \"") && all.contains("[INF] Purged log file \"n.log.")
        );
        let numbers = all.lines().filter_map(|line| line.split_once("line ")?.1.get(..2)?.parse::<u32>().ok());
        let numbers: Vec<_> = numbers.collect();
        assert!(
            numbers.len() > 4 && numbers.is_sorted() && numbers.last() == Some(&89),
            "nothing is lost: {numbers:?}"
        );
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
        assert!(stranger.exists());
    }

    #[test]
    fn a_full_disk_costs_lines_and_it_says_how_many() {
        let mut log = LogFile::open("/dev/full".into(), 10, 1).expect("a device that is always full");
        log.log(&format(), Level::Info, "one");
        log.log(&format(), Level::Info, "two");
        assert_eq!(log.lost, 2);
        let dir = tempfile::tempdir().expect("a directory");
        log.path = dir.path().join("n.log");
        log.reopen().expect("there is room");
        log.limit = 0;
        log.log(&format(), Level::Info, "three");
        let text = fs::read_to_string(&log.path).expect("the log");
        assert_eq!(text, "[7] [WRN] 2 lines of the log could not be written and are lost\n[7] [INF] three\n");
    }

    #[test]
    fn what_is_not_a_file_is_never_moved() {
        let mut log = LogFile::open("/dev/null".into(), 10, 1).expect("a device");
        log.log(&format(), Level::Info, "more than ten bytes");
        assert!(log.rotate_at > 10, "the next attempt comes later");
        assert!(!fs::metadata("/dev/null").expect("it is there").is_file());
    }
}
