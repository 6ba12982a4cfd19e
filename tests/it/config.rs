//! `natsd -t`, `-v` and wrong flags, as an operator meets them.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::server::natsd;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn conf_files(dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)).expect(dir);
    let names = entries.map(|entry| format!("{dir}/{}", entry.expect(dir).file_name().to_string_lossy()));
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".conf")).collect();
    names.sort();
    names
}

#[test]
fn every_sample_passes_the_check() {
    for file in conf_files("configs") {
        let output = natsd(&["-t", "-c", &file]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        let expected = format!("natsd: configuration file {file} is valid (sha256:");
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    }
}

#[test]
fn every_invalid_sample_fails_it_and_is_named_on_each_line() {
    for file in conf_files("configs/invalid") {
        let output = natsd(&["-t", "-c", &file]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        for line in stderr(&output).trim_start_matches("natsd: ").lines() {
            assert!(line.starts_with(&file), "{line}");
        }
    }
}

#[test]
fn the_digest_does_not_depend_on_how_it_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let digest = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect(name);
        let output = natsd(&["-t", "-c", &file.to_string_lossy()]);
        stderr(&output).split_once("(sha256:").expect("valid").1.to_owned()
    };
    let plain = digest("a.conf", "port = 4333 # comment\ncluster { listen: 6222, name: c }");
    let json = digest("b.conf", "{\"cluster\": {\"name\": \"c\", \"listen\": 6222},\n \"port\": 4333 }\n");
    assert_eq!(plain, json);
}

#[test]
fn a_warning_fails_the_check() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("warning.conf");
    std::fs::write(&file, "ping_interval: 2\n").expect("warning.conf");
    let output = natsd(&["-t", "-c", &file.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ping_interval should be converted to a duration"), "{}", stderr(&output));
}

#[test]
fn a_missing_file_is_named() {
    let output = natsd(&["-t", "-c", "no-such.conf"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot read the configuration file no-such.conf"), "{}", stderr(&output));
}

#[test]
fn the_environment_gives_variables() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("env.conf");
    std::fs::write(&file, "port: $NATSD_TEST_PORT\n").expect("env.conf");
    let mut check = Command::new(env!("CARGO_BIN_EXE_natsd"));
    check.arg("-t").arg("-c").arg(&file);
    assert!(!check.status().expect("natsd runs").success());
    assert!(check.env("NATSD_TEST_PORT", "4333").status().expect("natsd runs").success());
}

#[test]
fn the_version_says_what_it_is_compatible_with() {
    for args in [["-v"], ["version"], ["--version"]] {
        let output = natsd(&args);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text, concat!("natsd: v", env!("CARGO_PKG_VERSION"), " (compatible with nats-server 2.15.2)\n"));
    }
}

#[test]
fn an_unknown_flag_ends_with_status_two_and_a_hint() {
    let output = natsd(&["--cluster_nam", "c"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--cluster_name"), "{}", stderr(&output));
}
