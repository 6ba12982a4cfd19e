//! The samples for those who come from nats-server: both servers take each, and serve clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::server::{TestServer, programs};
use crate::harness::tls::Authority;

fn samples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/nats");
    let entries = std::fs::read_dir(directory).expect("the samples");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The sample with files that there are.
fn text(file: &Path, authority: &Authority) -> String {
    let text = std::fs::read_to_string(file).expect("a sample");
    let of_server = |end: &str| authority.file(&format!("server.{end}")).to_string_lossy().into_owned();
    let named = text.replace("certs/server.pem", &of_server("pem")).replace("certs/server.key", &of_server("key"));
    named.replace("certs/ca.pem", &authority.file("ca.pem").to_string_lossy())
}

#[test]
fn both_servers_take_every_sample() {
    let authority = Authority::new();
    authority.issue("server");
    let dir = tempfile::tempdir().expect("a directory");
    for file in samples() {
        let copy = dir.path().join(file.file_name().expect("a name"));
        std::fs::write(&copy, text(&file, &authority)).expect("it can be written");
        for program in programs() {
            let checked = Command::new(program.path()).arg("-t").arg("-c").arg(&copy).output().expect("it runs");
            let said = String::from_utf8_lossy(&checked.stderr);
            assert!(checked.status.success(), "{program:?} {}: {said}", file.display());
        }
    }
}

#[test]
fn both_servers_serve_clients_with_every_sample() {
    let authority = Authority::new();
    authority.issue("server");
    for file in samples() {
        // Any ports, as others may use those of the sample.
        let text = text(&file, &authority).replace("port: 4222", "");
        let text = text.replace(":8222", ":-1").replace(":6222", ":-1").replace("port: 8443", "port: -1");
        for program in programs() {
            let server = TestServer::start(program, &text);
            let name = file.file_stem().expect("a name").to_string_lossy();
            let info = server.connect().info;
            assert!(info["server_name"].as_str().is_some_and(|own| own.starts_with(&*name)), "{program:?}: {info}");
        }
    }
}
