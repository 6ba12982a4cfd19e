//! The certificate of a running server, as it is in its directory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

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

/// Until when the authority in `dir` holds, with its file and how it is made again, once that is to be done.
pub(crate) fn ending(dir: &Path, now: SystemTime) -> Option<Ending> {
    let file = dir.join(CA);
    let validity = file_validity(&file).filter(|validity| validity.due() <= now)?;
    let days = validity.ends.duration_since(now).ok().map(|left| left.as_secs() / (24 * 3600));
    Some(Ending { file, days, with_key: authority_of(dir) })
}

/// An authority that ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Its certificate.
    pub(crate) file: PathBuf,
    /// Whole days that are left; `None` if it has ended.
    pub(crate) days: Option<u64>,
    /// Where its key is, if that is known.
    pub(crate) with_key: Option<PathBuf>,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The authority of the cluster, {}, ", self.file.display())?;
        match self.days {
            Some(days) => write!(f, "ends in {days} days")?,
            None => f.write_str("has ended")?,
        }
        match &self.with_key {
            Some(dir) => write!(f, ": run `natsd certs --dir {} --renew`", dir.display())?,
            None => write!(f, ": run `natsd certs --dir DIR --renew` where its key, {CA_KEY}, is")?,
        }
        f.write_str(", and put the new ca.pem where the old one is; the key stays, and what it has vouched for is good")
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::authority::{Daily, MAX_DAYS};
    use crate::tls::{public_key, subject_and_issuer};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn text(dir: &Path, name: &str) -> String {
        std::fs::read_to_string(dir.join(name)).expect(name)
    }

    #[test]
    fn an_authority_that_ends_is_told_of_once_a_day_with_what_to_do() {
        let home = tempfile::tempdir().expect("a directory");
        let (authority, _) = Authority::open(home.path()).expect("made");
        let dir = authority.issue(&"edge".parse().expect("a node"), 90, false).expect("issued");
        let start = SystemTime::now();
        let mut daily = Daily::default();
        let days = (0..u32::from(MAX_DAYS) * 2 + 1).map(|half| start + DAY / 2 * half);
        let told = days.filter_map(|now| ending(&dir, now).filter(|_| daily.is_time(now)).map(|ending| ending.days));
        let told: Vec<_> = told.collect();
        assert!((29..=32).contains(&told.len()) && told[0] >= Some(29) && told[0] <= Some(30), "{told:?}");
        assert!(told.windows(2).all(|pair| pair[0] > pair[1]), "{told:?}");

        let late = start + DAY * u32::from(MAX_DAYS - 9);
        let said = ending(&dir, late).expect("it ends soon").to_string();
        let (file, command) =
            (dir.join(CA).display().to_string(), format!("natsd certs --dir {} --renew", home.path().display()));
        assert!(said.contains(&file) && said.contains(&command) && said.contains("ends in 9 days"), "{said}");
        std::fs::remove_file(home.path().join(CA_KEY)).expect("removed");
        let said = ending(&dir, start + DAY * 4000).expect("it has ended").to_string();
        assert!(said.contains("has ended") && said.contains("--dir DIR --renew` where its key, ca.key, is"), "{said}");
    }

    #[test]
    fn an_authority_that_is_made_again_has_its_key_and_name_and_serves_nodes_that_have_the_old_one() {
        let home = tempfile::tempdir().expect("a directory");
        let (authority, _) = Authority::open(home.path()).expect("made");
        let nodes = ["near", "far"].map(|name| {
            let node = name.parse().expect("a node");
            authority.issue(&node, 90, false).expect("issued")
        });
        let old = text(home.path(), CA);
        Authority::renew(home.path()).expect("made again");
        let new = text(home.path(), CA);
        assert_ne!(old, new);
        assert_eq!(public_key(&old), public_key(&new));
        assert_eq!(subject_and_issuer(&old), subject_and_issuer(&new));
        assert!(nodes.iter().all(|node| text(node, CA) == new), "those that are here get it");
        std::fs::write(nodes[1].join(CA), &old).expect("written");
        let seen = look(&nodes[1]).expect("it can be read");
        assert!(seen.renewable, "it is the same authority");
        assert!(renew(&nodes[1], &seen).expect("made"));
        assert_eq!(text(&nodes[1], CA), new);
    }

    #[test]
    fn an_authority_that_was_made_elsewhere_is_made_again_there() {
        let home = tempfile::tempdir().expect("a directory");
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
        params.distinguished_name.push(rcgen::DnType::CommonName, "Example CA");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).expect("a certificate").pem();
        std::fs::write(home.path().join(CA), &ca).expect("written");
        std::fs::write(home.path().join(CA_KEY), key.serialize_pem()).expect("written");
        let problem = Authority::renew(home.path()).err().expect("it is not ours").to_string();
        assert!(problem.contains("ca.pem") && problem.contains("renew it where it was made"), "{problem}");
        assert_eq!(text(home.path(), CA), ca);
    }
}
