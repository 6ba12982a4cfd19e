//! Rules as two servers tell each other: a line each, its parts apart by tabs. They mean the paths from who tells them to who is told.

use std::fmt::Write as _;

use super::rule::Rule;
use super::{Acl, Policy, Rules};
use crate::Candidate;

/// The most rules, and parts of one.
const MOST: usize = 256;

/// Why a text is no list of rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToldError {
    /// There are too many.
    #[error("there are more than {MOST} rules, or parts of a rule")]
    TooMany,
    /// A line is no rule that this version knows.
    #[error("{line:?} is no rule: {why}")]
    Line {
        /// The line, cut at 64 characters.
        line: String,
        /// What is wrong.
        why: String,
    },
}

impl Rules {
    /// The rules that no path may break, for the other end; empty if there are none.
    pub fn tell(&self) -> String {
        let mut text = String::new();
        let lines = self.strict.iter().filter(|rule| !matches!(rule, Rule::OfPeer(_)));
        lines.for_each(|rule| line(&mut text, rule.word(), rule.parts()));
        if let Some(tcp) = self.tcp {
            line(&mut text, "tcp", [tcp.to_string()]);
        }
        text
    }

    /// What the other end has told.
    ///
    /// # Errors
    ///
    /// When there is a line that is no rule; none of the others is to be believed then.
    pub fn told(text: &str) -> Result<Self, ToldError> {
        let mut rules = Self::default();
        for (count, line) in text.lines().enumerate() {
            let mut words = line.split('\t');
            let word = words.next().unwrap_or_default();
            let parts: Vec<&str> = words.take(MOST + 1).collect();
            if count >= MOST || parts.len() > MOST {
                return Err(ToldError::TooMany);
            }
            let bad = |why: String| ToldError::Line { line: line.chars().take(64).collect(), why };
            match (word, &parts[..]) {
                ("tcp", ["true"]) => rules.tcp = Some(true),
                ("tcp", ["false"]) => rules.tcp = Some(false),
                _ => rules.strict.push(rule(word, &parts).map_err(bad)?),
            }
        }
        Ok(rules)
    }

    /// Of these, which the other end has told, what `own` rules do not say already.
    pub fn beyond(&self, own: &Self) -> Self {
        let said = |rule: &&Rule| rule.is_the_same_back() && own.strict.contains(rule);
        let strict: Vec<_> = self.strict.iter().filter(|rule| !said(rule)).cloned().collect();
        let tcp = match (self.allow_tcp(), own.allow_tcp()) {
            (false, true) => Some(false),
            (true, _) if !strict.is_empty() => Some(true),
            _ => None,
        };
        Self { strict, tcp, ..Self::default() }
    }

    fn allow_tcp(&self) -> bool {
        self.tcp.unwrap_or(!self.is_strict())
    }

    fn allow_one_of(&self, paths: &[Candidate]) -> bool {
        paths.iter().any(|path| self.exclusion(path).is_none())
    }
}

impl Policy {
    /// As this one, where paths keep what the other end has told as well; `None` if none of `paths` does, though some keep
    /// what is wanted here.
    pub fn agreed(&self, told: &Rules, paths: &[Candidate]) -> Option<Self> {
        let mut both = self.clone();
        both.rules.strict.extend(told.strict.iter().map(|rule| Rule::OfPeer(Box::new(rule.clone()))));
        both.rules.tcp = Some(self.rules.allow_tcp() && told.allow_tcp());
        (both.rules.allow_one_of(paths) || !self.rules.allow_one_of(paths)).then_some(both)
    }
}

