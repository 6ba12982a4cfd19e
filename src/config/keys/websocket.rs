//! `websocket {}`.

use std::time::Duration;

use natsd_auth::DirectoryBuilder;
use natsd_core::websocket::origin::Origin;

use super::authorization::seconds_or_duration;
use super::tls;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::options::{Listen, WebsocketOptions};

/// `websocket {}` while its keys are read.
#[derive(Default)]
pub struct Draft {
    options: WebsocketOptions,
    listen: Option<(String, u16)>,
    host: Option<String>,
    port: Option<u16>,
}

/// The keys of `websocket {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["listen"],
        takes: "port or \"host:port\"",
        default: "",
        doc: "Where clients come in.",
        read: |draft, field| listen(field).map(|listen| draft.listen = Some(listen)),
    },
    Key {
        names: &["port"],
        takes: "integer",
        default: "required, without `listen`",
        doc: "Port for clients; -1 takes a free one.",
        read: |draft, field| field.port().map(|port| draft.port = Some(port)),
    },
    Key {
        names: &["host", "net"],
        takes: "string",
        default: "0.0.0.0",
        doc: "Address to listen on, with `port`.",
        read: |draft, field| field.text().map(|host| draft.host = Some(host.to_owned())),
    },
    Key {
        names: &["advertise"],
        takes: "string \"host[:port]\"",
        default: "the address bound",
        doc: "Address told to clients over WebSocket in the cluster.",
        read: |draft, field| field.advertised().map(|address| draft.options.advertise = Some(address)),
    },
    Key {
        names: &["tls"],
        takes: "map",
        default: "required, without `no_tls`",
        doc: "TLS of these clients, which begin with the handshake; see below.",
        read: |draft, field| {
            tls::read(field, crate::tls::check_server).map(|options| draft.options.tls = Some(options))
        },
    },
    Key {
        names: &["no_tls"],
        takes: "boolean",
        default: "false",
        doc: "Does without TLS if there is no `tls`: for tests, or behind a proxy that has it.",
        read: |draft, field| field.bool().map(|on| draft.options.no_tls = on),
    },
    Key {
        names: &["same_origin"],
        takes: "boolean",
        default: "false",
        doc: "Web pages have to come from the host and port that they connect to.",
        read: |draft, field| field.bool().map(|on| draft.options.same_origin = on),
    },
    Key {
        names: &["allowed_origins", "allowed_origin", "allow_origins", "allow_origin", "origins", "origin"],
        takes: "\"http://host[:port]\", \"https://host[:port]\" or a list of these",
        default: "any",
        doc: "Where web pages have to come from. Who names no origin is no web page.",
        read: |draft, field| {
            draft.options.allowed_origins = field.each(|field| {
                let text = field.text()?;
                Ok((text.to_owned(), Origin::parse_web(text)?))
            })?;
            Ok(())
        },
    },
    Key {
        names: &["handshake_timeout"],
        takes: "duration",
        default: "\"10s\"",
        doc: "How long a client may take for TLS and its request.",
        read: |draft, field| {
            draft.options.handshake_timeout = field.duration_or_none()?;
            Ok(())
        },
    },
    Key {
        names: &["compress", "compression"],
        takes: "boolean",
        default: "false",
        doc: "Agrees to compress messages (`permessage-deflate`) with clients that offer it.",
        read: |draft, field| field.bool().map(|on| draft.options.compression = on),
    },
    Key {
        names: &["authorization", "authentication"],
        takes: "map",
        default: "as for other clients",
        doc: "`user` and `password`, or `token`, in place of those of the server, and `timeout`. Not beside `users`.",
        read: |draft, field| authorization(&mut draft.options, field),
    },
    Key {
        names: &["no_auth_user"],
        takes: "string",
        default: "as for other clients",
        doc: "User, by name or nkey, of the `users` of the server that a client or leaf node is without credentials.",
        read: |draft, field| {
            draft.options.no_auth_user = Some(field.text()?.to_owned()).filter(|name| !name.is_empty());
            Ok(())
        },
    },
    Key {
        names: &["jwt_cookie"],
        takes: "string",
        default: "none",
        doc: "Cookie that holds the JWT of a client whose `CONNECT` has none; for operator mode.",
        read: |draft, field| field.text().map(|name| name.clone_into(&mut draft.options.cookies.jwt)),
    },
    Key {
        names: &["user_cookie"],
        takes: "string",
        default: "none",
        doc: "Cookie that holds the user of a client whose `CONNECT` names none.",
        read: |draft, field| field.text().map(|name| name.clone_into(&mut draft.options.cookies.user)),
    },
    Key {
        names: &["pass_cookie"],
        takes: "string",
        default: "none",
        doc: "The same of its password.",
        read: |draft, field| field.text().map(|name| name.clone_into(&mut draft.options.cookies.password)),
    },
    Key {
        names: &["token_cookie"],
        takes: "string",
        default: "none",
        doc: "The same of its token.",
        read: |draft, field| field.text().map(|name| name.clone_into(&mut draft.options.cookies.token)),
    },
    Key {
        names: &["headers"],
        takes: "map of strings",
        default: "none",
        doc: "Headers of the answer to a request, beside those of WebSocket.",
        read: |draft, field| {
            draft.options.headers = field.entries(header)?;
            Ok(())
        },
    },
    Key {
        names: &["ping_interval"],
        takes: "duration",
        default: "as for other clients",
        doc: "Time between two pings to a client.",
        read: |draft, field| {
            draft.options.ping_interval = field.duration_or_none()?;
            Ok(())
        },
    },
];

