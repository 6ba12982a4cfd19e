//! Certificates, made.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use thiserror::Error;

use super::files::{self, Lock};
use super::{AuthorityError, CA, CA_KEY, NODE, NODE_KEY, Validity};
use crate::tls::{certificate_names, file_validity};

/// How long an authority lasts, and a certificate at most, days.
pub const MAX_DAYS: u16 = 3652;

/// Seconds.
const DAY: u64 = 24 * 3600;

/// A name in every certificate: what those ask for who dial over SCION and look at names.
const MEMBER: &str = "natsd";

/// An authority and its key.
pub struct Authority {
    dir: PathBuf,
    ca: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a node is called, and the hosts that its certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    name: String,
    hosts: Vec<String>,
}

/// What cannot be the name of a node.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no node; write NAME, or NAME=HOST,HOST with host names and IP addresses, of letters, digits, '.', '-' and '_'"
)]
pub struct NodeNameError(String);

impl NodeName {
    /// One that says nothing of the node but that it is a member.
    pub fn any() -> Self {
        Self { name: MEMBER.to_owned(), hosts: Vec::new() }
    }

    /// One that has a certificate with these names already.
    pub(super) fn again(name: String, hosts: Vec<String>) -> Self {
        Self { name, hosts: hosts.into_iter().filter(|host| host != MEMBER).collect() }
    }

    /// Name of the node, and of the directory with its certificate.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hosts) = text.split_once('=').unwrap_or((text, text));
        let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_name = |text: &str| {
            !text.is_empty() && !text.starts_with(['.', '-']) && text.len() <= 64 && text.chars().all(of_name)
        };
        let is_host = |host: &&str| is_name(host) || host.parse::<IpAddr>().is_ok();
        let hosts: Vec<_> = hosts.split(',').collect();
        if !is_name(name) || !hosts.iter().all(is_host) {
            return Err(NodeNameError(text.to_owned()));
        }
        Ok(Self { name: name.to_owned(), hosts: hosts.into_iter().map(str::to_owned).collect() })
    }
}

impl Authority {
    /// Opens the authority in `dir`, or makes one if there is none. Whether it was made comes with it.
    ///
    /// # Errors
    ///
    /// When the directory holds half of one, or a file cannot be read or written.
    pub fn open(dir: &Path) -> Result<(Self, bool), AuthorityError> {
        let _lock = Lock::take(dir)?;
        match (dir.join(CA).exists(), dir.join(CA_KEY).exists()) {
            (true, true) => Ok((Self::read(dir)?, false)),
            (false, false) => Ok((Self::make(dir)?, true)),
            (has_ca, _) => {
                let missing = if has_ca { CA_KEY } else { CA };
                Err(AuthorityError::Incomplete { dir: dir.into(), missing })
            }
        }
    }

