//! How log lines name a connection.

use std::fmt::{self, Write};
use std::net::IpAddr;

use natsd_auth::User;
use natsd_core::connect::Settings;

use super::trace::Quoted;
use super::{Kind, Link, Origin};

/// `127.0.0.1:4222 - cid:5`, and once a client has introduced itself `- "v1.2:go:its name"` and, where clients have to say
/// who they are, `- "ACCOUNT/user:its user"`.
pub(super) fn describe(link: &Link) -> String {
    let kind = match link.kind {
        Kind::Client if link.is_websocket() => "wid",
        Kind::Client => "cid",
        Kind::Route => "rid",
        Kind::Leaf => "lid",
        Kind::Gateway => "gid",
        Kind::System => "sid",
    };
    let forwarded = match link.origin.get().map(|origin| &**origin) {
        Some(Origin::Forwarded(ip @ IpAddr::V6(_))) => format!("[{ip}]/"),
        Some(Origin::Forwarded(ip)) => format!("{ip}/"),
        _ => String::new(),
    };
    let mut text = format!("{forwarded}{} - {kind}:{}", link.peer(), link.id);
    // Whoever is let in before CONNECT is nobody yet.
    let Some(program) = link.settings.lock().as_deref().map(program) else { return text };
    let parts = [program, user(link)];
    for part in parts.iter().filter(|part| !part.is_empty()) {
        // Writing to a string cannot fail.
        let _ = write!(text, " - \"{}\"", Quoted(part));
    }
    text
}

/// Version, language and name of what connects, as far as it told them.
fn program(settings: &Settings) -> String {
    let version = if settings.version.is_empty() { String::new() } else { format!("v{}", settings.version) };
    let told = [&version, &settings.lang, &settings.name];
    told.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(":")
}

fn user(link: &Link) -> String {
    let user = link.user.load();
    user.as_ref().map(|user| format!("{}/{}", link.account_name(), Name(user))).unwrap_or_default()
}

/// How a user came in, and its name.
struct Name<'a>(&'a User);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.0.name, &self.0.secret) {
            ("", _) => f.write_str("token"),
            (name, Some(_)) => write!(f, "user:{name}"),
            (name, None) => write!(f, "nkey:{name}"),
        }
    }
}