/// Reads `websocket {}`.
pub(super) fn read(field: &mut Field<'_>) -> Result<WebsocketOptions, ValueError> {
    let mut draft = Draft::default();
    field.map(KEYS, &[], &mut draft)?;
    let Draft { mut options, listen, host, port } = draft;
    (options.host, options.port) = match (listen, host, port) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => return Err(ValueError::ListenTwice),
        (Some(listen), None, None) => listen,
        (None, _, None) => return Err(ValueError::PortMissing),
        (None, host, Some(port)) => (host.unwrap_or(options.host), port),
    };
    Ok(options)
}

fn listen(field: &mut Field<'_>) -> Result<(String, u16), ValueError> {
    const ONE: &str = "a port or \"host:port\"";
    match field.listeners()?.as_slice() {
        [Listen::Tcp { host, port }] => Ok((host.clone(), *port)),
        _ => Err(field.expected(ONE)),
    }
}

/// `authorization {}` while its keys are read.
#[derive(Default)]
struct AuthorizationDraft {
    builder: DirectoryBuilder,
    timeout: Option<Duration>,
}

const AUTHORIZATION_KEYS: &[Key<AuthorizationDraft>] = &[
    Key {
        names: &["user", "username"],
        takes: "string",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|user| draft.builder.user = Some(user.to_owned())),
    },
    Key {
        names: &["pass", "password"],
        takes: "string",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|password| draft.builder.password = Some(password.to_owned())),
    },
    Key {
        names: &["token"],
        takes: "string",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|token| draft.builder.token = Some(token.to_owned())),
    },
    Key {
        names: &["timeout"],
        takes: "seconds or duration",
        default: "",
        doc: "",
        read: |draft, field| seconds_or_duration(field).map(|timeout| draft.timeout = Some(timeout)),
    },
];

fn authorization(options: &mut WebsocketOptions, field: &mut Field<'_>) -> Result<(), ValueError> {
    let mut draft = AuthorizationDraft::default();
    if !field.map(AUTHORIZATION_KEYS, &[], &mut draft)? {
        return Ok(());
    }
    options.directory = Some(draft.builder.build()?).filter(|directory| !directory.is_open());
    options.auth_timeout = draft.timeout;
    Ok(())
}

/// A header that does not change what the answer means.
fn header(name: &str, field: &mut Field<'_>) -> Result<(String, String), ValueError> {
    let value = field.text()?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    let ours = ["host", "content-length", "connection", "upgrade", "nats-no-masking"].contains(&lower.as_str())
        || lower.starts_with("sec-websocket-");
    if ours || name.is_empty() || !name.bytes().all(is_token) {
        return Err(ValueError::Header(name.to_owned()));
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(ValueError::HeaderValue(name.to_owned()));
    }
    Ok((name.to_owned(), value.to_owned()))
}
