//! Headers by which tracing systems say that a request is to be measured: Jaeger's, Zipkin's B3, and W3C trace context.

use super::latency::Headers;

/// The headers that ask for it, if they do.
pub(super) fn sampled<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Headers> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut headers = Headers::new();
    for (key, value) in fields {
        headers.entry(canonical(key)).or_default().push(text(value));
    }
    let first = |name: &str| headers.get(name).and_then(|values| values.first()).map(String::as_str);
    let wanted: fn(&str) -> bool = if let Some(id) = first("Uber-Trace-Id") {
        let flags = id.split(':').nth(3).and_then(|flags| u8::from_str_radix(flags, 16).ok());
        flags.filter(|flags| flags & 1 == 1)?;
        |key| key == "Uber-Trace-Id" || key.starts_with("Uberctx-")
    } else if let Some(sampled) = first("X-B3-Sampled") {
        (sampled == "1").then_some(is_b3 as fn(&str) -> bool)?
    } else if first("X-B3-Traceid").is_some() {
        // Whether to sample is left to the one who gets it.
        is_b3
    } else if let Some(b3) = first("B3") {
        let decision = if b3.contains('-') { b3.split('-').nth(2) } else { Some(b3) };
        (decision != Some("0")).then_some(())?;
        |key| key == "B3"
    } else {
        let flags = first("Traceparent")?.split('-').nth(3).and_then(|flags| u8::from_str_radix(flags, 16).ok());
        flags.filter(|flags| flags & 1 == 1)?;
        |key| key == "Traceparent" || key == "Tracestate"
    };
    headers.retain(|key, _| wanted(key));
    Some(headers)
}

fn is_b3(key: &str) -> bool {
    matches!(key, "X-B3-Sampled" | "X-B3-Traceid" | "X-B3-Parentspanid" | "X-B3-Spanid")
}

/// As HTTP writes the names of headers: `Uber-Trace-Id`.
fn canonical(key: &[u8]) -> String {
    let words = key.split(|byte| *byte == b'-').map(|word| {
        let mut word = String::from_utf8_lossy(word).to_ascii_lowercase();
        if let Some(first) = word.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        word
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(fields: &[(&str, &str)]) -> Option<String> {
        let fields = fields.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
        sampled(fields).map(|headers| headers.keys().cloned().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn each_system_has_its_own_way_to_ask() {
        for (fields, expected) in [
            (&[("uber-trace-id", "a:b:c:1"), ("uberctx-x", "1"), ("other", "1")][..], Some("Uber-Trace-Id Uberctx-X")),
            (&[("Uber-Trace-Id", "a:b:c:0")], None),
            (&[("Uber-Trace-Id", "junk")], None),
            (
                &[("X-B3-Sampled", "1"), ("x-b3-traceid", "t"), ("x-b3-spanid", "s")],
                Some("X-B3-Sampled X-B3-Spanid X-B3-Traceid"),
            ),
            (&[("X-B3-Sampled", "0"), ("X-B3-TraceId", "t")], None),
            (&[("X-B3-TraceId", "t")], Some("X-B3-Traceid")),
            (&[("b3", "a-b-1-c")], Some("B3")),
            (&[("b3", "a-b-0-c")], None),
            (&[("b3", "0")], None),
            (&[("traceparent", "00-a-b-01"), ("tracestate", "s")], Some("Traceparent Tracestate")),
            (&[("traceparent", "00-a-b-00")], None),
            (&[("other", "1")], None),
            (&[], None),
        ] {
            assert_eq!(keys(fields).as_deref(), expected, "{fields:?}");
        }
    }
}
