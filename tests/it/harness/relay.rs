//! A UDP relay between hosts: a network that can fail.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Between two looks at whether it is over.
const LOOK: Duration = Duration::from_millis(100);

/// Passes on what comes to an address, and what comes back, as a router does that translates addresses. Ends when dropped.
pub struct Relay(Arc<State>);

#[derive(Default)]
struct State {
    cut: AtomicBool,
    over: AtomicBool,
}

impl Relay {
    /// Passes on from `at` to `to`.
    pub fn start(at: SocketAddr, to: SocketAddr) -> Self {
        let entrance = Arc::new(UdpSocket::bind(at).expect("a free port"));
        let state = Arc::new(State::default());
        let (running, mut exits) = (state.clone(), HashMap::<SocketAddr, Arc<UdpSocket>>::new());
        std::thread::spawn(move || {
            receive(&entrance.clone(), &running.clone(), |datagram, from| {
                let exit = exits.entry(from).or_insert_with(|| {
                    let exit = Arc::new(UdpSocket::bind((at.ip(), 0)).expect("a port"));
                    let (back, entrance, running) = (exit.clone(), entrance.clone(), running.clone());
                    std::thread::spawn(move || {
                        receive(&back, &running, |datagram, _| drop(entrance.send_to(datagram, from)));
                    });
                    exit
                });
                // What cannot be sent is lost, as on any network.
                let _ = exit.send_to(datagram, to);
            });
        });
        Self(state)
    }

    /// From now on everything is lost, without a word, or nothing is.
    pub fn cut(&self, cut: bool) {
        self.0.cut.store(cut, Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.over.store(true, Relaxed);
    }
}

fn receive(socket: &UdpSocket, state: &State, mut pass: impl FnMut(&[u8], SocketAddr)) {
    socket.set_read_timeout(Some(LOOK)).expect("a positive time-out");
    let mut datagram = vec![0; 65_536];
    while !state.over.load(Relaxed) {
        if let Ok((len, from)) = socket.recv_from(&mut datagram)
            && !state.cut.load(Relaxed)
        {
            pass(&datagram[..len], from);
        }
    }
}
