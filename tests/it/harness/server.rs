//! One server with a configuration of the test's own, natsd or Go's nats-server.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use super::node::free_port;
use super::raw::Raw;
use super::{DEADLINE, POLL};

/// Which program a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Natsd,
    #[cfg(feature = "interop")]
    Go,
}

impl Program {
    /// Where it is; fails the test when it is not installed.
    pub fn path(self) -> PathBuf {
        match self {
            Self::Natsd => env!("CARGO_BIN_EXE_natsd").into(),
            #[cfg(feature = "interop")]
            Self::Go => go_server(),
        }
    }
}

/// Those that what is tested of both is tested of.
pub fn programs() -> Vec<Program> {
    vec![
        Program::Natsd,
        #[cfg(feature = "interop")]
        Program::Go,
    ]
}

/// `$NATS_SERVER`, or `nats-server` from `PATH`.
#[cfg(feature = "interop")]
fn go_server() -> PathBuf {
    if let Some(program) = std::env::var_os("NATS_SERVER") {
        return program.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("nats-server")).find(|program| program.is_file());
    found.expect("this test needs Go's nats-server: run .ci/test, which installs it, or set NATS_SERVER to its path")
}

/// A server in a process of its own, on a free port of the loopback interface; killed when dropped.
pub struct TestServer {
    pub port: u16,
    process: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    /// A line that [`start_and_then`](Self::start_and_then) waited for.
    pub noted: String,
    dir: tempfile::TempDir,
    /// The port as configured.
    listen: i32,
}

fn write_config(dir: &Path, port: i32, config: &str) {
    let config = config.replace("{dir}", &dir.display().to_string());
    // Who says where to listen means it.
    let address =
        if config.starts_with("listen:") { String::new() } else { format!("host: 127.0.0.1\nport: {port}\n") };
    let text = format!("{address}{config}\n");
    std::fs::write(dir.join("server.conf"), text).expect("a configuration file");
}

/// Waits for what cannot be waited for but by looking again.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(POLL);
    }
}

impl TestServer {
    /// Starts natsd with `config`, which needs no listener, and waits until it is ready.
    pub fn natsd(config: &str) -> Self {
        Self::start(Program::Natsd, config)
    }

    /// As [`natsd`](Self::natsd); `{dir}` in `config` is the server's own directory.
    pub fn start(program: Program, config: &str) -> Self {
        Self::start_and_then(program, config, |_| String::new())
    }

    /// As [`start`](Self::start); `note` sees the log between the listener and readiness.
    pub fn start_and_then(program: Program, config: &str, note: impl FnOnce(&mut Self) -> String) -> Self {
        Self::start_in(program, config, &[], note)
    }

    /// As [`start_and_then`](Self::start_and_then), with these variables in the environment.
    pub fn start_in(
        program: Program,
        config: &str,
        variables: &[(&str, &str)],
        note: impl FnOnce(&mut Self) -> String,
    ) -> Self {
        let mut server = Self::spawn(program, -1, config, &[], variables);
        let listening = server.wait_for_line("Listening for client connections on ");
        server.port = listening.rsplit_once(':').expect("host:port").1.parse().expect("a port");
        server.noted = note(&mut server);
        server.wait_for_line("Server is ready");
        server
    }

    /// Starts a server that logs elsewhere, and waits until clients can connect.
    pub fn quiet(program: Program, config: &str, args: &[&str]) -> Self {
        let mut server = Self::spawn(program, i32::from(free_port()), config, args, &[]);
        wait_for("a listener", || match TcpStream::connect(("127.0.0.1", server.port)) {
            Ok(_) => Some(()),
            Err(_) => {
                let ended = server.process.try_wait().expect("its status is ours to know");
                assert!(ended.is_none(), "it ended: {ended:?}");
                None
            }
        });
        server
    }

    fn spawn(program: Program, port: i32, config: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("server.conf");
        write_config(dir.path(), port, config);
        let mut process = Command::new(program.path())
            .arg("-c")
            .arg(&file)
            .args(args)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let stderr = BufReader::new(process.stderr.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self {
            port: u16::try_from(port).unwrap_or(0),
            process,
            lines,
            log: Vec::new(),
            noted: String::new(),
            dir,
            listen: port,
        }
    }

    /// Gives the server another configuration, which it is told to read.
    pub fn reconfigure(&self, config: &str) {
        self.rewrite(config);
        self.signal("HUP");
    }

    /// Gives the server another configuration, of which it is not told.
    pub fn rewrite(&self, config: &str) {
        write_config(self.dir.path(), self.listen, config);
    }

    /// The lines that were waited for, and those before them.
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// Whether a line with `text` in it has been logged.
    pub fn has_logged(&mut self, text: &str) -> bool {
        self.log.extend(self.lines.try_iter());
        self.log.iter().any(|line| line.contains(text))
    }

    /// The server's own directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until a file of its directory has `text` in it, and returns all of it.
    pub fn wait_for_file(&self, name: &str, text: &str) -> String {
        let path = self.dir().join(name);
        wait_for(&format!("{text:?} in {name}"), || {
            std::fs::read_to_string(&path).ok().filter(|found| found.contains(text))
        })
    }

    /// Waits until the server logs a line with `text` in it, and returns that.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with {text:?} ({error}); the log:\n{}", self.log.join("\n")),
            }
        }
    }

    /// A new connection that has read the INFO.
    pub fn connect(&self) -> Raw {
        Raw::connect(self.port)
    }

    /// A new connection that has also said CONNECT, without `verbose` and `pedantic`.
    pub fn client(&self) -> Raw {
        let mut raw = self.connect();
        raw.send("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n");
        raw
    }

    /// Sends a signal: `TERM`, `INT`, `USR2`.
    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill is there");
        assert!(sent.success(), "the server is gone already");
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        // Its log ends when it does.
        let end = Instant::now() + DEADLINE;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.log.push(line);
        }
        assert!(Instant::now() < end, "the server does not end; its log:\n{}", self.log.join("\n"));
        self.process.wait().expect("its status is ours to know")
    }

    /// Bytes of memory that it uses now.
    #[cfg(target_os = "linux")]
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel tells");
        line.split_ascii_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            self.log.extend(self.lines.try_iter());
            eprintln!("---- log of the server\n{}", self.log.join("\n"));
        }
    }
}

/// Runs the binary to its end.
pub fn natsd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_natsd")).args(args).output().expect("natsd runs")
}
