//! `natsd top`: the dashboard.

use std::process::ExitCode;

use natsd_tui::{Mode, MonitorUrl, Options, UrlError};

use super::args::{TopFlags, TopMode};

/// Where clients would connect to, in the order in which they are looked at.
const VARIABLES: [&str; 2] = ["NATS_URL", "NATS_URI"];
const DEFAULT: &str = "http://127.0.0.1:8222";

/// Shows the servers until the user quits, or for the number of cycles that the flags give. The status is 1 when no
/// server could be read in the last cycle.
pub fn run(flags: &TopFlags) -> ExitCode {
    let options = match options(flags) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("natsd top: {error}");
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

/// A URL that is none, and where it comes from.
#[derive(Debug, thiserror::Error)]
#[error("{from} {error}")]
struct WrongUrl {
    from: &'static str,
    error: UrlError,
}

fn options(flags: &TopFlags) -> Result<Options, WrongUrl> {
    let (from, urls) = if flags.connect.is_empty() {
        from_environment(|name| std::env::var(name).ok())
    } else {
        ("--connect", flags.connect.clone())
    };
    let servers = urls.iter().map(|url| url.parse().map_err(|error| WrongUrl { from, error }));
    let servers: Vec<MonitorUrl> = servers.collect::<Result<_, _>>()?;
    let mode = match flags.mode {
        TopMode::Tui => Mode::Dashboard,
        TopMode::Json => Mode::Json,
        TopMode::Csv => Mode::Csv,
        TopMode::Dot => Mode::Dot,
        TopMode::Pretty => Mode::Pretty,
    };
    let options = Options::new(servers);
    Ok(Options { mode, cycles: flags.cycles, ascii: flags.ascii || options.ascii, ..options })
}

/// The first variable that says where servers are, and the monitoring ports of those.
fn from_environment(get: impl Fn(&str) -> Option<String>) -> (&'static str, Vec<String>) {
    for name in VARIABLES {
        let value = get(name).unwrap_or_default();
        let urls: Vec<_> = value.split(',').map(str::trim).filter(|url| !url.is_empty()).map(monitoring).collect();
        if !urls.is_empty() {
            return (name, urls);
        }
    }
    ("--connect", vec![DEFAULT.to_owned()])
}

/// The usual monitoring port on the host of a URL for clients. Who a client is has no meaning there.
fn monitoring(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    if scheme.starts_with("http") {
        return url.to_owned();
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let host = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => address,
    };
    format!("http://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_where_clients_would_look_for_them() {
        let found = |url: Option<&str>, uri: Option<&str>| {
            let get = |name: &str| if name == "NATS_URL" { url } else { uri }.map(str::to_owned);
            let (from, urls) = from_environment(get);
            format!("{from}: {}", urls.join(" "))
        };
        assert_eq!(found(None, None), "--connect: http://127.0.0.1:8222");
        assert_eq!(found(None, Some("nats://u:p@old:4222")), "NATS_URI: http://old");
        assert_eq!(found(Some("tls://a:1, b ,[::1]:4222"), Some("c")), "NATS_URL: http://a http://b http://[::1]");
        assert_eq!(found(Some(" "), Some("http://me:p@h:1/x")), "NATS_URI: http://me:p@h:1/x");
    }
}
