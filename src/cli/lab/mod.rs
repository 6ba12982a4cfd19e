//! `natsd lab`: a SCION network, two clustered servers in different ASes, a load from one to the other, and keys that
//! cut links.

mod control;
mod load;
mod servers;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use natsd_lab::description::{DescriptionError, Network};
use natsd_lab::emulator::Emulator;
use natsd_lab::engine::{Engine, LabError, LabOptions};
use natsd_lab::link::Cut;
use natsd_lab::reference::Reference;
use natsd_tui::RunError;
use thiserror::Error;

use self::control::Control;
use self::load::{Load, LoadError};
use self::servers::{Servers, ServersError};
use super::args::{LabEngine, LabFlags, TimedCut};

/// How long the last messages may take after the load has ended.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the lab ended early.
#[derive(Debug, Error)]
enum RunLabError {
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Description(#[from] DescriptionError),
    #[error(transparent)]
    Engine(#[from] LabError),
    #[error(transparent)]
    Servers(#[from] ServersError),
    #[error("the load: {0}")]
    Load(#[from] LoadError),
    #[error(transparent)]
    Show(#[from] RunError),
    #[error("waiting for Ctrl-C: {0}")]
    Interrupt(#[source] io::Error),
}

/// Runs the lab until the user quits or `--for` is over. Status 1 also if a message was lost or came twice.
pub fn run(flags: LabFlags) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(RunLabError::Runtime).and_then(|runtime| runtime.block_on(lab(flags))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("natsd lab: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn lab(flags: LabFlags) -> Result<bool, RunLabError> {
    let network = match &flags.topology {
        Some(file) => Network::read(file)?,
        None => Network::default_network(),
    };
    let engine = start_engine(flags.engine, &network, flags.net).await?;
    let servers = Servers::start(&network, engine.as_ref(), &flags.preference).await?;
    let load = Load::start(servers.subscriber(), servers.publisher()).await?;
    let control = Control::new(&network, Arc::clone(&engine), load.counters());
    let script = tokio::spawn(play(Arc::clone(&engine), flags.cut));

    let mut watch = natsd_tui::Options::new(servers.monitors());
    if flags.duration.is_some() {
        watch.mode = natsd_tui::Mode::Text;
    }
    tokio::select! {
        shown = natsd_tui::run_with_lab(watch, control) => shown?,
        () = ended(flags.duration) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(RunLabError::Interrupt)?,
    }

    script.abort();
    let result = load.finish(DRAIN).await;
    println!("{result}");
    servers.stop().await;
    engine.stop().await?;
    Ok(result.is_clean())
}

async fn start_engine(kind: LabEngine, network: &Network, net: u8) -> Result<Arc<dyn Engine>, LabError> {
    let options = LabOptions { net, seed: fastrand::u64(..), ..LabOptions::default() };
    Ok(match kind {
        LabEngine::Emulator => Arc::new(Emulator::start(network.clone(), &options).await?),
        LabEngine::Reference => {
            let directory = std::env::temp_dir().join(format!("natsd-lab-{}", std::process::id()));
            Arc::new(Reference::start(network.clone(), &options, &directory).await?)
        }
    })
}

/// Cuts links at the times that the user gave.
async fn play(engine: Arc<dyn Engine>, mut cuts: Vec<TimedCut>) {
    let start = tokio::time::Instant::now();
    cuts.sort_by_key(|cut| cut.at);
    for cut in cuts {
        tokio::time::sleep_until(start + cut.at).await;
        match engine.cut(&cut.link, Cut::Cable, None) {
            Ok(()) => println!("cut {} after {:?}", cut.link, cut.at),
            Err(error) => eprintln!("natsd lab: --cut {}: {error}", cut.link),
        }
    }
}

async fn ended(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}
