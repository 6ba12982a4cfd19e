//! From a connection to one over TLS.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use natsd_api::TlsPeerCert;
use natsd_auth::CertificateNames;
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CommonState, Connection, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::certificate::{self, key_digest};
use super::error::HandshakeError;
use super::{Acceptor, Connector, RouteTls, load};
use crate::transport::{ByteStream, Stream};

/// How a record of a handshake begins.
const HANDSHAKE_RECORD: u8 = 0x16;

/// What came of a handshake.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `1.3`.
    pub version: &'static str,
    /// Name of the cipher suite.
    pub cipher: String,
    /// The handshake came before `INFO`.
    pub first: bool,
    /// Who the certificate of the client says that it is, where that decides.
    pub names: Option<Arc<CertificateNames>>,
    /// The certificates that the peer showed, its own first.
    pub certificates: Arc<[TlsPeerCert]>,
    /// The same in DER, until the peer is let in.
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

impl Facts {
    fn of(session: &CommonState, maps: bool) -> Self {
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        };
        let suite = session.negotiated_cipher_suite();
        let certificates = session.peer_certificates().unwrap_or_default();
        let cipher = suite.map(|suite| load::suite_name(suite.suite())).unwrap_or_default();
        Self { version, cipher, ..Self::of_certificates(certificates, maps) }
    }

    /// Of the peer that was dialled at the other end of `stream`. `None` if it is no stream over TLS.
    pub(crate) fn of_dialled(stream: &Stream) -> Option<Self> {
        let Stream::Tls(_, session) = stream else { return None };
        let facts = Self::of(session, false);
        facts.forget_shown();
        Some(facts)
    }

    /// Of a peer over QUIC, which does not tell the cipher suite.
    pub(crate) fn of_certificates(certificates: &[CertificateDer<'static>], maps: bool) -> Self {
        let names = certificates.first().filter(|_| maps).and_then(certificate::names).map(Arc::new);
        Self {
            version: "1.3",
            cipher: String::new(),
            first: false,
            names,
            certificates: certificates.iter().map(certificate::describe).collect(),
            shown: Arc::new(Mutex::new(certificates.iter().map(|shown| shown.clone().into_owned()).collect())),
        }
    }

    /// The certificates in DER, as long as it is open who the peer is.
    pub(crate) fn shown(&self) -> Vec<CertificateDer<'static>> {
        self.shown.lock().clone()
    }

    /// It is known now who the peer is.
    pub(crate) fn forget_shown(&self) {
        *self.shown.lock() = Vec::new();
    }
}

/// An accepted connection, of which it is not known yet whether it will be one over TLS.
pub(crate) struct Arrival {
    stream: Stream,
    /// The first byte, of a stream that gives each byte once.
    ahead: Option<u8>,
}

impl Arrival {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, ahead: None }
    }

    /// Waits until the peer says something. `None` if it hangs up instead.
    pub(crate) async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let read = match &mut self.stream {
            Stream::Other(_) if self.ahead.is_some() => return Ok(self.ahead),
            Stream::Other(stream) => {
                let read = stream.read(&mut byte).await?;
                self.ahead = (read > 0).then_some(byte[0]);
                read
            }
            Stream::Tcp(stream) => stream.peek(&mut byte).await?,
            Stream::Tls(..) => 0,
        };
        Ok((read > 0).then_some(byte[0]))
    }

    /// Whether the peer begins with a handshake within this time.
    pub(crate) async fn begins_handshake(&mut self, within: Duration) -> io::Result<bool> {
        match timeout(within, self.first_byte()).await {
            Ok(byte) => Ok(byte? == Some(HANDSHAKE_RECORD)),
            Err(_) => Ok(false),
        }
    }

    /// Says something before the handshake.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes).await,
            Stream::Other(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Stream::Tls(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The connection as it is, without TLS.
    pub(crate) fn into_plain(self) -> Stream {
        match self.stream {
            Stream::Other(stream) => Stream::Other(Box::new(Ahead { byte: self.ahead, stream })),
            stream => stream,
        }
    }

    /// The socket, if it is one.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Tcp(stream) => Some(stream),
            _ => None,
        }
    }

    fn turn_away(&self) -> HandshakeError {
        if let Stream::Tcp(stream) = &self.stream {
            // Closing with unread bytes would reset the connection, and take back what we have said.
            let _ = stream.try_read(&mut [0; 4096]);
        }
        HandshakeError::NotTls
    }

    /// Takes the handshake.
    ///
    /// # Errors
    ///
    /// When there is none in time, or the peer and we do not agree.
    pub(crate) async fn accept(mut self, tls: &Acceptor) -> Result<(Stream, Facts), HandshakeError> {
        let tls = tls.settings();
        let shaking = async {
            match self.first_byte().await? {
                Some(HANDSHAKE_RECORD) => {}
                Some(_) => return Err(self.turn_away()),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            }
            let acceptor = TlsAcceptor::from(tls.config.clone());
            match self.into_plain() {
                Stream::Tcp(stream) => {
                    let stream = pinned(acceptor.accept(stream).await?.into(), &tls.pinned).await?;
                    Ok(unwrap(stream, tls.maps))
                }
                Stream::Other(stream) => {
                    let stream = pinned(acceptor.accept(stream).await?.into(), &tls.pinned).await?;
                    let facts = Facts::of(stream.get_ref().1, tls.maps);
                    Ok((Stream::Other(Box::new(stream)), facts))
                }
                Stream::Tls(..) => Err(HandshakeError::NotTls),
            }
        };
        within(tls.timeout, shaking).await
    }
}

