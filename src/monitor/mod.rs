//! Monitoring over HTTP: nats-server's endpoints as far as natsd has the feature, and `/pathz`.
//!
//! An endpoint is one file with one function from a `Context` and parameters to an `Answer`; `ENDPOINTS` lists
//! them. They see the server through [`Inspect`].

mod absent;
pub(crate) mod accounts;
mod accountz;
mod connz;
pub(crate) mod documents;
mod eventz;
mod expvar;
mod gateways;
mod gatewayz;
mod healthz;
mod http;
mod inspect;
mod leafs;
mod leafz;
mod metrics;
mod params;
mod path_history;
mod paths;
mod pathz;
mod process;
mod root;
mod routez;
pub(crate) mod server;
mod stacksz;
mod subsz;
#[cfg(test)]
mod tests;
mod ui;
mod varz;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use natsd_auth::Login;
use parking_lot::Mutex;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use documents::Documents;
pub use inspect::{Client, Closed, Inspect, PathSource, Peer, Route, RouteFacts, RoutePermissions, RouteSource};
pub use inspect::{Subscription, SubscriptionCounts, Traffic};
use params::{ParamError, Params};
pub use path_history::add_history;
pub use paths::{path_event, peer_info};
use process::ProcessorUse;

use crate::tls::Acceptor;
use crate::transport::tcp;

/// An endpoint.
struct Endpoint {
    /// Its path below the base path, and its name in `http_req_stats`.
    path: &'static str,
    /// Its line on the root page; none when empty.
    title: &'static str,
    answer: fn(&Context, &Params) -> Answer,
}

const ENDPOINTS: &[Endpoint] = &[
    Endpoint { path: "/", title: "", answer: root::root },
    Endpoint { path: "/varz", title: "General", answer: varz::varz },
    Endpoint { path: "/connz", title: "Connections", answer: connz::connz },
    Endpoint { path: "/accountz", title: "Accounts", answer: accountz::accountz },
    Endpoint { path: "/accstatz", title: "Account statistics", answer: accountz::accstatz },
    Endpoint { path: "/routez", title: "Routes", answer: routez::routez },
    Endpoint { path: "/subsz", title: "Subscriptions", answer: subsz::subsz },
    Endpoint { path: "/pathz", title: "SCION paths", answer: pathz::pathz },
    Endpoint { path: "/eventz", title: "Events", answer: eventz::document },
    Endpoint { path: "/ui", title: "Dashboard", answer: ui::ui },
    Endpoint { path: "/healthz", title: "Health", answer: healthz::healthz },
    Endpoint { path: "/metrics", title: "Metrics for Prometheus", answer: metrics::metrics },
    Endpoint { path: "/debug/vars", title: "Process", answer: expvar::vars },
    Endpoint { path: "/stacksz", title: "", answer: stacksz::stacksz },
    Endpoint { path: "/gatewayz", title: "Gateways", answer: gatewayz::gatewayz },
    Endpoint { path: "/leafz", title: "Leaf nodes", answer: leafz::leafz },
    Endpoint { path: "/jsz", title: "", answer: absent::jsz },
    Endpoint { path: "/raftz", title: "", answer: absent::raftz },
    Endpoint { path: "/ipqueuesz", title: "", answer: absent::ipqueuesz },
];

/// Other names of endpoints, and theirs.
const ALIASES: &[(&str, &str)] = &[("/subscriptionsz", "/subsz")];

/// What endpoints know.
struct Context {
    inspect: Arc<dyn Inspect>,
    /// Where monitoring listens.
    host: String,
    /// That port over HTTP, and over HTTPS; 0 where it does not.
    ports: (u16, u16),
    /// In front of every path, without a slash at the end.
    base_path: String,
    /// Requests by endpoint.
    requests: Mutex<BTreeMap<&'static str, u64>>,
    processor_use: Mutex<ProcessorUse>,
    login: Option<Login>,
    /// Held while a hash is compared, so that strangers keep one core busy and no more.
    comparing: Mutex<()>,
    /// Seats for streams of events.
    streams: Arc<Semaphore>,
}

impl Context {
    /// One that nobody asks over HTTP.
    fn new(inspect: Arc<dyn Inspect>) -> Self {
        Self {
            inspect,
            host: String::new(),
            ports: (0, 0),
            base_path: String::new(),
            requests: Mutex::default(),
            processor_use: Mutex::new(ProcessorUse::new(Instant::now())),
            login: None,
            comparing: Mutex::new(()),
            streams: Arc::new(Semaphore::new(eventz::STREAMS)),
        }
    }
}

/// Why monitoring did not start.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The address cannot be bound.
    #[error("monitoring cannot listen on {host}:{port}: {error}; change http, http_port or monitor_port")]
    Listen {
        /// The address.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        error: io::Error,
    },
    /// The base path has characters with a meaning of their own.
    #[error("http_base_path {0:?} must start with '/' and must not contain '{{', '}}', '?', '#', '*' or blanks")]
    BasePath(String),
}

/// Monitoring that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Monitor {
    address: SocketAddr,
    documents: Documents,
    task: JoinHandle<()>,
}

