//! `natsd convert OLD.yml`.

use std::io::Write;
use std::process::ExitCode;

use super::args::ConvertFlags;
use crate::config;

/// Prints the file in our language, all of it or nothing. The status is 1 when something in it cannot be had.
pub fn run(flags: &ConvertFlags) -> ExitCode {
    match config::convert(&flags.file) {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => eprintln!("natsd convert: cannot write: {error}"),
        },
        Err(error) => eprintln!("natsd convert: {error}"),
    }
    ExitCode::FAILURE
}
