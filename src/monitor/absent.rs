//! Endpoints of what natsd does not have: they answer as nats-server does where it is off.

use std::time::SystemTime;

use axum::http::StatusCode;
use natsd_api::{Jsz, Time, to_json};

use super::params::ParamError;
use super::{Answer, Context, Params};

/// `/jsz`: no JetStream.
pub(super) fn jsz(context: &Context, params: &Params) -> Answer {
    if params.bool("leader-only").is_ok_and(|only| only) {
        return Answer::text(StatusCode::BAD_REQUEST, "filtered response: not leader".into());
    }
    Answer::json_or_refusal(check_jsz(params).map(|()| {
        let server_id = context.inspect.server_id();
        to_json(&Jsz { server_id, now: now(), disabled: true, ..Jsz::default() })
    }))
}

fn check_jsz(params: &Params) -> Result<(), ParamError> {
    for name in ["accounts", "streams", "consumers", "direct-consumers", "config"] {
        params.bool(name)?;
    }
    params.page()?;
    for name in ["leader-only", "raft", "stream-leader-only"] {
        params.bool(name)?;
    }
    Ok(())
}

/// `/raftz`: no groups.
pub(super) fn raftz(_: &Context, _: &Params) -> Answer {
    Answer::text(StatusCode::NOT_FOUND, "No Raft nodes registered".into())
}

/// `/ipqueuesz`: no queues between parts of the server that could be told by name.
pub(super) fn ipqueuesz(_: &Context, params: &Params) -> Answer {
    Answer::json_or_refusal(params.bool("all").map(|_| "{}".into()))
}

fn now() -> Time {
    Time(SystemTime::now())
}
