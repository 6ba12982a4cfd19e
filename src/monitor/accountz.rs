use std::time::SystemTime;

use natsd_api::{AccountStatz, Accountz, to_json};

use super::params::ParamError;
use super::{Answer, Context, Params};

/// `/accountz`: the accounts. Parameter: `acc`.
pub(super) fn accountz(context: &Context, params: &Params) -> Answer {
    Answer::json_or_refusal(accounts(context, params.get("acc")).map(|accountz| to_json(&accountz)))
}

fn accounts(context: &Context, wanted: &str) -> Result<Accountz, ParamError> {
    let inspect = &context.inspect;
    let mut accountz = Accountz {
        server_id: inspect.server_id(),
        now: SystemTime::now().into(),
        system_account: inspect.system_account(),
        ..Accountz::default()
    };
    if wanted.is_empty() {
        accountz.accounts = inspect.accounts();
        accountz.accounts.sort_unstable();
    } else {
        let detail = inspect.account(wanted).ok_or_else(|| ParamError::NoAccount(wanted.into()))?;
        accountz.account_detail = Some(detail);
    }
    Ok(accountz)
}

/// `/accstatz`: what passes in accounts that have clients. Parameters: `unused`, for the others as well; `acc`, any number of
/// times, for these alone.
pub(super) fn accstatz(context: &Context, params: &Params) -> Answer {
    let stats = params.bool("unused").map(|unused| {
        let wanted: Vec<_> = params.all("acc").collect();
        let mut stats = context.inspect.account_stats();
        stats.retain(|stat| unused || stat.total_conns > 0);
        stats.retain(|stat| wanted.is_empty() || wanted.contains(&stat.account.as_str()));
        stats.sort_unstable_by(|a, b| a.account.cmp(&b.account));
        let now = SystemTime::now().into();
        to_json(&AccountStatz { server_id: context.inspect.server_id(), now, account_statz: stats })
    });
    Answer::json_or_refusal(stats)
}
