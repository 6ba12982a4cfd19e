//! Interest of clients at other servers of the cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use natsd_core::sublist::Member;

use crate::link::Link;

/// Interest behind a route.
pub(crate) struct RemoteInterest {
    pub link: Arc<Link>,
    names: Box<[u8]>,
    subject_len: u32,
    weight: AtomicU32,
    place: AtomicU32,
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
        }
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

    /// The group has another number of members now.
    pub(crate) fn set_weight(&self, weight: u32) {
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
