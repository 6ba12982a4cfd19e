//! `natsd certs`: an authority for a cluster, and certificates for its nodes.

use std::io::{self, Write};
use std::process::ExitCode;

use thiserror::Error;

use super::args::CertsFlags;
use crate::authority::{Authority, AuthorityError, CA, CA_KEY, MAX_DAYS};

#[derive(Debug, Error)]
enum CertsError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// Makes what is asked for and says where it is. What was made before an error stays.
pub fn run(flags: &CertsFlags) -> ExitCode {
    match make(flags, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natsd certs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(flags: &CertsFlags, out: &mut impl Write) -> Result<(), CertsError> {
    let (authority, made) = Authority::open(&flags.dir)?;
    let verb = if made { "made" } else { "found" };
    writeln!(out, "{verb} the authority {}", flags.dir.join(CA).display())?;
    if made {
        writeln!(out, "  whoever has {} can make members: keep it off the nodes", flags.dir.join(CA_KEY).display())?;
    }
    for node in &flags.node {
        let dir = authority.issue(node, flags.days.unwrap_or(MAX_DAYS), flags.renew)?;
        writeln!(out, "made the node {} in {}", node.name(), dir.display())?;
    }
    if !flags.node.is_empty() {
        writeln!(out, "Copy the directory of a node to it, and say so there: cluster {{ authority: \"DIRECTORY\" }}")?;
    }
    Ok(())
}
