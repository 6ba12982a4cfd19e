//! What every account may ask the servers, in the account that these have: services that it imports without saying so.

use std::sync::Arc;

use natsd_auth::account::{ResponseType, Service};
use natsd_core::transform::Renaming;

use super::account::Account;
use super::imports::ServiceImport;

/// A service: its subject for accounts, and in the account of the servers, where `{}` is who asks.
struct Offer {
    local: &'static str,
    foreign: &'static str,
    response: ResponseType,
    /// The service is told who asks.
    share: bool,
}

const CONNECTIONS: &str = "$SYS.REQ.ACCOUNT.{}.CONNZ";

const OFFERS: &[Offer] = &[
    Offer { local: "$SYS.REQ.ACCOUNT.PING.CONNZ", foreign: CONNECTIONS, response: ResponseType::Stream, share: false },
    Offer { local: "$SYS.REQ.SERVER.PING.CONNZ", foreign: CONNECTIONS, response: ResponseType::Stream, share: false },
    Offer {
        local: "$SYS.REQ.ACCOUNT.PING.STATZ",
        foreign: "$SYS.REQ.ACCOUNT.{}.STATZ",
        response: ResponseType::Stream,
        share: false,
    },
    USER,
];

const USER: Offer = Offer {
    local: "$SYS.REQ.USER.INFO",
    foreign: "$SYS.REQ.USER.{}.INFO",
    response: ResponseType::Singleton,
    share: true,
};

/// Adds them to the `services` that `account` takes, where it does not take the same by its configuration.
pub(super) fn add(account: &Account, system: &Arc<Account>, services: &mut Vec<Arc<ServiceImport>>) {
    let offers = if account.name == system.name { std::slice::from_ref(&USER) } else { OFFERS };
    let name = account.display_name();
    // That is what all accounts are called at once.
    if name == "PING" {
        return;
    }
    for offer in offers {
        // A name that is no token of a subject cannot ask.
        let Ok(renaming) = Renaming::new(&offer.foreign.replace("{}", &name), offer.local) else { continue };
        let known = |import: &Arc<ServiceImport>| {
            Arc::ptr_eq(&import.exporter, system) && import.renaming.local() == renaming.local()
        };
        if !services.iter().any(known) {
            let export = Service { response: offer.response, ..Service::default() };
            services.push(Arc::new(ServiceImport { exporter: system.clone(), renaming, share: offer.share, export }));
        }
    }
}
