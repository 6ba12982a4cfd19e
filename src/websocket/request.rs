//! The request of this server as a client of another one, and the answer to it.

use std::io;

use data_encoding::BASE64;
use natsd_core::websocket::upgrade::{LEAF_PATH, MAX_REQUEST, accepts};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Asks the server at `host` (`host:port`) to take us as a leaf node; says whether what we send is to be masked, which is so unless
/// `no_masking` is asked for and granted. Nothing that comes after the answer is read.
///
/// # Errors
///
/// When the server goes away, or does not grant it.
pub(crate) async fn ask_as_leafnode(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host: &str,
    no_masking: bool,
) -> io::Result<bool> {
    let key = BASE64.encode(&fastrand::u128(..).to_ne_bytes());
    let more = if no_masking { "Nats-No-Masking: true\r\n" } else { "" };
    let request = format!(
        "GET {LEAF_PATH} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_REQUEST {
            return Err(refused("the answer to the request for WebSocket does not end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let mut lines = answer.lines();
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("101") {
        return Err(refused(&format!("WebSocket is refused: {}", status.escape_debug())));
    }
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| {
        headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    };
    if header("Sec-WebSocket-Accept") != accepts(&key) {
        return Err(refused("what answers knows nothing of WebSocket"));
    }
    Ok(!(no_masking && header("Nats-No-Masking") == "true"))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use natsd_core::websocket::upgrade::Rules;

    use super::*;
    use crate::websocket::shake;

    #[tokio::test]
    async fn a_server_that_takes_leaf_nodes_grants_what_is_asked_for() {
        for (leafnodes, no_masking) in [(true, true), (true, false), (false, false)] {
            let (mut ours, mut theirs) = tokio::io::duplex(4096);
            let rules = Rules { leafnodes, ..Rules::default() };
            let answering =
                tokio::spawn(async move { shake(&mut theirs, &rules).await.map(|granted| (granted, theirs)) });
            match ask_as_leafnode(&mut ours, "hub:80", no_masking).await {
                Ok(masked) => {
                    let (granted, _) = answering.await.expect("it ends").expect("granted");
                    assert!(leafnodes && granted.leafnode);
                    assert_eq!((masked, granted.masked), (!no_masking, !no_masking));
                }
                Err(error) => {
                    assert!(!leafnodes, "{error}");
                    assert!(error.to_string().contains("404"), "{error}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_server_for_websocket_is_found_out() {
        for answer in ["HTTP/1.1 101 Yes\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "\r\n\r\n", ""] {
            let (mut ours, mut theirs) = tokio::io::duplex(4096);
            theirs.write_all(answer.as_bytes()).await.expect("taken");
            theirs.shutdown().await.expect("taken");
            assert!(ask_as_leafnode(&mut ours, "hub", false).await.is_err(), "{answer:?}");
        }
    }
}
