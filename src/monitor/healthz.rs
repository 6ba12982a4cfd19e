use axum::http::StatusCode;
use natsd_api::{Healthz, to_compact_json};

use super::{Answer, Context, Params};

/// `/healthz`: 200 while the server serves, 503 and why when it does not.
///
/// `js-enabled-only`, `js-server-only`, `js-meta-only` and `details` are accepted: without JetStream there is nothing
/// that they would leave out or add.
pub(super) fn healthz(context: &Context, params: &Params) -> Answer {
    for name in ["js-enabled-only", "js-server-only", "js-meta-only", "details"] {
        if let Err(refusal) = params.bool(name) {
            return Answer::refusal(refusal);
        }
    }
    for (of, name) in [("stream", "account"), ("consumer", "stream")] {
        if !params.get(of).is_empty() && params.get(name).is_empty() {
            let error = format!("\"{name}\" must not be empty when checking {of} health");
            let body = to_compact_json(&Healthz { status: "error".into(), error, ..Healthz::default() });
            return Answer { status: StatusCode::BAD_REQUEST, ..Answer::json(body) };
        }
    }
    match context.inspect.health() {
        Ok(()) => Answer::json(to_compact_json(&Healthz::ok())),
        Err(why) => {
            let body = to_compact_json(&Healthz::unavailable(why));
            Answer { status: StatusCode::SERVICE_UNAVAILABLE, ..Answer::json(body) }
        }
    }
}
