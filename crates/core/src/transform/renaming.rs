//! Renamings: what is one subject in an account is another one in an account that imports it.

use super::{Transform, TransformError};
use crate::subject;

/// Which subjects of an importing account stand for which of the exporting one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    foreign: Box<[u8]>,
    local: Box<[u8]>,
    /// Both ways; without, the subjects are the same, or `foreign` is a single one.
    transforms: Option<Box<(Transform, Transform)>>,
}

impl Renaming {
    /// `foreign` is the subject in the exporting account; `local`, the one in the importing account, has each wildcard of
    /// `foreign` once: as `*` in the same order, or as `$1`, `$2` and so on in any.
    ///
    /// # Errors
    ///
    /// If either is not a subject, or the wildcards do not correspond.
    pub fn new(foreign: &str, local: &str) -> Result<Self, TransformError> {
        if !subject::is_valid(foreign.as_bytes()) || foreign.contains(char::is_whitespace) {
            return Err(TransformError::Source(foreign.to_owned()));
        }
        let places = places(local);
        let pattern = with_wildcards(local);
        if !subject::is_valid(pattern.as_bytes()) || pattern.contains(char::is_whitespace) {
            return Err(TransformError::Source(local.to_owned()));
        }
        let same = foreign == local || !subject::has_wildcard(foreign.as_bytes());
        let transforms = if same { None } else { Some(Box::new(both_ways(foreign, local, &pattern, &places)?)) };
        Ok(Self { foreign: foreign.as_bytes().into(), local: pattern.into_bytes().into(), transforms })
    }

    /// The subject in the exporting account, with wildcards.
    pub fn foreign(&self) -> &[u8] {
        &self.foreign
    }

    /// The subject in the importing account, with wildcards.
    pub fn local(&self) -> &[u8] {
        &self.local
    }

    /// Writes what `subject` of the exporting account is called in the importing one. `false` if it is not imported.
    pub fn to_local(&self, subject: &[u8], out: &mut Vec<u8>) -> bool {
        let to_local = self.transforms.as_ref().map(|transforms| &transforms.0);
        rename(&self.foreign, &self.local, to_local, subject, out)
    }

    /// Writes what `subject` of the importing account is called in the exporting one. `false` if it is not imported.
    pub fn to_foreign(&self, subject: &[u8], out: &mut Vec<u8>) -> bool {
        if self.transforms.is_none() && !subject::has_wildcard(&self.foreign) {
            out.extend_from_slice(&self.foreign);
            return true;
        }
        let to_foreign = self.transforms.as_ref().map(|transforms| &transforms.1);
        rename(&self.local, &self.foreign, to_foreign, subject, out)
    }

    /// What one who subscribes to `pattern` in the importing account gets of the exporting one, if anything.
    pub fn foreign_part(&self, pattern: &[u8]) -> Option<Vec<u8>> {
        let common = subject::intersection(pattern, &self.local)?;
        let mut foreign = Vec::new();
        self.to_foreign(&common, &mut foreign).then_some(foreign)
    }
}

/// Without a transform, `from` and `to` are the same pattern, or single subjects.
fn rename(from: &[u8], to: &[u8], transform: Option<&Transform>, subject: &[u8], out: &mut Vec<u8>) -> bool {
    match transform {
        Some(transform) => transform.apply(subject, &mut |_| 0, out),
        None if !subject::matches(from, subject) => false,
        None => {
            let same = subject::has_wildcard(to);
            out.extend_from_slice(if same { subject } else { to });
            true
        }
    }
}

/// Which wildcard of the other subject, from 0 on, each wildcard token of `local` stands for.
fn places(local: &str) -> Vec<usize> {
    let mut stars = 0;
    let mut place = |token: &str| match token {
        "*" => {
            stars += 1;
            Some(stars - 1)
        }
        _ => numbered(token).map(|number| number.wrapping_sub(1)),
    };
    local.split('.').filter_map(&mut place).collect()
}

fn numbered(token: &str) -> Option<usize> {
    let call = token.strip_prefix("{{").and_then(|call| call.strip_suffix("}}")).map(str::trim);
    let argument = call.and_then(|call| {
        let (name, rest) = call.split_at_checked("wildcard(".len())?;
        rest.strip_suffix(')').filter(|_| name.eq_ignore_ascii_case("wildcard("))
    });
    argument.map(str::trim).or_else(|| token.strip_prefix('$'))?.parse().ok()
}

fn with_wildcards(local: &str) -> String {
    let pattern: Vec<_> = local.split('.').map(|token| if numbered(token).is_some() { "*" } else { token }).collect();
    pattern.join(".")
}

