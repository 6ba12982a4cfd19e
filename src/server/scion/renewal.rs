//! Sees to it that what a running server shows over SCION does not end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::identities::Identities;
use crate::authority::{Daily, Schedule, Seen, Step, ending, look, renew};
use crate::hub::Hub;

/// The certificate of a directory in use, and what is done with it.
struct Keeper<A> {
    dir: PathBuf,
    schedule: Schedule,
    /// Of the authority, that it ends.
    told: Daily,
    /// Begins to use what is in the directory.
    adopt: A,
}

impl<A: FnMut() -> Result<(), String>> Keeper<A> {
    fn new(dir: PathBuf, adopt: A) -> Self {
        let schedule = Schedule::new(look(&dir).as_ref());
        Self { dir, schedule, told: Daily::default(), adopt }
    }

    /// Looks once, and does what is to be done. Returns how long to wait until the next time.
    fn turn(&mut self, now: SystemTime) -> Duration {
        if let Some(ending) = ending(&self.dir, now)
            && self.told.is_time(now)
        {
            log::warn!("{ending}");
        }
        let seen = look(&self.dir);
        let dir = self.dir.display();
        match (self.schedule.look(seen.as_ref(), now), &seen) {
            (Some(Step::Adopt), _) => match (self.adopt)() {
                Ok(()) => log::info!("Handshakes over SCION begin with the new certificate in {dir}"),
                Err(problem) => log::error!("The new certificate in {dir} cannot be used: {problem}"),
            },
            (Some(Step::Renew), Some(seen)) => match self.renew(seen) {
                // To be adopted at once.
                Ok(()) => return Duration::ZERO,
                Err(problem) => log::error!("The certificate in {dir} ends soon and is not renewed: {problem}"),
            },
            (Some(Step::Warn), Some(seen)) => log::warn!(
                "The certificate in {dir} ends in {} days: where the authority is, make another one with natsd certs --renew, and put it \
                 there",
                seen.validity.ends.duration_since(now).unwrap_or_default().as_secs() / (24 * 3600)
            ),
            _ => {}
        }
        self.schedule.wait(now)
    }

    fn renew(&self, seen: &Seen) -> Result<(), String> {
        let made = renew(&self.dir, seen).map_err(|problem| problem.to_string())?;
        if made {
            log::info!("The authority has made a new certificate for this server in {}", self.dir.display());
        }
        Ok(())
    }
}

/// Keeps the certificate in `dir`, which `identities` were read of, until it is aborted.
pub(super) async fn keep(hub: Arc<Hub>, identities: Identities, dir: PathBuf) {
    let adopt = move || {
        let new = Identities::read(&hub.options()).map_err(|problem| problem.to_string())?;
        identities.become_like(&new);
        Ok(())
    };
    let mut keeper = Keeper::new(dir, adopt);
    let mut wait = Duration::ZERO;
    loop {
        tokio::time::sleep(wait).await;
        let turn = tokio::task::spawn_blocking(move || {
            let wait = keeper.turn(SystemTime::now());
            (keeper, wait)
        });
        // It does not panic; the runtime may end before it runs.
        let Ok(done) = turn.await else { return };
        (keeper, wait) = done;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::authority::{Authority, CA_KEY, NODE, NodeName};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn text(dir: &std::path::Path) -> String {
        std::fs::read_to_string(dir.join(NODE)).expect("a certificate")
    }

    #[test]
    fn a_running_server_renews_what_it_can_and_uses_it() {
        let home = tempfile::tempdir().expect("a directory");
        let (authority, _) = Authority::open(home.path()).expect("made");
        let node: NodeName = "edge=edge.example.org,10.0.0.5".parse().expect("a node");
        let dir = authority.issue(&node, 90, false).expect("issued");
        let (before, names) = (text(&dir), crate::tls::certificate_names(&text(&dir)));
        let used = Mutex::new(Vec::new());
        let adopt = || {
            used.lock().expect("alone").push(text(&dir));
            Ok(())
        };
        let mut keeper = Keeper::new(dir.clone(), adopt);
        let now = SystemTime::now();
        assert!(keeper.turn(now) > Duration::ZERO);
        assert!(keeper.turn(now + DAY * 50) > Duration::ZERO && text(&dir) == before, "it is not time yet");
        let late = now + DAY * 70;
        assert_eq!(keeper.turn(late), Duration::ZERO);
        assert_ne!(text(&dir), before);
        // Of today, so as good as that before: what counts is that it is used.
        keeper.turn(now);
        assert_eq!(*used.lock().expect("alone"), [text(&dir)]);
        assert_eq!(crate::tls::certificate_names(&text(&dir)), names, "for the same names");
        let life = |seen: &Seen| seen.validity.ends.duration_since(seen.validity.begins).expect("it holds");
        assert_eq!(look(&dir).map(|seen| life(&seen).as_secs() / DAY.as_secs()), Some(92), "as long as before");
    }

    #[test]
    fn who_cannot_renew_waits_for_others_and_goes_on() {
        let home = tempfile::tempdir().expect("a directory");
        let (authority, _) = Authority::open(home.path()).expect("made");
        let dir = authority.issue(&"edge".parse().expect("a node"), 90, false).expect("issued");
        let key = std::fs::read(home.path().join(CA_KEY)).expect("a key");
        std::fs::remove_file(home.path().join(CA_KEY)).expect("removed");
        let used = Mutex::new(0);
        let mut keeper = Keeper::new(dir.clone(), || {
            *used.lock().expect("alone") += 1;
            Ok(())
        });
        let before = text(&dir);
        let late = SystemTime::now() + DAY * 85;
        assert!(keeper.turn(late) > Duration::ZERO);
        assert_eq!(text(&dir), before);
        std::fs::write(home.path().join(CA_KEY), key).expect("written");
        authority.issue(&"edge".parse().expect("a node"), 90, true).expect("renewed by hand");
        keeper.turn(SystemTime::now());
        assert_eq!(*used.lock().expect("alone"), 1);
    }
}
