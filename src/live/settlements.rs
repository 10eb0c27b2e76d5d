//! Settlements: the kept version of each, and whether it is live (contract, section 1, live records 2 to 4).
//!
//! A shard owns the settlements whose `setl_id` it is given. A batch passes through it in four steps, each of
//! which ends before the next begins in any shard:
//!
//! 1. [`SettlementShard::receive`]: versions arrive; refunds name their targets; visits learn what belongs to them.
//! 2. [`SettlementShard::name_refunds`]: targets learn which refunds name them.
//! 3. Visits pair the refunds that name nobody (see `visits`).
//! 4. [`SettlementShard::settle`]: what is live now, and what changed by the batch.

use super::paged::Paged;
use super::versions::{Receipt, Superseded};
use super::{Mail, Receipts, mail};
use crate::record::decode::Rows;
use crate::record::field::{pack_number, unpack_number};
use crate::record::heap::{Heap, Place};
use crate::record::marks::Marks;
use crate::record::{Day, Ids, InstitutionId, Record, Settlement, SettlementId, VisitId};
use crate::rules::filter::Verdicts;
use crate::rules::rule::{Map, RuleSet};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Range;

/// What is known of a settlement's standing, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Standing(u8);

impl Standing {
    const KEPT: u8 = 1;
    const VALID: u8 = 2;
    /// A valid refund.
    const REFUND: u8 = 4;
    /// A valid refund that names no settlement.
    const UNNAMED: u8 = 8;
    /// Some valid refund names it.
    const NAMED_OUT: u8 = 16;
    /// A refund that names none was paired with it.
    const PAIRED_OUT: u8 = 32;
    /// The batch at hand has already noted how it stood before.
    const NOTED: u8 = 64;

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    fn set(&mut self, bit: u8, on: bool) {
        if on {
            self.0 |= bit;
        } else {
            self.0 &= !bit;
        }
    }

    fn is_taken_out(self) -> bool {
        !self.has(Self::REFUND) && self.0 & (Self::NAMED_OUT | Self::PAIRED_OUT) != 0
    }

    /// Whether rules see it.
    pub fn is_live(self) -> bool {
        self.0 & (Self::KEPT | Self::VALID | Self::REFUND) == Self::KEPT | Self::VALID && !self.is_taken_out()
    }

    /// Whether fee details that carry it are not live: taken out, not valid, or a refund (point 5).
    pub fn ends_details(self) -> bool {
        self.has(Self::KEPT) && !self.is_live()
    }

    /// Whether refund rows that carry it do not count: refunded or not valid (section 5, "Refunds").
    pub fn ends_refund_rows(self) -> bool {
        self.has(Self::KEPT) && (!self.has(Self::VALID) || self.is_taken_out())
    }

    /// Whether it is a valid refund.
    pub fn is_refund(self) -> bool {
        self.has(Self::REFUND)
    }

    /// Whether it is a valid refund that names no settlement.
    pub fn is_unnamed_refund(self) -> bool {
        self.has(Self::UNNAMED)
    }

    /// Whether a refund without a name may be paired with it.
    pub fn can_be_paired(self) -> bool {
        self.0 & (Self::KEPT | Self::VALID | Self::REFUND | Self::NAMED_OUT) == Self::KEPT | Self::VALID
    }
}

#[derive(Default)]
struct State {
    /// The verdicts of the filters, then the kept version.
    row: Place,
    /// The kept version's visit.
    visit: VisitId,
    standing: Standing,
}

/// A live settlement with the verdicts of the settlement filters on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveSettlement {
    /// The record.
    pub row: Settlement,
    /// One bit a filter.
    pub passes: Verdicts,
}

/// How a settlement stood before a batch and stands after it; `None`: not live.
#[derive(Clone, Debug)]
pub struct SettlementChange {
    /// Which.
    pub id: SettlementId,
    /// Before the batch.
    pub before: Option<LiveSettlement>,
    /// After the batch.
    pub after: Option<LiveSettlement>,
}

