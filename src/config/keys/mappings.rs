//! `mappings {}`: subjects that become others when they are published.

use natsd_core::transform::{Destination, Mapping, Mappings, Transform, WHOLE};

use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

/// One destination of a mapping while its keys are read.
#[derive(Default)]
pub struct Draft {
    destination: Option<String>,
    weight: Option<u8>,
    cluster: Option<String>,
}

/// The keys of one destination.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["destination", "dest"],
        takes: "subject",
        default: "",
        doc: "What the subject becomes.",
        read: |draft, field| field.text().map(|subject| draft.destination = Some(subject.to_owned())),
    },
    Key {
        names: &["weight"],
        takes: "integer or \"30%\"",
        default: "",
        doc: "Percents of the messages. What is left to 100 keeps its subject.",
        read: |draft, field| weight(field).map(|weight| draft.weight = Some(weight)),
    },
    Key {
        names: &["cluster"],
        takes: "string",
        default: "all",
        doc: "Only in the cluster of this name; there, destinations without a cluster do not count.",
        read: |draft, field| field.name().map(|name| draft.cluster = Some(name)),
    },
];

/// The value of `mappings`.
pub(super) fn read(field: &mut Field<'_>) -> Result<Mappings, ValueError> {
    field.entries(mapping).map(Mappings::new)
}

fn mapping(source: &str, field: &mut Field<'_>) -> Result<Mapping, ValueError> {
    let destinations = match field.value() {
        Value::Text(to) => vec![Destination { transform: transform(source, to)?, weight: WHOLE, cluster: None }],
        Value::Map(_) | Value::List(_) => field.each(|entry| destination(source, entry))?,
        _ => return Err(field.expected("a subject, or a list of destinations with weights")),
    };
    Ok(Mapping::new(source, destinations)?)
}

fn destination(source: &str, field: &mut Field<'_>) -> Result<Destination, ValueError> {
    let mut draft = Draft::default();
    field.map(KEYS, &[], &mut draft)?;
    let to = draft.destination.ok_or(ValueError::Missing("destination"))?;
    let weight = draft.weight.ok_or(ValueError::Missing("weight"))?;
    Ok(Destination { transform: transform(source, &to)?, weight, cluster: draft.cluster })
}

fn transform(source: &str, to: &str) -> Result<Transform, ValueError> {
    Transform::new(source, to).map_err(|error| ValueError::Mapping(error.into()))
}

fn weight(field: &mut Field<'_>) -> Result<u8, ValueError> {
    let Value::Text(text) = field.value() else { return field.integer_in(0..=WHOLE.into()) };
    let number = text.trim().trim_end_matches('%').trim_end().parse().ok().filter(|weight| *weight <= WHOLE);
    number.ok_or_else(|| ValueError::Word {
        found: text.clone(),
        expected: "a number from 0 to 100, such as 30 or \"30%\"",
    })
}
