//! Keeps the paths to one destination fresh, and its timer running.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use natsd_path::IsdAs;

use crate::destination::Destination;
use crate::error::LookupError;
use crate::host::Inner;
use crate::lane::Place;
use crate::metadata::PathInfo;
use crate::outage::Lookups;
use crate::source::{LocalAs, PathSource};
use crate::template::NO_AS;

/// The first lookup may take a second; with a TCP address at hand a dial does not wait that long.
const PATIENCE: Duration = Duration::from_millis(750);

/// Between lookups: half of the remaining life within these bounds, and at once on suspicion, but not more often than
/// the last.
const OFTEN: Duration = Duration::from_secs(30);
const SELDOM: Duration = Duration::from_secs(300);
const AT_MOST: Duration = Duration::from_secs(1);

/// Paths to an AS that nobody has had a connection to for this long are given up.
const IDLE: Duration = Duration::from_secs(30);

/// One lookup.
pub(crate) async fn once(
    source: &dyn PathSource,
    local: Option<LocalAs>,
    to: IsdAs,
    refresh: bool,
) -> Result<Vec<PathInfo>, LookupError> {
    let local = local.ok_or(LookupError::NoLocalAs(to))?;
    if local.isd_as == to {
        return Ok(vec![PathInfo::within(local.mtu)]);
    }
    let paths = source.paths(local.isd_as, to, refresh).await;
    paths.map_err(|source| LookupError::Daemon { destination: to, source })
}

/// Starts the tasks of a new destination. They end when the host is gone or nobody has needed the paths for a while.
pub(crate) fn spawn(host: Weak<Inner>, destination: &Arc<Destination>) {
    tokio::spawn(keep_fresh(host, Arc::downgrade(destination)));
    tokio::spawn(keep_time(Arc::downgrade(destination)));
}

async fn keep_fresh(host: Weak<Inner>, destination: Weak<Destination>) {
    let mut first = true;
    let mut outage = Lookups::default();
    loop {
        let (Some(inner), Some(paths)) = (host.upgrade(), destination.upgrade()) else { return };
        if paths.idle() > IDLE {
            inner.destinations.lock().remove(&paths.heading);
            paths.leave();
            return;
        }
        let to = paths.heading.place.isd_as();
        let answer = if matches!(paths.heading.place, Place::Host(_)) {
            Ok(paths.ways(inner.plain.as_deref().unwrap_or_default()))
        } else if to == NO_AS {
            Ok(Vec::new())
        } else {
            let lookup = first_or_next(&inner, to);
            tokio::pin!(lookup);
            match tokio::time::timeout(PATIENCE, &mut lookup).await {
                Ok(answer) => answer,
                Err(_) => {
                    if std::mem::take(&mut first) {
                        paths.set_paths(None);
                    }
                    lookup.await
                }
            }
        };
        first = false;
        let failed = answer.is_err();
        if to != NO_AS {
            let found = answer.as_ref().map(Vec::len).map_err(ToString::to_string);
            if let Some((level, text)) = outage.note(to, &inner.source.title(), found, paths.known()) {
                log::log!(level, "{text}");
            }
        }
        match answer {
            // None at all is most likely a control service that is down: the known ones may work until they expire.
            Ok(found) if found.is_empty() => paths.set_paths(None),
            Ok(found) => paths.set_paths(Some(found)),
            Err(_) => paths.set_paths(None),
        }
        let wait = if failed || paths.active().is_none() && paths.barred().is_none() {
            AT_MOST
        } else {
            until_next(paths.expiry())
        };
        drop(inner);
        // Those who began together do not go on in step.
        let wait = wait.mul_f64(0.9 + fastrand::f64() / 10.0);
        tokio::time::sleep(AT_MOST).await;
        tokio::select! {
            () = paths.refresh.notified() => {}
            () = tokio::time::sleep(wait.min(IDLE)) => {}
        }
    }
}

/// Waits for the local AS, then asks.
async fn first_or_next(inner: &Inner, to: IsdAs) -> Result<Vec<PathInfo>, LookupError> {
    let mut known = inner.local_as.subscribe();
    let local = match known.wait_for(Option::is_some).await {
        Ok(local) => local.clone(),
        Err(_) => None,
    };
    once(&*inner.source, local, to, false).await
}

fn until_next(expiry: Option<SystemTime>) -> Duration {
    let left = expiry.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
    left.map_or(SELDOM, |left| (left / 2).clamp(OFTEN, SELDOM))
}

/// Calls the path manager when it asked to be called.
async fn keep_time(destination: Weak<Destination>) {
    let Some(mut lanes) = destination.upgrade().map(|paths| paths.lanes.subscribe()) else { return };
    loop {
        let Some(paths) = destination.upgrade() else { return };
        let deadline = paths.deadline();
        // Wakes now and then also without a deadline, to end with the destination.
        let until = deadline.unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            () = paths.rearm.notified() => continue,
            Ok(()) = lanes.changed() => {
                paths.keep_apart();
                continue;
            }
        }
        if deadline.is_some() {
            paths.drive(|manager, now| manager.handle_timeout(now));
        }
    }
}
