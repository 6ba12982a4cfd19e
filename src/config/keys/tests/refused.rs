//! What is refused, and why.

use super::*;

#[test]
fn every_key_of_nats_server_is_obeyed_or_refused_by_name() {
    for key in unsupported::SERVER {
        let errors = loaded(&format!("{key}: true")).expect_err(key).to_string();
        assert!(errors.contains(&format!("{key} is not supported by this version of natsd")), "{errors}");
    }
    let known = |keys: &[&str], key: &&str| keys.contains(key);
    assert!(server::KEYS.iter().flat_map(|key| key.names).all(|name| !known(unsupported::SERVER, name)));
    assert!(tls::KEYS.iter().flat_map(|key| key.names).all(|name| !known(unsupported::TLS, name)));
    assert!(cluster::KEYS.iter().flat_map(|key| key.names).all(|name| !known(unsupported::CLUSTER, name)));
    for key in unsupported::LEAF_REMOTE {
        let errors = loaded(&format!("leafnodes {{ remotes: [{{ url: \"nats-leaf://h\", {key}: true }}] }}"));
        let errors = errors.expect_err(key).to_string();
        assert!(errors.contains(&format!("{key} is not supported by this version of natsd")), "{errors}");
    }
}

#[test]
fn what_is_off_anyhow_may_be_turned_off() {
    options("jetstream: false\nprof_port: 0\nocsp: false\nocsp_cache: false");
    options("jetstream: disabled");
    for (text, reason) in [
        ("jetstream: enabled", "natsd: it keeps no streams; remove it"),
        ("jetstream {}", "it keeps no streams"),
        ("prof_port: 6060", "profile it with a tool for native ones"),
        ("ocsp { mode: always }", "let an authority sign short-lived ones"),
        ("tls { cert_store: WindowsCurrentUser }", "the certificate store is one of Windows"),
    ] {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.contains(reason), "{text}: {errors}");
    }
}

#[test]
fn the_documentation_says_what_is_refused() {
    let docs = std::fs::read_to_string(repository().join("docs/configuration.md")).expect("docs/configuration.md");
    let blocks = [
        ("", unsupported::SERVER),
        ("an account: ", unsupported::ACCOUNT),
        ("`cluster {}`: ", unsupported::CLUSTER),
        ("`remotes` of `leafnodes {}`: ", unsupported::LEAF_REMOTE),
        ("`tls {}`: ", unsupported::TLS),
    ];
    let rows = blocks.into_iter().flat_map(|(block, keys)| {
        let why = |key: &&'static str| unsupported::why(key).map(|why| (*key, why));
        keys.iter().filter_map(why).map(move |(key, why)| format!("| {block}`{key}` | {why} |\n"))
    });
    let table: String = rows.collect();
    assert!(docs.contains(&table), "docs/configuration.md should contain:\n{table}");
}
