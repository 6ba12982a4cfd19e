//! `operator`, `resolver` and what goes with them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use natsd_auth::jwt::{KeyKind, read_operator_file, undecorated};

use super::tls;
use crate::config::error::{ConfigError, ValueError};
use crate::config::field::{Field, Key, Report};
use crate::config::language::Position;
use crate::config::options::{
    Beside, CACHE_LIMIT, Delete, FETCH_TIMEOUT, OperatorError, OperatorOptions, Resolver, SYNC_INTERVAL, check_preload,
};

/// All tokens begin like this, `{"` in base64.
const TOKEN_START: &str = "eyJ";

/// The keys while they are read.
#[derive(Default)]
pub struct Draft {
    options: OperatorOptions,
    /// Where the first of them stands.
    at: Option<(Position, String)>,
}

/// The keys of operator mode.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["operator", "operators", "roots", "root", "root_operators", "root_operator"],
        takes: "path, JWT, or a list of these",
        default: "none",
        doc: "Operators that are believed about accounts: files with their JWTs, or these themselves.",
        read: |draft, field| {
            draft.note(field);
            for (token, operator) in field.each(operator)? {
                draft.options.tokens.push(token);
                draft.options.operators.push(operator);
            }
            Ok(())
        },
    },
    Key {
        names: &["trusted", "trusted_keys"],
        takes: "string O…, or a list of these",
        default: "those of `operator`",
        doc: "Public keys of operators that are believed about accounts, without `operator`.",
        read: |draft, field| {
            draft.note(field);
            draft.options.trusted_keys = field.each(|field| {
                let key = field.text()?;
                let known = KeyKind::Operator.is(key);
                if known { Ok(key.to_owned()) } else { Err(OperatorError::OperatorKey(key.to_owned()).into()) }
            })?;
            Ok(())
        },
    },
    Key {
        names: &["resolver", "account_resolver", "accounts_resolver"],
        takes: "MEMORY, URL(…) or map",
        default: "the account server of the operator",
        doc: "Where accounts come from: `resolver_preload`, a web server, or a directory; see below.",
        read: |draft, field| {
            draft.note(field);
            draft.options.resolver = Some(resolver(field)?);
            Ok(())
        },
    },
    Key {
        names: &["resolver_tls"],
        takes: "map",
        default: "none",
        doc: "TLS towards the web server of `resolver`, as in `tls {}`.",
        read: |draft, field| {
            draft.note(field);
            draft.options.resolver_tls = Some(tls::read(field, |_| Ok(()))?);
            Ok(())
        },
    },
    Key {
        names: &["resolver_preload"],
        takes: "map of public keys A… to JWTs",
        default: "none",
        doc: "Accounts for a resolver that is a memory or a directory.",
        read: |draft, field| {
            draft.note(field);
            let accounts = field.entries(|key, field| {
                let token = field.text()?.trim();
                check_preload(key, token)?;
                Ok((key.to_owned(), token.to_owned()))
            })?;
            draft.options.preload = accounts.into_iter().collect();
            Ok(())
        },
    },
    Key {
        names: &["resolver_pinned_accounts"],
        takes: "string A…, or a list of these",
        default: "all",
        doc: "The only accounts, besides the system account, whose users may connect here.",
        read: |draft, field| {
            draft.note(field);
            draft.options.pinned_accounts = Some(field.each(account_key)?.into_iter().collect());
            Ok(())
        },
    },
    Key {
        names: &["default_sentinel"],
        takes: "JWT",
        default: "none",
        doc: "The user that clients are who show no JWT; a bearer token, for auth callout.",
        read: |draft, field| {
            draft.note(field);
            draft.options.default_sentinel = Some(field.text()?.trim().to_owned());
            Ok(())
        },
    },
];

/// `resolver {}` while its keys are read.
#[derive(Default)]
pub struct ResolverDraft {
    kind: Option<Kind>,
    directory: Option<PathBuf>,
    allow_delete: bool,
    hard_delete: Option<bool>,
    limit: Option<usize>,
    ttl: Option<Duration>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Memory,
    Full,
    Cache,
}

