//! `natsd`: run the server.

use std::error::Error;
use std::process::ExitCode;

use super::flags::ServeFlags;
use crate::signals::{self, Signals};
use crate::{Server, logging};

/// Runs until a signal ends it; that is success.
pub fn run(flags: &ServeFlags) -> ExitCode {
    match serve(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natsd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: &ServeFlags) -> Result<(), Box<dyn Error>> {
    let (options, warnings) = flags.options()?;
    logging::init(&options)?;
    if !warnings.is_empty() {
        log::warn!("{warnings}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::take()?;
        let server = Server::start(options).await?;
        signals::run_until_signal(server, signals, || flags.reread()).await;
        log::logger().flush();
        Ok(())
    })
}
