//! One entry of a configuration map, and the tables that say what its key means.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::{self, AddressError};
use super::duration;
use super::error::{ConfigError, ValueError, Warning};
use super::keys::unsupported;
use super::language::{Entry, Map, Node, Position, Value};
use super::options::{Listen, WriteTimeout};

/// What an operator can write, and what it changes in a `T`.
pub struct Key<T: 'static> {
    /// The key and its aliases.
    pub names: &'static [&'static str],
    /// The values it takes, for the documentation.
    pub takes: &'static str,
    /// What holds without it, for the documentation.
    pub default: &'static str,
    /// What it does, for the documentation.
    pub doc: &'static str,
    /// Obeys it.
    pub(super) read: fn(&mut T, &mut Field<'_>) -> Result<(), ValueError>,
}

/// What came to light while a configuration was read.
#[derive(Default)]
pub(super) struct Report {
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
    /// Everything that asks for SCION.
    pub(super) scion_addresses: Vec<(Position, String, String)>,
}

/// Reads `map` by two tables, each with what it fills. All errors are reported, in the order of the file.
pub(super) fn read_both<T, U>(
    map: &Map,
    one: (&[Key<T>], &mut T),
    other: (&[Key<U>], &mut U),
    refused: &[&str],
    report: &mut Report,
) {
    for (name, entry) in map.in_file_order() {
        let lower = name.to_ascii_lowercase();
        let (at, key) = (entry.key_at.clone(), name.to_owned());
        if read_entry(name, entry, one.0, one.1, report) || read_entry(name, entry, other.0, other.1, report) {
            continue;
        }
        if refused.contains(&lower.as_str()) {
            if !unsupported::is_off(&lower, &entry.node.value) {
                let why = unsupported::why(&lower).map(|why| format!(": {why}")).unwrap_or_default();
                report.errors.push(ConfigError::Unsupported { at, key, why });
            }
        } else if !entry.referenced {
            report.errors.push(ConfigError::Unknown { at, key });
        }
    }
}

/// Whether the entry is of the table.
fn read_entry<T>(name: &str, entry: &Entry, keys: &[Key<T>], target: &mut T, report: &mut Report) -> bool {
    let lower = name.to_ascii_lowercase();
    let Some(known) = keys.iter().find(|known| known.names.contains(&lower.as_str())) else { return false };
    let mut field = Field { key: lower, at: entry.key_at.clone(), node: &entry.node, report };
    if let Err(problem) = (known.read)(target, &mut field) {
        let error = ConfigError::Value { at: field.at, key: name.to_owned(), problem };
        report.errors.push(error);
    }
    true
}

/// A value, the key it stands under, and the means to turn it into what the key takes.
pub(super) struct Field<'a> {
    key: String,
    at: Position,
    node: &'a Node,
    report: &'a mut Report,
}

