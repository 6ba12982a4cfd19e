//! What keys at the top level say together.

use super::super::{authorization, operator, unsupported};
use super::{Draft, KEYS};
use crate::config::error::{ConfigError, ValueError};
use crate::config::field::{Report, read_both};
use crate::config::language::Map;
use crate::config::options::{Beside, DEFAULT_PORT, Listen, Options};

/// Reads a whole configuration on top of `base`.
pub(in crate::config) fn read(map: &Map, base: Options, report: &mut Report) -> Options {
    let scion_flag = base.scion.clone();
    let mut draft = Draft { options: base, ..Draft::default() };
    let mut operator = operator::Draft::default();
    read_both(map, (KEYS, &mut draft), (operator::KEYS, &mut operator), unsupported::SERVER, report);
    draft.options.scion = draft.options.scion.or(scion_flag);
    if draft.options.scion.is_none() {
        report.errors.extend(report.scion_addresses.drain(..).map(|(at, key, address)| ConfigError::Value {
            at,
            key,
            problem: ValueError::ScionOff(address),
        }));
    }
    draft.finish(operator, report)
}

impl Draft {
    pub(super) fn finish(mut self, operator: operator::Draft, report: &mut Report) -> Options {
        let beside = Beside {
            accounts: self.accounts.is_some(),
            users: self.authorization.as_ref().is_some_and(|draft| !draft.is_empty()),
            callout: self.authorization.as_ref().is_some_and(authorization::Draft::has_callout),
            no_auth_user: self.anonymous.is_some(),
        };
        self.options.operator = operator.finish(self.system_account.as_ref(), beside, report);
        self.finish_accounts(report);
        let mut options = self.options;
        match (self.listen, self.host_port_at) {
            (Some(_), Some(at)) => report.errors.push(ConfigError::Value {
                at,
                key: "host and port".into(),
                problem: ValueError::ListenTwice,
            }),
            (Some(listen), None) => options.listen = listen,
            (None, Some(_)) => {
                let host = self.host.unwrap_or_else(|| "0.0.0.0".into());
                options.listen = vec![Listen::Tcp { host, port: self.port.unwrap_or(DEFAULT_PORT) }];
            }
            (None, None) => {}
        }
        let client_host = options.client_host().to_owned();
        let at = |(host, port): (Option<String>, u16)| (host.unwrap_or_else(|| client_host.clone()), port);
        options.http = self.http.map(at).or(options.http);
        options.https = self.https.map(at).or(options.https);
        options
    }
}
