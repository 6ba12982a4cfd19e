//! The in-process engine: what hosts see of a SCION network, on real sockets, without a process more.
//!
//! Each AS has a UDP socket for its border router, a TCP listener for its daemon and a UDP socket that answers echo
//! requests. Between the routers there are no sockets: the [`Fabric`] carries the packets.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, SocketAddrV4, UdpSocket as StdUdpSocket},
    sync::Arc,
    thread,
    time::Instant,
};

use parking_lot::{Condvar, Mutex};
use sciparse::identifier::isd_asn::IsdAsn;
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{
    addresses::{AsAddresses, ENDHOST_PORT},
    daemon::{ControlPlane, Daemon, unix_now},
    description::Network,
    dispatcher,
    engine::{DirectionStatus, Engine, LabError, LabOptions, LinkStatus, Operation, Unit},
    fabric::{Fabric, MAX_PACKET, Now, Way},
    link::{Cut, LinkChange},
    segments::forwarding_keys,
};

/// Datagrams read before the fabric is locked for them.
const READ_BATCH: usize = 32;
/// Socket buffers asked for, so that a burst of a fast sender survives until the next read.
const SOCKET_BUFFER: usize = 4 << 20;

/// A running emulation.
#[derive(Debug)]
pub struct Emulator {
    network: Arc<Network>,
    addresses: Vec<AsAddresses>,
    mover: Arc<Mover>,
    control_plane: Arc<ControlPlane>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    daemons: Mutex<HashMap<usize, RunningDaemon>>,
}

#[derive(Debug)]
struct RunningDaemon {
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The fabric with the sockets that its packets leave by. Packets are sent under the lock, which keeps their order.
#[derive(Debug)]
struct Mover {
    state: Mutex<MoverState>,
    wake: Condvar,
}

#[derive(Debug)]
struct MoverState {
    fabric: Fabric,
    /// In the order of the ASes; empty after the stop.
    sockets: Vec<StdUdpSocket>,
    sleeps_until: Option<Instant>,
    stopped: bool,
}

impl Emulator {
    /// Binds all addresses and starts to forward. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`LabError::Listen`] if an address is taken.
    pub async fn start(network: Network, options: &LabOptions) -> Result<Self, LabError> {
        let network = Arc::new(network);
        let addresses: Vec<_> =
            (0..network.ases.len()).map(|i| AsAddresses::derive(&network, i, options.net)).collect();
        let mut rng = fastrand::Rng::with_seed(options.seed);
        let keys = forwarding_keys(&network, &mut rng);
        let fabric = Fabric::new(&network, &keys, &addresses, options.keep_alive, rng.u64(..));
        let control_plane = Arc::new(ControlPlane::new(
            Arc::clone(&network),
            addresses.clone(),
            keys,
            options.path_lifetime,
            options.beacon_interval,
            rng.u64(..),
        ));
        let mover = Arc::new(Mover::new(fabric));
        let emulator =
            Self { network, addresses, mover, control_plane, tasks: Mutex::default(), daemons: Mutex::default() };
        for as_index in 0..emulator.addresses.len() {
            emulator.start_router(as_index)?;
            emulator.start_dispatcher(as_index)?;
            emulator.start_daemon(as_index).await?;
        }
        let mover = Arc::clone(&emulator.mover);
        thread::Builder::new()
            .name("lab-links".to_owned())
            .spawn(move || mover.keep_time())
            .map_err(LabError::Thread)?;
        Ok(emulator)
    }

    fn start_router(&self, as_index: usize) -> Result<(), LabError> {
        let address = self.addresses[as_index].router;
        let fail = |e| self.cannot_listen(as_index, "router", address, e);
        let socket = bind(address).map_err(fail)?;
        let sender = socket.try_clone().map_err(fail)?;
        let receiver = UdpSocket::from_std(socket).map_err(fail)?;
        self.mover.state.lock().sockets.push(sender);
        let mover = Arc::clone(&self.mover);
        let task = tokio::spawn(async move { mover.receive(as_index, &receiver).await });
        self.tasks.lock().push(task);
        Ok(())
    }

