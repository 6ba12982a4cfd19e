//! `proxy {}` of an entry of `remotes`.

use std::time::Duration;

use natsd_core::route::hello::Secret;

use crate::config::address::host_port;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::keys::tls;
use crate::config::options::{HttpProxy, TlsOptions};

/// `proxy {}` while its keys are read.
#[derive(Default)]
pub struct Draft {
    place: Option<(bool, String, u16)>,
    user: Option<String>,
    password: Option<String>,
    timeout: Option<Duration>,
    tls: Option<TlsOptions>,
}

/// The keys of `proxy {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["url"],
        takes: "URL",
        default: "required",
        doc: "`http://host[:port]` or `https://host[:port]`, ports 80 and 443 by default.",
        read: |draft, field| url(field.text()?).map(|place| draft.place = Some(place)),
    },
    Key {
        names: &["username"],
        takes: "string",
        default: "none",
        doc: "Who this server is to the proxy, with `password`.",
        read: |draft, field| {
            field.text().map(|user| draft.user = Some(user.to_owned()).filter(|user| !user.is_empty()))
        },
    },
    Key {
        names: &["password"],
        takes: "string",
        default: "none",
        doc: "Proves that.",
        read: |draft, field| {
            field.text().map(|text| draft.password = Some(text.to_owned()).filter(|text| !text.is_empty()))
        },
    },
    Key {
        names: &["timeout"],
        takes: "duration",
        default: "`dial_timeout`",
        doc: "How long the proxy may take to lead to the hub.",
        read: |draft, field| field.duration_or_none().map(|timeout| draft.timeout = timeout),
    },
    Key {
        names: &["tls"],
        takes: "map",
        default: "as for a web server",
        doc: "TLS with a proxy at `https://`; see below. No certificate is needed, and without `ca_file` those are believed that \
              this machine believes.",
        read: |draft, field| tls::read(field, crate::tls::check_web).map(|options| draft.tls = Some(options)),
    },
];

/// Reads `proxy {}`.
pub(super) fn read(field: &mut Field<'_>) -> Result<Option<HttpProxy>, ValueError> {
    let mut draft = Draft::default();
    if !field.map(KEYS, &[], &mut draft)? {
        return Ok(None);
    }
    let Draft { place, user, password, timeout, tls } = draft;
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, Secret(password))),
        (None, None) => None,
        _ => return Err(ValueError::ProxyLogin),
    };
    let Some((https, host, port)) = place else {
        // Nothing in it is as good as no proxy.
        let is_empty = login.is_none() && timeout.is_none() && tls.is_none();
        return if is_empty { Ok(None) } else { Err(ValueError::Missing("url")) };
    };
    if tls.is_some() && !https {
        return Err(ValueError::ProxyTls);
    }
    Ok(Some(HttpProxy { https, host, port, login, timeout, tls }))
}

fn url(text: &str) -> Result<(bool, String, u16), ValueError> {
    let bad = || ValueError::ProxyUrl(text.rsplit_once('@').map_or(text, |(_, rest)| rest).to_owned());
    let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
    let https = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(bad()),
    };
    let address = rest.trim_end_matches('/');
    let has_port = address.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let whole = if has_port { address.to_owned() } else { format!("{address}:{}", if https { 443 } else { 80 }) };
    match host_port(&whole) {
        Ok((host, port)) if port > 0 && !host.is_empty() && !host.contains(['@', '/', '?', '#']) => {
            Ok((https, host, port))
        }
        _ => Err(bad()),
    }
}
