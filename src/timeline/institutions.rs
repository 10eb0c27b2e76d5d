//! An institution's timeline: settlements by time, a day at a time since there are many, and the stays in
//! each bed.

use super::Entry;
use super::watched::Watched;
use crate::record::{Code, Day, SettlementId, Time, VisitId};
use crate::rules::rule::Map;
use std::collections::BTreeMap;

/// An institution's timeline.
#[derive(Default)]
pub struct Institution {
    /// By day: the second of the day and the settlement.
    days: BTreeMap<Day, Vec<(u32, SettlementId)>>,
    beds: Map<Code, Vec<VisitId>>,
    /// For models.
    pub watched: Watched,
}

impl Institution {
    fn second(time: Time) -> u32 {
        (time.0 - time.day().start().0) as u32
    }

    /// Adds a settlement.
    pub fn insert(&mut self, time: Time, id: SettlementId) {
        super::insert(self.days.entry(time.day()).or_default(), (Self::second(time), id));
    }

    /// Takes a settlement out.
    pub fn remove(&mut self, time: Time, id: SettlementId) {
        if let Some(entries) = self.days.get_mut(&time.day()) {
            super::remove(entries, &(Self::second(time), id));
            if entries.is_empty() {
                self.days.remove(&time.day());
            }
        }
    }

    /// The settlements that `reach` joins to a time, with the first and last time of the span, `at` included.
    pub fn around(&self, at: Time, reach: i64) -> (Vec<Entry>, Time, Time) {
        let entry =
            |day: &Day, (second, id): &(u32, SettlementId)| Entry::new(Time(day.start().0 + i64::from(*second)), *id);
        let start = (Self::second(at), SettlementId(0));
        let before = self.days.range(..=at.day()).rev().flat_map(|(day, entries)| {
            let end = if *day == at.day() { entries.partition_point(|other| *other < start) } else { entries.len() };
            entries[..end].iter().rev().map(move |other| entry(day, other))
        });
        let after = self.days.range(at.day()..).flat_map(|(day, entries)| {
            let begin = if *day == at.day() { entries.partition_point(|other| *other < start) } else { 0 };
            entries[begin..].iter().map(move |other| entry(day, other))
        });
        let (mut first, mut last) = (at, at);
        let mut cluster: Vec<Entry> = Vec::new();
        for entry in before {
            if first.0 - entry.time().0 > reach {
                break;
            }
            first = entry.time();
            cluster.push(entry);
        }
        cluster.reverse();
        for entry in after {
            if entry.time().0 - last.0 > reach {
                break;
            }
            last = entry.time();
            cluster.push(entry);
        }
        (cluster, first, last)
    }

    /// Notes that a visit may be a stay in a bed.
    pub fn note_bed(&mut self, bed: Code, visit: VisitId) {
        super::insert(self.beds.entry(bed).or_default(), visit);
    }

    /// Visits that may be stays in a bed.
    pub fn in_bed(&self, bed: Code) -> &[VisitId] {
        self.beds.get(&bed).map_or(&[], |visits| visits)
    }

    /// Drops what is before a day.
    pub fn forget_before(&mut self, day: Day) {
        self.days = self.days.split_off(&day);
        self.watched.forget_before(day);
    }

    /// Drops visits that are gone.
    pub fn forget_visits(&mut self, mut gone: impl FnMut(VisitId) -> bool) {
        self.beds.retain(|_, visits| {
            visits.retain(|visit| !gone(*visit));
            !visits.is_empty()
        });
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.beds.is_empty() && self.watched.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_over_midnight() {
        let mut institution = Institution::default();
        let midnight = Day(100).start().0;
        for (number, offset) in [-40, -25, -10, 0, 15, 36].into_iter().enumerate() {
            institution.insert(Time(midnight + offset), SettlementId(number as u32));
        }
        let ids = |cluster: Vec<Entry>| cluster.into_iter().map(|entry| entry.id().0).collect::<Vec<_>>();
        let (cluster, first, last) = institution.around(Time(midnight - 10), 20);
        assert_eq!((ids(cluster), first, last), (vec![0, 1, 2, 3, 4], Time(midnight - 40), Time(midnight + 15)));
        let (cluster, ..) = institution.around(Time(midnight + 26), 11);
        assert_eq!(ids(cluster), [4, 5]);
        institution.remove(Time(midnight), SettlementId(3));
        let (cluster, ..) = institution.around(Time(midnight - 10), 20);
        assert_eq!(ids(cluster), [0, 1, 2]);
    }
}
