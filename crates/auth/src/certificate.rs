//! Users by the names in their certificates (`verify_and_map`).

/// The names in the certificate that a client showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Mail addresses among the alternative names.
    pub emails: Vec<String>,
    /// Host names among them.
    pub dns: Vec<String>,
    /// URIs among them.
    pub uris: Vec<String>,
    /// The subject.
    pub subject: DistinguishedName,
}

impl CertificateNames {
    /// Whether one of the names is `user`, or the subject is, whatever the order of its parts.
    pub fn are_of(&self, user: &str) -> bool {
        let mut alternatives = self.emails.iter().chain(&self.dns).chain(&self.uris);
        !user.is_empty()
            && (alternatives.any(|name| name == user)
                || DistinguishedName::parse(user).is_some_and(|subject| subject == self.subject))
    }

    /// Whether one of the host names is one of `hosts`. It may begin with `*`, for one label.
    pub fn are_of_any(&self, hosts: &[String]) -> bool {
        self.dns.iter().any(|name| hosts.iter().any(|host| is_host(&name.to_lowercase(), &host.to_lowercase())))
    }
}

fn is_host(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(first, above)| !first.is_empty() && above == rest),
        None => name == host,
    }
}

/// What a listener knows of the certificate of a client.
#[derive(Clone, Copy, Debug)]
pub enum Certificate<'a> {
    /// It does not matter there.
    NotAsked,
    /// It says who the client is; `None` if there is none.
    Decides(Option<&'a CertificateNames>),
}

/// A distinguished name: its relative names, each of one or more attributes with their values. Equal whatever the order of
/// either, as in nats-server.
#[derive(Clone, Debug, Default)]
pub struct DistinguishedName(Vec<Vec<(String, String)>>);

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Eq for DistinguishedName {}

impl DistinguishedName {
    /// One of these relative names. The case of attributes such as `CN` does not matter.
    pub fn new(relative: Vec<Vec<(String, String)>>) -> Self {
        let upper = |(attribute, value): (String, String)| (attribute.to_ascii_uppercase(), value);
        Self(relative.into_iter().map(|attributes| attributes.into_iter().map(upper).collect()).collect())
    }

    /// Reads `CN=name,OU=unit` as RFC 4514 has it. `None` if it is not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut relative = vec![Vec::new()];
        let mut rest = text;
        loop {
            let (attribute, after) = rest.split_once('=')?;
            let (value, separator, after) = read_value(after)?;
            let attribute = attribute.trim();
            if attribute.is_empty() || attribute.contains([',', '+', '\\', '"']) {
                return None;
            }
            relative.last_mut()?.push((attribute.to_owned(), value));
            match separator {
                None => return Some(Self::new(relative)),
                Some('+') => {}
                Some(_) => relative.push(Vec::new()),
            }
            rest = after;
        }
    }

    /// Whether it has no name at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sorted(&self) -> Vec<Vec<&(String, String)>> {
        let mut relative: Vec<Vec<&(String, String)>> = self
            .0
            .iter()
            .map(|attributes| {
                let mut attributes: Vec<_> = attributes.iter().collect();
                attributes.sort_unstable();
                attributes
            })
            .collect();
        relative.sort_unstable();
        relative
    }
}

/// The value at the front of `text`, without escapes and the blanks around it, what ends it, and what follows.
fn read_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let mut value = Vec::new();
    // Blanks at the end count only if they are escaped.
    let mut kept = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | ';' | '+' => {
                value.truncate(kept);
                return Some((String::from_utf8(value).ok()?, Some(c), &text[at + 1..]));
            }
            '\\' => {
                let (at, escaped) = chars.next()?;
                match text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    Some(byte) => {
                        chars.next();
                        value.push(byte);
                    }
                    None => value.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                kept = value.len();
            }
            ' ' if value.is_empty() => {}
            _ => {
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                if c != ' ' {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    Some((String::from_utf8(value).ok()?, None, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(relative: &[&[(&str, &str)]]) -> DistinguishedName {
        let own = |attributes: &&[(&str, &str)]| {
            attributes.iter().map(|(attribute, value)| ((*attribute).to_owned(), (*value).to_owned())).collect()
        };
        DistinguishedName::new(relative.iter().map(own).collect())
    }

    #[test]
    fn names_are_read_with_their_escapes() {
        for (text, expected) in [
            ("CN=a", name(&[&[("CN", "a")]])),
            ("cn = a b , OU= c ", name(&[&[("CN", "a b")], &[("OU", "c")]])),
            ("CN=a+OU=b,O=c", name(&[&[("CN", "a"), ("OU", "b")], &[("O", "c")]])),
            (r"CN=a\, b,O=c\2bd\ ", name(&[&[("CN", "a, b")], &[("O", "c+d ")]])),
            (r"CN=\c3\a9", name(&[&[("CN", "é")]])),
            ("CN=", name(&[&[("CN", "")]])),
        ] {
            assert_eq!(DistinguishedName::parse(text), Some(expected), "{text}");
        }
        for malformed in ["", "a", "=a", "CN=a,", "CN=a,b", r"CN=a\", r"CN=\ff"] {
            assert_eq!(DistinguishedName::parse(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn order_does_not_matter_but_everything_else_does() {
        let one = DistinguishedName::parse("CN=a,OU=b,OU=c");
        assert_eq!(one, DistinguishedName::parse("OU=c,CN=a,OU=b"));
        for other in ["CN=a,OU=b", "CN=a,OU=b,OU=b", "CN=A,OU=b,OU=c", "CN=a+OU=b,OU=c"] {
            assert_ne!(one, DistinguishedName::parse(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[A-Za-z=,+;\\\\ é0-9\"]{0,20}") {
            let _ = DistinguishedName::parse(&text);
        }
    }

    #[test]
    fn certificates_are_of_users_and_hosts() {
        let names = CertificateNames {
            emails: vec!["ops@example.org".into()],
            dns: vec!["A.example.org".into(), "*.mesh.example.org".into()],
            uris: vec!["spiffe://x".into()],
            subject: DistinguishedName::parse("CN=server,OU=mesh").unwrap(),
        };
        for user in ["ops@example.org", "A.example.org", "spiffe://x", "OU=mesh,CN=server"] {
            assert!(names.are_of(user), "{user}");
        }
        for user in ["", "a", "CN=server", "*"] {
            assert!(!names.are_of(user), "{user}");
        }
        let of = |host: &str| names.are_of_any(&[host.to_owned()]);
        assert!(of("a.example.org") && of("x.mesh.example.org") && of("X.MESH.example.org"));
        assert!(!of("mesh.example.org") && !of("x.y.mesh.example.org") && !of("b.example.org") && !of(""));
        assert!(!names.are_of_any(&[]));
    }
}
