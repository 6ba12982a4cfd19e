//! The `natsd` command.

use std::process::ExitCode;

use natsd::config::options::{Listen, Options};
use natsd::{Server, logging, signals};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natsd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let options = options(std::env::args().skip(1))?;
    logging::init(&options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = signals::Signals::take()?;
        let server = Server::start(options).await?;
        signals::run_until_signal(server, signals).await;
        Ok(())
    })
}

/// `-a HOST`, `-p PORT`, `-D` and `-V`.
fn options(mut args: impl Iterator<Item = String>) -> Result<Options, Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let (mut host, mut port) = ("0.0.0.0".to_owned(), 4222);
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("flag {flag} needs a value"));
        match flag.as_str() {
            "-a" => host = value()?,
            "-p" => port = u16::try_from(value()?.parse::<i32>()?.max(0))?,
            "-D" => options.debug = true,
            "-V" => options.trace = true,
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    options.listen = vec![Listen::Tcp { host, port }];
    Ok(options)
}
