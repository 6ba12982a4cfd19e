//! The account of the servers: who may be asked what there, and what is told without being asked.
//!
//! `post` is this server as a subscriber and publisher; [`events`] is where those who serve clients leave what happens to
//! them; [`requests`] answers out of what monitoring knows; [`servers`] remembers what other servers tell. One task does it
//! all, beside those that carry messages; [`claims`] is another one, for operator mode.

mod claims;
mod conns;
pub(crate) mod events;
mod options;

mod requests;
mod servers;
mod stats;
mod user;
mod voice;

use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_api::{AccountConns, ApiError, ConnectEvent, DisconnectEvent, ServerStatsMsg, to_compact_json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant as Moment, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::hub::{Hub, remote_latency};
use crate::monitor::documents::Documents;
use crate::post::{Delivery, Post, deliveries};
use claims::Claims;
use events::Event;
use options::Options;
use requests::{DOCUMENTS, NoQuery, Query};
use servers::Servers;
use voice::Voice;

/// Between two `STATSZ`, at first and later on.
const STATSZ: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Between two `STATSZ` at least, however many servers come.
const STATSZ_PAUSE: Duration = Duration::from_secs(1);
/// Between two tellings of how many clients accounts have, without news.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a server that ends waits until it has said so.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a reload may take before whoever asked is told that it takes too long.
const RELOAD: Duration = Duration::from_secs(30);
/// Bytes that may wait to be taken by this server.
const MAX_PENDING: usize = 64 << 20;
/// What may be asked of a server, or of all of them.
const ASKED_OF_ALL: [&str; 5] = ["IDZ", "STATSZ", "HEALTHZ", "PROFILEZ", "RAFTZ"];
/// What may be asked of a server alone.
const ASKED_OF_ONE: [&str; 3] = ["RELOAD", "KICK", "LDM"];
/// What may be asked of an account.
const ASKED_OF_ACCOUNTS: [&str; 7] = ["SUBSZ", "CONNZ", "LEAFZ", "JSZ", "INFO", "STATZ", "CONNS"];

/// Somebody asks for a reload, and waits for what comes of it.
pub(crate) type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the system account needs to know of a server.
pub(crate) struct Surroundings {
    pub documents: Documents,
    /// Where it takes clients, as configured.
    pub host: String,
    pub reload: mpsc::Sender<ReloadRequest>,
}

/// The task that listens and speaks in the system account; it ends when this is dropped.
pub(crate) struct System {
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

/// What the server wants said.
struct Order {
    /// `LAMEDUCK` or `SHUTDOWN`.
    what: &'static str,
    done: oneshot::Sender<()>,
}

impl System {
    /// Begins. `None` without a system account.
    pub(crate) fn start(hub: &Arc<Hub>, around: Surroundings) -> Option<Self> {
        let account = hub.accounts.get(hub.options().system_account.as_ref()?.as_bytes())?;
        let events = hub.events.open(account.clone())?;
        let Surroundings { documents, host, reload } = around;
        let post = Arc::new(open(hub, &account, &documents));
        let voice = Voice::new(hub.clone(), post.clone(), host.into());
        let (orders, received) = mpsc::channel(4);
        let service = Service {
            hub: hub.clone(),
            claims: Claims::start(hub, &voice),
            post,
            voice,
            documents,
            reload,
            servers: Servers::default(),
            pace: STATSZ.0,
            next_statsz: Instant::now() + STATSZ.0,
            last_statsz: None,
        };
        Some(Self { orders, task: tokio::spawn(service.run(events, received)) })
    }

    /// Tells the other servers that clients are sent away.
    pub(crate) async fn tell_lame_duck(&self) {
        self.tell("LAMEDUCK").await;
    }

    /// Tells the other servers that this one ends.
    pub(crate) async fn tell_shutdown(&self) {
        self.tell("SHUTDOWN").await;
    }

    async fn tell(&self, what: &'static str) {
        let (done, said) = oneshot::channel();
        if self.orders.try_send(Order { what, done }).is_ok() {
            let _ = timeout(LAST_WORDS, said).await;
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Subscribes to all that this server answers.
fn open(hub: &Arc<Hub>, account: &Arc<crate::hub::account::Account>, documents: &Documents) -> Post {
    let mut post = Post::open(hub.clone(), account.clone(), MAX_PENDING);
    let id = &hub.identity.id;
    let known = DOCUMENTS.iter().filter(|document| documents.has(document.path)).map(|document| document.name);
    post.subscribe("$SYS.REQ.SERVER.PING");
    for name in known.chain(ASKED_OF_ALL) {
        post.subscribe(&format!("$SYS.REQ.SERVER.PING.{name}"));
        post.subscribe(&format!("$SYS.REQ.SERVER.{id}.{name}"));
    }
    for name in ASKED_OF_ONE {
        post.subscribe(&format!("$SYS.REQ.SERVER.{id}.{name}"));
    }
    for name in ASKED_OF_ACCOUNTS.into_iter().filter(|name| *name != "LEAFZ" || documents.has("/leafz")) {
        post.subscribe(&format!("$SYS.REQ.ACCOUNT.*.{name}"));
    }
    // The server of who asks is the one that knows.
    post.subscribe_here("$SYS.REQ.USER.*.INFO");
    post.subscribe("$SYS.SERVER.ACCOUNT.*.CONNS");
    post.subscribe(&format!("$SYS._INBOX_.{id}"));
    post.subscribe(&remote_latency::told_at(hub));
    for name in ["STATSZ", "SHUTDOWN", "LAMEDUCK"] {
        post.subscribe(&format!("$SYS.SERVER.*.{name}"));
    }
    post
}

struct Service {
    hub: Arc<Hub>,
    post: Arc<Post>,
    claims: Option<Claims>,
    voice: Voice,
    documents: Documents,
    reload: mpsc::Sender<ReloadRequest>,
    servers: Servers,
    /// Between two `STATSZ` now.
    pace: Duration,
    next_statsz: Instant,
    last_statsz: Option<Instant>,
}

impl Service {
    async fn run(mut self, mut events: mpsc::Receiver<Event>, mut orders: mpsc::Receiver<Order>) {
        let mut heartbeat = interval_at(Moment::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hub = self.hub.clone();
        loop {
            let post = self.post.clone();
            tokio::select! {
                Some(order) = orders.recv() => {
                    let server = self.voice.server();
                    self.voice.say(&format!("$SYS.SERVER.{}.{}", server.id, order.what), &server);
                    // Who waits may have given up.
                    let _ = order.done.send(());
                }
                input = post.next() => match input {
                    Some(input) => self.take(&input).await,
                    None => self.reopen(),
                },
                Some(event) = events.recv() => self.tell(event),
                changed = hub.events.changed() => changed.iter().for_each(|account| self.tell_count(account)),
                () = sleep_until(self.next_statsz.into()) => self.tell_statsz(Instant::now()).await,
                _ = heartbeat.tick() => self.beat(Instant::now()),
            }
        }
    }

    /// Too much waited: begins anew.
    fn reopen(&mut self) {
        log::warn!("More was sent in the system account than this server could take; some of it is lost");
        let Some(name) = self.hub.options().system_account.clone() else { return };
        let Some(account) = self.hub.accounts.get(name.as_bytes()) else { return };
        self.post = Arc::new(open(&self.hub, &account, &self.documents));
        self.voice.move_to(self.post.clone());
    }

    async fn take(&mut self, input: &[u8]) {
        for delivery in deliveries(input) {
            let tokens: Vec<_> = delivery.subject.split('.').collect();
            match tokens[..] {
                ["$SYS", "REQ", "SERVER", "PING"] => self.answer_server("STATSZ", true, &delivery).await,
                ["$SYS", "REQ", "SERVER", who, name] => self.answer_server(name, who == "PING", &delivery).await,
                ["$SYS", "REQ", "ACCOUNT", account, "CONNS"] => self.answer_count(account, &delivery),
                ["$SYS", "REQ", "ACCOUNT", account, name] => {
                    let query = |options: &Options| requests::of_account(account, name, options);
                    self.answer_query(query, &delivery).await;
                }
                ["$SYS", "REQ", "USER", _, "INFO"] => self.answer_user(&delivery),
                ["$SYS", "SERVER", "ACCOUNT", _, "CONNS"] | ["$SYS", "_INBOX_", _] => self.hear_count(&delivery),
                ["$SYS", "SERVER", _, "STATSZ"] => self.hear_statsz(&delivery).await,
                ["$SYS", "LATENCY", "M2", _] => remote_latency::hear(&self.hub, delivery.payload),
                ["$SYS", "SERVER", server, "SHUTDOWN" | "LAMEDUCK"] => self.forget(server),
                _ => {}
            }
        }
    }

    async fn answer_server(&mut self, name: &str, all: bool, request: &Delivery<'_>) {
        match name {
            "IDZ" => {
                if let Some(reply) = request.reply {
                    self.voice.say(reply, &self.voice.server_id());
                }
            }
            "STATSZ" => self.answer_statsz(request).await,
            "RELOAD" | "KICK" | "LDM" if !all => {
                if let (Some(options), Some(reply)) = (self.options(request), request.reply) {
                    self.obey(name, &options, reply);
                }
            }
            name => self.answer_query(|options| requests::of_server(name, options), request).await,
        }
    }

    /// The options of a request that means this server; else there is no answer, or one that says what is wrong.
    fn options(&self, request: &Delivery<'_>) -> Option<Options> {
        let mut wrong = None;
        let read = Options::read(request.payload);
        let meant = read.as_ref().is_ok_and(|options| {
            self.voice.is_meant(|own| {
                options.mean(own).unwrap_or_else(|error| {
                    wrong = Some(error);
                    false
                })
            })
        });
        match (read, wrong) {
            (Ok(options), None) => Some(options).filter(|_| meant),
            (Ok(_), Some(error)) | (Err(error), _) => {
                self.refuse(request, &error.to_string());
                None
            }
        }
    }

    fn refuse(&self, request: &Delivery<'_>, why: &str) {
        if let Some(reply) = request.reply {
            self.voice.answer(reply, Err(ApiError { code: 400, description: why.to_owned() }));
        }
    }

    async fn answer_query(&self, query: impl FnOnce(&Options) -> Result<Query, NoQuery>, request: &Delivery<'_>) {
        let (Some(reply), Some(options)) = (request.reply, self.options(request)) else { return };
        match query(&options) {
            Ok(query) => {
                let documents = self.documents.clone();
                let answer = tokio::task::spawn_blocking(move || query.run(&documents)).await;
                let failed = || Some(Err(ApiError { code: 500, description: "internal error".into() }));
                if let Some(answer) = answer.unwrap_or_else(|_| failed()) {
                    self.voice.answer(reply, answer.map(Some));
                }
            }
            Err(NoQuery::Options(error)) => self.refuse(request, &error.to_string()),
            Err(NoQuery::Unknown) => {}
        }
    }

    /// Does what an operator wants done.
    fn obey(&self, what: &str, options: &Options, reply: &str) {
        if what == "RELOAD" {
            return self.ask_for_reload(reply);
        }
        let cid = options.number("cid").map_err(|error| ApiError { code: 400, description: error.to_string() });
        let done = cid.and_then(|cid| {
            let cid = u64::try_from(cid).unwrap_or(0);
            let done = if what == "KICK" { kick(&self.hub, cid) } else { send_away(&self.hub, cid) };
            done.map_err(|why| ApiError { code: 500, description: why.into() })
        });
        self.voice.answer(reply, done.map(|()| None));
    }

    fn ask_for_reload(&self, reply: &str) {
        let (request, outcome) = oneshot::channel();
        let failed = |description: &str| Err(ApiError { code: 500, description: description.to_owned() });
        if self.reload.try_send(request).is_err() {
            return self.voice.answer(reply, failed("other reloads are under way; try again later"));
        }
        let (voice, reply) = (self.voice.clone(), reply.to_owned());
        tokio::spawn(async move {
            let answer = match timeout(RELOAD, outcome).await {
                Ok(Ok(Ok(()))) => Ok(None),
                Ok(Ok(Err(why))) => failed(&why),
                Ok(Err(_)) => failed("the server ends"),
                Err(_) => failed("the reload takes too long; the log tells what comes of it"),
            };
            voice.answer(&reply, answer);
        });
    }

    fn answer_user(&self, request: &Delivery<'_>) {
        let Some(reply) = request.reply else { return };
        let wrong = || ApiError { code: 400, description: String::new() };
        let info = user::info(&self.hub, request.header).ok_or_else(wrong);
        self.voice.answer(reply, info.map(|info| Some(natsd_api::to_compact_json(&info))));
    }

    async fn answer_statsz(&mut self, request: &Delivery<'_>) {
        if self.options(request).is_none() {
            return;
        }
        match request.reply {
            Some(reply) => self.say_statsz(reply).await,
            None => {
                self.last_statsz = None;
                self.tell_statsz(Instant::now()).await;
            }
        }
    }

    /// Tells all others, unless that was done a moment ago.
    async fn tell_statsz(&mut self, now: Instant) {
        let again = self.last_statsz.map(|last| last + STATSZ_PAUSE.min(self.pace));
        if let Some(again) = again.filter(|again| *again > now) {
            self.next_statsz = again;
            return;
        }
        self.last_statsz = Some(now);
        self.pace = (self.pace * 2).min(STATSZ.1);
        self.next_statsz = now + self.pace;
        let subject = format!("$SYS.SERVER.{}.STATSZ", self.voice.id());
        if self.voice.has_audience(&subject) {
            self.say_statsz(&subject).await;
        }
    }

    async fn say_statsz(&self, subject: &str) {
        let (hub, documents, others) = (self.hub.clone(), self.documents.clone(), self.servers.len());
        let stats = tokio::task::spawn_blocking(move || stats::collect(&hub, &documents, others)).await;
        if let Ok(statsz) = stats {
            self.voice.say(subject, &ServerStatsMsg { server: self.voice.server(), statsz });
        }
    }

    async fn hear_statsz(&mut self, told: &Delivery<'_>) {
        let Ok(told) = serde_json::from_slice::<ServerStatsMsg>(told.payload) else { return };
        if told.server.id == self.voice.id() || !self.servers.hear(&told.server, Instant::now()) {
            return;
        }
        self.tell_claims();
        self.ask_for_counts();
        self.tell_statsz(Instant::now()).await;
    }

    /// Tells of what happened to a client.
    fn tell(&self, event: Event) {
        let Event { account, subject, at, client, end } = event;
        let server = self.voice.server();
        let text = match end {
            None => {
                let head = voice::event_head(ConnectEvent::TYPE, at);
                to_compact_json(&ConnectEvent { head, server, client })
            }
            Some(events::End { sent, received, reason }) => {
                let head = voice::event_head(DisconnectEvent::TYPE, at);
                to_compact_json(&DisconnectEvent { head, server, client, sent, received, reason })
            }
        };
        self.post.publish_in(account.as_ref(), &subject, &text);
    }

    /// What is done from time to time.
    fn beat(&mut self, now: Instant) {
        let lost = self.hub.events.take_lost();
        if lost > 0 {
            log::warn!("{lost} events of the system account came too fast to be told");
        }
        for server in self.servers.silent(now) {
            log::debug!("Server {server} has said nothing for a while: it is taken for gone");
            self.forget(&server);
        }
        for account in self.hub.accounts.all().iter().filter(|account| account.client_count() > 0) {
            self.tell_count(account);
        }
    }
}

/// Ends the connection of a client.
fn kick(hub: &Hub, cid: u64) -> Result<(), &'static str> {
    use crate::link::Kind;
    let link = hub.link(cid).filter(|link| link.kind == Kind::Client).ok_or("no such client or leafnode id")?;
    link.close(natsd_core::error::CloseReason::Kicked);
    Ok(())
}

/// Tells a client that it had better go to another server.
fn send_away(hub: &Hub, cid: u64) -> Result<(), &'static str> {
    use std::sync::atomic::Ordering::Relaxed;
    let link = hub.link(cid).ok_or("no such client id")?;
    let listener = link.listener.as_ref().ok_or("no such client id")?;
    if !link.welcomed.load(Relaxed) {
        return Err("client does not support Lame Duck Mode or is not ready to receive the notification");
    }
    let info = natsd_core::info::Info { ldm: true, ..listener.info(hub, &link, true) };
    link.send_now(|out| info.write(out));
    Ok(())
}
