//! `tls {}`, of clients and of routes.

use std::path::PathBuf;
use std::time::Duration;

use super::unsupported;
use crate::config::duration;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::{Node, Value};
use crate::config::options::{CertFiles, DEFAULT_TIMEOUT, HandshakeFirst, TlsOptions};
use crate::tls;

/// How long `handshake_first: auto` waits for the client.
const AUTO: Duration = Duration::from_millis(50);
/// The longest handshake that makes sense to wait for.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// The keys of `tls {}`.
pub const KEYS: &[Key<TlsOptions>] = &[
    Key {
        names: &["cert_file"],
        takes: "string, path",
        default: "required",
        doc: "The server's certificate, and those between it and the root, as PEM.",
        read: |tls, field| path(field).map(|file| tls.cert_file = Some(file)),
    },
    Key {
        names: &["key_file"],
        takes: "string, path",
        default: "required",
        doc: "The key of that certificate, as PEM.",
        read: |tls, field| path(field).map(|file| tls.key_file = Some(file)),
    },
    Key {
        names: &["certs", "certificates"],
        takes: "list of { cert_file, key_file }",
        default: "none",
        doc: "In place of the two: several, of which the first is shown that is for the name that a client asks for; if none \
              is, the first.",
        read: |tls, field| {
            let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
            tls.certs = field.items(items, cert_files)?;
            Ok(())
        },
    },
    Key {
        names: &["ca_file"],
        takes: "string, path",
        default: "those of the system",
        doc: "Whose certificates are believed, as PEM, by `verify` and on routes. Those of the system are where OpenSSL looks \
              for them, or where `SSL_CERT_FILE` and `SSL_CERT_DIR` say.",
        read: |tls, field| path(field).map(|file| tls.ca_file = Some(file)),
    },
    Key {
        names: &["verify"],
        takes: "boolean",
        default: "false; routes: true",
        doc: "Takes only those who show a certificate that an authority of `ca_file` vouches for. Routes always do.",
        read: |tls, field| field.bool().map(|on| tls.verify = on),
    },
    Key {
        names: &["verify_and_map"],
        takes: "boolean",
        default: "false",
        doc: "As `verify`, and a client is the one of `users` whose name is in its certificate: a mail address, a host name or a \
              URI among the alternative names, or the subject, such as `CN=name,OU=unit`, in any order. Routes: the name is \
              the `user` of `authorization`, whose password does not count then.",
        read: |tls, field| {
            tls.verify_and_map = field.bool()?;
            tls.verify |= tls.verify_and_map;
            Ok(())
        },
    },
    Key {
        names: &["verify_cert_and_check_known_urls"],
        takes: "boolean",
        default: "false",
        doc: "Routes: as `verify`, and the certificate of whoever comes is for the host of one of the `routes`.",
        read: |tls, field| {
            tls.check_known_urls = field.bool()?;
            tls.verify |= tls.check_known_urls;
            Ok(())
        },
    },
    Key {
        names: &["insecure"],
        takes: "boolean",
        default: "false",
        doc: "Routes: believes whomever it dials, whatever the certificate. Clients are never dialled: nothing.",
        read: |tls, field| field.bool().map(|on| tls.insecure = on),
    },
    Key {
        names: &["timeout"],
        takes: "seconds or duration",
        default: "2",
        doc: "How long a handshake may take.",
        read: |tls, field| timeout(field).map(|timeout| tls.timeout = timeout),
    },
    Key {
        names: &["min_version"],
        takes: "\"1.2\" or \"1.3\"",
        default: "\"1.2\"",
        doc: "The oldest TLS spoken.",
        read: |tls, field| {
            tls.only_tls13 = match field.text()? {
                "1.2" => false,
                "1.3" => true,
                other => return Err(word(other, "\"1.2\" or \"1.3\"")),
            };
            Ok(())
        },
    },
    Key {
        names: &["cipher_suites"],
        takes: "list of strings",
        default: "all",
        doc: "Cipher suites of TLS 1.2: `TLS_ECDHE_`, `ECDSA` or `RSA`, `_WITH_`, and `AES_128_GCM_SHA256`, \
              `AES_256_GCM_SHA384` or `CHACHA20_POLY1305_SHA256`. Those of TLS 1.3 are always on.",
        read: |tls, field| names(field, tls::is_cipher_suite, CIPHERS).map(|names| tls.cipher_suites = names),
    },
    Key {
        names: &["allow_insecure_cipher_suites"],
        takes: "boolean",
        default: "false",
        doc: "Changes nothing: natsd knows no insecure ones that could be allowed, and `cipher_suites` with one is an error.",
        read: |_, field| field.bool().map(|_| ()),
    },
    Key {
        names: &["curve_preferences"],
        takes: "list of X25519, CurveP256, CurveP384",
        default: "all, in this order",
        doc: "Curves of the key exchange, most wanted first.",
        read: |tls, field| names(field, tls::is_curve, CURVES).map(|names| tls.curve_preferences = names),
    },
    Key {
        names: &["handshake_first", "first", "immediate"],
        takes: "boolean, \"auto\" or duration",
        default: "false",
        doc: "Clients: the handshake comes before `INFO`. With a duration, `INFO` comes first to a client that says nothing \
              for so long; \"auto\" is 50 ms. Routes always begin with the handshake.",
        read: |tls, field| handshake_first(field).map(|first| tls.handshake_first = first),
    },
    Key {
        names: &["connection_rate_limit"],
        takes: "integer",
        default: "0, unlimited",
        doc: "Clients: handshakes a second; who comes beyond that is sent away.",
        read: |tls, field| field.limit(u32::MAX.into()).map(|limit| tls.connection_rate_limit = limit),
    },
    Key {
        names: &["pinned_certs"],
        takes: "list of strings",
        default: "none",
        doc: "SHA-256 in hexadecimal of the public keys (SubjectPublicKeyInfo in DER) that a peer's certificate may have.",
        read: |tls, field| pinned(field).map(|pinned| tls.pinned_certs = pinned),
    },
];

