//! Configurations of the Ruby server, which were YAML: they become trees of the configuration language.

mod keys;
mod print;
mod yaml;

use std::path::Path;

use super::error::{ConfigError, ConfigErrors};
use super::language::Map;

pub use print::print;

/// Whether a file is of the Ruby server: by its name, or by `---` on its first line that is no comment.
pub(super) fn is_ruby(text: &str, path: &Path) -> bool {
    let by_name =
        path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("yml") || ext.eq_ignore_ascii_case("yaml"));
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    by_name || lines.next().is_some_and(|line| line == "---" || line.starts_with("--- "))
}

/// The text of the file `path` as a configuration of natsd.
pub(super) fn read(text: &str, path: &Path) -> Result<Map, ConfigErrors> {
    let entries =
        yaml::read(text, path).map_err(|refusal| ConfigError::Yaml { at: refusal.at, problem: refusal.problem })?;
    let mut errors = Vec::new();
    let map = keys::server(&entries, &mut errors);
    if errors.is_empty() { Ok(map) } else { Err(ConfigErrors(errors)) }
}

#[cfg(test)]
mod tests;
