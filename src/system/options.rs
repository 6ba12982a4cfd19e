//! The JSON of a request: which servers are meant, and what is wanted of them.

use serde_json::{Map, Value};

/// Options by name, in lower case: they are recognised however they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Options(Map<String, Value>);

/// Why a request is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OptionsError {
    /// It is no JSON object.
    #[error("the request is no JSON object: {0}")]
    Json(String),
    /// An option of another type.
    #[error("{name} must be {wanted}")]
    Type { name: String, wanted: &'static str },
}

/// Who a server is, for those who do not mean all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub name: &'a str,
    pub host: &'a str,
    pub cluster: &'a str,
    /// In lower case.
    pub tags: &'a [String],
}

/// An option of an endpoint over HTTP, and what it is called in requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Param {
    Text(&'static str, &'static str),
    Number(&'static str, &'static str),
    Bool(&'static str, &'static str),
    /// `subscriptions` and `subscriptions_detail`.
    Subs,
    /// Open, closed, or any, by number.
    State,
    /// The same option once for each text in a list.
    Texts(&'static str, &'static str),
}

impl Options {
    /// Nothing is an empty object.
    pub(super) fn read(payload: &[u8]) -> Result<Self, OptionsError> {
        if payload.is_empty() {
            return Ok(Self::default());
        }
        let object: Option<Map<_, _>> =
            serde_json::from_slice(payload).map_err(|error| OptionsError::Json(error.to_string()))?;
        let object = object.unwrap_or_default();
        Ok(Self(object.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        wanted: &'static str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, OptionsError> {
        let wrong = || OptionsError::Type { name: name.to_owned(), wanted };
        self.get(name).map(|value| convert(value).ok_or_else(wrong)).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, OptionsError> {
        Ok(self.typed(name, "a string", Value::as_str)?.unwrap_or_default())
    }

    pub(super) fn bool(&self, name: &str) -> Result<bool, OptionsError> {
        Ok(self.typed(name, "true or false", Value::as_bool)?.unwrap_or_default())
    }

    pub(super) fn number(&self, name: &str) -> Result<i64, OptionsError> {
        Ok(self.typed(name, "a number", Value::as_i64)?.unwrap_or_default())
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>, OptionsError> {
        let wrong = || OptionsError::Type { name: name.to_owned(), wanted: "a list of strings" };
        let items = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(value) => value.as_array().ok_or_else(wrong)?,
        };
        items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect()
    }

    /// Whether `own` is one of the servers that are meant.
    pub(super) fn mean(&self, own: Own<'_>) -> Result<bool, OptionsError> {
        let exact = self.bool("exact_match")?;
        for (name, known) in [("server_name", own.name), ("host", own.host), ("cluster", own.cluster)] {
            let wanted = self.text(name)?;
            let differs = if exact { !wanted.is_empty() && wanted != known } else { !known.contains(wanted) };
            if differs {
                return Ok(false);
            }
        }
        let has_tag = |tag: &&str| own.tags.contains(&tag.trim().to_lowercase());
        // No server here has a domain.
        Ok(self.texts("tags")?.iter().all(has_tag) && self.text("domain")?.is_empty())
    }

    /// These options as those of an endpoint.
    pub(super) fn params(&self, wanted: &[Param]) -> Result<Vec<(String, String)>, OptionsError> {
        let mut params = Vec::new();
        let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
        for param in wanted {
            match *param {
                Param::Text(name, http) => match self.text(name)? {
                    "" => {}
                    text => add(http, text.to_owned()),
                },
                Param::Number(name, http) => match self.number(name)? {
                    0 => {}
                    number => add(http, number.to_string()),
                },
                Param::Bool(name, http) if self.bool(name)? => add(http, "true".into()),
                Param::Bool(..) => {}
                Param::Subs => match (self.bool("subscriptions_detail")?, self.bool("subscriptions")?) {
                    (true, _) => add("subs", "detail".into()),
                    (false, true) => add("subs", "true".into()),
                    (false, false) => {}
                },
                Param::State => match self.number("state")? {
                    1 => add("state", "closed".into()),
                    2 => add("state", "any".into()),
                    _ => {}
                },
                Param::Texts(name, http) => {
                    self.texts(name)?.into_iter().for_each(|text| add(http, text.to_owned()));
                }
            }
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(json: &str) -> Result<bool, OptionsError> {
        let tags = ["region:eu".to_owned(), "fast".to_owned()];
        read(json).mean(Own { name: "north-1", host: "127.0.0.1", cluster: "c1", tags: &tags })
    }

    fn read(json: &str) -> Options {
        Options::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn servers_are_meant_by_a_part_of_their_name_or_all_of_it() {
        for (json, expected) in [
            ("", true),
            ("null", true),
            ("{}", true),
            (r#"{"name":"ignored"}"#, true),
            (r#"{"server_name":"north"}"#, true),
            (r#"{"Server_Name":"south"}"#, false),
            (r#"{"server_name":"north","exact_match":true}"#, false),
            (r#"{"server_name":"north-1","cluster":"c1","host":"127.0.0.1","exact_match":true}"#, true),
            (r#"{"cluster":"c"}"#, true),
            (r#"{"cluster":"d"}"#, false),
            (r#"{"host":"10."}"#, false),
            (r#"{"tags":[]}"#, true),
            (r#"{"tags":["a"]}"#, false),
            (r#"{"tags":["FAST "]}"#, true),
            (r#"{"tags":["fast","region:EU"]}"#, true),
            (r#"{"tags":["fast","region:us"]}"#, false),
            (r#"{"tags":["region"]}"#, false),
            (r#"{"tags":null,"domain":null}"#, true),
            (r#"{"domain":"hub"}"#, false),
        ] {
            assert_eq!(mean(json), Ok(expected), "{json}");
        }
    }

    #[test]
    fn options_become_parameters() {
        let wanted = [
            Param::Text("acc", "acc"),
            Param::Number("limit", "limit"),
            Param::Bool("auth", "auth"),
            Param::Subs,
            Param::State,
            Param::Texts("accounts", "a"),
        ];
        let params = |json| read(json).params(&wanted).unwrap();
        assert_eq!(params(r#"{"acc":"","limit":0,"auth":false,"state":0,"other":1}"#), []);
        let all = r#"{"acc":"A","limit":5,"auth":true,"subscriptions_detail":true,"state":2,"accounts":["x","y"]}"#;
        let expected = [
            ("acc", "A"),
            ("limit", "5"),
            ("auth", "true"),
            ("subs", "detail"),
            ("state", "any"),
            ("a", "x"),
            ("a", "y"),
        ];
        assert_eq!(params(all), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(read(r#"{"limit":"x"}"#).number("limit").unwrap_err().to_string(), "limit must be a number");
        assert_eq!(mean(r#"{"tags":["a",1]}"#).unwrap_err().to_string(), "tags must be a list of strings");
        assert_eq!(mean(r#"{"tags":1}"#).unwrap_err().to_string(), "tags must be a list of strings");
        assert!(Options::read(b"[]").is_err() && Options::read(b"x").is_err());
    }
}
