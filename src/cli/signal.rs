//! `natsd --signal CMD[=PID|FILE]`: tell a running server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// What to tell whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalRequest {
    signal: Signal,
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// The only natsd that runs.
    Only,
    Pid(Pid),
    PidFile(PathBuf),
}

/// Why a server was not told.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// Not a command.
    #[error("{0:?} is not a command; use stop, quit, term, reopen, reload or ldm")]
    Command(String),
    /// The pid file cannot be read.
    #[error("cannot read the pid file {path}: {error}", path = path.display())]
    PidFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The pid file holds something else.
    #[error("the pid file {path} does not hold a process id", path = .0.display())]
    NoPid(PathBuf),
    /// Nobody to tell.
    #[error("no natsd is running; give the process id, as in --signal quit=1234")]
    NotRunning,
    /// Several.
    #[error("{0} natsd are running; give the process id, as in --signal quit=1234")]
    Several(usize),
    /// Not allowed, or gone.
    #[error("cannot signal process {pid}: {error}")]
    Kill {
        /// The process.
        pid: i32,
        /// What the operating system says.
        error: io::Error,
    },
}

impl FromStr for SignalRequest {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (command, target) = text.split_once('=').map_or((text, None), |(c, t)| (c, Some(t)));
        let signal = match command {
            "stop" => Signal::KILL,
            "quit" => Signal::INT,
            "term" => Signal::TERM,
            "reopen" => Signal::USR1,
            "reload" => Signal::HUP,
            "ldm" => Signal::USR2,
            _ => return Err(SignalError::Command(command.to_owned())),
        };
        let target = match target {
            None | Some("") => Target::Only,
            Some(target) => parse_pid(target).map_or_else(|| Target::PidFile(target.into()), Target::Pid),
        };
        Ok(Self { signal, target })
    }
}

/// Sends the signal; says nothing if that went well.
pub fn run(request: &SignalRequest) -> ExitCode {
    match send(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natsd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn send(request: &SignalRequest) -> Result<(), SignalError> {
    let pid = match &request.target {
        Target::Pid(pid) => *pid,
        Target::PidFile(path) => read_pid_file(path)?,
        Target::Only => only_running()?,
    };
    kill_process(pid, request.signal).map_err(|error| SignalError::Kill { pid: pid.as_raw_pid(), error: error.into() })
}

fn read_pid_file(path: &Path) -> Result<Pid, SignalError> {
    let text = fs::read_to_string(path).map_err(|error| SignalError::PidFile { path: path.to_owned(), error })?;
    parse_pid(text.trim()).ok_or_else(|| SignalError::NoPid(path.to_owned()))
}

/// Positive ids only: 0 and negative ones would reach whole groups of processes.
fn parse_pid(text: &str) -> Option<Pid> {
    text.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw)
}

/// The process called natsd that is not this one.
fn only_running() -> Result<Pid, SignalError> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_natsd = |pid: &Pid| {
        let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid()));
        *pid != getpid() && name.is_ok_and(|name| name.trim_end() == "natsd")
    };
    let pids = processes.filter_map(|entry| parse_pid(entry.file_name().to_str()?));
    let running: Vec<_> = pids.filter(is_natsd).collect();
    match running[..] {
        [pid] => Ok(pid),
        [] => Err(SignalError::NotRunning),
        _ => Err(SignalError::Several(running.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> SignalRequest {
        text.parse().expect(text)
    }

    #[test]
    fn a_request_names_a_command_and_maybe_a_process() {
        assert_eq!(request("quit"), SignalRequest { signal: Signal::INT, target: Target::Only });
        assert_eq!(request("ldm=12").target, Target::Pid(Pid::from_raw(12).expect("positive")));
        assert_eq!(request("term=/run/n.pid").target, Target::PidFile("/run/n.pid".into()));
        assert!("restart".parse::<SignalRequest>().is_err());
    }

    #[test]
    fn no_number_reaches_a_group_of_processes() {
        for text in ["stop=0", "stop=-1"] {
            assert!(matches!(request(text).target, Target::PidFile(_)), "{text}");
        }
    }

    #[test]
    fn the_process_of_a_pid_file_is_told() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat");
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("cat.pid");
        fs::write(&file, format!("{}\n", child.id())).expect("pid file");
        send(&request(&format!("term={}", file.display()))).expect("told");
        let status = child.wait().expect("ended");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::TERM.as_raw()));
    }

    #[test]
    fn errors_name_the_file() {
        let error = send(&request("quit=/no/such.pid")).expect_err("no file");
        assert!(error.to_string().starts_with("cannot read the pid file /no/such.pid: "), "{error}");
    }
}
