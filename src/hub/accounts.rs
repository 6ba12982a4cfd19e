//! All accounts, and what they take from each other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use natsd_auth::account::{AccountSpec, GLOBAL, ImportKind, Service, approved};
use parking_lot::{Mutex, RwLock};

use super::InterestObserver;
use super::account::Account;
use super::gateways::Gateways;
use super::imports::{ServiceImport, StreamImport};
use super::system_imports;

/// Accounts that peers tell of and that are not configured here, at most.
const MAX_STRANGERS: usize = 64 * 1024;

/// See the [module](self).
pub(crate) struct Accounts {
    table: RwLock<HashMap<Box<[u8]>, Entry>>,
    /// Held while accounts are configured.
    configuring: Mutex<()>,
    /// Name of the account of the servers.
    system: Mutex<Option<String>>,
    global: Arc<Account>,
    observer: Arc<OnceLock<Arc<dyn InterestObserver>>>,
    gateways: Arc<Gateways>,
}

struct Entry {
    account: Arc<Account>,
    /// Peers tell of its interest; here it is not configured, not yet or not any more.
    stranger: bool,
    /// It came by a token, not by the configuration.
    signed: bool,
}

impl Accounts {
    /// With the account of clients that name none.
    pub(super) fn new(observer: Arc<OnceLock<Arc<dyn InterestObserver>>>, gateways: Arc<Gateways>) -> Self {
        let global = Arc::new(Account::new(AccountSpec::named(GLOBAL), observer.clone(), &gateways));
        let entry = Entry { account: global.clone(), stranger: false, signed: false };
        let table = RwLock::new(HashMap::from([(GLOBAL.as_bytes().into(), entry)]));
        Self { table, configuring: Mutex::new(()), system: Mutex::default(), global, observer, gateways }
    }

    /// The account of clients that name none.
    pub(crate) fn global(&self) -> &Arc<Account> {
        &self.global
    }

