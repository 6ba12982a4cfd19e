//! Interest at other servers: of the cluster, leaf nodes and hubs.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};

use natsd_core::sublist::Member;

use super::imports::StreamImport;
use crate::link::Link;

/// Interest behind a route or a leaf connection.
pub(crate) struct RemoteInterest {
    pub link: Arc<Link>,
    names: Box<[u8]>,
    subject_len: u32,
    weight: AtomicU32,
    place: AtomicU32,
    /// When it was made, in ticks.
    made: AtomicU16,
    /// The cluster of the leaf nodes whose interest it is.
    origin: Option<Arc<[u8]>>,
    /// If this is the shadow, in the account that exports, of interest in another one.
    imported: Option<Arc<StreamImport>>,
}

impl RemoteInterest {
    /// `weight` is the number of members of the queue group there.
    pub(crate) fn new(link: Arc<Link>, subject: &[u8], queue: Option<&[u8]>, weight: u32) -> Self {
        Self {
            link,
            names: [subject, queue.unwrap_or_default()].concat().into(),
            subject_len: subject.len() as u32,
            weight: AtomicU32::new(weight),
            place: AtomicU32::new(0),
            made: AtomicU16::new(0),
            origin: None,
            imported: None,
        }
    }

    /// What `original` gets of `import` under the subject `foreign`, in the account that exports.
    pub(super) fn shadow(original: &Self, import: &Arc<StreamImport>, foreign: &[u8]) -> Self {
        let shadow = Self::new(original.link.clone(), foreign, original.queue(), original.weight());
        Self { origin: original.origin.clone(), imported: Some(import.clone()), ..shadow }
    }

    /// What it is the shadow of interest in, if it is one.
    pub(super) fn imported(&self) -> Option<&Arc<StreamImport>> {
        self.imported.as_ref()
    }

    /// The same, of leaf nodes of this cluster.
    pub(crate) fn of_leafs(self, origin: Option<Arc<[u8]>>) -> Self {
        Self { origin, ..self }
    }

    /// The cluster of the leaf nodes whose interest it is.
    pub(crate) fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref()
    }

    pub(super) fn shared_origin(&self) -> Option<Arc<[u8]>> {
        self.origin.clone()
    }

    /// When it was made, where that was [noted](Self::set_made).
    pub(super) fn made(&self) -> u16 {
        self.made.load(Relaxed)
    }

    pub(super) fn set_made(&self, tick: u16) {
        self.made.store(tick, Relaxed);
    }

    /// What messages to `subject` are called there. `None` if they may not be sent there.
    pub(super) fn name_there<'s>(&self, subject: &'s [u8]) -> Option<Cow<'s, [u8]>> {
        let name = match &self.imported {
            None => Cow::Borrowed(subject),
            Some(import) => {
                let mut local = Vec::new();
                import.renaming.to_local(subject, &mut local).then_some(Cow::Owned(local))?
            }
        };
        self.link.leaf.get().is_none_or(|peer| peer.may_send(&name)).then_some(name)
    }

    pub(crate) fn subject(&self) -> &[u8] {
        &self.names[..self.subject_len as usize]
    }

    pub(crate) fn queue(&self) -> Option<&[u8]> {
        Some(&self.names[self.subject_len as usize..]).filter(|queue| !queue.is_empty())
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// The group has another number of members now; [`Account::reweigh`](super::account::Account::reweigh) tells those who
    /// have to know.
    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Relaxed);
    }
}

impl Member for RemoteInterest {
    fn place(&self) -> u32 {
        self.place.load(Relaxed)
    }

    fn set_place(&self, place: u32) {
        self.place.store(place, Relaxed);
    }
}
