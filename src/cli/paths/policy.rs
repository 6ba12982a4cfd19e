//! What a configuration wants of the paths that are listed, and of which traffic.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use natsd_path::{IsdAs, Listener, Part, Policy, Preference};

use crate::cli::args::PathsFlags;
use crate::config::options::{Options, ScionOptions};
use crate::config::{self, ConfigErrors};
use crate::route::most_specific;

/// Part of the traffic of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// What is in no other part.
    #[default]
    Route,
    /// That of an account with connections of its own.
    Account(String),
    /// Messages to a subject.
    Subject(String),
    /// Connections that a listener has accepted.
    Accepted(Listener),
}

/// What the paths are listed by.
pub(super) struct Wanted {
    pub(super) policy: Policy,
    /// Of which traffic, and in which file, if there is one.
    pub(super) source: Option<String>,
}

/// Why there is nothing to list them by.
#[derive(Debug, thiserror::Error)]
pub(super) enum PolicyError {
    /// The file is not what it should be.
    #[error(transparent)]
    File(#[from] ConfigErrors),
    /// A server with that file would not speak SCION.
    #[error("{}: SCION is off there; add a scion {{}} block", .0.display())]
    ScionOff(PathBuf),
}

impl FromStr for Traffic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let listeners = [Listener::Clients, Listener::Cluster, Listener::Leafnodes, Listener::Gateway];
        if let Some(listener) = listeners.into_iter().find(|listener| listener.to_string() == text) {
            return Ok(Self::Accepted(listener));
        }
        match text.split_once([':', '=', ' ']) {
            None if text == "route" => Ok(Self::Route),
            Some(("account", name)) if !name.is_empty() => Ok(Self::Account(name.to_owned())),
            Some(("subject", name)) if natsd_core::subject::is_valid(name.as_bytes()) => {
                Ok(Self::Subject(name.to_owned()))
            }
            _ => Err("use route, account:NAME, subject:SUBJECT, or where connections are accepted: clients, cluster, \
                      leafnodes or gateway"
                .to_owned()),
        }
    }
}

/// What the flags say, or the file that they name. A preference that is a flag goes before that of the file.
pub(super) fn of(flags: &PathsFlags) -> Result<Wanted, PolicyError> {
    let preference = &flags.scion.preference;
    let Some(file) = &flags.scion.source.config else {
        return Ok(Wanted { policy: preference.clone().into(), source: None });
    };
    // What it warns of is for the server to say.
    let (options, _) = config::load(file, Options::default())?;
    let scion = options.scion_with_rules().ok_or_else(|| PolicyError::ScionOff(file.clone()))?;
    let mut wanted = wanted(&scion, flags.traffic.as_ref(), flags.destination, file);
    if *preference != Preference::default() {
        wanted.policy.preference = preference.clone();
    }
    Ok(wanted)
}

fn wanted(scion: &ScionOptions, traffic: Option<&Traffic>, to: IsdAs, file: &Path) -> Wanted {
    let wishes = &scion.wishes;
    let class = |subject: &str| most_specific(wishes.subjects.keys().map(String::as_str), subject);
    let (at, part, of) = match traffic.unwrap_or(&Traffic::Route) {
        Traffic::Route => (None, Part::Rest, "all traffic without wishes of its own".to_owned()),
        Traffic::Account(name) if wishes.accounts.contains_key(name) => {
            (None, Part::Account(name), format!("account {name}"))
        }
        Traffic::Account(name) => (None, Part::Rest, format!("account {name}, which has no wishes of its own")),
        Traffic::Subject(name) => match class(name) {
            Some(pattern) => (None, Part::Subjects(pattern), format!("subjects {pattern}")),
            None => (None, Part::Rest, format!("{name}, which no pattern of paths matches")),
        },
        Traffic::Accepted(at) => (Some(*at), Part::Rest, format!("what is accepted at {at}")),
    };
    Wanted { policy: wishes.of_accepted(at, to, part), source: Some(format!("{of}, by {}", file.display())) }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route => f.write_str("route"),
            Self::Account(name) => write!(f, "account:{name}"),
            Self::Subject(name) => write!(f, "subject:{name}"),
            Self::Accepted(at) => at.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_what_prints_as_it_is_written() {
        for text in ["route", "account:GOV", "subject:orders.new", "clients", "cluster", "leafnodes", "gateway"] {
            assert_eq!(text.parse::<Traffic>().expect(text).to_string(), text);
        }
        assert_eq!("account GOV".parse(), Ok(Traffic::Account("GOV".into())));
        assert_eq!("subject=a.*".parse(), Ok(Traffic::Subject("a.*".into())));
        for text in ["", "routes", "account", "account:", "subject:a..b", "listener"] {
            assert!(text.parse::<Traffic>().is_err(), "{text}");
        }
    }
}
