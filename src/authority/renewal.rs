//! The certificate of a running server, as it is in its directory.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::files::Lock;
use super::issue::authority_of;
use super::{Authority, AuthorityError, CA, CA_KEY, NODE, NODE_KEY, Validity};
use crate::tls::file_validity;

/// The certificate that is in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) validity: Validity,
    /// Of the files, whose dates may be those of others.
    pub(crate) digest: [u8; 32],
    /// Another one can be made here.
    pub(crate) renewable: bool,
}

/// What is in `dir` now; `None` if it cannot be read.
pub(crate) fn look(dir: &Path) -> Option<Seen> {
    let validity = file_validity(&dir.join(NODE))?;
    let mut digest = Sha256::new();
    for name in [NODE, NODE_KEY, CA] {
        digest.update(std::fs::read(dir.join(name)).ok()?);
    }
    Some(Seen { validity, digest: digest.finalize().into(), renewable: authority_of(dir).is_some() })
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
    Authority::read(&at)?.issue_again(dir)?;
    Ok(true)
}
