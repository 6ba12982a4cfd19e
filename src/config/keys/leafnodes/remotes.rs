//! `remotes` of `leafnodes {}`.

use std::path::PathBuf;

use natsd_auth::Rule;
use nkeys::{KeyPair, KeyPairType};

use super::{compression, proxy};
use crate::config::address;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::keys::{tls, unsupported};
use crate::config::language::Value;
use crate::config::options::{DEFAULT_LEAF_PORT, LeafRemote, LeafUrl, PeerAddr};

/// The keys of an entry of `remotes`.
pub const KEYS: &[Key<LeafRemote>] = &[
    Key {
        names: &["url", "urls"],
        takes: "URL, or list of URLs",
        default: "required",
        doc: "A server of the hub: `nats-leaf://[user[:password]@]host[:port]`, port 7422 by default, `tls://…`, over WebSocket `ws://…` or \
              `wss://…` (all of a remote, or none), or over SCION \
              `nats-leaf://[ISD-AS,host]:port`. *SCION is an extension.*",
        read: |remote, field| {
            remote.urls = field.each(url)?;
            Ok(())
        },
    },
    Key {
        names: &["account", "local"],
        takes: "string",
        default: "$G",
        doc: "The account here that is shared with the hub; with an operator its public key.",
        read: |remote, field| field.text().map(|account| remote.account = Some(account.to_owned())),
    },
    Key {
        names: &["credentials", "creds"],
        takes: "string, path",
        default: "none",
        doc: "File with the JWT and the seed of a user of the hub. It is read for each connection.",
        read: |remote, field| {
            remote.credentials = Some(PathBuf::from(field.text()?));
            if remote.nkey.is_some() { Err(ValueError::CredentialsAndNkey) } else { Ok(()) }
        },
    },
    Key {
        names: &["nkey", "seed"],
        takes: "string, SU…",
        default: "none",
        doc: "Seed of a user of the hub.",
        read: |remote, field| {
            let seed = field.text()?;
            let key = KeyPair::from_seed(seed).map_err(|_| ValueError::Seed)?;
            if key.key_pair_type() != KeyPairType::User {
                return Err(ValueError::Seed);
            }
            remote.nkey = Some(seed.to_owned());
            if remote.credentials.is_some() { Err(ValueError::CredentialsAndNkey) } else { Ok(()) }
        },
    },
    Key {
        names: &["tls"],
        takes: "map",
        default: "as the hub asks for",
        doc: "TLS with the hub; see below. No certificate is needed, and without `ca_file` those are believed that this \
              machine believes. With `handshake_first` the hub does the same.",
        read: |remote, field| tls::read(field, crate::tls::check_web).map(|options| remote.tls = Some(options)),
    },
    Key {
        names: &["hub"],
        takes: "boolean",
        default: "false",
        doc: "This server is the hub, and the one that it dials the leaf node.",
        read: |remote, field| field.bool().map(|on| remote.hub = on),
    },
    Key {
        names: &["deny_imports", "deny_import"],
        takes: "subject, or list of subjects",
        default: "none",
        doc: "What does not come from the hub.",
        read: |remote, field| {
            remote.denied.subscribe.deny = field.each(subject)?;
            Ok(())
        },
    },
    Key {
        names: &["deny_exports", "deny_export"],
        takes: "subject, or list of subjects",
        default: "none",
        doc: "What does not go to the hub.",
        read: |remote, field| {
            remote.denied.publish.deny = field.each(subject)?;
            Ok(())
        },
    },
    Key {
        names: &["no_randomize", "dont_randomize"],
        takes: "boolean",
        default: "false",
        doc: "Tries `urls` in the order in which they are written.",
        read: |remote, field| field.bool().map(|on| remote.no_randomize = on),
    },
    Key {
        names: &["isolate_leafnode_interest", "isolate"],
        takes: "boolean",
        default: "false",
        doc: "Tells the hub nothing of the interest of leaf nodes.",
        read: |remote, field| field.bool().map(|on| remote.isolate = on),
    },
    Key {
        names: &["request_isolation"],
        takes: "boolean",
        default: "false",
        doc: "Asks the hub to tell nothing of the interest of other leaf nodes.",
        read: |remote, field| field.bool().map(|on| remote.request_isolation = on),
    },
    Key {
        names: &["compression"],
        takes: "off, accept, s2_auto, s2_fast, s2_better, s2_best, s2_uncompressed, boolean, or { mode, rtt_thresholds }",
        default: "s2_auto",
        doc: "What is sent to the hub is compressed, if it agrees; see below. `true` is `s2_auto`.",
        read: |remote, field| compression(field).map(|mode| remote.compression = mode),
    },
    Key {
        names: &["ws_compression", "ws_compress", "websocket_compression", "websocket_compress"],
        takes: "boolean",
        default: "false",
        doc: "Over WebSocket, asks the hub to compress messages, both ways (`permessage-deflate`).",
        read: |remote, field| field.bool().map(|on| remote.ws_compression = on),
    },
    Key {
        names: &["ws_no_masking", "websocket_no_masking"],
        takes: "boolean",
        default: "false",
        doc: "Over WebSocket, asks the hub to do without masks.",
        read: |remote, field| field.bool().map(|on| remote.no_masking = on),
    },
    Key {
        names: &["first_info_timeout"],
        takes: "duration",
        default: "\"1s\"",
        doc: "How long the hub may take to say the first word.",
        read: |remote, field| {
            let default = LeafRemote::default().first_info_timeout;
            field.duration_or(default).map(|timeout| remote.first_info_timeout = timeout)
        },
    },
    Key {
        names: &["dial_timeout"],
        takes: "duration",
        default: "as for all",
        doc: "How long this hub may take to answer.",
        read: |remote, field| {
            let timeout = field.duration_or(std::time::Duration::ZERO)?;
            remote.dial_timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
            Ok(())
        },
    },
    Key {
        names: &["disabled"],
        takes: "boolean",
        default: "false",
        doc: "Is not dialled.",
        read: |remote, field| field.bool().map(|on| remote.disabled = on),
    },
    Key {
        names: &["proxy"],
        takes: "map",
        default: "none",
        doc: "A proxy of HTTP that leads to the hub; see below.",
        read: |remote, field| proxy::read(field).map(|proxy| remote.proxy = proxy),
    },
    Key {
        names: &["ignore_discovered_servers"],
        takes: "boolean",
        default: "false",
        doc: "Dials `urls` alone, and not what the hub tells of its cluster.",
        read: |remote, field| field.bool().map(|on| remote.ignore_discovered = on),
    },
];

