//! SCION as a UDP socket for QUIC: puts headers before datagrams, takes them off, keeps what is not QUIC to itself.

mod besides;
mod ways;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use natsd_path::{IsdAs, PathId, ScionAddr};
use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::sync::watch;

use crate::cache::{Cache, Known};
use crate::header::{self, Header};
use crate::heard::Heard;
use crate::metadata::PathInfo;
use crate::peers::{Allowance, Peer, Peers, Route};
use crate::probe;
use crate::source::LocalAs;
use crate::template::Template;
use crate::underlay::{Underlay, source_towards};
use crate::ways::Way;
use crate::writable::Writable;
use ways::may_be_plain;

/// Buffers filled by one system call, and their size: a whole batch of receive offload.
const BUFFERS: usize = 8;
const BUFFER: usize = 65_536;

/// System calls before other tasks have their turn although nothing for QUIC has come.
const ROUNDS: usize = 16;

/// Datagrams from TCP that wait for QUIC.
const INJECTED: usize = 1024;

/// Datagrams of up to this size hold only an acknowledgement, unless the application has just written something.
/// QUIC does not tell; acknowledgements without data are 25 to 50 bytes.
pub(crate) const ACK_ONLY: usize = 64;

/// Answers to probes of strangers, and their QUIC datagrams that open no connection (a peer whose address changed).
const STRANGERS_PER_SECOND: u32 = 200;

/// SCMP messages that are read at all.
const SCMP_PER_SECOND: u32 = 500;

thread_local! {
    /// Outgoing datagrams with their headers; 10 segments of 1.5 kB at most.
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The socket of one endpoint.
#[derive(Debug)]
pub(crate) struct Socket {
    me: Weak<Socket>,
    pub(crate) underlay: Underlay,
    pub(crate) peers: Peers,
    /// Whether strangers may open connections.
    listens: bool,
    local_as: watch::Receiver<Option<LocalAs>>,
    strict: Arc<AtomicBool>,
    /// Without SCION: the addresses at which packets are taken, all if there are none.
    plain: Option<Box<[IpAddr]>>,
    probes_of_strangers: Allowance,
    strays: Allowance,
    scmp: Allowance,
    receiver: Mutex<Receiver>,
    injected: Mutex<VecDeque<(SocketAddr, Bytes)>>,
    waker: Mutex<Option<Waker>>,
}

#[derive(Debug)]
struct Receiver {
    buffers: Vec<Box<[u8]>>,
    meta: [RecvMeta; BUFFERS],
    filled: usize,
    /// The next datagram: buffer and offset.
    next: (usize, usize),
    cache: Cache,
}

/// Where a packet came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// The last router, or the peer itself.
    pub(crate) from: SocketAddr,
    /// Without SCION: the way back.
    pub(crate) way: Option<Way>,
}

/// A datagram for QUIC within a received buffer.
pub(crate) struct Datagram {
    peer: Arc<Peer>,
    at: usize,
    path: Option<PathId>,
}