fn line(text: &mut String, word: &str, parts: impl IntoIterator<Item = String>) {
    text.push_str(word);
    for part in parts {
        let _ = write!(text, "\t{}", part.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    text.push('\n');
}

fn rule(word: &str, parts: &[&str]) -> Result<Rule, String> {
    fn all<T: std::str::FromStr, C: FromIterator<T>>(parts: &[&str]) -> Result<C, String>
    where
        T::Err: ToString,
    {
        parts.iter().map(|part| part.parse::<T>().map_err(|error| error.to_string())).collect()
    }
    match word {
        "acl" => Ok(Rule::Acl(Acl::new(parts).map_err(|error| error.to_string())?)),
        "sequence" => match parts {
            [one] => Ok(Rule::Sequence(one.parse().map_err(|error: crate::SequenceError| error.to_string())?)),
            _ => Err("a sequence is one text".to_owned()),
        },
        "isds" => Ok(Rule::Isds(all(parts)?)),
        "avoid" => Ok(Rule::Avoid(all(parts)?)),
        "pin" => Ok(Rule::Pin(all(parts)?)),
        _ => Err("this version knows no such rule".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Fingerprint, Interface, Kind};

    fn path(interfaces: &[&str]) -> Candidate {
        let interfaces: Vec<Interface> = interfaces.iter().map(|text| text.parse().expect("an interface")).collect();
        Candidate { fingerprint: Fingerprint::of(&interfaces), kind: Kind::Scion, interfaces, ..Candidate::tcp() }
    }

    fn there() -> Candidate {
        path(&["1-ff00:0:111#1", "1-ff00:0:110#2", "1-ff00:0:110#3", "1-ff00:0:112#4"])
    }

    fn back() -> Candidate {
        path(&["1-ff00:0:112#4", "1-ff00:0:110#3", "1-ff00:0:110#2", "1-ff00:0:111#1"])
    }

    fn told(text: &str) -> Rules {
        Rules::told(text).expect(text)
    }

    #[test]
    fn what_is_told_is_what_is_understood() {
        let pin = format!("pin\t{}\n", back().fingerprint);
        for text in [
            "",
            "acl\t- 1-ff00:0:110#3\t+\n",
            "acl\t- 1-ff00:0:110#2,3\t+\nisds\t1\t2\ntcp\ttrue\n",
            "sequence\t1-ff00:0:111 0* 1-ff00:0:112\n",
            "avoid\t2\t1-ff00:0:110#3\ntcp\tfalse\n",
            &pin,
        ] {
            assert_eq!(told(text).tell(), text);
        }
    }

    #[test]
    fn a_rule_of_the_peer_means_the_way_back() {
        let excludes = |rule: &str, path: &Candidate| {
            Policy::default().agreed(&told(rule), &[]).expect("nothing is lost").rules.exclusion(path)
        };
        for rule in [
            "sequence\t1-ff00:0:112 0* 1-ff00:0:111",
            "acl\t- 1-ff00:0:110#2,3\t+",
            "isds\t1",
            &format!("pin\t{}", back().fingerprint),
        ] {
            assert_eq!(excludes(rule, &there()), None, "{rule}");
        }
        for (rule, why) in [
            ("avoid\t1-ff00:0:110#3,2", "of the peer: avoid \"1-ff00:0:110#3,2\" is crossed"),
            ("acl\t- 1-ff00:0:110#3\t+", "of the peer: acl \"- 1-ff00:0:110#3\" excludes 1-ff00:0:110#3"),
        ] {
            assert_eq!(excludes(rule, &there()).as_deref(), Some(why));
        }
        assert!(excludes(&format!("pin\t{}", there().fingerprint), &there()).is_some());
    }

    #[test]
    fn both_sides_rules_hold_as_far_as_they_can() {
        let ours = Policy { rules: told("avoid\t1-ff00:0:120"), ..Policy::default() };
        let other = path(&["1-ff00:0:111#5", "1-ff00:0:112#6"]);
        let both = ours.agreed(&told("avoid\t1-ff00:0:110"), &[there(), other.clone()]).expect("one is left");
        assert!(both.rules.exclusion(&there()).is_some() && both.rules.exclusion(&other).is_none());
        assert!(ours.agreed(&told("avoid\t1-ff00:0:110"), &[there()]).is_none(), "ours alone hold");
        let barred = path(&["1-ff00:0:111#1", "1-ff00:0:120#2", "1-ff00:0:120#3", "1-ff00:0:112#4"]);
        assert!(ours.agreed(&told("avoid\t1-ff00:0:110"), &[barred]).is_some(), "ours alone allow no more");
        let tcp = |ours: &str, theirs: &str| {
            let ours = Policy { rules: told(ours), ..Policy::default() };
            ours.agreed(&told(theirs), &[]).expect("nothing is lost").rules.exclusion(&Candidate::tcp()).is_none()
        };
        assert!(tcp("", "") && tcp("", "isds\t1\ntcp\ttrue"));
        assert!(!tcp("", "isds\t1") && !tcp("tcp\tfalse", "") && !tcp("isds\t1", "tcp\ttrue"));
    }

    #[test]
    fn what_both_say_is_said_once() {
        let beyond = |told_of: &str, own: &str| told(told_of).beyond(&told(own)).tell();
        let acl = "acl\t- 1-ff00:0:110#3\t+\n";
        assert_eq!(beyond(acl, acl), "");
        assert_eq!(beyond(&format!("{acl}isds\t1\n"), acl), "isds\t1\n");
        assert_eq!(beyond("", acl), "");
        assert_eq!(beyond(acl, ""), format!("{acl}tcp\tfalse\n"));
        assert_eq!(beyond(acl, &format!("{acl}tcp\ttrue")), "tcp\tfalse\n");
        for one_way in ["acl\t- 1-ff00:0:110#2,3\t+\n", "sequence\t1 2\n", "avoid\t1-ff00:0:110#2,3\n"] {
            assert_eq!(beyond(one_way, one_way), one_way, "it is another one there");
        }
    }

    #[test]
    fn what_is_no_list_of_rules_is_refused() {
        let error = |text: &str| Rules::told(text).expect_err(text).to_string();
        let many = "isds\t1\n".repeat(MOST + 1);
        let long = format!("isds{}", "\t1".repeat(MOST + 1));
        insta::assert_snapshot!(
            [
                error("colour\tred"),
                error("acl\t- 2"),
                error("sequence"),
                error("isds\t70000"),
                error("avoid\t0"),
                error("pin\tx"),
                error("tcp\tmaybe"),
                error(&many),
                error(&long),
            ]
            .join("\n")
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_told_panics(text in "((acl|sequence|isds|avoid|pin|tcp|[a-z]{0,3})(\t[-+ 0-9a-f:#,*|()?]{0,12}){0,4}\n?){0,4}") {
            if let Ok(rules) = Rules::told(&text) {
                prop_assert_eq!(Rules::told(&rules.tell()), Ok(rules.clone()));
                let _ = Policy::default().agreed(&rules, &[there()]);
            }
        }
    }
}
