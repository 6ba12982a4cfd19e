//! `/debug/vars`: the process, as Go's expvar tells it.

use std::ffi::OsString;

use axum::http::{HeaderName, StatusCode, header};
use natsd_api::to_compact_json;
use serde::Serialize;

use super::process::private_memory;
use super::{Answer, Context, Params};

/// Flags whose value lets somebody in. Written with one dash or two.
const SECRET_FLAGS: [&str; 4] = ["pass", "auth", "user", "routes"];
const REDACTED: &str = "[REDACTED]";

/// What there is without Go's runtime: memory of the process, and that nothing is ever collected.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Memory {
    sys: u64,
    pause_total_ns: u64,
    #[serde(rename = "NumGC")]
    num_gc: u32,
    #[serde(rename = "EnableGC")]
    enable_gc: bool,
}

/// `cmdline` without secrets, and `memstats`.
pub(super) fn vars(_: &Context, _: &Params) -> Answer {
    const HEADERS: &[(HeaderName, &str)] = &[(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    let cmdline = to_compact_json(&without_secrets(std::env::args_os()));
    let memory = Memory { sys: private_memory(), pause_total_ns: 0, num_gc: 0, enable_gc: false };
    let body = format!("{{\n\"cmdline\": {cmdline},\n\"memstats\": {}\n}}\n", to_compact_json(&memory));
    Answer { status: StatusCode::OK, headers: HEADERS, body }
}

fn without_secrets(args: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut value_is_secret = false;
    args.map(|arg| {
        let arg = arg.to_string_lossy();
        if std::mem::take(&mut value_is_secret) {
            return REDACTED.to_owned();
        }
        let (flag, value) = arg.split_once('=').map_or((&*arg, None), |(flag, value)| (flag, Some(value)));
        if !flag.starts_with('-') || !SECRET_FLAGS.contains(&flag.trim_start_matches('-')) {
            return arg.into_owned();
        }
        value_is_secret = value.is_none();
        if value.is_some() { format!("{flag}={REDACTED}") } else { flag.to_owned() }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_told_without_what_lets_people_in() {
        let args = "natsd -m 8222 --user me --pass=x=y -auth t --routes nats://u:p@h:1 -c auth.conf --pass";
        let told = without_secrets(args.split(' ').map(OsString::from)).join(" ");
        let expected = "natsd -m 8222 --user [REDACTED] --pass=[REDACTED] -auth [REDACTED] --routes [REDACTED] \
                        -c auth.conf --pass";
        assert_eq!(told, expected);
    }
}