impl Socket {
    pub(crate) fn bind(
        address: SocketAddr,
        listens: bool,
        local_as: watch::Receiver<Option<LocalAs>>,
        strict: Arc<AtomicBool>,
        plain: Option<Box<[IpAddr]>>,
    ) -> io::Result<Arc<Self>> {
        let underlay = Underlay::bind(address)?;
        let receiver = Receiver {
            buffers: (0..BUFFERS).map(|_| vec![0; BUFFER].into()).collect(),
            meta: [RecvMeta::default(); BUFFERS],
            filled: 0,
            next: (0, 0),
            cache: Cache::new(),
        };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            underlay,
            peers: Peers::new(),
            listens,
            local_as,
            strict,
            plain,
            probes_of_strangers: Allowance::new(STRANGERS_PER_SECOND),
            strays: Allowance::new(STRANGERS_PER_SECOND),
            scmp: Allowance::new(SCMP_PER_SECOND),
            receiver: Mutex::new(receiver),
            injected: Mutex::default(),
            waker: Mutex::default(),
        }))
    }

    pub(crate) fn peer(&self, addr: ScionAddr) -> Option<Arc<Peer>> {
        self.peers.enter(&self.me, addr)
    }

    /// Whether rules hold that the way by which a peer comes might break: then nothing goes back that way before the
    /// paths are known.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    /// Whether strangers may open connections.
    pub(crate) fn listens(&self) -> bool {
        self.listens
    }

    pub(crate) fn isd_as(&self) -> Option<IsdAs> {
        self.local_as.borrow().as_ref().map(|l| l.isd_as)
    }

    /// The template for `peer` over `path`. `None`: our AS is not known, or the path does not fit a header.
    pub(crate) fn template(&self, peer: &Peer, path: &PathInfo, id: PathId) -> Option<Template> {
        if let Some(way) = path.way {
            return self.template_over(peer, way, id);
        }
        let next_hop = path.next_hop.unwrap_or(SocketAddr::new(peer.addr.host, peer.addr.port));
        let from = ScionAddr { isd_as: self.isd_as()?, host: self.host(next_hop)?, port: self.underlay.local().port() };
        Template::new(from, peer.addr, &path.raw, next_hop, Some(id))
    }

    /// Our host address in packets that leave towards `next_hop`.
    fn host(&self, next_hop: SocketAddr) -> Option<IpAddr> {
        let bound = self.underlay.local().ip();
        if bound.is_unspecified() { source_towards(next_hop) } else { Some(bound) }
    }

    /// Sends outside of QUIC: by the hedge while the peer's route is in doubt, else by that.
    pub(crate) fn send_now(&self, peer: &Arc<Peer>, payload: &[u8]) {
        let (hedge, route) = (peer.hedge(), peer.route());
        if let Some(route) = hedge.as_deref().or(route.as_deref()) {
            self.send_over(peer, route, payload);
        }
    }

    /// Sends what QUIC wants sent by `route`.
    fn send_batch(&self, peer: &Arc<Peer>, route: &Route, contents: &[u8], segment: usize) -> io::Result<()> {
        match route {
            Route::Tcp(_) => {
                for datagram in contents.chunks(segment.max(1)) {
                    peer.tunnel.send(peer, self, datagram);
                }
                Ok(())
            }
            Route::Scion(template) => OUT.with_borrow_mut(|out| {
                let size = template.fill(contents, segment, out);
                let sent = self.underlay.send(template.hop(), out, Some(size));
                sent.inspect_err(|e| {
                    if e.kind() != io::ErrorKind::WouldBlock {
                        log::debug!("cannot send to {} by {}: {e}", peer.addr, template.next_hop);
                    }
                })
            }),
        }
    }

    /// Sends one datagram by `route`; false when that failed for other reasons than a full buffer.
    pub(crate) fn send_over(&self, peer: &Arc<Peer>, route: &Route, payload: &[u8]) -> bool {
        match route {
            Route::Tcp(_) => peer.tunnel.send(peer, self, payload),
            Route::Scion(template) => {
                let mut out = Vec::with_capacity(template.len() + payload.len());
                template.append(payload, &mut out);
                match self.underlay.send(template.hop(), &out, None) {
                    Ok(()) => true,
                    Err(e) => e.kind() == io::ErrorKind::WouldBlock,
                }
            }
        }
    }

    /// Fills QUIC's buffers from what was received; each takes a run of equally long datagrams of one peer.
    fn take(&self, receiver: &mut Receiver, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let clock = self.peers.clock();
        let mut used = 0;
        let mut open = false;
        let mut heard = Heard::default();
        while receiver.next.0 < receiver.filled {
            let (index, start) = receiver.next;
            let received = receiver.meta[index];
            let Some(source) = self.source(&received) else {
                receiver.next = (index + 1, 0);
                continue;
            };
            let end = received.len.min(start.saturating_add(received.stride.max(1)));
            let packet = &receiver.buffers[index][start..end];
            let quic = self.classify(&mut receiver.cache, packet, source);
            if let Some(Datagram { peer, at, path }) = quic {
                let payload = &packet[at..];
                if open && !fits(&meta[used - 1], &bufs[used - 1], peer.synthetic, payload.len()) {
                    open = false;
                }
                if !open {
                    if used == bufs.len() || used == meta.len() {
                        heard.tell();
                        return used;
                    }
                    if payload.len() <= bufs[used].len() {
                        meta[used] =
                            RecvMeta { addr: peer.synthetic, len: 0, stride: payload.len(), ..RecvMeta::default() };
                        used += 1;
                        open = true;
                    }
                }
                if open {
                    let run = &mut meta[used - 1];
                    bufs[used - 1][run.len..run.len + payload.len()].copy_from_slice(payload);
                    run.len += payload.len();
                    open = payload.len() == run.stride;
                    peer.note_heard(clock);
                    peer.note_way(clock, path.is_some());
                    heard.add(peer, path, payload.len());
                }
            }
            receiver.next = if end >= received.len { (index + 1, 0) } else { (index, end) };
        }
        heard.tell();
        used
    }

    /// What a packet is; all but QUIC is dealt with here.
    pub(crate) fn classify(&self, cache: &mut Cache, packet: &[u8], source: Source) -> Option<Datagram> {
        if let Some((known, len)) = cache.find(packet, source.way) {
            let declared = usize::from(u16::from_be_bytes([packet[6], packet[7]]));
            if len - 8 + declared != packet.len() {
                return None;
            }
            if let Some(destination) = &*known.peer.destination()
                && known.path.0 != destination.generation()
            {
                known.path = destination.path_over(&known.back);
                if known.path.1.is_none() {
                    known.peer.note_wrong_way(&known.back);
                }
            }
            let (peer, path) = (Arc::clone(&known.peer), known.path.1);
            if probe::is_quic(&packet[len..]) {
                return Some(Datagram { peer, at: len, path });
            }
        }
        self.classify_unknown(cache, packet, source)
    }

    fn classify_unknown(&self, cache: &mut Cache, packet: &[u8], source: Source) -> Option<Datagram> {
        let header = Header::parse(packet)?;
        let upper = packet.get(header.len..).filter(|upper| upper.len() == header.payload_len)?;
        if self.isd_as().is_some_and(|local| local != header.destination.0) {
            return None;
        }
        if source.way.is_some() && !may_be_plain(&header) {
            return None;
        }
        if header.next == header::SCMP {
            if self.scmp.take(Instant::now()) {
                self.scmp(upper);
            }
            return None;
        }
        let [s0, s1, d0, d1, l0, l1, _, _] = *upper.first_chunk::<8>().filter(|_| header.next == header::UDP)?;
        let port = u16::from_be_bytes([d0, d1]);
        // Without SCION the port in the header is part of a name.
        if (port != self.underlay.local().port() && !self.is_plain())
            || usize::from(u16::from_be_bytes([l0, l1])) != upper.len()
        {
            return None;
        }
        let from = header::with_port(header.source, u16::from_be_bytes([s0, s1]));
        let payload = &upper[8..];
        let here = header::with_port(header.destination, port);
        let peer = self.peers.get(&from);
        if !probe::is_quic(payload) {
            self.probe(peer.as_ref(), (from, here), &header, payload, source);
            return None;
        }
        let peer = match peer {
            Some(peer) => peer,
            None if !self.listens => return None,
            None if probe::may_open_quic(payload) || self.strays.take(Instant::now()) => self.peer(from)?,
            None => return None,
        };
        let back = way_back(&header, source)?;
        let path = match &*peer.destination() {
            Some(destination) => destination.path_over(&back),
            None => (0, None),
        };
        let ruled = peer.destination().as_ref().is_some_and(|d| d.active().is_some());
        if !ruled && !self.is_strict() {
            if self.names(&peer, here) {
                peer.begin_anew();
            }
            let route = || {
                let template = Template::new(here, from, &header::reverse(header.path)?, source.from, path.1)?;
                Some(Route::Scion(template.leaving(source.way.map(|way| way.here))))
            };
            let asked = peer.came_by(self.peers.clock(), &back, source.from, payload.len(), route);
            if let Some((token, route)) = asked.filter(|_| peer.is_live()) {
                self.send_over(&peer, &route, &probe::Probe::Request(token).encode(probe::MIN));
            }
        }
        if path.1.is_none() {
            peer.note_wrong_way(&back);
        }
        if ruled && peer.is_live() {
            let known = Known { peer: Arc::clone(&peer), back: back.into(), path };
            cache.insert(packet, source.way, known);
        }
        Some(Datagram { peer, at: header.len + 8, path: path.1 })
    }

    fn take_injected(&self, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let mut injected = self.injected.lock();
        let mut used = 0;
        while used < bufs.len().min(meta.len()) {
            let Some((addr, datagram)) = injected.pop_front() else { break };
            if datagram.len() <= bufs[used].len() {
                bufs[used][..datagram.len()].copy_from_slice(&datagram);
                let len = datagram.len();
                meta[used] = RecvMeta { addr, len, stride: len.max(1), ..RecvMeta::default() };
                used += 1;
            }
        }
        used
    }

    /// Tells the path manager what QUIC sent, and keeps a copy for replay.
    fn note_sent(&self, peer: &Peer, path: Option<PathId>, contents: &[u8], segment: usize) {
        let last = contents.chunks(segment.max(1)).next_back().unwrap_or_default();
        let fresh = peer.wrote.swap(false, Ordering::Relaxed);
        let awaits_reply = fresh || contents.len() > ACK_ONLY;
        peer.keep(last, awaits_reply);
        if let (Some(path), Some(destination)) = (path, &*peer.destination()) {
            destination.sent(path, segment.min(contents.len()), contents.len(), awaits_reply);
        }
    }
}

