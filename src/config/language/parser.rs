//! The grammar: pairs, maps, lists, includes and references.

use std::path::Path;
use std::sync::Arc;

use super::cursor::{Cursor, is_line_end};
use super::error::{LanguageError, Problem};
use super::scalar::{Scalar, scalar};
use super::source::Sources;
use super::{Entry, Map, Node, Position, Value};

type Result<T> = std::result::Result<T, LanguageError>;

pub(super) fn parse(text: &str, path: &Path, sources: &mut Sources<'_>) -> Result<Map> {
    let file: Arc<str> = path.to_string_lossy().into();
    let cursor = Cursor::new(text, file);
    let mut parser = Parser { cursor, path, maps: vec![Map::default()], braces: Vec::new(), sources };
    parser.file()?;
    Ok(parser.maps.swap_remove(0))
}

struct Parser<'a, 'e> {
    cursor: Cursor<'a>,
    path: &'a Path,
    /// The maps that are open, innermost last: what a `$` reference can see.
    maps: Vec<Map>,
    /// The braces around pairs of the file that are open.
    braces: Vec<Position>,
    sources: &'a mut Sources<'e>,
}

/// What a pair is part of.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    File,
    Map,
}

enum Key {
    Name(String),
    Include,
}

impl<'e> Parser<'_, 'e> {
    /// Pairs up to the end. Braces around some or all of them, as in JSON, make no map, but must match.
    fn file(&mut self) -> Result<()> {
        loop {
            self.cursor.skip_space();
            match self.cursor.peek() {
                None => break,
                Some('{') => {
                    self.braces.push(self.cursor.position());
                    self.cursor.next();
                }
                Some('}') if !self.braces.is_empty() || self.cursor.is_at_last('}') => self.closing_brace(),
                Some('#' | '/') => self.comment()?,
                Some(_) => {
                    self.pair(Level::File)?;
                    self.end_of_pair(Level::File)?;
                }
            }
        }
        match self.braces.pop() {
            Some(at) => Err(LanguageError { at, problem: Problem::OpenMap }),
            None => Ok(()),
        }
    }

    /// One too many is tolerated.
    fn closing_brace(&mut self) {
        self.cursor.next();
        self.braces.pop();
    }

    fn map(&mut self) -> Result<Map> {
        let open_at = self.cursor.position();
        self.cursor.next();
        self.maps.push(Map::default());
        loop {
            self.cursor.skip_space();
            match self.cursor.peek() {
                None => return Err(LanguageError { at: open_at, problem: Problem::OpenMap }),
                Some('}') => break,
                Some(']') => return self.fail(Problem::ListEndInMap),
                Some('#' | '/') => self.comment()?,
                Some(_) => {
                    self.pair(Level::Map)?;
                    self.end_of_pair(Level::Map)?;
                }
            }
        }
        self.cursor.next();
        Ok(self.maps.pop().expect("the map that was pushed above"))
    }

    fn pair(&mut self, level: Level) -> Result<()> {
        let key_at = self.cursor.position();
        match self.key()? {
            Key::Include => self.include(key_at),
            Key::Name(key) => {
                self.separator(level, &key, &key_at)?;
                let node = self.value()?;
                self.innermost().insert(key, Entry { key_at, node, referenced: false });
                Ok(())
            }
        }
    }

    fn key(&mut self) -> Result<Key> {
        let at = self.cursor.position();
        match self.cursor.peek() {
            Some(c) if is_separator(c) => self.fail(Problem::SeparatorWithoutKey(c)),
            Some(quote @ ('"' | '\'')) => {
                self.cursor.next();
                match self.cursor.take_through(quote) {
                    Some(key) => Ok(Key::Name(key.to_owned())),
                    None => Err(LanguageError { at, problem: Problem::OpenKey }),
                }
            }
            _ => {
                let key = self.cursor.take_while(|c| !c.is_whitespace() && !is_separator(c));
                let include = key.eq_ignore_ascii_case("include");
                if include && self.cursor.peek().is_some_and(char::is_whitespace) {
                    return Ok(Key::Include);
                }
                Ok(Key::Name(key.to_owned()))
            }
        }
    }

    /// What is between a key and its value: white space, and at most one `=` or `:`.
    fn separator(&mut self, level: Level, key: &str, key_at: &Position) -> Result<()> {
        let missing = || Err(LanguageError { at: key_at.clone(), problem: Problem::KeyWithoutValue(key.to_owned()) });
        self.cursor.skip_space();
        let separated = self.cursor.peek().is_some_and(is_separator);
        if separated {
            self.cursor.next();
        }
        match level {
            Level::File => self.cursor.skip_blanks(),
            Level::Map => self.cursor.skip_space(),
        }
        match self.cursor.peek() {
            None if !separated => missing(),
            Some('}' | ',') if level == Level::Map => missing(),
            Some(c) if is_line_end(c) => self.fail(Problem::ValueOnNextLine),
            _ => Ok(()),
        }
    }

    fn end_of_pair(&mut self, level: Level) -> Result<()> {
        self.cursor.skip_blanks();
        match (level, self.cursor.peek()) {
            (_, Some('#' | '/')) => self.comment(),
            (_, Some('\n' | '\r' | ';' | ',')) => {
                self.cursor.next();
                Ok(())
            }
            (Level::File, Some('}')) => {
                self.closing_brace();
                Ok(())
            }
            (Level::File, None) | (Level::Map, None | Some('}')) => Ok(()),
            (_, found) => self.fail(Problem::AfterPair(found)),
        }
    }

    fn value(&mut self) -> Result<Node> {
        let at = self.cursor.position();
        self.within_bounds(&at, |sources| sources.count_values(1))?;
        let value = match self.cursor.peek() {
            Some('{') => Value::Map(self.nested(Self::map)?),
            Some('[') => Value::List(self.nested(Self::list)?),
            _ => match scalar(&mut self.cursor) {
                Ok(Scalar::Value(value)) => value,
                Ok(Scalar::Variable(name)) => self.variable(&name, &at)?,
                Err(problem) => return Err(LanguageError { at, problem }),
            },
        };
        Ok(Node { value, at })
    }

    fn list(&mut self) -> Result<Vec<Node>> {
        self.cursor.next();
        let mut items = Vec::new();
        loop {
            self.cursor.skip_space();
            match self.cursor.peek() {
                Some('#' | '/') => self.comment()?,
                Some(',') => return self.fail(Problem::EmptyListItem),
                Some(']') => break,
                _ => {
                    items.push(self.value()?);
                    self.end_of_item(&items)?;
                }
            }
        }
        self.cursor.next();
        Ok(items)
    }

    fn end_of_item(&mut self, items: &[Node]) -> Result<()> {
        self.cursor.skip_blanks();
        while matches!(self.cursor.peek(), Some('#' | '/')) {
            self.comment()?;
        }
        match self.cursor.peek() {
            Some('\n' | '\r' | ',') => {
                self.cursor.next();
                Ok(())
            }
            Some(']') => Ok(()),
            after => {
                let glued = items.last().is_some_and(|item| is_glued_integer(&item.value));
                self.fail(Problem::AfterItem { after, glued })
            }
        }
    }

    /// An included file cannot see the variables of this one; this one sees all that the file defines.
    fn include(&mut self, at: Position) -> Result<()> {
        self.cursor.skip_blanks();
        let name = match self.cursor.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.cursor.next();
                self.cursor.take_through(quote)
            }
            Some('0'..='9' | '-' | '[' | '{' | '(' | '\\') => None,
            _ => {
                let name = self.cursor.take_while(|c| !c.is_whitespace() && !matches!(c, ';' | '}' | '\''));
                self.cursor.eat('\'');
                Some(name)
            }
        };
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(LanguageError { at, problem: Problem::IncludeName });
        };
        let path = self.path.parent().unwrap_or(Path::new("")).join(name);
        self.within_bounds(&at, Sources::enter)?;
        let text = self.within_bounds(&at, |sources| sources.include(&path))?;
        let map = parse(&text, &path, self.sources)?;
        self.sources.leave();
        self.innermost().extend(map);
        Ok(())
    }

    /// The value of `$name`: of the innermost map that has it so far, else the environment's text, parsed.
    fn variable(&mut self, name: &str, at: &Position) -> Result<Value> {
        if let Some(value) = self.maps.iter_mut().rev().find_map(|map| map.reference(name)) {
            let checked = self.sources.has_depth(value.depth()).and_then(|()| self.sources.count_values(value.size()));
            return match checked {
                Ok(()) => Ok(value.clone()),
                Err(problem) => Err(LanguageError { at: at.clone(), problem }),
            };
        }
        self.within_bounds(at, Sources::enter)?;
        let text = self.within_bounds(at, |sources| sources.resolve(name))?;
        let origin = format!("${name}");
        let map = parse(&format!("value={text}"), Path::new(&origin), self.sources).map_err(|error| LanguageError {
            at: at.clone(),
            problem: Problem::Variable { name: name.to_owned(), error: Box::new(error) },
        })?;
        self.sources.resolved();
        self.sources.leave();
        let node = map.get("value").cloned();
        node.map(|node| node.value)
            .ok_or_else(|| LanguageError { at: at.clone(), problem: Problem::UnknownVariable(name.to_owned()) })
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let at = self.cursor.position();
        self.within_bounds(&at, Sources::enter)?;
        let value = parse(self)?;
        self.sources.leave();
        Ok(value)
    }

    fn comment(&mut self) -> Result<()> {
        if self.cursor.skip_comment() { Ok(()) } else { self.fail(Problem::LoneSlash) }
    }

    fn innermost(&mut self) -> &mut Map {
        self.maps.last_mut().expect("the map of the file is open to its end")
    }

    fn within_bounds<T>(
        &mut self,
        at: &Position,
        take: impl FnOnce(&mut Sources<'e>) -> std::result::Result<T, Problem>,
    ) -> Result<T> {
        take(self.sources).map_err(|problem| LanguageError { at: at.clone(), problem })
    }

    fn fail<T>(&self, problem: Problem) -> Result<T> {
        Err(LanguageError { at: self.cursor.position(), problem })
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '=' | ':')
}

/// `[1,2,3]`: the last item came out as the string `3]`.
fn is_glued_integer(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.strip_suffix(']').is_some_and(|digits| digits.parse::<i64>().is_ok()))
}
