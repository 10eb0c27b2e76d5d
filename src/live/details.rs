//! Fee details of a visit: versions, deletes and refund rows, and what is live of them (contract, section 1,
//! live records 5 to 7).
//!
//! A visit's details lie packed in one block, in the order of their serial numbers: each row as its difference from
//! what the row before it lets one expect. A block is opened as a whole when something about the visit changes.

use super::settlements::Settlements;
use super::versions::{Receipt, Superseded, compare_content};
use crate::record::field::{pack_number, unpack_number};
use crate::record::items::Item;
use crate::record::marks::Marks;
use crate::record::types::Layout;
use crate::record::{FeeDetail, FeeDetailDelete, Ids, Money, Record, Serial, SettlementId, Time, VisitId};
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

/// A row as it is packed: its item by number, and what follows from other fields mostly as nothing.
#[derive(Clone, Copy)]
struct Packing {
    passes: Verdicts,
    item: u32,
    /// Without the item; the amount as its difference from count times price, the amount in scope as its difference
    /// from the amount.
    rest: FeeDetail,
}

/// `value - base` where both are there.
fn less(value: i64, base: i64) -> i64 {
    if value == i64::MIN || base == i64::MIN { value } else { value.wrapping_sub(base) }
}

fn plus(value: i64, base: i64) -> i64 {
    if value == i64::MIN || base == i64::MIN { value } else { value.wrapping_add(base) }
}

impl Packing {
    /// The bits below those of the fields: other verdicts, another item.
    const OWN_BITS: u32 = 2;

    /// What stands before the first row of a visit.
    const fn first(visit: VisitId) -> Self {
        Self { passes: 0, item: 0, rest: FeeDetail { mdtrt_id: visit, ..FeeDetail::ABSENT } }
    }

    fn of(DetailRow { row, passes }: &DetailRow, ids: &Ids) -> Self {
        let mut rest = *row;
        let item = Item::take(&mut rest);
        rest.det_item_fee_sumamt = Money::from_raw(less(row.det_item_fee_sumamt.raw(), expected_amount(row)));
        rest.inscp_scp_amt = Money::from_raw(less(row.inscp_scp_amt.raw(), row.det_item_fee_sumamt.raw()));
        Self { passes: *passes, item: ids.items.intern(&item), rest }
    }

    fn row(&self, item: Item) -> DetailRow {
        let mut row = self.rest;
        item.put(&mut row);
        row.det_item_fee_sumamt = Money::from_raw(plus(row.det_item_fee_sumamt.raw(), expected_amount(&row)));
        row.inscp_scp_amt = Money::from_raw(plus(row.inscp_scp_amt.raw(), row.det_item_fee_sumamt.raw()));
        DetailRow { row, passes: self.passes }
    }

    /// What the row after this one is expected to be.
    fn next(mut self) -> Self {
        self.rest.feedetl_sn = self.rest.feedetl_sn.next();
        self
    }

    fn pack(&self, before: &Self, out: &mut Vec<u8>) {
        let before = before.next();
        let changes = self.rest.changes(&before.rest);
        let (verdicts, item) = (self.passes != before.passes, self.item != before.item);
        pack_number(changes << Self::OWN_BITS | u64::from(item) << 1 | u64::from(verdicts), out);
        if verdicts {
            // The marks of items are the highest bits.
            pack_number((self.passes ^ before.passes).rotate_left(2), out);
        }
        if item {
            pack_number(u64::from(self.item), out);
        }
        self.rest.pack_changes(changes, &before.rest, out);
    }

    fn unpack(before: &Self, layout: &Layout, packed: &mut &[u8]) -> Self {
        let before = before.next();
        let changes = unpack_number(packed);
        let passes = before.passes ^ if changes & 1 != 0 { unpack_number(packed).rotate_right(2) } else { 0 };
        let item = if changes & 2 != 0 { unpack_number(packed) as u32 } else { before.item };
        let rest = layout.unpack_changes(changes >> Self::OWN_BITS, &before.rest, packed);
        Self { passes, item, rest }
    }
}

