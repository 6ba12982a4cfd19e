//! What the log says of the daemon and of its paths: one line when they fail, one when they are back.

use std::time::SystemTime;

use log::Level;
use natsd_path::IsdAs;

use crate::daemon::LocalAs;
use crate::error::DaemonError;

/// A line for the log.
pub(crate) type Line = (Level, String);

/// Whether the daemon answers.
#[derive(Debug)]
pub(crate) struct DaemonState {
    /// Since when it answers, or since when it does not and why.
    pub(crate) state: Result<SystemTime, (SystemTime, DaemonError)>,
    /// Whether the log says that it does not.
    told: bool,
}

impl DaemonState {
    /// Of a daemon that has not been asked yet.
    pub(crate) fn unknown(now: SystemTime, waiting: DaemonError) -> Self {
        Self { state: Err((now, waiting)), told: false }
    }

    /// Takes an answer of the daemon at `address`. The words of an error may differ from attempt to attempt; that
    /// begins no new outage. `knew_local`: it has answered before.
    pub(crate) fn note(
        &mut self,
        now: SystemTime,
        address: &str,
        knew_local: bool,
        answer: Result<&LocalAs, DaemonError>,
    ) -> Option<Line> {
        match (answer, &self.state) {
            (Ok(_), Ok(_)) => None,
            (Ok(local), Err(_)) => {
                *self = Self { state: Ok(now), told: false };
                Some((Level::Info, format!("the SCION daemon at {address} answers: this is AS {}", local.isd_as)))
            }
            (Err(error), before) => {
                let since = match before {
                    Err((since, _)) if self.told => *since,
                    _ => now,
                };
                let meanwhile = match knew_local {
                    true => "known paths are used until they expire",
                    false => "SCION waits for it, see scion.daemon and whether it runs",
                };
                let line = (!self.told).then(|| (Level::Warn, format!("{error}; asking again, {meanwhile}")));
                *self = Self { state: Err((since, error)), told: true };
                line
            }
        }
    }
}

/// Whether lookups find paths to one AS.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// The log says that they do not.
    failing: bool,
}

impl Lookups {
    /// Takes the result of a lookup: how many paths it found, or why it failed. `known`: paths of earlier lookups.
    pub(crate) fn note(&mut self, to: IsdAs, found: Result<usize, String>, known: usize) -> Option<Line> {
        let why = match found {
            Ok(found) if found > 0 => {
                let line = (Level::Info, format!("paths to {to} are found again: {found}"));
                return std::mem::take(&mut self.failing).then_some(line);
            }
            Ok(_) => format!("no paths to {to}: the SCION daemon knows none"),
            Err(error) => error,
        };
        let meanwhile = match known {
            0 => "asking again; is the ISD-AS right?".to_owned(),
            _ => format!("asking again, the {known} known ones are used until they expire"),
        };
        let first = !std::mem::replace(&mut self.failing, true);
        first.then(|| (Level::Warn, format!("{why}; {meanwhile}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const TO: IsdAs = IsdAs(0x0001_ff00_0000_0112);

    fn error(reason: &str) -> DaemonError {
        DaemonError::Call { address: "d:1".into(), method: "AS", reason: reason.into() }
    }

    #[test]
    fn an_outage_of_the_daemon_is_told_once_whatever_its_words() {
        let start = SystemTime::UNIX_EPOCH;
        let at = |s| start + Duration::from_secs(s);
        let local = LocalAs { isd_as: TO, mtu: 1472, ports: None };
        let mut daemon = DaemonState::unknown(start, error("it has not been asked yet"));
        let (level, text) = daemon.note(at(1), "d:1", false, Err(error("refused"))).expect("news");
        assert_eq!(level, Level::Warn);
        assert!(text.contains("refused; asking again, SCION waits for it, see scion.daemon"), "{text}");
        assert_eq!(daemon.note(at(2), "d:1", false, Err(error("reset"))), None);
        assert!(matches!(&daemon.state, Err((since, e)) if *since == at(1) && e.to_string().contains("reset")));
        let back = daemon.note(at(3), "d:1", false, Ok(&local)).expect("news");
        assert_eq!(back, (Level::Info, "the SCION daemon at d:1 answers: this is AS 1-ff00:0:112".into()));
        assert_eq!(daemon.note(at(4), "d:1", true, Ok(&local)), None);
        let (_, text) = daemon.note(at(5), "d:1", true, Err(error("refused"))).expect("news");
        assert!(text.ends_with("known paths are used until they expire"), "{text}");
    }

    #[test]
    fn lookups_that_fail_are_told_once_and_once_when_they_work() {
        let mut lookups = Lookups::default();
        assert_eq!(lookups.note(TO, Ok(7), 0), None, "nothing was wrong");
        let (level, text) = lookups.note(TO, Ok(0), 7).expect("news");
        assert_eq!(level, Level::Warn);
        assert_eq!(
            text,
            "no paths to 1-ff00:0:112: the SCION daemon knows none; asking again, the 7 known ones are used until \
             they expire"
        );
        assert_eq!(lookups.note(TO, Err("refused".into()), 7), None);
        let back = lookups.note(TO, Ok(6), 7).expect("news");
        assert_eq!(back, (Level::Info, "paths to 1-ff00:0:112 are found again: 6".into()));
        let (_, text) = lookups.note(TO, Err("refused".into()), 0).expect("news");
        assert_eq!(text, "refused; asking again; is the ISD-AS right?");
    }
}
