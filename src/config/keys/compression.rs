//! `compression` of routes and of leaf connections.

use natsd_core::compression::{Level, Mode, Thresholds};

use crate::config::duration;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

const EXPECTED: &str =
    "\"off\", \"accept\", \"s2_auto\", \"s2_fast\", \"s2_better\", \"s2_best\" or \"s2_uncompressed\"";

/// What it is when it is on, and when nothing is said of it.
pub(super) struct Defaults {
    pub(super) on: Mode,
    pub(super) unsaid: Mode,
}

/// `compression {}` while its keys are read.
#[derive(Default)]
struct Draft {
    mode: Option<String>,
    thresholds: Option<Thresholds>,
}

const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["mode"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|mode| draft.mode = Some(mode.to_owned())),
    },
    Key {
        names: &["rtt_thresholds", "thresholds", "rtts", "rtt"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| {
            let Value::List(items) = field.value() else { return Err(field.expected("a list of durations")) };
            let times = field.items(items, |field| Ok(duration::parse(field.text()?)?))?;
            draft.thresholds = Some(Thresholds::new(times)?);
            Ok(())
        },
    },
];

/// A mode, whether there is one, or a map of `mode` and `rtt_thresholds`, which `s2_auto` alone heeds.
pub(super) fn read(field: &mut Field<'_>, defaults: &Defaults) -> Result<Mode, ValueError> {
    match field.value() {
        Value::Bool(true) => Ok(defaults.on.clone()),
        Value::Bool(false) => Ok(Mode::Off),
        Value::Text(text) => mode(text, defaults),
        Value::Map(_) => {
            let mut draft = Draft::default();
            if !field.map(KEYS, &[], &mut draft)? {
                return Ok(Mode::Off);
            }
            let mode = draft.mode.map_or(Ok(defaults.unsaid.clone()), |text| mode(&text, defaults))?;
            Ok(match (mode, draft.thresholds) {
                (Mode::Auto(_), Some(thresholds)) => Mode::Auto(thresholds),
                (mode, _) => mode,
            })
        }
        _ => Err(field.expected("a mode, true, false, or a map of mode and rtt_thresholds")),
    }
}

fn mode(text: &str, defaults: &Defaults) -> Result<Mode, ValueError> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "on" | "enabled" | "true" => defaults.on.clone(),
        "not supported" | "not_supported" => Mode::Unsupported,
        "off" | "disabled" | "false" => Mode::Off,
        "accept" => Mode::Accept,
        "auto" | "s2_auto" => Mode::Auto(Thresholds::default()),
        "uncompressed" | "s2_uncompressed" => Mode::Always(Level::Uncompressed),
        "fast" | "s2_fast" => Mode::Always(Level::Fast),
        "better" | "s2_better" => Mode::Always(Level::Better),
        "best" | "s2_best" => Mode::Always(Level::Best),
        _ => return Err(ValueError::Word { found: text.to_owned(), expected: EXPECTED }),
    })
}