/// Count times price, in fen; 0 where that is more than an amount can be.
fn expected_amount(row: &FeeDetail) -> i64 {
    // cnt is in 10^-4, pric in 10^-6, the product in 10^-10 yuan.
    const FEN: i128 = 100_000_000;
    const MOST: i64 = 10_000_000_000_000_000;
    let product = i128::from(row.cnt.units()) * i128::from(row.pric.units());
    let rounded = (product + product.signum() * FEN / 2) / FEN;
    i64::try_from(rounded).ok().filter(|amount| (-MOST..MOST).contains(amount)).unwrap_or(0)
}

/// Opens a block.
pub fn open(block: &[u8], visit: VisitId, rows: &mut Vec<DetailRow>, ids: &Ids) {
    let items = ids.items.known();
    unpack(block, visit, &Layout::default(), |item| items.get(item), rows);
}

/// Unpacks a block of a layout, with what stands behind its numbers of items.
pub fn unpack(block: &[u8], visit: VisitId, layout: &Layout, item: impl Fn(u32) -> Item, rows: &mut Vec<DetailRow>) {
    rows.clear();
    let mut packed = block;
    let mut before = Packing::first(visit);
    while !packed.is_empty() {
        before = Packing::unpack(&before, layout, &mut packed);
        rows.push(before.row(item(before.item)));
    }
}

/// Closes rows to a block; `old` is the block that the first `same` rows came from, in full.
pub fn close(rows: &[DetailRow], old: &[u8], same: usize, ids: &Ids) -> Vec<u8> {
    let mut block = Vec::with_capacity(old.len() + (rows.len() - same) * 24);
    block.extend_from_slice(old);
    let first = rows.first().map_or(VisitId::ABSENT, |row| row.row.mdtrt_id);
    let mut before = same.checked_sub(1).map_or(Packing::first(first), |last| Packing::of(&rows[last], ids));
    for row in &rows[same..] {
        let row = Packing::of(row, ids);
        row.pack(&before, &mut block);
        before = row;
    }
    block
}

