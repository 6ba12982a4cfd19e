//! `natsd top`: the dashboard.

use std::process::ExitCode;

use natsd_tui::{Mode, MonitorUrl, Options};

use super::args::{TopFlags, TopMode};

/// Shows the servers of `--connect` until the user quits or `--cycles` are over.
pub async fn run(flags: TopFlags) -> ExitCode {
    let servers: Result<Vec<MonitorUrl>, _> = flags.connect.iter().map(|url| url.parse()).collect();
    let result = match servers {
        Ok(servers) => {
            let mode = match flags.mode {
                TopMode::Tui => Mode::Dashboard,
                TopMode::Json => Mode::Json,
            };
            let options = Options { mode, cycles: flags.cycles, ..Options::new(servers) };
            natsd_tui::run(options).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("--connect: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natsd top: {error}");
            ExitCode::FAILURE
        }
    }
}