/// Reads the list.
pub(super) fn read(field: &mut Field<'_>) -> Result<Vec<LeafRemote>, ValueError> {
    let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
    let mut known: Vec<(Vec<LeafUrl>, String, Option<PathBuf>)> = Vec::new();
    field.items(items, |field| {
        let mut remote = LeafRemote::default();
        if field.map(KEYS, unsupported::LEAF_REMOTE, &mut remote)? && remote.urls.is_empty() {
            return Err(ValueError::Missing("urls"));
        }
        if remote.urls.iter().any(|url| url.websocket != remote.urls[0].websocket) {
            return Err(ValueError::MixedSchemes);
        }
        if remote.proxy.is_some() && remote.urls.iter().any(|url| matches!(url.address, PeerAddr::Scion(_))) {
            return Err(ValueError::ProxyOverScion);
        }
        let name = (remote.urls.clone(), remote.account_name().to_owned(), remote.credentials.clone());
        if known.contains(&name) {
            return Err(ValueError::DuplicateRemote(format!("the remote {remote}")));
        }
        known.push(name);
        Ok(remote)
    })
}

fn url(field: &mut Field<'_>) -> Result<LeafUrl, ValueError> {
    let url = address::leaf(field.text()?, DEFAULT_LEAF_PORT)?;
    if let PeerAddr::Scion(address) = url.address {
        field.asks_for_scion(&address.to_string());
    }
    Ok(url)
}

fn subject(field: &mut Field<'_>) -> Result<Rule, ValueError> {
    Ok(Rule::to_publish(field.text()?)?)
}
