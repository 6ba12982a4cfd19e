use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct Entry {
    id: usize,
    place: AtomicU32,
}

impl Member for Entry {
    fn place(&self) -> u32 {
        self.place.load(Relaxed)
    }

    fn set_place(&self, place: u32) {
        self.place.store(place, Relaxed);
    }
}

fn entry(id: usize) -> Arc<Entry> {
    Arc::new(Entry { id, place: AtomicU32::new(0) })
}

/// Ids of the plain members, and of the members of each group, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    plain: Vec<usize>,
    grouped: Vec<(Vec<u8>, usize)>,
}

impl Visitor<Entry> for Found {
    fn plain(&mut self, members: &[Arc<Entry>]) {
        self.plain.extend(members.iter().map(|member| member.id));
    }

    fn group(&mut self, queue: &[u8], members: &[Arc<Entry>]) {
        self.grouped.extend(members.iter().map(|member| (queue.to_vec(), member.id)));
    }
}

fn find(list: &Sublist<Entry>, subject: &str) -> Found {
    let mut found = Found::default();
    list.matches(subject.as_bytes(), &mut found);
    found.plain.sort_unstable();
    found.grouped.sort_unstable();
    found
}

#[test]
fn plain_members_and_groups_are_told_apart() {
    let mut list = Sublist::default();
    assert_eq!(list.insert(b"foo.*", None, entry(1)), 1);
    assert_eq!(list.insert(b"foo.*", None, entry(2)), 2);
    assert_eq!(list.insert(b"foo.>", Some(b"q"), entry(3)), 1);
    assert_eq!(list.insert(b"foo.bar", Some(b"q"), entry(4)), 1);
    let found = find(&list, "foo.bar");
    assert_eq!(found.plain, [1, 2]);
    assert_eq!(found.grouped, [(b"q".to_vec(), 3), (b"q".to_vec(), 4)]);
    assert_eq!(find(&list, "foo"), Found::default());
    assert_eq!(find(&list, "foo..bar"), Found::default());
}

#[test]
fn an_emptied_list_keeps_nothing() {
    let mut list = Sublist::default();
    let members: Vec<_> = (0..100).map(entry).collect();
    for member in &members {
        list.insert(format!("a.{}.*.b", member.id).as_bytes(), None, member.clone());
    }
    for member in &members {
        assert_eq!(list.remove(format!("a.{}.*.b", member.id).as_bytes(), None, member), Some(0));
    }
    assert!(list.is_empty());
    assert_eq!((list.nodes.len(), list.edges.len(), list.free.len()), (1, 0, 0));
    assert_eq!(list.remove(b"a", None, &members[0]), None);
}

#[test]
fn leaving_twice_hurts_nobody() {
    let mut list = Sublist::default();
    let (first, second) = (entry(1), entry(2));
    list.insert(b"a", None, first.clone());
    list.insert(b"a", None, second);
    assert_eq!(list.remove(b"a", None, &first), Some(1));
    assert_eq!(list.remove(b"a", None, &first), None);
    assert_eq!(find(&list, "a").plain, [2]);
}

#[test]
fn each_subject_is_listed() {
    let mut list = Sublist::default();
    list.insert(b"a.*.c", None, entry(1));
    list.insert(b">", Some(b"q"), entry(2));
    let mut seen = Vec::new();
    list.for_each(|subject, queue, members| {
        seen.push((String::from_utf8(subject.to_vec()).unwrap(), queue.map(<[u8]>::to_vec), members.len()));
    });
    seen.sort();
    assert_eq!(seen, [(">".to_owned(), Some(b"q".to_vec()), 1), ("a.*.c".to_owned(), None, 1)]);
}

fn pattern() -> impl Strategy<Value = String> {
    ("(a|b|\\*|c\\*)(\\.(a|b|\\*)){0,3}(\\.>)?").prop_map(|text| text)
}

proptest! {
    /// Adds and removes at random; what is found is what a look at every subscription finds.
    #[test]
    fn it_finds_what_a_naive_search_finds(
        steps in proptest::collection::vec((pattern(), proptest::option::of("[qr]"), any::<u16>(), any::<bool>()), 1..80),
        subjects in proptest::collection::vec("(a|b|c\\*|\\*|>)(\\.(a|b|)){0,4}", 1..20),
    ) {
        let mut list = Sublist::with_seed(7);
        let mut naive: Vec<(String, Option<String>, Arc<Entry>)> = Vec::new();
        for (id, (pattern, queue, choice, removes)) in steps.into_iter().enumerate() {
            if removes && !naive.is_empty() {
                let (pattern, queue, gone) = naive.swap_remove(usize::from(choice) % naive.len());
                let left = naive.iter().filter(|(other, group, _)| *other == pattern && *group == queue).count();
                let queue = queue.as_deref().map(str::as_bytes);
                prop_assert_eq!(list.remove(pattern.as_bytes(), queue, &gone), Some(left));
            } else {
                let new = entry(id);
                list.insert(pattern.as_bytes(), queue.as_deref().map(str::as_bytes), new.clone());
                naive.push((pattern, queue, new));
            }
        }
        prop_assert_eq!(list.len(), naive.len());
        for subject in subjects {
            let mut expected = Found::default();
            for (pattern, queue, entry) in &naive {
                if subject::matches(pattern.as_bytes(), subject.as_bytes()) {
                    match queue {
                        None => expected.plain.push(entry.id),
                        Some(queue) => expected.grouped.push((queue.clone().into_bytes(), entry.id)),
                    }
                }
            }
            expected.plain.sort_unstable();
            expected.grouped.sort_unstable();
            prop_assert_eq!(find(&list, &subject), expected, "{}", subject);
        }
    }
}
