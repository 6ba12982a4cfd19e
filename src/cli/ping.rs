//! `natsd ping`: round trips to a host over one path, by SCMP echo.

mod json;
mod tally;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use natsd_path::{IsdAs, ScionAddr};
use natsd_scion::{Host, PathInfo, PingError};
use thiserror::Error;

use self::tally::Tally;
use super::args::{OutputFormat, PingFlags};
use super::survey::{self, SurveyError, Surveyed, hops, ms};

/// Why nothing was sent.
#[derive(Debug, Error)]
enum PingCommandError {
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error("no path to {0} has the fingerprint {1}; `natsd paths {0}` lists them")]
    NoSuchPath(IsdAs, String),
    #[error("there is no path of rank {rank} to {to}: {paths} are known")]
    NoSuchRank { to: IsdAs, rank: usize, paths: usize },
    #[error(transparent)]
    Send(PingError),
}

/// Pings. The status is 1 when nothing came back and 2 when nothing could be sent.
pub fn run(flags: &PingFlags) -> ExitCode {
    survey::command("ping", ping(flags))
}

async fn ping(flags: &PingFlags) -> Result<bool, PingCommandError> {
    let (host, local) = survey::host(&flags.scion).await?;
    let (isd_as, address) = flags.destination;
    let path = choose(&host, local, flags).await?;
    let to = ScionAddr { isd_as, host: address, port: 0 };
    let human = flags.format == OutputFormat::Human;
    if human {
        let over = if path.interfaces.is_empty() { "" } else { "over " };
        print(&format!("PING {isd_as},{address} {over}{}\n", hops(&path)));
    }
    let tally = send(&host, to, &path, flags, human).await?;
    print(&match flags.format {
        OutputFormat::Human => format!("{tally}\n"),
        OutputFormat::Json => json::render(&host, to, &path, flags.payload_size, &tally),
    });
    Ok(!tally.answered.is_empty())
}

/// Sends the requests, and tells what becomes of each if `human`.
async fn send(
    host: &Host,
    to: ScionAddr,
    path: &PathInfo,
    flags: &PingFlags,
    human: bool,
) -> Result<Tally, PingCommandError> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut next = tokio::time::interval(flags.interval.max(Duration::from_millis(1)));
    for sequence in 0..flags.count {
        next.tick().await;
        let size = usize::from(flags.payload_size);
        let answer = tokio::select! {
            answer = host.ping(to, path, sequence, size, flags.timeout) => answer,
            _ = tokio::signal::ctrl_c() => break,
        };
        tally.sent += 1;
        let line = match answer {
            Ok(rtt) => {
                tally.answered.push((sequence, rtt));
                format!("answer from {},{}: seq={sequence} time={}\n", to.isd_as, to.host, ms(rtt))
            }
            Err(error @ (PingError::Timeout { .. } | PingError::Scmp { .. })) => {
                let line = format!("seq={sequence}: {error}\n");
                tally.unanswered.push((sequence, error));
                line
            }
            Err(error) => return Err(PingCommandError::Send(error)),
        };
        if human {
            print(&line);
        }
    }
    tally.took = started.elapsed();
    Ok(tally)
}

fn print(text: &str) {
    // A reader that has seen enough is no error.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// The path that the user wants, else the best that answers.
async fn choose(host: &Host, local: IsdAs, flags: &PingFlags) -> Result<PathInfo, PingCommandError> {
    let to = flags.destination.0;
    let asks = to != local && flags.path.is_none();
    let paths =
        survey::paths(host, &flags.scion, &flags.scion.preference.clone().into(), to, asks.then_some(flags.timeout))
            .await?;
    let known = paths.len();
    let chosen = |path: Option<Surveyed>| path.map(|path| path.info);
    match (&flags.path, flags.rank) {
        (Some(fingerprint), _) => {
            let mut paths = paths.into_iter();
            chosen(paths.find(|path| path.candidate.fingerprint.to_string() == *fingerprint))
                .ok_or_else(|| PingCommandError::NoSuchPath(to, fingerprint.clone()))
        }
        (None, rank) => {
            let rank = rank.map_or(1, usize::from);
            chosen(paths.into_iter().nth(rank - 1)).ok_or(PingCommandError::NoSuchRank { to, rank, paths: known })
        }
    }
}
