//! Whether what paths shall be chosen by is told anywhere.

use natsd_path::{Limits, Metric, Policy, Preference, Prices, Refinement, Wishes};

use super::{InvalidOptions, Options};

impl Options {
    /// Checks that there is a table for what is asked of costs and carbon.
    pub(super) fn check_prices(&self) -> Result<(), InvalidOptions> {
        if let Some(scion) = self.scion_with_rules() {
            let Wishes { policy, destinations, accounts, subjects, listeners } = &scion.wishes;
            let classes = subjects.values().map(|class| &class.wanted);
            let listeners = listeners.values().map(|accepted| &accepted.wanted);
            let all = destinations.values().chain(accounts.values()).chain(classes).chain(listeners);
            all.chain([&said(policy)]).try_for_each(|wanted| check(wanted, &policy.prices))?;
        }
        match &self.multihome {
            Some(multihome) => check(&said(&multihome.policy), &Prices::default()),
            None => Ok(()),
        }
    }
}

fn said(policy: &Policy) -> Refinement {
    let Policy { preference, rules, redundant: _, prices: _ } = policy.clone();
    Refinement { preference: Some(preference), rules, redundant: None }
}

fn check(wanted: &Refinement, prices: &Prices) -> Result<(), InvalidOptions> {
    let Limits { cost, carbon, .. } = wanted.rules.limits;
    for (metric, table, tariff, limit) in
        [(Metric::Cost, "costs", &prices.cost, cost), (Metric::Carbon, "carbon", &prices.carbon, carbon)]
    {
        let by = |preference: &&Preference| preference.metrics().contains(&metric);
        let preference = wanted.preference.as_ref().filter(by).map(|it| format!("path_preference {it}"));
        let asked = preference.or_else(|| limit.map(|most| format!("max_{metric} {most}")));
        if let Some(asked) = asked.filter(|_| tariff.is_empty()) {
            return Err(InvalidOptions::NoPrices { asked, table });
        }
    }
    Ok(())
}