const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// The keys of `resolver {}`.
pub const RESOLVER_KEYS: &[Key<ResolverDraft>] = &[
    Key {
        names: &["type"],
        takes: "full, cache or memory",
        default: "required",
        doc: "Whether the directory has all accounts, or those that were asked for.",
        read: |draft, field| {
            draft.kind = Some(match field.text()?.to_ascii_lowercase().as_str() {
                "full" => Kind::Full,
                "cache" => Kind::Cache,
                "mem" | "memory" => Kind::Memory,
                other => return Err(word(other, "full, cache or memory")),
            });
            Ok(())
        },
    },
    Key {
        names: &["dir"],
        takes: "string, path",
        default: "required",
        doc: "The directory; it is made if it is not there.",
        read: |draft, field| {
            draft.directory = Some(directory(field.text()?)?);
            Ok(())
        },
    },
    Key {
        names: &["allow_delete"],
        takes: "boolean",
        default: "false",
        doc: "Full: whether the operator may delete accounts. Their files are renamed.",
        read: |draft, field| field.bool().map(|on| draft.allow_delete = on),
    },
    Key {
        names: &["hard_delete"],
        takes: "boolean",
        default: "false",
        doc: "Full: whether the files of deleted accounts are removed.",
        read: |draft, field| field.bool().map(|on| draft.hard_delete = Some(on)),
    },
    Key {
        names: &["limit"],
        takes: "integer",
        default: "full: unlimited; cache: 1000",
        doc: "Accounts that fit.",
        read: |draft, field| field.limit(i64::MAX).map(|limit| draft.limit = limit),
    },
    Key {
        names: &["ttl"],
        takes: "duration in quotes",
        default: "until it expires",
        doc: "Cache: how long an account stays that is not used.",
        read: |draft, field| duration(field).map(|ttl| draft.ttl = ttl),
    },
    Key {
        names: &["interval"],
        takes: "duration in quotes",
        default: "\"1m\"",
        doc: "Full: time between two comparisons with another server.",
        read: |draft, field| duration(field).map(|interval| draft.interval = interval),
    },
    Key {
        names: &["timeout"],
        takes: "duration in quotes",
        default: "\"1.9s\"",
        doc: "How long another server may take to tell an account.",
        read: |draft, field| field.quoted_duration(MIN_TIMEOUT).map(|timeout| draft.timeout = Some(timeout)),
    },
];

impl Draft {
    fn note(&mut self, field: &Field<'_>) {
        self.at.get_or_insert_with(|| (field.at().clone(), field.key().to_owned()));
    }
}

fn word(found: &str, expected: &'static str) -> ValueError {
    ValueError::Word { found: found.to_owned(), expected }
}

/// 0 stands for the default.
fn duration(field: &mut Field<'_>) -> Result<Option<Duration>, ValueError> {
    field.quoted_duration(Duration::ZERO).map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
}

type OperatorFile = (String, natsd_auth::jwt::Claims<natsd_auth::jwt::Operator>);

/// A file, or a token.
fn operator(field: &mut Field<'_>) -> Result<OperatorFile, ValueError> {
    let given = field.text()?;
    let text = match std::fs::read_to_string(given) {
        Ok(text) => text,
        Err(_) if given.starts_with(TOKEN_START) => given.to_owned(),
        Err(error) => {
            return Err(OperatorError::File { path: given.to_owned(), problem: error.to_string() }.into());
        }
    };
    let operator = read_operator_file(&text).map_err(OperatorError::Operator)?;
    Ok((undecorated(&text).to_owned(), operator))
}

fn account_key(field: &mut Field<'_>) -> Result<String, ValueError> {
    let key = field.text()?;
    if KeyKind::Account.is(key) { Ok(key.to_owned()) } else { Err(OperatorError::AccountKey(key.to_owned()).into()) }
}

