//! Keys of nats-server 2.15 that natsd does not obey yet. They are refused, never ignored: some of them keep people out.

use crate::config::language::Value;

/// At the top level.
pub(super) const SERVER: &[&str] =
    &["default_js_domain", "jetstream", "mqtt", "ocsp", "ocsp_cache", "prof_block_rate", "prof_port"];

/// In an account.
pub(super) const ACCOUNT: &[&str] = &["jetstream"];

/// In `cluster {}`.
pub(super) const CLUSTER: &[&str] = &[];

/// In `remotes` of `leafnodes {}`.
pub(super) const LEAF_REMOTE: &[&str] = &["jetstream_cluster_migrate", "js_cluster_migrate"];

/// In `tls {}`.
pub(super) const TLS: &[&str] =
    &["ca_certs_match", "cert_match", "cert_match_by", "cert_match_skip_invalid", "cert_store", "ocsp_peer"];

/// Why a key is refused, and what to do instead where there is something. `None` for those that are just not there yet.
pub(in crate::config) fn why(key: &str) -> Option<&'static str> {
    Some(match key {
        "jetstream" | "default_js_domain" => "it keeps no streams",
        "jetstream_cluster_migrate" | "js_cluster_migrate" => "it keeps no streams that could move",
        "mqtt" => "it speaks no MQTT",
        "prof_port" | "prof_block_rate" => "it is no Go program; profile it with a tool for native ones, such as perf",
        "ocsp" => "it sends no proof that its certificates are not revoked; let an authority sign short-lived ones",
        "ocsp_peer" | "ocsp_cache" => {
            "it does not ask whether certificates are revoked; pin them, or let them be short-lived"
        }
        "cert_store" | "cert_match" | "cert_match_by" | "cert_match_skip_invalid" | "ca_certs_match" => {
            "the certificate store is one of Windows; name files with cert_file, key_file and ca_file"
        }
        _ => return None,
    })
}

/// Whether a key is refused with every value but this one, which turns off what is not there anyhow.
pub(in crate::config) fn is_off(key: &str, value: &Value) -> bool {
    const SWITCHES: [&str; 4] = ["jetstream", "ocsp", "ocsp_peer", "ocsp_cache"];
    let off = match value {
        Value::Bool(on) => !on,
        Value::Text(text) => ["off", "disabled", "disable", "false"].contains(&text.to_ascii_lowercase().as_str()),
        Value::Int(number) => *number == 0 && ["prof_port", "prof_block_rate"].contains(&key),
        _ => false,
    };
    off && (SWITCHES.contains(&key) || matches!(value, Value::Int(_)))
}
