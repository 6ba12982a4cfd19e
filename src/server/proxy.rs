//! What a proxy says before the client whose connection it passes on.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use natsd_core::proxy::{self, MAX_NEEDED, ProxyError, Read};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long it may take until something comes, and then until the header is there.
const WAIT: Duration = Duration::from_secs(5);
/// Bytes that are skipped at a time.
const SKIP: usize = 1024;

/// Why a connection is given up.
#[derive(Debug, Error)]
pub(super) enum ProxyFailure {
    /// What came makes no sense.
    #[error(transparent)]
    Header(#[from] ProxyError),
    /// It took too long.
    #[error("timeout reading PROXY protocol header")]
    TimedOut,
    /// It broke, or ended.
    #[error("failed to read PROXY protocol header: {0}")]
    Io(#[from] io::Error),
}

/// What was found at the beginning of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Beginning {
    /// Where the client is, if a proxy says so.
    pub(super) source: Option<SocketAddr>,
    /// There is no header: this was read of what the client says.
    pub(super) unread: Vec<u8>,
}

/// Reads the header, and no byte after it.
///
/// # Errors
///
/// When there is one that makes no sense, or nothing at all in time.
pub(super) async fn read(stream: &TcpStream) -> Result<Beginning, ProxyFailure> {
    // A client that says nothing has all of the second wait to begin.
    let _ = timeout(WAIT, stream.readable()).await;
    timeout(WAIT, read_header(stream)).await.unwrap_or(Err(ProxyFailure::TimedOut))
}

async fn read_header(stream: &TcpStream) -> Result<Beginning, ProxyFailure> {
    let mut bytes = [0; MAX_NEEDED];
    let mut taken = 0;
    loop {
        let seen = taken + stream.peek(&mut bytes[taken..]).await?;
        if seen == taken {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match proxy::read(&bytes[..seen])? {
            Read::Absent => return Ok(Beginning { source: None, unread: bytes[..taken].to_vec() }),
            Read::Header(header) => {
                skip(stream, header.len - taken).await?;
                return Ok(Beginning { source: header.source, unread: Vec::new() });
            }
            // Looking again without taking them would show the same bytes at once, again and again.
            Read::Partial => {
                skip(stream, seen - taken).await?;
                taken = seen;
            }
        }
    }
}

/// Reads so many bytes and forgets them.
async fn skip(stream: &TcpStream, mut count: usize) -> io::Result<()> {
    let mut bytes = [0; SKIP];
    while count > 0 {
        stream.readable().await?;
        match stream.try_read(&mut bytes[..count.min(SKIP)]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => count -= read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        (ours.expect("connected"), theirs.expect("accepted").0)
    }

    /// The header comes byte by byte, each once the one before was taken or looked at.
    #[tokio::test]
    async fn a_header_may_come_in_pieces() {
        for (text, source, unread) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 7 8\r\n", Some("192.0.2.1:7"), ""),
            ("PROXY UNKNOWN\r\n", None, ""),
            ("PRE", None, "PR"),
        ] {
            let (mut ours, mut theirs) = pair().await;
            let writing = async {
                for byte in text.as_bytes() {
                    ours.write_all(&[*byte]).await.expect("taken");
                    tokio::task::yield_now().await;
                }
                ours.write_all(b"PING").await.expect("taken");
            };
            let (beginning, ()) = tokio::join!(read(&theirs), writing);
            let beginning = beginning.expect("no error");
            assert_eq!(beginning.source, source.map(|source| source.parse().expect("an address")));
            let mut rest = beginning.unread;
            assert!(rest.len() <= unread.len());
            let mut byte = [0];
            while !rest.ends_with(b"PING") {
                theirs.read_exact(&mut byte).await.expect("the rest");
                rest.extend(byte);
            }
            let expected = if unread.is_empty() { "PING".to_owned() } else { format!("{text}PING") };
            assert_eq!(String::from_utf8(rest).expect("text"), expected);
        }
    }

    #[tokio::test]
    async fn who_hangs_up_is_given_up() {
        let (mut ours, theirs) = pair().await;
        ours.write_all(b"PROXY TCP4").await.expect("taken");
        drop(ours);
        assert!(matches!(read(&theirs).await, Err(ProxyFailure::Io(_))));
    }
}
