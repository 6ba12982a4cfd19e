//! Two ASes and two paths between them, each through a router of the test's own, which sees and keeps what passes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use natsd_path::{Interface, IsdAs, ScionAddr};
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::error::DaemonError;
use crate::header::{self, Header};
use crate::metadata::PathInfo;
use crate::source::{Boxed, LocalAs, PathSource};
use crate::template::Template;
use crate::{Host, HostConfig, probe};

/// The ASes of the dialer and of the listener.
pub(super) const ASES: [IsdAs; 2] = [IsdAs(0x0001_ff00_0000_0111), IsdAs(0x0001_ff00_0000_0112)];

/// Packets kept of each direction, and packets on their way.
const KEPT: usize = 4096;
const QUEUE: usize = 4096;
/// One way. Long enough that a machine which is busy with other tests is not taken for a dead path.
const DELAY: Duration = Duration::from_millis(60);

/// One path: what its router does with packets to each AS, and what came.
pub(super) struct Way {
    socket: UdpSocket,
    passes: [AtomicBool; 2],
    /// Bytes of QUIC and of probes to each AS, headers not counted, and how many packets of QUIC.
    quic: [AtomicU64; 2],
    packets: [AtomicU64; 2],
    probes: [AtomicU64; 2],
    kept: [Mutex<Vec<Vec<u8>>>; 2],
    /// Bytes for other ASes.
    elsewhere: AtomicU64,
}

/// Both paths.
pub(super) struct Wire {
    pub(super) ways: Vec<Arc<Way>>,
}

struct Atlas {
    here: IsdAs,
    paths: Vec<PathInfo>,
}

impl PathSource for Atlas {
    fn name(&self) -> String {
        "test:1".to_owned()
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        Box::pin(std::future::ready(Ok(LocalAs { isd_as: self.here, mtu: 1472, ports: None })))
    }

    fn paths(&self, _: IsdAs, _: IsdAs, _: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        Box::pin(std::future::ready(Ok(self.paths.clone())))
    }
}

impl Way {
    /// Which of [`ASES`] a packet goes to, and where there.
    fn aim(packet: &[u8]) -> Option<(usize, SocketAddr, usize)> {
        let header = Header::parse(packet)?;
        let to = ASES.iter().position(|isd_as| *isd_as == header.destination.0)?;
        let port = u16::from_be_bytes(*packet.get(header.len + 2..)?.first_chunk()?);
        Some((to, (header.destination.1, port).into(), header.len + 8))
    }

    /// Hands over what is due, in its order.
    async fn deliver(self: Arc<Self>, mut queue: mpsc::Receiver<(Instant, SocketAddr, Vec<u8>)>) {
        while let Some((due, to, packet)) = queue.recv().await {
            tokio::time::sleep_until(due.into()).await;
            self.send(&packet, to).await;
        }
    }

    async fn run(self: Arc<Self>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(Arc::clone(&self).deliver(waiting));
        let mut buffer = vec![0; 65_536];
        loop {
            // Of a port that is closed now.
            let Ok((len, _)) = self.socket.recv_from(&mut buffer).await else { continue };
            let packet = &buffer[..len];
            let Some((to, address, payload)) = Self::aim(packet) else {
                let headers = Header::parse(packet).map_or(0, |header| header.len + 8);
                self.elsewhere.fetch_add(len.saturating_sub(headers) as u64, Ordering::Relaxed);
                continue;
            };
            let bytes = (len - payload) as u64;
            if probe::is_quic(&packet[payload..]) {
                self.quic[to].fetch_add(bytes, Ordering::Relaxed);
                self.packets[to].fetch_add(1, Ordering::Relaxed);
                let mut kept = self.kept[to].lock();
                if kept.len() < KEPT {
                    kept.push(packet.to_vec());
                }
            } else {
                self.probes[to].fetch_add(1, Ordering::Relaxed);
            }
            if self.passes[to].load(Ordering::Relaxed) {
                // A full queue loses packets, as routers do.
                let _ = queue.try_send((Instant::now() + DELAY, address, packet.to_vec()));
            }
        }
    }

