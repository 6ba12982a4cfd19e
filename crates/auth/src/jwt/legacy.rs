//! Claims of version 1, made into those of version 2.

use serde_json::Value;

use super::limits::NO_LIMIT;

/// What version 1 knows of `kind`; `top` is what stands beside it.
pub(super) fn migrate(kind: &str, nats: Value, top: &Value) -> Value {
    let Value::Object(mut old) = nats else { return nats };
    let keep: &[&str] = match kind {
        "operator" => &["signing_keys", "account_server_url", "operator_service_urls", "system_account"],
        "account" => &["imports", "exports", "limits", "signing_keys", "revocations"],
        "user" => &["pub", "sub", "resp", "subs", "data", "payload", "src", "times", "times_location", "bearer_token"],
        "activation" => &["subject", "type"],
        _ => return Value::Object(old),
    };
    old.retain(|key, _| keep.contains(&key.as_str()));
    match kind {
        "account" => {
            if let Some(Value::Object(limits)) = old.get_mut("limits") {
                limits.retain(|key, _| V1_LIMITS.contains(&key.as_str()));
            }
        }
        "user" => {
            for limit in ["subs", "data", "payload"] {
                old.entry(limit).or_insert_with(|| NO_LIMIT.into());
            }
        }
        "activation" => {
            if let Some(share) = old.remove("type") {
                old.insert("kind".to_owned(), share);
            }
        }
        _ => {}
    }
    if matches!(kind, "user" | "activation")
        && let Some(account) = top.get("issuer_account")
    {
        old.insert("issuer_account".to_owned(), account.clone());
    }
    Value::Object(old)
}

/// Those of JetStream came with version 2.
const V1_LIMITS: [&str; 9] =
    ["subs", "data", "payload", "imports", "exports", "wildcards", "disallow_bearer", "conn", "leaf"];
