//! What signals make of a running server.

use std::fmt;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Warnings;
use crate::config::options::Options;
use crate::{Server, logging};

/// Runs `server` until a signal ends it: SIGINT and SIGTERM at once, SIGUSR2 after lame duck mode. At SIGHUP the server
/// takes over what `configuration` gives.
pub async fn run_until_signal<E: fmt::Display>(
    mut server: Server,
    mut signals: Signals,
    configuration: impl Fn() -> Result<(Options, Warnings), E>,
) {
    loop {
        let wish = tokio::select! {
            wish = signals.wish() => wish,
            request = server.reload_request() => {
                let outcome = reload(&mut server, configuration());
                if let Err(error) = &outcome {
                    log::error!("Failed to reload server configuration: {error}");
                }
                // Who asked may not wait any more.
                let _ = request.send(outcome);
                continue;
            }
        };
        match wish {
            Wish::End => break,
            Wish::Reload => {
                if let Err(error) = reload(&mut server, configuration()) {
                    log::error!("Failed to reload server configuration: {error}");
                }
            }
            Wish::LameDuck => {
                let ended = async { while !matches!(signals.wish().await, Wish::End) {} };
                tokio::select! {
                    () = ended => {}
                    () = server.lame_duck() => {}
                }
                break;
            }
        }
    }
    server.shutdown().await;
}

fn reload<E: fmt::Display>(server: &mut Server, configuration: Result<(Options, Warnings), E>) -> Result<(), String> {
    let (options, warnings) = configuration.map_err(|error| error.to_string())?;
    if !warnings.is_empty() {
        log::warn!("{warnings}");
    }
    server.reload(options).map_err(|error| error.to_string())
}

/// The signals that this process takes.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    lame_duck: Signal,
    reopen: Signal,
    reload: Signal,
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
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that concerns the server, and does what others ask for.
    async fn wish(&mut self) -> Wish {
        loop {
            let (name, wish) = tokio::select! {
                _ = self.interrupt.recv() => ("interrupt", Some(Wish::End)),
                _ = self.terminate.recv() => ("terminated", Some(Wish::End)),
                _ = self.lame_duck.recv() => ("user defined signal 2", Some(Wish::LameDuck)),
                _ = self.reload.recv() => ("hangup", Some(Wish::Reload)),
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
    Reload,
}
