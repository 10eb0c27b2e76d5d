//! A person's timeline: settlements by time, stays, days with details that rules read, and deaths.

use super::{Entry, insert};
use crate::live::settlements::SettlementChange;
use crate::record::{Day, PersonId, SettlementId, VisitId};
use smallvec::SmallVec;

/// A person's timeline.
#[derive(Default)]
pub struct Person {
    /// Live settlements.
    pub settlements: SmallVec<[Entry; 1]>,
    extra: Option<Box<Extra>>,
}

#[derive(Default)]
struct Extra {
    stays: Vec<VisitId>,
    days: Vec<(Day, VisitId)>,
    deaths: Vec<VisitId>,
}

impl Person {
    /// Puts a settlement where it now belongs; `person` is this one.
    pub fn change(&mut self, person: PersonId, change: &SettlementChange) {
        let place = |side: &Option<crate::live::settlements::LiveSettlement>| {
            side.filter(|live| live.row.psn_no == person).map(|live| Entry::new(live.row.setl_time, change.id))
        };
        let (before, after) = (place(&change.before), place(&change.after));
        if before == after {
            return;
        }
        if let Some(before) = before
            && let Ok(place) = self.settlements.binary_search(&before)
        {
            self.settlements.remove(place);
        }
        if let Some(after) = after
            && let Err(place) = self.settlements.binary_search(&after)
        {
            // One by one: most persons settle a few times in all that is retained.
            self.settlements.reserve_exact(1);
            self.settlements.insert(place, after);
        }
    }

    /// The settlements of a day.
    pub fn on(&self, day: Day) -> &[Entry] {
        self.between(day, day)
    }

    /// The settlements from one day to another, both included.
    pub fn between(&self, first: Day, last: Day) -> &[Entry] {
        let start = self.settlements.partition_point(|entry| entry.time() < first.start());
        let end = self.settlements.partition_point(|entry| entry.time() < Day(last.0 + 1).start());
        &self.settlements[start..end.max(start)]
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Notes that a visit may be a stay of the person.
    pub fn note_stay(&mut self, visit: VisitId) {
        insert(&mut self.extra().stays, visit);
    }

    /// Notes that a visit may have details of a day that rules read.
    pub fn note_day(&mut self, day: Day, visit: VisitId) {
        insert(&mut self.extra().days, (day, visit));
    }

    /// Notes that a visit's discharge may state the person's death.
    pub fn note_death(&mut self, visit: VisitId) {
        insert(&mut self.extra().deaths, visit);
    }

    /// Drops what points to things that are gone.
    pub fn forget(&mut self, settlement: impl Fn(SettlementId) -> bool, visit: impl Fn(VisitId) -> bool) {
        self.settlements.retain(|entry| !settlement(entry.id()));
        if let Some(extra) = &mut self.extra {
            extra.stays.retain(|stay| !visit(*stay));
            extra.days.retain(|(_, of)| !visit(*of));
            extra.deaths.retain(|of| !visit(*of));
            if extra.stays.is_empty() && extra.days.is_empty() && extra.deaths.is_empty() {
                self.extra = None;
            }
        }
        self.settlements.shrink_to_fit();
    }

    /// Visits that may be stays.
    pub fn stays(&self) -> &[VisitId] {
        self.extra.as_ref().map_or(&[], |extra| &extra.stays)
    }

    /// Visits that may have details of a day.
    pub fn visits_on(&self, day: Day) -> impl Iterator<Item = VisitId> + '_ {
        let days = self.extra.as_ref().map_or(&[][..], |extra| &extra.days);
        let start = days.partition_point(|(other, _)| *other < day);
        days[start..].iter().take_while(move |(other, _)| *other == day).map(|(_, visit)| *visit)
    }

    /// Visits whose discharge may state the death.
    pub fn deaths(&self) -> &[VisitId] {
        self.extra.as_ref().map_or(&[], |extra| &extra.deaths)
    }
}
