//! An account across clusters.

use std::sync::Arc;

use super::Account;
use crate::hub::gateways::GatewayDesk;
use crate::hub::leafs::Whose;
use crate::hub::remote::RemoteInterest;

impl Account {
    /// From now on a server of another cluster is told all that is wanted here.
    pub(crate) fn open_for_cluster(&self, desk: &GatewayDesk) {
        if let Some(clusters) = &self.clusters {
            clusters.open(desk);
        }
    }

    /// Adds interest of another cluster.
    pub(crate) fn add_of_cluster(&self, interest: Arc<RemoteInterest>) {
        let Some(clusters) = &self.clusters else { return };
        clusters.insert(interest, |interest| self.report_cluster(interest, 1));
    }

    /// Removes interest of another cluster.
    pub(crate) fn remove_of_cluster(&self, interest: &Arc<RemoteInterest>) {
        let Some(clusters) = &self.clusters else { return };
        clusters.remove(interest, |interest| self.report_cluster(interest, -1));
    }

    fn report_cluster(&self, interest: &RemoteInterest, change: i64) {
        self.leafs.changed(interest.subject(), interest.queue(), change, Whose::Elsewhere(interest));
        self.changed();
    }

    /// What an optimistic cluster does not want has changed: what was matched is forgotten.
    pub(crate) fn cluster_changed(&self) {
        self.changed();
    }

    /// Where another cluster is to send answers that are asked for at `reply`.
    pub(in crate::hub) fn way_back(&self, reply: &[u8]) -> Vec<u8> {
        self.clusters
            .as_ref()
            .map_or_else(|| reply.to_vec(), |clusters| clusters.way_back(reply, (&self.local, &self.remote)))
    }

    /// All interest of other clusters.
    pub(crate) fn interest_of_clusters(&self) -> Vec<Arc<RemoteInterest>> {
        let mut found = Vec::new();
        if let Some(clusters) = &self.clusters {
            clusters.wanted().for_each(|_, _, members| found.extend_from_slice(members));
        }
        found
    }
}
