//! How this server speaks in the system account: who it is comes with all that it says.

use std::sync::Arc;
use std::time::SystemTime;

use natsd_api::{ApiError, EventHead, ServerId, ServerInfo, to_compact_json};
use serde::Serialize;

use super::options::Own;
use crate::hub::Hub;
use crate::post::Post;
use crate::server::identity::unique_id;

/// See the [module](self).
#[derive(Clone)]
pub(super) struct Voice {
    hub: Arc<Hub>,
    post: Arc<Post>,
    /// Where it takes clients, as configured.
    host: Arc<str>,
}

impl Voice {
    pub(super) fn new(hub: Arc<Hub>, post: Arc<Post>, host: Arc<str>) -> Self {
        Self { hub, post, host }
    }

    /// From now on speaks through `post`.
    pub(super) fn move_to(&mut self, post: Arc<Post>) {
        self.post = post;
    }

    /// The same server, speaking through `post`.
    pub(super) fn through(&self, post: Arc<Post>) -> Self {
        Self { post, ..self.clone() }
    }

    pub(super) fn id(&self) -> &str {
        &self.hub.identity.id
    }

    /// Whether a request that means such servers means this one.
    pub(super) fn is_meant(&self, mean: impl FnOnce(Own<'_>) -> bool) -> bool {
        let cluster = self.hub.news.borrow().cluster.clone();
        let tags = &self.hub.options().server_tags;
        mean(Own { name: &self.hub.identity.name, host: &self.host, cluster: &cluster, tags })
    }

    /// Who this is, for the next thing that it says.
    pub(super) fn server(&self) -> ServerInfo {
        self.hub.server_info()
    }

    /// As [`server`](Self::server), in short.
    pub(super) fn server_id(&self) -> ServerId {
        ServerId { name: self.hub.identity.name.clone(), host: self.host.to_string(), id: self.hub.identity.id.clone() }
    }

    /// Says `what` to those who listen to `subject`.
    pub(super) fn say(&self, subject: &str, what: &impl Serialize) {
        self.post.publish(subject, None, &to_compact_json(what));
    }

    /// As [`say`](Self::say), and answers come to `reply`.
    pub(super) fn ask(&self, subject: &str, reply: &str, what: &impl Serialize) {
        self.post.publish(subject, Some(reply), &to_compact_json(what));
    }

    /// Answers a request: with JSON, or that it was done, or why not.
    pub(super) fn answer(&self, reply: &str, answer: Result<Option<String>, ApiError>) {
        let server = to_compact_json(&self.server());
        let body = match answer {
            Ok(None) => format!("{{\"server\":{server}}}"),
            Ok(Some(data)) => format!("{{\"server\":{server},\"data\":{data}}}"),
            Err(error) => format!("{{\"server\":{server},\"error\":{}}}", to_compact_json(&error)),
        };
        self.post.publish(reply, None, &body);
    }

    /// Whether anybody but this server listens to `subject`.
    pub(super) fn has_audience(&self, subject: &str) -> bool {
        self.post.has_audience(subject)
    }
}

/// The beginning of an event of this `kind`.
pub(super) fn event_head(kind: &str, at: SystemTime) -> EventHead {
    EventHead { kind: kind.into(), id: unique_id(), timestamp: at.into() }
}
