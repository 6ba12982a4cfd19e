//! Flags of nats-server for what natsd does not do. They are known, so that they are not taken for something else, and not
//! shown.

use std::path::PathBuf;

/// See the [module](self).
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct StreamFlags {
    /// Where streams would be kept; without --jetstream it means nothing
    #[arg(long = "store_dir", value_name = "DIR", hide = true)]
    store_dir: Option<PathBuf>,

    /// Keep streams
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    jetstream: Option<bool>,

    /// Serve profiles on this port
    #[arg(long, value_name = "PORT", hide = true)]
    profile: Option<u16>,
}

/// A flag that asks for what there is not.
#[derive(Debug, thiserror::Error)]
pub enum NotThere {
    /// `--jetstream`.
    #[error("--jetstream: natsd keeps no streams yet; start it without, and nats-server beside it for streams")]
    Jetstream,
    /// `--profile`.
    #[error("--profile: natsd serves no profiles; take them with a profiler for native programs, such as perf")]
    Profile,
}

impl StreamFlags {
    /// Refuses what natsd does not do.
    ///
    /// # Errors
    ///
    /// When that is asked for.
    pub(super) fn check(&self) -> Result<(), NotThere> {
        match self {
            Self { jetstream: Some(true), .. } => Err(NotThere::Jetstream),
            Self { profile: Some(port), .. } if *port != 0 => Err(NotThere::Profile),
            _ => Ok(()),
        }
    }
}
