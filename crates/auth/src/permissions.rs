//! What a user may publish and subscribe to.

use std::fmt;
use std::str::FromStr;

use natsd_core::subject;

use crate::replies::ReplyPolicy;

/// What a user may do. Without rules it may do everything.
///
/// A subject with wildcards that a client sends is compared token by token, as a literal, as in nats-server; but a
/// subscription to `foo.>` is not allowed by `foo.*`, as it would get more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// To publish.
    pub publish: Rules,
    /// To subscribe.
    pub subscribe: Rules,
    /// To answer requests whose reply subject it may not publish to.
    pub replies: Option<ReplyPolicy>,
}

/// What is allowed and, of that, what is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Empty for everything.
    pub allow: Vec<Rule>,
    /// Goes before `allow`.
    pub deny: Vec<Rule>,
}

/// A subject with or without wildcards; of a subscription, also a queue group, that may have wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    subject: Box<str>,
    queue: Option<Box<str>>,
}

/// No rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The subject is malformed.
    #[error("{0:?} is not a subject; use tokens separated by dots, such as \"orders.*\" or \"orders.>\"")]
    Subject(String),
    /// The queue group is malformed.
    #[error("{0:?} is not a queue group; use tokens separated by dots, such as \"workers\" or \"workers.*\"")]
    Queue(String),
    /// A rule for publishing has a queue group.
    #[error("{0:?} names a queue group, which only rules for subscriptions can")]
    PublishQueue(String),
}

impl FromStr for Rule {
    type Err = RuleError;

    /// `subject` or `subject queue`.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut words = text.split_ascii_whitespace();
        let subject = words.next().unwrap_or_default();
        let queue = words.next();
        if !subject::is_valid(subject.as_bytes()) || words.next().is_some() {
            return Err(RuleError::Subject(text.to_owned()));
        }
        if let Some(queue) = queue.filter(|queue| !subject::is_valid(queue.as_bytes())) {
            return Err(RuleError::Queue(queue.to_owned()));
        }
        Ok(Self { subject: subject.into(), queue: queue.map(Into::into) })
    }
}

/// As it is written.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        self.queue.iter().try_for_each(|queue| write!(f, " {queue}"))
    }
}

impl Rule {
    /// A rule for publishing.
    ///
    /// # Errors
    ///
    /// If it names a queue group, or is no rule at all.
    pub fn to_publish(text: &str) -> Result<Self, RuleError> {
        let rule: Self = text.parse()?;
        if rule.queue.is_some() { Err(RuleError::PublishQueue(text.to_owned())) } else { Ok(rule) }
    }
}

/// Whether `rule` is about what a subscription to `subject` gets, all of it.
fn covers(rule: &Rule, subject: &[u8]) -> bool {
    let endless = |subject: &[u8]| subject.ends_with(b">") && subject::tokens(subject).last() == Some(b">");
    rule.is_about(subject) && (!endless(subject) || endless(rule.subject.as_bytes()))
}

impl Rule {
    /// Whether it is about members of a queue group only.
    pub fn names_queue(&self) -> bool {
        self.queue.is_some()
    }

    fn is_about(&self, subject: &[u8]) -> bool {
        subject::matches(self.subject.as_bytes(), subject)
    }

    fn is_for(&self, queue: Option<&[u8]>) -> bool {
        match (&self.queue, queue) {
            (None, _) => true,
            (Some(pattern), Some(queue)) => subject::matches(pattern.as_bytes(), queue),
            (Some(_), None) => false,
        }
    }
}

impl Rules {
    fn allow_subscription(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let covering = || self.allow.iter().filter(|rule| covers(rule, subject));
        // Where rules name queue groups for the subject, they alone count for a member of a group.
        let of_groups = queue.is_some() && covering().any(|rule| rule.queue.is_some());
        self.allow.is_empty() || covering().any(|rule| rule.is_for(queue) && (!of_groups || rule.queue.is_some()))
    }