/// Where and when a valid refund was settled, before a batch and after it; `None`: it is no refund.
#[derive(Clone, Copy, Debug)]
pub struct RefundChange {
    /// Which.
    pub id: SettlementId,
    /// Before the batch.
    pub before: Option<(InstitutionId, Day)>,
    /// After the batch.
    pub after: Option<(InstitutionId, Day)>,
}

/// What a batch changed of a shard's settlements.
pub struct Settled {
    /// Settlements that are or were live.
    pub changes: Vec<SettlementChange>,
    /// Refunds.
    pub refunds: Vec<RefundChange>,
    /// Visits whose details are touched by it.
    pub rechecks: Mail<(VisitId, SettlementId)>,
}

/// A refund that names a settlement, or no longer does.
pub struct Refunder {
    target: SettlementId,
    refund: SettlementId,
    names: bool,
}

/// News for visits about their settlements.
pub enum VisitNews {
    /// A settlement belongs to the visit, or no longer does.
    Belongs(VisitId, SettlementId, bool),
    /// The visit's refunds must be paired again.
    Pair(VisitId),
}

/// A visit's verdict on one of its settlements: whether a refund was paired with it.
pub struct Paired {
    /// The visit that says so.
    pub visit: VisitId,
    /// The settlement.
    pub settlement: SettlementId,
    /// Whether it is taken out.
    pub out: bool,
}

/// The settlements of a shard.
#[derive(Default)]
pub struct SettlementShard {
    states: Paged<State>,
    heap: Heap,
    superseded: Superseded,
    /// The valid refunds that name a settlement.
    refunded_by: Map<SettlementId, SmallVec<[SettlementId; 1]>>,
    /// Visits other than its own whose details carry a settlement, or that did when nothing was known of it.
    named_in: Map<SettlementId, SmallVec<[VisitId; 1]>>,
    /// The sum of `fund_pay_sumamt` of the live settlements of each day, in fen.
    paid: BTreeMap<Day, i64>,
    /// What the batch at hand touches, as it stood before.
    noted: Vec<Noted>,
    /// Settlements of which the batch at hand brought something new.
    touched: Vec<SettlementId>,
}

impl State {
    fn read(&self, heap: &Heap) -> Option<LiveSettlement> {
        let mut packed = self.row.is_some().then(|| heap.get(self.row))?;
        let passes = unpack_number(&mut packed);
        Some(LiveSettlement { row: Settlement::unpack(&Settlement::ABSENT, &mut packed), passes })
    }

    /// As [`State::read`], of what is live or a refund.
    fn read_standing(&self, heap: &Heap) -> Option<LiveSettlement> {
        if self.standing.is_live() || self.standing.is_refund() { self.read(heap) } else { None }
    }

    fn write(&mut self, settlement: &LiveSettlement, heap: &mut Heap) {
        let mut packed = Vec::with_capacity(160);
        pack_number(settlement.passes, &mut packed);
        settlement.row.pack(&Settlement::ABSENT, &mut packed);
        self.row = heap.replace(self.row, &packed);
        self.visit = settlement.row.mdtrt_id;
    }
}

/// A settlement that the batch at hand touches, as it stood before; with its record where it was live or a refund.
type Noted = (SettlementId, Standing, Option<LiveSettlement>);

impl SettlementShard {
    /// The standing of a settlement of this shard.
    fn standing(&self, index: usize) -> Standing {
        self.states.get(index).map_or(Standing::default(), |state| state.standing)
    }

    fn note(state: &mut State, id: SettlementId, heap: &Heap, noted: &mut Vec<Noted>) {
        if !state.standing.has(Standing::NOTED) {
            noted.push((id, state.standing, state.read_standing(heap)));
            state.standing.set(Standing::NOTED, true);
        }
    }

