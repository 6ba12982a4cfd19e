//! The authority of a cluster: whoever holds a certificate of it is a member. Over SCION nobody else is let in.
//!
//! A directory holds what a server needs of it: `ca.pem`, and its own `node.pem` and `node.key`. Where `ca.key` is as well,
//! certificates can be made: [`open`] makes what is missing, [`Authority::issue`] those of other nodes.

mod error;
mod files;
mod issue;
#[cfg(feature = "scion")]
mod renewal;
#[cfg(feature = "scion")]
mod schedule;
mod validity;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use error::AuthorityError;
use files::Lock;
pub use issue::{Authority, MAX_DAYS, NodeName, NodeNameError};
#[cfg(feature = "scion")]
pub(crate) use renewal::{Seen, ending, look, renew};
#[cfg(feature = "scion")]
pub(crate) use schedule::{Daily, Schedule, Step};
pub(crate) use validity::Validity;

use crate::config::options::TlsOptions;
use crate::tls::file_validity;

/// The certificate of the authority, PEM.
pub const CA: &str = "ca.pem";
/// Its key, PEM: whoever has it can make members.
pub const CA_KEY: &str = "ca.key";
/// The certificate of a node, PEM.
pub const NODE: &str = "node.pem";
/// Its key, PEM.
pub const NODE_KEY: &str = "node.key";

/// What [`open`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All was there.
    Complete,
    /// The authority was there and made a certificate for this node, which had none or one that ends soon.
    Issued,
    /// Nothing was there: there is a new authority now, which no other server knows.
    Made,
}

/// Opens the authority in `dir` for a server, and makes what is missing: a certificate if `ca.key` is there, everything if
/// the directory is empty or not there. Servers of one machine may share the directory and come at the same time.
///
/// # Errors
///
/// When files are missing that cannot be made, or one cannot be read or written.
pub fn open(dir: &Path) -> Result<(TlsOptions, Found), AuthorityError> {
    open_at(dir, SystemTime::now())
}

fn open_at(dir: &Path, now: SystemTime) -> Result<(TlsOptions, Found), AuthorityError> {
    let has = |name| dir.join(name).exists();
    let is_done = || is_complete(dir) && !(ends_soon(dir, now) && issue::authority_of(dir).is_some());
    if is_done() {
        return Ok((member(dir), Found::Complete));
    }
    let _lock = Lock::take(dir)?;
    if is_done() {
        return Ok((member(dir), Found::Complete));
    }
    if let Some(authority) = issue::authority_of(dir).filter(|_| is_complete(dir)) {
        Authority::read(&authority)?.issue_again(dir)?;
        return Ok((member(dir), Found::Issued));
    }
    let (authority, found) = match (has(CA), has(CA_KEY)) {
        (true, true) => (Authority::read(dir)?, Found::Issued),
        (false, false) if !has(NODE) && !has(NODE_KEY) => (Authority::make(dir)?, Found::Made),
        (true, false) => return Err(AuthorityError::Incomplete { dir: dir.into(), missing: "node.pem and node.key" }),
        (false, _) => return Err(AuthorityError::Incomplete { dir: dir.into(), missing: CA }),
    };
    authority.issue_to(dir, &NodeName::any(), MAX_DAYS)?;
    Ok((member(dir), found))
}

/// Where the authority of a server is that was not told: in `$STATE_DIRECTORY` (which systemd gives), `$XDG_STATE_HOME/natsd`
/// or `~/.local/state/natsd`.
///
/// # Errors
///
/// When none of these is set.
pub fn default_dir() -> Result<PathBuf, AuthorityError> {
    default_dir_of(|name| std::env::var_os(name).map(PathBuf::from))
}

