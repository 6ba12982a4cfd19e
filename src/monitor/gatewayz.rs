use natsd_api::to_json;

use super::inspect::GatewayQuery;
use super::{Answer, Context, Params};

/// `/gatewayz`: the connections to other clusters. Parameters: `gw_name`, `accs`, `acc_name`, `subs`.
pub(super) fn gatewayz(context: &Context, params: &Params) -> Answer {
    let query = params.subs().and_then(|subs| {
        let account = params.get("acc_name").to_owned();
        let accounts = params.bool("accs")? || !account.is_empty();
        Ok(GatewayQuery { name: params.get("gw_name").to_owned(), accounts, account, subs })
    });
    Answer::json_or_refusal(query.map(|query| to_json(&context.inspect.gatewayz(&query))))
}
