//! Parameters of a request, with the values and the errors of Go.

use std::fmt;
use std::time::SystemTime;

/// The parameters after `?`.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(pub(super) Vec<(String, String)>);

/// Why a parameter was refused. The texts are nats-server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParamError {
    /// Not a truth value.
    #[error("Error decoding boolean for '{name}': strconv.ParseBool: parsing {}: invalid syntax", GoQuoted(value))]
    Bool { name: &'static str, value: String },
    /// Not a signed number.
    #[error("Error decoding int for '{name}': strconv.Atoi: parsing {}: {problem}", GoQuoted(value))]
    Int { name: &'static str, value: String, problem: &'static str },
    /// Not an unsigned number.
    #[error("Error decoding uint64 for '{name}': strconv.ParseUint: parsing {}: {problem}", GoQuoted(value))]
    Unsigned { name: &'static str, value: String, problem: &'static str },
    /// Not a kind of event.
    #[error("there are no events called {0:?}; docs/monitoring.md lists them")]
    EventKind(String),
    /// Not a time.
    #[error("Error decoding time for '{name}': {error}")]
    Time { name: &'static str, error: String },
    /// Not a state of connections.
    #[error("Error decoding state for {0}")]
    State(String),
    /// Not an order of connections.
    #[error("invalid sorting option: {0}")]
    Sort(String),
    /// An order that only closed connections have.
    #[error("sort by {0} only valid on closed connections")]
    SortOfClosed(&'static str),
    /// Not an account.
    #[error("Account {0} does not exist")]
    NoAccount(String),
    /// Subjects mean something only within an account.
    #[error("filter by subject only valid with account filtering")]
    SubjectWithoutAccount,
    /// A subject with wildcards, or none at all.
    #[error("invalid test subject, must be valid publish subject: {0}")]
    TestSubject(String),
}

/// How much is said of subscriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Subs {
    #[default]
    Number,
    Subjects,
    Detail,
}

/// Rows that a list has unless told otherwise.
pub(super) const DEFAULT_LIMIT: u64 = 1024;

impl Params {
    /// The first value of that name; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// All values of that name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A truth value; false when absent.
    pub(super) fn bool(&self, name: &'static str) -> Result<bool, ParamError> {
        match self.get(name) {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            value => Err(ParamError::Bool { name, value: value.into() }),
        }
    }

    /// A point in time; the epoch when absent.
    pub(super) fn time(&self, name: &'static str) -> Result<SystemTime, ParamError> {
        let value = self.get(name);
        if value.is_empty() {
            return Ok(SystemTime::UNIX_EPOCH);
        }
        let time = value.parse::<natsd_api::Time>().map_err(|error| error.to_string());
        time.map(|time| time.0).map_err(|error| ParamError::Time { name, error })
    }

    /// A signed number; 0 when absent.
    fn int(&self, name: &'static str) -> Result<i64, ParamError> {
        let value = self.get(name);
        if value.is_empty() {
            return Ok(0);
        }
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
        value.parse().map_err(|_| ParamError::Int { name, value: value.into(), problem: problem(digits) })
    }

    /// An unsigned number; 0 when absent.
    pub(super) fn unsigned(&self, name: &'static str) -> Result<u64, ParamError> {
        let value = self.get(name);
        if value.is_empty() {
            return Ok(0);
        }
        let parsed = if value.starts_with('+') { None } else { value.parse().ok() };
        parsed.ok_or_else(|| ParamError::Unsigned { name, value: value.into(), problem: problem(value) })
    }

    /// `offset` and `limit`: the first and the number of rows wanted.
    pub(super) fn page(&self) -> Result<Page, ParamError> {
        let offset = u64::try_from(self.int("offset")?).unwrap_or(0);
        let limit = u64::try_from(self.int("limit")?).ok().filter(|limit| *limit > 0).unwrap_or(DEFAULT_LIMIT);
        Ok(Page { offset, limit })
    }

    /// `subs`: a truth value or `detail`.
    pub(super) fn subs(&self) -> Result<Subs, ParamError> {
        if self.get("subs").eq_ignore_ascii_case("detail") {
            return Ok(Subs::Detail);
        }
        Ok(if self.bool("subs")? { Subs::Subjects } else { Subs::Number })
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) offset: u64,
    pub(super) limit: u64,
}

impl Page {
    /// That part of `rows`.
    pub(super) fn of<T>(self, rows: Vec<T>) -> impl Iterator<Item = T> {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        rows.into_iter().skip(size(self.offset)).take(size(self.limit))
    }
}

fn problem(digits: &str) -> &'static str {
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if number { "value out of range" } else { "invalid syntax" }
}

/// Text in double quotes with Go's escapes.
struct GoQuoted<'a>(&'a str);

impl fmt::Display for GoQuoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Params(pairs.map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[test]
    fn pages() {
        let page = |text| params(text).page().unwrap();
        assert_eq!(page("x=1"), Page { offset: 0, limit: 1024 });
        assert_eq!(page("offset=-1&limit=-3"), Page { offset: 0, limit: 1024 });
        assert_eq!(page("offset=2&limit=1"), Page { offset: 2, limit: 1 });
        let rows: Vec<_> = page("offset=2&limit=1").of(vec![1, 2, 3, 4]).collect();
        assert_eq!(rows, [3]);
        assert_eq!(Page { offset: u64::MAX, limit: u64::MAX }.of(vec![1]).count(), 0);
    }

    #[test]
    fn subscriptions_may_be_wanted_in_three_ways() {
        for (text, subs) in [("subs=DETAIL", Subs::Detail), ("subs=TRUE", Subs::Subjects), ("subs=0", Subs::Number)] {
            assert_eq!(params(text).subs(), Ok(subs));
        }
    }

    #[test]
    fn errors_are_gos() {
        let errors = [
            params("subs=2").subs().map(drop),
            params("auth=yes").bool("auth").map(drop),
            params("limit=x").page().map(drop),
            params("offset=99999999999999999999").page().map(drop),
            params("limit=\"a\0").page().map(drop),
            params("cid=-1").unsigned("cid").map(drop),
            params("cid=99999999999999999999").unsigned("cid").map(drop),
        ];
        insta::assert_snapshot!(errors.map(|error| error.unwrap_err().to_string()).join("\n"));
    }
}
