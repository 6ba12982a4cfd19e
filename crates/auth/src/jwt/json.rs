//! JSON as Go reads it: names of fields in either case, and `null` for what is not there.

use serde_json::{Map, Value};

/// Fields whose keys are the operator's own.
const OWN_KEYS: [&str; 3] = ["mappings", "revocations", "tiered_limits"];

/// `value` with its fields in lower case and without those that are `null`.
///
/// # Errors
///
/// The name of a field that is there in two spellings.
pub(super) fn canonical(value: Value) -> Result<Value, String> {
    under("", value)
}

fn under(name: &str, value: Value) -> Result<Value, String> {
    match value {
        Value::Object(fields) => {
            let mut lower = Map::new();
            for (key, value) in fields {
                if value.is_null() {
                    continue;
                }
                let key = if OWN_KEYS.contains(&name) { key } else { key.to_ascii_lowercase() };
                let value = under(&key, value)?;
                if lower.contains_key(&key) {
                    return Err(key);
                }
                lower.insert(key, value);
            }
            Ok(Value::Object(lower))
        }
        Value::Array(items) => items.into_iter().map(|item| under("", item)).collect(),
        other => Ok(other),
    }
}

/// Whether a number may be left out, for Serde.
pub(super) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_in_either_case_and_keys_are_kept() {
        let given = json!({"NATS": {"Mappings": {"Foo.A": [{"Subject": "B"}]}, "exports": null}, "Exp": 1});
        let expected = json!({"nats": {"mappings": {"Foo.A": [{"subject": "B"}]}}, "exp": 1});
        assert_eq!(canonical(given), Ok(expected));
        assert_eq!(canonical(json!({"a": {"Deny": 1, "deny": 2}})), Err("deny".to_owned()));
        assert_eq!(canonical(json!({"revocations": {"A": 1, "a": 2}})), Ok(json!({"revocations": {"A": 1, "a": 2}})));
    }
}
