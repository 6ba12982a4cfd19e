//! Clients that come by a proxy which vouches for them, and those that have to.

use natsd_auth::User;
use natsd_core::connect::Credentials;
use natsd_core::error::ClientError;

use super::admission::{about, claimed};
use super::{Client, End};

impl Client {
    /// A proxy may have signed what the client was given to sign: it has to be one that is trusted. What is said while none
    /// is trusted counts for nothing.
    pub(super) fn check_proxy(&mut self, given: &Credentials, signature: &str) -> Result<(), End> {
        let options = self.hub.options().clone();
        if signature.is_empty() || options.proxies.is_empty() {
            return Ok(());
        }
        match options.proxies.signer(&self.admission.nonce(), signature) {
            Some(key) => {
                *self.link.proxy.lock() = Some(key.into());
                Ok(())
            }
            None => {
                self.claimed = claimed(given);
                Err(self.keep_away(ClientError::ProxyNotTrusted, &about(given)))
            }
        }
    }

    /// Whether a trusted proxy vouches for the client.
    pub(super) fn is_proxied(&self) -> bool {
        self.link.proxy.lock().is_some()
    }

    /// Whether the client can only be `user` by way of a proxy, and comes by none.
    pub(super) fn lacks_proxy(&self, user: &User) -> bool {
        self.hub.options().needs_proxy(user, self.link.is_websocket()) && !self.is_proxied()
    }
}
