//! Claims of any kind.

use data_encoding::BASE32_NOPAD;
use nkeys::KeyPair;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha512_256};

use super::issues::Issues;
use super::json::is_zero;
use super::key::KeyKind;
use super::legacy;
use super::token::{Envelope, TokenError, VERSION, seal};

/// What all claims have. Times are seconds since 1970, 0 for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registered {
    /// `aud`: whom it is for.
    #[serde(rename = "aud", skip_serializing_if = "String::is_empty")]
    pub audience: String,
    /// `exp`: until when it holds.
    #[serde(rename = "exp", skip_serializing_if = "is_zero")]
    pub expires: i64,
    /// `jti`: a hash of these fields.
    #[serde(rename = "jti", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// `iat`: when it was signed.
    #[serde(rename = "iat", skip_serializing_if = "is_zero")]
    pub issued_at: i64,
    /// `iss`: the public key of who signed it.
    #[serde(rename = "iss", skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// `name`: for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `nbf`: since when it holds.
    #[serde(rename = "nbf", skip_serializing_if = "is_zero")]
    pub not_before: i64,
    /// `sub`: the public key of whom it is about.
    #[serde(rename = "sub", skip_serializing_if = "String::is_empty")]
    pub subject: String,
}

impl Registered {
    /// Whether they hold at `now`, in seconds since 1970.
    pub fn check(&self, now: i64, issues: &mut Issues) {
        if self.expires > 0 && now > self.expires {
            issues.time("claim is expired");
        }
        if self.not_before > 0 && self.not_before > now {
            issues.time("claim is not yet valid");
        }
    }

    fn hash(&self) -> Result<String, serde_json::Error> {
        let unnamed = Self { id: String::new(), ..self.clone() };
        Ok(BASE32_NOPAD.encode(&Sha512_256::digest(serde_json::to_vec(&unnamed)?)))
    }
}

/// What claims of one kind say.
pub trait Body: Serialize + DeserializeOwned {
    /// `type`.
    const KIND: &'static str;
    /// What a token of another kind is called: `not ` and this.
    const NAMED: &'static str;
    /// What may sign it.
    const ISSUERS: &'static [KeyKind];
    /// What it is about, if that is always the same.
    const SUBJECT: Option<KeyKind>;
    /// Whether it has to tell its version.
    const VERSIONED: bool = true;

    /// Makes good what the newest version reads in another way.
    fn settle(&mut self) {}

    /// Notes what is wrong with it.
    fn check(&self, registered: &Registered, issues: &mut Issues);
}

/// A decoded token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims<T> {
    /// What all claims have.
    pub registered: Registered,
    /// Words that its issuer attached, in lower case by convention.
    pub tags: Vec<String>,
    /// 1 or 2; 0 for a kind that need not tell.
    pub version: i64,
    /// The rest.
    pub body: T,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Generic {
    #[serde(rename = "type")]
    kind: String,
    version: i64,
    tags: Vec<String>,
}

/// Why no token can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// About nobody.
    #[error("subject is not set")]
    NoSubject,
    /// About something else.
    #[error("expected subject to be {0} public key")]
    Subject(&'static str),
    /// Signed by something that cannot.
    #[error("unable to validate expected prefixes - [{0}]")]
    Issuer(String),
    /// Cannot be written.
    #[error("{0}")]
    Json(String),
    /// The issuer's key cannot sign.
    #[error("the issuer's key is public; its seed is needed to sign")]
    NoSeed,
}

fn names(kinds: &[KeyKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" ")
}

fn may_issue<T: Body>(issuer: &str) -> bool {
    KeyKind::of(issuer).is_some_and(|kind| T::ISSUERS.contains(&kind))
}

impl<T: Body> Claims<T> {
    /// Claims about `subject`, a public key.
    pub fn new(subject: impl Into<String>, body: T) -> Self {
        let registered = Registered { subject: subject.into(), ..Registered::default() };
        Self { registered, tags: Vec::new(), version: VERSION, body }
    }

