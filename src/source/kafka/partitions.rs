//! What is known of the partitions at hand, and what follows from it. No input or output here.

use crate::record::Origin;
use crate::status::Lag;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The offset of the next message to be read: one above that of the last one.
pub type NextOffset = i64;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl Key {
    /// The origin of its messages.
    pub fn origin(&self) -> Arc<Origin> {
        let name = format!("{}[{}]", self.topic, self.partition);
        Arc::new(Origin { name, separator: '@', default_type: None })
    }
}

/// Where reading a partition begins, and up to where it only rebuilds the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// The first offset to read.
    pub start: NextOffset,
    /// Messages before this were processed by a former run, dead letters sent; 0 where there was none.
    pub settled: NextOffset,
    /// Messages before this are warm-up; `start` where nothing is.
    pub warm_end: NextOffset,
}

/// Facts about a partition when it is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The earliest offset that is retained.
    pub low: NextOffset,
    /// The end.
    pub high: NextOffset,
    /// What the group has committed.
    pub committed: Option<NextOffset>,
    /// Up to where the engine already holds its records, from an assignment before.
    pub held: Option<NextOffset>,
    /// Up to where a former run had told what followed, where that is known.
    pub told: Option<NextOffset>,
    /// Whether a former run has left alerts.
    pub alerts_known: bool,
}

impl Beginning {
    /// `start = "replay"`. A committed offset beyond the end belongs to a topic that was made anew: nothing is known
    /// of its records then. Where nothing is committed and yet alerts are known, a run before went away too early to
    /// commit: everything there is counts as warm-up, so that alerts are compared rather than sent again.
    pub fn replay(facts: Facts) -> Self {
        let settled = facts.committed.filter(|committed| *committed <= facts.high).unwrap_or(0);
        let start = facts.held.filter(|held| *held <= facts.high).unwrap_or(facts.low).max(facts.low);
        let told = facts.told.filter(|told| *told <= facts.high);
        let warm_end = match (facts.committed, told) {
            (_, Some(told)) => settled.max(told),
            (Some(_), None) => settled,
            (None, None) if facts.alerts_known => facts.high,
            (None, None) => start,
        };
        Self { start, settled, warm_end: warm_end.max(start) }
    }

    /// `start = "committed"`.
    pub fn committed(facts: Facts) -> Self {
        let start = facts.committed.unwrap_or(facts.low);
        Self { start, settled: start, warm_end: start }
    }

    /// `start = "earliest"`: later assignments of the same run go on where it stopped.
    pub fn earliest(facts: Facts) -> Self {
        let start = facts.held.unwrap_or(facts.low).max(facts.low);
        Self { start, settled: 0, warm_end: start }
    }
}

/// What to do with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one.
    Take(Arc<Origin>),
    /// Its partition was taken away, or it came before.
    Stale,
    /// It is the first one after the warm-up: its partition waits for the others.
    Hold,
}

#[derive(Debug)]
struct Partition {
    origin: Arc<Origin>,
    /// The next message to be read.
    next: NextOffset,
    /// `next` when it was last noted in the ledger.
    noted: NextOffset,
    settled: NextOffset,
    warm_end: NextOffset,
    /// A message after the warm-up came and was not taken: it has to be fetched again.
    held_back: bool,
    at_end: bool,
    /// The end that the statistics told last.
    high: Option<NextOffset>,
}

/// The partitions that are assigned.
#[derive(Debug, Default)]
pub struct Partitions {
    topics: Vec<(Arc<str>, BTreeMap<i32, Partition>)>,
    /// Ends of partitions that could not be told apart, by number, since the last message of any of them.
    nameless_ends: BTreeMap<i32, usize>,
    warming: bool,
}

impl Partitions {
    /// Adds a partition.
    pub fn assign(&mut self, key: &Key, beginning: Beginning) {
        let partition = Partition {
            origin: key.origin(),
            next: beginning.start,
            noted: beginning.start,
            settled: beginning.settled,
            warm_end: beginning.warm_end,
            held_back: false,
            at_end: false,
            high: None,
        };
        let known = self.topics.iter_mut().find(|(topic, _)| *topic == key.topic);
        match known {
            Some((_, partitions)) => drop(partitions.insert(key.partition, partition)),
            None => self.topics.push((key.topic.clone(), BTreeMap::from([(key.partition, partition)]))),
        }
    }