impl<'a> Field<'a> {
    pub(super) fn value(&self) -> &'a Value {
        &self.node.value
    }

    pub(super) fn at(&self) -> &Position {
        &self.at
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn expected(&self, expected: &'static str) -> ValueError {
        ValueError::Kind { expected, found: self.value().kind() }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.report.warnings.push(warning);
    }

    pub(super) fn bool(&mut self) -> Result<bool, ValueError> {
        match self.value() {
            Value::Bool(b) => Ok(*b),
            _ => Err(self.expected("true or false")),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, ValueError> {
        match self.value() {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    /// A text without white space.
    pub(super) fn name(&mut self) -> Result<String, ValueError> {
        name(self.text()?)
    }

    fn integer(&self) -> Result<i64, ValueError> {
        match self.value() {
            Value::Int(n) => Ok(*n),
            _ => Err(self.expected("an integer")),
        }
    }

    /// An integer in a range that `T` can hold.
    pub(super) fn integer_in<T: TryFrom<i64>>(&mut self, range: RangeInclusive<i64>) -> Result<T, ValueError> {
        let found = self.integer()?;
        let out = || ValueError::Range { found, min: *range.start(), max: *range.end() };
        if range.contains(&found) { T::try_from(found).map_err(|_| out()) } else { Err(out()) }
    }

    /// A limit where 0, and -1 as well, stand for none.
    pub(super) fn limit<T: TryFrom<i64>>(&mut self, max: i64) -> Result<Option<T>, ValueError> {
        if matches!(self.integer()?, 0 | -1) { Ok(None) } else { self.integer_in(1..=max).map(Some) }
    }

    /// A number where 0 stands for the `default`.
    pub(super) fn or_default<T: TryFrom<i64>>(&mut self, default: T, max: i64) -> Result<T, ValueError> {
        if self.integer()? == 0 { Ok(default) } else { self.integer_in(1..=max) }
    }

    /// A port to bind; -1 comes out as 0, any free port.
    pub(super) fn port(&mut self) -> Result<u16, ValueError> {
        match self.integer_in::<i64>(-1..=65535)? {
            0 => Err(ValueError::PortZero),
            port => Ok(u16::try_from(port).unwrap_or(0)),
        }
    }

    /// A duration in quotes; a bare integer is taken as seconds, with a warning. 0 stands for the `default`.
    pub(super) fn duration_or(&mut self, default: Duration) -> Result<Duration, ValueError> {
        let duration = match self.value() {
            Value::Text(text) => duration::parse(text)?,
            Value::Int(_) => {
                let seconds: i64 = self.integer_in(0..=i64::MAX / 1_000_000_000)?;
                let (at, key) = (self.at.clone(), self.key.clone());
                self.warn(Warning::DurationWithoutUnit { at, key, seconds });
                Duration::from_secs(seconds.unsigned_abs())
            }
            _ => return Err(self.expected("a duration such as \"2m\"")),
        };
        Ok(if duration.is_zero() { default } else { duration })
    }

    /// A duration as [`duration_or`](Self::duration_or) reads it, where 0 stands for none.
    pub(super) fn duration_or_none(&mut self) -> Result<Option<Duration>, ValueError> {
        self.duration_or(Duration::ZERO).map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
    }

    /// What becomes of a connection that is written to too slowly.
    pub(super) fn write_timeout(&mut self) -> Result<WriteTimeout, ValueError> {
        match self.text()? {
            "default" => Ok(WriteTimeout::Default),
            "close" => Ok(WriteTimeout::Close),
            "retry" => Ok(WriteTimeout::Retry),
            other => Err(ValueError::Word { found: other.to_owned(), expected: "\"default\", \"close\" or \"retry\"" }),
        }
    }

    /// A duration of at least `min`, which must be in quotes.
    pub(super) fn quoted_duration(&mut self, min: Duration) -> Result<Duration, ValueError> {
        let Value::Text(text) = self.value() else { return Err(self.expected("a duration in quotes such as \"2m\"")) };
        let found = duration::parse(text)?;
        if found < min { Err(ValueError::TooShort { found, min }) } else { Ok(found) }
    }

    /// The address that others are told, `host[:port]`.
    pub(super) fn advertised(&mut self) -> Result<String, ValueError> {
        Ok(address::advertised(self.text()?)?)
    }

    /// One address or a list of them; an integer is a port on all interfaces.
    pub(super) fn listeners(&mut self) -> Result<Vec<Listen>, ValueError> {
        self.listeners_by(address::listen)
    }

    /// As [`listeners`](Self::listeners), where routes come in.
    pub(super) fn route_listeners(&mut self) -> Result<Vec<Listen>, ValueError> {
        self.listeners_by(address::route_listener)
    }

    fn listeners_by(
        &mut self,
        parse: impl Fn(&str) -> Result<Listen, AddressError>,
    ) -> Result<Vec<Listen>, ValueError> {
        self.each(|field| match field.value() {
            Value::Int(_) => field.port().map(|port| Listen::Tcp { host: "0.0.0.0".into(), port }),
            Value::Text(text) => {
                let listen = parse(text)?;
                if matches!(listen, Listen::Scion(_)) {
                    field.asks_for_scion(text);
                }
                Ok(listen)
            }
            _ => Err(field.expected("a port, \"host:port\", or a list of these")),
        })
    }

    /// Notes an address that makes no sense while SCION is off.
    pub(super) fn asks_for_scion(&mut self, address: &str) {
        self.report.scion_addresses.push((self.at.clone(), self.key.clone(), address.to_owned()));
    }

    /// `read` of the value, or of every entry of a list of at least one. Errors name the entry.
    pub(super) fn each<R>(
        &mut self,
        mut read: impl FnMut(&mut Field<'_>) -> Result<R, ValueError>,
    ) -> Result<Vec<R>, ValueError> {
        match self.value() {
            Value::List(items) if items.is_empty() => Err(ValueError::Empty),
            Value::List(items) => self.items(items, read),
            _ => Ok(vec![read(self)?]),
        }
    }

    /// `read` of every one of `items`. The first error is returned, placed at its entry.
    pub(super) fn items<R>(
        &mut self,
        items: &[Node],
        mut read: impl FnMut(&mut Field<'_>) -> Result<R, ValueError>,
    ) -> Result<Vec<R>, ValueError> {
        let mut results = Vec::with_capacity(items.len());
        for node in items {
            let mut item = Field { key: self.key.clone(), at: node.at.clone(), node, report: self.report };
            match read(&mut item) {
                Ok(result) => results.push(result),
                Err(problem) => {
                    self.at = item.at;
                    return Err(problem);
                }
            }
        }
        Ok(results)
    }

    /// `read` of every entry of a map whose keys the operator makes up, in the order of the file.
    pub(super) fn entries<R>(
        &mut self,
        read: impl Fn(&str, &mut Field<'_>) -> Result<R, ValueError>,
    ) -> Result<Vec<R>, ValueError> {
        let Value::Map(map) = self.value() else { return Err(self.expected("a map, { … }")) };
        let mut results = Vec::new();
        // What is only there to be referred to is no entry, unless it looks like one.
        let is_entry = |value: &Value, referenced: bool| !referenced || matches!(value, Value::Map(_));
        for (key, entry) in
            map.in_file_order().into_iter().filter(|(_, entry)| is_entry(&entry.node.value, entry.referenced))
        {
            let at = entry.key_at.clone();
            let mut field = Field { key: key.to_owned(), at, node: &entry.node, report: self.report };
            match read(key, &mut field) {
                Ok(result) => results.push(result),
                Err(problem) => {
                    self.at = field.at;
                    return Err(problem);
                }
            }
        }
        Ok(results)
    }

    /// Reads a map by a table of its own. `false` if that reported errors of single keys.
    pub(super) fn map<T>(&mut self, keys: &[Key<T>], unsupported: &[&str], target: &mut T) -> Result<bool, ValueError> {
        self.split((keys, target), (&[], &mut ()), unsupported)
    }

    /// As [`map`](Self::map), by two tables with a target each.
    pub(super) fn split<T, U>(
        &mut self,
        one: (&[Key<T>], &mut T),
        other: (&[Key<U>], &mut U),
        unsupported: &[&str],
    ) -> Result<bool, ValueError> {
        let Value::Map(map) = self.value() else { return Err(self.expected("a map, { … }")) };
        let before = self.report.errors.len();
        read_both(map, one, other, unsupported, self.report);
        Ok(self.report.errors.len() == before)
    }

    /// As [`map`](Self::map), by two tables.
    pub(super) fn both<T>(
        &mut self,
        one: &[Key<T>],
        other: &[Key<T>],
        unsupported: &[&str],
        target: &mut T,
    ) -> Result<bool, ValueError> {
        let Value::Map(map) = self.value() else { return Err(self.expected("a map, { … }")) };
        let before = self.report.errors.len();
        for (name, entry) in map.in_file_order() {
            if read_entry(name, entry, one, target, self.report) || read_entry(name, entry, other, target, self.report)
            {
                continue;
            }
            let (at, key) = (entry.key_at.clone(), name.to_owned());
            if unsupported.contains(&name.to_ascii_lowercase().as_str()) {
                let why = unsupported::why(&key.to_ascii_lowercase());
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                self.report.errors.push(ConfigError::Unsupported { at, key, why });
            } else if !entry.referenced {
                self.report.errors.push(ConfigError::Unknown { at, key });
            }
        }
        Ok(self.report.errors.len() == before)
    }
}

/// Checks the name of a server or a cluster.
pub fn name(text: &str) -> Result<String, ValueError> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        Err(ValueError::Name(text.to_owned()))
    } else {
        Ok(text.to_owned())
    }
}
