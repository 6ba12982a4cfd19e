//! The files that tell others about a running server.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer};

/// Pid file and ports file, and that they go with the server.
fn files_come_and_go(program: Program) {
    let (http, cluster) = (free_port(), free_port());
    let config = format!(
        "pid_file: \"{{dir}}/n.pid\"\nports_file_dir: \"{{dir}}\"\nhttp: \"127.0.0.1:{http}\"\n\
         cluster {{ name: c, listen: \"127.0.0.1:{cluster}\" }}"
    );
    let mut server = TestServer::start(program, &config);
    let pid = server.pid().to_string();
    assert_eq!(server.wait_for_file("n.pid", &pid), pid, "{program:?}");
    let mode = std::fs::metadata(server.dir().join("n.pid")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{program:?}");

    let name = format!("{}_{pid}.ports", program.path().file_name().expect("a program").to_string_lossy());
    let ports: serde_json::Value = serde_json::from_str(&server.wait_for_file(&name, "}")).expect("JSON");
    let expected = json!({
        "nats": [format!("nats://127.0.0.1:{}", server.port)],
        "monitoring": [format!("http://127.0.0.1:{http}")],
        "cluster": [format!("nats://127.0.0.1:{cluster}")],
    });
    assert_eq!(ports, expected, "{program:?}");

    server.signal("TERM");
    assert!(server.wait_for_end().success());
    assert!(!server.dir().join(name).exists(), "{program:?}");
}

#[test]
fn natsd_says_where_it_is() {
    files_come_and_go(Program::Natsd);
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_says_where_it_is() {
    files_come_and_go(Program::Go);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let natsd = Program::Natsd.path();
    let args = ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", "/no/such"];
    let output = std::process::Command::new(natsd).args(args).output().expect("natsd runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("natsd: cannot write the ports file /no/such/natsd_"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}