    /// Removes a partition; returns up to where it was read.
    pub fn revoke(&mut self, key: &Key) -> Option<NextOffset> {
        let (_, partitions) = self.topics.iter_mut().find(|(topic, _)| *topic == key.topic)?;
        partitions.remove(&key.partition).map(|partition| partition.next)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.topics.iter().all(|(_, partitions)| partitions.is_empty())
    }

    /// All partitions.
    pub fn keys(&self) -> Vec<Key> {
        self.all().map(|(key, _)| key).collect()
    }

    fn all(&self) -> impl Iterator<Item = (Key, &Partition)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|(number, partition)| (Key { topic: topic.clone(), partition: *number }, partition))
        })
    }

    /// Decides about a message, and takes note of it.
    pub fn see(&mut self, topic: &str, number: i32, offset: i64) -> Verdict {
        let partitions = self.topics.iter_mut().find(|(name, _)| **name == *topic).map(|(_, partitions)| partitions);
        let Some(partition) = partitions.and_then(|partitions| partitions.get_mut(&number)) else {
            return Verdict::Stale;
        };
        if offset < partition.next {
            return Verdict::Stale;
        }
        if self.warming && offset >= partition.warm_end {
            // Nothing between here and there is left to come.
            partition.next = partition.next.max(partition.warm_end);
            partition.held_back = true;
            partition.at_end = false;
            return Verdict::Hold;
        }
        partition.next = offset + 1;
        partition.at_end = false;
        self.nameless_ends.remove(&number);
        Verdict::Take(partition.origin.clone())
    }

    /// Takes note that some partition of a number is read to its end. The client does not say of which topic: where
    /// there are several, `high` is asked for the end of each.
    pub fn end_of(&mut self, number: i32, high: impl Fn(&Key) -> Option<NextOffset>) {
        let mut open: Vec<(Key, &mut Partition)> = self
            .topics
            .iter_mut()
            .filter_map(|(topic, partitions)| {
                let partition = partitions.get_mut(&number).filter(|partition| !partition.at_end)?;
                Some((Key { topic: topic.clone(), partition: number }, partition))
            })
            .collect();
        if let [(_, only)] = &mut *open {
            only.at_end = true;
            return;
        }
        let mut found = false;
        for (key, partition) in &mut open {
            if high(key).is_some_and(|high| high <= partition.next) {
                partition.at_end = true;
                found = true;
            }
        }
        if !found {
            // The last offsets are markers of transactions, which are never seen. Each partition tells its end
            // once, so when as many ends were told as partitions are open, all are at their end.
            let ends = self.nameless_ends.entry(number).or_default();
            *ends += 1;
            if *ends >= open.len() {
                open.into_iter().for_each(|(_, partition)| partition.at_end = true);
            }
        }
    }

    /// Whether all partitions are read to their end, and there is one.
    pub fn all_at_end(&self) -> bool {
        !self.is_empty() && self.all().all(|(_, partition)| partition.at_end)
    }

    /// Begins a warm-up if some partition has one before it, or goes on with the one at hand; whether it does.
    pub fn begin_warm_up(&mut self) -> bool {
        let needed = self.all().any(|(_, partition)| partition.next < partition.warm_end);
        self.warming |= needed;
        self.warming
    }

    /// Whether a warm-up goes on.
    pub fn warming(&self) -> bool {
        self.warming
    }

    /// Those that wait for the end of the warm-up, or need none.
    pub fn warm(&self) -> Vec<Key> {
        let warm = self.all().filter(|(_, partition)| partition.at_end || partition.next >= partition.warm_end);
        warm.map(|(key, _)| key).collect()
    }

    /// Ends the warm-up if nothing is left of it; returns where to go on in partitions whose messages were held back.
    /// Without partitions it goes on: others may follow.
    pub fn end_warm_up(&mut self) -> Option<Vec<(Key, NextOffset)>> {
        let there = |partition: &Partition| partition.at_end || partition.next >= partition.warm_end;
        if !self.warming || self.is_empty() || !self.all().all(|(_, partition)| there(partition)) {
            return None;
        }
        self.warming = false;
        let held_back = self.all().filter(|(_, partition)| partition.held_back);
        let go_on = held_back.map(|(key, partition)| (key, partition.next)).collect();
        for (_, partitions) in &mut self.topics {
            partitions.values_mut().for_each(|partition| partition.held_back = false);
        }
        Some(go_on)
    }

    /// For each origin the offset before which dead letters were sent by a former run; empty where there is none.
    pub fn settled_before(&self, origins: &[Arc<Origin>]) -> Vec<u64> {
        let settled = |origin: &Arc<Origin>| {
            let partition = self.all().find(|(_, partition)| partition.origin == *origin);
            partition.map_or(0, |(_, partition)| u64::try_from(partition.settled).unwrap_or(0))
        };
        let before: Vec<u64> = origins.iter().map(settled).collect();
        if before.iter().all(|offset| *offset == 0) { Vec::new() } else { before }
    }

    /// The partitions in which messages were passed since the last call, with the offset to commit once they are
    /// done. What a former run has committed is left out.
    pub fn note(&mut self) -> Vec<(Key, NextOffset)> {
        let mut moved = Vec::new();
        for (topic, partitions) in &mut self.topics {
            for (number, partition) in partitions {
                if partition.next > partition.noted {
                    partition.noted = partition.next;
                    if partition.next > partition.settled {
                        moved.push((Key { topic: topic.clone(), partition: *number }, partition.next));
                    }
                }
            }
        }
        moved
    }

    /// Takes note of the ends that statistics tell.
    pub fn set_high(&mut self, topic: &str, number: i32, high: NextOffset) {
        let partitions = self.topics.iter_mut().find(|(name, _)| **name == *topic);
        if let Some(partition) = partitions.and_then(|(_, partitions)| partitions.get_mut(&number)) {
            partition.high = Some(high);
        }
    }

    /// How many messages wait in each partition whose end is known.
    pub fn lag(&self) -> Vec<Lag> {
        self.all()
            .filter_map(|(_, partition)| {
                let behind = if partition.at_end { 0 } else { partition.high?.saturating_sub(partition.next) };
                Some(Lag { partition: partition.origin.name.clone(), records: u64::try_from(behind).unwrap_or(0) })
            })
            .collect()
    }
}

