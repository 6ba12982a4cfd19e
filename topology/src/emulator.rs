//! The in-process engine: what hosts see of a SCION network, on real sockets, without a process more.
//!
//! Each AS has a UDP socket for its border router, a TCP listener for its daemon and a UDP socket that answers echo
//! requests. Between the routers there are no sockets: the [`Fabric`] carries the packets.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    sync::Arc,
    time::Instant,
};

use parking_lot::Mutex;
use sciparse::identifier::isd_asn::IsdAsn;
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{
    addresses::{AsAddresses, ENDHOST_PORT},
    daemon::{ControlPlane, Daemon},
    description::Network,
    dispatcher,
    engine::{Engine, LabError, LabOptions, LinkStatus, Operation, Unit, find_as, find_link, ways},
    fabric::Fabric,
    link::{Cut, LinkChange},
    links::Way,
    mover::{Mover, bind, bind_shared},
    segments::forwarding_keys,
};

/// A running emulation.
#[derive(Debug)]
pub struct Emulator {
    network: Arc<Network>,
    addresses: Vec<AsAddresses>,
    mover: Mover<Fabric>,
    control_plane: Arc<ControlPlane>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    daemons: Mutex<HashMap<usize, RunningDaemon>>,
}

#[derive(Debug)]
struct RunningDaemon {
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Emulator {
    /// Binds all addresses and starts to forward. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`LabError::Listen`] if an address is taken.
    pub async fn start(network: Network, options: &LabOptions) -> Result<Self, LabError> {
        let network = Arc::new(network);
        let (addresses, routers) = bind_routers(&network, options.net)?;
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
        let mover = Mover::new(fabric).map_err(LabError::Thread)?;
        let emulator =
            Self { network, addresses, mover, control_plane, tasks: Mutex::default(), daemons: Mutex::default() };
        for (as_index, router) in routers.into_iter().enumerate() {
            emulator.start_router(as_index, router)?;
            emulator.start_dispatcher(as_index)?;
            emulator.start_daemon(as_index).await?;
        }
        Ok(emulator)
    }

    fn start_router(&self, as_index: usize, socket: StdUdpSocket) -> Result<(), LabError> {
        let address = self.addresses[as_index].router;
        self.mover.open(socket).map_err(|e| cannot_listen(&self.network, as_index, "router", address, e))
    }

    fn start_dispatcher(&self, as_index: usize) -> Result<(), LabError> {
        let address = SocketAddr::new(self.addresses[as_index].host, ENDHOST_PORT);
        // Over IPv6 it is the host of other ASes and labs too. Whoever gets a request can answer it.
        let socket = if address.is_ipv6() { bind_shared(address) } else { bind(address) };
        let socket = socket
            .and_then(UdpSocket::from_std)
            .map_err(|e| cannot_listen(&self.network, as_index, "dispatcher", address, e))?;
        self.tasks.lock().push(dispatcher::spawn(Arc::new(socket)));
        Ok(())
    }

    async fn start_daemon(&self, as_index: usize) -> Result<(), LabError> {
        let address = self.addresses[as_index].daemon;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| cannot_listen(&self.network, as_index, "daemon", address.into(), e))?;
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

    async fn switch_unit(&self, unit: Unit, ia: IsdAsn, on: bool) -> Result<(), LabError> {
        let as_index = find_as(&self.network, ia)?;
        match unit {
            Unit::Router => {
                self.mover.with(|fabric| fabric.set_running(as_index, on, Instant::now()));
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
        self.mover.stop().await;
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
            // The task reports that it was aborted, which is what was asked for.
            let _ = task.await;
        }
    }
}

/// The sockets of all routers, and all addresses with the ports that the system chose.
fn bind_routers(network: &Network, net: u8) -> Result<(Vec<AsAddresses>, Vec<StdUdpSocket>), LabError> {
    let bind_router = |as_index| {
        let mut at = AsAddresses::derive(network, as_index, net);
        let socket = bind(at.router).and_then(|socket| Ok((socket.local_addr()?, socket)));
        let (address, socket) = socket.map_err(|e| cannot_listen(network, as_index, "router", at.router, e))?;
        at.router = address;
        Ok((at, socket))
    };
    (0..network.ases.len()).map(bind_router).collect()
}

fn cannot_listen(
    network: &Network,
    as_index: usize,
    unit: &'static str,
    address: SocketAddr,
    source: io::Error,
) -> LabError {
    LabError::Listen { ia: network.ases[as_index].ia, unit, address: address.to_string(), source }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }
}

impl Engine for Emulator {
    fn addresses(&self, ia: IsdAsn) -> Option<AsAddresses> {
        self.network.as_index(ia).map(|i| self.addresses[i])
    }

    fn cut(&self, link: &str, how: Cut, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        self.mover.with(|fabric| fabric.set_cut(link, &ways(way), Some(how), Instant::now()));
        Ok(())
    }

    fn restore(&self, link: &str, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        self.mover.with(|fabric| fabric.set_cut(link, &ways(way), None, Instant::now()));
        Ok(())
    }

    fn set(&self, link: &str, change: &LinkChange, way: Option<Way>) -> Result<(), LabError> {
        let link = find_link(&self.network, link)?;
        self.mover.with(|fabric| fabric.links_mut().change(link, &ways(way), change));
        Ok(())
    }

    fn links(&self) -> Vec<LinkStatus> {
        self.mover.with(|fabric| fabric.links().status())
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
