//! Timelines: for each key that rules need, the live facts in order of time, and what was found on them.
//!
//! Timelines are shared by all rules that read them and hold only references; the facts themselves are read
//! from the live records when a key is evaluated. They are derived: everything here can be built again from
//! the live records. An entry may outlive the fact it points to (a stay that is cancelled, a detail that moved
//! to another day); whoever reads looks at the live fact and passes over what is gone.

pub mod cost;
mod evaluate;
pub mod held;
pub mod institutions;
pub mod persons;
pub mod shard;
pub mod watched;

use crate::record::{SettlementId, Time};

/// A settlement at its time, in twelve bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(C, packed(4))]
pub struct Entry {
    time: i64,
    id: u32,
}

impl Entry {
    /// The entry of a settlement.
    pub fn new(time: Time, id: SettlementId) -> Self {
        Self { time: time.0, id: id.0 }
    }

    /// `setl_time`.
    pub fn time(self) -> Time {
        Time(self.time)
    }

    /// The settlement.
    pub fn id(self) -> SettlementId {
        SettlementId(self.id)
    }
}

/// Puts an entry into its place; nothing where it is there.
pub fn insert<T: Ord>(entries: &mut Vec<T>, entry: T) {
    if entries.last().is_none_or(|last| *last < entry) {
        entries.push(entry);
    } else if let Err(place) = entries.binary_search(&entry) {
        entries.insert(place, entry);
    }
}

/// Takes an entry out.
pub fn remove<T: Ord>(entries: &mut Vec<T>, entry: &T) {
    if let Ok(place) = entries.binary_search(entry) {
        entries.remove(place);
    }
}

/// The entries that `reach` joins to a time: from it to both sides as long as no pause is longer. Returns the
/// range of places and the first and last time of it, `at` included.
pub fn around(entries: &[Entry], at: Time, reach: i64) -> (std::ops::Range<usize>, Time, Time) {
    let place = entries.partition_point(|entry| entry.time() < at);
    let (mut start, mut first) = (place, at);
    while start > 0 && first.0 - entries[start - 1].time().0 <= reach {
        start -= 1;
        first = entries[start].time();
    }
    let (mut end, mut last) = (place, at);
    while end < entries.len() && entries[end].time().0 - last.0 <= reach {
        last = entries[end].time();
        end += 1;
    }
    (start..end, first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_ends_at_the_first_long_pause() {
        let entries: Vec<Entry> =
            [10, 20, 30, 60, 70, 70, 200].iter().map(|time| Entry::new(Time(*time), SettlementId(1))).collect();
        assert_eq!(around(&entries, Time(20), 10), (0..3, Time(10), Time(30)));
        assert_eq!(around(&entries, Time(45), 15), (0..6, Time(10), Time(70)));
        assert_eq!(around(&entries, Time(45), 14), (3..3, Time(45), Time(45)));
        assert_eq!(around(&entries, Time(70), 10), (3..6, Time(60), Time(70)));
        assert_eq!(around(&entries, Time(500), 10), (7..7, Time(500), Time(500)));
        assert_eq!(std::mem::size_of::<Entry>(), 12);
    }
}