fn both_ways(
    foreign: &str,
    local: &str,
    pattern: &str,
    places: &[usize],
) -> Result<(Transform, Transform), TransformError> {
    let stars = foreign.split('.').filter(|token| *token == "*").count();
    let mut sorted = places.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..stars) {
        return Err(TransformError::Wildcards { foreign: foreign.to_owned(), local: local.to_owned() });
    }
    let mut at = places.iter();
    let to_local = replace_stars(pattern, || at.next().map_or(0, |place| place + 1));
    let mut next = 0;
    let to_foreign = replace_stars(foreign, || {
        next += 1;
        places.iter().position(|place| place + 1 == next).map_or(0, |at| at + 1)
    });
    Ok((Transform::new(foreign, &to_local)?, Transform::new(pattern, &to_foreign)?))
}

fn replace_stars(pattern: &str, mut number: impl FnMut() -> usize) -> String {
    let tokens: Vec<_> = pattern
        .split('.')
        .map(|token| if token == "*" { format!("${}", number()) } else { token.to_owned() })
        .collect();
    tokens.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renaming(foreign: &str, local: &str) -> Renaming {
        Renaming::new(foreign, local).unwrap_or_else(|error| panic!("{foreign} {local}: {error}"))
    }

    fn text(written: bool, out: Vec<u8>) -> Option<String> {
        written.then(|| String::from_utf8(out).unwrap())
    }

    fn to_local(renaming: &Renaming, subject: &str) -> Option<String> {
        let mut out = Vec::new();
        text(renaming.to_local(subject.as_bytes(), &mut out), out)
    }

    fn to_foreign(renaming: &Renaming, subject: &str) -> Option<String> {
        let mut out = Vec::new();
        text(renaming.to_foreign(subject.as_bytes(), &mut out), out)
    }

    #[test]
    fn subjects_are_renamed_both_ways() {
        for (foreign, local, there, here) in [
            ("a.b", "x.y", "a.b", "x.y"),
            ("a.*", "a.*", "a.1", "a.1"),
            ("a.>", "pre.a.>", "a.1.2", "pre.a.1.2"),
            ("a.*.*", "x.$2.$1", "a.1.2", "x.2.1"),
            ("a.*.*", "x.{{wildcard(2)}}.y.{{ wildcard(1) }}", "a.1.2", "x.2.y.1"),
            ("a.*.b.*", "*.c.*", "a.1.b.2", "1.c.2"),
            (">", "in.>", "a", "in.a"),
        ] {
            let renaming = renaming(foreign, local);
            assert_eq!(to_local(&renaming, there).as_deref(), Some(here), "{foreign} {local}");
            assert_eq!(to_foreign(&renaming, here).as_deref(), Some(there), "{foreign} {local}");
        }
        let narrow = renaming("a.*", "b.*");
        assert_eq!(to_local(&narrow, "c.1"), None);
        assert_eq!(to_foreign(&narrow, "a.1"), None);
    }

    #[test]
    fn a_single_subject_may_stand_for_many() {
        let renaming = renaming("service", "any.*");
        assert_eq!(to_foreign(&renaming, "any.1").as_deref(), Some("service"));
    }

    #[test]
    fn a_subscription_gets_the_part_that_both_name() {
        for (foreign, local, pattern, expected) in [
            ("a.>", "a.>", "a.b", Some("a.b")),
            ("a.>", "a.>", ">", Some("a.>")),
            ("a.*", "x.*", "x.*", Some("a.*")),
            ("a.*", "x.*", "x.1", Some("a.1")),
            ("a.*", "x.*", "*.1", Some("a.1")),
            ("a.*", "x.*", ">", Some("a.*")),
            ("a.*.*", "x.$2.$1", "x.1.*", Some("a.*.1")),
            ("a.*", "x.*", "y.*", None),
            ("a", "b", ">", Some("a")),
            ("a", "b", "a", None),
        ] {
            let part = renaming(foreign, local).foreign_part(pattern.as_bytes());
            let part = part.map(|part| String::from_utf8(part).unwrap());
            assert_eq!(part.as_deref(), expected, "{foreign} {local} {pattern}");
        }
    }

    #[test]
    fn wildcards_have_to_correspond() {
        for (foreign, local) in [
            ("a.*", "b"),
            ("a.*.*", "b.*"),
            ("a.*.*", "b.$1.$1"),
            ("a.*", "b.$2"),
            ("a.*", "b.$0"),
            ("a.>", "b.*"),
            ("a.*", "b.>"),
            ("a..b", "c"),
            ("a", "b c"),
            ("", ""),
        ] {
            assert!(Renaming::new(foreign, local).is_err(), "{foreign} {local}");
        }
    }
}