impl Monitor {
    /// Listens on `host:port` (port 0 takes a free one), and answers below `base_path`; over `tls` if there is one, and
    /// to those who know `login` if there is that.
    ///
    /// # Errors
    /// See [`MonitorError`].
    pub async fn start(
        inspect: Arc<dyn Inspect>,
        host: &str,
        port: u16,
        base_path: &str,
        tls: Option<Acceptor>,
        login: Option<Login>,
    ) -> Result<Self, MonitorError> {
        let base_path = valid_base_path(base_path)?;
        let failed = |error| MonitorError::Listen { host: host.to_owned(), port, error };
        let listener = tcp::listen(host, port).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ports = if tls.is_some() { (0, address.port()) } else { (address.port(), 0) };
        let context = Arc::new(Context { host: host.to_owned(), ports, base_path, login, ..Context::new(inspect) });
        let documents = Documents::new(context.clone());
        let router = router(context);
        log::info!("Starting {} monitor on {address}", if tls.is_some() { "https" } else { "http" });
        Ok(Self { address, documents, task: tokio::spawn(http::serve(listener, router, tls)) })
    }

    /// What it tells, for those who do not ask over HTTP.
    pub(crate) fn documents(&self) -> Documents {
        self.documents.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `base_path` without a slash at the end.
fn valid_base_path(base_path: &str) -> Result<String, MonitorError> {
    let base_path = base_path.trim_end_matches('/').to_owned();
    if base_path.contains(['{', '}', '?', '#', '*', ' ']) || !(base_path.is_empty() || base_path.starts_with('/')) {
        return Err(MonitorError::BasePath(base_path));
    }
    Ok(base_path)
}

fn router(context: Arc<Context>) -> Router {
    let base_path = context.base_path.clone();
    let mut router = Router::new().fallback(|| async { Answer::not_found() });
    for endpoint in ENDPOINTS {
        let handler =
            |State(context): State<Arc<Context>>, headers: HeaderMap, query: Result<Pairs, QueryRejection>| {
                serve(endpoint, context, headers, query)
            };
        let names = ALIASES.iter().filter(|(_, of)| *of == endpoint.path).map(|(name, _)| *name);
        for name in names.chain([endpoint.path]) {
            router = match (name, base_path.as_str()) {
                ("/eventz", base) => router.route(&format!("{base}/eventz"), any(eventz::serve)),
                ("/", "") => router.route("/", any(handler)),
                ("/", base) => router.route(base, any(handler)),
                (name, base) => router.route(&format!("{base}{name}"), any(handler)),
            };
        }
    }
    router.with_state(context)
}

/// Counts the request and answers it, away from the threads that carry messages: a document may be large.
async fn serve(
    endpoint: &'static Endpoint,
    context: Arc<Context>,
    headers: HeaderMap,
    query: Result<Pairs, QueryRejection>,
) -> Answer {
    let params = Params(query.map(|Query(pairs)| pairs).unwrap_or_default());
    let answer = tokio::task::spawn_blocking(move || {
        if !context.admits(&headers) {
            return Answer::unauthorized();
        }
        context.count(endpoint.path);
        (endpoint.answer)(&context, &params)
    });
    answer.await.unwrap_or_else(|_| Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n".into()))
}

impl Context {
    fn count(&self, endpoint: &'static str) {
        *self.requests.lock().entry(endpoint).or_default() += 1;
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(login) = &self.login else { return true };
        let _one_at_a_time = login.is_hashed().then(|| self.comparing.lock());
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.is_some_and(|given| login.admits(given))
    }
}

/// Parameters as they come.
type Pairs = Query<Vec<(String, String)>>;

/// What is sent back.
struct Answer {
    status: StatusCode,
    headers: &'static [(HeaderName, &'static str)],
    body: String,
}

const TEXT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");

impl Answer {
    fn json(body: String) -> Self {
        const HEADERS: &[(HeaderName, &str)] =
            &[(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (header::CONTENT_TYPE, "application/json")];
        Self { status: StatusCode::OK, headers: HEADERS, body }
    }

    fn html(body: String) -> Self {
        const HEADERS: &[(HeaderName, &str)] = &[(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        Self { status: StatusCode::OK, headers: HEADERS, body }
    }

    /// A page with a script, which may ask this server and nobody else.
    fn page(body: String) -> Self {
        const HEADERS: &[(HeaderName, &str)] = &[
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            ),
        ];
        Self { status: StatusCode::OK, headers: HEADERS, body }
    }

    fn text(status: StatusCode, body: String) -> Self {
        Self { status, headers: &[TEXT], body }
    }

    fn not_found() -> Self {
        const HEADERS: &[(HeaderName, &str)] = &[TEXT, (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        Self { status: StatusCode::NOT_FOUND, headers: HEADERS, body: "404 page not found\n".into() }
    }

    fn unauthorized() -> Self {
        const HEADERS: &[(HeaderName, &str)] =
            &[TEXT, (header::WWW_AUTHENTICATE, "Basic realm=\"monitoring\", charset=\"UTF-8\"")];
        Self { status: StatusCode::UNAUTHORIZED, headers: HEADERS, body: "401 Unauthorized\n".into() }
    }

    fn refusal(error: ParamError) -> Self {
        Self::text(StatusCode::BAD_REQUEST, error.to_string())
    }

    fn json_or_refusal(body: Result<String, ParamError>) -> Self {
        body.map_or_else(Self::refusal, Self::json)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
