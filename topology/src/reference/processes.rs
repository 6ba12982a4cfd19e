//! The reference programs as child processes.

use std::{
    collections::HashMap,
    env,
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{PROGRAMS, ReferenceError};
use crate::engine::Unit;

/// Longest wait for an answer of a router's HTTP interface, and the longest answer read.
const API_TIMEOUT: Duration = Duration::from_secs(2);
const API_MAX_ANSWER: u64 = 1 << 20;

/// A kind of process; each AS runs one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Process {
    Router,
    Control,
    Daemon,
    Dispatcher,
}

impl Process {
    /// Name of the program, which is that of its configuration and log too.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Control => "control",
            Self::Daemon => "daemon",
            Self::Dispatcher => "dispatcher",
        }
    }
}

impl From<Unit> for Process {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Router => Self::Router,
            Unit::Control => Self::Control,
            Unit::Daemon => Self::Daemon,
        }
    }
}

/// Finds a reference program in `$SCION_BIN`; without that variable on `$PATH`, then in `~/.cache/scion-bin`.
///
/// # Errors
/// [`ReferenceError::NoProgram`] says where it was searched and how to get it.
pub fn find_program(program: &'static str) -> Result<PathBuf, ReferenceError> {
    let directories: Vec<PathBuf> = match env::var_os("SCION_BIN") {
        Some(directory) => vec![directory.into()],
        None => {
            let path = env::var_os("PATH").unwrap_or_default();
            let cache = env::var_os("HOME").map(|home| Path::new(&home).join(".cache/scion-bin"));
            env::split_paths(&path).chain(cache).collect()
        }
    };
    let mut candidates = directories.iter().map(|d| d.join(program));
    candidates.find(|p| p.is_file()).ok_or_else(|| {
        let names: Vec<_> = directories.iter().map(|d| d.display().to_string()).collect();
        ReferenceError::NoProgram { program, searched: names.join(", ") }
    })
}

/// Finds all programs that the engine runs.
pub(super) fn find_programs() -> Result<HashMap<&'static str, PathBuf>, ReferenceError> {
    PROGRAMS.into_iter().map(|program| Ok((program, find_program(program)?))).collect()
}

/// Makes the keys and certificates that `crypto.topo` in the lab's directory describes.
pub(super) fn make_certificates(
    programs: &HashMap<&'static str, PathBuf>,
    directory: &Path,
) -> Result<(), ReferenceError> {
    let output = Command::new(&programs["scion-pki"])
        .args(["testcrypto", "--as-validity", "365d", "-t"])
        .arg(directory.join("crypto.topo"))
        .arg("-o")
        .arg(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ReferenceError::Spawn { program: "scion-pki".to_owned(), source })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(ReferenceError::Certificates(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// The running processes, by kind and by the octet of their AS. Dropping them kills them.
#[derive(Debug)]
pub(super) struct Processes {
    programs: HashMap<&'static str, PathBuf>,
    directory: PathBuf,
    children: Mutex<HashMap<(Process, u8), Child>>,
}

impl Processes {
    pub(super) fn new(programs: HashMap<&'static str, PathBuf>, directory: PathBuf) -> Self {
        Self { programs, directory, children: Mutex::default() }
    }

    /// Starts a process unless it runs.
    pub(super) fn start(&self, process: Process, octet: u8) -> Result<(), ReferenceError> {
        let mut children = self.children.lock();
        if let Some(child) = children.get_mut(&(process, octet))
            && matches!(child.try_wait(), Ok(None))
        {
            return Ok(());
        }
        let log = self.log(process, octet);
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|source| ReferenceError::Write { path: log.clone(), source })?;
        let spawn = |output: File| -> io::Result<Child> {
            Command::new(&self.programs[process.program()])
                .arg("--config")
                .arg(self.directory.join(format!("AS{octet}/{}.toml", process.program())))
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                // Each of the many Go programs would start a thread a core.
                .env("GOMAXPROCS", "2")
                .spawn()
        };
        let child =
            spawn(output).map_err(|source| ReferenceError::Spawn { program: process.program().to_owned(), source })?;
        children.insert((process, octet), child);
        Ok(())
    }

    /// Kills a process if it runs.
    pub(super) fn stop(&self, process: Process, octet: u8) {
        if let Some(child) = self.children.lock().remove(&(process, octet)) {
            kill(child);
        }
    }

    /// Kills all.
    pub(super) fn stop_all(&self) {
        for (_, child) in self.children.lock().drain() {
            kill(child);
        }
    }

    /// Complains if a process ended by itself.
    pub(super) fn check(&self) -> Result<(), ReferenceError> {
        for ((process, octet), child) in self.children.lock().iter_mut() {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return Err(ReferenceError::Ended {
                    program: process.program().to_owned(),
                    log: self.log(*process, *octet),
                });
            }
        }
        Ok(())
    }

    fn log(&self, process: Process, octet: u8) -> PathBuf {
        self.directory.join(format!("AS{octet}/{}.log", process.program()))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop_all();
    }
}

fn kill(mut child: Child) {
    if let Err(e) = child.kill().and_then(|()| child.wait()) {
        log::warn!("process {}: {e}", child.id());
    }
}

/// How many interfaces of a router are up, if all are.
pub(super) async fn interfaces_up(api: SocketAddr) -> Option<usize> {
    let answer = tokio::time::timeout(API_TIMEOUT, get_interfaces(api)).await.ok()?.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let interfaces = body.get("interfaces")?.as_array()?;
    let up = |i: &serde_json::Value| {
        i.get("state").and_then(|state| state.as_str()).is_some_and(|state| state.eq_ignore_ascii_case("up"))
    };
    interfaces.iter().all(up).then_some(interfaces.len())
}

async fn get_interfaces(api: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(api).await?;
    // HTTP 1.0 has the answer come in one piece that ends with the connection.
    stream.write_all(b"GET /api/v1/interfaces HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(API_MAX_ANSWER).read_to_string(&mut answer).await?;
    Ok(answer)
}
