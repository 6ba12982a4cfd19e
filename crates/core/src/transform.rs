//! Subject transforms: what matches a pattern becomes another subject, made of its parts. As nats-server's mappings.

mod function;
mod mapping;
mod renaming;
#[cfg(test)]
mod tests;

use std::fmt;

use thiserror::Error;

use crate::subject;
use function::Function;
pub use function::FunctionError;
pub use mapping::{Destination, Mapping, MappingError, Mappings, WHOLE};
pub use renaming::Renaming;

/// Turns subjects of one pattern into subjects of another.
#[derive(Clone, PartialEq, Eq)]
pub struct Transform {
    source: Box<[u8]>,
    destination: Box<[u8]>,
    parts: Box<[Part]>,
}

/// One token of the destination, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// As it stands.
    Literal(Box<[u8]>),
    /// Made of the subject.
    Made(Function),
    /// All tokens from this one on.
    Rest(usize),
}

/// Why there is no such transform.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransformError {
    /// Not a subject that one can subscribe to.
    #[error("{0:?} is not a subject that one can subscribe to")]
    Source(String),
    /// Not a subject, or one with `*` in it.
    #[error("{0:?} is not a subject to publish to, which has no \"*\" and no blank")]
    Destination(String),
    /// `>` ends one of the two and not the other.
    #[error("\">\" must end both the source and the destination, or neither")]
    FullWildcard,
    /// Each wildcard of one has to be in the other, once.
    #[error("the wildcards of {local:?} are not those of {foreign:?}; name each of them once, as \"*\" or \"$1\"")]
    Wildcards {
        /// Of the exporting account.
        foreign: String,
        /// Of the importing account.
        local: String,
    },
    /// A function that does not exist or that does not take these arguments.
    #[error("{token}: {error}")]
    Function {
        /// As written.
        token: String,
        /// What is wrong.
        error: FunctionError,
    },
}

impl Transform {
    /// The destination as it was given.
    pub fn destination(&self) -> &[u8] {
        &self.destination
    }

    /// The transform from `source`, a pattern, to `destination`, whose tokens are literal, `$N`, `{{function(…)}}`, or
    /// a last `>` if the source ends with one.
    ///
    /// # Errors
    ///
    /// What [`TransformError`] lists.
    pub fn new(source: &str, destination: &str) -> Result<Self, TransformError> {
        if !subject::is_valid(source.as_bytes()) || source.contains(char::is_whitespace) {
            return Err(TransformError::Source(source.to_owned()));
        }
        let wildcards: Vec<usize> = positions(source, "*").collect();
        let rest = positions(source, ">").next();
        let mut parts = Vec::new();
        for token in tokens_of(destination) {
            parts.push(match token {
                "" | "*" => return Err(TransformError::Destination(destination.to_owned())),
                ">" => Part::Rest(rest.ok_or(TransformError::FullWildcard)?),
                _ => Part::parse(token, &wildcards)
                    .map_err(|error| TransformError::Function { token: token.to_owned(), error })?,
            });
        }
        let at = parts.iter().position(|part| matches!(part, Part::Rest(_)));
        match at {
            Some(at) if at + 1 != parts.len() => return Err(TransformError::Destination(destination.to_owned())),
            None if rest.is_some() => return Err(TransformError::FullWildcard),
            _ => {}
        }
        let literal = |part: &Part| matches!(part, Part::Literal(text) if text.iter().any(u8::is_ascii_whitespace));
        if parts.iter().any(literal) {
            return Err(TransformError::Destination(destination.to_owned()));
        }
        Ok(Self { source: source.as_bytes().into(), destination: destination.as_bytes().into(), parts: parts.into() })
    }

    /// The pattern that it applies to.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Writes what `subject` becomes; false, and nothing is written, if it is not of the pattern. `random` gives a
    /// number below its argument.
    pub fn apply(&self, subject: &[u8], random: &mut impl FnMut(u32) -> u32, out: &mut Vec<u8>) -> bool {
        if !subject::matches(&self.source, subject) {
            return false;
        }
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                out.push(b'.');
            }
            match part {
                Part::Literal(token) => out.extend_from_slice(token),
                Part::Made(function) => function.write(subject, random, out),
                Part::Rest(from) => {
                    let skipped: usize = subject::tokens(subject).take(*from).map(|token| token.len() + 1).sum();
                    out.extend_from_slice(&subject[skipped..]);
                }
            }
        }
        true
    }
}

impl Part {
    /// `wildcards` are the tokens of the source that `*` stands for.
    fn parse(token: &str, wildcards: &[usize]) -> Result<Self, FunctionError> {
        let number = token.strip_prefix('$').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if let Some(number) = number {
            return Function::wildcard(number, wildcards).map(Part::Made);
        }
        match token.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
            Some(call) => Function::parse(call, wildcards).map(Part::Made),
            None => Ok(Part::Literal(token.as_bytes().into())),
        }
    }
}

fn positions<'a>(pattern: &'a str, wildcard: &'a str) -> impl Iterator<Item = usize> + 'a {
    pattern.split('.').enumerate().filter(move |(_, token)| *token == wildcard).map(|(at, _)| at)
}

/// The tokens of a destination: dots within `{{ }}` do not part them.
fn tokens_of(destination: &str) -> Vec<&str> {
    let (mut tokens, mut start, mut within) = (Vec::new(), 0, false);
    for (at, byte) in destination.bytes().enumerate() {
        match byte {
            b'{' if at == start && destination[at..].starts_with("{{") => within = true,
            b'}' if destination[..=at].ends_with("}}") => within = false,
            b'.' if !within => {
                tokens.push(&destination[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    tokens.push(&destination[start..]);
    tokens
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        write!(f, "{} -> {}", text(&self.source), text(&self.destination))
    }
}
