//! What happens to clients, on its way to those who listen in the system account.
//!
//! Whoever serves a client looks whether anybody listens, which is all that it costs when nobody does, and leaves the event
//! in a bounded queue.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use natsd_api::{ClientInfo, DataStats, Time};
use natsd_auth::account::GLOBAL;
use natsd_core::error::CloseReason;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use crate::hub::account::Account;
use crate::hub::{Hub, client_info};
use crate::link::Link;

/// Events that may wait. More are lost, and counted.
const QUEUE: usize = 4096;

/// Something that happened.
pub(crate) struct Event {
    /// Where it is told; `None` in the system account.
    pub account: Option<Arc<Account>>,
    pub subject: String,
    pub at: SystemTime,
    pub client: ClientInfo,
    /// If the client went, or was not let in: what it had sent and got, and why.
    pub end: Option<End>,
}

/// See [`Event`].
#[derive(Debug)]
pub(crate) struct End {
    pub sent: DataStats,
    pub received: DataStats,
    pub reason: String,
}

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Events {
    outlet: OnceLock<Outlet>,
    lost: AtomicU64,
    changed: Mutex<Vec<Arc<Account>>>,
    wake: Notify,
}

struct Outlet {
    system: Arc<Account>,
    queue: mpsc::Sender<Event>,
}

impl Events {
    /// From now on events are told in the account `system`. `None` if they are already.
    pub(super) fn open(&self, system: Arc<Account>) -> Option<mpsc::Receiver<Event>> {
        let (queue, events) = mpsc::channel(QUEUE);
        self.outlet.set(Outlet { system, queue }).ok()?;
        Some(events)
    }

    /// Events that were lost since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Relaxed)
    }

    fn tell(&self, subject: impl FnOnce() -> String, event: impl FnOnce(String) -> Option<Event>) {
        let Some(outlet) = self.outlet.get() else { return };
        self.tell_in(&outlet.system, subject, event);
    }

    fn tell_in(
        &self,
        account: &Account,
        subject: impl FnOnce() -> String,
        event: impl FnOnce(String) -> Option<Event>,
    ) {
        let Some(outlet) = self.outlet.get() else { return };
        let subject = subject();
        if account.has_interest(subject.as_bytes())
            && let Some(event) = event(subject)
            && outlet.queue.try_send(event).is_err()
        {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// A client has said who it is.
    pub(crate) fn connected(&self, hub: &Hub, link: &Link) {
        let subject = || format!("$SYS.ACCOUNT.{}.CONNECT", link.account_name());
        self.tell(subject, |subject| {
            Some(Event { account: None, subject, at: SystemTime::now(), client: about(hub, link)?, end: None })
        });
    }

    /// A client is gone that said it is `claimed`.
    pub(crate) fn disconnected(&self, hub: &Hub, link: &Link, claimed: &str, reason: &str) {
        let account = link.account.load();
        let name = account.as_ref().map_or_else(|| GLOBAL.into(), |account| account.display_name());
        let subject = || format!("$SYS.ACCOUNT.{name}.DISCONNECT");
        self.tell(subject, |subject| ended(hub, link, claimed, subject, reason));
    }

    /// A client that said it is `claimed` was not let in. `account`, that of clients that name none or that of who decided, is told
    /// as well, for a reason of its own.
    pub(crate) fn refused(&self, hub: &Hub, link: &Link, claimed: &str, (account, why): (&Arc<Account>, &str)) {
        let reason = &CloseReason::AuthenticationFailure.to_string();
        let subject = || format!("$SYS.SERVER.{}.CLIENT.AUTH.ERR", hub.identity.id);
        self.tell(subject, |subject| ended(hub, link, claimed, subject, reason));
        let subject = || "$SYS.ACCOUNT.CLIENT.AUTH.ERR".to_owned();
        self.tell_in(account, subject, |subject| {
            let event = ended(hub, link, claimed, subject, why)?;
            let client = ClientInfo { account: account.display_name(), ..event.client };
            Some(Event { account: Some(account.clone()), client, ..event })
        });
    }

    /// `account` has more or fewer clients than it had.
    pub(crate) fn count_changed(&self, account: &Arc<Account>) {
        if self.outlet.get().is_some() && *account.name != *GLOBAL.as_bytes() && account.owes_count() {
            self.changed.lock().push(account.clone());
            self.wake.notify_one();
        }
    }

    /// Waits until there are accounts whose number of clients has changed, and takes them.
    pub(super) async fn changed(&self) -> Vec<Arc<Account>> {
        loop {
            let changed = std::mem::take(&mut *self.changed.lock());
            if !changed.is_empty() {
                // Before they are looked at: what changes after that is news.
                changed.iter().for_each(|account| account.tell_count());
                return changed;
            }
            self.wake.notified().await;
        }
    }
}

fn ended(hub: &Hub, link: &Link, claimed: &str, subject: String, reason: &str) -> Option<Event> {
    let at = SystemTime::now();
    let rtt = link.rtt.load(Relaxed);
    let about = about(hub, link)?;
    let user = if about.user.is_empty() { claimed.to_owned() } else { about.user.clone() };
    let client = ClientInfo { stop: Some(Time(at)), rtt, user, ..about };
    let (msgs, bytes) = (link.received.msgs.load(Relaxed), link.received.bytes.load(Relaxed));
    let sent = DataStats { msgs, bytes, ..DataStats::default() };
    let received = {
        let out = link.outbound();
        DataStats { msgs: out.msgs, bytes: out.bytes, ..DataStats::default() }
    };
    Some(Event { account: None, subject, at, client, end: Some(End { sent, received, reason: reason.into() }) })
}

/// What is told of a client: of its server the event itself tells.
fn about(hub: &Hub, link: &Link) -> Option<ClientInfo> {
    let info = client_info::detailed(hub, link)?;
    let account = if info.account.is_empty() { GLOBAL.into() } else { info.account };
    Some(ClientInfo {
        name_tag: hub.accounts.get(account.as_bytes()).map_or_else(|| account.clone(), |it| it.title()),
        account,
        rtt: 0,
        server: String::new(),
        cluster: String::new(),
        alternates: Vec::new(),
        ..info
    })
}
