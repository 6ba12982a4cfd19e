//! Who may connect, and into which account: what several keys say of it, put together.

use natsd_auth::account::{self, AccountSpec, GLOBAL, SYSTEM};

use super::super::authorization;
use super::Draft;
use crate::config::error::{ConfigError, ValueError};
use crate::config::field::Report;
use crate::config::options::OperatorOptions;

impl Draft {
    /// Puts together what several keys say of accounts and their users.
    pub(super) fn finish_accounts(&mut self, report: &mut Report) {
        let (at, accounts) = self.accounts.take().unzip();
        let accounts = accounts.unwrap_or_default();
        let options = &mut self.options;
        let named = self.system_account.take();
        let operated = options.operator.as_ref().is_some_and(OperatorOptions::is_on);
        let of_operator = options.operator.as_ref().and_then(|operator| operator.system_account.clone());
        options.system_account = match (&named, self.no_system_account) {
            (None, true) => None,
            (None, false) => Some(of_operator.unwrap_or_else(|| SYSTEM.into())),
            (Some((_, name)), _) => Some(name.clone()),
        };
        options.accounts = accounts.specs;
        if let Some((at, problem)) = named
            .filter(|_| !operated || self.no_system_account)
            .and_then(|(at, name)| Some((at, wrong_system_account(name, self.no_system_account, &options.accounts)?)))
        {
            report.errors.push(ConfigError::Value { at, key: "system_account".into(), problem });
        }
        options.complete_accounts(self.mappings.take());
        if let (Some(at), Err(problem)) = (&at, account::check(&options.accounts)) {
            let problem = problem.into();
            report.errors.push(ConfigError::Value { at: at.clone(), key: "accounts".into(), problem });
        }
        let written = self.authorization.is_some();
        let only_system = !written
            && !accounts.users.is_empty()
            && self.anonymous.is_none()
            && options
                .accounts
                .iter()
                .all(|spec| spec.name == GLOBAL || Some(&spec.name) == options.system_account.as_ref());
        // What the flags say stays if the file says nothing.
        let finished = if written || !accounts.users.is_empty() {
            self.authorization.take().unwrap_or_default().finish(accounts.users)
        } else {
            Ok(options.authorization.clone())
        };
        match finished {
            Ok(authorization) => options.authorization = authorization,
            Err(problem) => report.errors.extend(self.users_at.take().or(at).map(|at| {
                let key = if written { "authorization" } else { "accounts" }.into();
                ConfigError::Value { at, key, problem }
            })),
        }
        if options.tls.as_ref().is_some_and(|tls| tls.verify_and_map) {
            options.authorization.directory.expect_certificates();
        }
        if only_system {
            options.authorization.directory.admit_anybody();
        }
        authorization::set_anonymous(&mut options.authorization, self.anonymous.take(), report);
    }
}

fn wrong_system_account(name: String, off: bool, accounts: &[AccountSpec]) -> Option<ValueError> {
    match name.as_str() {
        _ if off => Some(ValueError::SystemAccountOff),
        GLOBAL => Some(ValueError::GlobalAsSystem(name)),
        SYSTEM => None,
        _ if accounts.iter().any(|spec| spec.name == name) => None,
        _ => Some(ValueError::NoSuchAccount(name)),
    }
}
