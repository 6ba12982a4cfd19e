//! What is wanted of paths: keys of `scion {}`, and of its `destinations` and `accounts`.

use std::time::Duration;

use natsd_core::route::spread::MAX_CONNECTIONS;
use natsd_path::{Accepted, Acl, Class, Refinement, Rule};

use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

/// The keys. Those that stand in `destinations` and `accounts` come on top of those of `scion {}`.
pub const KEYS: &[Key<Refinement>] = &[
    Key {
        names: &["path_preference", "prefer"],
        takes: "string, list of latency, bandwidth, hops, mtu, cost, carbon",
        default: "latency,bandwidth,hops,mtu",
        doc: "What makes a path a better one, most important first.",
        read: |wanted, field| field.text()?.parse().map(|it| wanted.preference = Some(it)).map_err(ValueError::from),
    },
    Key {
        names: &["acl"],
        takes: "list of \"+ HOP\" and \"- HOP\", at the end \"+\" or \"-\"",
        default: "[\"+\"]",
        doc: "Which interfaces a path may cross; the first entry that means an interface decides. A HOP is ISD, ISD-AS, ISD-AS#IF or ISD-AS#IN,OUT, where 0 is any.",
        read: |wanted, field| {
            let entries = field.each(|entry| entry.text().map(str::to_owned))?;
            wanted.rules.strict.push(Rule::Acl(Acl::new(&entries)?));
            Ok(())
        },
    },
    Key {
        names: &["sequence"],
        takes: "string, as for `scion showpaths --sequence`",
        default: "any",
        doc: "Which ASes and interfaces a path crosses, in their order.",
        read: |wanted, field| {
            wanted.rules.strict.push(Rule::Sequence(field.text()?.parse()?));
            Ok(())
        },
    },
    Key {
        names: &["isds"],
        takes: "ISD, or a list of these",
        default: "all",
        doc: "The ISDs that no path may leave.",
        read: |wanted, field| {
            let isds = field.each(|isd| isd.integer_in(1..=i64::from(u16::MAX)))?;
            wanted.rules.strict.push(Rule::Isds(isds.into_iter().collect()));
            Ok(())
        },
    },
    Key {
        names: &["avoid"],
        takes: "HOP, or a list of these",
        default: "none",
        doc: "What no path may cross: an ISD, an AS, an interface (`1-ff00:0:110#3`).",
        read: |wanted, field| {
            let avoided = field.each(|hop| {
                let text = hop.text()?;
                text.parse().map_err(|what| ValueError::Hop { found: text.to_owned(), what })
            })?;
            wanted.rules.strict.push(Rule::Avoid(avoided));
            Ok(())
        },
    },
    Key {
        names: &["pin"],
        takes: "fingerprint, or a list of these",
        default: "none",
        doc: "The only paths that may be used, as `natsd paths` and `/pathz` call them.",
        read: |wanted, field| {
            wanted.rules.strict.push(Rule::Pin(field.each(|path| Ok(path.text()?.parse()?))?));
            Ok(())
        },
    },
    Key {
        names: &["max_latency"],
        takes: "duration",
        default: "none",
        doc: "The longest round trip of a path, measured, or twice the announced latency before it is. Slower paths are used as long as there is no other.",
        read: |wanted, field| {
            field.quoted_duration(Duration::from_nanos(1)).map(|it| wanted.rules.limits.latency = Some(it))
        },
    },
    Key {
        names: &["min_bandwidth"],
        takes: "kbit/s, or \"10Mbit\", \"1Gbit\"",
        default: "none",
        doc: "The least bandwidth of a path: what it gave when traffic filled it, before that what its ASes announce. Narrower paths are used as long as there is no other.",
        read: |wanted, field| bandwidth(field).map(|kbit| wanted.rules.limits.bandwidth = Some(kbit)),
    },
    Key {
        names: &["min_mtu"],
        takes: "integer, bytes",
        default: "none",
        doc: "The least MTU of a path. Others are used as long as there is no better one.",
        read: |wanted, field| field.integer_in(1..=i64::from(u16::MAX)).map(|mtu| wanted.rules.limits.mtu = Some(mtu)),
    },
    Key {
        names: &["max_cost"],
        takes: "integer",
        default: "none",
        doc: "The most that a path may cost by `costs`. Dearer ones are used as long as there is no other.",
        read: |wanted, field| field.integer_in(0..=i64::MAX).map(|most| wanted.rules.limits.cost = Some(most)),
    },
    Key {
        names: &["max_carbon"],
        takes: "integer",
        default: "none",
        doc: "The same of `carbon`.",
        read: |wanted, field| field.integer_in(0..=i64::MAX).map(|most| wanted.rules.limits.carbon = Some(most)),
    },
    Key {
        names: &["redundancy"],
        takes: "1 or 2",
        default: "1",
        doc: "Over how many paths each packet goes: with 2 a copy of all takes a path apart from the first, and nobody waits when either fails.",
        read: |wanted, field| field.integer_in(1..=2).map(|paths: u8| wanted.redundant = Some(paths == 2)),
    },
    Key {
        names: &["tcp_fallback"],
        takes: "boolean",
        default: "true, false beside `acl`, `sequence`, `isds`, `avoid` or `pin`",
        doc: "Whether TCP/IP may carry the traffic while no SCION path works.",
        read: |wanted, field| field.bool().map(|it| wanted.rules.tcp = Some(it)),
    },
];

