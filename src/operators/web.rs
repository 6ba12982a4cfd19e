//! A web server that has the tokens of accounts.

use arc_swap::ArcSwapOption;
use data_encoding::BASE64;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use natsd_auth::jwt::MAX_SIZE;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::options::FETCH_TIMEOUT;

pub(super) struct Web {
    /// What the key of an account comes after.
    pub(super) url: String,
    /// For `https`.
    pub(super) tls: ArcSwapOption<ClientConfig>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    #[error("could not fetch <{url:?}>: {problem}")]
    Fetch { url: String, problem: String },
}

impl Web {
    /// What the web server has under its URL and `key`, within [`FETCH_TIMEOUT`] and [`MAX_SIZE`].
    pub(super) async fn get(&self, key: &str) -> Result<String, WebError> {
        let url = format!("{}{key}", self.url);
        let answer = match timeout(FETCH_TIMEOUT, self.ask(&url)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {FETCH_TIMEOUT:?}")),
        };
        answer.map_err(|problem| WebError::Fetch { url: without_login(&url), problem })
    }

    async fn ask(&self, url: &str) -> Result<String, String> {
        let uri: Uri = url.parse().map_err(shown)?;
        let host = uri.host().ok_or("it names no host")?.trim_matches(['[', ']']).to_owned();
        let tls = self.tls.load_full();
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(shown)?;
        let Some(tls) = tls else { return exchange(stream, &uri).await };
        let name = ServerName::try_from(host).map_err(shown)?;
        exchange(TlsConnector::from(tls).connect(name, stream).await.map_err(shown)?, &uri).await
    }
}

fn shown(problem: impl std::error::Error) -> String {
    // The first of hyper's errors says least.
    match problem.source() {
        Some(cause) => format!("{problem}: {cause}"),
        None => problem.to_string(),
    }
}

async fn exchange<S>(stream: S, uri: &Uri) -> Result<String, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(shown)?;
    // Ends with this function.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request(uri)?).await.map_err(shown)?;
    if answer.status() != StatusCode::OK {
        return Err(answer.status().to_string());
    }
    let body = Limited::new(answer.into_body(), MAX_SIZE).collect().await.map_err(|problem| problem.to_string())?;
    String::from_utf8(body.to_bytes().into()).map_err(shown)
}

fn request(uri: &Uri) -> Result<Request<Empty<&'static [u8]>>, String> {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path).header(HOST, host);
    if !login.is_empty() {
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(login.as_bytes()))).map_err(shown)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Empty::new()).map_err(shown)
}

fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_sent_and_not_told() {
        let url = "http://me:secret@h:9090/jwt/v1/accounts/A?x=1";
        assert_eq!(without_login(url), "http://h:9090/jwt/v1/accounts/A?x=1");
        let request = request(&url.parse().unwrap()).unwrap();
        assert_eq!(request.uri(), "/jwt/v1/accounts/A?x=1");
        assert_eq!(request.headers()[HOST], "h:9090");
        assert_eq!(request.headers()[AUTHORIZATION], format!("Basic {}", BASE64.encode(b"me:secret")));
        assert_eq!(without_login("http://h/x@y"), "http://h/x@y");
    }
}
