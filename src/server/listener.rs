//! Where clients come in, and what they are told first.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use natsd_core::info::Info;
use tokio::net::TcpListener;

use super::admission::Admission;
use super::identity::{COMPATIBLE_VERSION, COMPILER, VERSION};
use super::websocket::Doorkeeper;
use crate::client::{Client, max_payload};
use crate::hub::Hub;
use crate::link::outbound::{Outbound, Sink};
use crate::link::task::{LinkTask, Source};
use crate::link::{Kind, Link};
use crate::tls::{ClientTls, Facts};
use crate::transport::{Connection, tcp};

/// A listener for clients.
pub(crate) struct Listener {
    /// As configured; `0.0.0.0` stays that.
    pub host: String,
    /// As bound.
    pub port: u16,
    /// Unless its clients are in the clear.
    pub tls: Option<Arc<ClientTls>>,
    /// What TLS does is done below, by QUIC.
    pub sealed: bool,
    /// Its clients come by a proxy.
    pub proxied: bool,
    /// Its clients speak WebSocket.
    pub websocket: Option<Doorkeeper>,
}

/// What clients are told when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Name of the cluster.
    pub cluster: String,
    /// Whether that was made up.
    pub cluster_dynamic: bool,
    /// Where the servers of the cluster take clients.
    pub connect_urls: Vec<String>,
    /// Where they take clients over WebSocket.
    pub ws_connect_urls: Vec<String>,
    /// Where the other servers of the cluster take leaf nodes.
    pub leafnode_urls: Vec<String>,
    /// The server sends its clients away.
    pub lame_duck: bool,
}

impl Listener {
    pub(crate) fn is_websocket(&self) -> bool {
        self.websocket.is_some()
    }

    /// What `link` is told; `after_connect` once it has said who it is.
    pub(crate) fn info(&self, hub: &Hub, link: &Link, after_connect: bool) -> Info {
        let news = hub.news.borrow();
        let terms = self.tls.as_ref().filter(|_| !self.sealed).map(|tls| tls.terms());
        let tls = terms.as_deref();
        let first = link.tls.get().is_some_and(|tls| tls.first);
        let websocket = self.is_websocket();
        let connect_urls = if websocket { &news.ws_connect_urls } else { &news.connect_urls };
        Info {
            server_id: hub.identity.id.clone(),
            server_name: hub.identity.name.clone(),
            xkey: hub.identity.xkey.clone(),
            version: COMPATIBLE_VERSION.into(),
            proto: 1,
            go: COMPILER.into(),
            host: self.host.clone(),
            port: self.port,
            headers: !hub.options().no_header_support,
            auth_required: hub.options().has_operators() || hub.options().access(websocket).is_required,
            tls_required: tls.is_some_and(|tls| !tls.allow_non_tls || first),
            tls_verify: tls.is_some_and(|tls| tls.verify && !websocket),
            tls_available: tls.is_some_and(|tls| tls.allow_non_tls || websocket),
            max_payload: max_payload(hub, link.account.load().as_ref().unwrap_or(hub.accounts.global())),
            client_id: link.id,
            client_ip: link.peer().host(),
            nonce: String::new(),
            cluster: news.cluster.clone(),
            cluster_dynamic: news.cluster_dynamic,
            connect_urls: connect_urls.clone(),
            ldm: news.lame_duck,
            connect_info: after_connect,
            remote_account: if after_connect { link.account_name() } else { String::new() },
            acc_is_sys: after_connect && link.account.load().as_ref().is_some_and(|account| hub.is_system(account)),
            natsd: VERSION.into(),
            scion_tunnel: false,
        }
    }

    /// Serves a client, whatever its stream is.
    pub(crate) fn serve(self: &Arc<Self>, hub: &Arc<Hub>, connection: Connection) {
        let Connection { stream, peer, .. } = connection;
        if self.tls.is_none() && !self.proxied {
            self.welcome(hub, Connection::new(stream, peer), None);
            return;
        }
        let limits = hub.outbound_limits(Kind::Client);
        let outbound = Outbound::new(Sink::Task);
        let link = Arc::new(Link::new(hub.next_id(), Kind::Client, peer, Some(self.clone()), outbound, limits));
        let surplus = !hub.register(&link);
        let client = Client::new(link.clone(), hub.clone(), self.clone(), false);
        let admission = Admission { hub: hub.clone(), link, client, surplus, limits };
        let listener = self.clone();
        tokio::spawn(async move { admission.run(stream, &listener).await });
    }

    /// Serves a client over QUIC, which has shown these certificates.
    #[cfg(feature = "scion")]
    pub(crate) fn serve_sealed(self: &Arc<Self>, hub: &Arc<Hub>, connection: Connection, facts: Facts) {
        self.welcome(hub, connection, Some(facts));
    }

    /// Serves a client that can be spoken to at once.
    fn welcome(self: &Arc<Self>, hub: &Arc<Hub>, Connection { stream, peer, .. }: Connection, facts: Option<Facts>) {
        let limits = hub.outbound_limits(Kind::Client);
        let (source, sink) = Source::split(stream);
        let link = Link::new(hub.next_id(), Kind::Client, peer, Some(self.clone()), Outbound::new(sink), limits);
        if let Some(facts) = facts {
            let _ = link.tls.set(Box::new(facts));
        }
        let link = Arc::new(link);
        let surplus = !hub.register(&link);
        let client = Client::new(link.clone(), hub.clone(), self.clone(), surplus);
        tokio::spawn(LinkTask::new(link, hub.clone(), client, source, limits));
    }
}

