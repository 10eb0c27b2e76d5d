//! Fee details of a visit: versions, deletes and refund rows, and what is live of them (contract, section 1,
//! live records 5 to 7).
//!
//! A visit's details lie packed in one block, each row as its difference from the row before it, in the order
//! of their serial numbers. A block is opened as a whole when something about the visit changes.

use super::settlements::Settlements;
use super::versions::{Receipt, Superseded, compare_content};
use crate::record::field::{pack_number, unpack_number};
use crate::record::{FeeDetail, FeeDetailDelete, Ids, Record, Serial, SettlementId, Time};
use crate::rules::filter::Verdicts;
use std::cmp::Ordering;
use std::ops::Range;

/// A version of a detail with the verdicts of the detail filters on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetailRow {
    /// The record.
    pub row: FeeDetail,
    /// One bit a filter.
    pub passes: Verdicts,
}

impl DetailRow {
    const ABSENT: Self = Self { row: FeeDetail::ABSENT, passes: 0 };

    fn pack(&self, before: &Self, out: &mut Vec<u8>) {
        pack_number(self.passes ^ before.passes, out);
        self.row.pack(&before.row, out);
    }

    fn unpack(before: &Self, packed: &mut &[u8]) -> Self {
        let passes = unpack_number(packed) ^ before.passes;
        Self { passes, row: FeeDetail::unpack(&before.row, packed) }
    }
}

/// Opens a block.
pub fn open(block: &[u8], rows: &mut Vec<DetailRow>) {
    rows.clear();
    let mut packed = block;
    let mut before = DetailRow::ABSENT;
    while !packed.is_empty() {
        before = DetailRow::unpack(&before, &mut packed);
        rows.push(before);
    }
}

/// Closes rows to a block; `old` is the block that the first `same` rows came from, in full.
pub fn close(rows: &[DetailRow], old: &[u8], same: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(old.len() + (rows.len() - same) * 48);
    block.extend_from_slice(old);
    let mut before = same.checked_sub(1).map_or(DetailRow::ABSENT, |last| rows[last]);
    for row in &rows[same..] {
        row.pack(&before, &mut block);
        before = *row;
    }
    block
}

/// What the arrival of a version did to the rows of its visit.
pub struct Arrival {
    /// What the record was.
    pub receipt: Receipt,
    /// The first row that is not as it was; `None` where all are.
    pub changed_from: Option<usize>,
    /// Versions that were replaced.
    pub replaced: Vec<DetailRow>,
}

/// The versions of a serial number.
fn versions(rows: &[DetailRow], serial: Serial) -> Range<usize> {
    // Serials mostly arrive in rising order.
    if rows.last().is_none_or(|last| last.row.feedetl_sn < serial) {
        return rows.len()..rows.len();
    }
    let start = rows.partition_point(|row| row.row.feedetl_sn < serial);
    let length = rows[start..].iter().take_while(|row| row.row.feedetl_sn == serial).count();
    start..start + length
}

/// Receives a version. Which version is kept may change with the standing of settlements, so of versions with
/// the same `updt_time` one is held for each `setl_id`; older ones can never be kept again.
pub fn receive(rows: &mut Vec<DetailRow>, new: DetailRow, superseded: &mut Superseded, ids: &Ids) -> Arrival {
    let owner = new.row.mdtrt_id.0;
    let range = versions(rows, new.row.feedetl_sn);
    let nothing = |receipt| Arrival { receipt, changed_from: None, replaced: Vec::new() };
    if range.is_empty() {
        rows.insert(range.start, new);
        return Arrival { receipt: Receipt::New, changed_from: Some(range.start), replaced: Vec::new() };
    }
    let known = &rows[range.clone()];
    if known.iter().any(|known| known.row == new.row) || superseded.contains(owner, &new.row) {
        return nothing(Receipt::Redelivered);
    }
    match new.row.updt_time.cmp(&known[0].row.updt_time) {
        Ordering::Less => {
            superseded.note(owner, &new.row);
            nothing(Receipt::Revision)
        }
        Ordering::Greater => {
            let start = range.start;
            let replaced: Vec<DetailRow> = rows.splice(range, [new]).collect();
            for old in &replaced {
                superseded.note(owner, &old.row);
            }
            Arrival { receipt: Receipt::Revision, changed_from: Some(start), replaced }
        }
        Ordering::Equal => {
            let Some(rival) = known.iter().position(|known| known.row.setl_id == new.row.setl_id) else {
                rows.insert(range.start, new);
                return Arrival { receipt: Receipt::Revision, changed_from: Some(range.start), replaced: Vec::new() };
            };
            let rival = range.start + rival;
            if compare_content(&new.row, &rows[rival].row, ids) == Ordering::Less {
                superseded.note(owner, &new.row);
                return nothing(Receipt::Revision);
            }
            let old = std::mem::replace(&mut rows[rival], new);
            superseded.note(owner, &old.row);
            Arrival { receipt: Receipt::Revision, changed_from: Some(rival), replaced: vec![old] }
        }
    }
}

