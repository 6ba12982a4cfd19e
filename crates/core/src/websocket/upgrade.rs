//! The request that turns an HTTP connection into one of WebSocket.

use std::fmt;
use std::net::IpAddr;

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

use super::framing::Framing;
use super::origin::Origin;

/// The longest request, bytes. Cookies may hold tokens of several kilobytes.
pub const MAX_REQUEST: usize = 32 * 1024;
const MAX_HEADERS: usize = 128;
/// What RFC 6455 adds to the key of a client.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// With the value `true`: neither side masks.
const NO_MASKING: &str = "Nats-No-Masking";
const DEFLATE: &str = "permessage-deflate";

/// What a listener allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Leaf nodes come in as well as clients.
    pub leafnodes: bool,
    /// The connection is over TLS.
    pub tls: bool,
    /// Messages may be compressed.
    pub compression: bool,
    /// Pages have to come from this server.
    pub same_origin: bool,
    /// Pages have to come from one of these, if there are any.
    pub allowed_origins: Vec<Origin>,
    /// What is added to the answer: lines, each with CR LF.
    pub headers: String,
    /// Names of the cookies that say who the client is.
    pub cookies: CookieNames,
}

/// Cookies in place of what `CONNECT` may say; an empty name is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieNames {
    /// Of the JWT.
    pub jwt: String,
    /// Of the user.
    pub user: String,
    /// Of the password.
    pub password: String,
    /// Of the token.
    pub token: String,
}

/// What the cookies of a client said; may be empty. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cookies {
    /// The JWT.
    pub jwt: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The token.
    pub token: String,
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[cookies]")
    }
}

/// What paths end with that leaf nodes ask for.
pub const LEAF_PATH: &str = "/leafnode";

/// A client that is let in.
#[derive(Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// What it is told.
    pub response: Vec<u8>,
    /// How frames are sent to it.
    pub framing: Framing,
    /// It masks what it sends.
    pub masked: bool,
    /// Where a proxy says that it comes from.
    pub forwarded_for: Option<IpAddr>,
    /// Who it says it is.
    pub cookies: Cookies,
    /// It is no client but a leaf node.
    pub leafnode: bool,
}

/// A request that is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: Status,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    BadRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    TooLarge,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "websocket handshake error: {}", self.reason)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    fn new(status: Status, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    fn bad(reason: impl Into<String>) -> Self {
        Self::new(Status::BadRequest, reason)
    }

    /// What the client is told: the status, and nothing of the reason.
    pub fn response(&self) -> Vec<u8> {
        let status = match self.status {
            Status::BadRequest => "400 Bad Request",
            Status::Forbidden => "403 Forbidden",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::TooLarge => "431 Request Header Fields Too Large",
        };
        let body = status.split_once(' ').map_or("", |(_, text)| text);
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: 13\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}\n",
            body.len() + 1
        )
        .into_bytes()
    }
}

/// Looks whether `input` is a request that is granted. `None` while it has not come to its end.
///
/// # Errors
///
/// When the request is not granted.
pub fn upgrade(input: &[u8], rules: &Rules) -> Result<Option<Upgrade>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Ok(httparse::Status::Complete(len)) if len == input.len() => {}
        Ok(httparse::Status::Complete(_)) => {
            return Err(Refusal::bad("client sent data before handshake is complete"));
        }
        Ok(httparse::Status::Partial) if input.len() < MAX_REQUEST => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(Status::TooLarge, "request too large"));
        }
        Err(error) => return Err(Refusal::bad(format!("no HTTP request: {error}"))),
    }
    let head = Head {
        method: request.method.unwrap_or_default(),
        path: request.path.unwrap_or_default(),
        headers: request.headers,
    };
    head.grant(rules).map(Some)
}

/// A whole request.
struct Head<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a [httparse::Header<'a>],
}

impl<'a> Head<'a> {
    /// The values of the headers of this name that are text.
    fn all(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.filter_map(|header| std::str::from_utf8(header.value).ok())
    }

