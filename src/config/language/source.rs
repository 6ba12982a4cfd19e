//! What a configuration is made of besides its own text: included files and the environment, in bounded amounts.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::Problem;

/// Nesting of maps, lists, includes and variables together.
const MAX_DEPTH: usize = 64;
/// Files read for one configuration.
const MAX_FILES: usize = 1000;
/// Text read for one configuration.
const MAX_BYTES: usize = 16 << 20;
/// Values of one configuration, those behind `$` references counted each time.
const MAX_VALUES: usize = 1_000_000;

/// Looks up a variable of the environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The outside world of one parse, and what was taken from it so far.
pub(super) struct Sources<'a> {
    environment: &'a Environment<'a>,
    /// Variables of the environment that are being parsed, outermost first.
    resolving: Vec<String>,
    depth: usize,
    files: usize,
    bytes: usize,
    values: usize,
}

impl<'a> Sources<'a> {
    pub(super) fn new(environment: &'a Environment<'a>) -> Self {
        Self { environment, resolving: Vec::new(), depth: 0, files: 0, bytes: 0, values: 0 }
    }

    pub(super) fn enter(&mut self) -> Result<(), Problem> {
        self.has_depth(1)?;
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn has_depth(&self, more: usize) -> Result<(), Problem> {
        if self.depth + more > MAX_DEPTH { Err(Problem::TooDeep(MAX_DEPTH)) } else { Ok(()) }
    }

    pub(super) fn count_values(&mut self, more: usize) -> Result<(), Problem> {
        self.values = self.values.saturating_add(more);
        if self.values > MAX_VALUES { Err(Problem::TooManyValues(MAX_VALUES)) } else { Ok(()) }
    }

    pub(super) fn include(&mut self, path: &Path) -> Result<String, Problem> {
        let over = Problem::IncludeBudget { files: MAX_FILES, bytes: MAX_BYTES };
        if self.files == MAX_FILES {
            return Err(over);
        }
        let left = MAX_BYTES - self.bytes;
        let text = read_at_most(path, left)
            .map_err(|error| Problem::Include { path: path.display().to_string(), error })?
            .ok_or(over)?;
        self.files += 1;
        self.bytes += text.len();
        Ok(text)
    }

    /// Starts on the variable `name` of the environment; [`Self::resolved`] ends it.
    pub(super) fn resolve(&mut self, name: &str) -> Result<String, Problem> {
        if self.resolving.iter().any(|outer| outer == name) {
            return Err(Problem::VariableCycle(name.to_owned()));
        }
        let text = (self.environment)(name).ok_or_else(|| Problem::UnknownVariable(name.to_owned()))?;
        self.resolving.push(name.to_owned());
        Ok(text)
    }

    pub(super) fn resolved(&mut self) {
        self.resolving.pop();
    }
}

/// The text of a file, `None` when it is longer than `limit` bytes.
fn read_at_most(path: &Path, limit: usize) -> io::Result<Option<String>> {
    let mut text = String::new();
    File::open(path)?.take(limit as u64 + 1).read_to_string(&mut text)?;
    Ok((text.len() <= limit).then_some(text))
}

/// The text of a configuration file, refused beyond the size that includes are held to as well.
pub(in crate::config) fn read_file(path: &Path) -> io::Result<String> {
    read_at_most(path, MAX_BYTES)?.ok_or_else(|| {
        io::Error::new(io::ErrorKind::FileTooLarge, format!("the file is larger than {MAX_BYTES} bytes"))
    })
}
