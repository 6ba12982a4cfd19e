//! nats-server writes long flags with one dash, `-cluster_name c1`, and takes any flag with one or two.

use std::ffi::OsString;

/// Flags that stand for several others, or for one of another name.
const COMBINED: &[(&str, &[&str])] = &[
    ("DV", &["--debug", "--trace"]),
    ("VV", &["--trace", "--trace_verbose"]),
    ("DVV", &["--debug", "--trace", "--trace_verbose"]),
    ("sl", &["--signal"]),
    ("sd", &["--store_dir"]),
    ("js", &["--jetstream"]),
];

/// Rewrites `-long` to `--long` and `--s` to `-s` for the flags of `command`, up to the first `--`.
///
/// What is not a flag of it stays as it is, for an error message that shows what was written.
pub(super) fn normalise(args: impl IntoIterator<Item = OsString>, command: &clap::Command) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut normal: Vec<OsString> = args.by_ref().take(1).collect();
    for arg in args.by_ref() {
        if arg == "--" {
            normal.push(arg);
            break;
        }
        match arg.to_str() {
            Some(text) => normal.extend(rewrite(text, command).into_iter().map(OsString::from)),
            None => normal.push(arg),
        }
    }
    normal.extend(args);
    normal
}

fn rewrite(arg: &str, command: &clap::Command) -> Vec<String> {
    let (flag, value) = match arg.split_once('=') {
        Some((flag, value)) => (flag, format!("={value}")),
        None => (arg, String::new()),
    };
    let name = flag.trim_start_matches('-');
    let dashes = flag.len() - name.len();
    if let (1 | 2, Some((_, flags))) = (dashes, COMBINED.iter().find(|(combined, _)| *combined == name)) {
        return flags.iter().map(|flag| format!("{flag}{value}")).collect();
    }
    let long = |arg: &clap::Arg| arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name));
    let short = |arg: &clap::Arg| arg.get_short().is_some_and(|short| name == short.to_string());
    let dashes = match dashes {
        1 if name.len() > 1 && command.get_arguments().any(long) => "--",
        2 if name.len() == 1 && command.get_arguments().any(short) => "-",
        _ => return vec![arg.to_owned()],
    };
    vec![format!("{dashes}{name}{value}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn normal(args: &str) -> String {
        let args = args.split(' ').map(OsString::from);
        let command = super::super::args::Cli::command();
        let normal = normalise(args, &command);
        normal.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_or_two_dashes_make_no_difference() {
        for (written, normalised) in [
            ("natsd -cluster_name c1 -p 4222", "natsd --cluster_name c1 -p 4222"),
            ("natsd -addr=127.0.0.1 -logtime=false", "natsd --addr=127.0.0.1 --logtime=false"),
            ("natsd -net 127.0.0.1 -server_name s", "natsd --net 127.0.0.1 --server_name s"),
            ("natsd --p 4222 --D=false", "natsd -p 4222 -D=false"),
            ("natsd -DV -c x.conf", "natsd --debug --trace -c x.conf"),
            ("natsd -DV=false", "natsd --debug=false --trace=false"),
            ("natsd -VV", "natsd --trace --trace_verbose"),
            ("natsd --DVV=true", "natsd --debug=true --trace=true --trace_verbose=true"),
            ("natsd -sl quit=12", "natsd --signal quit=12"),
            ("natsd -js -sd /tmp/x", "natsd --jetstream --store_dir /tmp/x"),
            ("natsd -profile 6060", "natsd --profile 6060"),
        ] {
            assert_eq!(normal(written), normalised);
        }
    }

    #[test]
    fn values_and_unknown_flags_stay_as_written() {
        for written in ["natsd -p -1", "natsd -bogus", "natsd --bogus=1", "natsd -- -DV -net", "-DV"] {
            assert_eq!(normal(written), written);
        }
    }
}
