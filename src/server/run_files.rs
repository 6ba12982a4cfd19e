//! Files that tell others about a running server: its process id, and where it listens.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{StartError, interfaces};
use crate::config::options::Options;

/// Only the owner may read the process id, as in nats-server.
const PID_MODE: u32 = 0o600;
const PORTS_MODE: u32 = 0o644;

/// Where a server takes TCP connections, as bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    pub(super) clients: Vec<SocketAddr>,
    pub(super) monitoring: Vec<SocketAddr>,
    pub(super) routes: Vec<SocketAddr>,
    /// And whether with TLS.
    pub(super) websocket: Option<(SocketAddr, bool)>,
}

/// The files. They are removed when this is dropped.
#[derive(Debug, Default)]
pub(super) struct RunFiles {
    pid: Option<PathBuf>,
    ports: Option<PathBuf>,
}

impl RunFiles {
    /// Writes the files that `options` ask for.
    ///
    /// # Errors
    ///
    /// When one cannot be written; then there is none.
    pub(super) fn write(options: &Options, ports: &Ports) -> Result<Self, StartError> {
        let mut files = Self::default();
        files.rewrite(options, ports)?;
        Ok(files)
    }

    /// Writes the files that `options` ask for where they are not yet, and removes those that they do not.
    ///
    /// # Errors
    ///
    /// When one cannot be written; then all stays as it was.
    pub(super) fn rewrite(&mut self, options: &Options, ports: &Ports) -> Result<(), StartError> {
        let pid = options.pid_file.clone();
        let ports_file = options.ports_file_dir.as_ref().map(|directory| directory.join(ports_file_name()));
        let new_pid = pid.as_ref().filter(|path| self.pid.as_ref() != Some(path));
        if let Some(path) = new_pid {
            let source = |source| StartError::PidFile { path: path.clone(), source };
            replace(path, std::process::id().to_string().as_bytes(), PID_MODE).map_err(source)?;
        }
        if let Some(path) = ports_file.as_ref().filter(|path| self.ports.as_ref() != Some(path))
            && let Err(source) = replace(path, &ports_json(ports), PORTS_MODE)
        {
            remove(new_pid);
            return Err(StartError::PortsFile { path: path.clone(), source });
        }
        remove(self.pid.as_ref().filter(|old| pid.as_ref() != Some(old)));
        remove(self.ports.as_ref().filter(|old| ports_file.as_ref() != Some(old)));
        (self.pid, self.ports) = (pid, ports_file);
        Ok(())
    }
}

impl Drop for RunFiles {
    fn drop(&mut self) {
        remove(self.pid.as_ref());
        remove(self.ports.as_ref());
    }
}

/// It may be gone already, or not ours any more to remove.
fn remove(path: Option<&PathBuf>) {
    if let Some(path) = path {
        let _ = std::fs::remove_file(path);
    }
}

/// Nobody may see half a file: it is written under another name first, unless a device has the name.
fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let open = |path: &Path| OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    if path.exists() && !path.is_file() {
        return open(path)?.write_all(content);
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let written = open(&draft)?.write_all(content).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        remove(Some(&draft));
    }
    written
}

/// `natsd_1234.ports`, after the name that the program was started by.
fn ports_file_name() -> String {
    let program = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let name = program.file_name().map_or_else(|| "natsd".into(), |name| name.to_string_lossy().into_owned());
    format!("{name}_{}.ports", std::process::id())
}

/// The keys of nats-server.
#[derive(Serialize)]
struct PortsFile {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nats: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    monitoring: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cluster: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    websocket: Vec<String>,
}

fn ports_json(ports: &Ports) -> Vec<u8> {
    let websocket: Vec<_> = ports.websocket.iter().map(|(address, _)| *address).collect();
    let mut all = [&ports.clients, &ports.monitoring, &ports.routes, &websocket].into_iter().flatten();
    let wildcard = all.any(|address| address.ip().is_unspecified());
    let own = if wildcard { interfaces::addresses() } else { Ok(Vec::new()) };
    let own = own.unwrap_or_else(|error| {
        log::warn!("The addresses of this machine are not known, the ports file has that of loopback: {error}");
        vec![IpAddr::from([127, 0, 0, 1])]
    });
    let file = PortsFile {
        nats: urls("nats", &ports.clients, &own),
        monitoring: urls("http", &ports.monitoring, &own),
        cluster: urls("nats", &ports.routes, &own),
        websocket: urls(if ports.websocket.is_some_and(|(_, tls)| tls) { "wss" } else { "ws" }, &websocket, &own),
    };
    serde_json::to_vec(&file).unwrap_or_default()
}

/// The URLs that lead to `bound` on a machine with the addresses `own`.
fn urls(scheme: &str, bound: &[SocketAddr], own: &[IpAddr]) -> Vec<String> {
    let reachable = |address: &SocketAddr| -> Vec<SocketAddr> {
        if !address.ip().is_unspecified() {
            return vec![SocketAddr::new(address.ip().to_canonical(), address.port())];
        }
        let port = address.port();
        own.iter().filter(|ip| address.is_ipv6() || ip.is_ipv4()).map(|ip| SocketAddr::new(*ip, port)).collect()
    };
    bound.iter().flat_map(reachable).map(|address| format!("{scheme}://{address}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_the_addresses_of_the_machine() {
        let own: Vec<IpAddr> = ["127.0.0.1", "::1", "192.0.2.2"].map(|ip| ip.parse().expect("an address")).into();
        let urls = |bound: &str| urls("nats", &[bound.parse().expect("an address")], &own);
        assert_eq!(urls("[::]:1"), ["nats://127.0.0.1:1", "nats://[::1]:1", "nats://192.0.2.2:1"]);
        assert_eq!(urls("0.0.0.0:1"), ["nats://127.0.0.1:1", "nats://192.0.2.2:1"]);
        assert_eq!(urls("[::ffff:10.0.0.1]:1"), ["nats://10.0.0.1:1"]);
    }

    #[test]
    fn files_move_with_the_options_or_stay_as_they_are() {
        let dir = tempfile::tempdir().expect("a directory");
        let options = |pid: Option<&str>, ports: Option<&str>| Options {
            pid_file: pid.map(|name| dir.path().join(name)),
            ports_file_dir: ports.map(|name| dir.path().join(name)),
            ..Options::default()
        };
        let names = || {
            let entries = std::fs::read_dir(dir.path()).expect("a directory");
            let mut names: Vec<_> = entries.map(|entry| entry.expect("a file").file_name()).collect();
            names.sort();
            names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let ports = Ports { clients: vec![([127, 0, 0, 1], 4222).into()], ..Ports::default() };
        let mut files = RunFiles::write(&options(Some("a.pid"), Some("")), &ports).expect("written");
        assert_eq!(names(), ["a.pid".to_owned(), ports_file_name()]);
        let text = std::fs::read_to_string(dir.path().join(ports_file_name())).expect("a file");
        assert_eq!(text, r#"{"nats":["nats://127.0.0.1:4222"]}"#);

        let refused = files.rewrite(&options(Some("b.pid"), Some("no/such")), &ports).expect_err("no directory");
        assert!(refused.to_string().contains("cannot write the ports file"), "{refused}");
        assert_eq!(names(), ["a.pid".to_owned(), ports_file_name()]);
        files.rewrite(&options(Some("c.pid"), None), &ports).expect("written");
        assert_eq!(names(), ["c.pid"]);
        drop(files);
        assert!(names().is_empty());
    }
}
