//! Whether the imports of accounts are allowed, and whether they go round in circles.

use std::collections::{HashMap, HashSet};

use natsd_core::subject;
use thiserror::Error;

use super::{AccountSpec, Export, Import};

/// Why an account cannot have an import.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SharingError {
    /// There is no such account.
    #[error(
        "account {account:?} imports {subject:?} from {exporter:?}, which is no account; define it, or correct the name"
    )]
    NoAccount {
        /// Who imports.
        account: String,
        /// From whom.
        exporter: String,
        /// What.
        subject: String,
    },
    /// An account that does not exist may import something.
    #[error(
        "account {account:?} exports {subject:?} to {importer:?}, which is no account; define it, or correct the name"
    )]
    NoImporter {
        /// Who exports.
        account: String,
        /// To whom.
        importer: String,
        /// What.
        subject: String,
    },
    /// It is not exported, or not to this account.
    #[error(
        "account {account:?} may not import the {kind} {subject:?} from {exporter:?}; export it there, to this account"
    )]
    Unauthorized {
        /// Who imports.
        account: String,
        /// From whom.
        exporter: String,
        /// What.
        subject: String,
        /// A stream or a service.
        kind: &'static str,
    },
    /// What is imported comes from the importing account itself.
    #[error("account {account:?} imports the {kind} {subject:?} from {exporter:?}: imports go round in a circle")]
    Cycle {
        /// Who imports.
        account: String,
        /// From whom.
        exporter: String,
        /// What.
        subject: String,
        /// A stream or a service.
        kind: &'static str,
    },
    /// One thing twice.
    #[error("account {account:?} imports the {kind} {subject:?} from {exporter:?} twice; remove one of them")]
    Twice {
        /// Who imports.
        account: String,
        /// From whom.
        exporter: String,
        /// What.
        subject: String,
        /// A stream or a service.
        kind: &'static str,
    },
}

/// Whether these accounts may share what they want to share.
///
/// # Errors
///
/// The first import that is not allowed.
pub fn check(accounts: &[AccountSpec]) -> Result<(), SharingError> {
    let by_name: HashMap<&str, &AccountSpec> =
        accounts.iter().map(|account| (account.name.as_str(), account)).collect();
    for account in accounts {
        check_exports(account, &by_name)?;
        for (at, import) in account.imports.iter().enumerate() {
            check_import(account, import, &account.imports[..at], &by_name)?;
        }
    }
    Ok(())
}

fn check_exports(account: &AccountSpec, by_name: &HashMap<&str, &AccountSpec>) -> Result<(), SharingError> {
    for export in &account.exports {
        let super::Access::Accounts(importers) = &export.access else { continue };
        if let Some(importer) = importers.iter().find(|importer| !by_name.contains_key(importer.as_str())) {
            let (account, subject) = (account.name.clone(), export.subject.to_string());
            return Err(SharingError::NoImporter { account, importer: importer.clone(), subject });
        }
    }
    Ok(())
}

fn check_import(
    account: &AccountSpec,
    import: &Import,
    before: &[Import],
    by_name: &HashMap<&str, &AccountSpec>,
) -> Result<(), SharingError> {
    let (name, exporter, subject) = (account.name.clone(), import.account.clone(), import.subject.clone());
    let kind = if import.is_stream() { "stream" } else { "service" };
    let Some(source) = by_name.get(import.account.as_str()) else {
        return Err(SharingError::NoAccount { account: name, exporter, subject });
    };
    let same = |other: &&Import| {
        let place = if import.is_stream() { other.subject == import.subject } else { other.local() == import.local() };
        other.is_stream() == import.is_stream() && other.account == import.account && place
    };
    if before.iter().any(|other| same(&other)) {
        return Err(SharingError::Twice { account: name, exporter, subject, kind });
    }
    if approved(&account.name, import, source).is_none() {
        return Err(SharingError::Unauthorized { account: name, exporter, subject, kind });
    }
    if comes_back(account, import, by_name) {
        return Err(SharingError::Cycle { account: name, exporter, subject, kind });
    }
    Ok(())
}

/// The export of `exporter` that lets the account `importer` have `import`.
pub fn approved<'a>(importer: &str, import: &Import, exporter: &'a AccountSpec) -> Option<&'a Export> {
    let mut exports = exporter.exports_of(&import.subject);
    exports.find(|export| export.service.is_none() == import.is_stream() && export.approves(importer, import))
}

