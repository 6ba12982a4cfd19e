//! Asks one server.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use natsd_api::{AccountStatz, Connz, EventKind, Eventz, Gatewayz, Leafz, Pathz, Routez, Time, Varz};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::past::SPAN;

/// All answers of one reading together must arrive within this time.
const DEADLINE: Duration = Duration::from_secs(5);
/// Largest answer that is read.
const MAX_ANSWER: usize = 16 << 20;
/// Most connections asked for; the first ones in the order of the view.
const MAX_CONNECTIONS: u32 = 256;
/// A second is told once it is over, so what was told last lacks the end.
const OVERLAP: Duration = Duration::from_secs(3);

/// `http://host:port/base`: a monitoring port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorUrl {
    /// `host:port`, brackets around an IPv6 address.
    authority: String,
    /// `http_base_path`, without a slash at the end.
    base: String,
    /// The header that says who asks, if the URL does. Not printed.
    login: Option<Login>,
}

/// `Basic …`, from the name and the password of a URL.
#[derive(Clone, PartialEq, Eq)]
struct Login(String);

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl Login {
    /// From `name:password`, in which `%3A` stands for what would end it.
    fn new(user_info: &str) -> Option<Self> {
        let user_info = if user_info.contains(':') { user_info.to_owned() } else { format!("{user_info}:") };
        Some(Self(format!("Basic {}", BASE64.encode(&percent_decoded(&user_info)?))))
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        decoded.push(HEXLOWER_PERMISSIVE.decode(digits).ok()?[0]);
        rest = after;
    }
    Some(decoded)
}

/// Why a URL was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the URL of a monitoring port: {what}; it looks like http://127.0.0.1:8222")]
pub struct UrlError {
    text: String,
    what: &'static str,
}

impl FromStr for MonitorUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        let bad = |what| UrlError { text: shown.to_owned(), what };
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err(bad("https is not supported")),
            Some(_) => return Err(bad("the scheme is not http")),
            None => text,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (login, authority) = match authority.rsplit_once('@') {
            Some((user_info, authority)) => {
                let login = Login::new(user_info).ok_or_else(|| bad("a '%' in name or password is no escape"))?;
                (Some(login), authority)
            }
            None => (None, authority),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, "8222"),
        };
        let port: u16 = port.parse().map_err(|_| bad("the port is not a number from 0 to 65535"))?;
        let authority = format!("{host}:{port}");
        if host.is_empty() || authority.parse::<hyper::http::uri::Authority>().is_err() {
            return Err(bad("the host is not a name or an address"));
        }
        if path.parse::<hyper::Uri>().is_err() && !path.is_empty() {
            return Err(bad("the path has characters that a URL cannot have"));
        }
        Ok(Self { authority, base: path.trim_end_matches('/').to_owned(), login })
    }
}

impl fmt::Display for MonitorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.base)
    }
}

/// What one server said in one reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// When the answers had arrived, by the reader's clock.
    pub time: Time,
    /// `/varz`.
    pub varz: Varz,
    /// `/connz`, the first 256.
    pub connz: Connz,
    /// `/routez`.
    pub routez: Routez,
    /// `/pathz`; `None` when the server has no SCION.
    pub pathz: Option<Pathz>,
    /// `/leafz`; `None` when the server has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leafz: Option<Leafz>,
    /// `/gatewayz`; `None` when the server has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gatewayz: Option<Gatewayz>,
    /// `/accstatz`, of accounts that have clients; `None` when the server has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accstatz: Option<AccountStatz>,
    /// `/eventz`, what is new since the reading before; `None` when the server has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eventz: Option<Eventz>,
}

