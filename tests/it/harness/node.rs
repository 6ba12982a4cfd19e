//! Servers of a cluster under test: natsd, or Go's nats-server beside it.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
#[cfg(feature = "interop")]
use std::path::Path;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Instant;

use super::client::Client;
pub use super::server::Program as Kind;
use super::{DEADLINE, POLL};

/// A server in a process of its own; killed when dropped.
pub struct Node {
    kind: Kind,
    pub name: String,
    pub port: u16,
    pub route_port: u16,
    config: RefCell<String>,
    process: RefCell<Option<Child>>,
    dir: tempfile::TempDir,
}

/// What differs from a plain member of the cluster `c1`, which is its name unless `cluster` says another.
#[derive(Clone, Copy, Default)]
pub struct Setup<'a> {
    /// Nodes that it has routes to.
    pub routes: &'a [&'a Node],
    /// In the URLs of those: `user:password@`.
    pub login: &'a str,
    /// `pool_size`, when not the default.
    pub pool_size: Option<i32>,
    /// Where else routes come in: a list without its brackets.
    pub listen: &'a str,
    /// More of `cluster {}`.
    pub cluster: &'a str,
    /// More of the top level; `{dir}` is the server's own directory.
    pub more: &'a str,
}

impl Node {
    /// Starts a server and waits until clients and routes can connect.
    pub fn start(kind: Kind, name: &str, setup: Setup<'_>) -> Self {
        let (port, route_port) = (free_port(), free_port());
        let mut config = format!("listen: \"127.0.0.1:{port}\"\nserver_name: {name}\n");
        let cluster_name = if setup.cluster.contains("name:") { "" } else { "name: c1" };
        let listen = match setup.listen {
            "" => format!("\"127.0.0.1:{route_port}\""),
            more => format!("[\"127.0.0.1:{route_port}\", {more}]"),
        };
        let mut cluster = format!("{cluster_name}\nlisten: {listen}\n{}\n", setup.cluster);
        let routes: Vec<_> = setup.routes.iter().map(|node| node.route_url(setup.login)).collect();
        if !routes.is_empty() {
            writeln!(cluster, "routes: [{}]", routes.join(", ")).expect("a String takes all");
        }
        if let Some(size) = setup.pool_size {
            writeln!(cluster, "pool_size: {size}").expect("a String takes all");
        }
        writeln!(config, "cluster {{\n{cluster}}}\n{}", setup.more).expect("a String takes all");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = RefCell::new(config);
        let node = Self { kind, name: name.into(), port, route_port, config, process: RefCell::new(None), dir };
        node.spawn();
        node
    }

    fn route_url(&self, login: &str) -> String {
        format!("\"nats-route://{login}127.0.0.1:{}\"", self.route_port)
    }

    fn spawn(&self) {
        let file = self.dir.path().join("server.conf");
        let own = self.dir.path().to_str().expect("temporary directories have plain names");
        std::fs::write(&file, self.config.borrow().replace("{dir}", own)).expect("the configuration can be written");
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        let child = Command::new(self.kind.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server can be started");
        *self.process.borrow_mut() = Some(child);
        let start = Instant::now();
        while [self.port, self.route_port].iter().any(|&port| TcpStream::connect(("127.0.0.1", port)).is_err()) {
            assert!(start.elapsed() < DEADLINE, "{} does not listen; its log:\n{}", self.name, self.log());
            std::thread::sleep(POLL);
        }
    }

    /// The server's own directory.
    #[cfg(feature = "interop")]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Changes a part of the configuration, and waits until the server has taken it over.
    pub fn reload(&self, old: &str, new: &str) {
        const DONE: &str = "Reloaded server configuration";
        let changed = self.config.borrow().replacen(old, new, 1);
        assert_ne!(changed, *self.config.borrow(), "{old:?} is not in the configuration");
        let own = self.dir.path().to_str().expect("temporary directories have plain names");
        let text = changed.replace("{dir}", own);
        std::fs::write(self.dir.path().join("server.conf"), text).expect("the configuration can be written");
        self.config.replace(changed);
        let before = self.log().matches(DONE).count();
        self.signal("HUP");
        let start = Instant::now();
        while self.log().matches(DONE).count() == before {
            assert!(start.elapsed() < DEADLINE, "{} does not reload; its log:\n{}", self.name, self.log());
            std::thread::sleep(POLL);
        }
    }

    /// Sends a signal: `USR2`.
    pub fn signal(&self, name: &str) {
        let pid = self.process.borrow().as_ref().map(Child::id).expect("it runs").to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill is there").success());
    }

    /// Ends the server without giving it a chance to say so.
    pub fn kill(&self) {
        if let Some(mut child) = self.process.borrow_mut().take() {
            child.kill().expect("the server is ours to kill");
            child.wait().expect("the server has ended");
        }
    }

    /// Starts a killed server again, on the same ports.
    pub fn restart(&self) {
        self.spawn();
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- log of {} ({:?})\n{}", self.name, self.kind, self.log());
        }
        self.kill();
    }
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections: a server that is started
/// again must find its port free. Test runs at the same time begin at different ones.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 12_000 + (std::process::id() % 100) as u16 * 200;
    let mut ports = std::iter::repeat_with(|| begin + NEXT.fetch_add(1, Relaxed) % 200);
    ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).expect("an endless iterator")
}
