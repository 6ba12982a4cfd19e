//! `natsd lab`, as a user runs it.

use crate::harness::network::free_net;
use crate::harness::server::natsd;

#[test]
fn the_lab_survives_a_cut_and_says_that_nothing_was_lost() {
    let net = free_net().to_string();
    let args = ["lab", "--for", "5s", "--net", &net, "--cut", "peer@2s", "--preference", "latency"];
    let output = natsd(&args);
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{text}{error}");
    assert!(text.contains("cut peer after 2s"), "{text}");
    let summary = text.lines().last().expect("a summary");
    assert!(summary.starts_with("sent ") && summary.contains(", lost 0, duplicated 0, "), "{summary}");
}