/// Why a server could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection.
    #[error("cannot connect to {url}: {error}; does the server run, with this monitoring port?")]
    Connect {
        /// The server.
        url: MonitorUrl,
        /// The reason.
        error: std::io::Error,
    },
    /// The answers took too long.
    #[error("{url} did not answer within 5 s")]
    Timeout {
        /// The server.
        url: MonitorUrl,
    },
    /// The connection broke, the answer is not HTTP, or is larger than 16 MiB.
    #[error("{url}{path}: {error}")]
    Http {
        /// The server.
        url: MonitorUrl,
        /// The endpoint.
        path: String,
        /// The reason.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server wants to know who asks.
    #[error("{url} wants a name and a password: write http://NAME:PASSWORD@…, with %3A for a ':' in one of them")]
    Login {
        /// The server.
        url: MonitorUrl,
    },
    /// The server refused.
    #[error("{url}{path} answers {status}; is this the monitoring port of a NATS server?")]
    Status {
        /// The server.
        url: MonitorUrl,
        /// The endpoint.
        path: String,
        /// What it said.
        status: StatusCode,
    },
    /// The answer is not what such a server says.
    #[error("{url}{path} answers what is no monitoring document: {error}")]
    Document {
        /// The server.
        url: MonitorUrl,
        /// The endpoint.
        path: String,
        /// The reason.
        error: serde_json::Error,
    },
}

/// A server and the connection to it, which is kept from one reading to the next.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) url: MonitorUrl,
    connection: Option<SendRequest<Empty<Bytes>>>,
    /// When the histories of the paths were read last, by the server's clock, if they are wanted.
    histories: Option<Time>,
    /// Number of the last event that was read.
    last_event: u64,
}

impl Source {
    pub(crate) fn new(url: MonitorUrl) -> Self {
        Self { url, connection: None, histories: None, last_event: 0 }
    }

    /// As `new`; what became of paths lately is read as well.
    pub(crate) fn with_histories(url: MonitorUrl) -> Self {
        Self { histories: Some(Time::default()), ..Self::new(url) }
    }

    /// Reads all endpoints. `connz_sort` is the order that the first connections are wanted in.
    pub(crate) async fn read(&mut self, connz_sort: &str) -> Result<Snapshot, FetchError> {
        let result = tokio::time::timeout(DEADLINE, self.read_all(connz_sort)).await;
        let result = result.unwrap_or_else(|_| Err(FetchError::Timeout { url: self.url.clone() }));
        if result.is_err() {
            self.connection = None;
        }
        result
    }

    async fn read_all(&mut self, connz_sort: &str) -> Result<Snapshot, FetchError> {
        let connz = format!("/connz?limit={MAX_CONNECTIONS}&sort={connz_sort}");
        let varz: Varz = self.get("/varz").await?;
        Ok(Snapshot {
            connz: self.get(&connz).await?,
            routez: self.get("/routez").await?,
            pathz: self.pathz(varz.now).await?,
            leafz: self.optional("/leafz").await?,
            gatewayz: self.optional("/gatewayz").await?,
            accstatz: self.optional("/accstatz").await?,
            eventz: self.eventz().await?,
            varz,
            time: SystemTime::now().into(),
        })
    }

    /// What happened since this was asked last.
    async fn eventz(&mut self) -> Result<Option<Eventz>, FetchError> {
        let path = format!("/eventz?stream=0&since={}", self.last_event);
        let eventz = self.optional::<Eventz>(&path).await?;
        self.last_event = eventz.as_ref().map_or(0, |eventz| eventz.head.last);
        Ok(eventz)
    }

