//! What is imported, as it stands in the account that exports: the shadow of who gets it in the account that imports.

use std::sync::Arc;

use natsd_core::leaf::LOOP_PREFIX;

use super::imports::StreamImport;
use super::remote::RemoteInterest;
use super::subscription::Subscription;
use crate::link::Kind;

/// Somebody who gets what the account imports.
#[derive(Clone, Copy)]
pub(super) enum Follower<'a> {
    /// A client here.
    Client(&'a Arc<Subscription>),
    /// What is at the other end of a leaf connection.
    Leaf(&'a Arc<RemoteInterest>),
}

/// See the [module](self).
pub(super) enum Shadow {
    /// Of a client's subscription.
    Client(Arc<Subscription>),
    /// Of interest at the other end of a leaf connection.
    Leaf(Arc<RemoteInterest>),
}

impl<'a> Follower<'a> {
    /// `interest`, if what is imported goes there: servers of the cluster see to that themselves.
    pub(super) fn of_leaf(interest: &'a Arc<RemoteInterest>) -> Option<Self> {
        let gets = interest.link.kind == Kind::Leaf
            && interest.imported().is_none()
            && !interest.subject().starts_with(LOOP_PREFIX);
        gets.then_some(Self::Leaf(interest))
    }

    /// What it is known by as long as it is there.
    pub(super) fn key(self) -> usize {
        match self {
            Self::Client(subscription) => Arc::as_ptr(subscription) as usize,
            Self::Leaf(interest) => Arc::as_ptr(interest) as usize,
        }
    }

    pub(super) fn subject(self) -> &'a [u8] {
        match self {
            Self::Client(subscription) => subscription.subject(),
            Self::Leaf(interest) => interest.subject(),
        }
    }

    /// What it gets of `import`, under the subject `foreign`; listed from now on where that is.
    pub(super) fn cast(self, import: &Arc<StreamImport>, foreign: &[u8]) -> Shadow {
        match self {
            Self::Client(subscription) => {
                let shadow = Arc::new(Subscription::shadow(subscription, import, foreign));
                import.exporter.insert(shadow.clone());
                Shadow::Client(shadow)
            }
            Self::Leaf(interest) => {
                let shadow = Arc::new(RemoteInterest::shadow(interest, import, foreign));
                import.exporter.insert_remote(shadow.clone());
                Shadow::Leaf(shadow)
            }
        }
    }
}

impl Shadow {
    /// Whether it is what somebody gets of `import`.
    pub(super) fn is_of(&self, import: &Arc<StreamImport>) -> bool {
        match self {
            Self::Client(shadow) => shadow.is_shadow_of(import),
            Self::Leaf(shadow) => shadow.imported().is_some_and(|its| Arc::ptr_eq(its, import)),
        }
    }

    /// Takes it off the list where it stands.
    pub(super) fn remove(&self) {
        match self {
            Self::Client(shadow) => shadow.account.remove(std::slice::from_ref(shadow)),
            Self::Leaf(shadow) => {
                if let Some(import) = shadow.imported() {
                    import.exporter.take_remote(shadow);
                }
            }
        }
    }

    /// The queue group that it is of has another number of members now.
    pub(super) fn reweigh(&self, weight: u32) {
        if let Self::Leaf(shadow) = self
            && let Some(import) = shadow.imported()
        {
            import.exporter.set_weight(shadow, weight);
        }
    }
}
