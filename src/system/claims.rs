//! Operator mode in the system account: tokens of accounts that tools push and other servers tell, and what this server
//! lacks and asks others for.
//!
//! What messages mean is in `operators::updates`; this is how they come and go.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::MAX_PENDING;
use super::voice::Voice;
use crate::config::options::Resolver;
use crate::hub::Hub;
use crate::operators::Operators;
use crate::operators::remote::{Wanted, channel};
use crate::operators::updates::{Answer, subjects};
use crate::post::{Delivery, Post, deliveries};

/// The servers that say that they are there.
#[derive(Default)]
struct Others {
    count: AtomicUsize,
    more: Notify,
}

/// The task that listens and asks; it ends when this is dropped.
pub(super) struct Claims {
    others: Arc<Others>,
    task: JoinHandle<()>,
}

impl Claims {
    /// Begins. `None` without operators.
    pub(super) fn start(hub: &Arc<Hub>, voice: &Voice) -> Option<Self> {
        let operators = hub.operators.get()?;
        let (asker, wanted) = channel();
        operators.ask_by(asker);
        let others = Arc::<Others>::default();
        let inbox = format!("$SYS._INBOX_.{}.CLAIMS", voice.id());
        let post = open(hub, &inbox)?;
        let service = Service {
            hub: hub.clone(),
            voice: voice.through(post.clone()),
            post,
            inbox,
            asked: HashMap::new(),
            last: 0,
            others: others.clone(),
        };
        Some(Self { others, task: tokio::spawn(service.run(wanted)) })
    }

    /// So many other servers are there now. One that is new may know accounts that this one does not.
    pub(super) fn hear_of_servers(&self, count: usize) {
        if self.others.count.swap(count, Relaxed) < count {
            self.others.more.notify_one();
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn open(hub: &Arc<Hub>, inbox: &str) -> Option<Arc<Post>> {
    let options = hub.options();
    let account = hub.accounts.get(options.system_account.as_ref()?.as_bytes())?;
    let mut post = Post::open(hub.clone(), account, MAX_PENDING);
    for (subject, queue) in subjects(options.operator.as_ref()?) {
        post.subscribe_in(subject, queue);
    }
    post.subscribe(&format!("{inbox}.*"));
    Some(Arc::new(post))
}

/// An account that other servers were asked for.
struct Asked {
    found: oneshot::Sender<Option<String>>,
    /// Servers that do not have it.
    without: usize,
}

struct Service {
    hub: Arc<Hub>,
    post: Arc<Post>,
    voice: Voice,
    /// Answers come to tokens after this.
    inbox: String,
    asked: HashMap<u64, Asked>,
    last: u64,
    others: Arc<Others>,
}

impl Service {
    async fn run(mut self, mut wanted: mpsc::Receiver<Wanted>) {
        let mut compare = self.interval();
        let others = self.others.clone();
        loop {
            let post = self.post.clone();
            tokio::select! {
                input = post.next() => match input {
                    Some(input) => self.take(input).await,
                    None => self.reopen(),
                },
                Some(wanted) = wanted.recv() => self.ask(wanted),
                () = others.more.notified(), if compare.is_some() => self.compare(),
                () = tick(&mut compare) => self.compare(),
            }
        }
    }

    /// How often the directory is compared with those of others; `None` if it is not to have all accounts.
    fn interval(&self) -> Option<Interval> {
        let options = self.hub.options();
        let Some(Resolver::Full { interval, .. }) = options.operator.as_ref()?.resolver else { return None };
        let mut ticks = interval_at(Instant::now() + interval, interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(ticks)
    }

    /// Too much waited: begins anew.
    fn reopen(&mut self) {
        log::warn!(
            "More tokens of accounts came than this server could take; some are lost, and will be compared again"
        );
        if let Some(post) = open(&self.hub, &self.inbox) {
            self.voice.move_to(post.clone());
            self.post = post;
        }
    }

    /// Asks another server for what is not the same there.
    fn compare(&self) {
        let Some(operators) = self.hub.operators.get() else { return };
        // Nothing waits for the disk while it holds this for long.
        let Some(hash) = operators.store().map(|store| store.lock().hash()) else { return };
        self.post.publish_bytes("$SYS.REQ.CLAIMS.PACK", Some(&format!("{}.pack", self.inbox)), b"", &hash);
    }

    fn ask(&mut self, wanted: Wanted) {
        self.asked.retain(|_, asked| !asked.found.is_closed());
        let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", wanted.key);
        if !self.post.has_audience(&subject) {
            // Whoever asked may have given up.
            let _ = wanted.found.send(None);
            return;
        }
        self.last += 1;
        self.asked.insert(self.last, Asked { found: wanted.found, without: 0 });
        self.post.publish(&subject, Some(&format!("{}.{}", self.inbox, self.last)), "");
    }

    async fn take(&mut self, input: Vec<u8>) {
        for delivery in deliveries(&input) {
            let own = delivery.subject.strip_prefix(&self.inbox).and_then(|rest| rest.strip_prefix('.'));
            match own {
                Some("pack") => self.merge(delivery.payload).await,
                Some(id) => self.hear(id, delivery.payload),
                None => self.answer(&delivery).await,
            }
        }
    }

    /// An answer from another server: the token, or nothing.
    fn hear(&mut self, id: &str, token: &[u8]) {
        let Ok(id) = id.parse() else { return };
        let Some(asked) = self.asked.get_mut(&id) else { return };
        asked.without += usize::from(token.is_empty());
        if token.is_empty() && asked.without < self.others.count.load(Relaxed) {
            return;
        }
        if let Some(asked) = self.asked.remove(&id) {
            let token = Some(String::from_utf8_lossy(token).into_owned()).filter(|token| !token.is_empty());
            // Whoever asked may have given up.
            let _ = asked.found.send(token);
        }
    }

    async fn merge(&self, pack: &[u8]) {
        let (hub, pack) = (self.hub.clone(), String::from_utf8_lossy(pack).into_owned());
        self.on_disk(move |operators| operators.merge(&hub, &pack)).await;
    }

    async fn answer(&self, request: &Delivery<'_>) {
        let (hub, subject, payload) = (self.hub.clone(), request.subject.to_owned(), request.payload.to_vec());
        let answers = self.on_disk(move |operators| operators.take(&hub, &subject, &payload)).await;
        let Some(reply) = request.reply else { return };
        for answer in answers.into_iter().flatten() {
            self.say(reply, answer);
        }
    }

    /// Does what may have to wait for the disk; one thing after the other.
    async fn on_disk<T: Send + 'static>(&self, act: impl FnOnce(&Operators) -> T + Send + 'static) -> Option<T> {
        let hub = self.hub.clone();
        tokio::task::spawn_blocking(move || hub.operators.get().map(act)).await.ok().flatten()
    }

    fn say(&self, reply: &str, answer: Answer) {
        let server = |value: Value, name: &str| {
            let mut body = json!({ "server": self.voice.server() });
            body[name] = value;
            body
        };
        match answer {
            Answer::Text(text) => self.post.publish(reply, None, &text),
            Answer::Data(data) => self.voice.say(reply, &server(data, "data")),
            Answer::Error(error) => self.voice.say(reply, &server(error, "error")),
        }
    }
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}
