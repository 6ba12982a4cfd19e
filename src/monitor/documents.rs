//! What endpoints answer, for those who ask over the system account.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use natsd_api::{Healthz, Varz};

use super::process::resident_memory;
use super::{Context, ENDPOINTS, Inspect, Params};

/// See the [module](self).
#[derive(Clone)]
pub(crate) struct Documents(Arc<Context>);

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Documents")
    }
}

impl Documents {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self(context)
    }

    /// Those of a server without monitoring over HTTP.
    pub(crate) fn of(inspect: Arc<dyn Inspect>) -> Self {
        Self(Arc::new(Context::new(inspect)))
    }

    /// What the endpoints are told of the server.
    pub(crate) fn inspect(&self) -> &dyn Inspect {
        &*self.0.inspect
    }

    /// Whether there is an endpoint of this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        ENDPOINTS.iter().any(|endpoint| endpoint.path == path)
    }

    /// What the endpoint of this path says, as JSON on one line. Takes its time: not for a thread that carries messages.
    ///
    /// # Errors
    ///
    /// Why it says nothing, in its words.
    pub(crate) fn answer(&self, path: &str, params: Vec<(String, String)>) -> Result<String, String> {
        let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.path == path).ok_or("there is no such document")?;
        let answer = (endpoint.answer)(&self.0, &Params(params));
        if answer.status == StatusCode::OK { Ok(compact(&answer.body)) } else { Err(answer.body.trim().to_owned()) }
    }

    /// What `/healthz` says, with the status that it has over HTTP.
    pub(crate) fn health(&self) -> Healthz {
        match self.0.inspect.health() {
            Ok(()) => Healthz { status_code: StatusCode::OK.as_u16(), ..Healthz::ok() },
            Err(why) => Healthz { status_code: StatusCode::SERVICE_UNAVAILABLE.as_u16(), ..Healthz::unavailable(why) },
        }
    }

    /// `/varz`, without what only HTTP knows.
    pub(crate) fn varz(&self) -> Varz {
        Varz {
            mem: resident_memory(),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            gomaxprocs: tokio::runtime::Handle::current().metrics().num_workers() as u64,
            cpu: self.0.processor_use.lock().percent(Instant::now()),
            ..self.0.inspect.varz()
        }
    }
}

/// `json` without the blanks between its tokens.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted || !c.is_ascii_whitespace() {
            out.push(c);
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_stay_in_texts_alone() {
        let value = serde_json::json!({"a b": [1, "x \" y", "\\", " "], "c": {"d": null}});
        assert_eq!(compact(&natsd_api::to_json(&value)), natsd_api::to_compact_json(&value));
    }
}