    /// As from the router.
    pub(super) async fn send(&self, packet: &[u8], to: SocketAddr) {
        // A full buffer loses packets, as routers do.
        let _ = self.socket.send_to(packet, to).await;
    }

    pub(super) fn pass(&self, to: usize, passes: bool) {
        self.passes[to].store(passes, Ordering::Relaxed);
    }

    /// Bytes of QUIC that came for an AS.
    pub(super) fn quic(&self, to: usize) -> u64 {
        self.quic[to].load(Ordering::Relaxed)
    }

    /// Packets of QUIC that came for an AS.
    pub(super) fn packets(&self, to: usize) -> u64 {
        self.packets[to].load(Ordering::Relaxed)
    }

    /// Bytes that came for other ASes.
    pub(super) fn elsewhere(&self) -> u64 {
        self.elsewhere.load(Ordering::Relaxed)
    }

    /// Probes and their answers that came for an AS.
    pub(super) fn probes(&self, to: usize) -> u64 {
        self.probes[to].load(Ordering::Relaxed)
    }

    /// The packets of QUIC that came for an AS, the first of them; they are forgotten.
    pub(super) fn take(&self, to: usize) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.kept[to].lock())
    }
}

impl Wire {
    pub(super) async fn start() -> Self {
        let mut ways = Vec::new();
        for _ in 0..2 {
            let way = Arc::new(Way {
                socket: UdpSocket::bind("127.0.0.1:0").await.expect("a port"),
                passes: [true.into(), true.into()],
                quic: Default::default(),
                packets: Default::default(),
                probes: Default::default(),
                kept: Default::default(),
                elsewhere: AtomicU64::new(0),
            });
            tokio::spawn(Arc::clone(&way).run());
            ways.push(way);
        }
        Self { ways }
    }

    /// A host in one of [`ASES`] that is told of these paths to the other.
    pub(super) fn host(&self, at: usize, ways: &[usize]) -> Host {
        let paths = ways.iter().map(|way| self.path(at, *way)).collect();
        let local = Some([127, 0, 0, 1].into());
        Host::with_source(Arc::new(Atlas { here: ASES[at], paths }), HostConfig { local, ..HostConfig::default() })
    }

    /// A path from one AS to the other. The first one is quicker by what is announced.
    pub(super) fn path(&self, from: usize, way: usize) -> PathInfo {
        let id = way as u16 + 3;
        let latency = Some(DELAY * (1 + way as u32));
        PathInfo {
            way: None,
            interfaces: vec![Interface { isd_as: ASES[from], id }, Interface { isd_as: ASES[1 - from], id }],
            mtu: 1472,
            expiry: SystemTime::now().checked_add(Duration::from_secs(3600)),
            latency,
            latencies: vec![latency],
            bandwidth: None,
            next_hop: self.ways[way].socket.local_addr().ok(),
            raw: raw(from, id),
        }
    }

    /// A packet as it comes over a way, with any payload and from anybody.
    pub(super) fn packet(&self, way: usize, from: ScionAddr, to: ScionAddr, payload: &[u8]) -> Vec<u8> {
        let towards = usize::from(to.isd_as == ASES[1]);
        let path = self.path(1 - towards, way);
        let template = Template::new(from, to, &path.raw, path.next_hop.expect("a router"), None).expect("it fits");
        let mut packet = Vec::new();
        template.append(payload, &mut packet);
        packet
    }
}

/// A path over one peering link whose ends have this number.
fn raw(from: usize, id: u16) -> Vec<u8> {
    const HOP_FIELDS: [usize; 2] = [20, 32];
    let captured = header::tests::captured();
    let mut path = Header::parse(&captured).expect("a header").path.to_vec();
    for at in HOP_FIELDS {
        path[at + 2..at + 4].copy_from_slice(&id.to_be_bytes());
    }
    if from == 0 { path } else { header::reverse(&path).expect("reversible") }
}

/// What a packet carries behind its headers.
pub(super) fn payload(packet: &[u8]) -> &[u8] {
    let (_, _, at) = Way::aim(packet).expect("one of ours");
    &packet[at..]
}
