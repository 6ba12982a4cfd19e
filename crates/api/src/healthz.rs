use serde::{Deserialize, Serialize};

use crate::omit::empty;

/// `/healthz`, on one line: 200 with `{"status":"ok"}`, or 503 with the status `unavailable` and the error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Healthz {
    /// `ok`, `unavailable`, or `error`.
    pub status: String,
    /// 200 or 503; absent over HTTP, which says it itself.
    #[serde(skip_serializing_if = "empty")]
    pub status_code: u16,
    /// What is wrong; absent when all is well.
    #[serde(skip_serializing_if = "empty")]
    pub error: String,
}

impl Healthz {
    /// All is well.
    pub fn ok() -> Self {
        Self { status: "ok".into(), ..Self::default() }
    }

    /// The server does not serve, and why.
    pub fn unavailable(error: impl Into<String>) -> Self {
        Self { status: "unavailable".into(), error: error.into(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_compact_json;

    #[test]
    fn one_line() {
        assert_eq!(to_compact_json(&Healthz::ok()), r#"{"status":"ok"}"#);
        assert_eq!(
            to_compact_json(&Healthz::unavailable("lame duck mode")),
            r#"{"status":"unavailable","error":"lame duck mode"}"#
        );
    }
}
