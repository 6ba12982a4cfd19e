//! The NATS configuration language and the options it sets.
//!
//! [`language`] turns text into a tree of values, the tables in [`keys`] turn the tree into [`options::Options`].
//! [`ruby`] makes such a tree of what the Ruby server was configured with.

pub mod address;
pub mod changes;
pub mod duration;
mod error;
mod field;
pub mod keys;
pub mod language;
pub mod options;
pub mod ruby;

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

/// What the file `path` of the Ruby server means, as a file of ours.
///
/// # Errors
///
/// When it is of the configuration language already, or as [`load`].
pub fn convert(path: &Path) -> Result<String, ConfigErrors> {
    let text = read_file(path)?;
    if !ruby::is_ruby(&text, path) {
        return Err(ConfigError::NotRuby { path: path.to_owned() }.into());
    }
    let map = ruby::read(&text, path)?;
    options_of(&map, path, Options::default())?;
    Ok(ruby::print(&map))
}

fn read_file(path: &Path) -> Result<String, ConfigErrors> {
    language::read_file(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error }.into())
}

fn load_in(path: &Path, base: Options, env: &Environment<'_>) -> Result<(Options, Warnings), ConfigErrors> {
    let text = read_file(path)?;
    let map = if ruby::is_ruby(&text, path) {
        ruby::read(&text, path)?
    } else {
        language::parse(&text, path, env).map_err(ConfigError::from)?
    };
    options_of(&map, path, base)
}

fn options_of(map: &language::Map, path: &Path, base: Options) -> Result<(Options, Warnings), ConfigErrors> {
    let mut report = field::Report::default();
    let mut options = keys::server::read(map, base, &mut report);
    options.config_file = Some(path.to_owned());
    options.config_digest = Some(map.digest());
    if report.errors.is_empty()
        && let Err(problem) = options.check()
    {
        report.errors.push(ConfigError::Options { file: path.to_owned(), problem });
    }
    if report.errors.is_empty() { Ok((options, Warnings(report.warnings))) } else { Err(ConfigErrors(report.errors)) }
}