    /// Makes one in `dir`, which has none.
    pub(super) fn make(dir: &Path) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let id: String = serial()?.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let params = authority_params(&format!("natsd cluster authority {id}"))?;
        let ca = params.self_signed(&key)?.pem();
        files::write(&dir.join(CA_KEY), &key.serialize_pem(), true)?;
        files::write(&dir.join(CA), &ca, false)?;
        Ok(Self { dir: dir.into(), ca, issuer: Issuer::new(params, key) })
    }

    /// Makes the certificate of the authority in `dir` again, for the same key and name and [`MAX_DAYS`] from now on: what it
    /// has vouched for stays good, and the new certificate and the old one vouch for the same. Directories of nodes below
    /// get it as well.
    ///
    /// # Errors
    ///
    /// When it is not there or was not made here, or cannot be written.
    pub fn renew(dir: &Path) -> Result<Self, AuthorityError> {
        let _lock = Lock::take(dir)?;
        let old = Self::read(dir)?;
        let name = certificate_names(&old.ca).map_or_else(String::new, |(name, _)| name);
        let params = authority_params(&name)?;
        let ca = params.signed_by(old.issuer.key(), &old.issuer)?.pem();
        // Of another name, nothing that it has vouched for would be found to be of this one.
        if crate::tls::subject_and_issuer(&old.ca) != crate::tls::subject_and_issuer(&ca) {
            let problem = "natsd has not made it; renew it where it was made".to_owned();
            return Err(AuthorityError::Content { path: dir.join(CA), problem });
        }
        files::write(&dir.join(CA), &ca, false)?;
        for node in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let copy = node.path().join(CA);
            if std::fs::read(&copy).is_ok_and(|copy| copy == old.ca.as_bytes()) {
                files::write(&copy, &ca, false)?;
            }
        }
        Ok(Self { ca, ..old })
    }

    /// How long the authority is good for. `None` if its certificate cannot be read.
    pub(crate) fn validity(&self) -> Option<Validity> {
        file_validity(&self.dir.join(CA))
    }

    /// Reads that of `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, AuthorityError> {
        let content = |name| {
            let path = dir.join(name);
            move |error: rcgen::Error| AuthorityError::Content { path, problem: error.to_string() }
        };
        let ca = files::read(&dir.join(CA))?;
        let key = KeyPair::from_pem(&files::read(&dir.join(CA_KEY))?).map_err(content(CA_KEY))?;
        let raw = key.subject_public_key_info();
        if crate::tls::public_key(&ca).is_none_or(|public| public != raw) {
            return Err(AuthorityError::Pair(dir.into()));
        }
        let issuer = Issuer::from_ca_cert_pem(&ca, key).map_err(content(CA))?;
        Ok(Self { dir: dir.into(), ca, issuer })
    }

    /// Makes what `node` needs in a directory of its name below that of the authority, for so many days, at most
    /// [`MAX_DAYS`]; in place of what is there only if that is wanted. Returns the directory.
    ///
    /// # Errors
    ///
    /// When it is there already, or cannot be written.
    pub fn issue(&self, node: &NodeName, days: u16, renew: bool) -> Result<PathBuf, AuthorityError> {
        let dir = self.dir.join(&node.name);
        files::make_dir(&dir)?;
        let _lock = Lock::take(&dir)?;
        let there = dir.join(NODE);
        if there.exists() && !renew {
            return Err(AuthorityError::Exists(there));
        }
        self.issue_to(&dir, node, days)?;
        files::write(&dir.join(CA), &self.ca, false)?;
        Ok(dir)
    }

    /// Makes `node.pem` and `node.key` in `dir`. A key that is there stays, so that a server that reads in between finds
    /// two files that go together.
    pub(super) fn issue_to(&self, dir: &Path, node: &NodeName, days: u16) -> Result<(), AuthorityError> {
        let key_file = dir.join(NODE_KEY);
        let key = if key_file.exists() {
            let content =
                |error: rcgen::Error| AuthorityError::Content { path: key_file.clone(), problem: error.to_string() };
            KeyPair::from_pem(&files::read(&key_file)?).map_err(content)?
        } else {
            let key = KeyPair::generate()?;
            files::write(&key_file, &key.serialize_pem(), true)?;
            key
        };
        let mut params = params(days.min(MAX_DAYS))?;
        let hosts = node.hosts.iter().cloned().chain([MEMBER.to_owned()]);
        params.subject_alt_names = CertificateParams::new(hosts.collect::<Vec<_>>())?.subject_alt_names;
        params.distinguished_name.push(DnType::CommonName, node.name.clone());
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        files::write(&dir.join(NODE), &params.signed_by(&key, &self.issuer)?.pem(), false)
    }

    /// Makes another certificate for the names, and as many days, as that in `dir` has, if it can be read.
    pub(super) fn issue_again(&self, dir: &Path) -> Result<(), AuthorityError> {
        let text = files::read(&dir.join(NODE)).unwrap_or_default();
        let name = certificate_names(&text).map_or_else(NodeName::any, |(name, hosts)| NodeName::again(name, hosts));
        let life = file_validity(&dir.join(NODE)).and_then(|it| it.ends.duration_since(it.begins).ok());
        // A day before and after is for clocks that differ.
        let days = life.map_or(u64::from(MAX_DAYS), |life| (life.as_secs() / DAY).saturating_sub(2));
        self.issue_to(dir, &name, u16::try_from(days.max(1)).unwrap_or(MAX_DAYS))?;
        // It may have been made again meanwhile.
        if files::read(&dir.join(CA))? != self.ca {
            files::write(&dir.join(CA), &self.ca, false)?;
        }
        Ok(())
    }
}

