//! `natsd ping`: round trips to a host over one path, by SCMP echo.

use std::process::ExitCode;
use std::time::Duration;

use natsd_path::{IsdAs, ScionAddr};
use natsd_scion::{Host, PathInfo, PingError};
use thiserror::Error;

use super::args::PingFlags;
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
    let over = if path.interfaces.is_empty() { "" } else { "over " };
    println!("PING {isd_as},{address} {over}{}", hops(&path));
    let mut tally = Tally::default();
    let mut next = tokio::time::interval(flags.interval.max(Duration::from_millis(1)));
    for sequence in 0..flags.count {
        next.tick().await;
        let size = usize::from(flags.payload_size);
        let answer = tokio::select! {
            answer = host.ping(to, &path, sequence, size, flags.timeout) => answer,
            _ = tokio::signal::ctrl_c() => break,
        };
        tally.sent += 1;
        match answer {
            Ok(rtt) => {
                println!("answer from {isd_as},{address}: seq={sequence} time={}", ms(rtt));
                tally.answered.push(rtt);
            }
            Err(error @ (PingError::Timeout { .. } | PingError::Scmp { .. })) => println!("seq={sequence}: {error}"),
            Err(error) => return Err(PingCommandError::Send(error)),
        }
    }
    println!("{tally}");
    Ok(!tally.answered.is_empty())
}

/// The path that the user wants, else the best that answers.
async fn choose(host: &Host, local: IsdAs, flags: &PingFlags) -> Result<PathInfo, PingCommandError> {
    let to = flags.destination.0;
    let asks = to != local && flags.path.is_none();
    let paths = survey::paths(host, &flags.scion, to, asks.then_some(flags.timeout)).await?;
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

/// What became of the requests.
#[derive(Default)]
struct Tally {
    sent: u32,
    answered: Vec<Duration>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let answered = u32::try_from(self.answered.len()).unwrap_or(u32::MAX);
        let lost = self.sent.saturating_sub(answered);
        let percent = f64::from(lost) * 100.0 / f64::from(self.sent.max(1));
        write!(f, "{} sent, {answered} answered, {percent:.0} % lost", self.sent)?;
        if let (Some(min), Some(max)) = (self.answered.iter().min(), self.answered.iter().max()) {
            let average = self.answered.iter().sum::<Duration>() / answered;
            write!(f, "; min/avg/max {} / {} / {}", ms(*min), ms(average), ms(*max))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_losses_and_round_trips() {
        let answered = [10, 20, 60].map(Duration::from_millis).to_vec();
        let tally = Tally { sent: 4, answered };
        assert_eq!(tally.to_string(), "4 sent, 3 answered, 25 % lost; min/avg/max 10.0 ms / 30.0 ms / 60.0 ms");
        assert_eq!(Tally { sent: 3, ..Tally::default() }.to_string(), "3 sent, 0 answered, 100 % lost");
    }
}
