//! YAML: a text in, a tree of values with positions out. No aliases, and one document.

use std::path::Path;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::config::language::Position;

/// Lists and maps within each other.
const MAX_DEPTH: usize = 16;

/// A value, and where it starts.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Yaml,
    pub(super) at: Position,
}

/// A value.
#[derive(Debug, PartialEq)]
pub(super) enum Yaml {
    /// What is not in quotes may be something else than text.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(String, Position, Node)>),
}

impl Yaml {
    /// The kind of value in the words of an error message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Yaml::Scalar { .. } if self.is_null() => "nothing",
            Yaml::Scalar { .. } if self.bool().is_some() => "a boolean",
            Yaml::Scalar { .. } if self.number().is_some() => "a number",
            Yaml::Scalar { .. } => "a string",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    fn plain(&self) -> Option<&str> {
        match self {
            Yaml::Scalar { text, quoted: false } => Some(text),
            _ => None,
        }
    }

    /// Nothing at all, which is as if the key was not there.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    pub(super) fn bool(&self) -> Option<bool> {
        match self.plain()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// A number in tens, possibly with underscores or commas between digits, as Ruby takes them.
    pub(super) fn integer(&self) -> Option<i64> {
        let text = self.plain()?;
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '_' | ','));
        // Zeros in front make it octal.
        let is_decimal = is_number && (digits.len() == 1 || !digits.starts_with('0'));
        is_decimal.then(|| text.replace(['_', ','], "").parse().ok())?
    }

    pub(super) fn number(&self) -> Option<f64> {
        if let Some(integer) = self.integer() {
            return Some(integer as f64);
        }
        let text = self.plain()?;
        let is_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        text.parse().ok().filter(|number: &f64| is_number && number.is_finite())
    }

    /// Text, whatever it looks like; `None` when it is nothing, or not a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Yaml::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }
}

/// What is wrong with a text, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) at: Position,
    pub(super) problem: String,
}

/// A list or a map that is not complete yet.
enum Open {
    List(Position, Vec<Node>),
    /// The last key may still wait for its value.
    Map(Position, Vec<(String, Position, Node)>, Option<(String, Position)>),
}

/// Reads the text of the file `path`: a map, or nothing.
pub(super) fn read(text: &str, path: &Path) -> Result<Vec<(String, Position, Node)>, Refusal> {
    let mut reader = Reader { file: path.display().to_string().into(), open: Vec::new(), document: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Refusal {
            at: reader.position(error.marker()),
            problem: format!("this is not YAML: {}", error.info()),
        })?;
        let at = reader.position(&span.start);
        reader.take(event, at)?;
    }
    match reader.document {
        None => Ok(Vec::new()),
        Some(Node { value: Yaml::Map(entries), .. }) => Ok(entries),
        Some(Node { value, .. }) if value.is_null() => Ok(Vec::new()),
        Some(Node { value, at }) => {
            Err(Refusal { at, problem: format!("expected a map of keys and values, found {}", value.kind()) })
        }
    }
}

struct Reader {
    file: Arc<str>,
    open: Vec<Open>,
    document: Option<Node>,
}

impl Reader {
    fn position(&self, mark: &Marker) -> Position {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position { file: self.file.clone(), line: number(mark.line()), column: number(mark.col() + 1) }
    }

    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Refusal> {
        match event {
            Event::Scalar(text, style, ..) => {
                let value = Yaml::Scalar { text: text.into_owned(), quoted: style != ScalarStyle::Plain };
                self.put(Node { value, at })
            }
            Event::SequenceStart(..) => self.begin(Open::List(at, Vec::new())),
            Event::MappingStart(..) => self.begin(Open::Map(at, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(at, items)) => self.put(Node { value: Yaml::List(items), at }),
                Some(Open::Map(at, entries, _)) => self.put(Node { value: Yaml::Map(entries), at }),
                None => Ok(()),
            },
            Event::Alias(_) => Err(Refusal { at, problem: "aliases are not supported; write the value out".into() }),
            Event::DocumentStart(_) if self.document.is_some() => {
                Err(Refusal { at, problem: "a second document begins here; a configuration is one".into() })
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), Refusal> {
        let at = match &open {
            Open::List(at, _) | Open::Map(at, ..) => at.clone(),
        };
        if self.open.len() == MAX_DEPTH {
            return Err(Refusal { at, problem: format!("lists and maps are nested more than {MAX_DEPTH} deep") });
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, node: Node) -> Result<(), Refusal> {
        match self.open.last_mut() {
            None => self.document = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some((name, at)) => {
                    // As in Ruby the last one counts.
                    entries.retain(|(other, ..)| *other != name);
                    entries.push((name, at, node));
                }
                None => match node.value {
                    Yaml::Scalar { text, .. } => *key = Some((text, node.at)),
                    _ => return Err(Refusal { at: node.at, problem: "a key must be a word".into() }),
                },
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(text: &str) -> Yaml {
        read(text, "t.yml".as_ref()).expect(text).remove(0).2.value
    }

    fn refusal(text: &str) -> String {
        let refusal = read(text, "t.yml".as_ref()).expect_err(text);
        format!("{}: {}", refusal.at, refusal.problem)
    }

    #[test]
    fn words_are_what_ruby_takes_them_for() {
        for (text, integer) in [("4222", Some(4222)), ("-1", Some(-1)), ("1_000,000", Some(1_000_000)), ("0", Some(0))]
        {
            assert_eq!(first(&format!("a: {text}")).integer(), integer, "{text}");
        }
        for text in ["'4222'", "010", "1x", "1.5", "99999999999999999999", "_1"] {
            assert_eq!(first(&format!("a: {text}")).integer(), None, "{text}");
        }
        assert_eq!((first("a: 0.1").number(), first("a: .inf").number()), (Some(0.1), None));
        assert_eq!((first("a: Yes").bool(), first("a: 'yes'").bool()), (Some(true), None));
        assert_eq!((first("a: off").bool(), first("a: n").bool()), (Some(false), None));
        assert!(first("a:").is_null() && first("a: ~").is_null() && !first("a: ''").is_null());
        assert_eq!((first("a: 1234").text(), first("a:").text()), (Some("1234"), None));
        assert_eq!(read("# nothing\n---\n", "t.yml".as_ref()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("a: 1\n- b", "t.yml:2:"),
            ("a: [1", "t.yml:"),
            ("- a\n- b", "t.yml:1:1: expected a map of keys and values, found a list"),
            ("a: &x 1\nb: *x", "t.yml:2:4: aliases are not supported"),
            ("a: 1\n---\nb: 2", "t.yml:2:1: a second document begins here"),
            ("? [a]\n: 1", "t.yml:1:3: a key must be a word"),
            ("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "t.yml:1:19: lists and maps are nested more than 16 deep"),
        ] {
            let found = refusal(text);
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        assert_eq!(first("a: 1\na: 2").integer(), Some(2));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ \\-a-c:#'\"\\[\\]{}&*!|>%@\n\t0-9,?~\\\\é]{0,60}") {
            let _ = read(&text, "t.yml".as_ref());
        }
    }
}
