//! What a client can do.

mod connect;
mod ping;
mod publish;
mod subscribe;

use std::sync::Arc;
use std::time::Instant;

use natsd_core::encode::write_error;
use natsd_core::error::{ClientError, CloseReason};
use natsd_core::parser::{self, Limits, Op, ParseError, Read};

use crate::hub::Hub;
use crate::hub::account::Account;
use crate::hub::cache::MatchCache;
use crate::link::Link;
use crate::link::batch::Batch;
use crate::link::task::Protocol;
use crate::server::listener::Listener;
use ping::Pings;

/// The protocol of clients, on one connection.
pub(crate) struct Client {
    link: Arc<Link>,
    hub: Arc<Hub>,
    account: Arc<Account>,
    listener: Arc<Listener>,
    cache: MatchCache,
    limits: Limits,
    pings: Pings,
    flags: Flags,
    /// Subscriptions that ended with the connection.
    unwound: u32,
}

/// What is set by `CONNECT`, and what has happened.
#[derive(Clone, Copy, Debug)]
struct Flags {
    verbose: bool,
    pedantic: bool,
    echo: bool,
    no_responders: bool,
    /// `INFO` may come at any time.
    async_info: bool,
    /// What was said before TLS.
    said: Said,
    /// There are more clients than there may be.
    surplus: bool,
    ended: bool,
}

/// What came before the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    /// The line of the log.
    Log,
    /// That, and `INFO`.
    Info,
}

/// The connection ends.
#[derive(Debug)]
enum End {
    /// After this `-ERR`.
    Told(ClientError),
    /// Without a word.
    Silent(CloseReason),
}

impl Client {
    /// `surplus` if it has to go at once, as there are too many.
    pub(crate) fn new(link: Arc<Link>, hub: Arc<Hub>, listener: Arc<Listener>, surplus: bool) -> Self {
        let options = &hub.options;
        let limits =
            Limits { max_control_line: options.max_control_line, max_payload: options.max_payload, headers: false };
        Self {
            account: hub.global_account(),
            listener,
            cache: MatchCache::default(),
            limits,
            pings: Pings::new(link.started),
            flags: Flags {
                verbose: true,
                pedantic: true,
                echo: true,
                no_responders: false,
                async_info: false,
                said: Said::Nothing,
                surplus,
                ended: false,
            },
            unwound: 0,
            link,
            hub,
        }
    }

    /// It came over TLS, which its log has told; `greeted` if its `INFO` has been sent as well.
    pub(crate) fn was_admitted(&mut self, greeted: bool) {
        self.flags.said = if greeted { Said::Info } else { Said::Log };
    }

    fn handle(&mut self, op: Op<'_>, batch: &mut Batch) -> Result<(), End> {
        if log::log_enabled!(log::Level::Trace) {
            self.trace(&op);
        }
        match op {
            Op::Publish(message) => {
                self.publish(message, batch);
                Ok(())
            }
            Op::Subscribe(subscribe) => {
                self.subscribe(subscribe, batch);
                Ok(())
            }
            Op::Unsubscribe { sid, max } => {
                self.unsubscribe(sid, max, batch);
                Ok(())
            }
            Op::Ping => {
                self.answer_ping(batch);
                Ok(())
            }
            Op::Pong => {
                self.take_pong();
                Ok(())
            }
            Op::Connect(json) => self.connect(json, batch),
            Op::Ignored => Ok(()),
            Op::Error(text) => {
                log::debug!("{} - Client error: {}", self.link.describe(), String::from_utf8_lossy(text));
                Err(End::Silent(CloseReason::ClientClosed))
            }
        }
    }

    fn trace(&self, op: &Op<'_>) {
        log::trace!("{} - <<- [{}]", self.link.describe(), describe(op));
    }

    fn acknowledge(&self, batch: &mut Batch) {
        if self.flags.verbose {
            self.link.send(batch, |out| out.extend_from_slice(b"+OK\r\n"));
        }
    }

