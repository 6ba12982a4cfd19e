//! `natsd paths`: the paths to an AS, ranked as a server ranks them, and whether they answer.

mod human;
pub(super) mod json;
pub(super) mod policy;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use natsd_path::{Answer, IsdAs};
use natsd_scion::Host;

use super::args::{OutputFormat, PathsFlags};
use super::survey::{self, SurveyError, Surveyed};
use policy::{PolicyError, Wanted};

/// Prints the paths. The status is 1 when none of them answers and 2 when they cannot be told.
pub fn run(flags: &PathsFlags) -> ExitCode {
    survey::command("paths", show(flags))
}

/// What is printed of a lookup.
struct Listing<'a> {
    host: &'a Host,
    from: IsdAs,
    to: IsdAs,
    paths: &'a [Surveyed],
    wanted: &'a Wanted,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum ShowError {
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

async fn show(flags: &PathsFlags) -> Result<bool, ShowError> {
    let wanted = policy::of(flags)?;
    let (host, from) = survey::host(&flags.scion).await?;
    let to = flags.destination;
    if from == to {
        return Err(SurveyError::OwnAs(to).into());
    }
    let timeout = (!flags.no_probe).then_some(flags.timeout);
    let mut paths = survey::paths(&host, &flags.scion, &wanted.policy, to, timeout).await?;
    let none_asked = flags.no_probe && paths.iter().any(|path| !path.excluded);
    let alive = none_asked || paths.iter().any(|path| matches!(path.answer, Answer::After(_)));
    paths.truncate(flags.maxpaths.unwrap_or(usize::MAX));
    let listing = Listing { host: &host, from, to, paths: &paths, wanted: &wanted };
    let mut out = std::io::stdout().lock();
    let colour = !flags.no_color && std::env::var_os("NO_COLOR").is_none() && out.is_terminal();
    let text = match flags.format {
        OutputFormat::Human => human::render(&listing, flags.extended, colour),
        OutputFormat::Json => json::render(&listing),
    };
    // A reader that has seen enough is no error.
    let _ = out.write_all(text.as_bytes());
    Ok(alive)
}
