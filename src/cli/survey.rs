//! The paths to an AS as `natsd paths` and `natsd ping` see them: looked up, asked once, ranked.

use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use natsd_path::{Answer, Candidate, IsdAs, Policy, Sequence, survey};
use natsd_scion::{Host, LookupError, PathInfo};
use thiserror::Error;
use tokio::task::JoinSet;

use super::args::ScionFlags;
use super::source::SourceError;

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub(super) enum SurveyError {
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("{asked} knows no path to {to}; is that its number, and is it up?")]
    NoPaths { asked: String, to: IsdAs },
    #[error("none of the {known} paths to {to} is \"{sequence}\"; `natsd paths {to} -e` shows the sequence of each")]
    NoMatch { to: IsdAs, known: usize, sequence: Sequence },
    #[error("{0} is the AS of this host: what is in it is reached without a path")]
    OwnAs(IsdAs),
}

/// Runs a command that uses the network and tells why it could not.
pub(super) fn command<E: std::fmt::Display + From<SurveyError>>(
    name: &str,
    work: impl Future<Output = Result<bool, E>>,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(|error| E::from(SurveyError::Runtime(error))).and_then(|runtime| {
        let done = runtime.block_on(work);
        // A daemon that hangs must not hold up the end.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("natsd {name}: {error}");
            ExitCode::from(2)
        }
    }
}

/// A path, what it answered, and where that puts it.
pub(super) struct Surveyed {
    pub(super) info: PathInfo,
    pub(super) candidate: Candidate,
    pub(super) answer: Answer,
    /// 1 is the best.
    pub(super) rank: usize,
    /// A rule excludes it.
    pub(super) excluded: bool,
    /// What it costs, and how much carbon, by the operator's tables.
    pub(super) prices: [Option<u64>; 2],
    pub(super) why: String,
}

/// This host, once the daemon has told its AS.
pub(super) async fn host(flags: &ScionFlags) -> Result<(Host, IsdAs), SurveyError> {
    let host = flags.source.host(flags.preference.clone().into())?;
    let local_as = host.ask().await.map_err(SourceError::from)?;
    Ok((host, local_as))
}

/// The paths to `to` that the flags allow, best first by `policy`, those that it excludes last; those that may be used are asked
/// whether they are alive when there is a `timeout` for that.
pub(super) async fn paths(
    host: &Host,
    flags: &ScionFlags,
    policy: &Policy,
    to: IsdAs,
    timeout: Option<Duration>,
) -> Result<Vec<Surveyed>, SurveyError> {
    let mut found = host.lookup(to, flags.refresh).await?;
    if found.is_empty() {
        return Err(SurveyError::NoPaths { asked: host.source_title(), to });
    }
    if let Some(sequence) = &flags.sequence {
        let known = found.len();
        found.retain(|path| sequence.matches(&path.interfaces));
        if found.is_empty() {
            return Err(SurveyError::NoMatch { to, known, sequence: sequence.clone() });
        }
    }
    let (now, date) = (Instant::now(), SystemTime::now());
    let mut candidates: Vec<_> = found.iter().map(|path| (path.candidate(now, date), Answer::NotAsked)).collect();
    if let Some(timeout) = timeout {
        ask_all(host, to, &found, timeout, policy, &mut candidates).await;
    }
    let ranked = survey(policy, &candidates);
    let paths = ranked.into_iter().enumerate().map(|(above, ranked)| {
        let (candidate, answer) = candidates[ranked.index].clone();
        let (info, excluded, prices) = (found[ranked.index].clone(), ranked.excluded, ranked.prices);
        Surveyed { info, candidate, answer, rank: above + 1, excluded, prices, why: ranked.why }
    });
    Ok(paths.collect())
}

/// What a rule excludes is not asked, as servers do not ask it.
async fn ask_all(
    host: &Host,
    to: IsdAs,
    paths: &[PathInfo],
    timeout: Duration,
    policy: &Policy,
    candidates: &mut [(Candidate, Answer)],
) {
    let mut questions = JoinSet::new();
    for (index, path) in paths.iter().cloned().enumerate() {
        if policy.rules.exclusion(&candidates[index].0).is_none() {
            let host = host.clone();
            questions.spawn(async move { (index, host.probe(to, &path, timeout).await) });
        }
    }
    while let Some(Ok((index, answer))) = questions.join_next().await {
        candidates[index].1 = answer.map_or(Answer::Silent, Answer::After);
    }
}

/// The path as `scion showpaths` writes it: `1-ff00:0:111 3>3 1-ff00:0:112`.
pub(super) fn hops(path: &PathInfo) -> String {
    let Some(first) = path.interfaces.first() else { return "within the AS".to_owned() };
    let mut text = first.isd_as.to_string();
    for link in path.interfaces.chunks_exact(2) {
        text.push_str(&format!(" {}>{} {}", link[0].id, link[1].id, link[1].isd_as));
    }
    text
}

/// Milliseconds with one digit.
pub(super) fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
