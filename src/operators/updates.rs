//! What is asked, in the system account, of a server that keeps accounts: to take others, to tell which it has, and to
//! forget some. `system::claims` listens there to [`subjects`], hands each message to [`Operators::take`], on a thread that
//! may wait for the disk, and publishes the answers.

use std::collections::HashSet;
use std::time::SystemTime;

use natsd_auth::jwt::{Account, Claims, Generic};
use serde_json::{Value, json};

use super::{Operators, seconds};
use crate::accounts_store::{StoreError, deletions};
use crate::config::options::{Delete, OperatorOptions, Resolver};
use crate::hub::Hub;

/// What somebody who asked is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As it is.
    Text(String),
    /// As `data`, beside who answers.
    Data(Value),
    /// As `error`, beside who answers.
    Error(Value),
}

/// What a server with these options has to listen to in the system account, and in which queue group.
pub(crate) fn subjects(options: &OperatorOptions) -> Vec<(&'static str, Option<&'static str>)> {
    let mut subjects = vec![("$SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE", None), ("$SYS.ACCOUNT.*.CLAIMS.UPDATE", None)];
    let (full, cache) = kinds(options);
    if full || cache {
        let of_both = ["$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.CLAIMS.DELETE"];
        subjects.extend(of_both.map(|subject| (subject, None)));
    }
    if full {
        subjects.push(("$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", None));
        subjects.push(("$SYS.REQ.CLAIMS.PACK", Some("responder")));
    }
    subjects
}

/// Whether the resolver has a directory with all accounts, or with those that were asked for.
fn kinds(options: &OperatorOptions) -> (bool, bool) {
    let resolver = options.resolver.as_ref();
    (matches!(resolver, Some(Resolver::Full { .. })), matches!(resolver, Some(Resolver::Cache { .. })))
}

fn done(account: &str, message: &str) -> Answer {
    let mut data = json!({ "code": 200, "message": message });
    if !account.is_empty() {
        data["account"] = account.into();
    }
    Answer::Data(data)
}

fn failed(account: &str, message: &str, problem: &dyn std::fmt::Display) -> Answer {
    let of_account = if account.is_empty() { String::new() } else { format!(" - {account}") };
    log::error!("{message}{of_account} - {problem}");
    let mut error = json!({ "code": 500, "description": format!("{message} - {problem}") });
    if !account.is_empty() {
        error["account"] = account.into();
    }
    Answer::Error(error)
}

impl Operators {
    /// Does what a message asks for; what is to be answered, each as a message of its own.
    pub(crate) fn take(&self, hub: &Hub, subject: &str, payload: &[u8]) -> Vec<Answer> {
        let options = hub.options().clone();
        let Some(operator) = options.operator.as_ref() else { return Vec::new() };
        let text = String::from_utf8_lossy(payload);
        let tokens: Vec<&str> = subject.split('.').collect();
        match tokens[..] {
            ["$SYS", "REQ", "ACCOUNT", key, "CLAIMS", "UPDATE"] | ["$SYS", "ACCOUNT", key, "CLAIMS", "UPDATE"] => {
                vec![self.update(hub, operator, Some(key), &text)]
            }
            ["$SYS", "REQ", "CLAIMS", "UPDATE"] => vec![self.update(hub, operator, None, &text)],
            ["$SYS", "REQ", "ACCOUNT", key, "CLAIMS", "LOOKUP"] => self.tell(key),
            ["$SYS", "REQ", "CLAIMS", "PACK"] => self.pack(payload),
            ["$SYS", "REQ", "CLAIMS", "LIST"] => self.list(),
            ["$SYS", "REQ", "CLAIMS", "DELETE"] => vec![self.delete(hub, operator, &text)],
            _ => Vec::new(),
        }
    }

