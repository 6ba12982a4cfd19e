//! Of `scion {}` and `multihome {}`.

use std::collections::BTreeMap;

use natsd_path::Class;

use super::{Entry, fixed, list, live, refinements, some};
use crate::config::options::{MultihomeOptions, ScionOptions};

pub(super) fn scion_entries(scion: Option<&ScionOptions>) -> Vec<Entry> {
    let default = ScionOptions::default();
    let ScionOptions {
        daemon,
        topology,
        endhost_api,
        local,
        wishes,
        pool_paths,
        probe_budget,
        allow,
        deny,
        max_connections_per_as,
    } = scion.unwrap_or(&default);
    vec![
        fixed("scion", if scion.is_some() { "on" } else { "off" }),
        fixed("scion.daemon", some(daemon)),
        fixed("scion.topology", topology.as_ref().map(|file| file.display().to_string()).unwrap_or_default()),
        fixed("scion.endhost_api", some(endhost_api)),
        fixed("scion.local", some(local)),
        live("scion.path_preference", &wishes.policy.preference),
        live("scion.rules", wishes.policy.lines().join("; ")),
        live("scion.costs", &wishes.policy.prices.cost),
        live("scion.carbon", &wishes.policy.prices.carbon),
        live("scion.destinations", refinements(&wishes.destinations)),
        live("scion.pool_paths", pool_paths.as_str()),
        live("scion.probe_budget", some(probe_budget)),
        live("scion.accounts", refinements(&wishes.accounts)),
        live("scion.paths", classes(&wishes.subjects)),
        live("scion.allow", list(allow, ToString::to_string, ", ")),
        live("scion.deny", list(deny, ToString::to_string, ", ")),
        live("scion.max_connections_per_as", max_connections_per_as.unwrap_or(0)),
    ]
}

fn classes(subjects: &BTreeMap<String, Class>) -> String {
    let one =
        |(pattern, Class { wanted, spread }): (&String, &Class)| format!("{pattern} {{ {wanted} spread {spread} }}");
    subjects.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(super) fn multihome_entries(multihome: Option<&MultihomeOptions>) -> Vec<Entry> {
    let default = MultihomeOptions::default();
    let MultihomeOptions { addresses, policy } = multihome.unwrap_or(&default);
    vec![
        fixed("multihome", if multihome.is_some() { "on" } else { "off" }),
        fixed("multihome.addresses", list(addresses, ToString::to_string, ", ")),
        live("multihome.path_preference", &policy.preference),
        live("multihome.rules", policy.lines().join("; ")),
    ]
}
