//! Presence checks: the kept version of each, by `check_id`.

use super::paged::Paged;
use super::versions::{Receipt, Superseded, pack};
use super::{Mail, Receipts, mail};
use crate::record::decode::Rows;
use crate::record::heap::{Heap, Place};
use crate::record::marks::Marks;
use crate::record::{CheckId, Ids, Presence, Record, VisitId};
use std::ops::Range;

/// Tells a visit that a check belongs to it, or no longer does, or has changed.
pub struct CheckNews {
    /// The visit.
    pub visit: VisitId,
    /// The check.
    pub check: CheckId,
    /// Whether it belongs to it.
    pub belongs: bool,
}

/// The checks of a shard.
#[derive(Default)]
pub struct CheckShard {
    rows: Paged<Place>,
    heap: Heap,
    superseded: Superseded,
    /// Checks that the batch at hand changed.
    touched: Vec<CheckId>,
}

impl CheckShard {
    fn read(&self, index: usize) -> Option<Presence> {
        let place = self.rows.get(index).filter(|place| place.is_some())?;
        Some(Presence::unpack(&Presence::ABSENT, &mut self.heap.get(*place)))
    }

    /// Receives versions and tells the visits.
    pub fn receive(&mut self, rows: &Rows<Presence>, ids: &Ids, receipts: &Receipts) -> Mail<CheckNews> {
        let mut news = mail(ids);
        for (line, row) in rows {
            let index = ids.checks.index_of(row.check_id.0);
            let known = self.read(index);
            let mut kept = known;
            let receipt = self.superseded.receive(row.check_id.0, &mut kept, *row, ids);
            receipts.note(*line, receipt);
            if receipt != Receipt::Redelivered {
                self.touched.push(row.check_id);
            }
            if receipt == Receipt::Redelivered || kept != Some(*row) {
                continue;
            }
            let mut tell = |visit: VisitId, belongs| {
                news[ids.visits.shard_of(visit.0)].push(CheckNews { visit, check: row.check_id, belongs });
            };
            if let Some(old) = known.filter(|old| old.mdtrt_id != row.mdtrt_id) {
                tell(old.mdtrt_id, false);
            }
            tell(row.mdtrt_id, true);
            let place = self.rows.entry(index);
            *place = self.heap.replace(*place, &pack(row));
        }
        news
    }

    /// Takes back what was known of versions of a check that are not kept.
    pub fn restore(&mut self, check: CheckId, hashes: &[u64]) {
        hashes.iter().for_each(|hash| self.superseded.add(check.0, *hash));
    }

    /// The checks that changed since the last call.
    pub fn take_touched(&mut self) -> Vec<CheckId> {
        std::mem::take(&mut self.touched)
    }

    /// How many places there are, empty ones too.
    pub fn places(&self) -> usize {
        self.rows.end()
    }

    /// The check at a place, with the hashes of its versions that are not kept.
    pub fn content(&self, index: usize) -> Option<(Presence, &[u64])> {
        let row = self.read(index)?;
        Some((row, self.superseded.hashes(row.check_id.0)))
    }

    /// Marks the ids in use at some places.
    pub fn mark(&self, places: Range<usize>, marks: &mut Marks) {
        places.filter_map(|index| self.read(index)).for_each(|row| row.mark(marks));
    }

    /// Forgets a check for good.
    pub fn forget(&mut self, check: CheckId, ids: &Ids) {
        self.heap.free(std::mem::take(self.rows.entry(ids.checks.index_of(check.0))));
        self.superseded.forget(check.0);
    }
}

/// All checks, to read.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// By shard.
    pub shards: &'a [CheckShard],
    /// The tables of ids.
    pub ids: &'a Ids,
}

impl Checks<'_> {
    /// The kept version of a check.
    pub fn kept(&self, check: CheckId) -> Option<Presence> {
        let table = &self.ids.checks;
        self.shards[table.shard_of(check.0)].read(table.index_of(check.0))
    }
}