/// A live fee detail, net of its refund rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveDetail {
    /// The record as billed.
    pub row: FeeDetail,
    /// One bit a filter.
    pub passes: Verdicts,
    /// Net `cnt` in 10^-4.
    pub cnt: i64,
    /// Net `inscp` in fen.
    pub inscp: i64,
}

/// The live details of a visit.
#[derive(Default, Debug)]
pub struct LiveDetails {
    /// In the order of their serial numbers.
    pub details: Vec<LiveDetail>,
    /// Details whose refunds exceed them: a finding about the data.
    pub below_zero: u32,
}

/// Finds what is live among the versions of a visit's details.
pub fn live(rows: &[DetailRow], deletes: &[FeeDetailDelete], settlements: Settlements<'_>, out: &mut LiveDetails) {
    let ids = settlements.ids;
    out.details.clear();
    out.below_zero = 0;
    let mut standings = Standings { settlements, last: None };
    let mut refunds: Vec<DetailRow> = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let serial = rows[at].row.feedetl_sn;
        let mut kept = rows[at];
        at += 1;
        while rows.get(at).is_some_and(|row| row.row.feedetl_sn == serial) {
            // Among versions of equal time one whose settlement is not live loses.
            let ended = |row: &DetailRow, standings: &mut Standings<'_>| standings.of(row.row.setl_id).ends_details();
            let order = ended(&kept, &mut standings)
                .cmp(&ended(&rows[at], &mut standings))
                .then_with(|| compare_content(&rows[at].row, &kept.row, ids));
            if order == Ordering::Greater {
                kept = rows[at];
            }
            at += 1;
        }
        let row = &kept.row;
        if row.init_feedetl_sn.get().is_some() {
            refunds.push(kept);
        } else if row.is_valid(ids)
            && row.cnt.units() > 0
            && !standings.of(row.setl_id).ends_details()
            && !deletes.iter().any(|delete| takes_out(delete, row, ids))
        {
            out.details.push(LiveDetail { row: *row, passes: kept.passes, cnt: row.cnt.units(), inscp: row.inscp() });
        }
    }
    if refunds.is_empty() {
        return;
    }
    for DetailRow { row, .. } in refunds {
        let counts = row.is_valid(ids)
            && !standings.of(row.setl_id).ends_refund_rows()
            && !deletes.iter().any(|delete| takes_out(delete, &row, ids));
        // A refund row of a refund row has no effect: those are not among the details.
        let original = out.details.binary_search_by_key(&row.init_feedetl_sn, |detail| detail.row.feedetl_sn);
        if let (true, Ok(original)) = (counts, original) {
            out.details[original].cnt += row.cnt.units();
            out.details[original].inscp += row.inscp();
        }
    }
    out.below_zero = out.details.iter().filter(|detail| detail.cnt < 0).count() as u32;
    out.details.retain(|detail| detail.cnt > 0);
}

/// Whether a delete takes out the kept version of a detail.
fn takes_out(delete: &FeeDetailDelete, row: &FeeDetail, ids: &Ids) -> bool {
    // The wildcard of both fields.
    let all = Serial::intern("0000", ids);
    let fits = |wanted: Serial, value: Serial| wanted.get().is_none() || wanted == all || wanted == value;
    row.setl_id.get().is_none()
        && delete.is_valid(ids)
        && fits(delete.feedetl_sn, row.feedetl_sn)
        && fits(delete.chrg_bchno, row.chrg_bchno)
        && !matches!((delete.updt_time.get(), row.updt_time.get()), (Some(delete), Some(row)) if row > delete)
}

/// Standings of settlements; details that follow each other mostly carry the same one.
struct Standings<'a> {
    settlements: Settlements<'a>,
    last: Option<(SettlementId, super::settlements::Standing)>,
}

impl Standings<'_> {
    fn of(&mut self, id: SettlementId) -> super::settlements::Standing {
        if id.get().is_none() {
            return super::settlements::Standing::default();
        }
        match self.last {
            Some((last, standing)) if last == id => standing,
            _ => {
                let standing = self.settlements.standing(id);
                self.last = Some((id, standing));
                standing
            }
        }
    }
}

/// The latest time of a visit's details, live or not, for retention.
pub fn latest(rows: &[DetailRow]) -> Time {
    rows.iter().map(|row| row.row.fee_ocur_time).max().unwrap_or(Time::ABSENT)
}
