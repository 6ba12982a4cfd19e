use natsd_api::to_json;

use super::{Answer, Context, Params};

/// `/pathz`: the SCION paths, with `history=1` what became of them too; 404 without SCION.
pub(super) fn pathz(context: &Context, params: &Params) -> Answer {
    let history = match params.bool("history") {
        Ok(history) => history,
        Err(error) => return Answer::refusal(error),
    };
    match context.inspect.paths(history) {
        Some(pathz) => Answer::json(to_json(&pathz)),
        None => Answer::not_found(),
    }
}
