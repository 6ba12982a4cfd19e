//! What an operator files a server under, and says of it; and what it is to try out.

use super::Draft;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;
use crate::config::options::FEATURES;

pub(super) const TAGS: Key<Draft> = Key {
    names: &["server_tags"],
    takes: "string or list of strings",
    default: "none",
    doc: "What the server is filed under, such as `\"region:eu\"`, in lower case: shown by `/varz` and in the system account, \
          where a request can mean the servers that have certain tags.",
    read: |draft, field| {
        let tags = match field.value() {
            Value::List(items) => field.items(items, |field| field.text().map(str::to_owned))?,
            _ => vec![field.text()?.to_owned()],
        };
        draft.options.server_tags = unique(&tags);
        Ok(())
    },
};

pub(super) const METADATA: Key<Draft> = Key {
    names: &["server_metadata"],
    takes: "map of strings",
    default: "none",
    doc: "What is said of the server by `/varz` and in the system account.",
    read: |draft, field| {
        draft.options.server_metadata = field.entries(pair)?.into_iter().collect();
        Ok(())
    },
};

pub(super) const FEATURE_FLAGS: Key<Draft> = Key {
    names: &["feature_flags"],
    takes: "map of booleans",
    default: "as in nats-server",
    doc: "`js_ack_fc_v2`, `js_api_reply_v2`, `js_raft_delete_range`, `js_snapshot_sources`: shown by `/varz` and in the system \
          account. All are about streams, which natsd does not keep.",
    read: |draft, field| {
        for (flag, on) in field.entries(flag)? {
            draft.options.feature_flags.insert(flag, on);
        }
        Ok(())
    },
};

fn flag(name: &str, field: &mut Field<'_>) -> Result<(String, bool), ValueError> {
    if FEATURES.iter().all(|(known, _)| *known != name) {
        return Err(ValueError::NoSuchFlag(name.to_owned()));
    }
    Ok((name.to_owned(), field.bool()?))
}

/// Tags as nats-server keeps them: in lower case, without blanks around them, each once.
fn unique(tags: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim().to_lowercase()) {
        if !tag.is_empty() && !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    kept
}

fn pair(key: &str, field: &mut Field<'_>) -> Result<(String, String), ValueError> {
    Ok((key.to_owned(), field.text()?.to_owned()))
}
