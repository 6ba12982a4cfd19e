//! Who this server is.

use nkeys::{KeyPair, XKey};

use crate::config::options::Options;

/// Version of nats-server whose clients and peers find what they expect.
pub const COMPATIBLE_VERSION: &str = "2.15.2";
/// Version of natsd.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Stands where nats-server names its compiler.
pub const COMPILER: &str = concat!("rust", env!("CARGO_PKG_RUST_VERSION"));

/// What nobody else has: 22 letters and digits, as nats-server makes names and ids.
pub(crate) fn unique_id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(22).collect()
}

/// The names of a server.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Public key of an nkey pair made at start.
    pub id: String,
    /// `server_name`, or the id.
    pub name: String,
    /// Public key of another pair, made at start, for what is encrypted.
    pub xkey: String,
    pub(crate) keys: Keys,
}

/// The private halves. Neither prints itself.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Of the id.
    pub sign: KeyPair,
    /// Of the xkey.
    pub curve: XKey,
}

impl Identity {
    /// A new identity.
    pub fn generate(options: &Options) -> Self {
        let keys = Keys { sign: KeyPair::new_server(), curve: XKey::new() };
        let (id, xkey) = (keys.sign.public_key(), keys.curve.public_key());
        Self { name: options.server_name.clone().unwrap_or_else(|| id.clone()), id, xkey, keys }
    }
}
