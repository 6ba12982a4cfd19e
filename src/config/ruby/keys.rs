//! The keys of the Ruby server, and which of ours they are.

use super::yaml::{Node, Yaml};
use crate::config::error::{ConfigError, ValueError};
use crate::config::language::{self, Entry, Map, Position, Value};

/// Keys and values in the order of the file.
type Entries = [(String, Position, Node)];

/// What a map of the Ruby server becomes, while its keys are read.
struct Draft<'a> {
    map: Map,
    errors: &'a mut Vec<ConfigError>,
}

/// The whole file.
pub(super) fn server(entries: &Entries, errors: &mut Vec<ConfigError>) -> Map {
    let net = entries.iter().find(|(key, ..)| key == "net");
    let mut draft = Draft { map: Map::default(), errors };
    for (key, at, node) in present(entries) {
        match key {
            "port" | "max_control_line" | "max_payload" | "max_pending" | "max_connections" => {
                draft.put(key, key, at, node, integer);
            }
            "net" => draft.put(key, "host", at, node, text),
            "pid_file" | "log_file" => draft.put(key, key, at, node, text),
            "logtime" | "debug" | "trace" => draft.put(key, key, at, node, boolean),
            "syslog" => draft.put(key, key, at, node, syslog),
            "ssl" => draft.check(key, at, without_tls(node)),
            // How its event loop waited.
            "no_epoll" | "no_kqueue" => draft.check(key, at, boolean(node).map(drop)),
            "authorization" => draft.nest(key, at, node, authorization),
            "http" => draft.nest(key, at, node, http),
            "ping" => draft.with(key, at, node, ping),
            "cluster" => draft.nest(key, at, node, |draft, entries| cluster(draft, entries, net)),
            _ => draft.unknown(key, at),
        }
    }
    draft.map
}

fn authorization(draft: &mut Draft<'_>, entries: &Entries) {
    for (key, at, node) in present(entries) {
        match key {
            "user" | "token" => draft.put(key, key, at, node, text),
            "password" | "pass" => draft.put(key, "password", at, node, text),
            "timeout" => draft.put(key, key, at, node, seconds),
            "users" => draft.put_users(key, at, node),
            _ => draft.unknown(key, at),
        }
    }
    draft.move_single_user();
}

fn user(draft: &mut Draft<'_>, entries: &Entries) {
    for (key, at, node) in present(entries) {
        match key {
            "user" => draft.put(key, key, at, node, text),
            "password" | "pass" => draft.put(key, "password", at, node, text),
            _ => draft.unknown(key, at),
        }
    }
}

fn http(draft: &mut Draft<'_>, entries: &Entries) {
    for (key, at, node) in present(entries) {
        match key {
            "net" => draft.put(key, "host", at, node, text),
            "port" => draft.put(key, key, at, node, integer),
            "user" => draft.put(key, key, at, node, text),
            "password" | "pass" => draft.put(key, "password", at, node, text),
            _ => draft.unknown(key, at),
        }
    }
}

/// The Ruby server gave up when more than `max_outstanding` pings were unanswered, ours when `ping_max` are and another
/// one is due.
fn ping(draft: &mut Draft<'_>, entries: &Entries) {
    for (key, at, node) in present(entries) {
        match key {
            "interval" => draft.put(key, "ping_interval", at, node, duration),
            "max_outstanding" => draft.put(key, "ping_max", at, node, |node| match integer(node)? {
                Value::Int(max) => Ok(Value::Int(max.saturating_add(1))),
                value => Ok(value),
            }),
            _ => draft.unknown(key, at),
        }
    }
}

/// Routes came in at the address of clients.
fn cluster(draft: &mut Draft<'_>, entries: &Entries, net: Option<&(String, Position, Node)>) {
    for (key, at, node) in present(entries) {
        match key {
            "port" => {
                draft.put(key, key, at, node, integer);
                if let Some((_, _, net)) = net {
                    draft.put("net", "host", at, net, text);
                }
            }
            "authorization" => draft.nest(key, at, node, authorization),
            "routes" => draft.put(key, key, at, node, routes),
            _ => draft.unknown(key, at),
        }
    }
}

/// Keys that have a value.
fn present(entries: &Entries) -> impl Iterator<Item = (&str, &Position, &Node)> {
    let present = entries.iter().filter(|(_, _, node)| !node.value.is_null());
    present.map(|(key, at, node)| (key.as_str(), at, node))
}

fn wrong(node: &Node, expected: &'static str) -> ValueError {
    ValueError::Kind { expected, found: node.value.kind() }
}

fn integer(node: &Node) -> Result<Value, ValueError> {
    node.value.integer().map(Value::Int).ok_or_else(|| wrong(node, "an integer"))
}

fn boolean(node: &Node) -> Result<Value, ValueError> {
    node.value.bool().map(Value::Bool).ok_or_else(|| wrong(node, "true or false"))
}

fn text(node: &Node) -> Result<Value, ValueError> {
    let text = node.value.text().map(|text| Value::Text(text.to_owned()));
    text.ok_or_else(|| wrong(node, "a string"))
}

