//! `natsd certs`: an authority for a cluster, and certificates for its nodes.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

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
    let (mut authority, made) = Authority::open(&flags.dir)?;
    let ca = flags.dir.join(CA);
    let again = flags.renew && flags.node.is_empty() && !made;
    if again {
        authority = Authority::renew(&flags.dir)?;
    }
    let verb = if made { "made" } else { "found" };
    writeln!(out, "{} the authority {}", if again { "renewed" } else { verb }, ca.display())?;
    if made {
        writeln!(out, "  whoever has {} can make members: keep it off the nodes", flags.dir.join(CA_KEY).display())?;
    }
    if again {
        writeln!(out, "Its key is the same, so what it has vouched for stays good. Put it where the old one is:")?;
        writeln!(out, "in the directory of each node, and where clients have it")?;
    } else if authority.validity().is_some_and(|validity| validity.due() <= SystemTime::now()) {
        writeln!(out, "  it ends soon: renew it with natsd certs --dir {} --renew", flags.dir.display())?;
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