    /// Step 1: receives versions.
    pub fn receive(
        &mut self,
        rows: &Rows<Settlement>,
        rules: &RuleSet,
        ids: &Ids,
        receipts: &Receipts,
    ) -> (Mail<Refunder>, Mail<VisitNews>) {
        let (mut refunders, mut news) = (mail(ids), mail(ids));
        let verdicts = rules.settlement_filters.evaluate(
            &rows.iter().map(|(_, row)| row).collect::<Vec<_>>(),
            ids,
            &rules.classes,
        );
        for ((line, row), passes) in rows.iter().zip(verdicts) {
            let id = row.setl_id;
            let state = self.states.entry(ids.settlements.index_of(id.0));
            let known = state.read(&self.heap);
            let mut kept = known.map(|known| known.row);
            let receipt = self.superseded.receive(id.0, &mut kept, *row, ids);
            receipts.note(*line, receipt);
            if receipt != Receipt::Redelivered {
                self.touched.push(id);
            }
            if receipt == Receipt::Redelivered || kept != Some(*row) {
                continue;
            }
            Self::note(state, id, &self.heap, &mut self.noted);
            let refund = |row: &Settlement| row.is_refund(ids) && row.is_valid(ids);
            let names = |row: &Settlement| row.init_setl_id.get().filter(|_| refund(row));
            if let Some(old) = known.map(|known| known.row) {
                if let Some(target) = names(&old) {
                    let shard = ids.settlements.shard_of(target.0);
                    refunders[shard].push(Refunder { target, refund: id, names: false });
                }
                if old.mdtrt_id != row.mdtrt_id {
                    let shard = ids.visits.shard_of(old.mdtrt_id.0);
                    news[shard].push(VisitNews::Belongs(old.mdtrt_id, id, false));
                    // Details there that carry it must go on hearing of it.
                    self.named_in.entry(id).or_default().push(old.mdtrt_id);
                    state.standing.set(Standing::PAIRED_OUT, false);
                }
            }
            if let Some(target) = names(row) {
                let shard = ids.settlements.shard_of(target.0);
                refunders[shard].push(Refunder { target, refund: id, names: true });
            }
            news[ids.visits.shard_of(row.mdtrt_id.0)].push(VisitNews::Belongs(row.mdtrt_id, id, true));
            state.write(&LiveSettlement { row: *row, passes }, &mut self.heap);
            state.standing.set(Standing::KEPT, true);
            state.standing.set(Standing::VALID, row.is_valid(ids));
            state.standing.set(Standing::REFUND, refund(row));
            state.standing.set(Standing::UNNAMED, refund(row) && names(row).is_none());
        }
        (refunders, news)
    }

    /// Step 2: notes which refunds name which settlements.
    pub fn name_refunds(&mut self, mail: Vec<Refunder>, ids: &Ids) -> Mail<VisitNews> {
        let mut news = super::mail(ids);
        for Refunder { target, refund, names } in mail {
            let refunds = self.refunded_by.entry(target).or_default();
            refunds.retain(|known| *known != refund);
            if names {
                refunds.push(refund);
            }
            let named_out = !refunds.is_empty();
            if !named_out {
                self.refunded_by.remove(&target);
            }
            let state = self.states.entry(ids.settlements.index_of(target.0));
            if state.standing.has(Standing::NAMED_OUT) != named_out {
                Self::note(state, target, &self.heap, &mut self.noted);
                state.standing.set(Standing::NAMED_OUT, named_out);
                if state.standing.has(Standing::KEPT) {
                    news[ids.visits.shard_of(state.visit.0)].push(VisitNews::Pair(state.visit));
                }
            }
        }
        news
    }

