//! What who decides is told of a client or a leaf node.

use data_encoding::BASE64;
use natsd_auth::jwt::{
    AuthorizationRequest, Claims, ClientDetails, ConnectDetails, EncodeError, ServerDetails, TlsDetails,
};
use natsd_core::connect::{Credentials, Settings};

use super::Decider;
use crate::hub::Hub;
use crate::link::{Kind, Link};
use crate::operators::seconds;
use crate::server::identity::COMPATIBLE_VERSION;
use crate::tls::Facts;

/// Says in a token what it is.
const AUDIENCE: &str = "nats-authorization-request";
/// Characters in a line of PEM.
const PEM_LINE: usize = 64;

/// See the [module](self). Never printed: there are secrets in it.
pub(crate) struct Question {
    client: ClientDetails,
    connect: ConnectDetails,
    tls: Option<TlsDetails>,
}

impl Question {
    /// About somebody who said `given` and `settings`, on a connection that was given `nonce`.
    pub(crate) fn new(link: &Link, given: &Credentials, settings: &Settings, claimed: &str, nonce: &str) -> Self {
        let (kind, way) = match link.kind {
            Kind::Leaf => ("Leafnode", ""),
            _ => ("Client", if link.is_websocket() { "websocket" } else { "nats" }),
        };
        let client = ClientDetails {
            host: link.peer().host(),
            id: link.id,
            user: claimed.to_owned(),
            name: settings.name.clone(),
            kind: kind.to_owned(),
            way: way.to_owned(),
            nonce: if given.signature.is_empty() { String::new() } else { nonce.to_owned() },
            ..ClientDetails::default()
        };
        let connect = ConnectDetails {
            jwt: given.jwt.clone(),
            nkey: given.nkey.clone(),
            signature: given.signature.clone(),
            token: given.token.clone(),
            user: given.user.clone(),
            password: given.password.clone(),
            name: settings.name.clone(),
            lang: settings.lang.clone(),
            version: settings.version.clone(),
            protocol: settings.protocol,
        };
        Self { client, connect, tls: link.tls.get().map(|facts| details(facts)) }
    }

    /// As a token that `decider` is sent and that ends at `until`, in seconds since 1970; `user` is the key that the user in
    /// the answer has to have.
    pub(super) fn token(&self, hub: &Hub, decider: &Decider, user: &str, until: i64) -> Result<String, EncodeError> {
        let body = AuthorizationRequest {
            server: ServerDetails {
                name: hub.identity.name.clone(),
                host: hub.options().client_host().to_owned(),
                id: hub.identity.id.clone(),
                version: COMPATIBLE_VERSION.to_owned(),
                cluster: hub.news.borrow().cluster.clone(),
                tags: hub.options().server_tags.clone(),
                xkey: decider.xkey.iter().map(|_| hub.identity.xkey.as_str()).collect(),
            },
            user_nkey: user.to_owned(),
            client: self.client.clone(),
            connect: self.connect.clone(),
            tls: self.tls.clone(),
            request_nonce: String::new(),
        };
        let mut claims = Claims::new(decider.signer.name(), body);
        claims.registered.audience = AUDIENCE.to_owned();
        claims.registered.expires = until;
        claims.encode(&hub.identity.keys.sign, seconds())
    }
}

fn details(facts: &Facts) -> TlsDetails {
    // The server takes no certificate for which nobody vouches.
    let chain: Vec<String> = facts.shown().iter().map(|certificate| pem(certificate)).collect();
    let verified_chains = if chain.is_empty() { Vec::new() } else { vec![chain] };
    TlsDetails { version: facts.version.to_owned(), cipher: facts.cipher.clone(), certs: Vec::new(), verified_chains }
}

fn pem(certificate: &[u8]) -> String {
    let text = BASE64.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(PEM_LINE) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is text"));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_as_pem() {
        let short = pem(b"abc");
        assert_eq!(short, "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n");
        let long = pem(&[7; 100]);
        assert!(long.lines().all(|line| line.len() <= PEM_LINE) && long.lines().count() == 5, "{long}");
    }
}
