//! What an account takes from others.

use natsd_core::transform::Renaming;

/// A stream or a service of another account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Which of the two.
    pub kind: ImportKind,
    /// The exporting account.
    pub account: String,
    /// Subject there, with or without wildcards.
    pub subject: String,
    /// What that is called here.
    pub renaming: Renaming,
    /// A token of the exporting account allows it.
    pub activated: bool,
    /// Messages may be traced into this account, of a stream.
    pub allow_trace: bool,
}

/// What is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// Messages come from there.
    Stream,
    /// Requests go there.
    Service {
        /// The service is told who asks.
        share: bool,
    },
}

impl Import {
    /// Whether it is a stream.
    pub fn is_stream(&self) -> bool {
        self.kind == ImportKind::Stream
    }

    /// Subject in the importing account, with wildcards.
    pub fn local(&self) -> &[u8] {
        self.renaming.local()
    }
}
