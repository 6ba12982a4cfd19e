//! `natsd top`: the dashboard.

use std::process::ExitCode;

use natsd_tui::{Mode, MonitorUrl, Options, UrlError};

use super::args::{TopFlags, TopMode};

/// Shows the servers until the user quits, or for the number of cycles that the flags give. The status is 1 when no
/// server could be read in the last cycle.
pub fn run(flags: &TopFlags) -> ExitCode {
    let options = match options(flags) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("natsd top: --connect {error}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(natsd_tui::RunError::Terminal).and_then(|runtime| {
        let ended = runtime.block_on(natsd_tui::run(options));
        // A name that is being resolved must not hold up the end.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natsd top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(flags: &TopFlags) -> Result<Options, UrlError> {
    let servers: Result<Vec<MonitorUrl>, _> = flags.connect.iter().map(|url| url.parse()).collect();
    let mode = match flags.mode {
        TopMode::Tui => Mode::Dashboard,
        TopMode::Json => Mode::Json,
    };
    Ok(Options { mode, cycles: flags.cycles, ..Options::new(servers?) })
}
