//! A SCION host for tests: asks the daemon for paths and talks SCION/UDP over a socket.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use natsd_lab::{addresses::AsAddresses, engine::Engine};
use scion_protobuf::{
    connectrpc::{
        Protocol,
        client::{ClientConfig, HttpClient},
    },
    proto::daemon::v1::{DaemonServiceClient, Path, PathsRequest},
};
use sciparse::{
    address::socket_addr::ScionSocketAddr,
    core::{encode::WireEncode, view::View},
    dataplane_path::{
        model::DpPath,
        standard::view::StandardPathView,
        view::{ScionDpPathViewExt, ScionDpPathViewRef},
    },
    identifier::isd_asn::IsdAsn,
    packet::{
        model::ScionUdpPacket,
        view::{ScionRawPacketView, ScionUdpPacketView},
    },
    payload::scmp::view::ScmpMessageView,
};
use tokio::{net::UdpSocket, time::timeout};

/// Longest wait for something that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn ia(text: &str) -> IsdAsn {
    text.parse().expect("an ISD-AS number")
}

pub(crate) type Daemon = DaemonServiceClient<HttpClient>;

/// A client of the daemon of an AS.
pub(crate) fn daemon(at: &AsAddresses) -> Daemon {
    let uri = format!("http://{}", at.daemon).parse().expect("a URI");
    let config = ClientConfig::new(uri).with_protocol(Protocol::Grpc);
    DaemonServiceClient::new(HttpClient::plaintext_http2_only(), config)
}

/// The paths that the daemon of `from` knows to `to`.
pub(crate) async fn paths(lab: &dyn Engine, from: &str, to: &str) -> Vec<Path> {
    let at = lab.addresses(ia(from)).expect("an AS of the lab");
    let request =
        PathsRequest { source_isd_as: ia(from).to_u64(), destination_isd_as: ia(to).to_u64(), ..Default::default() };
    let answer = timeout(DEADLINE, daemon(&at).paths(request)).await;
    answer.expect("an answer in time").expect("paths").into_owned().paths
}

/// A socket of an application at the host of an AS.
pub(crate) struct Host {
    address: ScionSocketAddr,
    router: SocketAddr,
    socket: UdpSocket,
}

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// SCION/UDP payload.
    Data(Vec<u8>),
    /// The link at this interface is down.
    InterfaceDown(IsdAsn, u64),
}

impl Host {
    pub(crate) async fn bind(lab: &dyn Engine, at: &str) -> Self {
        let addresses = lab.addresses(ia(at)).expect("an AS of the lab");
        let socket = UdpSocket::bind((addresses.host, 0)).await.expect("a free port");
        let port = socket.local_addr().expect("bound").port();
        Self { address: ScionSocketAddr::new(ia(at), addresses.host.into(), port), router: addresses.router, socket }
    }

    pub(crate) async fn send(&self, to: &Host, path: &Path, payload: &[u8]) {
        let (path, _) = StandardPathView::try_from_slice(&path.raw).expect("a dataplane path");
        let path = DpPath::from_view(&ScionDpPathViewRef::Standard(path));
        self.send_on(to.address, path, payload).await;
    }

    async fn send_on(&self, to: ScionSocketAddr, path: DpPath, payload: &[u8]) {
        let packet = ScionUdpPacket::new(self.address, to, path, payload.to_vec());
        let packet = packet.try_encode_to_vec().expect("a valid packet");
        self.socket.send_to(&packet, self.router).await.expect("a router to send to");
    }

    /// The next packet within `limit`.
    pub(crate) async fn receive(&self, limit: Duration) -> Option<Received> {
        let mut buffer = vec![0; 9000];
        let (length, _) = timeout(limit, self.socket.recv_from(&mut buffer)).await.ok()?.expect("a datagram");
        Some(decode(&buffer[..length]))
    }

    /// Answers the next packet over its reversed path.
    pub(crate) async fn answer_one(&self, payload: &[u8]) {
        let mut buffer = vec![0; 9000];
        let (length, _) =
            timeout(DEADLINE, self.socket.recv_from(&mut buffer)).await.expect("a packet in time").expect("a datagram");
        let (packet, _) = ScionUdpPacketView::try_from_slice(&buffer[..length]).expect("SCION/UDP");
        let path = DpPath::from_view(&packet.as_raw().header().path().as_ref());
        let path = path.try_into_reversed().expect("a path to turn around");
        let to = packet.src_socket_addr().expect("a source");
        self.send_on(to, path, payload).await;
    }

    /// Sends again and again until `self` receives `wanted`; fails after [`DEADLINE`]. Returns how long it took.
    pub(crate) async fn send_until(&self, to: &Host, path: &Path, wanted: &Received) -> Duration {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            self.send(to, path, b"hello").await;
            if self.receive(Duration::from_millis(20)).await.as_ref() == Some(wanted) {
                return start.elapsed();
            }
        }
        panic!("{wanted:?} did not come within {DEADLINE:?}");
    }
}

fn decode(packet: &[u8]) -> Received {
    let (packet, _) = ScionRawPacketView::try_from_slice(packet).expect("a SCION packet");
    if let Ok(udp) = packet.try_as_udp() {
        return Received::Data(udp.udp().payload().to_vec());
    }
    match packet.try_as_scmp().expect("UDP or SCMP").scmp().message() {
        ScmpMessageView::ExternalInterfaceDown(m) => Received::InterfaceDown(m.isd_asn(), m.interface_id()),
        other => panic!("unexpected {other:?}"),
    }
}

/// The path whose first link is at this interface and that has this many links.
pub(crate) fn choose(paths: &[Path], first_interface: u64, links: usize) -> &Path {
    paths
        .iter()
        .find(|p| p.interfaces.len() == 2 * links && p.interfaces[0].id == first_interface)
        .expect("such a path")
}