    /// Reads a token of version 1 or 2 and checks its signature. What it says is not checked yet, nor whether the
    /// issuer is to be believed.
    ///
    /// # Errors
    ///
    /// If it is malformed, of another kind, not signed by its issuer, or its issuer is not what issues such.
    pub fn decode(token: &str) -> Result<Self, TokenError> {
        let envelope = Envelope::open(token, true)?;
        let first = Generic::deserialize(&envelope.json).map_err(TokenError::json)?;
        let nats = envelope.json.get("nats").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let generic = Generic::deserialize(&nats).map_err(TokenError::json)?;
        let (kind, version) =
            if first.kind.is_empty() { (generic.kind, generic.version) } else { (first.kind.clone(), 1) };
        if version > VERSION {
            return Err(TokenError::Newer);
        }
        if kind != T::KIND {
            return Err(other_kind(&envelope, &kind, version).unwrap_or(TokenError::Kind(T::NAMED)));
        }
        let (nats, tags) = match version {
            1 => (legacy::migrate(T::KIND, nats, &envelope.json), first.tags),
            VERSION => (nats, generic.tags),
            _ if !T::VERSIONED => (nats, generic.tags),
            _ => return Err(TokenError::Version(version)),
        };
        let mut body = T::deserialize(&nats).map_err(TokenError::json)?;
        body.settle();
        envelope.verify(version <= 1)?;
        if !may_issue::<T>(&envelope.registered.issuer) {
            return Err(TokenError::Issuer(names(T::ISSUERS)));
        }
        Ok(Self { registered: envelope.registered, tags, version, body })
    }

    /// Notes what is wrong at `now`, in seconds since 1970.
    pub fn check(&self, now: i64) -> Issues {
        let mut issues = Issues::default();
        self.registered.check(now, &mut issues);
        self.body.check(&self.registered, &mut issues);
        issues
    }

    /// The token, signed by `issuer` at `now`, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// If the issuer may not sign such, or the subject is not what such is about.
    pub fn encode(&self, issuer: &KeyPair, now: i64) -> Result<String, EncodeError> {
        let json = |error: serde_json::Error| EncodeError::Json(error.to_string());
        if self.registered.subject.is_empty() {
            return Err(EncodeError::NoSubject);
        }
        if let Some(kind) = T::SUBJECT.filter(|kind| !kind.is(&self.registered.subject)) {
            return Err(EncodeError::Subject(kind.name()));
        }
        if !may_issue::<T>(&issuer.public_key()) {
            return Err(EncodeError::Issuer(names(T::ISSUERS)));
        }
        let mut registered = Registered { issuer: issuer.public_key(), issued_at: now, ..self.registered.clone() };
        registered.id = registered.hash().map_err(json)?;
        seal(&self.json(&registered).map_err(json)?, issuer).map_err(|_| EncodeError::NoSeed)
    }

    /// What the token says, as JSON.
    pub fn to_json(&self) -> Value {
        self.json(&self.registered).unwrap_or_default()
    }

    fn json(&self, registered: &Registered) -> Result<Value, serde_json::Error> {
        let mut claims = serde_json::to_value(registered)?;
        let mut nats = serde_json::to_value(&self.body)?;
        if !self.tags.is_empty() {
            nats["tags"] = Value::from(self.tags.clone());
        }
        nats["type"] = T::KIND.into();
        nats["version"] = VERSION.into();
        claims["nats"] = nats;
        Ok(claims)
    }
}

/// What is wrong with a token besides that it is of another kind.
fn other_kind(envelope: &Envelope<'_>, kind: &str, version: i64) -> Option<TokenError> {
    const KNOWN: [&str; 6] =
        ["operator", "account", "user", "activation", "authorization_request", "authorization_response"];
    match kind {
        "cluster" => Some(TokenError::NotSupported("ClusterClaims")),
        "server" => Some(TokenError::NotSupported("ServerClaims")),
        _ => envelope.verify(version <= 1 || !KNOWN.contains(&kind)).err(),
    }
}
