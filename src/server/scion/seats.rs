//! How many connections one AS may have here at the same time.
//!
//! Hosts in one AS are its operator's to make up: without a bound one AS could take the room of all others. Those who come to
//! different kinds of listeners are counted apart, so that clients do not keep the routes of their AS out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use natsd_path::IsdAs;
use parking_lot::Mutex;

use crate::config::options::ScionOptions;

/// All of a server.
#[derive(Clone)]
pub(super) struct Seats {
    options: Arc<ArcSwap<ScionOptions>>,
    refused: Arc<AtomicU64>,
    by_as: Arc<Mutex<HashMap<IsdAs, usize>>>,
}

/// One connection counts until this is dropped.
pub(super) struct Seat {
    of: IsdAs,
    by_as: Arc<Mutex<HashMap<IsdAs, usize>>>,
}

impl Seats {
    /// What `options` say at the time counts.
    pub(super) fn new(options: Arc<ArcSwap<ScionOptions>>) -> Self {
        Self { options, refused: Arc::default(), by_as: Arc::default() }
    }

    /// Those of another kind of listener: counted apart, and refused together.
    fn of_another_kind(&self) -> Self {
        Self { by_as: Arc::default(), ..self.clone() }
    }

    /// Why nobody of this AS may begin now, if that is so; then it counts as refused.
    pub(super) fn are_taken(&self, of: IsdAs) -> Option<String> {
        let taken = self.by_as.lock().get(&of).copied().unwrap_or(0);
        self.full(of, taken)
    }

    /// A seat for a connection.
    ///
    /// # Errors
    ///
    /// Why there is none; then it counts as refused.
    pub(super) fn take(&self, of: IsdAs) -> Result<Seat, String> {
        let mut by_as = self.by_as.lock();
        let taken = by_as.get(&of).copied().unwrap_or(0);
        if let Some(reason) = self.full(of, taken) {
            return Err(reason);
        }
        by_as.insert(of, taken + 1);
        Ok(Seat { of, by_as: Arc::clone(&self.by_as) })
    }

    /// How many were refused since the start, of all kinds.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn full(&self, of: IsdAs, taken: usize) -> Option<String> {
        let most = self.options.load().max_connections_per_as.filter(|most| taken >= *most)?;
        self.refused.fetch_add(1, Ordering::Relaxed);
        Some(format!(
            "AS {of} has {taken} connections here, and scion.max_connections_per_as is {most}: raise it, or turn the AS away \
             with scion.deny"
        ))
    }
}

/// The seats for each kind of listener, however many addresses it has.
pub(super) struct KindsOfSeats {
    all: Seats,
    kinds: HashMap<&'static str, Seats>,
}

impl KindsOfSeats {
    /// `all` counts those who are refused.
    pub(super) fn new(all: Seats) -> Self {
        Self { all, kinds: HashMap::new() }
    }

    /// Those of this kind.
    pub(super) fn of(&mut self, what: &'static str) -> Seats {
        self.kinds.entry(what).or_insert_with(|| self.all.of_another_kind()).clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut by_as = self.by_as.lock();
        if let Some(taken) = by_as.get_mut(&self.of) {
            *taken -= 1;
            if *taken == 0 {
                by_as.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(most: Option<usize>) -> Seats {
        let options = ScionOptions { max_connections_per_as: most, ..ScionOptions::default() };
        Seats::new(Arc::new(ArcSwap::from_pointee(options)))
    }

    #[test]
    fn an_as_has_so_many_seats_and_gets_them_back() {
        let (seats, one, other) = (seats(Some(2)), IsdAs(1), IsdAs(2));
        let (first, second) = (seats.take(one), seats.take(one));
        assert!(first.is_ok() && second.is_ok());
        let reason = seats.take(one).err().expect("there are two");
        assert!(reason.starts_with("AS 0-1 has 2 connections here") && reason.contains("scion.deny"), "{reason}");
        assert!(seats.are_taken(one).is_some() && seats.are_taken(other).is_none() && seats.take(other).is_ok());
        assert_eq!(seats.refused(), 2);
        drop(first);
        assert!(seats.are_taken(one).is_none() && seats.take(one).is_ok());
        drop(second);
        assert!(seats.by_as.lock().is_empty(), "nothing is kept of those who have left");
    }

    #[test]
    fn kinds_are_counted_apart_and_refused_together() {
        let clients = seats(Some(1));
        let routes = clients.of_another_kind();
        let _seats = (clients.take(IsdAs(1)), routes.take(IsdAs(1)));
        assert!(clients.take(IsdAs(1)).is_err() && routes.take(IsdAs(1)).is_err());
        assert_eq!((clients.refused(), routes.refused()), (2, 2));
    }

    #[test]
    fn a_reload_counts_at_once_and_none_is_no_bound() {
        let seats = seats(Some(0));
        assert!(seats.take(IsdAs(1)).is_err());
        seats.options.store(Arc::new(ScionOptions { max_connections_per_as: None, ..ScionOptions::default() }));
        assert_eq!((0..100_000).filter(|_| seats.are_taken(IsdAs(1)).is_none()).count(), 100_000);
    }
}
