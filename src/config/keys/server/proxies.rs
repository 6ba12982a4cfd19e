//! `proxies {}`.

use natsd_auth::Proxies;

use super::Draft;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

pub(super) const PROXIES: Key<Draft> = Key {
    names: &["proxies"],
    takes: "{ trusted: [{ key }, …] }",
    default: "none",
    doc: "Public nkeys of proxies that vouch for clients behind them: such a proxy adds `proxy_sig` to `CONNECT`, its signature of \
          the `nonce` in `INFO`. Who comes with another one is sent away.",
    read: |draft, field| {
        field.map(KEYS, &[], &mut draft.options.proxies)?;
        Ok(())
    },
};

const KEYS: &[Key<Proxies>] = &[Key {
    names: &["trusted"],
    takes: "",
    default: "",
    doc: "",
    read: |proxies, field| {
        let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
        let keys = field.items(items, proxy)?.into_iter().flat_map(|proxy| proxy.keys().to_vec()).collect();
        *proxies = Proxies::new(keys)?;
        Ok(())
    },
}];

/// One of them, checked where it stands.
fn proxy(field: &mut Field<'_>) -> Result<Proxies, ValueError> {
    let mut key = None;
    field.map(PROXY, &[], &mut key)?;
    Ok(Proxies::new(vec![key.ok_or(ValueError::Missing("key"))?])?)
}

const PROXY: &[Key<Option<String>>] = &[Key {
    names: &["key", "public_key"],
    takes: "",
    default: "",
    doc: "",
    read: |key, field| field.text().map(|text| *key = Some(text.to_owned())),
}];
