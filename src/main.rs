//! The `natsd` command.

use std::process::ExitCode;

use natsd::cli::args::{self, Command};
use natsd::cli::{check, signal};

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Command::Check(flags) => check::run(&flags),
        Command::Signal(request) => signal::run(&request),
        Command::Version => {
            println!("{}", args::version());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("natsd: this command is not part of this build");
            ExitCode::FAILURE
        }
    }
}