    fn deny(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        self.deny.iter().any(|rule| rule.is_about(subject) && rule.is_for(queue))
    }
}

impl Rules {
    /// Whether what is said about `subject` may pass. One with wildcards is compared as a literal, as in nats-server.
    fn pass(&self, subject: &[u8]) -> bool {
        (self.allow.is_empty() || self.allow.iter().any(|rule| rule.is_about(subject))) && !self.deny(subject, None)
    }
}

/// What passes between a server and its peers, of interest as well as of messages. A subscription that is wider than what
/// passes, if it passes itself, gets what does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePermissions {
    /// What peers hear of our interest, and we take of their messages.
    pub import: Rules,
    /// What we heed of the peers' interest, and send them.
    pub export: Rules,
}

impl RoutePermissions {
    /// Whether peers hear of interest in `subject`, and messages to it are taken from them.
    pub fn may_import(&self, subject: &[u8]) -> bool {
        self.import.pass(subject)
    }

    /// Whether the peers' interest in `subject` is heeded, and messages to it are sent to them.
    pub fn may_export(&self, subject: &[u8]) -> bool {
        self.export.pass(subject)
    }
}

impl Permissions {
    /// Whether the user may publish to `subject` whoever asked for it.
    pub fn may_publish(&self, subject: &[u8]) -> bool {
        let only_replies = self.replies.is_some() && self.publish.allow.is_empty();
        !only_replies && self.publish.pass(subject)
    }

