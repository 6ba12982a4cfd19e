use natsd_api::to_json;

use super::{Answer, Context, Params};

/// `/pathz`: the SCION paths, with `history=1` what became of them too, from `since` on; 404 without SCION.
pub(super) fn pathz(context: &Context, params: &Params) -> Answer {
    let wanted = params.bool("history").and_then(|wanted| Ok((wanted, params.time("since")?)));
    let history = match wanted {
        Ok((wanted, since)) => wanted.then_some(since),
        Err(error) => return Answer::refusal(error),
    };
    match context.inspect.paths(history) {
        Some(pathz) => Answer::json(to_json(&pathz)),
        None => Answer::not_found(),
    }
}
