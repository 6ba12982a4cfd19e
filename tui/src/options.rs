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
    /// One line a cycle and path, after one with the names of the columns.
    Csv,
    /// One graph a cycle and server, in the language of Graphviz: the network that its paths pass.
    Dot,
    /// The paths as a table, once a cycle.
    Pretty,
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
    /// Draw with ASCII alone.
    pub ascii: bool,
}

impl Options {
    /// Watches `servers` once a second until the user quits; without colours if the environment variable `NO_COLOR`
    /// is set and not empty, and in ASCII if the locale is one without UTF-8.
    pub fn new(servers: Vec<MonitorUrl>) -> Self {
        let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let ascii = !has_utf8(|name| std::env::var(name).ok());
        Self { servers, mode: Mode::default(), cycles: None, interval: Duration::from_secs(1), color, ascii }
    }
}

/// Whether the locale has UTF-8; where nothing says which one it is, yes.
fn has_utf8(get: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(get).find(|value| !value.is_empty());
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_names_a_locale_counts() {
        let has = |all: &str, lang: &str| {
            has_utf8(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert!(has("", "") && has("", "de_CH.UTF-8") && has("C.utf8", "C"));
        assert!(!has("C", "de_CH.UTF-8") && !has("", "POSIX"));
    }
}
