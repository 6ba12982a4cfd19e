//! `multihome {}`, an extension of natsd.

use std::net::IpAddr;

use natsd_path::{PlainAddr, Policy, Refinement};

use super::paths;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::options::MultihomeOptions;

/// The keys of `multihome {}`.
pub const KEYS: &[Key<MultihomeOptions>] = &[Key {
    names: &["addresses"],
    takes: "IP address, or a list of up to 8",
    default: "those of `udp://` in `listen` of `cluster {}`, else the system's choice",
    doc: "The addresses of this host that packets to other servers leave at.",
    read: |multihome, field| {
        let addresses: Vec<IpAddr> = field.each(|host| {
            let text = host.text()?;
            text.parse().map_err(|_| ValueError::Ip(text.to_owned()))
        })?;
        multihome.addresses = PlainAddr::hosts_alone(&addresses).map_err(ValueError::Multihome)?;
        Ok(())
    },
}];

/// Reads `multihome {}`.
pub(super) fn read(field: &mut Field<'_>) -> Result<MultihomeOptions, ValueError> {
    let (mut multihome, mut wanted) = (MultihomeOptions::default(), Refinement::default());
    field.split((KEYS, &mut multihome), (paths::KEYS, &mut wanted), &[])?;
    if !wanted.rules.strict.is_empty() {
        return Err(ValueError::MultihomeRule);
    }
    multihome.policy = Policy::default().refined(&wanted);
    Ok(multihome)
}
