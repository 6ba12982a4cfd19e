//! How much interest there is in one account of a cluster: other clusters are told of the first who wants something, and of
//! the last one gone.

use std::collections::HashMap;

/// Who is interested how often, by subject and queue group.
#[derive(Debug, Default)]
pub struct Tally {
    counts: HashMap<Box<[u8]>, u32>,
}

impl Tally {
    /// `change` more, or less, are interested. Whether anybody is now, if that is news.
    pub fn change(&mut self, subject: &[u8], queue: Option<&[u8]>, change: i64) -> Option<bool> {
        // Subjects have no spaces.
        let key = [subject, b" ", queue.unwrap_or_default()].concat();
        let before = self.counts.get(&*key).copied().unwrap_or(0);
        let now = u32::try_from(i64::from(before).saturating_add(change).max(0)).unwrap_or(u32::MAX);
        if now == 0 {
            self.counts.remove(&*key);
        } else {
            self.counts.insert(key.into(), now);
        }
        ((now == 0) != (before == 0)).then_some(now > 0)
    }

    /// Shows all that somebody is interested in.
    pub fn for_each(&self, mut see: impl FnMut(&[u8], Option<&[u8]>)) {
        for key in self.counts.keys() {
            let Some(space) = memchr::memchr(b' ', key) else { continue };
            see(&key[..space], Some(&key[space + 1..]).filter(|queue| !queue.is_empty()));
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

    proptest! {
        #[test]
        fn what_is_news_adds_up(changes in proptest::collection::vec((0u8..3, 0u8..3, -3i64..4), 0..60)) {
            let mut tally = Tally::default();
            let mut counts: HashMap<(u8, u8), i64> = HashMap::new();
            let mut told: HashMap<(u8, u8), bool> = HashMap::new();
            for (subject, queue, change) in changes {
                let count = counts.entry((subject, queue)).or_default();
                *count = (*count + change).max(0);
                let group = (queue > 0).then_some([queue]);
                let news = tally.change(&[b'a' + subject], group.as_ref().map(|group| &group[..]), change);
                if let Some(news) = news {
                    let before = told.insert((subject, queue), news).unwrap_or(false);
                    prop_assert_ne!(before, news);
                }
                let known = told.get(&(subject, queue)).copied().unwrap_or(false);
                prop_assert_eq!(known, counts[&(subject, queue)] > 0);
            }
            let mut shown = 0;
            tally.for_each(|subject, queue| {
                let key = (subject[0] - b'a', queue.map_or(0, |queue| queue[0]));
                shown += usize::from(counts[&key] > 0);
            });
            prop_assert_eq!((shown, tally.len()), (counts.values().filter(|count| **count > 0).count(), shown));
        }
    }
}
