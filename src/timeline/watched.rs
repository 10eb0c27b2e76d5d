//! What models watch: which days of an institution hold which settlements and stays, and which days changed.

use crate::record::{Day, SettlementId, VisitId};
use std::collections::BTreeMap;

/// An institution's live settlements and its refunds by `setl_time`, and its stays by the days on which they began and ended.
#[derive(Default)]
pub struct Watched {
    settlements: BTreeMap<Day, Vec<SettlementId>>,
    refunds: BTreeMap<Day, Vec<SettlementId>>,
    admissions: BTreeMap<Day, Vec<VisitId>>,
    stays: BTreeMap<Day, Vec<VisitId>>,
}

impl Watched {
    /// A settlement is live on a day.
    pub fn insert(&mut self, day: Day, settlement: SettlementId) {
        super::insert(self.settlements.entry(day).or_default(), settlement);
    }

    /// A settlement is not live on a day any more.
    pub fn remove(&mut self, day: Day, settlement: SettlementId) {
        take(&mut self.settlements, day, settlement);
    }

    /// There is a valid refund on a day.
    pub fn insert_refund(&mut self, day: Day, refund: SettlementId) {
        super::insert(self.refunds.entry(day).or_default(), refund);
    }

    /// There is no such refund on a day any more.
    pub fn remove_refund(&mut self, day: Day, refund: SettlementId) {
        take(&mut self.refunds, day, refund);
    }

    /// How many valid refunds there are from a day to the one before another.
    pub fn refunds(&self, from: Day, to: Day) -> usize {
        self.refunds.range(from..to).map(|(_, refunds)| refunds.len()).sum()
    }

    /// A stay may have begun on a day.
    pub fn note_admission(&mut self, day: Day, visit: VisitId) {
        super::insert(self.admissions.entry(day).or_default(), visit);
    }

    /// The visits that may be stays which began from a day to the one before another.
    pub fn admissions(&self, from: Day, to: Day) -> impl Iterator<Item = VisitId> + '_ {
        self.admissions.range(from..to).flat_map(|(_, visits)| visits.iter().copied())
    }

    /// A stay may have ended on a day.
    pub fn note_stay(&mut self, day: Day, visit: VisitId) {
        super::insert(self.stays.entry(day).or_default(), visit);
    }

    /// The settlements from a day to the one before another.
    pub fn settlements(&self, from: Day, to: Day) -> impl Iterator<Item = SettlementId> + '_ {
        self.settlements.range(from..to).flat_map(|(_, settlements)| settlements.iter().copied())
    }

    /// The visits that may be stays which ended from a day to the one before another.
    pub fn stays(&self, from: Day, to: Day) -> impl Iterator<Item = VisitId> + '_ {
        self.stays.range(from..to).flat_map(|(_, visits)| visits.iter().copied())
    }

    /// Drops what is before a day.
    pub fn forget_before(&mut self, day: Day) {
        self.settlements = self.settlements.split_off(&day);
        self.refunds = self.refunds.split_off(&day);
        self.admissions = self.admissions.split_off(&day);
        self.stays = self.stays.split_off(&day);
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.settlements.is_empty() && self.refunds.is_empty() && self.admissions.is_empty() && self.stays.is_empty()
    }
}

fn take(days: &mut BTreeMap<Day, Vec<SettlementId>>, day: Day, settlement: SettlementId) {
    if let Some(settlements) = days.get_mut(&day) {
        super::remove(settlements, &settlement);
        if settlements.is_empty() {
            days.remove(&day);
        }
    }
}