    /// A document that some servers do not have.
    async fn optional<T: DeserializeOwned>(&mut self, path: &str) -> Result<Option<T>, FetchError> {
        match self.get(path).await {
            Err(FetchError::Status { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The paths, with what became of them since this was asked last. `now` is the server's time.
    async fn pathz(&mut self, now: Time) -> Result<Option<Pathz>, FetchError> {
        let path = match self.histories {
            Some(last) => {
                let since = (last.0 - OVERLAP).max(now.0 - SPAN);
                format!("/pathz?history=1&since={}", Time(since))
            }
            None => "/pathz".to_owned(),
        };
        let pathz = self.optional::<Pathz>(&path).await?;
        self.histories = self.histories.map(|last| pathz.as_ref().map_or(last, |pathz| pathz.now));
        Ok(pathz)
    }

    /// Waits for the next thing that happens at the server, and the ones after it: `happened` is called for each part of
    /// the stream that brings some. Returns when the stream ends; `false` if there is no such stream.
    pub(crate) async fn follow(&mut self, mut happened: impl FnMut()) -> bool {
        // All that happened before is read anyway, and clients that come and go are no news to hurry for.
        let mut path = format!("/eventz?since={}", u64::MAX);
        for kind in EventKind::ALL {
            if !matches!(kind, EventKind::ClientJoin | EventKind::ClientLeave) {
                path += &format!("&kind={}", kind.as_str());
            }
        }
        let Ok(request) = self.request(&path) else { return false };
        let Ok(mut connection) = self.connect().await else { return true };
        let Ok(response) = connection.send_request(request).await else { return true };
        if response.status() != StatusCode::OK {
            return response.status() != StatusCode::NOT_FOUND;
        }
        let mut body = response.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            // An event begins with its number; what has none is the greeting or a sign of life.
            if frame.data_ref().is_some_and(|data| data.windows(4).any(|window| window == b"id: ")) {
                happened();
            }
        }
        true
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
        let mut request = Request::get(format!("{}{path}", self.url.base)).header(header::HOST, &self.url.authority);
        if let Some(Login(login)) = &self.url.login {
            request = request.header(header::AUTHORIZATION, login);
        }
        request.body(Empty::new())
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, FetchError> {
        let url = self.url.clone();
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| FetchError::Http {
            url: url.clone(),
            path: path.to_owned(),
            error,
        };
        let request = self.request(path).map_err(|error| failed(error.into()))?;
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await.map_err(|error| failed(error.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(failed)?.to_bytes();
        self.connection = Some(connection);
        if status == StatusCode::UNAUTHORIZED {
            return Err(FetchError::Login { url: self.url.clone() });
        }
        if status != StatusCode::OK {
            return Err(FetchError::Status { url: self.url.clone(), path: path.to_owned(), status });
        }
        serde_json::from_slice(&body).map_err(|error| FetchError::Document {
            url: self.url.clone(),
            path: path.to_owned(),
            error,
        })
    }

    /// The connection kept from the last request, unless the server has closed it since, or a new one.
    async fn connection(&mut self) -> Result<SendRequest<Empty<Bytes>>, FetchError> {
        if let Some(mut open) = self.connection.take()
            && open.ready().await.is_ok()
        {
            return Ok(open);
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, FetchError> {
        let stream = TcpStream::connect(&self.url.authority)
            .await
            .map_err(|error| FetchError::Connect { url: self.url.clone(), error })?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| FetchError::Http { url: self.url.clone(), path: String::new(), error: error.into() })?;
        // It ends when `sender` is dropped; what broke is reported to the request.
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use natsd_api::PathEvent;

    use super::*;
    use crate::testing::{self, Answer, FakeServer};

    #[test]
    fn urls() {
        for (text, means) in [
            ("http://127.0.0.1:8222", "http://127.0.0.1:8222"),
            ("http://127.0.0.1:8222/", "http://127.0.0.1:8222"),
            ("localhost", "http://localhost:8222"),
            ("http://[::1]", "http://[::1]:8222"),
            ("http://[::1]:80/nats/mon/", "http://[::1]:80/nats/mon"),
            ("http://me:p%40ss@h:1/x", "http://h:1/x"),
        ] {
            assert_eq!(text.parse::<MonitorUrl>().expect(text).to_string(), means);
        }
    }

    #[test]
    fn who_asks_is_in_the_url_and_is_not_printed() {
        let url: MonitorUrl = "http://me:a%3ab%40@h".parse().unwrap();
        assert_eq!(url.login, Some(Login(format!("Basic {}", BASE64.encode(b"me:a:b@")))));
        assert_eq!(Login::new("me"), Some(Login(format!("Basic {}", BASE64.encode(b"me:")))));
        assert!(!format!("{url:?}").contains("Basic"), "{url:?}");
    }

    #[test]
    fn the_error_says_what_is_wrong() {
        let text = |url: &str| url.parse::<MonitorUrl>().expect_err(url).to_string();
        let bad = ["https://x:1", "nats://x:1", "http://x:99999", "http://", "http://a b:1", "http://u:p%zz@x:1"];
        insta::assert_snapshot!(bad.map(text).join("\n"));
    }

    #[tokio::test]
    async fn a_natsd_is_read_whole_over_one_connection() {
        let server = FakeServer::start(|path| match path {
            "/base/varz" => testing::varz().into(),
            "/base/connz?limit=256&sort=cid" => testing::connz().into(),
            "/base/routez" => testing::routez().into(),
            "/base/pathz" => testing::pathz().into(),
            _ => Answer::not_found(),
        })
        .await;
        let mut source = Source::new(format!("{}/base", server.url).parse().unwrap());
        for _ in 0..2 {
            let snapshot = source.read("cid").await.expect("readable");
            assert_eq!(snapshot.pathz, Some(testing::pathz()));
            assert_eq!(snapshot.varz, testing::varz());
        }
        assert_eq!(server.connections(), 1);
    }

    #[tokio::test]
    async fn of_the_past_only_what_is_new_is_asked_for() {
        let server = FakeServer::start(|path| match path.split_once("since=") {
            None => without_pathz(path),
            Some(("/pathz?history=1&", since)) => {
                let event = PathEvent { text: since.into(), ..PathEvent::default() };
                Pathz { events: vec![event], ..testing::pathz() }.into()
            }
            _ => Answer::not_found(),
        })
        .await;
        let mut source = Source::with_histories(server.url.parse().unwrap());
        let mut asked = Vec::new();
        for _ in 0..2 {
            let snapshot = source.read("cid").await.expect("readable");
            asked.push(snapshot.pathz.expect("paths").events[0].text.clone());
        }
        assert_eq!(asked, ["2026-11-21T07:08:04Z", "2026-11-21T07:10:01Z"]);
    }

    fn without_pathz(path: &str) -> Answer {
        match path.split('?').next() {
            Some("/varz") => testing::varz().into(),
            Some("/connz") => testing::connz().into(),
            Some("/routez") => testing::routez().into(),
            _ => Answer::not_found(),
        }
    }

    #[tokio::test]
    async fn a_server_without_pathz_has_no_paths() {
        let server = FakeServer::start(without_pathz).await;
        let snapshot = Source::new(server.url.parse().unwrap()).read("cid").await.expect("readable");
        assert_eq!(snapshot.pathz, None);
    }

    #[tokio::test]
    async fn what_is_no_server_is_named() {
        let html = FakeServer::start(|_| Answer::text(200, "<html>")).await;
        let mut source = Source::new(html.url.parse().unwrap());
        let error = source.read("cid").await.expect_err("not JSON").to_string();
        assert!(error.starts_with(&format!("{}/varz answers what is no monitoring document", html.url)), "{error}");

        let forbidden = FakeServer::start(|_| Answer::text(403, "no")).await;
        let mut source = Source::new(forbidden.url.parse().unwrap());
        let error = source.read("cid").await.expect_err("refused").to_string();
        assert!(error.starts_with(&format!("{}/varz answers 403 Forbidden", forbidden.url)), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_went_away_is_connected_to_again() {
        let server = FakeServer::start(without_pathz).await;
        let url: MonitorUrl = server.url.parse().unwrap();
        let mut source = Source::new(url.clone());
        source.read("cid").await.expect("readable");
        drop(server);
        let error = source.read("cid").await.expect_err("gone").to_string();
        assert!(error.contains(&url.to_string()), "{error}");
    }
}