/// Where the authority with its key is that can make another certificate for `dir`: there, or in the directory above, where
/// `natsd certs` makes those of nodes.
pub(super) fn authority_of(dir: &Path) -> Option<PathBuf> {
    let has_key = |at: &Path| at.join(CA_KEY).is_file();
    if has_key(dir) {
        return Some(dir.to_owned());
    }
    let above = dir.parent().filter(|above| has_key(above))?;
    let read = |at: &Path| std::fs::read_to_string(at.join(CA)).ok();
    let (ours, theirs) = (read(dir)?, read(above)?);
    // One that was made again has the same key and another certificate.
    (crate::tls::public_key(&ours)? == crate::tls::public_key(&theirs)?).then(|| above.to_owned())
}

/// For the certificate of an authority of that name.
fn authority_params(name: &str) -> Result<CertificateParams, AuthorityError> {
    let mut params = params(MAX_DAYS)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// For a certificate that holds for so many days, and for one already, as clocks differ.
fn params(days: u16) -> Result<CertificateParams, AuthorityError> {
    let date = |days: i64| {
        let now = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let date = now.saturating_add(days.days());
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from(serial()?.to_vec()));
    params.not_before = date(-1);
    params.not_after = date(i64::from(days) + 1);
    Ok(params)
}

/// A number that no other certificate has, positive as it has to be.
fn serial() -> Result<[u8; 16], AuthorityError> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_names_that_are_directories_and_hosts() {
        let node: NodeName = "edge=10.0.0.5,edge.example.org,::1".parse().expect("a node");
        assert_eq!((node.name(), node.hosts.len()), ("edge", 3));
        assert_eq!("a".parse::<NodeName>().expect("a node").hosts, ["a"]);
        for wrong in ["", "../up", ".", "a/b", "-x", "a=", "a=b c", "=h", "ä"] {
            let error = wrong.parse::<NodeName>().expect_err(wrong).to_string();
            assert!(error.contains("NAME=HOST"), "{error}");
        }
    }

    #[test]
    fn keys_and_certificates_of_two_authorities_are_told_apart() {
        let (first, second) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        assert!(Authority::open(first.path()).expect("made").1);
        assert!(!Authority::open(first.path()).expect("read").1);
        Authority::open(second.path()).expect("made");
        std::fs::copy(first.path().join(CA_KEY), second.path().join(CA_KEY)).expect("copied");
        assert!(matches!(Authority::open(second.path()), Err(AuthorityError::Pair(_))));
    }

    #[test]
    fn a_node_is_replaced_only_if_that_is_wanted_and_keeps_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let (authority, _) = Authority::open(dir.path()).expect("made");
        let node = "edge".parse().expect("a node");
        let at = authority.issue(&node, 30, false).expect("issued");
        let read = |name| std::fs::read_to_string(at.join(name)).expect(name);
        let (certificate, key) = (read(NODE), read(NODE_KEY));
        assert!(matches!(authority.issue(&node, 30, false), Err(AuthorityError::Exists(_))));
        assert_eq!(read(NODE), certificate);
        authority.issue(&node, 60, true).expect("renewed");
        assert_ne!(read(NODE), certificate);
        assert_eq!(read(NODE_KEY), key);
    }
}
