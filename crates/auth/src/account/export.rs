//! What an account lets others import.

use std::num::NonZeroUsize;
use std::time::Duration;

use natsd_core::subject;

use super::Import;

/// A stream of messages, or a service, that others may import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Subject in the exporting account, with or without wildcards.
    pub subject: Box<str>,
    /// What is special to services; `None` for a stream.
    pub service: Option<Service>,
    /// Who may import it.
    pub access: Access,
}

/// Who may import something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// These accounts.
    Accounts(Vec<String>),
    /// An account whose name is this token, from 1 on, of the subject that it imports.
    TokenPosition(NonZeroUsize),
    /// Who shows a token that the exporting account has signed.
    Activation,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// How many responses there are to a request.
    pub response: ResponseType,
    /// How long they may take, or the next one of them.
    pub threshold: Duration,
    /// What is measured.
    pub latency: Option<Latency>,
    /// Messages may be traced into the exporting account.
    pub allow_trace: bool,
}

impl Default for Service {
    fn default() -> Self {
        let threshold = Duration::from_secs(2 * 60);
        Self { response: ResponseType::Singleton, threshold, latency: None, allow_trace: false }
    }
}

/// How many responses there are to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// One.
    #[default]
    Singleton,
    /// Any number, up to an empty one.
    Stream,
    /// One in several parts, up to an empty one.
    Chunked,
}

/// Where the time that a service takes is published, and of which requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Subject in the exporting account.
    pub subject: String,
    /// Which requests.
    pub sampling: Sampling,
}

/// Which requests are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// So many of a hundred.
    Percent(u8),
    /// Those whose headers ask for tracing.
    Headers,
}

impl Export {
    /// Whether all of `imported` is exported.
    pub(super) fn covers(&self, imported: &str) -> bool {
        subject::is_subset(imported.as_bytes(), self.subject.as_bytes())
    }

    /// Whether the account `importer` may have `import`.
    pub(super) fn approves(&self, importer: &str, import: &Import) -> bool {
        match &self.access {
            Access::Public => true,
            Access::Accounts(accounts) => accounts.iter().any(|account| account == importer),
            Access::TokenPosition(at) => import.subject.split('.').nth(at.get() - 1) == Some(importer),
            Access::Activation => import.activated,
        }
    }
}