    fn start_dispatcher(&self, as_index: usize) -> Result<(), LabError> {
        let address = SocketAddrV4::new(self.addresses[as_index].host, ENDHOST_PORT);
        let socket = bind(address)
            .and_then(UdpSocket::from_std)
            .map_err(|e| self.cannot_listen(as_index, "dispatcher", address, e))?;
        self.tasks.lock().push(dispatcher::spawn(Arc::new(socket)));
        Ok(())
    }

    async fn start_daemon(&self, as_index: usize) -> Result<(), LabError> {
        let address = self.addresses[as_index].daemon;
        let listener =
            TcpListener::bind(address).await.map_err(|e| self.cannot_listen(as_index, "daemon", address, e))?;
        let service = Daemon::new(Arc::clone(&self.control_plane), as_index).into_router();
        let (shutdown, asked) = oneshot::channel();
        let task = tokio::spawn(async move {
            // The receiver also resolves when the emulator is dropped.
            let stop = async { asked.await.unwrap_or_default() };
            if let Err(e) = axum::serve(listener, service).with_graceful_shutdown(stop).await {
                log::error!("daemon at {address}: {e}");
            }
        });
        let daemon = RunningDaemon { shutdown, task };
        self.daemons.lock().insert(as_index, daemon);
        Ok(())
    }

    async fn stop_daemon(&self, as_index: usize) {
        let daemon = self.daemons.lock().remove(&as_index);
        if let Some(daemon) = daemon {
            // An error of either means that it ended already.
            let _ = daemon.shutdown.send(());
            let _ = daemon.task.await;
        }
    }

    fn cannot_listen(&self, as_index: usize, unit: &'static str, address: SocketAddrV4, source: io::Error) -> LabError {
        LabError::Listen { ia: self.network.ases[as_index].ia, unit, address: address.to_string(), source }
    }

    async fn switch_unit(&self, unit: Unit, ia: IsdAsn, on: bool) -> Result<(), LabError> {
        let as_index = find_as(&self.network, ia)?;
        match unit {
            Unit::Router => {
                let mut state = self.mover.state.lock();
                state.fabric.set_running(as_index, on, Instant::now());
            }
            Unit::Control => self.control_plane.set_running(as_index, on),
            Unit::Daemon if on => {
                if !self.daemons.lock().contains_key(&as_index) {
                    self.start_daemon(as_index).await?;
                }
            }
            Unit::Daemon => self.stop_daemon(as_index).await,
        }
        Ok(())
    }

    async fn shut_down(&self) {
        for as_index in 0..self.addresses.len() {
            self.stop_daemon(as_index).await;
        }
        self.mover.stop();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
            // The task reports that it was aborted, which is what was asked for.
            let _ = task.await;
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.mover.stop();
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }
}

fn bind(address: SocketAddrV4) -> io::Result<StdUdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(address).into())?;
    Ok(socket.into())
}

fn now() -> Now {
    Now { instant: Instant::now(), unix: unix_now() }
}

impl Mover {
    fn new(fabric: Fabric) -> Self {
        Self {
            state: Mutex::new(MoverState { fabric, sockets: Vec::new(), sleeps_until: None, stopped: false }),
            wake: Condvar::new(),
        }
    }

    /// Feeds what hosts send to the router of an AS into the fabric.
    async fn receive(&self, as_index: usize, socket: &UdpSocket) {
        let mut buffer = vec![0; MAX_PACKET];
        let mut batch: Vec<(SocketAddr, Vec<u8>)> = Vec::with_capacity(READ_BATCH);
        while socket.readable().await.is_ok() {
            // Errors of a read are ICMP answers to earlier packets, or that there is nothing more.
            while batch.len() < READ_BATCH
                && let Ok((length, from)) = socket.try_recv_from(&mut buffer)
            {
                batch.push((from, buffer[..length].to_vec()));
            }
            let mut state = self.state.lock();
            for (from, packet) in batch.drain(..) {
                state.fabric.handle_datagram(as_index, from, packet, now());
            }
            state.send_all();
            let next = state.fabric.poll_timeout();
            if next.is_some_and(|next| state.sleeps_until.is_none_or(|until| next < until)) {
                self.wake.notify_one();
            }
        }
    }