    /// Takes the token of an account: of `key`, if the subject names it.
    fn update(&self, hub: &Hub, options: &OperatorOptions, key: Option<&str>, token: &str) -> Answer {
        let (full, cache) = kinds(options);
        let (what, invalid, skipped, updated) = match (full, cache) {
            (true, _) => ("jwt update resulted in error", "jwt validation failed", "", "jwt updated"),
            (_, true) => (
                "jwt update cache resulted in error",
                "jwt update cache validation failed",
                "jwt update cache skipped",
                "jwt updated cache",
            ),
            _ => ("jwt update resulted in error", "jwt update resulted in error", "jwt update skipped", "jwt updated"),
        };
        let account = match Claims::<Account>::decode(token) {
            Ok(account) => account,
            Err(problem) => return failed(key.filter(|_| !full).unwrap_or("n/a"), what, &problem),
        };
        let subject = account.registered.subject.as_str();
        if key.is_some_and(|key| key != subject) {
            return failed(key.unwrap_or_default(), what, &"subject does not match jwt content");
        }
        if !self.trust.believes(&account.registered.issuer) {
            return failed(subject, what, &"operator requires issuer to be a signing key");
        }
        if !full && self.known(subject).is_none() {
            return done(subject, skipped);
        }
        let issues = account.check(seconds());
        if issues.is_invalid() {
            return failed(subject, invalid, &format!("validation errors: {issues}"));
        }
        if let Err(problem) = account.body.mappings() {
            return failed(subject, invalid, &problem);
        }
        if let Some(store) = self.store()
            && let Err(problem) = store.lock().save(subject, token, SystemTime::now())
        {
            return failed(subject, what, &problem);
        }
        match self.changed(hub, subject, token) {
            Ok(()) => done(subject, updated),
            Err(problem) => failed(subject, what, &problem),
        }
    }

    /// An account has this token from now on: its clients see what that says.
    fn changed(&self, hub: &Hub, key: &str, token: &str) -> Result<(), natsd_auth::jwt::AccountError> {
        self.renewed(Some(key));
        self.lookups.forget_miss(key);
        let in_use = match self.known(key) {
            Some(known) => known.token != token,
            None => self.is_imported(key),
        };
        if in_use {
            let known = self.read(key, token.to_owned())?;
            self.adopt(hub, vec![known]);
        }
        Ok(())
    }

    fn is_imported(&self, key: &str) -> bool {
        let known = self.known.read();
        known.values().any(|account| account.claims.body.imports.iter().any(|import| import.account == key))
    }

    /// The token of an account; nothing in place of one that is not there.
    fn tell(&self, key: &str) -> Vec<Answer> {
        let Some(store) = self.store() else { return Vec::new() };
        match store.lock().load(key, SystemTime::now()) {
            Ok(token) => vec![Answer::Text(token.unwrap_or_default())],
            Err(problem) => {
                log::error!("Account {key:.60} cannot be looked up: {problem}");
                Vec::new()
            }
        }
    }

    fn pack(&self, their_hash: &[u8]) -> Vec<Answer> {
        let Some(store) = self.store() else { return Vec::new() };
        let lines: Result<Vec<_>, StoreError> = store.lock().pack(their_hash, SystemTime::now()).collect();
        match lines {
            Ok(lines) => lines.into_iter().chain([String::new()]).map(Answer::Text).collect(),
            Err(problem) => {
                log::error!("Accounts cannot be told to another server: {problem}");
                Vec::new()
            }
        }
    }

    fn list(&self) -> Vec<Answer> {
        let Some(store) = self.store() else { return Vec::new() };
        let keys: Vec<String> = store.lock().keys().map(str::to_owned).collect();
        vec![Answer::Data(keys.into())]
    }

    fn delete(&self, hub: &Hub, options: &OperatorOptions, message: &str) -> Answer {
        let Some(store) = self.store() else { return failed("", "delete accounts request failed", &"no store") };
        let who = Generic::decode(message).map(|request| request.registered.subject).unwrap_or_default();
        let refused = format!("delete accounts request by {who} failed");
        if matches!(options.resolver, Some(Resolver::Full { delete: Delete::Never, .. })) {
            return failed("", &refused, &"delete must be enabled in server config");
        }
        let system = options.system_account.as_deref().unwrap_or_default();
        let keys = match deletions(message, &self.trust, system) {
            Ok(keys) => keys,
            Err(problem) => return failed("", &refused, &problem),
        };
        let mut store = store.lock();
        let (mut deleted, mut problems) = (HashSet::new(), Vec::new());
        for key in keys {
            match store.delete(&key) {
                Ok(_) => drop(deleted.insert(key)),
                Err(problem) => problems.push(problem.to_string()),
            }
        }
        drop(store);
        deleted.iter().for_each(|key| self.renewed(Some(key)));
        self.forget(hub, &deleted);
        if problems.is_empty() {
            return done("", &format!("deleted {} accounts", deleted.len()));
        }
        let text = format!("deleted {} accounts, failed for {}", deleted.len(), problems.len());
        failed("", &text, &problems.join("\n"))
    }

