//! JSON as Go's encoder writes it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// `value` indented by two spaces, without a newline at the end.
///
/// As Go does: `<`, `>`, `&`, U+2028 and U+2029 in strings become `\u` escapes, and a float without fraction has no
/// `.0`.
pub fn to_json<T: Serialize>(value: &T) -> String {
    write(value, PrettyFormatter::new())
}

/// As [`to_json`], on one line without blanks.
pub fn to_compact_json<T: Serialize>(value: &T) -> String {
    write(value, CompactFormatter)
}

fn write<T: Serialize, F: Formatter>(value: &T, layout: F) -> String {
    let mut out = Vec::with_capacity(1024);
    value
        .serialize(&mut Serializer::with_formatter(&mut out, GoFormatter { layout }))
        .expect("writing to memory cannot fail, and map keys are strings");
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

/// The values of Go in the layout of `F`.
struct GoFormatter<F> {
    layout: F,
}

impl<F: Formatter> Formatter for GoFormatter<F> {
    fn write_f64<W: ?Sized + Write>(&mut self, w: &mut W, value: f64) -> io::Result<()> {
        match value.abs() {
            1e-6..1e21 | 0.0 => write!(w, "{value}"),
            _ => write!(w, "{value:e}"),
        }
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, w: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            let mut tail = tail.chars();
            let escaped = tail.next().expect("`at` is the index of a char");
            write!(w, "{plain}\\u{:04x}", u32::from(escaped))?;
            rest = tail.as_str();
        }
        w.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.layout.begin_array(w)
    }

    fn end_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.layout.end_array(w)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.layout.begin_array_value(w, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.layout.end_array_value(w)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.layout.begin_object(w)
    }

    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.layout.end_object(w)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.layout.begin_object_key(w, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.layout.begin_object_value(w)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.layout.end_object_value(w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_look_as_gos() {
        let document = json!({"subject": "foo.>", "none": [], "nested": {"a": [1, 2]}, "empty": {}});
        insta::assert_snapshot!(to_json(&document), @r#"
        {
          "empty": {},
          "nested": {
            "a": [
              1,
              2
            ]
          },
          "none": [],
          "subject": "foo.\u003e"
        }
        "#);
        assert_eq!(to_compact_json(&json!({"a": [1, "&"]})), r#"{"a":[1,"\u0026"]}"#);
    }

    #[test]
    fn floats_without_fraction_are_integers() {
        for (value, text) in
            [(2.0, "2"), (0.0, "0"), (0.125, "0.125"), (1.4285714285714286, "1.4285714285714286"), (1e-7, "1e-7")]
        {
            assert_eq!(to_json(&value), text);
        }
    }

    #[test]
    fn strings_survive() {
        let hostile = "<a href=\"x\">&\u{2028}\u{2029}\n\u{7f}ü</a>";
        let json = to_compact_json(&hostile);
        assert!(json.is_ascii() || !json.contains(['<', '>', '&', '\u{2028}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }
}
