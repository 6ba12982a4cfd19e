//! What monitoring shows of routes.

use std::sync::Arc;

use crate::link::Link;

/// An open route.
#[derive(Clone)]
pub(crate) struct RouteStatus {
    /// The connection: its counters, times and addresses.
    pub link: Arc<Link>,
    /// Id of the peer.
    pub remote_id: String,
    /// Name of the peer.
    pub remote_name: String,
    /// Whether this server dialled.
    pub did_solicit: bool,
    /// Whether it is in the configuration.
    pub is_configured: bool,
    /// The only account that it carries, if it is dedicated to one.
    pub account: Option<String>,
}
