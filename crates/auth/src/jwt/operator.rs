//! Operators.

use serde::{Deserialize, Serialize};

use super::claims::{Body, Claims, Registered};
use super::issues::Issues;
use super::json::is_zero;
use super::key::KeyKind;
use super::token::TokenError;

/// Who vouches for accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operator {
    /// Other keys that sign for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<String>,
    /// Where accounts are asked for over HTTP, without `/accounts`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account_server_url: String,
    /// Where its servers are, for tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operator_service_urls: Vec<String>,
    /// The public key of the system account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub system_account: String,
    /// The oldest version of nats-server that does, `major.minor.update`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub assert_server_version: String,
    /// Whether only signing keys may sign accounts and users, not the keys that they are signed by.
    #[serde(skip_serializing_if = "is_zero")]
    pub strict_signing_key_usage: bool,
}

/// `major.minor.update`; all 0 if nothing is said.
fn version(text: &str) -> Result<[i64; 3], String> {
    if text.is_empty() {
        return Ok([0; 3]);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [major, minor, update] = parts[..] else {
        return Err("asserted server version must be of the form <major>.<minor>.<update>".to_owned());
    };
    let number = |part: &str| {
        let number = part.parse::<i64>();
        number.map_err(|_| format!("asserted server version cant parse {part} to int"))
    };
    let version = [number(major)?, number(minor)?, number(update)?];
    if version.iter().any(|part| *part < 0) {
        return Err(format!("asserted server version can'b contain negative values: {text}"));
    }
    Ok(version)
}

/// The scheme of a URL, whether it names a user, and its path.
fn parse_url(url: &str) -> Option<(&str, bool, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let mut letters = scheme.bytes();
    let valid = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !valid || url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return None;
    }
    let Some(rest) = rest.strip_prefix("//") else { return Some((scheme, false, "")) };
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Some((scheme, authority.contains('@'), path))
}

impl Operator {
    /// Whether a server that is as good as nats-server `ours` is new enough.
    ///
    /// # Errors
    ///
    /// If it is not, or the version cannot be read; in the words of nats-server, about the operator `subject`.
    pub fn check_version(&self, subject: &str, ours: [i64; 3]) -> Result<(), String> {
        let asserted = &self.assert_server_version;
        let wanted = version(asserted)
            .map_err(|problem| format!("operator {subject} expects version {asserted} got error instead: {problem}"))?;
        for (part, (wanted, ours)) in ["major", "minor", "update"].iter().zip(wanted.into_iter().zip(ours)) {
            if wanted > ours {
                return Err(format!(
                    "operator {subject} expected {part} version {wanted} > server {part} version {ours}"
                ));
            }
            if wanted < ours {
                break;
            }
        }
        Ok(())
    }

    fn check_urls(&self, issues: &mut Issues) {
        let server = &self.account_server_url;
        if !server.is_empty() && parse_url(server).is_none() {
            issues.error(format!("account server url {server:?} requires a protocol"));
        }
        for url in self.operator_service_urls.iter().filter(|url| !url.is_empty()) {
            let problem = match parse_url(url) {
                None => "protocol not supported (only 'nats', 'tls', 'ws', 'wss' only)",
                Some((_, true, _)) => "credentials are not supported",
                Some((_, _, path)) if !path.is_empty() => "paths are not supported",
                Some((scheme, ..)) if !["nats", "tls", "ws", "wss"].contains(&scheme.to_ascii_lowercase().as_str()) => {
                    "protocol not supported (only 'nats', 'tls', 'ws', 'wss' only)"
                }
                Some(_) => continue,
            };
            issues.error(format!("operator service url {url:?} - {problem}"));
        }
    }
}

impl Body for Operator {
    const KIND: &'static str = "operator";
    const NAMED: &'static str = "operator claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Operator];
    const SUBJECT: Option<KeyKind> = Some(KeyKind::Operator);

    fn check(&self, _: &Registered, issues: &mut Issues) {
        self.check_urls(issues);
        for key in self.signing_keys.iter().filter(|key| !KeyKind::Operator.is(key)) {
            issues.error(format!("{key} is not an operator public key"));
        }
        let system = &self.system_account;
        if !system.is_empty() && !KeyKind::Account.is(system) {
            issues.error(format!("{system} is not an account public key"));
        }
        if let Err(problem) = version(&self.assert_server_version) {
            issues.error(format!("assert server version error: {problem}"));
        }
    }
}

/// The token in a file that has it between lines of dashes, or the whole text.
pub fn undecorated(text: &str) -> &str {
    let ruled = |line: &str| {
        let line = line.trim();
        line.len() >= 6 && line.starts_with("---") && line.ends_with("---")
    };
    let lines: Vec<&str> = text.lines().collect();
    let token = |line: &str| {
        !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.=".contains(&byte))
    };
    lines
        .windows(3)
        .find(|lines| ruled(lines[0]) && token(lines[1]) && ruled(lines[2]))
        .map_or_else(|| text.trim(), |lines| lines[1])
}

/// Reads an operator from the text of its file, decorated or not.
///
/// # Errors
///
/// If it is no token of an operator.
pub fn read_operator_file(text: &str) -> Result<Claims<Operator>, TokenError> {
    Claims::decode(undecorated(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_new_enough_or_told_what_is_missing() {
        let asserted = |version: &str| Operator { assert_server_version: version.into(), ..Operator::default() };
        for old in ["", "0.0.0", "2.15.2", "2.14.9", "1.99.99", "2.15.1"] {
            assert_eq!(asserted(old).check_version("O", [2, 15, 2]), Ok(()), "{old}");
        }
        for (new, problem) in [
            ("3.0.0", "operator O expected major version 3 > server major version 2"),
            ("2.16.0", "operator O expected minor version 16 > server minor version 15"),
            ("2.15.3", "operator O expected update version 3 > server update version 2"),
            (
                "2.15",
                "operator O expects version 2.15 got error instead: asserted server version must be of the form \
                 <major>.<minor>.<update>",
            ),
        ] {
            assert_eq!(asserted(new).check_version("O", [2, 15, 2]), Err(problem.to_owned()));
        }
    }

    #[test]
    fn urls_of_services_have_a_scheme_and_no_path() {
        let check = |url: &str| {
            let mut issues = Issues::default();
            Operator { operator_service_urls: vec![url.into()], ..Operator::default() }.check_urls(&mut issues);
            issues.0.is_empty()
        };
        for good in ["nats://localhost:4222", "TLS://host", "ws://host:80", "wss://[::1]:443"] {
            assert!(check(good), "{good}");
        }
        for bad in ["localhost:4222", "nats://u:p@host", "nats://host/", "http://host", "nats", ":x", "1nats://host"] {
            assert!(!check(bad), "{bad}");
        }
    }

    #[test]
    fn a_token_may_stand_between_dashes() {
        let file = "-----BEGIN NATS OPERATOR JWT-----\r\na.b-_.c\r\n------END NATS OPERATOR JWT------\r\n\r\n";
        assert_eq!(undecorated(file), "a.b-_.c");
        assert_eq!(undecorated(&file.replace('\r', "")), "a.b-_.c");
        assert_eq!(undecorated("a.b.c\n"), "a.b.c");
        assert_eq!(undecorated("---x\n"), "---x");
        assert_eq!(undecorated(""), "");
    }
}
