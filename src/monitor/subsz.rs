use std::time::SystemTime;

use natsd_api::{SubDetail, Subsz, to_json};
use natsd_core::subject;

use super::inspect::Subscription;
use super::params::ParamError;
use super::{Answer, Context, Params};

/// `/subsz`: the subscriptions. Parameters: `subs`, `offset`, `limit`, `test`, `acc`.
pub(super) fn subsz(context: &Context, params: &Params) -> Answer {
    Answer::json_or_refusal(document(context, params).map(|subsz| to_json(&subsz)))
}

/// What `/subsz` says.
pub(super) fn document(context: &Context, params: &Params) -> Result<Subsz, ParamError> {
    let subs = params.bool("subs")?;
    let page = params.page()?;
    let (test, account) = (params.get("test"), params.get("acc"));
    if !test.is_empty() && !subject::is_valid_literal(test.as_bytes()) {
        return Err(ParamError::TestSubject(test.into()));
    }
    let counts = context.inspect.subscription_counts(account);
    let mut rows = if subs { context.inspect.subscriptions() } else { Vec::new() };
    rows.retain(|sub| account.is_empty() || sub.account == account);
    rows.retain(|sub| test.is_empty() || subject::matches(sub.subject.as_bytes(), test.as_bytes()));
    Ok(Subsz {
        server_id: context.inspect.server_id(),
        now: SystemTime::now().into(),
        num_subscriptions: counts.now,
        num_cache: counts.cached,
        num_inserts: counts.inserts,
        num_removes: counts.removes,
        num_matches: counts.matches,
        cache_hit_rate: if counts.matches == 0 { 0.0 } else { counts.cache_hits as f64 / counts.matches as f64 },
        max_fanout: counts.max_fanout,
        avg_fanout: counts.avg_fanout,
        total: rows.len() as u64,
        offset: page.offset,
        limit: page.limit,
        subscriptions_list: subs.then(|| page.of(rows).map(detail_with_account).collect()),
    })
}

fn detail_with_account(sub: Subscription) -> SubDetail {
    let account = sub.account.clone();
    SubDetail { account_tag: account.clone(), account, ..detail(sub) }
}

/// A subscription of a connection whose account is known.
pub(super) fn detail(sub: Subscription) -> SubDetail {
    SubDetail {
        account: String::new(),
        account_tag: String::new(),
        subject: sub.subject,
        qgroup: sub.queue,
        sid: sub.sid,
        msgs: sub.msgs,
        max: sub.max,
        cid: sub.cid,
    }
}
