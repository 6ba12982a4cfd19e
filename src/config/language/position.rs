use std::fmt;
use std::sync::Arc;

/// Where in the configuration something stands; prints as `file:line:column`.
///
/// Lines and columns count from 1, columns in characters. (nats-server counts the columns of the first line, and
/// only those, from 0.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file as the operator named it, or as an `include` led to it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