const CIPHERS: &str = "TLS_ECDHE_, ECDSA or RSA, _WITH_, and AES_128_GCM_SHA256, AES_256_GCM_SHA384 or \
                       CHACHA20_POLY1305_SHA256";
const CURVES: &str = "X25519, CurveP256 or CurveP384";

/// Reads `tls {}` and looks whether its files are what they should be. `check` does that.
pub(super) fn read(
    field: &mut Field<'_>,
    check: fn(&TlsOptions) -> Result<(), tls::TlsError>,
) -> Result<TlsOptions, ValueError> {
    let mut options = TlsOptions::default();
    if field.map(KEYS, unsupported::TLS, &mut options)? {
        check(&options)?;
    }
    Ok(options)
}

fn cert_files(field: &mut Field<'_>) -> Result<CertFiles, ValueError> {
    let mut files = (None, None);
    field.map(CERT_FILES, &[], &mut files)?;
    let cert_file = files.0.ok_or(ValueError::Missing("cert_file"))?;
    let key_file = files.1.ok_or(ValueError::Missing("key_file"))?;
    Ok(CertFiles { cert_file, key_file })
}

const CERT_FILES: &[Key<(Option<PathBuf>, Option<PathBuf>)>] = &[
    Key {
        names: &["cert_file"],
        takes: "",
        default: "",
        doc: "",
        read: |files, field| path(field).map(|file| files.0 = Some(file)),
    },
    Key {
        names: &["key_file"],
        takes: "",
        default: "",
        doc: "",
        read: |files, field| path(field).map(|file| files.1 = Some(file)),
    },
];

fn word(found: &str, expected: &'static str) -> ValueError {
    ValueError::Word { found: found.to_owned(), expected }
}

pub(super) fn path(field: &mut Field<'_>) -> Result<PathBuf, ValueError> {
    let text = field.text()?;
    if text.is_empty() { Err(word(text, "a path")) } else { Ok(text.into()) }
}

fn timeout(field: &mut Field<'_>) -> Result<Duration, ValueError> {
    let timeout = match field.value() {
        Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).map_err(|_| word(&seconds.to_string(), SECONDS)),
        Value::Int(_) => field.integer_in::<u64>(0..=MAX_TIMEOUT.as_secs() as i64).map(Duration::from_secs),
        Value::Text(text) => Ok(duration::parse(text)?),
        _ => Err(field.expected(SECONDS)),
    }?;
    Ok(if timeout.is_zero() { DEFAULT_TIMEOUT } else { timeout.min(MAX_TIMEOUT) })
}

const SECONDS: &str = "seconds, or a duration such as \"2s\"";

fn handshake_first(field: &mut Field<'_>) -> Result<HandshakeFirst, ValueError> {
    let of = |on| if on { HandshakeFirst::Always } else { HandshakeFirst::Never };
    match field.value() {
        Value::Bool(on) => Ok(of(*on)),
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "auto" | "auto_fallback" => Ok(HandshakeFirst::Within(AUTO)),
            "true" | "on" => Ok(of(true)),
            "false" | "off" => Ok(of(false)),
            _ => match duration::parse(text).map_err(|_| word(text, "true, false, \"auto\" or a duration"))? {
                Duration::ZERO => Ok(of(true)),
                wait => Ok(HandshakeFirst::Within(wait.min(MAX_TIMEOUT))),
            },
        },
        _ => Err(field.expected("true, false, \"auto\" or a duration")),
    }
}

/// The entries of a list, which cannot be empty.
fn list<'a>(field: &Field<'a>) -> Result<&'a [Node], ValueError> {
    match field.value() {
        Value::List(items) if items.is_empty() => Err(ValueError::Empty),
        Value::List(items) => Ok(items),
        _ => Err(field.expected("a list of strings, [ … ]")),
    }
}

/// A list of names that are known.
fn names(field: &mut Field<'_>, is_known: fn(&str) -> bool, expected: &'static str) -> Result<Vec<String>, ValueError> {
    let items = list(field)?;
    field.items(items, |item| {
        let name = item.text()?;
        if is_known(name) { Ok(name.to_owned()) } else { Err(word(name, expected)) }
    })
}

fn pinned(field: &mut Field<'_>) -> Result<Vec<[u8; 32]>, ValueError> {
    const EXPECTED: &str = "the SHA-256 of a SubjectPublicKeyInfo, 64 hexadecimal digits";
    let items = list(field)?;
    field.items(items, |item| {
        let text = item.text()?;
        digest(text).ok_or_else(|| word(text, EXPECTED))
    })
}

/// 32 bytes in hexadecimal.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let bytes: Vec<u8> =
        digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + *digit as u8)).collect();
    if text.len() == 64 { bytes.try_into().ok() } else { None }
}
