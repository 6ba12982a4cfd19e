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
    STREAMS,
];

const USER: Offer = Offer {
    local: "$SYS.REQ.USER.INFO",
    foreign: "$SYS.REQ.USER.{}.INFO",
    response: ResponseType::Singleton,
    share: true,
};

/// Streams of nats-server in the same cluster, or in another one.
const STREAMS: Offer =
    Offer { local: "$JS.API.>", foreign: "$JS.API.>", response: ResponseType::Singleton, share: true };
/// What is asked of a stream or consumer itself, which listens in the account that it is in.
const OF_STREAMS: [&[u8]; 2] = [b"$JS.API.CONSUMER.MSG.NEXT.", b"$JS.API.DIRECT.GET."];

impl ServiceImport {
    /// Whether a request is for those alone who listen in the account itself.
    pub(super) fn leaves_out(&self, subject: &[u8]) -> bool {
        self.streams && OF_STREAMS.iter().any(|prefix| subject.starts_with(prefix))
    }

    /// Leaf nodes have streams of their own under the same names, and ask for those of others by their domain.
    pub(super) fn is_told_to_leafs(&self) -> bool {
        !self.streams
    }
}

/// Adds them to the `services` that `account` takes, where it does not take the same by its configuration.
pub(super) fn add(account: &Account, system: &Arc<Account>, services: &mut Vec<Arc<ServiceImport>>) {
    let offers = if account.name == system.name { std::slice::from_ref(&USER) } else { OFFERS };
    let name = account.display_name();
    // That is what all accounts are called at once.
    if name == "PING" {
        return;
    }
    let has_streams = |import: &Arc<ServiceImport>| import.renaming.local().starts_with(b"$JS.API.");
    let elsewhere = services.iter().any(has_streams);
    for offer in offers.iter().filter(|offer| !elsewhere || offer.local != STREAMS.local) {
        // A name that is no token of a subject cannot ask.
        let Ok(renaming) = Renaming::new(&offer.foreign.replace("{}", &name), offer.local) else { continue };
        let known = |import: &Arc<ServiceImport>| {
            Arc::ptr_eq(&import.exporter, system) && import.renaming.local() == renaming.local()
        };
        if !services.iter().any(known) {
            let export = Service { response: offer.response, ..Service::default() };
            let (exporter, share, streams) = (system.clone(), offer.share, offer.local == STREAMS.local);
            services.push(Arc::new(ServiceImport { exporter, renaming, share, export, streams }));
        }
    }
}
