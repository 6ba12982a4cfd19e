//! What a request asks for, by its subject and its options.

use natsd_api::{AccountStatz, ApiError, to_compact_json};

use super::options::{Options, OptionsError, Param};
use crate::monitor::documents::Documents;

/// A document about the server, by its name in subjects and its path over HTTP, with what one may ask of it.
pub(super) struct Document {
    pub name: &'static str,
    pub path: &'static str,
    params: &'static [Param],
}

const PAGE: [Param; 2] = [Param::Number("offset", "offset"), Param::Number("limit", "limit")];

/// All documents. Those that the server does not have are not answered for.
pub(super) const DOCUMENTS: &[Document] = &[
    Document { name: "VARZ", path: "/varz", params: &[] },
    Document {
        name: "CONNZ",
        path: "/connz",
        params: &[
            Param::Text("sort", "sort"),
            Param::Bool("auth", "auth"),
            Param::Subs,
            PAGE[0],
            PAGE[1],
            Param::Number("cid", "cid"),
            Param::Text("mqtt_client", "mqtt_client"),
            Param::State,
            Param::Text("user", "user"),
            Param::Text("acc", "acc"),
            Param::Text("filter_subject", "filter_subject"),
        ],
    },
    Document { name: "ROUTEZ", path: "/routez", params: &[Param::Subs] },
    Document {
        name: "SUBSZ",
        path: "/subsz",
        params: &[
            PAGE[0],
            PAGE[1],
            Param::Bool("subscriptions", "subs"),
            Param::Text("account", "acc"),
            Param::Text("test", "test"),
        ],
    },
    Document {
        name: "GATEWAYZ",
        path: "/gatewayz",
        params: &[
            Param::Text("name", "gw_name"),
            Param::Bool("accounts", "accs"),
            Param::Text("account_name", "acc_name"),
            Param::Subs,
        ],
    },
    Document {
        name: "LEAFZ",
        path: "/leafz",
        params: &[Param::Bool("subscriptions", "subs"), Param::Text("account", "acc")],
    },
    Document { name: "ACCOUNTZ", path: "/accountz", params: &[Param::Text("account", "acc")] },
    Document {
        name: "JSZ",
        path: "/jsz",
        params: &[
            Param::Text("account", "acc"),
            Param::Bool("accounts", "accounts"),
            Param::Bool("streams", "streams"),
            Param::Bool("consumer", "consumers"),
            Param::Bool("config", "config"),
            Param::Bool("leader_only", "leader-only"),
            Param::Bool("raft", "raft"),
            PAGE[0],
            PAGE[1],
        ],
    },
    Document {
        name: "IPQUEUESZ",
        path: "/ipqueuesz",
        params: &[Param::Bool("all", "all"), Param::Text("filter", "queues")],
    },
    Document { name: "EXPVARZ", path: "/debug/vars", params: &[] },
];

/// The options of `accstatz`.
const ACCSTATZ: &[Param] = &[Param::Texts("accounts", "acc"), Param::Bool("include_unused", "unused")];

/// A question that is answered from memory, on a thread that may take its time.
#[derive(Debug)]
pub(super) struct Query {
    what: What,
    params: Vec<(String, String)>,
}

#[derive(Debug)]
enum What {
    Document(&'static str),
    Health,
    Account(String),
    /// Accounts that have clients, or all; without any there is no answer.
    AccountStats,
    /// An answer that says nothing.
    Empty,
    /// What the server does not do: a status, and why.
    Refused(u16, &'static str),
}

/// Why there is no such query.
#[derive(Debug)]
pub(super) enum NoQuery {
    /// The server knows nothing of that name.
    Unknown,
    /// The options are wrong.
    Options(OptionsError),
}

impl From<OptionsError> for NoQuery {
    fn from(error: OptionsError) -> Self {
        Self::Options(error)
    }
}

/// What `$SYS.REQ.SERVER.….NAME` asks for.
pub(super) fn of_server(name: &str, options: &Options) -> Result<Query, NoQuery> {
    let what = match name {
        "HEALTHZ" => What::Health,
        // No groups.
        "RAFTZ" => What::Empty,
        "PROFILEZ" => {
            What::Refused(501, "there are no profiles of this server; take them with a profiler for native programs")
        }
        _ => return document(name, options, &[]),
    };
    Ok(Query { what, params: Vec::new() })
}

/// What `$SYS.REQ.ACCOUNT.ACCOUNT.NAME` asks for.
pub(super) fn of_account(account: &str, name: &str, options: &Options) -> Result<Query, NoQuery> {
    let what = match name {
        "CONNZ" | "LEAFZ" => return document(name, options, &[("acc", account)]),
        "SUBSZ" => return document(name, options, &[("acc", account), ("subs", "true")]),
        "INFO" => What::Account(account.to_owned()),
        "JSZ" => What::Refused(500, "jetstream not enabled"),
        "STATZ" => {
            let mut params = options.params(ACCSTATZ)?;
            if account != "PING" {
                params.retain(|(name, _)| name != "acc");
                params.push(("acc".into(), account.into()));
            }
            return Ok(Query { what: What::AccountStats, params });
        }
        _ => return Err(NoQuery::Unknown),
    };
    Ok(Query { what, params: Vec::new() })
}

/// The document of this name, with parameters that go before the options.
fn document(name: &str, options: &Options, fixed: &[(&str, &str)]) -> Result<Query, NoQuery> {
    let document = DOCUMENTS.iter().find(|document| document.name == name).ok_or(NoQuery::Unknown)?;
    let mut params: Vec<_> = fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    params.extend(options.params(document.params)?);
    Ok(Query { what: What::Document(document.path), params })
}

impl Query {
    /// The answer, or why there is none but that; `None` is no answer at all.
    pub(super) fn run(self, documents: &Documents) -> Option<Result<String, ApiError>> {
        let failed = |description: String| ApiError { code: 500, description };
        let of_leader = self.params.iter().any(|(name, value)| name == "leader-only" && value == "true");
        if of_leader {
            return None;
        }
        Some(match self.what {
            What::Document(path) => documents.answer(path, self.params).map_err(failed),
            What::Empty => Ok("{}".into()),
            What::Health => Ok(to_compact_json(&documents.health())),
            What::Account(name) => match documents.inspect().account(&name) {
                Some(account) => Ok(to_compact_json(&account)),
                None => Err(failed(format!("Account {name} does not exist"))),
            },
            What::AccountStats => {
                let unused = self.params.iter().any(|(name, _)| name == "unused");
                let stats = documents.answer("/accstatz", self.params);
                let empty = |json: &String| {
                    serde_json::from_str::<AccountStatz>(json).is_ok_and(|stats| stats.account_statz.is_empty())
                };
                if !unused && stats.as_ref().is_ok_and(empty) {
                    return None;
                }
                stats.map_err(failed)
            }
            What::Refused(code, why) => Err(ApiError { code, description: why.into() }),
        })
    }
}