/// Whether what is imported may have come from, or goes to, the importing account itself.
fn comes_back(account: &AccountSpec, import: &Import, by_name: &HashMap<&str, &AccountSpec>) -> bool {
    let mut visited = HashSet::new();
    let mut left = vec![(import.account.as_str(), import.subject.as_bytes().to_vec())];
    while let Some((name, part)) = left.pop() {
        if name == account.name && subject::intersection(&part, import.local()).is_some() {
            return true;
        }
        if !visited.insert((name, part.clone())) {
            continue;
        }
        let Some(spec) = by_name.get(name) else { continue };
        for next in spec.imports.iter().filter(|next| next.is_stream() == import.is_stream()) {
            if let Some(foreign) = next.renaming.foreign_part(&part) {
                left.push((next.account.as_str(), foreign));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use natsd_core::transform::Renaming;

    use super::super::{Access, ImportKind, Service};
    use super::*;

    fn stream(subject: &str, access: Access) -> Export {
        Export { subject: subject.into(), service: None, access }
    }

    fn service(subject: &str, access: Access) -> Export {
        Export { service: Some(Service::default()), ..stream(subject, access) }
    }

    fn import(kind: ImportKind, account: &str, subject: &str, local: &str) -> Import {
        let renaming = Renaming::new(subject, local).unwrap();
        let (account, subject) = (account.to_owned(), subject.to_owned());
        Import { kind, account, subject, renaming, activated: false, allow_trace: false }
    }

    const STREAM: ImportKind = ImportKind::Stream;
    const SERVICE: ImportKind = ImportKind::Service { share: false };

    fn account(name: &str, exports: Vec<Export>, imports: Vec<Import>) -> AccountSpec {
        AccountSpec { exports, imports, ..AccountSpec::named(name) }
    }

    #[test]
    fn only_what_is_exported_to_an_account_can_be_imported() {
        let exports = || {
            vec![
                stream("public.>", Access::Public),
                stream("private.*", Access::Accounts(vec!["B".into()])),
                stream("to.*.>", Access::TokenPosition(2.try_into().unwrap())),
                stream("signed", Access::Activation),
                service("ask.*", Access::Accounts(vec!["B".into()])),
            ]
        };
        for (importer, kind, subject, allowed) in [
            ("B", STREAM, "public.a", true),
            ("C", STREAM, "public.>", true),
            ("C", STREAM, ">", false),
            ("B", STREAM, "private.*", true),
            ("B", STREAM, "private.a", true),
            ("C", STREAM, "private.*", false),
            ("C", STREAM, "to.C.>", true),
            ("C", STREAM, "to.B.>", false),
            ("C", STREAM, "to.*.>", false),
            ("B", STREAM, "signed", false),
            ("B", STREAM, "ask.a", false),
            ("B", SERVICE, "ask.a", true),
            ("C", SERVICE, "ask.a", false),
            ("B", SERVICE, "public.a", false),
        ] {
            let import = import(kind, "A", subject, subject);
            let mut accounts =
                vec![account("A", exports(), vec![]), account("B", vec![], vec![]), account("C", vec![], vec![])];
            accounts.iter_mut().find(|account| account.name == importer).unwrap().imports.push(import);
            assert_eq!(check(&accounts).is_ok(), allowed, "{importer} {subject}");
        }
        let signed = Import { activated: true, ..import(STREAM, "A", "signed", "signed") };
        let accounts = [account("A", exports(), vec![]), account("B", vec![], vec![signed])];
        assert_eq!(check(&accounts), Ok(()));
    }

    #[test]
    fn accounts_that_are_not_there_are_named() {
        let lost = account("B", vec![], vec![import(STREAM, "A", "x", "x")]);
        assert!(matches!(check(&[lost]), Err(SharingError::NoAccount { .. })));
        let lost = account("B", vec![stream("x", Access::Accounts(vec!["A".into()]))], vec![]);
        assert!(matches!(check(&[lost]), Err(SharingError::NoImporter { .. })));
    }

    #[test]
    fn nothing_is_imported_twice() {
        let exporter = || account("A", vec![stream(">", Access::Public), service("s.*", Access::Public)], vec![]);
        let twice = |one: Import, other: Import| check(&[exporter(), account("B", vec![], vec![one, other])]);
        let found = twice(import(STREAM, "A", "x", "y"), import(STREAM, "A", "x", "z"));
        assert!(matches!(found, Err(SharingError::Twice { .. })));
        let found = twice(import(SERVICE, "A", "s.1", "y"), import(SERVICE, "A", "s.2", "y"));
        assert!(matches!(found, Err(SharingError::Twice { .. })));
        assert_eq!(twice(import(SERVICE, "A", "s.1", "y"), import(SERVICE, "A", "s.1", "z")), Ok(()));
    }

    #[test]
    fn imports_do_not_go_round_in_circles() {
        for (kind, export) in [(STREAM, stream as fn(&str, Access) -> Export), (SERVICE, service)] {
            let share = |of_a: &str, of_b: &str| {
                let a = account("A", vec![export(">", Access::Public)], vec![import(kind, "B", of_a, of_a)]);
                let b = account("B", vec![export(">", Access::Public)], vec![import(kind, "A", of_b, of_b)]);
                check(&[a, b])
            };
            assert!(matches!(share("x.>", "x.y"), Err(SharingError::Cycle { .. })));
            assert_eq!(share("x.>", "y.>"), Ok(()));
        }
        let export = || vec![service(">", Access::Public)];
        let ring = [
            account("A", export(), vec![import(SERVICE, "B", "x", "x")]),
            account("B", export(), vec![import(SERVICE, "C", "x", "x")]),
            account("C", export(), vec![import(SERVICE, "A", "x", "x")]),
        ];
        assert!(matches!(check(&ring), Err(SharingError::Cycle { .. })));
        assert_eq!(check(&ring[..2]).map_err(|error| matches!(error, SharingError::NoAccount { .. })), Err(true));
    }
}
