//! What a client can do.

mod account;
pub(crate) mod admission;
mod callout;
mod connect;
mod msg_trace;
mod ping;
mod proxied;
mod publish;
mod subscribe;
mod telnet;
mod token;
mod trace;
mod violation;

use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use natsd_auth::Permissions;
use natsd_core::encode::write_error;
use natsd_core::error::{ClientError, CloseReason};
use natsd_core::info::Info;
use natsd_core::parser::{self, Limits, Op, ParseError, Read};
use natsd_core::transform::Mappings;
use natsd_core::websocket::upgrade::Cookies;

use crate::hub::Hub;
use crate::hub::account::Account;
use crate::hub::cache::MatchCache;
use crate::link::batch::Batch;
use crate::link::task::Protocol;
use crate::link::{self, Link};
use crate::server::listener::Listener;
use admission::Admission;
use ping::Pings;
use token::Granted;

/// The protocol of clients, on one connection.
pub(crate) struct Client {
    link: Arc<Link>,
    hub: Arc<Hub>,
    account: Arc<Account>,
    /// It is counted as a client of its account.
    entered: bool,
    listener: Arc<Listener>,
    cache: MatchCache,
    limits: Limits,
    /// If there are any.
    mappings: Option<Arc<Mappings>>,
    /// The options that `limits` and `mappings` are of.
    epoch: u64,
    pings: Pings,
    admission: Admission,
    /// Who it said it is when it came, over WebSocket.
    cookies: Option<Box<Cookies>>,
    /// Who it said it is.
    claimed: Box<str>,
    /// What it may do; `None` is everything.
    permissions: Option<Arc<Permissions>>,
    granted: Granted,
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
    /// A part of an operation has been read.
    partial: bool,
}

/// The most that an operation of a client may be.
fn limits(hub: &Hub, account: &Account, headers: bool) -> Limits {
    let max_control_line = hub.options().max_control_line;
    Limits { max_control_line, max_payload: max_payload(hub, account), headers }
}

/// The largest message of a client of `account`, in bytes.
pub(crate) fn max_payload(hub: &Hub, account: &Account) -> usize {
    let of_account = account.spec().limits.payload.and_then(|bytes| usize::try_from(bytes).ok());
    of_account.unwrap_or(usize::MAX).min(hub.options().max_payload)
}

fn mappings(account: &Account) -> Option<Arc<Mappings>> {
    Some(account.spec().mappings.clone()).filter(|mappings| !mappings.is_empty())
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
    /// After this `-ERR`; the log says already why.
    Refused(ClientError),
    /// Without a word.
    Silent(CloseReason),
}

impl Client {
    /// `surplus` if it has to go at once, as there are too many.
    pub(crate) fn new(link: Arc<Link>, hub: Arc<Hub>, listener: Arc<Listener>, surplus: bool) -> Self {
        let account = hub.accounts.global().clone();
        let mut client = Self {
            cache: MatchCache::default(),
            // Before the limits: should they change meanwhile, they are looked up again.
            epoch: hub.epoch(),
            limits: limits(&hub, &account, false),
            mappings: mappings(&account),
            account,
            entered: false,
            pings: Pings::new(link.started, hub.options().ping_interval_of(listener.is_websocket())),
            admission: Admission::new(&hub, listener.is_websocket(), link.started),
            cookies: None,
            claimed: Box::default(),
            listener,
            permissions: None,
            granted: Granted::default(),
            flags: Flags {
                verbose: true,
                pedantic: true,
                echo: true,
                no_responders: false,
                async_info: false,
                said: Said::Nothing,
                surplus,
                ended: false,
                partial: false,
            },
            unwound: 0,
            link,
            hub,
        };
        if !client.admission.is_due() {
            client.link.account.store(Some(client.account.clone()));
            client.entered = true;
            client.account.enter();
        }
        client
    }

    /// As [`new`](Self::new), of one that came with cookies.
    pub(crate) fn with_cookies(mut self, cookies: Cookies) -> Self {
        let cookies = Some(cookies).filter(|cookies| *cookies != Cookies::default());
        self.cookies = cookies.map(Box::new);
        self
    }

    /// The first `INFO`.
    pub(crate) fn greeting(&self) -> Info {
        let mut info = self.listener.info(&self.hub, &self.link, false);
        info.nonce = self.admission.nonce();
        if self.listener.proxied && self.flags.said == Said::Nothing {
            // Where it is will be known later: this would be the proxy.
            info.client_ip.clear();
        }
        info
    }

    /// It came over TLS or by a proxy, which its log has told; `greeted` if its `INFO` has been sent as well.
    pub(crate) fn was_admitted(&mut self, greeted: bool, now: Instant) {
        self.admission.wait_from(now, self.hub.options().access(self.listener.is_websocket()).timeout);
        self.flags.said = if greeted { Said::Info } else { Said::Log };
    }

