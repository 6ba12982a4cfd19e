//! The certificate of a running server, as it is in its directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::files::{self, Lock};
use super::schedule::Seen;
use super::{Authority, AuthorityError, CA, CA_KEY, NODE, NODE_KEY, NodeName};
use crate::tls::{certificate_names, file_validity};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is in `dir` now; `None` if it cannot be read.
pub(crate) fn look(dir: &Path) -> Option<Seen> {
    let validity = file_validity(&dir.join(NODE))?;
    let mut digest = Sha256::new();
    for name in [NODE, NODE_KEY, CA] {
        digest.update(std::fs::read(dir.join(name)).ok()?);
    }
    Some(Seen { validity, digest: digest.finalize().into(), renewable: authority_of(dir).is_some() })
}

/// Where the authority with its key is that can make another certificate for `dir`: there, or in the directory above, where
/// `natsd certs` makes those of nodes.
pub(super) fn authority_of(dir: &Path) -> Option<PathBuf> {
    let has_key = |at: &Path| at.join(CA_KEY).is_file();
    if has_key(dir) {
        return Some(dir.to_owned());
    }
    let above = dir.parent().filter(|above| has_key(above))?;
    let same = std::fs::read(above.join(CA)).ok()? == std::fs::read(dir.join(CA)).ok()?;
    same.then(|| above.to_owned())
}

/// Makes another certificate in place of that in `dir`, for the same names and as long a time. Returns whether that was done:
/// another server that shares the directory may have come before.
///
/// # Errors
///
/// When there is nobody to make it, or it cannot be written.
pub(crate) fn renew(dir: &Path, seen: &Seen) -> Result<bool, AuthorityError> {
    let _lock = Lock::take(dir)?;
    if look(dir).is_none_or(|now| now.digest != seen.digest) {
        return Ok(false);
    }
    let at = authority_of(dir).ok_or(AuthorityError::Incomplete { dir: dir.into(), missing: CA_KEY })?;
    issue_again(&Authority::read(&at)?, dir)?;
    Ok(true)
}

/// Makes another certificate for the names, and as many days, as that in `dir` has, if it can be read.
pub(super) fn issue_again(authority: &Authority, dir: &Path) -> Result<(), AuthorityError> {
    let text = files::read(&dir.join(NODE)).unwrap_or_default();
    let name = certificate_names(&text).map_or_else(NodeName::any, |(name, hosts)| NodeName::again(name, hosts));
    let life = file_validity(&dir.join(NODE)).and_then(|it| it.ends.duration_since(it.begins).ok());
    // A day before and after is for clocks that differ.
    let days = life.map_or(u64::from(super::MAX_DAYS), |life| (life.as_secs() / DAY.as_secs()).saturating_sub(2));
    authority.issue_to(dir, &name, u16::try_from(days.max(1)).unwrap_or(super::MAX_DAYS))
}
