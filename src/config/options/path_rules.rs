//! `path_rules {}` of those who listen: what is wanted of the paths of connections that they accept.

use natsd_path::{Accepted, Listener};

use super::{InvalidOptions, Listen, Options, ScionOptions, scion_listeners};

/// Those of a listener, and where it listens.
struct Rules<'a> {
    at: Listener,
    key: &'static str,
    rules: &'a Accepted,
    listen: &'a [Listen],
}

impl Options {
    /// `scion {}` with what those who listen want of paths.
    pub(crate) fn scion_with_rules(&self) -> Option<ScionOptions> {
        let mut scion = self.scion.clone()?;
        scion.wishes.listeners = self.path_rules().map(|it| (it.at, it.rules.clone())).collect();
        Some(scion)
    }

    fn path_rules(&self) -> impl Iterator<Item = Rules<'_>> {
        let (cluster, leafnodes, gateway) = (self.cluster.as_ref(), self.leafnodes.as_ref(), self.gateway.as_ref());
        let all = [
            own(Listener::Clients, "client_path_rules", &self.client_path_rules, &self.listen),
            cluster.and_then(|it| own(Listener::Cluster, "cluster.path_rules", &it.path_rules, &it.listen)),
            leafnodes.and_then(|it| own(Listener::Leafnodes, "leafnodes.path_rules", &it.path_rules, &it.listen)),
            gateway.and_then(|it| own(Listener::Gateway, "gateway.path_rules", &it.path_rules, &it.listen)),
        ];
        all.into_iter().flatten()
    }

    /// Checks that there is a listener that the rules can hold for.
    pub(super) fn check_path_rules(&self) -> Result<(), InvalidOptions> {
        match self.path_rules().find(|it| scion_listeners(it.listen).next().is_none()) {
            Some(rules) => Err(InvalidOptions::PathRulesWithoutListener(rules.key)),
            None => Ok(()),
        }
    }
}

fn own<'a>(at: Listener, key: &'static str, rules: &'a Option<Accepted>, listen: &'a [Listen]) -> Option<Rules<'a>> {
    Some(Rules { at, key, rules: rules.as_ref()?, listen })
}
