//! What the other side of one leaf connection is told of subscriptions on this side: each subject once, however many
//! subscribe to it, and each queue group with the number of its members.

use std::collections::HashMap;

use super::encode::{write_subscribe, write_unsubscribe};

/// Who is interested how often, by subject and queue group.
#[derive(Debug, Default)]
pub struct Summary {
    counts: HashMap<Box<[u8]>, u32>,
}

impl Summary {
    /// `change` more, or less, are interested. Appends what the other side has to be told of it.
    pub fn change(&mut self, subject: &[u8], queue: Option<&[u8]>, change: i64, out: &mut Vec<u8>) {
        // Subjects have no spaces.
        let key = [subject, b" ", queue.unwrap_or_default()].concat();
        let before = self.counts.get(&*key).copied().unwrap_or(0);
        let now = u32::try_from(i64::from(before).saturating_add(change).max(0)).unwrap_or(u32::MAX);
        if now == before {
            return;
        }
        if now == 0 {
            self.counts.remove(&*key);
            return write_unsubscribe(out, subject, queue);
        }
        self.counts.insert(key.into(), now);
        match queue {
            Some(queue) => write_subscribe(out, subject, Some((queue, now))),
            None if before == 0 => write_subscribe(out, subject, None),
            None => {}
        }
    }

    /// Appends all that the other side has to know.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (key, count) in &self.counts {
            let Some(space) = memchr::memchr(b' ', key) else { continue };
            let (subject, queue) = (&key[..space], &key[space + 1..]);
            write_subscribe(out, subject, (!queue.is_empty()).then_some((queue, *count)));
        }
    }

    /// Appends what the other side, which was told `before`, has to be told to know this in its place.
    pub fn write_since(&self, before: &Self, out: &mut Vec<u8>) {
        let parts = |key: &[u8]| {
            let space = memchr::memchr(b' ', key)?;
            Some((key[..space].to_vec(), Some(key[space + 1..].to_vec()).filter(|queue| !queue.is_empty())))
        };
        let gone = before.counts.keys().filter(|key| !self.counts.contains_key(*key));
        for (subject, queue) in gone.filter_map(|key| parts(key)) {
            write_unsubscribe(out, &subject, queue.as_deref());
        }
        for (key, count) in &self.counts {
            let Some((subject, queue)) = parts(key) else { continue };
            let known = before.counts.get(key);
            match queue {
                Some(queue) if known != Some(count) => write_subscribe(out, &subject, Some((&queue, *count))),
                None if known.is_none() => write_subscribe(out, &subject, None),
                _ => {}
            }
        }
    }

    /// Subjects and groups.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nobody is interested in anything.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_news_are_told() {
        let mut summary = Summary::default();
        let mut out = Vec::new();
        for (subject, queue, change) in [
            ("foo", None, 1),
            ("foo", None, 1),
            ("foo", Some("q"), 2),
            ("foo", None, -1),
            ("foo", Some("q"), -1),
            ("foo", None, -1),
            ("foo", None, -1),
            ("foo", Some("q"), -1),
        ] {
            summary.change(subject.as_bytes(), queue.map(str::as_bytes), change, &mut out);
        }
        assert_eq!(out, b"LS+ foo\r\nLS+ foo q 2\r\nLS+ foo q 1\r\nLS- foo\r\nLS- foo q\r\n");
        assert!(summary.is_empty());
        summary.change(b"bar", Some(b"q"), 3, &mut Vec::new());
        summary.change(b"baz", None, 2, &mut Vec::new());
        out.clear();
        summary.write(&mut out);
        let mut lines: Vec<_> = out.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        assert_eq!(lines, [&b"LS+ bar q 3\r\n"[..], b"LS+ baz\r\n"]);
    }

    proptest! {
        #[test]
        fn who_knows_one_and_hears_the_difference_knows_the_other(
            one in proptest::collection::vec((0u8..4, 0u8..3, 1i64..4), 0..20),
            other in proptest::collection::vec((0u8..4, 0u8..3, 1i64..4), 0..20),
        ) {
            let [one, other] = [one, other].map(|interests| {
                let mut summary = Summary::default();
                for (subject, queue, count) in interests {
                    let queue = (queue > 0).then(|| vec![b'a' + queue]);
                    summary.change(&[b'a' + subject], queue.as_deref(), count, &mut Vec::new());
                }
                summary
            });
            let mut lines = Vec::new();
            other.write_since(&one, &mut lines);
            let mut known: HashMap<Box<[u8]>, u32> = one.counts.clone();
            for line in lines.split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\r")) {
                let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
                let key = [words[1], b" ", words.get(2).copied().unwrap_or_default()].concat().into();
                if words[0] == b"LS+" {
                    let weight = words.get(3).map_or(1, |it| String::from_utf8_lossy(it).parse::<u32>().expect("a number"));
                    prop_assert_ne!(known.insert(key, weight), Some(weight), "said for nothing");
                } else {
                    prop_assert!(known.remove(&key).is_some());
                }
            }
            // How many want it of those in no group is nobody's business.
            let plain = |counts: HashMap<Box<[u8]>, u32>| {
                let count = |key: &[u8], count| if key.ends_with(b" ") { 1 } else { count };
                counts.into_iter().map(|(key, of)| (key.clone(), count(&key, of))).collect::<HashMap<_, _>>()
            };
            prop_assert_eq!(plain(known), plain(other.counts));
        }

        #[test]
        fn what_is_told_adds_up(changes in proptest::collection::vec((0u8..3, 0u8..3, -3i64..4), 0..60)) {
            let (mut summary, mut out) = (Summary::default(), Vec::new());
            let mut counts: HashMap<(u8, u8), i64> = HashMap::new();
            for (subject, queue, change) in changes {
                let count = counts.entry((subject, queue)).or_default();
                *count = (*count + change).max(0);
                let group = [b'a' + queue];
                summary.change(&[b'a' + subject], (queue > 0).then_some(&group[..]), change, &mut out);
            }
            let mut told: HashMap<Vec<u8>, i64> = HashMap::new();
            for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let words: Vec<_> = line.trim_ascii_end().split(|byte| *byte == b' ').collect();
                let key = words[1..words.len().min(3)].join(&b' ');
                let count = match (words[0], words.get(3)) {
                    (b"LS-", _) => 0,
                    (_, Some(weight)) => String::from_utf8_lossy(weight).parse().expect("a number"),
                    _ => 1,
                };
                told.insert(key, count);
            }
            for ((subject, queue), count) in counts {
                let mut key = vec![b'a' + subject];
                if queue > 0 {
                    key.extend([b' ', b'a' + queue]);
                }
                let wanted = if queue > 0 { count } else { count.min(1) };
                prop_assert_eq!(told.get(&key).copied().unwrap_or(0), wanted);
            }
        }
    }
}
