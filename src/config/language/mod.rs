//! The NATS configuration language: text in, a tree of values with positions out.
//!
//! A file is a list of `key value` pairs; [`parser`] is the grammar, [`scalar`] what a single value looks like,
//! [`source`] where included files and variables of the environment come from and how much of them is taken.

mod cursor;
mod digest;
mod error;
mod parser;
mod position;
mod scalar;
mod source;
mod value;
#[cfg(test)]
mod vectors;

use std::path::Path;

pub use error::{LanguageError, Problem};
pub use position::Position;
pub use source::Environment;
pub(super) use source::read_file;
pub use value::{Entry, Map, Node, Value};

/// Parses the text of the file `path`; included files are read relative to its directory.
pub fn parse(text: &str, path: &Path, environment: &Environment<'_>) -> Result<Map, LanguageError> {
    parser::parse(text, path, &mut source::Sources::new(environment))
}