/// Which offsets can be committed: those whose messages are done.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Offsets with the number of the delivery that must be done before, in order.
    waiting: VecDeque<(u64, Vec<(Key, NextOffset)>)>,
    done: BTreeMap<Key, NextOffset>,
    committed: BTreeMap<Key, NextOffset>,
}

impl Ledger {
    /// Notes offsets that may be committed once a delivery is done.
    pub fn note(&mut self, delivery: u64, offsets: Vec<(Key, NextOffset)>) {
        if !offsets.is_empty() {
            self.waiting.push_back((delivery, offsets));
        }
    }

    /// Takes note of what is done.
    pub fn settle(&mut self, done: u64) {
        while let Some((_, offsets)) = self.waiting.pop_front_if(|(delivery, _)| *delivery <= done) {
            self.done.extend(offsets);
        }
    }

    /// The offsets to commit now.
    pub fn due(&self) -> Vec<(Key, NextOffset)> {
        let new = self.done.iter().filter(|(key, offset)| self.committed.get(*key) != Some(*offset));
        new.map(|(key, offset)| (key.clone(), *offset)).collect()
    }

    /// Takes note of what was committed.
    pub fn committed(&mut self, offsets: &[(Key, NextOffset)]) {
        self.committed.extend(offsets.iter().cloned());
    }

    /// What counted as committed may not be: all of it is due again.
    pub fn commit_again(&mut self) {
        self.committed.clear();
    }

