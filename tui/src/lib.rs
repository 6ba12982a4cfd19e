//! The dashboard: live paths, routes, connections and events of one or several natsd.
//!
//! It reads the monitoring endpoints over HTTP and nothing else, so it works from anywhere that monitoring can be
//! reached from, and against nats-server too (which has no `/pathz`).
//!
//! The parts, in the order in which data flows: `source` asks a server, `world` keeps what the servers said, `update`
//! changes the `state` on a message, `rows` selects and orders what `render` draws. `dashboard` runs them on a terminal,
//! `report` prints lines instead. All but `source`, `dashboard`, `terminal` and `report` know neither clock nor terminal
//! nor network.

mod dashboard;
mod format;
mod lab;
mod links;
mod map;
mod options;
mod past;
mod reasons;
mod render;
mod report;
mod rows;
mod source;
mod state;
mod tables;
mod terminal;
#[cfg(test)]
mod testing;
mod traffic;
mod update;
mod world;

use std::io::{self, IsTerminal};

pub use lab::{LabAction, LabControl, LabLink, LabLoad, LabView, LinkState};
pub use options::{Mode, Options};
pub use source::{FetchError, MonitorUrl, Snapshot, UrlError};

/// Why the dashboard ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No URL was given.
    #[error("there is no server to watch; give the URL of a monitoring port, such as http://127.0.0.1:8222")]
    NoServer,
    /// The terminal could not be read or written.
    #[error("the terminal: {0}")]
    Terminal(#[source] io::Error),
    /// Standard output could not be written.
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
    /// The last of `cycles` found no server.
    #[error(transparent)]
    Unreachable(FetchError),
}

/// Watches the servers of `options` until the user quits or its `cycles` are over.
///
/// On a terminal this is the dashboard; elsewhere it is text, a line a second. The other modes print what [`Mode`] says.
///
/// # Errors
/// See [`RunError`]. A server that does not answer is shown as such and asked again; only when none answers in the
/// last cycle of what is printed, this is an error.
pub async fn run(options: Options) -> Result<(), RunError> {
    start(options, None).await
}

/// As [`run`], with a panel to cut and restore the links of a lab by key.
///
/// # Errors
/// As [`run`].
pub async fn run_with_lab(options: Options, lab: impl LabControl) -> Result<(), RunError> {
    start(options, Some(Box::new(lab))).await
}

async fn start(options: Options, lab: Option<Box<dyn LabControl>>) -> Result<(), RunError> {
    if options.servers.is_empty() {
        return Err(RunError::NoServer);
    }
    match options.mode {
        Mode::Json => report::json(options, lab).await,
        Mode::Csv => report::csv(options).await,
        Mode::Dot => report::dot(options).await,
        Mode::Pretty => report::pretty(options).await,
        Mode::Dashboard if io::stdout().is_terminal() && io::stdin().is_terminal() => {
            dashboard::run(options, lab).await
        }
        Mode::Dashboard | Mode::Text => report::text(options, lab).await,
    }
}
