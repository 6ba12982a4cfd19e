//! An account's token as what a server does for the account.

use std::num::NonZeroUsize;
use std::time::Duration;

use natsd_core::subject;
use natsd_core::transform::{Mappings, Renaming};

use super::account::{Account, MessageTrace};
use super::activation::Activation;
use super::claims::Claims;
use super::sharing::{Export, Import, Sampling, ShareKind, is_contained};
use crate::account::{
    self, Access, AccountLimits, AccountSpec, ImportKind, Latency, ResponseType, Service, TraceTarget,
};

impl Claims<Account> {
    /// What a server does for the account; and what of it cannot be done, each with why. `is_activated` tells whether who
    /// exports what an import wants has let this account have it.
    pub fn spec(&self, is_activated: impl Fn(&Import) -> bool) -> (AccountSpec, Vec<String>) {
        let mut problems = Vec::new();
        let mappings = self.body.mappings().unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        let mut imports = Vec::new();
        for import in &self.body.imports {
            match import.spec(is_activated(import)) {
                Ok(import) => imports.push(import),
                Err(problem) => problems.push(format!("import {:?}: {problem}", import.subject)),
            }
        }
        let limits = &self.body.limits;
        let limit = |limit: i64| u64::try_from(limit).ok();
        let spec = AccountSpec {
            name: self.registered.subject.clone(),
            title: self.registered.name.clone(),
            nkey: Some(self.registered.subject.clone()),
            mappings: Mappings::new(mappings).into(),
            limits: AccountLimits {
                connections: limit(limits.account.conn),
                subscriptions: limit(limits.nats.subs),
                payload: limit(limits.nats.payload),
                leaf_nodes: limit(limits.account.leaf),
            },
            exports: self.body.exports.iter().map(Export::spec).collect(),
            imports,
            trace: self.body.trace.as_ref().and_then(MessageTrace::target),
        };
        (spec, problems)
    }

    /// Whether this account lets the one that says `import` of it have it at `now`, in seconds since 1970, by a token.
    /// `strict` as in [`crate::jwt::Trust::is_strict`]. `ends` hears when that holds no longer.
    pub fn lets_have(&self, import: &Import, now: i64, strict: bool, ends: &mut impl FnMut(i64)) -> bool {
        let Ok(activation) = Claims::<Activation>::decode(&import.token) else { return false };
        let wanted = import.foreign();
        let mut exports = self.body.exports.iter();
        let export = exports.find(|export| export.kind == import.kind && is_contained(wanted, &export.subject));
        let holds = export.is_some_and(|export| self.activates(&activation, export, now, strict));
        if holds && activation.registered.expires > 0 {
            ends(activation.registered.expires);
        }
        holds
    }
}

impl MessageTrace {
    /// As in nats-server, one that cannot be published to is none.
    fn target(&self) -> Option<TraceTarget> {
        let usable =
            subject::is_valid_literal(self.destination.as_bytes()) && !self.destination.contains(char::is_whitespace);
        let sampling = u8::try_from(self.sampling).ok().filter(|percent| (1..=100).contains(percent)).unwrap_or(100);
        usable.then(|| TraceTarget { subject: self.destination.clone(), sampling })
    }
}

impl Import {
    /// Subject in the exporting account.
    fn foreign(&self) -> &str {
        let renamed = self.kind == ShareKind::Service && !self.to.is_empty();
        if renamed { &self.to } else { &self.subject }
    }

    fn local(&self) -> String {
        match (self.kind, self.to.as_str()) {
            _ if !self.local_subject.is_empty() => self.local_subject.clone(),
            (ShareKind::Stream, prefix) if !prefix.is_empty() => {
                format!("{}.{}", prefix.trim_end_matches('.'), self.subject)
            }
            _ => self.subject.clone(),
        }
    }

    fn spec(&self, activated: bool) -> Result<account::Import, String> {
        let renaming = Renaming::new(self.foreign(), &self.local()).map_err(|problem| problem.to_string())?;
        let kind = match self.kind {
            ShareKind::Service => ImportKind::Service { share: self.share },
            _ => ImportKind::Stream,
        };
        Ok(account::Import {
            kind,
            account: self.account.clone(),
            subject: self.foreign().to_owned(),
            renaming,
            activated,
            allow_trace: self.allow_trace,
        })
    }
}

impl Export {
    fn spec(&self) -> account::Export {
        let position = usize::try_from(self.account_token_position).ok().and_then(NonZeroUsize::new);
        let access = match position {
            Some(position) => Access::TokenPosition(position),
            None if self.token_req => Access::Activation,
            None => Access::Public,
        };
        let service = (self.kind == ShareKind::Service).then(|| self.service());
        account::Export { subject: self.subject.as_str().into(), service, access }
    }

    fn service(&self) -> Service {
        let default = Service::default();
        let response = match self.response_type.as_str() {
            "Stream" => ResponseType::Stream,
            "Chunked" => ResponseType::Chunked,
            _ => ResponseType::Singleton,
        };
        let threshold = u64::try_from(self.response_threshold).ok().filter(|nanos| *nanos > 0);
        let latency = self.latency.as_ref().map(|latency| Latency {
            subject: latency.results.clone(),
            sampling: match latency.sampling {
                Sampling::Headers => account::Sampling::Headers,
                Sampling::Percent(percent) => {
                    account::Sampling::Percent(u8::try_from(percent.clamp(1, 100)).unwrap_or(100))
                }
            },
        });
        let threshold = threshold.map_or(default.threshold, Duration::from_nanos);
        Service { response, threshold, latency, allow_trace: self.allow_trace }
    }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::super::limits::OperatorLimits;
    use super::*;

