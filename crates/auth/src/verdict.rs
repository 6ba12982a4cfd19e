//! What comes of credentials, at once or later.

use std::sync::Arc;

use crate::directory::User;
use crate::secret::Secret;

/// What came of credentials.
#[derive(Debug)]
pub enum Verdict {
    /// They are this user's.
    Admitted(Arc<User>),
    /// They are nobody's.
    Refused,
    /// That takes long to tell.
    Slow(SlowCheck),
}

/// A comparison that takes up to seconds of CPU time.
#[derive(Debug)]
pub struct SlowCheck {
    /// `None`: refused whatever comes of it.
    pub(crate) user: Option<Arc<User>>,
    pub(crate) given: Secret,
    pub(crate) text: Unprinted,
}

/// A secret that somebody gave.
pub(crate) struct Unprinted(pub(crate) String);

impl std::fmt::Debug for Unprinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl SlowCheck {
    /// Compares. `None` if the credentials are wrong.
    pub fn run(self) -> Option<Arc<User>> {
        self.given.verify(&self.text.0).then_some(self.user).flatten()
    }
}
