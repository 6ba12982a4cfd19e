//! How many clients an account has.

use std::sync::atomic::Ordering;

use super::Account;

impl Account {
    /// One more client. `false` if that is more than there may be; it counts all the same.
    pub(crate) fn enter(&self) -> bool {
        let clients = self.clients.fetch_add(1, Ordering::Relaxed) + 1;
        let clients = clients + self.clients_elsewhere.load(Ordering::Relaxed);
        self.spec.load().limits.connections.is_none_or(|max| clients <= max)
    }

    /// Clients here.
    pub(crate) fn client_count(&self) -> u64 {
        self.clients.load(Ordering::Relaxed)
    }

    /// There are so many clients at other servers. Returns how many there are too many now, of those here.
    pub(crate) fn set_clients_elsewhere(&self, elsewhere: u64) -> u64 {
        self.clients_elsewhere.store(elsewhere, Ordering::Relaxed);
        let here = self.client_count();
        let surplus = |max| (here + elsewhere).saturating_sub(max).min(here);
        self.spec.load().limits.connections.map_or(0, surplus)
    }

    /// The number of clients has changed. Whether that is news: the change before has been told.
    pub(crate) fn owes_count(&self) -> bool {
        self.told.swap(false, Ordering::AcqRel)
    }

    /// Changes of the number of clients from now on are news.
    pub(crate) fn tell_count(&self) {
        self.told.store(true, Ordering::Release);
    }

    /// One client less.
    pub(crate) fn leave(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}
