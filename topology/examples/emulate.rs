//! Runs a network until Ctrl-C and takes commands from standard input (and from TCP, see `control`):
//! `cargo run -p natsd-lab --example emulate -- [NET] [FILE] [DIR]`
//!
//! With DIR, the reference programs run it, with their files in that directory; else the emulator does.

use std::{error::Error, path::Path, sync::Arc};

use natsd_lab::{
    control,
    description::Network,
    emulator::Emulator,
    engine::{Engine, LabOptions},
    reference::Reference,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut terminated = signal(SignalKind::terminate())?;
    // Whatever ends first drops the rest, and a dropped lab leaves no process behind, not even in the middle of its start.
    tokio::select! {
        result = run() => result,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminated.recv() => Ok(()),
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut options = LabOptions::default();
    if let Some(net) = args.next() {
        options.net = net.parse()?;
    }
    let network = match args.next() {
        Some(file) => Network::read(Path::new(&file))?,
        None => Network::default_network(),
    };
    let ases: Vec<_> = network.ases.iter().map(|a| a.ia).collect();
    let lab: Arc<dyn Engine> = match args.next() {
        Some(directory) => Arc::new(Reference::start(network, &options, Path::new(&directory)).await?),
        None => Arc::new(Emulator::start(network, &options).await?),
    };
    for (ia, at) in ases.iter().filter_map(|ia| Some((ia, lab.addresses(*ia)?))) {
        println!("{ia}  daemon {}  router {}  host {}", at.daemon, at.router, at.host);
    }
    let _listener = control::listen(Arc::clone(&lab), options.net).await?;
    println!("commands: standard input or {}", control::address(options.net));
    take_commands(lab.as_ref()).await;
    Ok(())
}

/// Answers lines of standard input. Its end is not the end of the lab, so that it can run in the background.
async fn take_commands(lab: &dyn Engine) {
    let (send, mut receive) = mpsc::channel(1);
    // A thread, because a read of the terminal cannot be cancelled and would keep the runtime from ending.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = receive.recv().await {
        println!("{}", control::answer(lab, &line).await);
    }
    std::future::pending().await
}
