//! The `natsd` command.

use std::process::ExitCode;

use natsd::cli::args::{self, Command};
use natsd::cli::{certs, check, convert, serve, signal};

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Command::Serve(flags) => serve::run(&flags),
        Command::Check(flags) => check::run(&flags),
        Command::Certs(flags) => certs::run(&flags),
        Command::Convert(flags) => convert::run(&flags),
        Command::Signal(request) => signal::run(&request),
        Command::Version => {
            println!("{}", args::version());
            ExitCode::SUCCESS
        }
        #[cfg(feature = "tui")]
        Command::Top(flags) => natsd::cli::top::run(&flags),
        #[cfg(feature = "scion")]
        Command::Paths(flags) => natsd::cli::paths::run(&flags),
        #[cfg(feature = "scion")]
        Command::Ping(flags) => natsd::cli::ping::run(&flags),
        #[cfg(feature = "scion")]
        Command::Link(flags) => natsd::cli::link::run(&flags),
        #[cfg(feature = "lab")]
        Command::Lab(flags) => natsd::cli::lab::run(flags),
    }
}
