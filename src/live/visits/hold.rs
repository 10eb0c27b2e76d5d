//! What is held of visits from one batch to the next: for retention, for sweeps of ids, for checkpoints, and for other rules.

use super::{State, VisitShard};
use crate::detect::plan::Plan;
use crate::live::checks::Checks;
use crate::live::details;
use crate::live::settlements::Settlements;
use crate::live::stays::StayRecords;
use crate::record::decode::Rows;
use crate::record::marks::Marks;
use crate::record::{CheckId, Day, FeeDetail, FeeDetailDelete, Ids, PersonId, Record as _, SettlementId, VisitId};
use std::ops::Range;

/// What goes with a visit that is over.
#[derive(Default)]
pub struct Gone {
    /// Its settlements.
    pub settlements: Vec<SettlementId>,
    /// Its checks.
    pub checks: Vec<CheckId>,
    /// The persons that its records name; some more than once.
    pub persons: Vec<PersonId>,
}

/// All that was received of a visit, settlements and checks apart.
pub struct VisitContent<'a> {
    /// Which.
    pub visit: VisitId,
    /// Its packed details; see [`details::unpack`].
    pub block: &'a [u8],
    /// Deletes of details.
    pub deletes: &'a [FeeDetailDelete],
    /// The records of its stay.
    pub records: &'a StayRecords,
    /// Hashes of versions that are not kept.
    pub hashes: &'a [u64],
}

impl VisitShard {
    /// Whether there may be visits all of whose records are from before the horizon.
    pub fn is_due(&self, horizon: Day) -> bool {
        self.due.first_key_value().is_some_and(|(day, _)| *day < horizon)
    }

    /// Some of the visits that may be over, `most` at most.
    fn take_due(&mut self, horizon: Day, most: usize) -> Vec<VisitId> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(mut day) = self.due.first_entry().filter(|day| *day.key() < horizon) else {
                break;
            };
            let visits = day.get_mut();
            let kept = visits.len().saturating_sub(most - taken.len());
            taken.extend(visits.drain(kept..));
            if visits.is_empty() {
                day.remove();
            }
        }
        taken
    }

    /// Drops visits all of whose records are from before the horizon, of `most` that may be, and names what hangs on
    /// them.
    pub fn expire(&mut self, horizon: Day, most: usize, settlements: Settlements<'_>, checks: Checks<'_>) -> Gone {
        let ids = settlements.ids;
        let mut gone = Gone::default();
        let mut rows = Vec::new();
        for visit in self.take_due(horizon, most) {
            let state = self.states.entry(ids.visits.index_of(visit.0));
            details::open(self.heap.get(state.block), visit, &mut rows, ids);
            let latest = details::latest(&rows).max(state.latest(settlements, checks));
            if latest.day() >= horizon {
                self.due.entry(latest.day()).or_default().push(visit);
                continue;
            }
            self.rows -= rows.len();
            gone.settlements.extend(state.settlements());
            gone.persons.extend(state.settlements().filter_map(|id| settlements.kept(id)).map(|row| row.psn_no));
            gone.persons.extend(rows.iter().map(|row| row.row.psn_no));
            let records = state.extra.iter().map(|extra| &extra.records);
            gone.persons.extend(records.flat_map(StayRecords::persons));
            gone.checks.extend(state.extra.iter().flat_map(|extra| &extra.checks));
            self.heap.free(state.block);
            *state = State::default();
            self.superseded.forget(visit.0);
        }
        // What the last batch opened may be gone now.
        self.opened.clear();
        self.places.clear();
        gone
    }

    /// Marks the ids in use at some places.
    pub fn mark(&self, places: Range<usize>, marks: &mut Marks, ids: &Ids, shard: usize) {
        let mut rows = Vec::new();
        for index in places {
            let Some(state) = self.states.get(index).filter(|state| state.due) else {
                continue;
            };
            let visit = VisitId(ids.visits.id_at(shard, index));
            marks.visits.mark(visit.0);
            state.settlements().for_each(|id| marks.settlements.mark(id.0));
            details::open(self.heap.get(state.block), visit, &mut rows, ids);
            details::mark(&rows, marks, ids);
            let Some(extra) = &state.extra else {
                continue;
            };
            extra.deletes.iter().for_each(|row| row.mark(marks));
            extra.records.admission.iter().for_each(|row| row.mark(marks));
            extra.records.discharges.iter().for_each(|row| row.mark(marks));
            extra.records.admission_cancels.iter().for_each(|row| row.mark(marks));
            extra.records.discharge_cancels.iter().for_each(|row| row.mark(marks));
            extra.checks.iter().for_each(|check| marks.checks.mark(check.0));
        }
    }

    /// Takes back what was known of versions of a visit's records that are not kept.
    pub fn restore(&mut self, visit: VisitId, hashes: &[u64]) {
        hashes.iter().for_each(|hash| self.superseded.add(visit.0, *hash));
    }

    /// The visits of which something new came since the last call.
    pub fn take_touched(&mut self) -> Vec<VisitId> {
        std::mem::take(&mut self.touched)
    }

    /// How many places there are, empty ones too.
    pub fn places(&self) -> usize {
        self.states.end()
    }

    /// What was received of a visit; `None` where nothing is.
    pub fn content(&self, visit: VisitId, ids: &Ids) -> Option<VisitContent<'_>> {
        static NONE: StayRecords = StayRecords::NONE;
        let state = self.states.get(ids.visits.index_of(visit.0)).filter(|state| state.due)?;
        let extra = state.extra.as_deref();
        Some(VisitContent {
            visit,
            block: self.heap.get(state.block),
            deletes: extra.map_or(&[], |extra| &extra.deletes),
            records: extra.map_or(&NONE, |extra| &extra.records),
            hashes: self.superseded.hashes(visit.0),
        })
    }

    /// How many versions of fee details are held.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Evaluates the detail filters of new rules on the visits at some places.
    pub fn refilter(&mut self, places: Range<usize>, plan: &Plan, ids: &Ids, shard: usize) {
        let mut rows = Vec::new();
        for index in places {
            let Some(state) = self.states.get(index).filter(|state| state.due) else {
                continue;
            };
            details::open(self.heap.get(state.block), VisitId(ids.visits.id_at(shard, index)), &mut rows, ids);
            let records: Rows<FeeDetail> = rows.iter().map(|row| (0, row.row)).collect();
            let mut same = true;
            for (row, passes) in rows.iter_mut().zip(plan.detail_verdicts(&records, ids)) {
                same &= row.passes == passes;
                row.passes = passes;
            }
            if !same {
                let block = details::close(&rows, &[], 0, ids);
                let state = self.states.entry(index);
                state.block = self.heap.replace(state.block, &block);
            }
        }
    }

    /// The visits at some places, to be told as if everything in them were new.
    pub fn retell(&mut self, places: Range<usize>, ids: &Ids, shard: usize) -> Vec<VisitId> {
        let mut visits = Vec::new();
        for index in places {
            if !self.states.get(index).is_some_and(|state| state.due) {
                continue;
            }
            if let Some(extra) = self.states.entry(index).extra.as_mut() {
                extra.stay = None;
                extra.death = None;
            }
            visits.push(VisitId(ids.visits.id_at(shard, index)));
        }
        visits
    }
}
