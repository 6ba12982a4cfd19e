//! Where clients come in, and what they are told first.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use natsd_core::info::Info;
use tokio::net::TcpListener;

use super::identity::{COMPATIBLE_VERSION, COMPILER, VERSION};
use crate::client::Client;
use crate::hub::{GLOBAL_ACCOUNT, Hub};
use crate::link::outbound::Outbound;
use crate::link::task::{LinkTask, Source};
use crate::link::{Kind, Link};
use crate::transport::{Connection, Stream, tcp};

/// A listener for clients.
pub(crate) struct Listener {
    /// As configured; `0.0.0.0` stays that.
    pub host: String,
    /// As bound.
    pub port: u16,
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
    /// The server sends its clients away.
    pub lame_duck: bool,
}

impl Listener {
    /// What `link` is told; `after_connect` once it has said who it is.
    pub(crate) fn info(&self, hub: &Hub, link: &Link, after_connect: bool) -> Info {
        let news = hub.news.borrow();
        Info {
            server_id: hub.identity.id.clone(),
            server_name: hub.identity.name.clone(),
            version: COMPATIBLE_VERSION.into(),
            proto: 1,
            go: COMPILER.into(),
            host: self.host.clone(),
            port: self.port,
            headers: !hub.options().no_header_support,
            auth_required: hub.options().authorization.is_required(),
            max_payload: hub.options().max_payload,
            client_id: link.id,
            client_ip: link.peer.host(),
            nonce: String::new(),
            cluster: news.cluster.clone(),
            cluster_dynamic: news.cluster_dynamic,
            connect_urls: news.connect_urls.clone(),
            ldm: news.lame_duck,
            connect_info: after_connect,
            remote_account: if after_connect { String::from_utf8_lossy(GLOBAL_ACCOUNT).into() } else { String::new() },
            natsd: VERSION.into(),
            scion_tunnel: false,
        }
    }

    /// Serves a client, whatever its stream is.
    pub(crate) fn serve(self: &Arc<Self>, hub: &Arc<Hub>, connection: Connection) {
        let Connection { stream, peer } = connection;
        let (source, socket) = match stream {
            Stream::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (Source::Tcp(read), Some(write))
            }
            Stream::Other(stream) => (Source::Other(stream), None),
        };
        let limits = hub.outbound_limits();
        let link =
            Arc::new(Link::new(hub.next_id(), Kind::Client, peer, Some(self.clone()), Outbound::new(socket), limits));
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
    use crate::config::options::Options;
    use crate::server::identity::Identity;
    use crate::transport::Peer;

    /// A stream that holds little, so that both directions have to wait for each other.
    #[tokio::test]
    async fn a_client_is_served_over_any_stream() {
        let options = Options::default();
        let identity = Identity::generate(&options);
        let hub = Arc::new(Hub::new(options, identity));
        let (ours, theirs) = tokio::io::duplex(1000);
        let peer = Peer::Tcp(([127, 0, 0, 1], 1).into());
        let listener = Arc::new(Listener { host: "127.0.0.1".into(), port: 4222 });
        listener.serve(&hub, Connection { stream: Stream::Other(Box::new(theirs)), peer });

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
        assert_eq!((hub.client_count(), hub.global_account().subscriptions()), (0, (0, 0)));
        assert_eq!(hub.closed()[0].reason.to_string(), "Client Closed");
    }
}
