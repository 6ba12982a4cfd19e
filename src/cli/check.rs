//! `natsd -t -c FILE`: is this configuration valid?

use std::process::ExitCode;

use super::flags::ServeFlags;
#[cfg(feature = "scion")]
use crate::config::options::Options;

/// Prints the verdict to standard error. Errors and warnings both give status 1.
pub fn run(flags: &ServeFlags) -> ExitCode {
    let file = flags.config.as_deref().unwrap_or_else(|| "".as_ref()).display();
    match flags.options() {
        Err(error) => eprintln!("natsd: {error}"),
        Ok((_, warnings)) if !warnings.is_empty() => eprintln!("natsd: {warnings}"),
        #[cfg(feature = "scion")]
        Ok((options, _)) if let Err(error) = topology(&options) => eprintln!("natsd: scion.topology: {error}"),
        Ok((options, _)) => {
            let digest = options.config_digest.unwrap_or_default();
            eprintln!("natsd: configuration file {file} is valid ({digest})");
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::FAILURE
}

/// Whether the topology file that is named can be used.
#[cfg(feature = "scion")]
fn topology(options: &Options) -> Result<(), natsd_scion::TopologyError> {
    let file = options.scion.as_ref().and_then(|scion| scion.topology.as_deref());
    file.map_or(Ok(()), natsd_scion::check_topology)
}
