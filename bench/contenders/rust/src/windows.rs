//! The users of every minute.

use std::collections::BTreeMap;

use ahash::{AHashMap, AHashSet};

const SECONDS: i64 = 60;

/// A set of users for every minute of event time.
#[derive(Default)]
pub struct Windows(AHashMap<i64, AHashSet<Box<str>>>);

impl Windows {
    pub fn add(&mut self, ts: i64, user: &str) {
        let users = self.0.entry(ts.div_euclid(SECONDS) * SECONDS).or_default();
        if !users.contains(user) {
            users.insert(user.into());
        }
    }
}

/// Unique users by the start of the window, over all parts.
pub fn uniques(parts: &[Windows]) -> BTreeMap<i64, usize> {
    let mut sets: BTreeMap<i64, Vec<&AHashSet<Box<str>>>> = BTreeMap::new();
    for (&start, users) in parts.iter().flat_map(|part| &part.0) {
        sets.entry(start).or_default().push(users);
    }
    sets.into_iter().map(|(start, sets)| (start, size_of_union(&sets))).collect()
}

/// Counts in every set the users that no set before it has.
fn size_of_union(sets: &[&AHashSet<Box<str>>]) -> usize {
    let is_new = |before: &[&AHashSet<Box<str>>], user| !before.iter().any(|set| set.contains(user));
    (sets.iter().enumerate())
        .map(|(number, set)| set.iter().filter(|user| is_new(&sets[..number], *user)).count())
        .sum()
}
