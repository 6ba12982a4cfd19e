//! What is known of the server of another cluster at the other end of a connection.

use natsd_core::gateway::hello::GatewayInfo;
use natsd_core::gateway::interest::{Accounts, Mode};
use natsd_core::gateway::reply::Hash;
use parking_lot::RwLock;

use crate::hub::gateways::hash;

/// The other end, and in which way it says what it wants.
pub(crate) struct GatewayPeer {
    /// Its cluster.
    pub name: String,
    /// The same, as it is known by in the subjects of answers.
    pub hash: Hash,
    /// Its id.
    pub server_id: String,
    /// Its name.
    pub server_name: String,
    /// Its cluster is configured here.
    pub configured: bool,
    /// It tells its part of the trace of a message.
    pub traces: bool,
    optimistic: bool,
    accounts: RwLock<Accounts>,
}

impl GatewayPeer {
    /// The one that says so of itself. `outbound` if we dialled it, `configured` if its cluster is.
    pub(crate) fn new(info: &GatewayInfo, outbound: bool, configured: bool) -> Self {
        let accounts = Accounts::new(info.gateway_iom);
        Self {
            name: info.gateway.clone(),
            hash: hash(&info.gateway),
            server_id: info.server_id.clone(),
            server_name: info.server_name.clone(),
            configured,
            traces: info.proto >= 3,
            optimistic: outbound && accounts.is_optimistic(),
            accounts: RwLock::new(accounts),
        }
    }

    /// Whether it may get what it has not asked for.
    pub(crate) fn is_optimistic(&self) -> bool {
        self.optimistic
    }

    /// Whether it gets a message that it has not asked for.
    pub(crate) fn may_want(&self, account: &[u8], subject: &[u8]) -> bool {
        self.accounts.read().may_want(account, subject)
    }

    /// What it says of its accounts.
    pub(super) fn say<R>(&self, what: impl FnOnce(&mut Accounts) -> R) -> R {
        what(&mut self.accounts.write())
    }

    /// Each account that it said something of: its mode, and how many subjects are of no interest there.
    pub(crate) fn modes(&self) -> Vec<(Box<[u8]>, Mode, usize)> {
        self.accounts.read().iter().map(|(name, mode, unwanted)| (name.into(), mode, unwanted)).collect()
    }
}