/// The keys that stand beside those in `paths`.
pub const CLASS_KEYS: &[Key<u16>] = &[Key {
    names: &["spread"],
    takes: "integer from 1 to 8",
    default: "1",
    doc: "Over how many routes the messages are shared out, each on a path apart from the others'. They stay in order.",
    read: |spread, field| field.integer_in(1..=i64::from(MAX_CONNECTIONS)).map(|count| *spread = count),
}];

/// The keys that stand beside those in `path_rules`.
pub const ACCEPTED_KEYS: &[Key<bool>] = &[Key {
    names: &["strict"],
    takes: "boolean",
    default: "false",
    doc: "Whether who comes by a way that breaks a rule is turned away. Otherwise only what is sent there keeps the rules, and what servers send that are told of them.",
    read: |strict, field| field.bool().map(|on| *strict = on),
}];

/// A block of both.
pub(super) fn class(field: &mut Field<'_>) -> Result<Class, ValueError> {
    let (mut wanted, mut spread) = (Refinement::default(), 1);
    let fine = field.split((KEYS, &mut wanted), (CLASS_KEYS, &mut spread), &[])?;
    if fine && wanted == Refinement::default() && spread == 1 {
        return Err(ValueError::Missing("path_preference, or another key for paths,"));
    }
    Ok(Class { wanted, spread })
}

/// Those of a listener, with at least one.
pub(super) fn accepted(field: &mut Field<'_>) -> Result<Accepted, ValueError> {
    let (mut wanted, mut strict) = (Refinement::default(), false);
    if field.split((KEYS, &mut wanted), (ACCEPTED_KEYS, &mut strict), &[])? && wanted == Refinement::default() {
        return Err(ValueError::Missing("path_preference, or another key for paths,"));
    }
    Ok(Accepted { wanted, strict })
}

/// A block of these keys, with at least one.
pub(super) fn block(field: &mut Field<'_>) -> Result<Refinement, ValueError> {
    let mut wanted = Refinement::default();
    if field.map(KEYS, &[], &mut wanted)? && wanted == Refinement::default() {
        return Err(ValueError::Missing("path_preference, or another key for paths,"));
    }
    Ok(wanted)
}

/// In kbit/s.
fn bandwidth(field: &mut Field<'_>) -> Result<u64, ValueError> {
    if let Value::Int(_) = field.value() {
        return field.integer_in(1..=i64::MAX);
    }
    let text = field.text()?;
    let lower = text.to_ascii_lowercase();
    let units = [("gbit", 1_000_000), ("mbit", 1_000), ("kbit", 1)];
    let amount = |(unit, factor): (&str, u64)| {
        let number: u64 = lower.strip_suffix("/s").unwrap_or(&lower).strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(factor).filter(|kbit| *kbit > 0)
    };
    units.into_iter().find_map(amount).ok_or_else(|| ValueError::Bandwidth(text.to_owned()))
}
