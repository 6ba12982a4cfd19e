//! The request of this server as a client of another one, and the answer to it.

use std::io;

use data_encoding::BASE64;
use natsd_core::websocket::upgrade::{LEAF_PATH, MAX_REQUEST, accepts};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the frames of a connection are like: asked for, or granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// What this server sends is masked.
    pub masked: bool,
    /// Messages are compressed, both ways.
    pub compressed: bool,
}

const DEFLATE: &str = "permessage-deflate";
/// Each message is compressed for itself.
const ALONE: [&str; 2] = ["server_no_context_takeover", "client_no_context_takeover"];

/// Asks the server at `host` (`host:port`) to take us as a leaf node, with frames like this; says what was granted: a server may insist on
/// masks, and not compress. Nothing that comes after the answer is read.
///
/// # Errors
///
/// When the server goes away, or does not grant it.
pub(crate) async fn ask_as_leafnode(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host: &str,
    wanted: Terms,
) -> io::Result<Terms> {
    let key = BASE64.encode(&fastrand::u128(..).to_ne_bytes());
    let mut more = String::new();
    if !wanted.masked {
        more.push_str("Nats-No-Masking: true\r\n");
    }
    if wanted.compressed {
        more.push_str(&format!("Sec-WebSocket-Extensions: {DEFLATE}; {}\r\n", ALONE.join("; ")));
    }
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
    let compressed = grants_compression(header("Sec-WebSocket-Extensions"))?;
    if compressed && !wanted.compressed {
        return Err(refused("it compresses unasked"));
    }
    Ok(Terms { masked: wanted.masked || header("Nats-No-Masking") != "true", compressed })
}

/// Whether messages are compressed, as the server says in this header.
fn grants_compression(extensions: &str) -> io::Result<bool> {
    let words: Vec<_> = extensions.split([';', ',']).map(str::trim).collect();
    let says = |wanted: &str| words.iter().any(|word| word.eq_ignore_ascii_case(wanted));
    match (says(DEFLATE), ALONE.iter().all(|alone| says(alone))) {
        (false, _) => Ok(false),
        (true, true) => Ok(true),
        (true, false) => Err(refused("it does not compress each message for itself")),
    }
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
        for (leafnodes, masked, compressed, compression) in [
            (true, false, true, true),
            (true, true, false, true),
            (true, true, true, false),
            (true, false, false, false),
            (false, true, true, true),
        ] {
            let (mut ours, mut theirs) = tokio::io::duplex(4096);
            let rules = Rules { leafnodes, compression, ..Rules::default() };
            let wanted = Terms { masked, compressed };
            let answering =
                tokio::spawn(async move { shake(&mut theirs, &rules).await.map(|granted| (granted, theirs)) });
            match ask_as_leafnode(&mut ours, "hub:80", wanted).await {
                Ok(terms) => {
                    let (granted, _) = answering.await.expect("it ends").expect("granted");
                    assert!(leafnodes && granted.leafnode);
                    assert_eq!(terms, Terms { masked, compressed: compressed && compression });
                    assert_eq!(terms, Terms { masked: granted.masked, compressed: granted.framing.compression });
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
            let wanted = Terms { masked: true, compressed: false };
            assert!(ask_as_leafnode(&mut ours, "hub", wanted).await.is_err(), "{answer:?}");
        }
    }

    #[test]
    fn compression_is_granted_as_asked_for_or_not_at_all() {
        let full = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert!(grants_compression(full).expect("granted"));
        assert!(!grants_compression("").expect("not granted"));
        assert!(grants_compression("permessage-deflate; server_no_context_takeover").is_err());
    }
}