fn default_dir_of(env: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, AuthorityError> {
    let given = env("STATE_DIRECTORY").and_then(|list| {
        let list = list.into_os_string().into_string().ok()?;
        list.split(':').next().map(PathBuf::from)
    });
    let below = |state: PathBuf| state.join("natsd");
    let absolute = |path: &PathBuf| path.is_absolute();
    given
        .filter(absolute)
        .or_else(|| env("XDG_STATE_HOME").filter(absolute).map(below))
        .or_else(|| env("HOME").filter(absolute).map(|home| below(home.join(".local/state"))))
        .map(|state| state.join("authority"))
        .ok_or(AuthorityError::Nowhere)
}

fn is_complete(dir: &Path) -> bool {
    [CA, NODE, NODE_KEY].iter().all(|name| dir.join(name).is_file())
}

/// Whether it is time to replace the certificate of the node.
fn ends_soon(dir: &Path, now: SystemTime) -> bool {
    file_validity(&dir.join(NODE)).is_some_and(|validity| validity.due() <= now)
}

/// What a server with the certificate in `dir` shows and believes.
fn member(dir: &Path) -> TlsOptions {
    TlsOptions {
        cert_file: Some(dir.join(NODE)),
        key_file: Some(dir.join(NODE_KEY)),
        ca_file: Some(dir.join(CA)),
        ..TlsOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;

    #[test]
    fn a_server_that_finds_nothing_makes_an_authority_and_keeps_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().join("a/b");
        let (options, found) = open(&at).expect("it can be made");
        assert_eq!(found, Found::Made);
        tls::check_routes(&options).expect("what was made can be used");
        let before = std::fs::read(at.join(NODE)).expect("a certificate");
        assert_eq!(open(&at).expect("it is there").1, Found::Complete);
        assert_eq!(std::fs::read(at.join(NODE)).expect("a certificate"), before);
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_nobody_elses_business() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().join("authority");
        open(&at).expect("it can be made");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&at), mode(&at.join(CA_KEY)), mode(&at.join(NODE_KEY))), (0o700, 0o600, 0o600));
    }

    #[test]
    fn servers_that_start_at_the_same_time_share_one_authority() {
        let dir = tempfile::tempdir().expect("a directory");
        let found: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| open(dir.path()).expect("it can be made").1)).collect();
            starts.into_iter().map(|start| start.join().expect("no panic")).collect()
        });
        assert_eq!(found.iter().filter(|found| **found == Found::Made).count(), 1, "{found:?}");
        tls::check_routes(&member(dir.path())).expect("certificate and key go together");
    }

    #[test]
    fn a_copy_of_the_authority_makes_a_member_and_one_without_its_key_says_what_is_missing() {
        let (first, second) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        open(first.path()).expect("it can be made");
        std::fs::copy(first.path().join(CA), second.path().join(CA)).expect("copied");
        let problem = open(second.path()).expect_err("nobody can sign").to_string();
        assert!(problem.contains("node.pem and node.key") && problem.contains("natsd certs"), "{problem}");
        std::fs::copy(first.path().join(CA_KEY), second.path().join(CA_KEY)).expect("copied");
        assert_eq!(open(second.path()).expect("it can sign").1, Found::Issued);
        tls::check_routes(&member(second.path())).expect("certificate and key go together");
    }

    #[test]
    fn a_certificate_is_replaced_before_it_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let (authority, _) = Authority::open(dir.path()).expect("made");
        let later = SystemTime::now() + std::time::Duration::from_secs(18 * 24 * 3600);
        authority.issue_to(dir.path(), &NodeName::any(), 20).expect("issued");
        assert_eq!(open(dir.path()).expect("it still holds").1, Found::Complete);
        assert_eq!(open_at(dir.path(), later).expect("it can sign").1, Found::Issued);
        assert_eq!(open(dir.path()).expect("it is there").1, Found::Complete);
        std::fs::remove_file(dir.path().join(CA_KEY)).expect("removed");
        assert_eq!(open_at(dir.path(), later).expect("it still holds").1, Found::Complete);
    }

    #[test]
    fn a_key_without_its_certificate_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(CA_KEY), "precious").expect("written");
        let problem = open(dir.path()).expect_err("half of it is missing").to_string();
        assert!(problem.contains("ca.pem"), "{problem}");
        assert_eq!(std::fs::read_to_string(dir.path().join(CA_KEY)).expect("still there"), "precious");
    }

    #[test]
    fn the_default_is_where_state_belongs() {
        let of = |set: &[(&str, &str)]| {
            let found = default_dir_of(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()));
            found.map(|dir| dir.display().to_string()).ok()
        };
        let home = ("HOME", "/home/n");
        assert_eq!(of(&[home]).as_deref(), Some("/home/n/.local/state/natsd/authority"));
        assert_eq!(of(&[home, ("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/natsd/authority"));
        assert_eq!(of(&[home, ("XDG_STATE_HOME", "s")]).as_deref(), Some("/home/n/.local/state/natsd/authority"));
        assert_eq!(of(&[home, ("STATE_DIRECTORY", "/var/lib/natsd:/x")]).as_deref(), Some("/var/lib/natsd/authority"));
        assert_eq!(of(&[]), None);
    }
}
