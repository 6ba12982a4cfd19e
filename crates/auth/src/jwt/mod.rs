//! The tokens of operator mode: who is whose, and what they may, signed by nkeys.
//!
//! An operator vouches for accounts, an account for its users; each says so in a JWT that it signs. [`Claims::decode`]
//! reads one and checks the signature, [`Claims::check`] what it says, [`Trust`] whether it is an operator's that this
//! server believes, and [`admit`] whether a connection is a user's.

mod account;
mod activation;
mod admission;
mod authority;
mod callout;
mod claims;
mod generic;
mod issues;
mod json;
mod key;
mod legacy;
mod limits;
mod operator;
mod permissions;
mod sharing;
mod signing_keys;
mod spec;
mod template;
mod times;
mod token;
mod user;

#[cfg(test)]
mod tests;

pub use account::{Account, ClusterTraffic, ExternalAuthorization, MessageTrace, WeightedDestination};
pub use activation::Activation;
pub use admission::{Admission, Attempt, Refusal, admit, admit_decided, user_of};
pub use authority::{AccountError, Trust, TrustError};
pub use callout::{
    AnswerError, AuthorizationRequest, AuthorizationResponse, CALLOUT_SUBJECT, ClientDetails, ConnectDetails, Decision,
    Expected, ServerDetails, Signer, TlsDetails, decide, read_answer,
};
pub use claims::{Body, Claims, EncodeError, Registered};
pub use generic::Generic;
pub use issues::{Issue, Issues, Severity};
pub use key::KeyKind;
pub use limits::{AccountLimits, JetStreamLimits, NO_LIMIT, NatsLimits, OperatorLimits};
pub use operator::{Operator, read_operator_file, undecorated};
pub use permissions::{PermissionClaims, ResponseClaims, SubjectClaims};
pub use sharing::{Export, Import, Sampling, ServiceLatency, ShareKind};
pub use signing_keys::{SigningKeys, UserScope};
pub use template::TemplateError;
pub use times::{TimeRange, Zones};
pub use token::{MAX_SIZE, TokenError};
pub use user::{User, UserLimits};
