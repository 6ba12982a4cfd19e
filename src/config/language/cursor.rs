use std::sync::Arc;

use super::Position;

/// A place in the text that only moves forward and knows its line and column.
pub(super) struct Cursor<'a> {
    rest: &'a str,
    file: Arc<str>,
    line: u32,
    column: u32,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, file: Arc<str>) -> Self {
        Self { rest: text, file, line: 1, column: 1 }
    }

    pub(super) fn position(&self) -> Position {
        Position { file: self.file.clone(), line: self.line, column: self.column }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn looking_at(&self, text: &str) -> bool {
        self.rest.starts_with(text)
    }

    /// Whether `c` is all that is left but for white space.
    pub(super) fn is_at_last(&self, c: char) -> bool {
        self.rest.trim_end().strip_prefix(c) == Some("")
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
        Some(c)
    }

    pub(super) fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    /// Takes characters up to the first that `wanted` refuses.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
        &start[..start.len() - self.rest.len()]
    }

    /// Takes everything up to `end`, and `end` itself; `None` when it does not come.
    pub(super) fn take_through(&mut self, end: char) -> Option<&'a str> {
        let taken = self.take_while(|c| c != end);
        self.eat(end).then_some(taken)
    }

    /// Skips spaces and tabs, which never end a pair.
    pub(super) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// Skips white space of all kinds, line ends included.
    pub(super) fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// Skips one comment, `#` or `//` up to the end of the line.
    pub(super) fn skip_comment(&mut self) -> bool {
        let comment = self.looking_at("#") || self.looking_at("//");
        if comment {
            self.take_while(|c| !is_line_end(c));
        }
        comment
    }
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}
