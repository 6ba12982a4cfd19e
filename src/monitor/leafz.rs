use std::time::SystemTime;

use natsd_api::{Leafz, Time, to_json};

use super::{Answer, Context, Params};

/// `/leafz`: the connections to leaf nodes and hubs. Parameters: `subs`, `acc`.
pub(super) fn leafz(context: &Context, params: &Params) -> Answer {
    Answer::json_or_refusal(params.bool("subs").map(|subs| {
        let account = params.get("acc");
        let mut leafs = context.inspect.leafs(subs);
        leafs.retain(|leaf| account.is_empty() || leaf.account == account);
        leafs.sort_by_key(|leaf| leaf.id);
        let server_id = context.inspect.server_id();
        to_json(&Leafz { server_id, now: Time(SystemTime::now()), leafnodes: leafs.len() as u64, leafs })
    }))
}