    /// Forgets a partition that was taken away: its offsets are another's to commit.
    pub fn forget(&mut self, key: &Key) {
        self.done.remove(key);
        self.committed.remove(key);
        for (_, offsets) in &mut self.waiting {
            offsets.retain(|(waiting, _)| waiting != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(topic: &str, partition: i32) -> Key {
        Key { topic: topic.into(), partition }
    }

    fn begin(start: i64, settled: i64, warm_end: i64) -> Beginning {
        Beginning { start, settled, warm_end }
    }

    #[test]
    fn reading_begins_where_the_facts_say() {
        let facts =
            |low, high, committed, held, alerts_known| Facts { low, high, committed, held, told: None, alerts_known };
        for (facts, replay, committed, earliest) in [
            // A first run.
            (facts(5, 90, None, None, false), begin(5, 0, 5), begin(5, 5, 5), begin(5, 0, 5)),
            // After a restart.
            (facts(5, 90, Some(50), None, true), begin(5, 50, 50), begin(50, 50, 50), begin(5, 0, 5)),
            // Killed before the first commit.
            (facts(5, 90, None, None, true), begin(5, 0, 90), begin(5, 5, 5), begin(5, 0, 5)),
            // Everything committed is gone from the topic.
            (facts(60, 90, Some(50), None, true), begin(60, 50, 60), begin(50, 50, 50), begin(60, 0, 60)),
            // The topic was made anew.
            (facts(0, 10, Some(50), None, true), begin(0, 0, 0), begin(50, 50, 50), begin(0, 0, 0)),
            // The partition comes back; another has read on meanwhile.
            (facts(5, 90, Some(70), Some(40), true), begin(40, 70, 70), begin(70, 70, 70), begin(40, 0, 40)),
        ] {
            assert_eq!(Beginning::replay(facts), replay, "{facts:?}");
            assert_eq!(Beginning::committed(facts), committed, "{facts:?}");
            assert_eq!(Beginning::earliest(facts), earliest, "{facts:?}");
        }
    }

    #[test]
    fn stale_messages_are_dropped_and_gaps_are_taken() {
        let mut partitions = Partitions::default();
        partitions.assign(&key("t", 0), begin(10, 0, 10));
        assert!(matches!(partitions.see("t", 0, 10), Verdict::Take(origin) if origin.name == "t[0]"));
        assert_eq!(partitions.see("t", 0, 10), Verdict::Stale, "again");
        assert_eq!(partitions.see("t", 1, 10), Verdict::Stale, "not assigned");
        assert_eq!(partitions.see("u", 0, 10), Verdict::Stale, "not assigned");
        assert!(matches!(partitions.see("t", 0, 15), Verdict::Take(_)), "compacted");
        assert_eq!(partitions.note(), [(key("t", 0), 16)]);
        assert_eq!(partitions.note(), []);
        assert_eq!(partitions.revoke(&key("t", 0)), Some(16));
        assert_eq!(partitions.see("t", 0, 16), Verdict::Stale, "taken away");
        assert!(partitions.is_empty() && !partitions.all_at_end());
    }

    #[test]
    fn a_warm_up_ends_when_every_partition_is_there() {
        let mut partitions = Partitions::default();
        partitions.assign(&key("t", 0), begin(0, 3, 3));
        partitions.assign(&key("t", 1), begin(0, 2, 2));
        partitions.assign(&key("t", 2), begin(7, 0, 7));
        assert!(partitions.begin_warm_up());
        assert_eq!(partitions.warm(), [key("t", 2)]);
        assert_eq!(partitions.see("t", 2, 7), Verdict::Hold);
        for offset in 0..3 {
            assert!(matches!(partitions.see("t", 0, offset), Verdict::Take(_)));
        }
        assert_eq!(partitions.end_warm_up(), None);
        assert!(matches!(partitions.see("t", 1, 0), Verdict::Take(_)));
        // Offset 1 is a marker of a transaction: the first message after it shows that it is passed.
        assert_eq!(partitions.see("t", 1, 5), Verdict::Hold);
        let go_on = partitions.end_warm_up().expect("all are there");
        assert_eq!(go_on, [(key("t", 1), 2), (key("t", 2), 7)]);
        assert!(!partitions.warming());
        assert!(matches!(partitions.see("t", 1, 5), Verdict::Take(_)));
        // Nothing of the warm-up is committed again.
        assert_eq!(partitions.note(), [(key("t", 1), 6)]);
    }

    #[test]
    fn a_warm_up_whose_last_offsets_are_markers_ends_at_the_end() {
        let mut partitions = Partitions::default();
        partitions.assign(&key("t", 0), begin(0, 3, 3));
        assert!(partitions.begin_warm_up());
        assert!(matches!(partitions.see("t", 0, 0), Verdict::Take(_)));
        partitions.end_of(0, |_| panic!("there is only one"));
        assert_eq!(partitions.end_warm_up(), Some(vec![]));
        assert!(partitions.begin_warm_up(), "it is still before the committed offset");
        assert_eq!(partitions.revoke(&key("t", 0)), Some(1));
        assert_eq!(partitions.end_warm_up(), None, "others may follow");
    }

    #[test]
    fn ends_are_told_apart_by_their_offsets() {
        let mut partitions = Partitions::default();
        partitions.assign(&key("a", 0), begin(0, 0, 0));
        partitions.assign(&key("b", 0), begin(0, 0, 0));
        assert!(matches!(partitions.see("a", 0, 0), Verdict::Take(_)));
        let high = |key: &Key| Some(if &*key.topic == "a" { 1 } else { 4 });
        partitions.end_of(0, high);
        assert!(!partitions.all_at_end());
        partitions.end_of(0, high);
        assert!(partitions.all_at_end(), "only b was left");
        assert!(matches!(partitions.see("a", 0, 1), Verdict::Take(_)));
        assert!(!partitions.all_at_end());
        // Both end with markers.
        assert!(matches!(partitions.see("b", 0, 1), Verdict::Take(_)));
        partitions.end_of(0, |_| Some(9));
        assert!(!partitions.all_at_end());
        partitions.end_of(0, |_| Some(9));
        assert!(partitions.all_at_end());
    }

    #[test]
    fn only_what_is_done_is_committed() {
        let mut ledger = Ledger::default();
        ledger.note(1, vec![(key("t", 0), 5), (key("t", 1), 7)]);
        ledger.note(2, vec![(key("t", 0), 9)]);
        ledger.note(2, vec![]);
        ledger.settle(0);
        assert_eq!(ledger.due(), []);
        ledger.settle(1);
        assert_eq!(ledger.due(), [(key("t", 0), 5), (key("t", 1), 7)]);
        ledger.committed(&ledger.due());
        assert_eq!(ledger.due(), []);
        ledger.commit_again();
        assert_eq!(ledger.due(), [(key("t", 0), 5), (key("t", 1), 7)], "the broker had refused");
        ledger.committed(&ledger.due());
        ledger.forget(&key("t", 1));
        ledger.settle(2);
        assert_eq!(ledger.due(), [(key("t", 0), 9)]);
        ledger.note(3, vec![(key("t", 1), 8), (key("t", 0), 10)]);
        ledger.forget(&key("t", 1));
        ledger.settle(3);
        assert_eq!(ledger.due(), [(key("t", 0), 10)], "what was taken away is another's to commit");
    }

    #[test]
    fn lag_counts_to_the_last_known_end() {
        let mut partitions = Partitions::default();
        partitions.assign(&key("t", 0), begin(0, 0, 0));
        assert_eq!(partitions.lag(), []);
        partitions.set_high("t", 0, 10);
        partitions.set_high("t", 9, 10);
        assert_eq!(partitions.lag(), [Lag { partition: "t[0]".to_owned(), records: 10 }]);
        assert!(matches!(partitions.see("t", 0, 11), Verdict::Take(_)));
        assert_eq!(partitions.lag()[0].records, 0, "the known end is old");
    }
}