impl Acceptor {
    /// As [`Arrival::accept`], for those who read and write by themselves.
    pub(crate) async fn accept_stream(&self, stream: TcpStream) -> Result<impl ByteStream + use<>, HandshakeError> {
        let tls = self.settings();
        let acceptor = TlsAcceptor::from(tls.config.clone());
        within(tls.timeout, async { Ok(acceptor.accept(stream).await?) }).await
    }
}

/// A connection over TLS on which something is to be said before it is one of a client; whether its certificate says who that
/// is.
pub(crate) struct OpenTls(TlsStream<TcpStream>, bool);

impl OpenTls {
    /// The stream on which whoever has something to send seals it himself.
    pub(crate) fn into_parts(self) -> (Stream, Facts) {
        unwrap(self.0, self.1)
    }
}

impl Acceptor {
    /// Takes the handshake with which a connection begins.
    ///
    /// # Errors
    ///
    /// As [`Arrival::accept`].
    pub(crate) async fn open(&self, stream: TcpStream) -> Result<OpenTls, HandshakeError> {
        let tls = self.settings();
        let acceptor = TlsAcceptor::from(tls.config.clone());
        let shaking = async { pinned(acceptor.accept(stream).await?.into(), &tls.pinned).await };
        within(tls.timeout, shaking).await.map(|stream| OpenTls(stream, tls.maps))
    }
}

impl AsyncRead for OpenTls {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for OpenTls {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl RouteTls {
    /// Begins TLS with a peer that should be called `name`.
    ///
    /// # Errors
    ///
    /// When the peer does not answer in time, or it and we do not agree.
    pub(crate) async fn connect(&self, stream: TcpStream, name: &str) -> Result<Stream, HandshakeError> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(self.connector.load_full());
        let tls = self.acceptor.settings();
        let shaking = async {
            let stream = pinned(connector.connect(name, stream).await?.into(), &tls.pinned).await?;
            Ok(unwrap(stream, false).0)
        };
        within(tls.timeout, shaking).await
    }
}

impl Connector {
    /// Begins TLS with a server that should be called `name`.
    ///
    /// # Errors
    ///
    /// As [`RouteTls::connect`].
    pub(crate) async fn connect(&self, stream: TcpStream, name: &str) -> Result<Stream, HandshakeError> {
        self.open(stream, name).await.map(|stream| stream.into_parts().0)
    }

    /// The same of a connection on which something is to be said first.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub(crate) async fn open(&self, stream: TcpStream, name: &str) -> Result<OpenTls, HandshakeError> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(self.config.clone());
        let shaking = async { pinned(connector.connect(name, stream).await?.into(), &self.pinned).await };
        within(self.timeout, shaking).await.map(|stream| OpenTls(stream, false))
    }
}

async fn within<T>(
    limit: Duration,
    shaking: impl Future<Output = Result<T, HandshakeError>>,
) -> Result<T, HandshakeError> {
    timeout(limit, shaking).await.unwrap_or(Err(HandshakeError::TimedOut(limit)))
}

/// `stream` if its peer has one of the keys `pinned`, or if there are none.
async fn pinned<S: ByteStream>(mut stream: TlsStream<S>, pinned: &[[u8; 32]]) -> Result<TlsStream<S>, HandshakeError> {
    let key = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(key_digest);
    if pinned.is_empty() || key.is_some_and(|key| pinned.contains(&key)) {
        return Ok(stream);
    }
    // It is over either way.
    let _ = stream.shutdown().await;
    Err(HandshakeError::NotPinned)
}

/// A stream on which whoever has something to send seals it himself.
fn unwrap(stream: TlsStream<TcpStream>, maps: bool) -> (Stream, Facts) {
    let (stream, session) = match stream {
        TlsStream::Server(stream) => {
            let (stream, session) = stream.into_inner();
            (stream, Connection::Server(session))
        }
        TlsStream::Client(stream) => {
            let (stream, session) = stream.into_inner();
            (stream, Connection::Client(session))
        }
    };
    let facts = Facts::of(&session, maps);
    (Stream::Tls(stream, Box::new(session)), facts)
}

/// A stream whose first byte was read already.
struct Ahead {
    byte: Option<u8>,
    stream: Box<dyn ByteStream>,
}

impl AsyncRead for Ahead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(byte) = self.byte.take()
        {
            buf.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
