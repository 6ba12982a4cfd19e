//! The request of a client, and the answer to it.

use std::io;
use std::time::Duration;

use natsd_core::websocket::upgrade::{MAX_REQUEST, Refusal, Rules, Upgrade, upgrade};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Bytes read at a time.
const CHUNK: usize = 2048;
/// How long a client that is refused may take to hang up.
const LINGER: Duration = Duration::from_secs(1);

/// Why a connection was not upgraded.
#[derive(Debug, Error)]
pub(crate) enum UpgradeError {
    /// The client has been told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It went away, or did not read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a request and answers it.
///
/// # Errors
///
/// When it is not granted, or the client goes away.
pub(crate) async fn shake(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    rules: &Rules,
) -> Result<Upgrade, UpgradeError> {
    match read_request(stream, rules).await {
        Ok(upgrade) => {
            stream.write_all(&upgrade.response).await?;
            stream.flush().await?;
            Ok(upgrade)
        }
        Err(UpgradeError::Refused(refusal)) => {
            stream.write_all(&refusal.response()).await?;
            stream.shutdown().await?;
            // Closing with unread bytes would reset the connection, and take back what we have said.
            let _ = timeout(LINGER, drain(stream)).await;
            Err(refusal.into())
        }
        Err(error) => Err(error),
    }
}

/// Reads to the end, or as much as a request may be.
async fn drain(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut rest = [0; CHUNK];
    let mut left = MAX_REQUEST;
    while left > 0 {
        match stream.read(&mut rest).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin), rules: &Rules) -> Result<Upgrade, UpgradeError> {
    let mut request = Vec::with_capacity(CHUNK);
    loop {
        let before = request.len();
        request.reserve(CHUNK);
        if stream.read_buf(&mut request).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // A request ends with a line; to look at it for every byte that trickles in would be dear.
        let may_end = request[before..].contains(&b'\n') || request.len() >= MAX_REQUEST;
        if may_end && let Some(upgrade) = upgrade(&request, rules)? {
            return Ok(upgrade);
        }
    }
}
