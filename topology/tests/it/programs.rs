//! The reference end-host programs work with the emulator: proof that it speaks their protocols.

use std::{path::PathBuf, process::Output};

use natsd_lab::{
    description::Network,
    emulator::Emulator,
    engine::{Engine, LabOptions},
    reference::find_program,
};

use crate::host::ia;

fn scion() -> PathBuf {
    find_program("scion").expect("the reference programs")
}

async fn run(args: Vec<String>) -> String {
    let program = scion();
    let run = move || std::process::Command::new(program).args(args).output();
    let output: Output = tokio::task::spawn_blocking(run).await.expect("no panic").expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn words(lab: &dyn Engine, text: &str) -> Vec<String> {
    let at = lab.addresses(ia("1-ff00:0:111")).expect("an AS");
    let all = format!("{text} --sciond {} -l {} --no-color", at.daemon, at.host);
    all.split(' ').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn showpaths_finds_all_paths_alive() {
    let options = LabOptions { net: 221, ..LabOptions::default() };
    let lab = Emulator::start(Network::default_network(), &options).await.expect("free addresses");
    let text = run(words(&lab, "showpaths 1-ff00:0:112 -m 50")).await;
    assert_eq!(text.matches("Status: alive").count(), 7, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_gets_its_replies() {
    let options = LabOptions { net: 222, ..LabOptions::default() };
    let lab = Emulator::start(Network::default_network(), &options).await.expect("free addresses");
    let host = lab.addresses(ia("1-ff00:0:112")).expect("an AS").host;
    let command = format!("ping 1-ff00:0:112,{host} -c 3 --interval 50ms");
    let text = run(words(&lab, &command).into_iter().filter(|w| w != "--no-color").collect()).await;
    assert!(text.contains("3 packets transmitted, 3 received"), "{text}");
}
