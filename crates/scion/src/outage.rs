//! What the log says of the daemon and of its paths: one line when they fail, one when they are back.

use std::time::{Instant, SystemTime};

use log::Level;
use natsd_path::{Event, EventKind, IsdAs, PathId};

use crate::error::DaemonError;
use crate::source::LocalAs;

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

    /// Takes an answer of what is titled so. The words of an error may differ from attempt to attempt; that
    /// begins no new outage. `knew_local`: it has answered before.
    pub(crate) fn note(
        &mut self,
        now: SystemTime,
        title: &str,
        knew_local: bool,
        answer: Result<&LocalAs, DaemonError>,
    ) -> Option<Line> {
        match (answer, &self.state) {
            (Ok(_), Ok(_)) => None,
            (Ok(local), Err(_)) => {
                *self = Self { state: Ok(now), told: false };
                Some((Level::Info, format!("{title} answers: this is AS {}", local.isd_as)))
            }
            (Err(error), before) => {
                let since = match before {
                    Err((since, _)) if self.told => *since,
                    _ => now,
                };
                let meanwhile = match knew_local {
                    true => "known paths are used until they expire",
                    false => "SCION waits for it, see scion.daemon or scion.topology, and whether it runs",
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
    /// Takes the result of a lookup: how many paths it found, or why it failed. `title`: who was asked. `known`: paths of
    /// earlier lookups.
    pub(crate) fn note(&mut self, to: IsdAs, title: &str, found: Result<usize, String>, known: usize) -> Option<Line> {
        let why = match found {
            Ok(found) if found > 0 => {
                let line = (Level::Info, format!("paths to {to} are found again: {found}"));
                return std::mem::take(&mut self.failing).then_some(line);
            }
            Ok(_) => format!("no paths to {to}: {title} knows none"),
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

/// Whether any path to one AS answers.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// Since when nothing has come, once the log says that no path answers.
    since: Option<Instant>,
    /// The peer answers no probes: traffic is moved in the hope of an answer, not after one.
    blind: bool,
}

impl Outage {
    /// Takes an event. `active` carries the traffic after it.
    pub(crate) fn note(&mut self, event: &Event, active: Option<PathId>) -> Option<String> {
        let over = match event.kind {
            EventKind::NoPath { silent_for } => {
                self.since.get_or_insert(event.at.checked_sub(silent_for).unwrap_or(event.at));
                false
            }
            EventKind::Unprobeable => {
                self.blind = true;
                // What tells it is traffic that has come.
                true
            }
            EventKind::Probeable => {
                self.blind = false;
                false
            }
            EventKind::Up { path } => Some(path) == active,
            EventKind::Switch { .. } => !self.blind,
            _ => false,
        };
        let since = self.since.take_if(|_| over)?;
        let lasted = event.at.saturating_duration_since(since).as_secs_f64();
        let path = active.map(|path| format!(", over path {path}")).unwrap_or_default();
        Some(format!("there are answers again after {lasted:.1} s{path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use natsd_path::Reason;
    use std::time::Duration;

    const TO: IsdAs = IsdAs(0x0001_ff00_0000_0112);

    const TITLE: &str = "the SCION daemon at d:1";

    fn error(reason: &str) -> DaemonError {
        DaemonError::Call { address: "d:1".into(), method: "AS", reason: reason.into() }
    }

    #[test]
    fn an_outage_of_the_daemon_is_told_once_whatever_its_words() {
        let start = SystemTime::UNIX_EPOCH;
        let at = |s| start + Duration::from_secs(s);
        let local = LocalAs { isd_as: TO, mtu: 1472, ports: None };
        let mut daemon = DaemonState::unknown(start, error("it has not been asked yet"));
        let (level, text) = daemon.note(at(1), TITLE, false, Err(error("refused"))).expect("news");
        assert_eq!(level, Level::Warn);
        assert!(text.contains("refused; asking again, SCION waits for it, see scion.daemon or"), "{text}");
        assert_eq!(daemon.note(at(2), TITLE, false, Err(error("reset"))), None);
        assert!(matches!(&daemon.state, Err((since, e)) if *since == at(1) && e.to_string().contains("reset")));
        let back = daemon.note(at(3), TITLE, false, Ok(&local)).expect("news");
        assert_eq!(back, (Level::Info, "the SCION daemon at d:1 answers: this is AS 1-ff00:0:112".into()));
        assert_eq!(daemon.note(at(4), TITLE, true, Ok(&local)), None);
        let (_, text) = daemon.note(at(5), TITLE, true, Err(error("refused"))).expect("news");
        assert!(text.ends_with("known paths are used until they expire"), "{text}");
    }

    #[test]
    fn lookups_that_fail_are_told_once_and_once_when_they_work() {
        let mut lookups = Lookups::default();
        assert_eq!(lookups.note(TO, TITLE, Ok(7), 0), None, "nothing was wrong");
        let (level, text) = lookups.note(TO, TITLE, Ok(0), 7).expect("news");
        assert_eq!(level, Level::Warn);
        assert_eq!(
            text,
            "no paths to 1-ff00:0:112: the SCION daemon at d:1 knows none; asking again, the 7 known ones are used \
             until they expire"
        );
        assert_eq!(lookups.note(TO, TITLE, Err("refused".into()), 7), None);
        let back = lookups.note(TO, TITLE, Ok(6), 7).expect("news");
        assert_eq!(back, (Level::Info, "paths to 1-ff00:0:112 are found again: 6".into()));
        let (_, text) = lookups.note(TO, TITLE, Err("refused".into()), 0).expect("news");
        assert_eq!(text, "refused; asking again; is the ISD-AS right?");
    }

    fn told(outage: &mut Outage, at: Instant, kind: EventKind, active: u32) -> Option<String> {
        outage.note(&Event { at, kind }, Some(PathId(active)))
    }

    fn no_path(seconds: u64) -> EventKind {
        EventKind::NoPath { silent_for: Duration::from_secs(seconds) }
    }

    fn switch(to: u32) -> EventKind {
        let silent_for = Duration::ZERO;
        EventKind::Switch { from: Some(PathId(0)), to: PathId(to), reason: Reason::SendError, silent_for }
    }

    #[test]
    fn the_end_of_an_outage_is_told_with_how_long_it_lasted() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let at = |s| start + Duration::from_secs(s);
        let up = |path| EventKind::Up { path: PathId(path) };
        assert_eq!(told(&mut outage, at(0), up(0), 0), None, "there was none");
        assert_eq!(told(&mut outage, at(2), no_path(2), 0), None);
        assert_eq!(told(&mut outage, at(8), no_path(1), 0), None);
        assert_eq!(told(&mut outage, at(9), up(1), 0), None, "not where the traffic is");
        let end = told(&mut outage, at(12), up(0), 0);
        assert_eq!(end.as_deref(), Some("there are answers again after 12.0 s, over path #0"));
        assert_eq!(told(&mut outage, at(13), up(0), 0), None, "once");

        told(&mut outage, at(20), no_path(0), 0);
        let end = told(&mut outage, at(21), switch(1), 1);
        assert_eq!(end.as_deref(), Some("there are answers again after 1.0 s, over path #1"));
    }

    #[test]
    fn a_switch_in_the_dark_ends_no_outage() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        assert_eq!(told(&mut outage, start, EventKind::Unprobeable, 0), None);
        told(&mut outage, start, no_path(0), 0);
        assert_eq!(told(&mut outage, start, switch(1), 1), None);
        let end = told(&mut outage, start + Duration::from_millis(500), EventKind::Up { path: PathId(1) }, 1);
        assert_eq!(end.as_deref(), Some("there are answers again after 0.5 s, over path #1"));
        told(&mut outage, start, EventKind::Probeable, 1);
        told(&mut outage, start, no_path(0), 1);
        assert!(told(&mut outage, start, switch(0), 0).is_some());
    }
}
