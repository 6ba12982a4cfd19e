use std::collections::BTreeMap;

use super::Position;

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer with its suffix applied.
    Int(i64),
    /// A finite floating-point number.
    Float(f64),
    /// `2016-05-04T18:53:41Z`, as written.
    Date(String),
    /// A string.
    Text(String),
    /// `[…]`.
    List(Vec<Node>),
    /// `{…}`.
    Map(Map),
}

impl Value {
    /// The kind of value in the words of an error message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a floating-point number",
            Value::Date(_) => "a date",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Number of values in the tree below and including this one.
    pub(super) fn size(&self) -> usize {
        1 + self.children().map(Value::size).sum::<usize>()
    }

    /// Number of lists and maps on the longest way down.
    pub(super) fn depth(&self) -> usize {
        match self {
            Value::List(_) | Value::Map(_) => 1 + self.children().map(Value::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Value> + '_> {
        match self {
            Value::List(nodes) => Box::new(nodes.iter().map(|node| &node.value)),
            Value::Map(map) => Box::new(map.entries.values().map(|entry| &entry.node.value)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

/// A value and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its first character, or that of the `$` reference to it.
    pub at: Position,
}

/// What a map holds under one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key starts.
    pub key_at: Position,
    /// The value.
    pub node: Node,
    /// Whether a `$` reference used this entry, which makes any key a legitimate one.
    pub referenced: bool,
}

/// A map with keys as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: BTreeMap<String, Entry>,
}

impl Map {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|entry| &entry.node)
    }

    /// Entries by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Entries in the order in which the operator wrote them.
    pub fn in_file_order(&self) -> Vec<(&str, &Entry)> {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_by(|(_, a), (_, b)| a.key_at.cmp(&b.key_at));
        entries
    }

    /// The last of several entries with one key counts.
    pub(in crate::config) fn insert(&mut self, key: String, entry: Entry) {
        self.entries.insert(key, entry);
    }

    pub(in crate::config) fn remove(&mut self, key: &str) -> Option<Entry> {
        self.entries.remove(key)
    }

    pub(super) fn extend(&mut self, other: Map) {
        self.entries.extend(other.entries);
    }

    /// The value under `key`, marked as referenced.
    pub(super) fn reference(&mut self, key: &str) -> Option<&Value> {
        let entry = self.entries.get_mut(key)?;
        entry.referenced = true;
        Some(&entry.node.value)
    }
}
