//! Writes a tree in the configuration language.

use std::fmt::Write;

use crate::config::language::{Map, Value};

/// The text of a file that says what `map` does, without the braces around it. Keys stand in the order of their positions.
pub fn print(map: &Map) -> String {
    let mut out = String::new();
    entries(&mut out, map, 0);
    out
}

fn entries(out: &mut String, map: &Map, depth: usize) {
    for (key, entry) in map.in_file_order() {
        indent(out, depth);
        // Keys come out of our own tables.
        out.push_str(key);
        out.push_str(if matches!(entry.node.value, Value::Map(_)) { " " } else { ": " });
        value(out, &entry.node.value, depth);
        out.push('\n');
    }
}

fn value(out: &mut String, value: &Value, depth: usize) {
    // Writing to a string cannot fail.
    let _ = match value {
        Value::Bool(on) => write!(out, "{on}"),
        Value::Int(n) => write!(out, "{n}"),
        // Without a fraction it would be an integer; with an exponent, a string.
        Value::Float(n) if n.fract() == 0.0 => write!(out, "{n:.1}"),
        Value::Float(n) => write!(out, "{n}"),
        Value::Date(text) => write!(out, "{text}"),
        Value::Text(text) => return quoted(out, text),
        Value::List(items) => {
            out.push_str("[\n");
            for item in items {
                indent(out, depth + 1);
                self::value(out, &item.value, depth + 1);
                out.push('\n');
            }
            indent(out, depth);
            return out.push(']');
        }
        Value::Map(map) => {
            out.push_str("{\n");
            entries(out, map, depth + 1);
            indent(out, depth);
            return out.push('}');
        }
    };
}

fn indent(out: &mut String, depth: usize) {
    (0..depth).for_each(|_| out.push_str("  "));
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::language;

    proptest! {
        #[test]
        fn what_is_printed_means_the_same(
            texts in proptest::collection::vec(".{0,12}", 0..4),
            n in any::<i64>(),
            x in -1e9..1e9_f64,
            on in any::<bool>(),
        ) {
            let parse = |text: &str| language::parse(text, "t.conf".as_ref(), &|_| None);
            let mut list = String::new();
            for text in &texts {
                list.push_str("  ");
                quoted(&mut list, text);
                list.push('\n');
            }
            let text = format!("a: {n}\nb {{ c: {on}\n d: {x:.6}\n e: [\n{list}] }}\n");
            let map = parse(&text).expect("valid");
            let printed = parse(&print(&map)).expect("what is printed is valid");
            prop_assert_eq!(map.digest(), printed.digest());
            let Some(Value::Map(b)) = printed.get("b").map(|node| &node.value) else { panic!("a map") };
            let Some(Value::List(items)) = b.get("e").map(|node| &node.value) else { panic!("a list") };
            let back: Vec<_> = items.iter().map(|item| item.value.clone()).collect();
            prop_assert_eq!(back, texts.into_iter().map(Value::Text).collect::<Vec<_>>());
        }
    }
}