    fn first(&self, name: &'a str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    /// The values of lists, in all headers of this name.
    fn items(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(|value| value.split(',')).map(|item| item.trim_matches([' ', '\t']))
    }

    fn has(&self, name: &'a str, item: &str) -> bool {
        self.items(name).any(|found| found.eq_ignore_ascii_case(item))
    }

    fn grant(&self, rules: &Rules) -> Result<Upgrade, Refusal> {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        let leafnode = path.ends_with(LEAF_PATH);
        for (wanted, granted, what) in
            [(path.ends_with("/mqtt"), false, "mqtt"), (leafnode, rules.leafnodes, "leafnode")]
        {
            if wanted && !granted {
                return Err(Refusal::new(Status::NotFound, format!("{what} websocket endpoint not enabled")));
            }
        }
        if self.method != "GET" {
            return Err(Refusal::new(Status::MethodNotAllowed, "request method must be GET"));
        }
        if self.first("Host").is_empty() {
            return Err(Refusal::bad("'Host' missing in request"));
        }
        if !self.has("Upgrade", "websocket") {
            return Err(Refusal::bad("invalid value for header 'Upgrade'"));
        }
        if !self.has("Connection", "Upgrade") {
            return Err(Refusal::bad("invalid value for header 'Connection'"));
        }
        let key = self.first("Sec-WebSocket-Key");
        if key.is_empty() {
            return Err(Refusal::bad("key missing"));
        }
        if BASE64.decode(key.as_bytes()).map(|key| key.len()) != Ok(16) {
            return Err(Refusal::bad("invalid websocket key"));
        }
        if !self.has("Sec-WebSocket-Version", "13") {
            return Err(Refusal::bad("invalid version"));
        }
        self.check_origin(rules)?;
        let offered = |offer: &str| offer.split(';').any(|word| word.trim().eq_ignore_ascii_case(DEFLATE));
        let compression = rules.compression && self.items("Sec-WebSocket-Extensions").any(offered);
        let masked = self.first(NO_MASKING) != "true";
        Ok(Upgrade {
            response: response(key, compression, masked, &rules.headers),
            framing: self.framing(compression),
            masked,
            forwarded_for: self.first("X-Forwarded-For").parse().ok(),
            cookies: self.cookies(&rules.cookies),
            leafnode,
        })
    }

    /// A client that names no origin is no web page, and could name any.
    fn check_origin(&self, rules: &Rules) -> Result<(), Refusal> {
        let refused = |why: String| Refusal::new(Status::Forbidden, format!("origin not allowed: {why}"));
        let named = [self.first("Origin"), self.first("Sec-WebSocket-Origin")];
        let Some(origin) = named.into_iter().find(|origin| !origin.is_empty()) else { return Ok(()) };
        if !rules.same_origin && rules.allowed_origins.is_empty() {
            return Ok(());
        }
        let origin = Origin::parse(origin).map_err(|error| refused(error.to_string()))?;
        if rules.same_origin && Origin::of_request(self.first("Host"), rules.tls).as_ref() != Some(&origin) {
            return Err(refused("not same origin".into()));
        }
        if !rules.allowed_origins.is_empty() && !rules.allowed_origins.contains(&origin) {
            return Err(refused("not in the allowed list".into()));
        }
        Ok(())
    }

    fn framing(&self, compression: bool) -> Framing {
        let agent = self.first("User-Agent");
        let browser = agent.starts_with("Mozilla/");
        // Chrome names Safari, but no version of it. Safari fails on a compressed message in parts.
        let safari = agent.contains("Version/") && agent.contains("Safari/");
        Framing { compression, browser, whole: compression && browser && safari }
    }

    fn cookies(&self, names: &CookieNames) -> Cookies {
        let mut cookies = Cookies::default();
        let pairs =
            self.all("Cookie").flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        for (name, value) in pairs.filter(|(name, _)| !name.is_empty()) {
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            let slot = match name {
                name if name == names.jwt => &mut cookies.jwt,
                name if name == names.user => &mut cookies.user,
                name if name == names.password => &mut cookies.password,
                name if name == names.token => &mut cookies.token,
                _ => continue,
            };
            value.clone_into(slot);
        }
        cookies
    }
}

/// What proves to who sent `key` that it was understood.
pub fn accepts(key: &str) -> String {
    let mut digest = Sha1::new();
    digest.update(key.as_bytes());
    digest.update(GUID);
    BASE64.encode(&digest.finalize())
}

fn response(key: &str, compression: bool, masked: bool, headers: &str) -> Vec<u8> {
    let accept = accepts(key);
    let mut text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
    );
    if compression {
        text.push_str(
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
        );
    }
    if !masked {
        text.push_str("Nats-No-Masking: true\r\n");
    }
    text.push_str(headers);
    text.push_str("\r\n");
    text.into_bytes()
}

#[cfg(test)]
mod tests;
