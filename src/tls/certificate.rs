//! What a certificate says of the one who shows it. rustls checks that and does not tell.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use natsd_api::TlsPeerCert;
use natsd_auth::{CertificateNames, DistinguishedName};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use super::load;
use crate::authority::Validity;

/// When the first certificate of a PEM file ends; `None` if there is none, or it is not as RFC 5280 wants it.
pub(crate) fn file_ends(path: &Path) -> Option<SystemTime> {
    not_after(load::certificates("cert_file", path).ok()?.first()?)
}

/// From when to when it holds; as [`file_ends`].
pub(crate) fn file_validity(path: &Path) -> Option<Validity> {
    let chain = load::certificates("cert_file", path).ok()?;
    let certificate = chain.first()?;
    let begins = time(parse(certificate)?.validity().not_before.timestamp())?;
    Some(Validity { begins, ends: not_after(certificate)? })
}

/// The common name of the first certificate in a PEM, and the hosts that it is for, by name or IP address.
pub(crate) fn certificate_names(pem: &str) -> Option<(String, Vec<String>)> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let parsed = parse(&certificate)?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(host) => Some((*host).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => Some(IpAddr::from(v4).to_string()),
            (_, Ok(v6)) => Some(IpAddr::from(v6).to_string()),
            _ => None,
        },
        _ => None,
    };
    let hosts = alternatives.iter().flat_map(|extension| &extension.value.general_names).filter_map(host).collect();
    Some((name, hosts))
}

/// The public key (SubjectPublicKeyInfo in DER) of the first certificate in a PEM; `None` if there is none.
pub(crate) fn public_key(pem: &str) -> Option<Vec<u8>> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    Some(parse(&certificate)?.public_key().raw.to_vec())
}

/// Subject and issuer of the first certificate in a PEM, as they are encoded. `None` if it cannot be read.
pub(crate) fn subject_and_issuer(pem: &str) -> Option<[Vec<u8>; 2]> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let parsed = parse(&certificate)?;
    Some([parsed.subject(), parsed.issuer()].map(|name| name.as_raw().to_vec()))
}

/// What monitoring tells of the certificate that a client showed.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> TlsPeerCert {
    let key = key_digest(certificate).unwrap_or_default();
    TlsPeerCert {
        subject: parse(certificate).map(|parsed| subject_text(parsed.subject())).unwrap_or_default(),
        spki_sha256: HEXLOWER.encode(&key),
        cert_sha256: HEXLOWER.encode(&Sha256::digest(certificate)),
    }
}

/// SHA-256 of the public key of a certificate.
pub(super) fn key_digest(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    Some(Sha256::digest(parse(certificate)?.public_key().raw).into())
}

/// When a certificate in DER ends. What ended before there were computers has ended.
fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    time(parse(certificate)?.validity().not_after.timestamp())
}

fn time(seconds: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn parse(certificate: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(certificate).ok().map(|(_, parsed)| parsed)
}

/// The names in a certificate that has been verified. `None` if it cannot be read.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Option<CertificateNames> {
    let certificate = parse(certificate)?;
    let mut names = CertificateNames { subject: subject(certificate.subject()), ..CertificateNames::default() };
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::RFC822Name(email) => names.emails.push((*email).to_owned()),
            GeneralName::DNSName(host) => names.dns.push((*host).to_owned()),
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            _ => {}
        }
    }
    Some(names)
}

/// The subject; empty if there is something in it that nats-server does not know either.
fn subject(name: &X509Name<'_>) -> DistinguishedName {
    let relative = name.iter().map(|attributes| {
        let read = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            let kind = short_name(&attribute.attr_type().to_id_string())?;
            Some((kind.to_owned(), attribute.as_str().ok()?.to_owned()))
        };
        attributes.iter().map(read).collect::<Option<Vec<_>>>()
    });
    DistinguishedName::new(relative.collect::<Option<Vec<_>>>().unwrap_or_default())
}

/// RFC 4514, section 3, and what else subjects have in practice.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.17" => "POSTALCODE",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return None,
    })
}

/// Who a certificate is for, as Go writes it: `CN=name,OU=unit,O=organisation,C=country`.
fn subject_text(name: &X509Name<'_>) -> String {
    let attributes: Vec<_> = name
        .iter_attributes()
        .filter_map(|attribute| Some((attribute.attr_type().to_id_string(), attribute.as_str().ok()?)))
        .collect();
    let known = IN_ORDER.iter().filter_map(|kind| {
        let values = attributes.iter().filter(|(oid, _)| short_name(oid) == Some(kind));
        let values: Vec<_> = values.map(|(_, value)| format!("{kind}={}", escaped(value))).collect();
        (!values.is_empty()).then(|| values.join("+"))
    });
    known.collect::<Vec<_>>().join(",")
}

/// The attributes in the order in which Go tells them.
const IN_ORDER: [&str; 9] = ["SERIALNUMBER", "CN", "POSTALCODE", "STREET", "ST", "L", "OU", "O", "C"];

/// The value of an attribute as RFC 2253 wants it.
fn escaped(text: &str) -> String {
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
        assert_eq!(describe(made.der()).subject, "CN=a\\, b\\+c,O=\\#Ö \\\"x\\\"\\ ,C=CH");
        let told = describe(made.der());
        assert_eq!((told.spki_sha256.len(), told.cert_sha256.len()), (64, 64));
        for end in 0..made.der().len() {
            let _ = describe(&made.der()[..end].into());
        }
    }
}
