//! A proxy of HTTP that leads to where it is asked to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::tls::Authority;

/// Ends when it is dropped.
pub struct HttpProxy {
    pub port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl HttpProxy {
    /// In the clear, or over TLS with the server's certificate of an authority. With `login` only for who shows that, in base64.
    pub fn start(authority: Option<&Authority>, login: Option<&str>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (heads, login) = (Arc::new(Mutex::new(Vec::new())), login.map(str::to_owned));
        let (seen, tls) = (heads.clone(), authority.map(acceptor));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, login, tls) = (seen.clone(), login.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => lead(stream, &seen, login.as_deref()).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => lead(stream, &seen, login.as_deref()).await,
                            // Who does not believe us shows that in its own log.
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { port, heads, _runtime: runtime }
    }

    /// What it was asked.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("nobody panics with it").clone()
    }
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(authority.file("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(authority.file("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.expect("they go together")))
}

/// Serves one connection to its end; `None` once that has come.
async fn lead(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heads: &Mutex<Vec<String>>,
    login: Option<&str>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("HTTP is text");
    heads.lock().expect("nobody panics with it").push(head.clone());
    if login.is_some_and(|login| !head.contains(&format!("Proxy-Authorization: Basic {login}\r\n"))) {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.ok();
    }
    let target: SocketAddr = head.strip_prefix("CONNECT ")?.split(' ').next()?.parse().ok()?;
    let mut hub = TcpStream::connect(target).await.ok()?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    copy_bidirectional(&mut stream, &mut hub).await.ok().map(|_| ())
}
