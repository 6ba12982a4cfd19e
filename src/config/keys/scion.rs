//! `scion {}`, an extension of natsd.

use std::sync::Arc;

use natsd_core::subject;
use natsd_path::{IsdAs, Refinement, Tariff};

use super::paths;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;
use crate::config::options::{PoolPaths, ScionOptions};

/// Patterns of `paths`: each costs a connection, and probes, for every peer.
const MAX_CLASSES: usize = 16;

/// The keys of `scion {}`.
pub const KEYS: &[Key<ScionOptions>] = &[
    Key {
        names: &["daemon"],
        takes: "string \"host:port\"",
        default: "`$SCION_DAEMON`, `$SCION_DAEMON_ADDRESS`, then 127.0.0.1:30255",
        doc: "The SCION daemon of the AS.",
        read: |scion, field| {
            let text = field.text()?;
            crate::config::address::host_port(text)?;
            scion.daemon = Some(text.to_owned());
            Ok(())
        },
    },
    Key {
        names: &["topology"],
        takes: "string, file",
        default: "/etc/scion/topology.json, if no daemon is set and none answers",
        doc: "The `topology.json` of the AS, in place of `daemon`: paths are asked of the control services that it names.",
        read: |scion, field| {
            scion.topology = Some(super::server::path(field)?);
            Ok(())
        },
    },
    Key {
        names: &["endhost_api"],
        takes: "string \"http://host:port\"",
        default: "none",
        doc: "An end-host API as Anapaya's, in place of `daemon` and `topology`; only in a build with the feature `endhost-api`.",
        read: |scion, field| {
            let text = field.text()?;
            if !text.starts_with("http://") {
                return Err(ValueError::Word { found: text.to_owned(), expected: "http://host:port" });
            }
            scion.endhost_api = Some(text.to_owned());
            Ok(())
        },
    },
    Key {
        names: &["local"],
        takes: "string, IP address",
        default: "`$SCION_LOCAL_ADDR`, then the address the kernel uses towards the border router",
        doc: "The address of this host inside its AS, for dialling.",
        read: |scion, field| {
            let text = field.text()?;
            scion.local = Some(text.parse().map_err(|_| ValueError::Ip(text.to_owned()))?);
            Ok(())
        },
    },
    Key {
        names: &["pool_paths"],
        takes: "shared or disjoint",
        default: "shared",
        doc: "Whether the connections of a route's pool all take the best path, or each one a path apart from the others' as far as there are such.",
        read: |scion, field| {
            scion.pool_paths = match field.text()? {
                "shared" => PoolPaths::Shared,
                "disjoint" => PoolPaths::Disjoint,
                other => return Err(ValueError::Word { found: other.to_owned(), expected: "shared or disjoint" }),
            };
            Ok(())
        },
    },
    Key {
        names: &["probe_budget"],
        takes: "integer, bytes",
        default: "8192",
        doc: "How many bytes a second the regular probes of all paths to one peer, or of one lane, may take, headers included; at least 256. Probes of a path that may have failed never wait.",
        read: |scion, field| field.integer_in(256..=16 << 20).map(|bytes| scion.probe_budget = Some(bytes)),
    },
    Key {
        names: &["destinations"],
        takes: "map of ISD-AS, each with keys for paths",
        default: "none",
        doc: "What is wanted besides of the paths to an AS, or to all of an ISD (\"2-0\").",
        read: |scion, field| {
            let entries = field.entries(|name, field| Ok((name.parse()?, paths::block(field)?)))?;
            scion.wishes.destinations = entries.into_iter().collect();
            Ok(())
        },
    },
    Key {
        names: &["accounts"],
        takes: "map of accounts, each with keys for paths",
        default: "none",
        doc: "What is wanted besides for accounts with routes of their own (`accounts` of `cluster {}`).",
        read: |scion, field| {
            let entries = field.entries(|name, field| Ok((name.to_owned(), paths::block(field)?)))?;
            scion.wishes.accounts = entries.into_iter().collect();
            Ok(())
        },
    },
    Key {
        names: &["costs"],
        takes: "map of HOP to integer",
        default: "none",
        doc: "What crossing an interface (\"1-ff00:0:111#3\"), an AS or any AS of an ISD (\"18-0\") costs, in a unit of your own: for the preference `cost` and `max_cost`.",
        read: |scion, field| tariff(field).map(|costs| Arc::make_mut(&mut scion.wishes.policy.prices).cost = costs),
    },
    Key {
        names: &["carbon"],
        takes: "map of HOP to integer",
        default: "none",
        doc: "The same of carbon: for the preference `carbon` and `max_carbon`. No AS announces it.",
        read: |scion, field| tariff(field).map(|carbon| Arc::make_mut(&mut scion.wishes.policy.prices).carbon = carbon),
    },
    Key {
        names: &["paths"],
        takes: "map of subjects, each with keys for paths",
        default: "none",
        doc: "What is wanted besides of messages to these subjects (\"orders.>\"), up to 16 patterns. They have routes of their own to servers that list the same patterns.",
        read: |scion, field| {
            let entries = field.entries(|name, field| {
                if !subject::is_valid(name.as_bytes()) {
                    return Err(ValueError::Word {
                        found: name.to_owned(),
                        expected: "a subject, such as \"orders.>\"",
                    });
                }
                Ok((name.to_owned(), paths::class(field)?))
            })?;
            if entries.len() > MAX_CLASSES {
                return Err(ValueError::TooManyClasses(MAX_CLASSES));
            }
            scion.wishes.subjects = entries.into_iter().collect();
            Ok(())
        },
    },
    Key {
        names: &["allow"],
        takes: "ISD-AS, or a list of these",
        default: "all",
        doc: "The ASes whose hosts may connect over SCION, as clients and for routes: \"1-ff00:0:110\"; \"2-0\" is all of ISD 2.",
        read: |scion, field| ases(field).map(|ases| scion.allow = ases),
    },
    Key {
        names: &["deny"],
        takes: "ISD-AS, or a list of these",
        default: "none",
        doc: "The ASes whose hosts may not, whatever `allow` says.",
        read: |scion, field| ases(field).map(|ases| scion.deny = ases),
    },
    Key {
        names: &["max_connections_per_as"],
        takes: "integer, 0 for unlimited",
        default: "8192",
        doc: "How many connections of each kind, clients, routes, gateways and leaf nodes, the hosts of one AS may have here.",
        read: |scion, field| {
            scion.max_connections_per_as = field.limit(i64::from(u32::MAX))?;
            Ok(())
        },
    },
];