/// Marks the ids that rows hold.
pub fn mark(rows: &[DetailRow], marks: &mut Marks, ids: &Ids) {
    for row in rows {
        row.row.mark(marks);
        marks.items.mark(Packing::of(row, ids).item);
    }
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
    if known.iter().any(|known| known.row == new.row) || superseded.contains(owner, &new.row, ids) {
        return nothing(Receipt::Redelivered);
    }
    match new.row.updt_time.cmp(&known[0].row.updt_time) {
        Ordering::Less => {
            superseded.note(owner, &new.row, ids);
            nothing(Receipt::Revision)
        }
        Ordering::Greater => {
            let start = range.start;
            let replaced: Vec<DetailRow> = rows.splice(range, [new]).collect();
            for old in &replaced {
                superseded.note(owner, &old.row, ids);
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
                superseded.note(owner, &new.row, ids);
                return nothing(Receipt::Revision);
            }
            let old = std::mem::replace(&mut rows[rival], new);
            superseded.note(owner, &old.row, ids);
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
    /// Net `det_item_fee_sumamt` in fen.
    pub fee: i64,
}

/// A fee detail with a net `cnt` below 0, which is not live.
#[derive(Clone, Debug, PartialEq)]
pub struct OverRefund {
    /// The detail as billed.
    pub detail: FeeDetail,
    /// The refund rows that count, as billed.
    pub refunds: Vec<FeeDetail>,
}

/// The live details of a visit.
#[derive(Default, Debug)]
pub struct LiveDetails {
    /// In the order of their serial numbers.
    pub details: Vec<LiveDetail>,
    /// Details of which more is given back than was billed: a finding about the data.
    pub over_refunds: Vec<OverRefund>,
}

/// Finds what is live among the versions of a visit's details.
pub fn live(rows: &[DetailRow], deletes: &[FeeDetailDelete], settlements: Settlements<'_>, out: &mut LiveDetails) {
    let ids = settlements.ids;
    out.details.clear();
    out.over_refunds.clear();
    let mut standings = Standings { settlements, last: None };
    let mut refunds: Vec<FeeDetail> = Vec::new();
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
            refunds.push(*row);
        } else if row.is_valid(ids)
            && row.cnt.units() > 0
            && !standings.of(row.setl_id).ends_details()
            && !deletes.iter().any(|delete| takes_out(delete, row, ids))
        {
            out.details.push(LiveDetail {
                row: *row,
                passes: kept.passes,
                cnt: row.cnt.units(),
                inscp: row.inscp(),
                fee: row.det_item_fee_sumamt.units(),
            });
        }
    }
    if refunds.is_empty() {
        return;
    }
    refunds.retain(|row| {
        row.is_valid(ids)
            && !standings.of(row.setl_id).ends_refund_rows()
            && !deletes.iter().any(|delete| takes_out(delete, row, ids))
    });
    for row in &refunds {
        // A refund row of a refund row has no effect: those are not among the details.
        let original = out.details.binary_search_by_key(&row.init_feedetl_sn, |detail| detail.row.feedetl_sn);
        if let Ok(original) = original {
            out.details[original].cnt += row.cnt.units();
            out.details[original].inscp += row.inscp();
            out.details[original].fee += row.det_item_fee_sumamt.units();
        }
    }
    for LiveDetail { row: detail, .. } in out.details.iter().filter(|detail| detail.cnt < 0) {
        let of_detail = refunds.iter().filter(|row| row.init_feedetl_sn == detail.feedetl_sn);
        out.over_refunds.push(OverRefund { detail: *detail, refunds: of_detail.copied().collect() });
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Code, Price, Quantity};
    use proptest::prelude::*;

    fn amounts() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MIN), Just(0), -100_000_i64..100_000, -9_999_999_999_999_999_i64..=9_999_999_999_999_999]
    }

    prop_compose! {
        fn detail()(
            (sn, code, item) in (0_u32..40, 0_u32..3, 0_u32..9), (cnt, pric, amount, inscp) in (amounts(), amounts(), amounts(), amounts()),
            (ocur, updt) in (prop_oneof![0_i64..200, -5_000_000_000_i64..5_000_000_000], prop_oneof![Just(i64::MIN), 0_i64..200]), passes in prop_oneof![Just(0), any::<u64>()],
        ) -> (u32, DetailRow) {
            let row = FeeDetail {
                bilg_dr_codg: Code(code),
                med_list_codg: Code(item),
                cnt: Quantity::from_raw(cnt),
                pric: Price::from_raw(pric),
                det_item_fee_sumamt: Money::from_raw(amount),
                inscp_scp_amt: Money::from_raw(inscp),
                fee_ocur_time: Time(ocur),
                updt_time: Time(updt),
                mdtrt_id: VisitId(1),
                ..FeeDetail::ABSENT
            };
            (sn, DetailRow { row, passes })
        }
    }

    proptest! {
        #[test]
        fn a_block_gives_back_its_rows(details in prop::collection::vec(detail(), 0..30), cut in 0_usize..30) {
            let ids = Ids::new(1);
            let rows: Vec<DetailRow> = details
                .into_iter()
                .map(|(sn, mut row)| {
                    row.row.feedetl_sn = Serial::intern(&sn.to_string(), &ids);
                    row
                })
                .collect();
            let cut = cut.min(rows.len());
            let first = close(&rows[..cut], &[], 0, &ids);
            let block = close(&rows, &first, cut, &ids);
            prop_assert_eq!(&block, &close(&rows, &[], 0, &ids), "appended or written at once, a block is the same");
            let mut opened = Vec::new();
            open(&block, VisitId(1), &mut opened, &ids);
            prop_assert_eq!(opened, rows);
        }
    }
}
