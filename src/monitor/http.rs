//! Serves HTTP within bounds.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::tls::Acceptor;
use crate::transport::ByteStream;

/// Connections at a time. More wait in the listener's queue.
const CONNECTIONS: usize = 256;
/// For the head of a request, counted from the end of the answer before.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection that is older ends after the answer it is at.
const LIFETIME: Duration = Duration::from_secs(300);
/// For that last answer.
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// After an accept that failed, so that running out of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until dropped, over `tls` if there is one; all connections end with it.
pub(super) async fn serve(listener: TcpListener, router: Router, tls: Option<Acceptor>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let slot = slots.clone().acquire_owned().await.expect("nobody closes the semaphore");
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, router.clone(), tls.clone(), slot));
            }
            Err(error) => {
                log::warn!("monitoring cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, router: Router, tls: Option<Acceptor>, _slot: OwnedSemaphorePermit) {
    match tls {
        None => answer(stream, router).await,
        Some(tls) => match tls.accept_stream(stream).await {
            Ok(stream) => answer(stream, router).await,
            Err(error) => log::debug!("monitoring: TLS handshake error: {error}"),
        },
    }
}

async fn answer(stream: impl ByteStream + 'static, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // Errors are the client's: it went away, or does not speak HTTP.
    if tokio::time::timeout(LIFETIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(LAST_ANSWER, connection).await;
    }
}