    fn export(kind: ShareKind, subject: &str) -> Export {
        Export { kind, subject: subject.into(), ..Export::default() }
    }

    #[test]
    fn what_an_account_says_is_what_a_server_does() {
        let exporter = KeyPair::new_account().public_key();
        let import = |kind, subject: &str, to: &str, local: &str| Import {
            kind,
            subject: subject.into(),
            to: to.into(),
            local_subject: local.into(),
            account: exporter.clone(),
            ..Import::default()
        };
        let mut body = Account { limits: OperatorLimits::unlimited(), ..Account::default() };
        body.limits.account.conn = 3;
        body.limits.nats.payload = 0;
        body.exports = vec![
            export(ShareKind::Stream, "s.>"),
            Export { token_req: true, response_type: "Chunked".into(), ..export(ShareKind::Service, "ask") },
            Export { account_token_position: 2, ..export(ShareKind::Stream, "to.*") },
        ];
        body.imports = vec![
            import(ShareKind::Stream, "a.*", "", ""),
            import(ShareKind::Stream, "a.*", "pre", ""),
            import(ShareKind::Stream, "a.*.b.*", "", "x.$2.$1"),
            import(ShareKind::Service, "mine", "theirs", ""),
            import(ShareKind::Service, "theirs.*", "", "mine.*"),
            import(ShareKind::Stream, "a.>", "", "odd"),
        ];
        let (spec, problems) = Claims::new("A", body).spec(|import| import.to == "pre");
        assert_eq!((spec.limits.connections, spec.limits.payload, spec.limits.subscriptions), (Some(3), Some(0), None));
        let access: Vec<_> = spec.exports.iter().map(|export| export.access.clone()).collect();
        let second = Access::TokenPosition(NonZeroUsize::new(2).unwrap());
        assert_eq!(access, [Access::Public, Access::Activation, second]);
        let service = spec.exports[1].service.as_ref().unwrap();
        assert_eq!((service.response, service.threshold), (ResponseType::Chunked, Service::default().threshold));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let imports: Vec<_> =
            spec.imports.iter().map(|it| (it.subject.clone(), text(it.local()), it.activated)).collect();
        let expected = [
            ("a.*", "a.*", false),
            ("a.*", "pre.a.*", true),
            ("a.*.b.*", "x.*.*", false),
            ("theirs", "mine", false),
            ("theirs.*", "mine.*", false),
        ];
        assert_eq!(imports, expected.map(|(there, here, on)| (there.to_owned(), here.to_owned(), on)));
        assert!(matches!(&problems[..], [problem] if problem.contains("\"a.>\"")), "{problems:?}");
    }

    #[test]
    fn an_account_says_where_its_traces_go() {
        let target = |destination: &str, sampling: i64| {
            let trace = Some(MessageTrace { destination: destination.into(), sampling });
            Claims::new("A", Account { trace, ..Account::default() }).spec(|_| false).0.trace
        };
        let to = |subject: &str, sampling| Some(TraceTarget { subject: subject.into(), sampling });
        assert_eq!(target("a.b", 25), to("a.b", 25));
        assert_eq!((target("a", 0), target("a", 300), target("a", -1)), (to("a", 100), to("a", 100), to("a", 100)));
        assert_eq!((target("", 5), target("a.*", 5), target("a b", 5)), (None, None, None));
    }

    #[test]
    fn an_import_needs_the_token_of_who_exports() {
        let (exporter, importer) = (KeyPair::new_account(), KeyPair::new_account());
        let body = Account {
            exports: vec![Export { token_req: true, ..export(ShareKind::Stream, "s.>") }],
            ..Account::default()
        };
        let account = Claims::new(exporter.public_key(), body);
        let token = |by: &KeyPair, subject: &str, expires: i64| {
            let activation = Activation { subject: subject.into(), kind: ShareKind::Stream, ..Activation::default() };
            let mut claims = Claims::new(importer.public_key(), activation);
            claims.registered.expires = expires;
            claims.encode(by, 100).unwrap()
        };
        let import = |token: String| Import {
            kind: ShareKind::Stream,
            subject: "s.a".into(),
            account: exporter.public_key(),
            token,
            ..Import::default()
        };
        let mut ends = Vec::new();
        let mut has = |import: &Import| account.lets_have(import, 200, false, &mut |at| ends.push(at));
        assert!(has(&import(token(&exporter, "s.a", 0))) && has(&import(token(&exporter, "s.a", 300))));
        assert!(!has(&import(String::new())) && !has(&import(token(&exporter, "s.a", 150))));
        assert!(!has(&import(token(&importer, "s.a", 0))));
        assert!(!has(&Import { subject: "other".into(), ..import(token(&exporter, "s.a", 0)) }));
        assert_eq!(ends, [300]);
    }
}
