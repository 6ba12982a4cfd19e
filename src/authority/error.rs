use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why there is no authority of the cluster, or no certificate of it.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// No directory to keep one in.
    #[error(
        "there is no directory for the authority of the cluster, as neither $STATE_DIRECTORY nor $HOME is set; name one \
         with cluster.authority"
    )]
    Nowhere,
    /// A file that cannot be made is missing.
    #[error(
        "{dir}: {missing} missing; put there what `natsd certs` makes for this node, or empty the directory to begin with \
         a new authority",
        dir = dir.display()
    )]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// What is not there.
        missing: &'static str,
    },
    /// A file that must not be replaced.
    #[error("{} is there already; choose another name, or replace the certificate with --renew", .0.display())]
    Exists(PathBuf),
    /// A file that holds something else.
    #[error("{path}: {problem}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// `ca.pem` and `ca.key` are of two authorities.
    #[error("{}: ca.pem and ca.key do not go together; put back the ones that belong to each other", .0.display())]
    Pair(PathBuf),
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// No random numbers for it.
    #[error("cannot make a certificate: no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The system says no.
    #[error("cannot {verb} {path}: {source}; cluster.authority names another directory", path = path.display())]
    Io {
        /// What was to be done.
        verb: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
