//! `$SYS.REQ.USER.INFO`: who asks, and what it may do.

use natsd_api::{ClientInfo, ResponsePermissions, SubjectPermissions, UserInfo, UserPermissions};
use natsd_auth::{Permissions, Rules};
use natsd_core::header;

use crate::hub::Hub;
use crate::hub::service::REQUEST_INFO;
use crate::operators::since_1970;

/// What is told to who sent a request with this header. `None` if that makes no sense.
pub(super) fn info(hub: &Hub, header: &[u8]) -> Option<UserInfo> {
    let who: ClientInfo = match header::get(header, REQUEST_INFO) {
        Some(json) => serde_json::from_slice(json).ok()?,
        None => ClientInfo::default(),
    };
    let link = hub.link(who.id);
    let permissions = link.as_ref().and_then(|link| link.permissions());
    let ends = link.and_then(|link| link.pass.load().as_ref().and_then(|pass| pass.admission.ends));
    let left = ends.map_or(0, |ends| ends.saturating_sub(since_1970()).as_secs());
    let account = hub.accounts.get(who.account.as_bytes());
    Some(UserInfo {
        user: who.user,
        account_name: account.map_or_else(|| who.account.clone(), |account| account.title()),
        account: who.account,
        user_name: who.name_tag,
        permissions: permissions.as_deref().map(told),
        expires: left * 1_000_000_000,
    })
}

fn told(permissions: &Permissions) -> UserPermissions {
    let responses = permissions.replies.map(|replies| ResponsePermissions {
        max: replies.max.map_or(-1, |max| i64::try_from(max).unwrap_or(i64::MAX)),
        ttl: replies.expires.map_or(0, |expires| u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX)),
    });
    UserPermissions { publish: rules(&permissions.publish), subscribe: rules(&permissions.subscribe), responses }
}

fn rules(rules: &Rules) -> SubjectPermissions {
    let text = |rules: &[natsd_auth::Rule]| rules.iter().map(ToString::to_string).collect();
    SubjectPermissions { allow: text(&rules.allow), deny: text(&rules.deny) }
}