/// What hops cost.
fn tariff(field: &mut Field<'_>) -> Result<Tariff, ValueError> {
    let most = i64::try_from(Tariff::MOST).unwrap_or(i64::MAX);
    let entries = field.entries(|hop, field| Ok((hop.to_owned(), field.integer_in(0..=most)?)))?;
    Ok(Tariff::new(&entries)?)
}

/// One AS or several.
fn ases(field: &mut Field<'_>) -> Result<Vec<IsdAs>, ValueError> {
    field.each(|item| Ok(item.text()?.parse()?))
}

/// The value of `scion`: a switch, or a map, which turns it on.
pub(super) fn read(scion: &mut Option<ScionOptions>, field: &mut Field<'_>) -> Result<(), ValueError> {
    let on = match field.value() {
        Value::Map(_) => {
            let (scion, mut wanted) = (scion.insert(ScionOptions::default()), Refinement::default());
            field.split((KEYS, &mut *scion), (paths::KEYS, &mut wanted), &[])?;
            let sources = [scion.daemon.is_some(), scion.topology.is_some(), scion.endhost_api.is_some()];
            if sources.into_iter().filter(|named| *named).count() > 1 {
                return Err(ValueError::SourcesOfPaths);
            }
            scion.wishes.policy = scion.wishes.policy.refined(&wanted);
            return Ok(());
        }
        Value::Bool(on) => *on,
        Value::Text(word) => match word.to_ascii_lowercase().as_str() {
            "enabled" | "enable" => true,
            "disabled" | "disable" => false,
            _ => {
                let expected = "enabled, disabled, true, false or a map";
                return Err(ValueError::Word { found: word.clone(), expected });
            }
        },
        _ => return Err(field.expected("true, false or a map, { … }")),
    };
    *scion = on.then(ScionOptions::default);
    Ok(())
}
