use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Map, Node, Value};

impl Map {
    /// `sha256:…` of the map as compact JSON with sorted keys and a final newline: for the same file the same text as
    /// nats-server's digest.
    pub fn digest(&self) -> String {
        let mut json = String::new();
        write_map(&mut json, self);
        json.push('\n');
        let mut digest = String::from("sha256:");
        for byte in Sha256::digest(json) {
            // Writing to a string cannot fail, here and below.
            let _ = write!(digest, "{byte:02x}");
        }
        digest
    }
}

#[cfg(test)]
pub(super) fn to_json(map: &Map) -> String {
    let mut json = String::new();
    write_map(&mut json, map);
    json
}

fn write_map(json: &mut String, map: &Map) {
    json.push('{');
    for (i, (key, entry)) in map.iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        write_text(json, key);
        json.push(':');
        write_value(json, &entry.node.value);
    }
    json.push('}');
}

fn write_list(json: &mut String, items: &[Node]) {
    json.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        write_value(json, &item.value);
    }
    json.push(']');
}

fn write_value(json: &mut String, value: &Value) {
    match value {
        Value::Bool(b) => json.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => {
            let _ = write!(json, "{n}");
        }
        Value::Float(n) => write_float(json, *n),
        Value::Date(text) | Value::Text(text) => write_text(json, text),
        Value::List(items) => write_list(json, items),
        Value::Map(map) => write_map(json, map),
    }
}

/// The shortest digits that give the number back; with an exponent where Go's encoder uses one.
fn write_float(json: &mut String, n: f64) {
    if n == 0.0 || (1e-6..1e21).contains(&n.abs()) {
        let _ = write!(json, "{n}");
    } else {
        let text = format!("{n:e}");
        json.push_str(&if text.contains("e-") { text } else { text.replace('e', "e+") });
    }
}

/// Escapes what Go's encoder escapes: also what is special to HTML and the line separators of JavaScript.
fn write_text(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\x08' => json.push_str("\\b"),
            '\x0c' => json.push_str("\\f"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            _ => json.push(c),
        }
    }
    json.push('"');
}