    fn refuse(&self, error: &ClientError, batch: &mut Batch) {
        let text = error.to_string();
        log::debug!("{} - {text}", self.link.describe());
        self.link.send(batch, |out| write_error(out, &text));
    }

    fn end(&mut self, end: End, batch: &mut Batch) {
        self.flags.ended = true;
        let reason = match end {
            End::Told(error) => {
                log::error!("{} - {error}", self.link.describe());
                self.link.send(batch, |out| write_error(out, &error.to_string()));
                error.closes().unwrap_or(CloseReason::ProtocolViolation)
            }
            End::Silent(reason) => reason,
        };
        self.link.close(reason);
    }
}

impl From<ParseError> for End {
    fn from(error: ParseError) -> Self {
        error.client_error().map_or_else(|| Self::Silent(error.reason()), Self::Told)
    }
}

impl Protocol for Client {
    fn start(&mut self, batch: &mut Batch) {
        if self.flags.said == Said::Nothing {
            log::debug!("{} - Client connection created", self.link.describe());
        }
        if self.flags.said == Said::Info {
            return;
        }
        let info = self.listener.info(&self.hub, &self.link, false);
        self.link.send(batch, |out| info.write(out));
        if self.flags.surplus {
            self.end(End::Told(ClientError::MaxConnections), batch);
        }
    }

    fn handle_input(&mut self, input: &[u8], batch: &mut Batch) -> (usize, usize) {
        let mut taken = 0;
        while !self.flags.ended {
            match parser::read(&input[taken..], &self.limits) {
                Ok(Read::Op(op, len)) => {
                    taken += len;
                    if let Err(end) = self.handle(op, batch) {
                        self.end(end, batch);
                    }
                }
                Ok(Read::Need(needed)) => {
                    self.pings.heard(batch.now());
                    return (taken, needed);
                }
                Err(error) => {
                    log::debug!("{} - {error}", self.link.describe());
                    self.end(error.into(), batch);
                }
            }
        }
        (input.len(), 1)
    }

    fn timeout(&self) -> Option<Instant> {
        Some(self.pings.due())
    }

    fn handle_timeout(&mut self, now: Instant, batch: &mut Batch) {
        self.ping(now, batch);
    }

    fn unwind(&mut self) -> bool {
        const AT_A_TIME: usize = 1024;
        self.cache = MatchCache::default();
        let subscriptions = self.link.subscriptions.lock().take(AT_A_TIME);
        if !subscriptions.is_empty() {
            self.unwound += subscriptions.len() as u32;
            self.account.unsubscribe(&subscriptions);
            return false;
        }
        if let Some(reason) = self.hub.deregister(&self.link, self.unwound as usize) {
            log::debug!("{} - Client connection closed: {reason}", self.link.describe());
        }
        true
    }
}

impl Drop for Client {
    /// The runtime may drop the task before its end: the connection is gone all the same.
    fn drop(&mut self) {
        self.link.close(CloseReason::ServerShutdown);
        self.link.outbound().hang_up();
        while !self.unwind() {}
    }
}

/// `op` as trace logs show it.
fn describe(op: &Op<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match op {
        Op::Connect(_) => "CONNECT".into(),
        Op::Publish(message) => {
            let reply = message.reply.map(|reply| text(reply) + " ").unwrap_or_default();
            format!("PUB {} {reply}{}", text(message.subject), message.body.len())
        }
        Op::Subscribe(subscribe) => {
            let queue = subscribe.queue.map(|queue| text(queue) + " ").unwrap_or_default();
            format!("SUB {} {queue}{}", text(subscribe.subject), text(subscribe.sid))
        }
        Op::Unsubscribe { sid, max } => {
            let max = max.map(|max| format!(" {max}")).unwrap_or_default();
            format!("UNSUB {}{max}", text(sid))
        }
        Op::Ping => "PING".into(),
        Op::Pong => "PONG".into(),
        Op::Ignored => "INFO".into(),
        Op::Error(error) => format!("-ERR {}", text(error)),
    }
}