    /// Step 4: takes the visits' pairings and tells what changed by the batch.
    pub fn settle(&mut self, mail: Vec<Paired>, ids: &Ids) -> Settled {
        for Paired { visit, settlement, out } in mail {
            let state = self.states.entry(ids.settlements.index_of(settlement.0));
            if state.visit == visit && state.standing.has(Standing::PAIRED_OUT) != out {
                Self::note(state, settlement, &self.heap, &mut self.noted);
                state.standing.set(Standing::PAIRED_OUT, out);
            }
        }
        let (mut changes, mut refunds) = (Vec::with_capacity(self.noted.len()), Vec::new());
        let mut rechecks = super::mail(ids);
        for (id, before_standing, before) in self.noted.drain(..) {
            let state = self.states.entry(ids.settlements.index_of(id.0));
            state.standing.set(Standing::NOTED, false);
            let standing = state.standing;
            let after = state.read_standing(&self.heap);
            if before_standing.ends_details() != standing.ends_details()
                || before_standing.ends_refund_rows() != standing.ends_refund_rows()
            {
                let elsewhere = self.named_in.get(&id).into_iter().flatten();
                for visit in elsewhere.chain(Some(&state.visit)) {
                    rechecks[ids.visits.shard_of(visit.0)].push((*visit, id));
                }
            }
            let refund = RefundChange { id, before: refund(before_standing, before), after: refund(standing, after) };
            if refund.before != refund.after {
                refunds.push(refund);
            }
            let live = |standing: Standing, row: Option<LiveSettlement>| row.filter(|_| standing.is_live());
            let (before, after) = (live(before_standing, before), live(standing, after));
            if before != after {
                for (side, sign) in [(&before, -1), (&after, 1)] {
                    if let Some(LiveSettlement { row, .. }) = side {
                        *self.paid.entry(row.setl_time.day()).or_default() += sign * row.fund_pay_sumamt.units();
                    }
                }
                changes.push(SettlementChange { id, before, after });
            }
        }
        Settled { changes, refunds, rechecks }
    }

    /// The valid refunds at some places, as if they were new.
    pub fn refunds(&self, places: Range<usize>) -> impl Iterator<Item = RefundChange> + '_ {
        places.filter_map(|place| {
            let state = self.states.get(place)?;
            let row = state.read_standing(&self.heap)?;
            let after = refund(state.standing, Some(row))?;
            Some(RefundChange { id: row.row.setl_id, before: None, after: Some(after) })
        })
    }

    /// What the fund paid in the live settlements of a day that is retained, in fen.
    pub fn paid_on(&self, day: Day) -> i64 {
        self.paid.get(&day).copied().unwrap_or(0)
    }

    /// Drops the sums of the days before the horizon.
    pub fn forget_before(&mut self, horizon: Day) {
        self.paid = self.paid.split_off(&horizon);
    }

    /// Notes visits whose details carry settlements that are not known to be theirs.
    pub fn name_visits(&mut self, mail: Vec<(SettlementId, VisitId)>) {
        for (settlement, visit) in mail {
            let visits = self.named_in.entry(settlement).or_default();
            if !visits.contains(&visit) {
                visits.push(visit);
            }
        }
    }

    /// Evaluates the settlement filters of new rules on the settlements at some places.
    pub fn refilter(&mut self, places: Range<usize>, rules: &RuleSet, ids: &Ids) {
        let known: Vec<(usize, LiveSettlement)> =
            places.filter_map(|place| Some((place, self.states.get(place)?.read(&self.heap)?))).collect();
        let rows: Vec<&Settlement> = known.iter().map(|(_, settlement)| &settlement.row).collect();
        let verdicts = rules.settlement_filters.evaluate(&rows, ids, &rules.classes);
        for ((place, settlement), passes) in known.into_iter().zip(verdicts) {
            if passes != settlement.passes {
                self.states.entry(place).write(&LiveSettlement { passes, ..settlement }, &mut self.heap);
            }
        }
    }

    /// Tells all that is live at some places as if it were new.
    pub fn retell(&self, places: Range<usize>) -> Vec<SettlementChange> {
        let live = places.filter_map(|place| self.states.get(place).filter(|state| state.standing.is_live()));
        let rows = live.filter_map(|state| state.read(&self.heap));
        rows.map(|live| SettlementChange { id: live.row.setl_id, before: None, after: Some(live) }).collect()
    }

    /// Takes back what was known of versions of a settlement that are not kept.
    pub fn restore(&mut self, id: SettlementId, hashes: &[u64]) {
        hashes.iter().for_each(|hash| self.superseded.add(id.0, *hash));
    }

    /// The settlements of which something new came since the last call.
    pub fn take_touched(&mut self) -> Vec<SettlementId> {
        std::mem::take(&mut self.touched)
    }

    /// How many places there are, empty ones too.
    pub fn places(&self) -> usize {
        self.states.end()
    }

    /// The kept version at a place, with the hashes of those that are not kept.
    pub fn content(&self, index: usize) -> Option<(Settlement, &[u64])> {
        let row = self.states.get(index)?.read(&self.heap)?.row;
        Some((row, self.superseded.hashes(row.setl_id.0)))
    }

    /// Marks the ids in use at some places.
    pub fn mark(&self, places: Range<usize>, marks: &mut Marks) {
        for index in places {
            if let Some(live) = self.states.get(index).and_then(|state| state.read(&self.heap)) {
                live.row.mark(marks);
            }
        }
    }

    /// Marks the ids in use beside settlements.
    pub fn mark_names(&self, marks: &mut Marks) {
        for (target, refunds) in &self.refunded_by {
            refunds.iter().chain(Some(target)).for_each(|id| marks.settlements.mark(id.0));
        }
        for (id, visits) in &self.named_in {
            marks.settlements.mark(id.0);
            visits.iter().for_each(|visit| marks.visits.mark(visit.0));
        }
    }

    /// Forgets a settlement for good.
    pub fn forget(&mut self, id: SettlementId, ids: &Ids) {
        let state = std::mem::take(self.states.entry(ids.settlements.index_of(id.0)));
        self.heap.free(state.row);
        self.superseded.forget(id.0);
        self.refunded_by.remove(&id);
        self.named_in.remove(&id);
    }
}