    /// Moves packets along when their time comes. A thread of its own, because timers of the runtime are too coarse for
    /// links of a few milliseconds.
    fn keep_time(&self) {
        let mut state = self.state.lock();
        while !state.stopped {
            state.fabric.handle_timeout(now());
            state.send_all();
            state.sleeps_until = state.fabric.poll_timeout();
            match state.sleeps_until {
                Some(due) => {
                    self.wake.wait_until(&mut state, due);
                }
                None => self.wake.wait(&mut state),
            }
        }
    }

    fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.sockets.clear();
        self.wake.notify_one();
    }
}

impl MoverState {
    fn send_all(&mut self) {
        while let Some(transmit) = self.fabric.poll_transmit() {
            let Some(socket) = self.sockets.get(transmit.as_index) else {
                continue;
            };
            if let Err(e) = socket.send_to(&transmit.packet, transmit.to) {
                log::debug!("packet for {} dropped: {e}", transmit.to);
            }
        }
    }
}

/// Index of an AS, or an error that lists those there are.
pub(crate) fn find_as(network: &Network, ia: IsdAsn) -> Result<usize, LabError> {
    network
        .as_index(ia)
        .ok_or_else(|| LabError::NoSuchAs { ia, known: join(network.ases.iter().map(|a| a.ia.to_string())) })
}

/// Index of a link, or an error that lists those there are.
pub(crate) fn find_link(network: &Network, name: &str) -> Result<usize, LabError> {
    network.link_index(name).ok_or_else(|| LabError::NoSuchLink {
        name: name.to_owned(),
        known: join(network.links.iter().map(|l| l.name.clone())),
    })
}

fn join(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The directions that a command means.
pub(crate) fn ways(way: Option<Way>) -> Vec<Way> {
    way.map_or_else(|| vec![Way::Ab, Way::Ba], |way| vec![way])
}

impl Engine for Emulator {
    fn addresses(&self, ia: IsdAsn) -> Option<AsAddresses> {
        self.network.as_index(ia).map(|i| self.addresses[i])
    }

    fn cut(&self, link: &str, how: Cut, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        let mut state = self.mover.state.lock();
        state.fabric.set_cut(link, &ways(way), Some(how), Instant::now());
        Ok(())
    }

    fn restore(&self, link: &str, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        let mut state = self.mover.state.lock();
        state.fabric.set_cut(link, &ways(way), None, Instant::now());
        Ok(())
    }

    fn set(&self, link: &str, change: &LinkChange, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        let mut state = self.mover.state.lock();
        state.fabric.change(link, &ways(way), change);
        Ok(())
    }

    fn links(&self) -> Vec<LinkStatus> {
        let state = self.mover.state.lock();
        let direction = |link, way| {
            let (params, cut, counters) = state.fabric.direction(link, way);
            DirectionStatus::new(&params, cut, counters)
        };
        self.network
            .links
            .iter()
            .enumerate()
            .map(|(i, link)| LinkStatus {
                name: link.name.clone(),
                ab: direction(i, Way::Ab),
                ba: direction(i, Way::Ba),
            })
            .collect()
    }

    fn stop_unit(&self, unit: Unit, ia: IsdAsn) -> Operation<'_> {
        Box::pin(self.switch_unit(unit, ia, false))
    }

    fn start_unit(&self, unit: Unit, ia: IsdAsn) -> Operation<'_> {
        Box::pin(self.switch_unit(unit, ia, true))
    }

    fn stop(&self) -> Operation<'_> {
        Box::pin(async {
            self.shut_down().await;
            Ok(())
        })
    }
}
