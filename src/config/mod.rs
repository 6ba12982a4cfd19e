//! The NATS configuration language and the options it sets.
//!
//! [`language`] turns text into a tree of values, the tables in [`keys`] turn the tree into [`options::Options`].

pub mod address;
pub mod changes;
pub mod duration;
mod error;
mod field;
pub mod keys;
pub mod language;
pub mod options;

use std::path::Path;

pub use error::{ConfigError, ConfigErrors, ValueError, Warning, Warnings};
pub use field::{Key, name};

use language::Environment;
use options::Options;

/// Reads the file `path` on top of `base`: `Options::default()`, with `scion` set if a flag turns it on.
///
/// # Errors
///
/// All that is wrong with the values in the file, or the first thing that is wrong with its syntax.
pub fn load(path: &Path, base: Options) -> Result<(Options, Warnings), ConfigErrors> {
    load_in(path, base, &|name| std::env::var(name).ok())
}

fn load_in(path: &Path, base: Options, env: &Environment<'_>) -> Result<(Options, Warnings), ConfigErrors> {
    let text = language::read_file(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
    let map = language::parse(&text, path, env).map_err(ConfigError::from)?;
    let mut report = field::Report::default();
    let mut options = keys::server::read(&map, base, &mut report);
    options.config_file = Some(path.to_owned());
    options.config_digest = Some(map.digest());
    if report.errors.is_empty()
        && let Err(problem) = options.check()
    {
        report.errors.push(ConfigError::Options { file: path.to_owned(), problem });
    }
    if report.errors.is_empty() { Ok((options, Warnings(report.warnings))) } else { Err(ConfigErrors(report.errors)) }
}
