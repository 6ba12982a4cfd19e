//! What is wrong with what a token says.

use std::fmt;

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The token is not to be used.
    Error,
    /// It is not valid at this time.
    Time,
    /// It can be used.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// In the words of nats-server.
    pub text: String,
    /// How much it matters.
    pub severity: Severity,
}

/// All that is wrong with a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issues(pub Vec<Issue>);

impl Issues {
    /// Notes an error.
    pub fn error(&mut self, text: impl Into<String>) {
        self.0.push(Issue { text: text.into(), severity: Severity::Error });
    }

    pub(super) fn time(&mut self, text: &str) {
        self.0.push(Issue { text: text.to_owned(), severity: Severity::Time });
    }

    pub(super) fn warning(&mut self, text: &str) {
        self.0.push(Issue { text: text.to_owned(), severity: Severity::Warning });
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the token is never to be used.
    pub fn is_invalid(&self) -> bool {
        self.0.iter().any(|issue| issue.severity == Severity::Error)
    }

    /// Whether the token is not to be used now.
    pub fn is_blocking(&self) -> bool {
        self.0.iter().any(|issue| issue.severity != Severity::Warning)
    }

    /// The texts of the errors.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|issue| issue.severity == Severity::Error).map(|issue| issue.text.as_str())
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, issue) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&issue.text)?;
        }
        Ok(())
    }
}
