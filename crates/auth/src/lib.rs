//! Who may connect, and what they may publish and subscribe to (no IO).
//!
//! A [`Directory`] is what the operator wrote. It judges the credentials of a `CONNECT`; what takes long, bcrypt, is
//! handed back as a [`SlowCheck`] for the caller to run where it does not hold up others.

pub mod account;
mod certificate;
mod connection_type;
mod directory;
pub mod jwt;
mod login;
mod nkey;
mod permissions;
mod proxies;
mod replies;
mod secret;
mod verdict;

pub use certificate::{Certificate, CertificateNames, DistinguishedName};
pub use connection_type::{ConnectionType, ConnectionTypeError};
pub use directory::{Directory, DirectoryBuilder, DirectoryError, User};
pub use login::Login;
pub use nkey::{InvalidNkey, Nkey, check_account_key};
pub use permissions::{Permissions, RoutePermissions, Rule, RuleError, Rules};
pub use proxies::{InvalidProxyKey, Proxies};
pub use replies::{Replies, ReplyPolicy};
pub use secret::Secret;
pub use verdict::{SlowCheck, Verdict};
