//! Hubs that are reached through a proxy of HTTP, which is asked by `CONNECT` to lead there.

use std::io;
use std::time::Duration;

use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::dial::DialError;
use crate::config::options::HttpProxy;
use crate::tls::Connector;
use crate::transport::Peer;

/// Bytes that the answer of a proxy may have.
const MAX_ANSWER: usize = 16 * 1024;

/// A connection that leads to `target` (`host:port`) and has nothing to do with HTTP any more, within `limit`; at its other end is the proxy.
/// `tls` is for a proxy at `https://`.
pub(super) async fn lead_to(
    target: &str,
    proxy: &HttpProxy,
    tls: Option<&Connector>,
    limit: Duration,
) -> Result<(TcpStream, Peer), DialError> {
    let limit = proxy.timeout.unwrap_or(limit);
    let within = |_: Elapsed| DialError::TimedOut(limit);
    let mut stream = timeout(limit, TcpStream::connect((proxy.host.as_str(), proxy.port))).await.map_err(within)??;
    stream.set_nodelay(true)?;
    let peer = Peer::Tcp(stream.peer_addr()?);
    let Some(tls) = tls.filter(|_| proxy.https) else {
        timeout(limit, ask(&mut stream, target, proxy)).await.map_err(within)??;
        return Ok((stream, peer));
    };
    let mut stream = tls.open(stream, &proxy.host).await?;
    timeout(limit, ask(&mut stream, target, proxy)).await.map_err(within)??;
    Ok((unwrapped(stream).await?, peer))
}

/// Asks the proxy to lead to `target`. Nothing that comes after its answer is read.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), target: &str, proxy: &HttpProxy) -> io::Result<()> {
    let login = proxy.login.as_ref().map(|(user, password)| {
        let login = BASE64.encode(format!("{user}:{}", password.0).as_bytes());
        format!("Proxy-Authorization: Basic {login}\r\n")
    });
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{}\r\n", login.unwrap_or_default());
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_ANSWER {
            return Err(refused("its answer does not end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    let mut words = status.split(' ');
    match (words.next().is_some_and(|version| version.starts_with("HTTP/1.")), words.next()) {
        (true, Some("200")) => Ok(()),
        _ => Err(refused(&format!("it says {:?}", &status[..status.len().min(100)]))),
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, format!("the proxy does not lead to the hub: {why}"))
}

/// A socket with what comes out of `stream`, and from which goes into it what is written: leaf connections are sockets, or TLS on one.
async fn unwrapped(mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<TcpStream> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let ours = TcpStream::connect(listener.local_addr()?).await?;
    let mut theirs = loop {
        let (stream, from) = listener.accept().await?;
        // Others on this machine may find the port as well.
        if from == ours.local_addr()? {
            break stream;
        }
    };
    ours.set_nodelay(true)?;
    theirs.set_nodelay(true)?;
    tokio::spawn(async move {
        // Why it ends shows at the end of the connection.
        let _ = copy_bidirectional(&mut stream, &mut theirs).await;
    });
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use natsd_core::route::hello::Secret;

    use super::*;

    async fn asked(answer: &str, login: Option<(&str, &str)>) -> (io::Result<()>, String, Vec<u8>) {
        let login = login.map(|(user, password)| (user.to_owned(), Secret(password.to_owned())));
        let proxy = HttpProxy { https: false, host: "proxy".into(), port: 80, login, timeout: None, tls: None };
        let (mut ours, mut theirs) = tokio::io::duplex(MAX_ANSWER * 2);
        theirs.write_all(answer.as_bytes()).await.expect("there is room");
        let asked = ask(&mut ours, "hub.example:7422", &proxy).await;
        let mut rest = vec![0; answer.len()];
        drop(theirs.shutdown().await);
        let len = ours.read(&mut rest).await.expect("readable");
        rest.truncate(len);
        drop(ours);
        let mut request = String::new();
        theirs.read_to_string(&mut request).await.expect("text");
        (asked, request, rest)
    }

    #[tokio::test]
    async fn a_proxy_is_asked_and_what_the_hub_says_is_left() {
        let (result, request, rest) =
            asked("HTTP/1.1 200 Go\r\nVia: x\r\n\r\nINFO {}\r\n", Some(("me", "secret"))).await;
        result.expect("it leads there");
        let login = BASE64.encode(b"me:secret");
        let expected = format!(
            "CONNECT hub.example:7422 HTTP/1.1\r\nHost: hub.example:7422\r\nProxy-Authorization: Basic {login}\r\n\r\n"
        );
        assert_eq!((request, rest.as_slice()), (expected, &b"INFO {}\r\n"[..]));
        let (_, request, _) = asked("HTTP/1.0 200 Go\r\n\r\n", None).await;
        assert!(!request.contains("Authorization"));
    }

    #[tokio::test]
    async fn what_does_not_lead_there_says_why() {
        let endless = format!("HTTP/1.1 200 {}", "x".repeat(MAX_ANSWER));
        for (answer, why) in [
            ("HTTP/1.1 407 Who are you\r\n\r\n", "407 Who are you"),
            ("SSH-2.0\r\n\r\n", "SSH-2.0"),
            ("\r\n\r\n", "it says"),
            (endless.as_str(), "does not end"),
        ] {
            let error = asked(answer, None).await.0.expect_err("refused").to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
