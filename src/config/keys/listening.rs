//! `listen`, or `host` and `port` in its place.

use crate::config::error::ValueError;
use crate::config::options::Listen;

/// Takes `host` and `port` of a block for its `listen`, if they are there.
pub(super) fn listen_at(listen: &mut Vec<Listen>, host: Option<String>, port: Option<u16>) -> Result<(), ValueError> {
    match (host, port) {
        (None, None) => {}
        _ if !listen.is_empty() => return Err(ValueError::ListenTwice),
        (Some(_), None) => return Err(ValueError::PortMissing),
        (host, Some(port)) => *listen = vec![Listen::Tcp { host: host.unwrap_or_else(|| "0.0.0.0".into()), port }],
    }
    Ok(())
}