    /// The account of this name, if it is configured.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Arc<Account>> {
        self.table.read().get(name).filter(|entry| !entry.stranger).map(|entry| entry.account.clone())
    }

    /// The account of this name, for the interest of peers: it may be configured here later. `None` if there are too many
    /// such accounts.
    pub(crate) fn of_peers(&self, name: &[u8]) -> Option<Arc<Account>> {
        if let Some(entry) = self.table.read().get(name) {
            return Some(entry.account.clone());
        }
        let mut table = self.table.write();
        if table.len() >= MAX_STRANGERS && !table.contains_key(name) {
            return None;
        }
        let spec = || AccountSpec::named(&String::from_utf8_lossy(name));
        let entry = table.entry(name.into()).or_insert_with(|| Entry {
            account: self.opened(Account::with_name(name, spec(), self.observer.clone(), &self.gateways)),
            stranger: true,
            signed: false,
        });
        Some(entry.account.clone())
    }

    /// The account of this name, if anybody has heard of it.
    pub(crate) fn known(&self, name: &[u8]) -> Option<Arc<Account>> {
        self.table.read().get(name).map(|entry| entry.account.clone())
    }

    /// All accounts that are configured.
    pub(crate) fn all(&self) -> Vec<Arc<Account>> {
        self.table.read().values().filter(|entry| !entry.stranger).map(|entry| entry.account.clone()).collect()
    }

    /// All accounts, of which peers may tell.
    pub(crate) fn with_strangers(&self) -> Vec<Arc<Account>> {
        self.table.read().values().map(|entry| entry.account.clone()).collect()
    }

    /// What was matched so far does not count any more.
    pub(crate) fn forget_matches(&self) {
        self.with_strangers().iter().for_each(|account| account.changed());
    }

    /// From now on these accounts are configured, and the one of clients that name none; of others only those that came by
    /// tokens. `system` names the one of the servers.
    pub(crate) fn configure(&self, specs: &[AccountSpec], system: Option<&str>) {
        *self.system.lock() = system.map(str::to_owned);
        let _alone = self.configuring.lock();
        let mut table = self.table.write();
        for entry in table.values_mut() {
            entry.stranger = !entry.signed;
        }
        let global = specs.iter().all(|spec| spec.name != GLOBAL).then(|| AccountSpec::named(GLOBAL));
        for spec in specs.iter().cloned().chain(global) {
            self.admit(&mut table, spec);
        }
        let gone: Vec<_> = table.values().filter(|entry| entry.stranger).map(|entry| entry.account.clone()).collect();
        drop(table);
        for account in gone {
            account.configure(AccountSpec::named(&account.display_name()));
            account.imports.replace(&account, Vec::new(), Vec::new());
        }
        self.bind(|_| true);
    }

    /// A new account, of which other clusters are told.
    fn opened(&self, account: Account) -> Arc<Account> {
        let account = Arc::new(account);
        self.gateways.desks().iter().for_each(|desk| account.open_for_cluster(desk));
        account
    }

    fn admit(&self, table: &mut HashMap<Box<[u8]>, Entry>, spec: AccountSpec) {
        if let Some(entry) = table.get_mut(spec.name.as_bytes()) {
            entry.stranger = false;
            // What its token says is more than its name.
            if !entry.signed {
                entry.account.configure(spec);
            }
            return;
        }
        let name: Box<[u8]> = spec.name.as_bytes().into();
        let account = self.opened(Account::new(spec, self.observer.clone(), &self.gateways));
        table.insert(name, Entry { account, stranger: false, signed: false });
    }

    /// From now on these accounts, which came by tokens, are as said. Those that import from them get what they may.
    pub(crate) fn set_signed(&self, specs: Vec<AccountSpec>) {
        let _alone = self.configuring.lock();
        let names: HashSet<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        let mut table = self.table.write();
        for spec in specs {
            let entry = table.entry(spec.name.as_bytes().into()).or_insert_with(|| {
                let named = AccountSpec::named(&spec.name);
                let account = self.opened(Account::new(named, self.observer.clone(), &self.gateways));
                Entry { account, stranger: false, signed: true }
            });
            (entry.stranger, entry.signed) = (false, true);
            entry.account.configure(spec);
        }
        drop(table);
        let imports = |spec: &AccountSpec| spec.imports.iter().any(|import| names.contains(&import.account));
        self.bind(|spec| names.contains(&spec.name) || imports(spec));
    }

    /// An account that came by a token is gone.
    pub(crate) fn remove_signed(&self, name: &str) {
        let _alone = self.configuring.lock();
        let mut table = self.table.write();
        let Some(entry) = table.get_mut(name.as_bytes()).filter(|entry| entry.signed) else { return };
        (entry.stranger, entry.signed) = (true, false);
        let account = entry.account.clone();
        drop(table);
        account.configure(AccountSpec::named(name));
        account.imports.replace(&account, Vec::new(), Vec::new());
        self.bind(|spec| spec.imports.iter().any(|import| import.account == name));
    }

    /// Lets the accounts that are `wanted` take what they import.
    fn bind(&self, wanted: impl Fn(&AccountSpec) -> bool) {
        let system = self.system.lock().as_ref().and_then(|name| self.get(name.as_bytes()));
        for account in self.all() {
            let spec = account.spec();
            if !wanted(&spec) {
                continue;
            }
            let (mut streams, mut services) = (Vec::new(), Vec::new());
            for import in &spec.imports {
                let Some(exporter) = self.get(import.account.as_bytes()) else { continue };
                let Some(export) = approved(&spec.name, import, &exporter.spec()).map(|export| export.service.clone())
                else {
                    continue;
                };
                let renaming = import.renaming.clone();
                match import.kind {
                    ImportKind::Stream => {
                        let allow_trace = import.allow_trace;
                        streams.push(Arc::new(StreamImport { exporter, renaming, allow_trace }));
                    }
                    ImportKind::Service { share } => {
                        let export: Service = export.unwrap_or_default();
                        services.push(Arc::new(ServiceImport { exporter, renaming, share, export, streams: false }));
                    }
                }
            }
            if let Some(system) = &system {
                system_imports::add(&account, system, &mut services);
            }
            account.imports.replace(&account, streams, services);
        }
    }
}