fn seconds(node: &Node) -> Result<Value, ValueError> {
    match (node.value.integer(), node.value.number()) {
        (Some(seconds), _) => Ok(Value::Int(seconds)),
        (None, Some(seconds)) => Ok(Value::Float(seconds)),
        (None, None) => Err(wrong(node, "a number of seconds")),
    }
}

/// Seconds, which ours takes in quotes and with a unit.
fn duration(node: &Node) -> Result<Value, ValueError> {
    match node.value.number() {
        Some(seconds) if seconds >= 0.0 => Ok(Value::Text(format!("{seconds}s"))),
        _ => Err(wrong(node, "a number of seconds")),
    }
}

/// The name under which it logged; ours logs under that of the program.
fn syslog(node: &Node) -> Result<Value, ValueError> {
    match (node.value.bool(), node.value.text()) {
        (Some(on), _) => Ok(Value::Bool(on)),
        (None, Some(_)) => Ok(Value::Bool(true)),
        (None, None) => Err(wrong(node, "a string")),
    }
}

fn without_tls(node: &Node) -> Result<(), ValueError> {
    match boolean(node)? {
        Value::Bool(true) => Err(ValueError::NoCounterpart(
            "the Ruby server made up a certificate, natsd needs one: use natsd convert without this line, and add tls { cert_file, \
             key_file }",
        )),
        _ => Ok(()),
    }
}

/// URLs in a list, or in one string with blanks between them: that is what YAML makes of indented lines.
fn routes(node: &Node) -> Result<Value, ValueError> {
    let item = |text: &str, at: &Position| language::Node { value: Value::Text(text.to_owned()), at: at.clone() };
    match &node.value {
        Yaml::List(items) => {
            let urls = items.iter().map(|url| text(url).map(|value| language::Node { value, at: url.at.clone() }));
            urls.collect::<Result<_, _>>().map(Value::List)
        }
        value => {
            let urls = value.text().ok_or_else(|| wrong(node, "URLs"))?;
            Ok(Value::List(urls.split_whitespace().map(|url| item(url, &node.at)).collect()))
        }
    }
}

impl Draft<'_> {
    fn unknown(&mut self, key: &str, at: &Position) {
        self.errors.push(ConfigError::Unknown { at: at.clone(), key: key.to_owned() });
    }

    fn check(&mut self, key: &str, at: &Position, checked: Result<(), ValueError>) {
        if let Err(problem) = checked {
            self.errors.push(ConfigError::Value { at: at.clone(), key: key.to_owned(), problem });
        }
    }

    /// Puts what `read` makes of the value of `key` under our name for it.
    fn put(
        &mut self,
        key: &str,
        ours: &str,
        at: &Position,
        node: &Node,
        read: impl FnOnce(&Node) -> Result<Value, ValueError>,
    ) {
        match read(node) {
            Ok(value) => self.insert(ours, at, language::Node { value, at: node.at.clone() }),
            Err(problem) => self.check(key, at, Err(problem)),
        }
    }

    fn insert(&mut self, key: &str, at: &Position, node: language::Node) {
        self.map.insert(key.to_owned(), Entry { key_at: at.clone(), node, referenced: false });
    }

    /// Reads a map into this one.
    fn with(&mut self, key: &str, at: &Position, node: &Node, read: impl FnOnce(&mut Self, &Entries)) {
        match &node.value {
            Yaml::Map(entries) => read(self, entries),
            _ => self.check(key, at, Err(wrong(node, "a map"))),
        }
    }

    /// Reads a map into one of its own.
    fn nest(&mut self, key: &str, at: &Position, node: &Node, read: impl FnOnce(&mut Draft<'_>, &Entries)) {
        let Yaml::Map(entries) = &node.value else { return self.check(key, at, Err(wrong(node, "a map"))) };
        let mut inner = Draft { map: Map::default(), errors: self.errors };
        read(&mut inner, entries);
        let value = Value::Map(inner.map);
        self.insert(key, at, language::Node { value, at: node.at.clone() });
    }

    fn put_users(&mut self, key: &str, at: &Position, node: &Node) {
        let Yaml::List(items) = &node.value else { return self.check(key, at, Err(wrong(node, "a list of maps"))) };
        let mut users = Vec::new();
        for item in items {
            let mut one = Draft { map: Map::default(), errors: self.errors };
            one.with(key, &item.at, item, user);
            users.push(language::Node { value: Value::Map(one.map), at: item.at.clone() });
        }
        self.insert(key, at, language::Node { value: Value::List(users), at: node.at.clone() });
    }

    /// The Ruby server took a single user and a list together, ours takes one or the other.
    fn move_single_user(&mut self) {
        let Some(Value::List(users)) = self.map.get("users").map(|node| node.value.clone()) else { return };
        let mut single = Map::default();
        for key in ["user", "password"] {
            if let Some(entry) = self.map.remove(key) {
                single.insert(key.to_owned(), entry);
            }
        }
        let Some(at) = single.get("user").map(|node| node.at.clone()) else { return };
        let first = language::Node { value: Value::Map(single), at: at.clone() };
        let value = Value::List(std::iter::once(first).chain(users).collect());
        self.insert("users", &at, language::Node { value, at: at.clone() });
    }
}
