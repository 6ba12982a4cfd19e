//! `natsd -t -c FILE`: is this configuration valid?

use std::process::ExitCode;

use super::flags::ServeFlags;

/// Prints the verdict to standard error. Errors and warnings both give status 1.
pub fn run(flags: &ServeFlags) -> ExitCode {
    let file = flags.config.as_deref().unwrap_or_else(|| "".as_ref()).display();
    match flags.options() {
        Err(error) => eprintln!("natsd: {error}"),
        Ok((_, warnings)) if !warnings.is_empty() => eprintln!("natsd: {warnings}"),
        Ok((options, _)) => {
            let digest = options.config_digest.unwrap_or_default();
            eprintln!("natsd: configuration file {file} is valid ({digest})");
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::FAILURE
}
