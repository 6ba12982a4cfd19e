//! What a certificate says of the one who shows it.

use natsd_auth::{CertificateNames, DistinguishedName};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

/// The names in a certificate that has been verified. `None` if it cannot be read.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Option<CertificateNames> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
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
