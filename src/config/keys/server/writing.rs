//! How messages get out.

use super::Draft;
use crate::config::field::Key;

pub(super) const WRITE_TIMEOUT: Key<Draft> = Key {
    names: &["write_timeout"],
    takes: "default, close or retry",
    default: "default, which is close",
    doc: "What becomes of a client for which a write takes longer: with `close` it is cut off, with `retry` it stays if \
          something was written meanwhile.",
    read: |draft, field| field.write_timeout().map(|policy| draft.options.write_timeout = policy),
};

pub(super) const NO_SUBLIST_CACHE: Key<Draft> = Key {
    names: &["disable_sublist_cache", "no_sublist_cache"],
    takes: "boolean",
    default: "",
    doc: "Changes nothing: the list of subscriptions has no cache here, which this turns off in nats-server. What each \
          connection remembers of the subjects it publishes to is bounded, and stays in both.",
    // Only a boolean means something, and either does.
    read: |_, field| field.bool().map(|_| ()),
};