/// Accepts clients until it is aborted.
pub(crate) async fn accept(listener: Arc<Listener>, hub: Arc<Hub>, socket: TcpListener) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => match tcp::connection(stream) {
                Ok(connection) => listener.serve(&hub, connection),
                Err(error) => log::debug!("Client gone before it was served: {error}"),
            },
            Err(error) => {
                // Out of file descriptors, most likely: some will be free later.
                log::error!("Accepting clients failed, trying again: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Tells all clients that want to know, whenever there are news.
pub(crate) async fn tell_news(hub: Arc<Hub>) {
    let mut news = hub.news.subscribe();
    while news.changed().await.is_ok() {
        news.mark_unchanged();
        for link in hub.links() {
            if let Some(listener) = link.listener.as_ref().filter(|_| link.welcomed.load(Relaxed)) {
                let info = listener.info(&hub, &link, false);
                link.send_now(|out| info.write(out));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

    use super::*;
    use crate::config::options::{HandshakeFirst, Options, TlsOptions};
    use crate::server::identity::Identity;
    use crate::transport::{Peer, Stream};

    /// A stream that holds little, so that both directions have to wait for each other.
    #[tokio::test]
    async fn a_client_is_served_over_any_stream() {
        let options = Options::default();
        let identity = Identity::generate(&options);
        let hub = Arc::new(Hub::new(options, identity));
        let (ours, theirs) = tokio::io::duplex(1000);
        let peer = Peer::Tcp(([127, 0, 0, 1], 1).into());
        let listener = Arc::new(Listener {
            host: "127.0.0.1".into(),
            port: 4222,
            tls: None,
            sealed: false,
            proxied: false,
            websocket: None,
        });
        listener.serve(&hub, Connection::new(Stream::Other(Box::new(theirs)), peer));

        let (read, mut write) = tokio::io::split(ours);
        let mut read = BufReader::new(read);
        let mut info = String::new();
        read.read_line(&mut info).await.unwrap();
        assert!(info.starts_with("INFO {"), "{info}");

        let message = |verb: &str| format!("{verb} 100000\r\n{}\r\n", "x".repeat(100_000));
        let input = format!("CONNECT {{\"verbose\":false}}\r\nSUB foo 1\r\n{}", message("PUB foo"));
        let writing = tokio::spawn(async move {
            write.write_all(input.as_bytes()).await.unwrap();
            write
        });
        let mut output = vec![0; message("MSG foo 1").len()];
        read.read_exact(&mut output).await.unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), message("MSG foo 1"));

        let left = hub.left.notified();
        drop((read, writing.await.unwrap()));
        left.await;
        assert_eq!((hub.client_count(), hub.accounts.global().subscriptions()), (0, (0, 0)));
        assert_eq!(hub.closed()[0].reason.to_string(), "Client Closed");
    }

    #[tokio::test]
    async fn a_client_is_served_over_tls_on_any_stream() {
        let dir = tempfile::tempdir().expect("a directory");
        let (tls, config) = certified(dir.path());
        for tls in [TlsOptions { handshake_first: HandshakeFirst::Never, ..tls.clone() }, tls] {
            let options = Options::default();
            let hub = Arc::new(Hub::new(options.clone(), Identity::generate(&options)));
            let (mut ours, theirs) = tokio::io::duplex(1000);
            let peer = Peer::Tcp(([127, 0, 0, 1], 1).into());
            let first = tls.handshake_first != HandshakeFirst::Never;
            let tls = Some(Arc::new(ClientTls::new(&tls, true).expect("valid")));
            let listener = Arc::new(Listener {
                host: "127.0.0.1".into(),
                port: 4222,
                tls,
                sealed: false,
                proxied: false,
                websocket: None,
            });
            listener.serve(&hub, Connection::new(Stream::Other(Box::new(theirs)), peer));

            let mut info = [0; 5];
            if !first {
                ours.read_exact(&mut info).await.expect("INFO");
                while ours.read_u8().await.expect("the rest of INFO") != b'\n' {}
            }
            let connector = tokio_rustls::TlsConnector::from(config.clone());
            let mut ours = connector.connect("localhost".try_into().expect("a name"), ours).await.expect("believed");
            if first {
                ours.read_exact(&mut info).await.expect("INFO");
                while ours.read_u8().await.expect("the rest of INFO") != b'\n' {}
            }
            assert_eq!(&info, b"INFO ");
            let text = "x".repeat(100_000);
            let (mut read, mut write) = tokio::io::split(ours);
            let input = format!("CONNECT {{\"verbose\":false}}\r\nSUB foo 1\r\nPUB foo 100000\r\n{text}\r\n");
            let writing = tokio::spawn(async move {
                write.write_all(input.as_bytes()).await.expect("taken");
                write.flush().await.expect("taken");
                write
            });
            let expected = format!("MSG foo 1 100000\r\n{text}\r\n");
            let mut output = vec![0; expected.len()];
            read.read_exact(&mut output).await.expect("the message");
            assert_eq!(String::from_utf8(output).expect("text"), expected);
            let left = hub.left.notified();
            drop((read, writing.await.expect("written")));
            left.await;
            assert_eq!(hub.closed()[0].tls.as_ref().map(|tls| (tls.version, tls.first)), Some(("1.3", first)));
        }
    }

    /// A certificate below `dir`, and a client that believes it.
    fn certified(dir: &std::path::Path) -> (TlsOptions, Arc<rustls::ClientConfig>) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let (cert_file, key_file) = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&cert_file, made.cert.pem()).expect("cert.pem");
        std::fs::write(&key_file, made.signing_key.serialize_pem()).expect("key.pem");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a certificate");
        let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let handshake_first = HandshakeFirst::Within(std::time::Duration::from_secs(60));
        let (cert_file, key_file) = (Some(cert_file), Some(key_file));
        (TlsOptions { cert_file, key_file, handshake_first, ..TlsOptions::default() }, Arc::new(config))
    }
}
