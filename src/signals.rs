//! What signals make of a running server.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Server;

/// Runs `server` until a signal ends it: SIGINT and SIGTERM at once, SIGUSR2 after lame duck mode.
pub async fn run_until_signal(mut server: Server, mut signals: Signals) {
    if matches!(signals.next().await, Wish::LameDuck) {
        let ended = async { while matches!(signals.next().await, Wish::LameDuck) {} };
        tokio::select! {
            () = ended => {}
            () = server.lame_duck() => {}
        }
    }
    server.shutdown().await;
}

/// The signals that this process takes.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    lame_duck: Signal,
}

impl Signals {
    /// Takes the signals from now on.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub fn take() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            lame_duck: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for one that is not ignored.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => Wish::End,
            _ = self.terminate.recv() => Wish::End,
            _ = self.lame_duck.recv() => Wish::LameDuck,
        }
    }
}

/// What a signal asks for.
enum Wish {
    End,
    LameDuck,
}
