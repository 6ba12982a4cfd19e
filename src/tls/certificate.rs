//! What a certificate says of itself. rustls checks that and does not tell.

use std::path::Path;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use natsd_api::TlsPeerCert;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

use super::load;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// `[0] EXPLICIT`, the version of a certificate.
const VERSION: u8 = 0xa0;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the first certificate of a PEM file ends; `None` if there is none, or it is not as RFC 5280 wants it.
pub(crate) fn file_ends(path: &Path) -> Option<SystemTime> {
    not_after(load::certificates("cert_file", path).ok()?.first()?)
}

/// What monitoring tells of the certificate that a client showed.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> TlsPeerCert {
    let key = key_digest(certificate).unwrap_or_default();
    TlsPeerCert {
        subject: subject(certificate).unwrap_or_default(),
        spki_sha256: HEXLOWER.encode(&key),
        cert_sha256: HEXLOWER.encode(&Sha256::digest(certificate)),
    }
}

/// SHA-256 of the public key of a certificate.
pub(super) fn key_digest(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Sha256::digest(&*parsed.subject_public_key_info()).into())
}

/// When a certificate in DER ends.
fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let mut validity = Der(validity_and_after(certificate)?.take(SEQUENCE)?);
    validity.any()?;
    time(validity.any()?)
}

/// Who a certificate in DER is for, as Go writes it: `CN=name,OU=unit,O=organisation,C=country`.
fn subject(certificate: &[u8]) -> Option<String> {
    let mut fields = validity_and_after(certificate)?;
    fields.take(SEQUENCE)?;
    let mut relative = Der(fields.take(SEQUENCE)?);
    let mut attributes = Vec::new();
    while !relative.0.is_empty() {
        let mut set = Der(relative.take(SET)?);
        while !set.0.is_empty() {
            let mut attribute = Der(set.take(SEQUENCE)?);
            attributes.push((attribute.take(OBJECT_IDENTIFIER)?, attribute.any()?.1));
        }
    }
    let known = KNOWN.iter().filter_map(|(id, name)| {
        let values = attributes.iter().filter(|(found, _)| *found == [0x55, 0x04, *id]);
        let values: Vec<_> = values.map(|(_, value)| format!("{name}={}", escaped(value))).collect();
        (!values.is_empty()).then(|| values.join("+"))
    });
    Some(known.collect::<Vec<_>>().join(","))
}

/// The attributes below 2.5.4 that have names, in the order in which Go tells them.
const KNOWN: [(u8, &str); 9] = [
    (5, "SERIALNUMBER"),
    (3, "CN"),
    (17, "POSTALCODE"),
    (9, "STREET"),
    (8, "ST"),
    (7, "L"),
    (11, "OU"),
    (10, "O"),
    (6, "C"),
];

/// The value of an attribute as RFC 2253 wants it.
fn escaped(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let (first, last) = (0, text.chars().count().saturating_sub(1));
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        let at_end = at == first || at == last;
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') || c == ' ' && at_end || c == '#' && at == first {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The fields of a certificate from its validity on.
fn validity_and_after(certificate: &[u8]) -> Option<Der<'_>> {
    let mut certificate = Der(Der(certificate).take(SEQUENCE)?);
    let mut signed = Der(certificate.take(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    signed.take(INTEGER)?;
    let (_algorithm, _issuer) = (signed.take(SEQUENCE)?, signed.take(SEQUENCE)?);
    Some(signed)
}

/// Values in DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value, which must be of this kind.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// Kind and content of the next value.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

/// `YYMMDDHHMMSSZ` from 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time((tag, text): (u8, &[u8])) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match (tag, text.len()) {
        (UTC_TIME, 12) if text < "5" => format!("20{text}"),
        (UTC_TIME, 12) => format!("19{text}"),
        (GENERALIZED_TIME, 14) => text.to_owned(),
        _ => return None,
    };
    let seconds = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    // What ended before there were computers has ended.
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
    }

    #[test]
    fn certificates_tell_when_they_end() {
        for (year, ends) in [(2030, 1_893_456_000), (2051, 2_556_144_000)] {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().expect("a key");
            let made = params.self_signed(&key).expect("a certificate");
            assert_eq!(not_after(made.der()).map(seconds), Some(ends));
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), made.pem()).expect("written");
            assert_eq!(file_ends(file.path()).map(seconds), Some(ends));
            for end in 0..made.der().len() {
                assert_eq!(not_after(&made.der()[..end]), None, "{end}");
            }
        }
        assert_eq!(file_ends("no such file".as_ref()), None);
    }

    #[test]
    fn subjects_are_written_as_go_does() {
        use rcgen::DnType;
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in [
            (DnType::CommonName, "a, b+c"),
            (DnType::OrganizationName, "#Ö \"x\" "),
            (DnType::CountryName, "CH"),
            (DnType::CustomDnType(vec![1, 2, 3]), "left out"),
        ] {
            params.distinguished_name.push(kind, value);
        }
        let made = params.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate");
        assert_eq!(subject(made.der()).as_deref(), Some("CN=a\\, b\\+c,O=\\#Ö \\\"x\\\"\\ ,C=CH"));
        let told = describe(made.der());
        assert_eq!((told.spki_sha256.len(), told.cert_sha256.len()), (64, 64));
        for end in 0..made.der().len() {
            let _ = subject(&made.der()[..end]);
        }
    }

    #[test]
    fn times_are_as_rfc_5280_wants_them() {
        let at = |tag, text: &str| time((tag, text.as_bytes())).map(seconds);
        assert_eq!(at(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(at(UTC_TIME, "700101000001Z"), Some(1));
        assert_eq!(at(UTC_TIME, "500101000000Z"), Some(0));
        for (tag, text) in [
            (UTC_TIME, "20491231235959Z"),
            (GENERALIZED_TIME, "491231235959Z"),
            (UTC_TIME, "491331235959Z"),
            (UTC_TIME, "491231235959"),
            (UTC_TIME, "4912312359é9Z"),
            (INTEGER, "491231235959Z"),
        ] {
            assert_eq!(at(tag, text), None, "{text}");
        }
    }
}