    fn handle(&mut self, op: Op<'_>, batch: &mut Batch) -> Result<(), End> {
        if link::trace::enabled() {
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
        self.link.trace_in(&trace::describe(op));
        if let Op::Publish(message) = op {
            self.link.trace_payload_in(message.body, message.header_len);
        }
    }

    fn acknowledge(&self, batch: &mut Batch) {
        if self.flags.verbose {
            self.link.trace_out("OK");
            self.link.send(batch, |out| out.extend_from_slice(b"+OK\r\n"));
        }
    }

    fn refuse(&self, error: &ClientError, batch: &mut Batch) {
        self.refuse_subscription(error, b"", batch);
    }

    /// As [`refuse`](Self::refuse), about a subscription of this id.
    fn refuse_subscription(&self, error: &ClientError, sid: &[u8], batch: &mut Batch) {
        let text = error.to_string();
        self.link.trace_out(&format!("-ERR {text}"));
        self.link.send(batch, |out| write_error(out, &text));
        match violation::describe(error, sid) {
            Some(violation) => log::error!("{} - {violation}", self.link.describe()),
            None => log::debug!("{} - {text}", self.link.describe()),
        }
    }

    fn end(&mut self, end: End, batch: &mut Batch) {
        self.flags.ended = true;
        let logged = !matches!(end, End::Refused(_));
        let reason = match end {
            End::Told(error) | End::Refused(error) => {
                if logged {
                    log::error!("{} - {error}", self.link.describe());
                }
                self.link.trace_out(&format!("-ERR {error}"));
                self.link.send(batch, |out| write_error(out, &error.to_string()));
                error.closes().unwrap_or(CloseReason::ProtocolViolation)
            }
            End::Silent(reason) => reason,
        };
        self.link.close(reason);
    }
}

/// Somebody leaves a telnet session: there is nothing to say to that.
const FAREWELL: End = End::Silent(CloseReason::ClientClosed);

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
        let info = self.greeting();
        self.link.send(batch, |out| info.write(out));
        if self.flags.surplus {
            self.end(End::Told(ClientError::MaxConnections), batch);
        }
    }

    fn handle_input(&mut self, input: &[u8], batch: &mut Batch) -> (usize, usize) {
        // An operation that has begun may end as it was announced.
        if !self.flags.partial
            && self.epoch != self.hub.epoch()
            && let Err(end) = self.reload(batch)
        {
            self.end(end, batch);
        }
        let mut taken = 0;
        while !self.flags.ended {
            if self.admission.is_checking() {
                return (taken, 1);
            }
            if let (true, Some(verb)) = (self.admission.is_due(), input.get(taken)) {
                let begun = if telnet::is_farewell(&input[taken..]) { Err(FAREWELL) } else { self.begin_with(*verb) };
                if let Err(end) = begun {
                    self.end(end, batch);
                    continue;
                }
            }
            match parser::read(&input[taken..], &self.limits) {
                Ok(Read::Op(op, len)) => {
                    taken += len;
                    if let Err(end) = self.handle(op, batch) {
                        self.end(end, batch);
                    }
                }
                Ok(Read::Need(needed)) => {
                    self.pings.heard(batch.now());
                    self.flags.partial = taken < input.len();
                    return (taken, needed);
                }
                Err(ParseError::UnknownOperation) if telnet::is_farewell(&input[taken..]) => self.end(FAREWELL, batch),
                Err(error) => {
                    log::debug!("{} - {error}", self.link.describe());
                    if error == ParseError::PayloadTooLarge {
                        self.trace_too_large(&input[taken..], batch);
                    }
                    self.end(error.into(), batch);
                }
            }
        }
        (input.len(), 1)
    }

    fn timeout(&self) -> Option<Instant> {
        if self.flags.ended {
            return None;
        }
        Some(self.admission.until().unwrap_or_else(|| self.granted.until(self.pings.due())))
    }

    fn handle_timeout(&mut self, now: Instant, batch: &mut Batch) {
        if self.admission.until().is_some() {
            let error = ClientError::AuthenticationTimeout;
            log::debug!("{} - {error}", self.link.describe());
            return self.end(End::Refused(error), batch);
        }
        if let Some(error) = self.granted.ended(now) {
            return self.end_unasked(error, batch);
        }
        if self.pings.due() <= now {
            self.ping(now, batch);
        }
    }

    fn holds_input(&self) -> bool {
        self.admission.is_checking() && !self.flags.ended
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, batch: &mut Batch) {
        if self.epoch != self.hub.epoch()
            && !self.flags.partial
            && !self.flags.ended
            && let Err(end) = self.reload(batch)
        {
            self.end(end, batch);
        }
        if self.holds_input()
            && let Err(end) = self.poll_check(cx, batch)
        {
            self.end(end, batch);
        }
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
        self.leave();
        if let Some(reason) = self.hub.deregister(&self.link, self.unwound as usize) {
            log::debug!("{} - Client connection closed: {reason}", self.link.describe());
            self.hub.events.disconnected(&self.hub, &self.link, &self.claimed, &reason.to_string());
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
