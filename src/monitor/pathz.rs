use natsd_api::to_json;

use super::{Answer, Context, Params};

/// `/pathz`: the SCION paths; 404 without SCION.
pub(super) fn pathz(context: &Context, _: &Params) -> Answer {
    match context.inspect.paths() {
        Some(pathz) => Answer::json(to_json(&pathz)),
        None => Answer::not_found(),
    }
}
