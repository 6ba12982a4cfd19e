use std::sync::Arc;

use natsd_auth::{Permissions, Rules, User};
use natsd_core::subject;
use proptest::prelude::*;

use super::MatchCache;
use crate::hub::account::Account;
use crate::hub::matches::Matches;
use crate::hub::stage::link;
use crate::hub::subscription::Subscription;
use crate::link::{Kind, Link};

/// What happens to an account.
#[derive(Clone, Debug)]
enum Step {
    Subscribe { client: usize, subject: String, queue: Option<&'static str> },
    Unsubscribe(usize),
    Publish(String),
}

fn subjects() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|tokens| tokens.join("."))
}

fn patterns() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec!["a", "b", "*"]);
    (prop::collection::vec(token, 0..3), prop::sample::select(vec!["a", "b", "*", ">"])).prop_map(
        |(mut tokens, last)| {
            tokens.push(last);
            tokens.join(".")
        },
    )
}

fn queues() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![None, Some("q"), Some("r")])
}

fn rules() -> impl Strategy<Value = Rules> {
    let list = || prop::collection::vec(patterns(), 0..3);
    let denied = prop::collection::vec((patterns(), queues()), 0..3);
    (list(), list(), denied).prop_map(|(allow, plain, of_groups)| {
        let of_groups = of_groups.iter().map(|(subject, queue)| format!("{subject} {}", queue.unwrap_or_default()));
        let parse = |text: &str| text.parse().expect("a rule");
        Rules {
            allow: allow.iter().map(|text| parse(text)).collect(),
            deny: plain.into_iter().take(1).chain(of_groups).map(|text| parse(&text)).collect(),
        }
    })
}

fn permissions() -> impl Strategy<Value = Option<Permissions>> {
    let some = (rules(), rules()).prop_map(|(publish, subscribe)| Permissions { publish, subscribe, replies: None });
    prop::option::of(some)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (0..3usize, patterns(), queues())
            .prop_map(|(client, subject, queue)| Step::Subscribe { client, subject, queue }),
        1 => (0..20usize).prop_map(Step::Unsubscribe),
        6 => subjects().prop_map(Step::Publish),
    ];
    prop::collection::vec(step, 1..80)
}

fn client(permissions: Option<Permissions>) -> Arc<Link> {
    let client = link(Kind::Client);
    let user = User { permissions: permissions.map(Arc::new), ..User::with_secret("u", "p") };
    client.user.store(Some(Arc::new(user)));
    client
}

/// Sids of all that a message reaches, with their group.
fn found(matches: &Matches) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let plain = matches.plain.iter().map(|subscription| (String::new(), text(subscription.sid())));
    let groups = matches
        .groups
        .iter()
        .flat_map(|group| group.local.iter().map(|subscription| (text(&group.name), text(subscription.sid()))));
    let mut all: Vec<_> = plain.chain(groups).collect();
    all.sort();
    all
}

/// The same, told from all subscriptions one by one.
fn expected(all: &[Arc<Subscription>], subject: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let reached = all.iter().filter(|subscription| {
        let may = subscription.link.permissions().is_none_or(|may| may.may_receive(subject, subscription.queue()));
        may && subject::matches(subscription.subject(), subject)
    });
    let mut reached: Vec<_> = reached
        .map(|subscription| (text(subscription.queue().unwrap_or_default()), text(subscription.sid())))
        .collect();
    reached.sort();
    reached
}

proptest! {
    #[test]
    fn what_is_cached_is_what_the_permissions_and_subscriptions_say(
        publisher in permissions(),
        clients in prop::collection::vec(permissions(), 3),
        steps in steps(),
    ) {
        let account = Arc::new(Account::new(natsd_auth::account::AccountSpec::named("ACC"), Arc::default(), &Arc::default()));
        let links: Vec<_> = clients.into_iter().map(client).collect();
        let (mut cache, mut scratch) = (MatchCache::default(), Matches::default());
        let mut subscriptions: Vec<Arc<Subscription>> = Vec::new();
        for (sid, step) in steps.into_iter().enumerate() {
            match step {
                Step::Subscribe { client, subject, queue } => {
                    let queue = queue.map(str::as_bytes);
                    let link = &links[client];
                    if link.permissions().is_none_or(|may| may.may_subscribe(subject.as_bytes(), queue)) {
                        let sid = sid.to_string();
                        let new = Subscription::new(
                            link.clone(), account.clone(), subject.as_bytes(), queue, sid.as_bytes(),
                        );
                        let new = Arc::new(new);
                        account.subscribe(new.clone());
                        subscriptions.push(new);
                    }
                }
                Step::Unsubscribe(at) if at < subscriptions.len() => {
                    account.unsubscribe(&[subscriptions.swap_remove(at)]);
                }
                Step::Unsubscribe(_) => {}
                Step::Publish(subject) => {
                    let subject = subject.as_bytes();
                    let may = || publisher.as_ref().is_none_or(|may| may.may_publish(subject));
                    // The first time it is noted, the second time remembered, the third time known.
                    for _ in 0..3 {
                        let reached = cache.find_permitted(&account, subject, &mut scratch, may).map(found);
                        prop_assert_eq!(reached, may().then(|| expected(&subscriptions, subject)));
                    }
                }
            }
        }
    }
}