fn resolver(field: &mut Field<'_>) -> Result<Resolver, ValueError> {
    const EXPECTED: &str = "MEMORY, URL(\"http://…\"), or a map with type full or cache and dir";
    let Ok(text) = field.text() else {
        let mut draft = ResolverDraft::default();
        if !field.map(RESOLVER_KEYS, &[], &mut draft)? {
            // Its keys have been reported; this one keeps the others company.
            return Ok(Resolver::Memory);
        }
        return draft.finish();
    };
    let trimmed = text.trim();
    if ["MEM", "MEMORY"].iter().any(|word| trimmed.eq_ignore_ascii_case(word)) {
        return Ok(Resolver::Memory);
    }
    let head = trimmed.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("URL"));
    let inner = trimmed.get(3..).filter(|_| head).unwrap_or_default().trim();
    let url = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).map(|url| url.trim().trim_matches('"'));
    match url {
        Some(url) if is_http(url) => {
            Ok(Resolver::Url(if url.ends_with('/') { url.to_owned() } else { format!("{url}/") }))
        }
        _ => Err(word(text, EXPECTED)),
    }
}

fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    !host.is_empty() && !url.contains(char::is_whitespace)
}

/// A directory that can be written, or that is to be made.
fn directory(text: &str) -> Result<PathBuf, ValueError> {
    const EXPECTED: &str = "the path of a directory that natsd may write";
    let path = Path::new(text);
    let usable = match path.metadata() {
        Ok(found) => found.is_dir() && found.permissions().mode() & 0o200 != 0,
        Err(_) => !text.is_empty(),
    };
    if usable { Ok(path.to_owned()) } else { Err(word(text, EXPECTED)) }
}

impl ResolverDraft {
    fn finish(self) -> Result<Resolver, ValueError> {
        let kind = self.kind.ok_or(ValueError::Missing("type"))?;
        let foreign = match kind {
            Kind::Memory => return Ok(Resolver::Memory),
            Kind::Full if self.ttl.is_some() => Some("ttl"),
            Kind::Cache if self.interval.is_some() => Some("interval"),
            Kind::Cache if self.allow_delete => Some("allow_delete"),
            Kind::Cache if self.hard_delete.is_some() => Some("hard_delete"),
            _ => None,
        };
        if let Some(key) = foreign {
            let kind = if kind == Kind::Full { "full" } else { "cache" };
            return Err(ValueError::NotOfType { key, kind });
        }
        let directory = self.directory.ok_or(ValueError::Missing("dir"))?;
        let timeout = self.timeout.unwrap_or(FETCH_TIMEOUT);
        if kind == Kind::Cache {
            return Ok(Resolver::Cache { directory, limit: self.limit.unwrap_or(CACHE_LIMIT), ttl: self.ttl, timeout });
        }
        let delete = match (self.allow_delete, self.hard_delete) {
            (false, Some(_)) => {
                return Err(ValueError::Missing("allow_delete, without which hard_delete does nothing,"));
            }
            (false, None) => Delete::Never,
            (true, Some(true)) => Delete::Remove,
            (true, _) => Delete::Rename,
        };
        let interval = self.interval.unwrap_or(SYNC_INTERVAL);
        Ok(Resolver::Full { directory, limit: self.limit, interval, timeout, delete })
    }
}

impl Draft {
    /// What the keys say together, and with `system_account` and what else is `beside`; `None` if there are none of them.
    pub(super) fn finish(
        self,
        system_account: Option<&(Position, String)>,
        beside: Beside,
        report: &mut Report,
    ) -> Option<OperatorOptions> {
        let Self { mut options, at } = self;
        let (at, key) = at?;
        options.system_account = system_account.map(|(_, name)| name.clone());
        if let Some((at, name)) = system_account.filter(|(_, name)| options.is_on() && !KeyKind::Account.is(name)) {
            let problem = OperatorError::AccountKey(name.clone()).into();
            report.errors.push(ConfigError::Value { at: at.clone(), key: "system_account".into(), problem });
        }
        options.complete();
        // One that could not be read is told already, and the others miss it.
        if report.errors.is_empty()
            && let Err(problem) = options.check(beside)
        {
            report.errors.push(ConfigError::Value { at, key, problem: problem.into() });
        }
        Some(options)
    }
}

#[cfg(test)]
mod tests;
