//! Keys of nats-server 2.15 that natsd does not obey yet. They are refused, never ignored: some of them keep people out.

/// At the top level.
pub(super) const SERVER: &[&str] = &[
    "default_js_domain",
    "feature_flags",
    "gateway",
    "jetstream",
    "leaf",
    "leafnodes",
    "mqtt",
    "ocsp",
    "ocsp_cache",
    "prof_block_rate",
    "prof_port",
    "proxies",
    "store_dir",
    "storedir",
];

/// In an account.
pub(super) const ACCOUNT: &[&str] = &["jetstream"];

/// In `limits {}` of an account.
pub(super) const ACCOUNT_LIMITS: &[&str] = &["max_leafnodes", "max_leafs"];

/// In `cluster {}`.
pub(super) const CLUSTER: &[&str] = &["accounts", "compression"];

/// In `authorization {}`.
pub(super) const AUTHORIZATION: &[&str] = &["proxy_required"];

/// In a user.
pub(super) const USER: &[&str] = &["proxy_required"];

/// In `tls {}`.
pub(super) const TLS: &[&str] = &[
    "allow_insecure_cipher_suites",
    "ca_certs_match",
    "cert_match",
    "cert_match_by",
    "cert_match_skip_invalid",
    "cert_store",
    "ocsp_peer",
    "verify_cert_and_check_known_urls",
];
