//! Where monitoring listens: `http`, `https` and their ports; `http {}`.

use natsd_auth::Login;

use crate::config::address;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

/// Host, if one was given, and port.
pub(super) type Place = (Option<String>, u16);

/// `http {}` while its keys are read.
#[derive(Default)]
pub struct Draft {
    host: Option<String>,
    /// 0 for any free one.
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
}

/// The keys of `http {}` and `https {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["host", "net"],
        takes: "string",
        default: "the host of the clients",
        doc: "Address to listen on.",
        read: |draft, field| field.text().map(|host| draft.host = Some(host.to_owned())),
    },
    Key {
        names: &["port"],
        takes: "integer",
        default: "required",
        doc: "Port to listen on; -1 takes a free one.",
        read: |draft, field| field.port().map(|port| draft.port = Some(port)),
    },
    Key {
        names: &["user", "username"],
        takes: "string",
        default: "everybody may ask",
        doc: "Who may ask, by Basic authentication.",
        read: |draft, field| field.text().map(|user| draft.user = Some(user.to_owned())),
    },
    Key {
        names: &["password", "pass"],
        takes: "string",
        default: "",
        doc: "The password, in plain or as a bcrypt hash.",
        read: |draft, field| field.text().map(|password| draft.password = Some(password.to_owned())),
    },
];

/// A port, a host and a port, or a map with a login.
pub(super) fn read(field: &mut Field<'_>, login: &mut Option<Login>) -> Result<Option<Place>, ValueError> {
    match field.value() {
        Value::Int(_) => port(field),
        Value::Text(text) => {
            let (host, port) = address::host_port(text)?;
            Ok(Some((Some(host).filter(|host| !host.is_empty()), port)))
        }
        Value::Map(_) => map(field, login),
        _ => Err(field.expected("a port, \"host:port\" or a map")),
    }
}

/// A port on the host of the clients; 0 turns monitoring off.
pub(super) fn port(field: &mut Field<'_>) -> Result<Option<Place>, ValueError> {
    if matches!(field.value(), Value::Int(0)) { Ok(None) } else { field.port().map(|port| Some((None, port))) }
}

fn map(field: &mut Field<'_>, login: &mut Option<Login>) -> Result<Option<Place>, ValueError> {
    let mut draft = Draft::default();
    if !field.map(KEYS, &[], &mut draft)? {
        return Ok(None);
    }
    *login = match (draft.user, draft.password) {
        (Some(user), Some(password)) => Some(Login::new(&user, &password)),
        (None, None) => None,
        (None, Some(_)) => return Err(ValueError::Missing("user")),
        (Some(_), None) => return Err(ValueError::Missing("password")),
    };
    let port = draft.port.ok_or(ValueError::Missing("port"))?;
    Ok(Some((draft.host, port)))
}
