//! What a server asks who decides about users in its place, and what it is answered.

mod answer;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use answer::{AnswerError, Decision, Expected, Signer, decide, read_answer};

use super::claims::{Body, Registered};
use super::issues::Issues;
use super::json::is_zero;
use super::key::KeyKind;

/// Where who decides is asked.
pub const CALLOUT_SUBJECT: &str = "$SYS.REQ.USER.AUTH";

/// The server that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerDetails {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its public key.
    pub id: String,
    /// Its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Its cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// With which the answer is encrypted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub xkey: String,
}

/// The connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientDetails {
    /// Where it comes from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Its number.
    #[serde(skip_serializing_if = "is_zero")]
    pub id: u64,
    /// Who it says to be.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Tags of its token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Name in its token.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name_tag: String,
    /// `Client` or `Leafnode`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// `nats`, `websocket` or `mqtt`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub way: String,
    /// Its name in MQTT.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mqtt_id: String,
    /// What it had to sign.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nonce: String,
}

/// What the client said in `CONNECT`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectDetails {
    /// `jwt`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jwt: String,
    /// `nkey`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nkey: String,
    /// `sig`.
    #[serde(rename = "sig", skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// `auth_token`.
    #[serde(rename = "auth_token", skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// `user`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `pass`.
    #[serde(rename = "pass", skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// `name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `lang`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lang: String,
    /// `version`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `protocol`.
    pub protocol: i64,
}

impl std::fmt::Debug for ConnectDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectDetails").field("nkey", &self.nkey).field("user", &self.user).finish_non_exhaustive()
    }
}

/// What TLS tells of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsDetails {
    /// Version of TLS.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Cipher suite.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cipher: String,
    /// Its certificates as PEM, if nobody vouched for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certs: Vec<String>,
    /// Its certificates as PEM, each with those who vouch for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verified_chains: Vec<Vec<String>>,
}

/// A question: who is this client?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthorizationRequest {
    /// Who asks.
    #[serde(rename = "server_id")]
    pub server: ServerDetails,
    /// The public key that the user in the answer has to have.
    pub user_nkey: String,
    /// The connection.
    #[serde(rename = "client_info")]
    pub client: ClientDetails,
    /// What it said.
    #[serde(rename = "connect_opts")]
    pub connect: ConnectDetails,
    /// What TLS tells of it.
    #[serde(rename = "client_tls", skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsDetails>,
    /// Of the server, to tell requests apart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_nonce: String,
}

/// The answer; its subject is the user's key, its audience the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthorizationResponse {
    /// The token of the user that the client is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jwt: String,
    /// Why it is nobody.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The account, if one of its signing keys is the issuer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer_account: String,
}

impl Body for AuthorizationRequest {
    const KIND: &'static str = "authorization_request";
    const NAMED: &'static str = "an authorization request claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Server];
    const SUBJECT: Option<KeyKind> = None;
    const VERSIONED: bool = false;

    fn check(&self, _: &Registered, issues: &mut Issues) {
        if self.user_nkey.is_empty() {
            issues.error("User nkey is required");
        } else if !KeyKind::User.is(&self.user_nkey) {
            issues.error(format!("User nkey {:?} is not a valid user public key", self.user_nkey));
        }
    }
}

impl Body for AuthorizationResponse {
    const KIND: &'static str = "authorization_response";
    const NAMED: &'static str = "an authorization request claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account];
    const SUBJECT: Option<KeyKind> = None;
    const VERSIONED: bool = false;

    fn check(&self, registered: &Registered, issues: &mut Issues) {
        if !KeyKind::User.is(&registered.subject) {
            issues.error("Subject must be a user public key");
        }
        if !KeyKind::Server.is(&registered.audience) {
            issues.error("Audience must be a server public key");
        }
        match (self.error.is_empty(), self.jwt.is_empty()) {
            (true, true) => issues.error("Error or Jwt is required"),
            (false, false) => issues.error("Only Error or Jwt can be set"),
            _ => {}
        }
        if !self.issuer_account.is_empty() && !KeyKind::Account.is(&self.issuer_account) {
            issues.error("issuer_account is not an account public key");
        }
    }
}
