//! What the user chose.

use std::time::Duration;

use crate::MonitorUrl;

/// How the servers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The dashboard, or [`Mode::Text`] where input or output is no terminal.
    #[default]
    Dashboard,
    /// One line a cycle and server, and one an event.
    Text,
    /// One JSON document a cycle, on one line: `{"time", "servers": [{"url", "error", "varz", …}]}`.
    Json,
}

/// What to watch and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Monitoring ports to read; at least one.
    pub servers: Vec<MonitorUrl>,
    /// How to show them.
    pub mode: Mode,
    /// Ends after so many readings of every server; never when `None`.
    pub cycles: Option<u64>,
    /// Between two readings.
    pub interval: Duration,
    /// Use colours. States are words as well, and the selection is reversed, so nothing is lost without.
    pub color: bool,
}

impl Options {
    /// Watches `servers` once a second until the user quits; without colours if the environment variable `NO_COLOR`
    /// is set and not empty.
    pub fn new(servers: Vec<MonitorUrl>) -> Self {
        let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { servers, mode: Mode::default(), cycles: None, interval: Duration::from_secs(1), color }
    }
}
