//! What a client of a listener with TLS or behind a proxy goes through before it is one like any other: `INFO`, the header of
//! the proxy and the handshake, in the order that the configuration gives.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use natsd_core::encode::write_error;
use natsd_core::error::{ClientError, CloseReason};
use tokio::time::timeout;

use super::listener::Listener;
use super::proxy::{self, ProxyFailure};
use crate::client::Client;
use crate::config::options::{DEFAULT_TIMEOUT, HandshakeFirst};
use crate::hub::Hub;
use crate::link::outbound::OutboundLimits;
use crate::link::task::{LinkTask, Source};
use crate::link::{Link, Origin};
use crate::tls::{Arrival, ClientTls, HandshakeError};
use crate::transport::Stream;

/// A client that has come, and is registered already.
pub(super) struct Admission {
    pub(super) hub: Arc<Hub>,
    pub(super) link: Arc<Link>,
    pub(super) client: Client,
    /// There are as many clients as there may be without it.
    pub(super) surplus: bool,
    pub(super) limits: OutboundLimits,
}

/// Why it is not let in.
enum Refusal {
    /// It is told, in the clear.
    Told(ClientError),
    Handshake(HandshakeError),
    /// The header of a proxy that is none.
    Proxy(ProxyFailure),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Handshake(error.into())
    }
}

impl Admission {
    /// Lets the client in, or ends its connection.
    pub(super) async fn run(self, stream: Stream, listener: &Listener) {
        let Self { hub, link, mut client, surplus, limits } = self;
        let mut greeting = Vec::new();
        client.greeting().write(&mut greeting);
        let (tls, proxied) = (listener.tls.as_deref(), listener.proxied);
        let mut entry = Entry { link: &link, tls, proxied, greeting, greeted: false, unread: Vec::new() };
        let entered = tokio::select! {
            entered = entry.enter(stream, surplus) => entered,
            // The server ends.
            () = closed(&link) => return,
        };
        match entered {
            Ok(stream) => {
                let Entry { greeted, unread, .. } = entry;
                client.was_admitted(greeted, Instant::now());
                let (source, sink) = Source::split(stream);
                link.outbound().attach(sink);
                tokio::spawn(LinkTask::new(link, hub, client, source, limits).with_unread(unread));
            }
            Err(Refusal::Told(error)) => link.close(error.closes().unwrap_or(CloseReason::ProtocolViolation)),
            Err(Refusal::Proxy(error)) => {
                log::warn!("Error reading PROXY protocol header from {}: {error}", link.peer());
                link.close(CloseReason::ProtocolViolation);
            }
            Err(Refusal::Handshake(error)) => {
                let level = if error.is_noise() { log::Level::Debug } else { log::Level::Error };
                log::log!(level, "{} - TLS handshake error: {error}", link.describe());
                link.close(CloseReason::TlsHandshake);
            }
        }
    }
}

async fn closed(link: &Link) {
    poll_fn(|cx| {
        let mut out = link.outbound();
        out.set_waker(cx.waker());
        if out.is_closing() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

struct Entry<'a> {
    link: &'a Link,
    tls: Option<&'a ClientTls>,
    proxied: bool,
    /// `INFO`.
    greeting: Vec<u8>,
    /// `INFO` has been sent.
    greeted: bool,
    /// What the client has said and nobody has heard.
    unread: Vec<u8>,
}

impl Entry<'_> {
    async fn enter(&mut self, stream: Stream, surplus: bool) -> Result<Stream, Refusal> {
        log::debug!("{} - Client connection created", self.link.describe());
        let mut arrival = Arrival::new(stream);
        let terms = self.tls.map(ClientTls::terms);
        let first = match terms.as_ref().map(|terms| terms.first) {
            None | Some(HandshakeFirst::Never) => false,
            Some(HandshakeFirst::Always) => true,
            Some(HandshakeFirst::Within(wait)) => timeout(wait, arrival.first_byte()).await.is_ok(),
        };
        if !first {
            self.write(&mut arrival, &self.greeting).await?;
            self.greeted = true;
        }
        if surplus {
            return self.refuse(arrival, ClientError::MaxConnections).await;
        }
        if let Some(socket) = arrival.socket().filter(|_| self.proxied) {
            let beginning = proxy::read(socket).await.map_err(Refusal::Proxy)?;
            self.unread = beginning.unread;
            if let Some(source) = beginning.source {
                let _ = self.link.origin.set(Box::new(Origin::Proxied(source)));
            }
        }
        let Some((tls, terms)) = self.tls.zip(terms) else { return Ok(arrival.into_plain()) };
        let may_begin = self.unread.is_empty();
        let timeout = tls.acceptor.timeout();
        if !first && terms.allow_non_tls && !(may_begin && arrival.begins_handshake(timeout).await?) {
            return Ok(arrival.into_plain());
        }
        if !may_begin {
            return Err(Refusal::Handshake(HandshakeError::NotTls));
        }
        if !terms.admits() {
            return self.refuse(arrival, ClientError::Throttled).await;
        }
        log::debug!("{} - Starting TLS client connection handshake", self.link.describe());
        let (stream, mut facts) = arrival.accept(&tls.acceptor).await.map_err(Refusal::Handshake)?;
        let who = self.link.describe();
        log::debug!("{who} - TLS handshake complete");
        log::debug!("{who} - TLS version {}, cipher suite {}", facts.version, facts.cipher);
        facts.first = first;
        let _ = self.link.tls.set(Box::new(facts));
        Ok(stream)
    }

    /// A peer that reads nothing is not waited for longer than for its handshake.
    async fn write(&self, arrival: &mut Arrival, bytes: &[u8]) -> Result<(), Refusal> {
        let limit = self.tls.map_or(DEFAULT_TIMEOUT, |tls| tls.acceptor.timeout());
        match timeout(limit, arrival.write(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Refusal::Handshake(HandshakeError::TimedOut(limit))),
        }
    }

    async fn refuse(&self, mut arrival: Arrival, error: ClientError) -> Result<Stream, Refusal> {
        log::error!("{} - {error}", self.link.describe());
        let mut line = Vec::new();
        write_error(&mut line, &error.to_string());
        self.write(&mut arrival, &line).await?;
        Err(Refusal::Told(error))
    }
}