/// Where and when a settlement was made, if it is a valid refund.
fn refund(standing: Standing, row: Option<LiveSettlement>) -> Option<(InstitutionId, Day)> {
    row.filter(|_| standing.is_refund()).map(|refund| (refund.row.fixmedins_code, refund.row.setl_time.day()))
}

/// All settlements, to read.
#[derive(Clone, Copy)]
pub struct Settlements<'a> {
    /// By shard.
    pub shards: &'a [SettlementShard],
    /// The tables of ids.
    pub ids: &'a Ids,
}

impl Settlements<'_> {
    fn shard(&self, id: SettlementId) -> &SettlementShard {
        &self.shards[self.ids.settlements.shard_of(id.0)]
    }

    fn state(&self, id: SettlementId) -> Option<&State> {
        self.shard(id).states.get(self.ids.settlements.index_of(id.0))
    }

    /// How a settlement stands.
    pub fn standing(&self, id: SettlementId) -> Standing {
        self.shard(id).standing(self.ids.settlements.index_of(id.0))
    }

    /// The kept version, live or not.
    pub fn kept(&self, id: SettlementId) -> Option<Settlement> {
        Some(self.state(id)?.read(&self.shard(id).heap)?.row)
    }

    /// A settlement, if it is live.
    pub fn live(&self, id: SettlementId) -> Option<LiveSettlement> {
        self.state(id).filter(|state| state.standing.is_live())?.read(&self.shard(id).heap)
    }

    /// The visit of the kept version; absent where nothing is known of the settlement.
    pub fn visit(&self, id: SettlementId) -> VisitId {
        self.state(id).map_or(VisitId::ABSENT, |state| state.visit)
    }

    /// Whether anything is known of a settlement.
    pub fn is_known(&self, id: SettlementId) -> bool {
        self.state(id).is_some_and(|state| state.row.is_some())
    }

    /// The visits other than its own whose details may carry it.
    pub fn named_in(&self, id: SettlementId) -> &[VisitId] {
        self.shard(id).named_in.get(&id).map_or(&[], |visits| visits)
    }
}
