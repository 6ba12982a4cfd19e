//! What signals make of a running server.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Server, logging};

/// Runs `server` until a signal ends it: SIGINT and SIGTERM at once, SIGUSR2 after lame duck mode.
pub async fn run_until_signal(mut server: Server, mut signals: Signals) {
    if matches!(signals.wish().await, Wish::LameDuck) {
        let ended = async { while matches!(signals.wish().await, Wish::LameDuck) {} };
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
    reopen: Signal,
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
            reopen: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for one that concerns the server, and does what others ask for.
    async fn wish(&mut self) -> Wish {
        loop {
            let (name, wish) = tokio::select! {
                _ = self.interrupt.recv() => ("interrupt", Some(Wish::End)),
                _ = self.terminate.recv() => ("terminated", Some(Wish::End)),
                _ = self.lame_duck.recv() => ("user defined signal 2", Some(Wish::LameDuck)),
                _ = self.reopen.recv() => ("user defined signal 1", None),
            };
            log::info!("Trapped \"{name}\" signal");
            match wish {
                Some(wish) => return wish,
                None => logging::reopen(),
            }
        }
    }
}

/// What a signal asks for.
enum Wish {
    End,
    LameDuck,
}
