//! How many clients accounts have, here and at other servers: limits hold for all of them together.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use natsd_auth::account::GLOBAL;
use natsd_core::encode::write_error;
use natsd_core::error::ClientError;
use serde::{Deserialize, Serialize};

use super::{AccountConns, Delivery, Service, voice};
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::link::Kind;
use crate::monitor::accounts;

/// Asks other servers how many clients an account has there.
#[derive(Serialize, Deserialize)]
struct CountRequest {
    #[serde(default)]
    server: natsd_api::ServerInfo,
    #[serde(rename = "acc")]
    account: String,
}

impl Service {
    /// Tells how many clients `account` has here.
    pub(super) fn tell_count(&self, account: &Account) {
        let name = account.display_name();
        if name == GLOBAL {
            return;
        }
        let subjects = [format!("$SYS.SERVER.ACCOUNT.{name}.CONNS"), format!("$SYS.ACCOUNT.{name}.SERVER.CONNS")];
        if subjects.iter().any(|subject| self.voice.has_audience(subject)) {
            let told = self.count_of(account);
            subjects.iter().for_each(|subject| self.voice.say(subject, &told));
        }
    }

    fn count_of(&self, account: &Account) -> AccountConns {
        let head = voice::event_head(AccountConns::TYPE, SystemTime::now());
        AccountConns { head, server: self.voice.server(), stat: accounts::stat(account) }
    }

    /// Another server asks how many clients an account has here.
    pub(super) fn answer_count(&self, account: &str, request: &Delivery<'_>) {
        let asked = serde_json::from_slice::<CountRequest>(request.payload);
        let meant = request.payload.is_empty() || asked.is_ok_and(|asked| asked.account == account);
        if let (true, Some(reply), Some(account)) = (meant, request.reply, self.hub.accounts.get(account.as_bytes()))
            && account.client_count() > 0
        {
            self.voice.say(reply, &self.count_of(&account));
        }
    }

    /// Asks the other servers how many clients those accounts have there that may not have any number of them.
    pub(super) fn ask_for_counts(&self) {
        let reply = format!("$SYS._INBOX_.{}", self.voice.id());
        for account in self.hub.accounts.all() {
            if account.spec().limits.connections.is_some() {
                let name = account.display_name();
                let subject = format!("$SYS.REQ.ACCOUNT.{name}.CONNS");
                self.voice.ask(&subject, &reply, &CountRequest { server: self.voice.server(), account: name });
            }
        }
    }

    /// Another server tells how many clients an account has there.
    pub(super) fn hear_count(&mut self, told: &Delivery<'_>) {
        let Ok(told) = serde_json::from_slice::<AccountConns>(told.payload) else { return };
        if told.server.id == self.voice.id() {
            return;
        }
        self.servers.hear(&told.server, Instant::now());
        // Of accounts that are not here nothing is remembered.
        if let Some(account) = self.hub.accounts.get(told.stat.account.as_bytes()) {
            let elsewhere = self.servers.count(&told);
            shed(&self.hub, &account, account.set_clients_elsewhere(elsewhere));
        }
    }

    /// A server is gone, and its clients with it.
    pub(super) fn forget(&mut self, server: &str) {
        for (account, elsewhere) in self.servers.forget(server) {
            if let Some(account) = self.hub.accounts.get(account.as_bytes()) {
                account.set_clients_elsewhere(elsewhere);
            }
        }
        self.tell_claims();
    }

    /// How many other servers are there is news to operator mode.
    pub(super) fn tell_claims(&self) {
        if let Some(claims) = &self.claims {
            claims.hear_of_servers(self.servers.len());
        }
    }
}

/// Sends the youngest clients of `account` away that are too many.
fn shed(hub: &Hub, account: &Arc<Account>, surplus: u64) {
    if surplus == 0 {
        return;
    }
    let of_account =
        |link: &crate::link::Link| link.account.load().as_ref().is_some_and(|its| Arc::ptr_eq(its, account));
    let links = hub.links();
    let clients = links.iter().rev().filter(|link| link.kind == Kind::Client && !link.is_closing() && of_account(link));
    for link in clients.take(usize::try_from(surplus).unwrap_or(usize::MAX)) {
        let error = ClientError::MaxAccountConnections;
        log::error!("{} - {error}", link.describe());
        link.send_now(|out| write_error(out, &error.to_string()));
        link.close(natsd_core::error::CloseReason::MaxAccountConnections);
    }
}