/// Our name for the path back to where a packet came from.
fn way_back(header: &Header<'_>, source: Source) -> Option<Vec<u16>> {
    if let Some(way) = source.way {
        return Some(way.name().to_vec());
    }
    let mut back = header::interfaces(header.path)?;
    back.reverse();
    Some(back)
}

/// Whether another datagram continues a run.
fn fits(run: &RecvMeta, buf: &IoSliceMut<'_>, peer: SocketAddr, len: usize) -> bool {
    run.addr == peer && len <= run.stride && run.len + len <= buf.len()
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable::new(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Some(peer) = self.peers.by_synthetic(transmit.destination) else { return Ok(()) };
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        let route = peer.route().clone();
        // No path yet: lost like on a network that is down.
        let Some(active) = route.as_deref() else { return Ok(()) };
        if !peer.may_send(transmit.contents.len()) {
            return Ok(());
        }
        match self.send_batch(&peer, active, transmit.contents, segment) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(e),
            Err(_) => {
                if let (Some(path), Some(destination)) = (active.path(), &*peer.destination()) {
                    destination.drive(|manager, now| manager.handle_send_error(now, path));
                }
            }
            Ok(()) => {}
        }
        if let Some(hedge) = peer.hedge().as_deref() {
            // Failures show in the probes over that path.
            let _ = self.send_batch(&peer, hedge, transmit.contents, segment);
            if let (Some(path), Some(destination)) = (hedge.path(), &*peer.destination()) {
                destination.copied(path, transmit.contents.len());
            }
        }
        self.note_sent(&peer, active.path(), transmit.contents, segment);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        *self.waker.lock() = Some(cx.waker().clone());
        let injected = self.take_injected(bufs, meta);
        if injected > 0 {
            return Poll::Ready(Ok(injected));
        }
        let receiver = &mut *self.receiver.lock();
        for _ in 0..ROUNDS {
            if receiver.next.0 < receiver.filled {
                let used = self.take(receiver, bufs, meta);
                if used > 0 {
                    return Poll::Ready(Ok(used));
                }
            }
            let Receiver { buffers, meta: received, .. } = receiver;
            let mut parts = buffers.iter_mut();
            let mut slices: [IoSliceMut<'_>; BUFFERS] =
                std::array::from_fn(|_| IoSliceMut::new(parts.next().expect("as many buffers as slices")));
            match self.underlay.poll_recv(cx, &mut slices, received) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(filled)) => (receiver.filled, receiver.next) = (filled, (0, 0)),
                // QUIC would give the whole endpoint up; the system's complaints pass.
                Poll::Ready(Err(e)) => log::debug!("receiving on {}: {e}", self.underlay.local()),
            }
        }
        receiver.cache.forget_dead();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        // QUIC must take us for IPv6, as its peers' synthetic addresses are.
        Ok(SocketAddr::from(([0u16; 8], self.underlay.local().port())))
    }

    fn max_transmit_segments(&self) -> usize {
        self.underlay.max_segments()
    }

    fn max_receive_segments(&self) -> usize {
        16
    }

    fn may_fragment(&self) -> bool {
        self.underlay.may_fragment()
    }
}