    /// Whether the user may subscribe to `subject`, in `queue` if there is one.
    pub fn may_subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        self.subscribe.allow_subscription(subject, queue) && !self.subscribe.deny(subject, queue)
    }

    /// As [`may_subscribe`](Self::may_subscribe), of a server that asks for others: it may ask for more than is allowed, by
    /// wildcards, and gets what is.
    pub fn may_ask(&self, subject: &[u8]) -> bool {
        let some = || {
            let overlaps = |rule: &Rule| subject::intersection(rule.subject.as_bytes(), subject).is_some();
            subject::has_wildcard(subject) && self.subscribe.allow.iter().any(overlaps)
        };
        (self.subscribe.allow_subscription(subject, None) || some()) && !self.subscribe.deny(subject, None)
    }

    /// Whether there are subjects that a permitted subscription may not get.
    pub fn filters(&self) -> bool {
        !self.subscribe.deny.is_empty()
    }

    /// Whether a subscription, in `queue` if there is one, may get what was published to `subject`.
    pub fn may_receive(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        !self.subscribe.deny(subject, queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Rules {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Rules { allow: parse(allow), deny: parse(deny) }
    }

    fn subscriber(allow: &[&str], deny: &[&str]) -> Permissions {
        Permissions { subscribe: rules(allow, deny), ..Permissions::default() }
    }

    #[test]
    fn who_asks_for_others_may_ask_for_more() {
        let server = subscriber(&["a.*", "b.c"], &["a.x", "d.>"]);
        for (subject, expected) in
            [("a.y", true), ("a.x", false), ("*.y", true), (">", true), ("b.*", true), ("b.d", false), ("c.*", false)]
        {
            assert_eq!(server.may_ask(subject.as_bytes()), expected, "{subject}");
        }
        let denied = subscriber(&[], &["d.>"]);
        assert!(denied.may_ask(b">") && denied.may_ask(b"*.d") && !denied.may_ask(b"d.*"));
    }

    #[test]
    fn deny_goes_before_allow() {
        let publisher = Permissions { publish: rules(&["a.*", "b"], &["a.x"]), ..Permissions::default() };
        for (subject, expected) in [
            ("a.y", true),
            ("b", true),
            ("a.x", false),
            ("a.y.z", false),
            ("c", false),
            ("a..b", false),
            ("a.*", true),
            ("a.>", true),
        ] {
            assert_eq!(publisher.may_publish(subject.as_bytes()), expected, "{subject}");
        }
        assert!(Permissions::default().may_publish(b"x") && Permissions::default().may_subscribe(b"x", None));
    }

    #[test]
    fn who_may_only_answer_may_publish_nothing_else() {
        let replies = Some(ReplyPolicy::default());
        assert!(!Permissions { replies, ..Permissions::default() }.may_publish(b"x"));
        let publish = rules(&[], &["y"]);
        assert!(!Permissions { replies, publish, ..Permissions::default() }.may_publish(b"x"));
        let publish = rules(&["x"], &[]);
        assert!(Permissions { replies, publish, ..Permissions::default() }.may_publish(b"x"));
    }

    #[test]
    fn queue_groups_are_named_with_their_subject() {
        let allowed = subscriber(&["foo", "bar q1", "baz q.*", "m", "m q1"], &[]);
        for (subject, queue, expected) in [
            ("foo", None, true),
            ("foo", Some("any"), true),
            ("bar", None, false),
            ("bar", Some("q1"), true),
            ("bar", Some("q2"), false),
            ("baz", Some("q.x"), true),
            ("baz", Some("q"), false),
            ("m", None, true),
            ("m", Some("q2"), false),
        ] {
            let queue = queue.map(str::as_bytes);
            assert_eq!(allowed.may_subscribe(subject.as_bytes(), queue), expected, "{subject} {queue:?}");
        }
        let denied = subscriber(&[], &["zap bad", "foo bad", "zap"]);
        assert!(denied.may_subscribe(b"foo", None) && denied.may_subscribe(b"foo", Some(b"good")));
        assert!(!denied.may_subscribe(b"foo", Some(b"bad")) && !denied.may_subscribe(b"zap", Some(b"q")));
    }

    #[test]
    fn a_subscription_gets_no_more_than_is_allowed() {
        let allowed = subscriber(&["foo.*", "bar.>", "baz.*.>"], &[]);
        for (subject, expected) in [
            ("foo.*", true),
            ("foo.>", false),
            (">", false),
            ("bar.*", true),
            ("bar.>", true),
            ("bar.x.>", true),
            ("baz.>", false),
            ("baz.x.>", true),
            ("baz.*.*", true),
        ] {
            assert_eq!(allowed.may_subscribe(subject.as_bytes(), None), expected, "{subject}");
        }
    }

    #[test]
    fn a_wider_subscription_gets_all_but_what_is_denied() {
        let permissions = subscriber(&["s.>"], &["s.deny.*", "s.q bad"]);
        assert!(permissions.filters() && permissions.may_subscribe(b"s.>", None));
        assert!(!permissions.may_subscribe(b"s.deny.>", None));
        assert!(permissions.may_receive(b"s.x", None) && !permissions.may_receive(b"s.deny.x", None));
        assert!(permissions.may_receive(b"s.q", None) && permissions.may_receive(b"s.q", Some(b"good")));
        assert!(!permissions.may_receive(b"s.q", Some(b"bad")));
    }

    #[test]
    fn routes_let_pass_what_both_rules_say() {
        let permissions = RoutePermissions { import: rules(&["i.>"], &["i.not"]), export: rules(&[], &["secret.>"]) };
        for (subject, imported, exported) in [
            ("i.x", true, true),
            ("i.>", true, true),
            ("i.not", false, true),
            (">", false, true),
            ("secret.x", false, false),
            ("secret.>", false, false),
            ("secret", false, true),
        ] {
            let found = (permissions.may_import(subject.as_bytes()), permissions.may_export(subject.as_bytes()));
            assert_eq!(found, (imported, exported), "{subject}");
        }
        assert!(RoutePermissions::default().may_import(b">") && RoutePermissions::default().may_export(b">"));
    }

    #[test]
    fn malformed_rules_are_refused() {
        for text in ["", "a..b", "a b c", "a.>.b", "foo b..c"] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
        assert!("a  b".parse::<Rule>().is_ok());
        assert!(Rule::to_publish("a b").is_err() && Rule::to_publish("a").is_ok());
    }
}
