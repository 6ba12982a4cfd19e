//! What an operator says of accounts: their limits, and what they share with each other.

mod export;
mod import;
mod share;

use std::sync::Arc;

use natsd_core::transform::Mappings;

pub use export::{Access, Export, Latency, ResponseType, Sampling, Service};
pub use import::{Import, ImportKind};
pub use share::{SharingError, approved, check};

/// Account of clients that name none.
pub const GLOBAL: &str = "$G";
/// Account of the servers themselves, unless another one is named.
pub const SYSTEM: &str = "$SYS";

/// An account as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSpec {
    /// Its name; of one that comes by a JWT, its public key.
    pub name: String,
    /// What people call it, if that is something else.
    pub title: String,
    /// Public key that is configured for it.
    pub nkey: Option<String>,
    /// What published subjects become.
    pub mappings: Arc<Mappings>,
    /// Bounds.
    pub limits: AccountLimits,
    /// What other accounts may import.
    pub exports: Vec<Export>,
    /// What it imports of other accounts.
    pub imports: Vec<Import>,
    /// Where traces go of messages that ask for one by `traceparent` alone.
    pub trace: Option<TraceTarget>,
}

/// Where traces of messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceTarget {
    /// A subject in the account, without wildcards.
    pub subject: String,
    /// How many of a hundred messages are traced.
    pub sampling: u8,
}

/// Bounds of an account; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Clients at the same time.
    pub connections: Option<u64>,
    /// Subscriptions of one client.
    pub subscriptions: Option<u64>,
    /// Bytes of a message, its header included.
    pub payload: Option<u64>,
    /// Leaf nodes at the same time.
    pub leaf_nodes: Option<u64>,
}

impl AccountSpec {
    /// One of which nothing is said but its name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The exports that cover `subject`, an equal one first.
    fn exports_of<'a, 's>(&'a self, subject: &'s str) -> impl Iterator<Item = &'a Export> + use<'a, 's> {
        let equal = self.exports.iter().filter(move |export| *export.subject == *subject);
        let covering = self.exports.iter().filter(move |export| *export.subject != *subject && export.covers(subject));
        equal.chain(covering)
    }
}
