//! Sums by key, where records that follow each other mostly have the same key.

use crate::rules::rule::Map;
use std::hash::Hash;

/// Sums by key. The latest one is at hand, so that a run of records with the same key looks it up once.
pub struct Tally<K> {
    latest: Option<(K, i64)>,
    others: Map<K, i64>,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { latest: None, others: Map::default() }
    }
}

impl<K: Copy + Eq + Hash> Tally<K> {
    /// Adds to the sum of a key.
    pub fn add(&mut self, key: K, value: i64) {
        match &mut self.latest {
            Some((latest, sum)) if *latest == key => *sum += value,
            latest => {
                if let Some((before, sum)) = latest.replace((key, value)) {
                    *self.others.entry(before).or_default() += sum;
                }
            }
        }
    }

    /// The sums.
    pub fn sums(mut self) -> Map<K, i64> {
        if let Some((latest, sum)) = self.latest {
            *self.others.entry(latest).or_default() += sum;
        }
        self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_returns_add_up() {
        let mut tally = Tally::default();
        for (key, value) in [('a', 1), ('a', 2), ('b', 10), ('a', 4), ('c', 0)] {
            tally.add(key, value);
        }
        let mut sums: Vec<(char, i64)> = tally.sums().into_iter().collect();
        sums.sort_unstable();
        assert_eq!(sums, [('a', 7), ('b', 10), ('c', 0)]);
        assert!(Tally::<char>::default().sums().is_empty());
    }
}
