//! Writes the text format.

use std::collections::HashSet;
use std::fmt::{Display, Write};

/// What a number is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It only grows while the server lives.
    Counter,
    /// It comes and goes.
    Gauge,
}

/// A document of families, which all have the label `server_id`.
pub(super) struct Exposition {
    text: String,
    /// `server_id="…"`.
    server: String,
    /// A family must not come twice.
    written: HashSet<String>,
}

impl Exposition {
    pub(super) fn new(server_id: &str) -> Self {
        let mut server = "server_id=\"".to_owned();
        escape(&mut server, server_id, true);
        server.push('"');
        Self { text: String::with_capacity(16 << 10), server, written: HashSet::new() }
    }

    /// Begins a family. What does not belong into a name becomes `_`. Samples of a family that was there already
    /// are left out. Nothing is written until there is a sample.
    pub(super) fn family(&mut self, name: &str, help: &str, kind: Kind) -> Family<'_> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let name: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
        let is_new = self.written.insert(name.clone());
        let mut head = format!("# HELP {name} ");
        escape(&mut head, help, false);
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(head, "\n# TYPE {name} {kind}");
        Family { out: self, name, head: is_new.then_some(head), is_new, samples: HashSet::new() }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// The samples of one name.
pub(super) struct Family<'a> {
    out: &'a mut Exposition,
    name: String,
    /// Until the first sample.
    head: Option<String>,
    is_new: bool,
    /// Labels of the samples so far.
    samples: HashSet<String>,
}

impl Family<'_> {
    /// Adds a sample, unless there is one with these labels. The names of labels must be names; their values may be
    /// anything.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let mut written = self.out.server.clone();
        for (label, value) in labels {
            let _ = write!(written, ",{label}=\"");
            escape(&mut written, value, true);
            written.push('"');
        }
        if self.is_new && !self.samples.contains(&written) {
            self.out.text.push_str(&self.head.take().unwrap_or_default());
            let _ = writeln!(self.out.text, "{}{{{written}}} {value}", self.name);
            self.samples.insert(written);
        }
    }
}

/// `text` on one line; as the value of a label if `quoted`.
fn escape(out: &mut String, text: &str, quoted: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quoted => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_labels_and_names_stays_in_its_place() {
        let mut out = Exposition::new("N\"1\\");
        let mut family = out.family("a b/c", "help \\ \"of\"\nit", Kind::Counter);
        family.sample(&[("value", "x\"} 9\ny\\")], 1.5);
        family.sample(&[("value", "x\"} 9\ny\\")], 2);
        out.family("none", "no samples", Kind::Gauge);
        out.family("a_b_c", "again", Kind::Gauge).sample(&[], 2);
        let expected = "# HELP a_b_c help \\\\ \"of\"\\nit\n# TYPE a_b_c counter\n\
                        a_b_c{server_id=\"N\\\"1\\\\\",value=\"x\\\"} 9\\ny\\\\\"} 1.5\n";
        assert_eq!(out.finish(), expected);
    }
}
