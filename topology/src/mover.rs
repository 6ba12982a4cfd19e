//! Runs a state machine of packets on real sockets and real time.

use std::{
    io,
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    sync::Arc,
    thread,
    time::Instant,
};

use parking_lot::{Condvar, Mutex};
use socket2::{Domain, Socket, Type};
use tokio::{net::UdpSocket, task::JoinHandle};

use crate::daemon::unix_now;

/// Routers do not forward longer packets; the rest of a longer one is cut off when it is read.
pub const MAX_PACKET: usize = 8988;
/// Datagrams read before the state machine is locked for them.
const READ_BATCH: usize = 32;
/// Socket buffers asked for, so that a burst of a fast sender survives until the next read.
const SOCKET_BUFFER: usize = 4 << 20;

/// The two clocks of a network.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For delays.
    pub instant: Instant,
    /// For the expiry of hop fields, seconds since 1970.
    pub unix: u64,
}

impl Now {
    fn read() -> Self {
        Self { instant: Instant::now(), unix: unix_now() }
    }
}

/// A datagram to send.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Number of the socket to send it from.
    pub socket: usize,
    /// Where to.
    pub to: SocketAddr,
    /// SCION packet.
    pub packet: Vec<u8>,
}

/// Something that takes datagrams in and gives them out later.
pub trait StateMachine: Send + 'static {
    /// A datagram came in by a socket. What is due at `now` happens, too.
    fn handle_datagram(&mut self, socket: usize, from: SocketAddr, packet: Vec<u8>, now: Now);

    /// Lets everything happen that is due at `now`.
    fn handle_timeout(&mut self, now: Now);

    /// When [`StateMachine::handle_timeout`] has something to do next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;
}

/// A state machine at work. Ends when dropped.
#[derive(Debug)]
pub struct Mover<M: StateMachine> {
    shared: Arc<Shared<M>>,
    receivers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared<M> {
    state: Mutex<State<M>>,
    wake: Condvar,
}

/// Packets are sent under the lock, which keeps their order.
#[derive(Debug)]
struct State<M> {
    machine: M,
    /// Empty after the stop.
    sockets: Vec<StdUdpSocket>,
    sleeps_until: Option<Instant>,
    stopped: bool,
}

impl<M: StateMachine> Mover<M> {
    /// Starts the clock of a state machine that has no socket yet.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn new(machine: M) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State { machine, sockets: Vec::new(), sleeps_until: None, stopped: false }),
            wake: Condvar::new(),
        });
        let clock = Arc::clone(&shared);
        thread::Builder::new().name("lab-links".to_owned()).spawn(move || clock.keep_time())?;
        Ok(Self { shared, receivers: Mutex::default() })
    }

    /// Takes the next socket, made by [`bind`]; they count from 0. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the process has too many files open.
    pub fn open(&self, socket: StdUdpSocket) -> io::Result<()> {
        let sender = socket.try_clone()?;
        let receiver = UdpSocket::from_std(socket)?;
        let number = {
            let mut state = self.shared.state.lock();
            state.sockets.push(sender);
            state.sockets.len() - 1
        };
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move { shared.receive(number, &receiver).await });
        self.receivers.lock().push(task);
        Ok(())
    }

    /// Looks at the state machine or changes it.
    pub fn with<T>(&self, f: impl FnOnce(&mut M) -> T) -> T {
        f(&mut self.shared.state.lock().machine)
    }

    /// Closes all sockets and ends the clock.
    pub async fn stop(&self) {
        self.shared.stop();
        let receivers = std::mem::take(&mut *self.receivers.lock());
        for task in receivers {
            task.abort();
            // The task reports that it was aborted, which is what was asked for.
            let _ = task.await;
        }
    }
}

impl<M: StateMachine> Drop for Mover<M> {
    fn drop(&mut self) {
        self.shared.stop();
        for task in self.receivers.lock().drain(..) {
            task.abort();
        }
    }
}

/// A UDP socket for use with tokio, with room for bursts.
///
/// # Errors
/// If the address is taken.
pub fn bind(address: SocketAddr) -> io::Result<StdUdpSocket> {
    bind_as(address, false)
}

/// As [`bind`], at an address that other labs may bind as well. Each packet comes to one of them.
///
/// # Errors
/// If somebody has the address who does not share it.
pub fn bind_shared(address: SocketAddr) -> io::Result<StdUdpSocket> {
    bind_as(address, true)
}

fn bind_as(address: SocketAddr, shared: bool) -> io::Result<StdUdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(shared)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl<M: StateMachine> Shared<M> {
    async fn receive(&self, number: usize, socket: &UdpSocket) {
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
                state.machine.handle_datagram(number, from, packet, Now::read());
            }
            state.send_all();
            let next = state.machine.poll_timeout();
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
            state.machine.handle_timeout(Now::read());
            state.send_all();
            state.sleeps_until = state.machine.poll_timeout();
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

impl<M: StateMachine> State<M> {
    fn send_all(&mut self) {
        while let Some(transmit) = self.machine.poll_transmit() {
            let Some(socket) = self.sockets.get(transmit.socket) else {
                continue;
            };
            if let Err(e) = socket.send_to(&transmit.packet, transmit.to) {
                log::debug!("packet for {} dropped: {e}", transmit.to);
            }
        }
    }
}