    /// What another server's answer to `$SYS.REQ.CLAIMS.PACK` has in it, one message of it. What nobody who is believed has
    /// signed is left out.
    pub(crate) fn merge(&self, hub: &Hub, pack: &str) {
        let Some(store) = self.store() else { return };
        for line in pack.split('\n').filter(|line| !line.is_empty()) {
            let Some((key, token)) = line.split_once('|') else {
                log::error!("Another server told an account in a way that is not known");
                return;
            };
            if let Err(problem) = self.trust.account(token, key, seconds()) {
                log::error!("Account {key:.60}, which another server told: {problem}");
                continue;
            }
            // Not while others are told of it.
            let saved = store.lock().save_if_newer(key, token, SystemTime::now());
            match saved {
                Ok(false) => {}
                Ok(true) => {
                    if let Err(problem) = self.changed(hub, key, token) {
                        log::error!("Account {key}: {problem}");
                    }
                }
                Err(problem) => log::error!("Account {key}: {problem}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use data_encoding::BASE64URL_NOPAD;
    use natsd_auth::jwt::Operator;
    use nkeys::KeyPair;

    use super::*;
    use crate::config::options::Options;
    use crate::operators::look_up;
    use crate::server::identity::Identity;

    /// What was fetched before it changed is not believed after.
    #[tokio::test]
    async fn what_changes_while_it_is_looked_up_is_looked_up_again() {
        let (realm, directory) = (Realm::new(), tempfile::tempdir().unwrap());
        let hub = realm.hub(directory.path().to_owned()).await;
        let operators = hub.operators.get().unwrap();
        let key = KeyPair::new_account().public_key();
        let push = |connections, at| {
            let told = ask(&hub, "$SYS.REQ.CLAIMS.UPDATE", &realm.account(&key, connections, at));
            assert!(matches!(&told[..], [Answer::Data(_)]), "{told:?}");
        };
        push(5, 10);
        type Change<'a> = (&'a str, Box<dyn Fn() + 'a>, bool);
        let changes: [Change<'_>; 3] = [
            ("another account", Box::new(|| operators.renewed(Some("another"))), true),
            ("this account", Box::new(|| push(3, 20)), false),
            ("a reload", Box::new(|| operators.reload(&hub).unwrap()), false),
        ];
        for (what, change, stays) in changes {
            let fetch = operators.lookups.begin(&key);
            let fetched = operators.fetch_with_imports(&hub, &fetch).await;
            assert_eq!(fetched.len(), 1);
            change();
            // Not known, whoever asks next.
            assert_eq!(operators.adopt_fetched(&hub, fetched, &fetch), stays, "{what}");
            assert_eq!(operators.known(&key).is_some(), stays, "{what}");
            operators.forget(&hub, &HashSet::from([key.clone()]));
        }
        assert_eq!(look_up(hub.clone(), key).await.unwrap().claims.body.limits.account.conn, 3);
    }

    struct Realm {
        operator: KeyPair,
        system: KeyPair,
    }

    impl Realm {
        fn new() -> Self {
            Self { operator: KeyPair::new_operator(), system: KeyPair::new_account() }
        }

        async fn hub(&self, directory: PathBuf) -> Arc<Hub> {
            let body = Operator { system_account: self.system.public_key(), ..Operator::default() };
            let token = Claims::new(self.operator.public_key(), body).encode(&self.operator, 1).unwrap();
            let (interval, timeout) = (Duration::from_secs(60), Duration::from_secs(1));
            let resolver = Resolver::Full { directory, limit: None, interval, timeout, delete: Delete::Remove };
            let operator = OperatorOptions {
                operators: vec![Claims::decode(&token).unwrap()],
                resolver: Some(resolver),
                system_account: Some(self.system.public_key()),
                ..OperatorOptions::default()
            };
            let options = Options { operator: Some(operator), ..Options::default() };
            let operators = Operators::open(&options).await.unwrap().unwrap();
            let hub = Arc::new(Hub::new(options.clone(), Identity::generate(&options)));
            assert!(hub.operators.set(operators).is_ok());
            hub
        }

        fn account(&self, key: &str, connections: i64, at: i64) -> String {
            let mut body = Account::unlimited();
            body.limits.account.conn = connections;
            Claims::new(key, body).encode(&self.operator, at).unwrap()
        }

        /// Asks that an account be deleted; `by` says so.
        fn deletion(&self, key: &str, by: &KeyPair) -> String {
            let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
            let own = by.public_key();
            let claims = json!({ "iss": own, "sub": own, "nats": { "accounts": [key], "type": "generic" } });
            let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
            let signature = BASE64URL_NOPAD.encode(&by.sign(signed.as_bytes()).unwrap());
            format!("{signed}.{signature}")
        }
    }

    fn ask(hub: &Hub, subject: &str, payload: &str) -> Vec<Answer> {
        hub.operators.get().unwrap().take(hub, subject, payload.as_bytes())
    }

    fn is_error(answers: &[Answer], text: &str) -> bool {
        matches!(answers, [Answer::Error(error)] if error["description"].as_str().unwrap().contains(text))
    }

    #[tokio::test]
    async fn what_is_pushed_is_kept_told_obeyed_and_forgotten() {
        let (realm, directory) = (Realm::new(), tempfile::tempdir().unwrap());
        let hub = realm.hub(directory.path().join("one")).await;
        let key = KeyPair::new_account().public_key();
        let token = realm.account(&key, 5, 10);
        let updated = |key: &str| json!({ "account": key, "code": 200, "message": "jwt updated" });
        let push = "$SYS.REQ.CLAIMS.UPDATE";
        assert_eq!(ask(&hub, push, &token), [Answer::Data(updated(&key))]);
        assert_eq!(ask(&hub, "$SYS.REQ.CLAIMS.LIST", ""), [Answer::Data(json!([key]))]);
        assert_eq!(ask(&hub, &format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP"), ""), [Answer::Text(token.clone())]);
        let limit = |hub: &Hub| hub.accounts.get(key.as_bytes()).and_then(|account| account.spec().limits.connections);
        assert_eq!(limit(&hub), None);
        assert!(look_up(hub.clone(), key.clone()).await.is_some());
        assert_eq!(limit(&hub), Some(5));
        let newer = realm.account(&key, 3, 20);
        let of_one = format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.UPDATE");
        assert_eq!(ask(&hub, &of_one, &newer), [Answer::Data(updated(&key))]);
        assert_eq!(limit(&hub), Some(3));

        let stranger = Realm::new();
        assert!(is_error(&ask(&hub, push, &stranger.account(&key, 1, 30)), "signing key"));
        let other = realm.account(&KeyPair::new_account().public_key(), 1, 30);
        assert!(is_error(&ask(&hub, &of_one, &other), "subject does not match"));
        assert!(is_error(&ask(&hub, push, "x"), "expected 3 chunks"));
        assert_eq!(limit(&hub), Some(3));

        let second = realm.hub(directory.path().join("two")).await;
        let packed = hub.operators.get().unwrap().take(&hub, "$SYS.REQ.CLAIMS.PACK", &[0; 32]);
        assert_eq!(packed, [Answer::Text(format!("{key}|{newer}")), Answer::Text(String::new())]);
        let foreign = format!("{key}|{}", stranger.account(&key, 1, 30));
        for pack in [foreign.as_str(), &format!("{key}|{newer}"), "odd"] {
            second.operators.get().unwrap().merge(&second, pack);
        }
        assert!(look_up(second.clone(), key.clone()).await.is_some());
        assert_eq!(limit(&second), Some(3));
        let hash = second.operators.get().unwrap().store().unwrap().lock().hash();
        let same = hub.operators.get().unwrap().take(&hub, "$SYS.REQ.CLAIMS.PACK", &hash);
        assert_eq!(same, [Answer::Text(String::new())]);

        let delete = "$SYS.REQ.CLAIMS.DELETE";
        assert!(is_error(&ask(&hub, delete, &realm.deletion(&key, &stranger.operator)), "not trusted"));
        let system = realm.deletion(&realm.system.public_key(), &realm.operator);
        assert!(is_error(&ask(&hub, delete, &system), "system account"));
        let done = Answer::Data(json!({ "code": 200, "message": "deleted 1 accounts" }));
        assert_eq!(ask(&hub, delete, &realm.deletion(&key, &realm.operator)), [done]);
        assert_eq!(ask(&hub, "$SYS.REQ.CLAIMS.LIST", ""), [Answer::Data(json!([]))]);
        assert!(look_up(hub.clone(), key.clone()).await.is_none());
        assert!(hub.accounts.get(key.as_bytes()).is_none());
    }
}
