//! Visits: everything that hangs on a `mdtrt_id`.
//!
//! A shard owns the visits it is given. In a batch it pairs refunds that name no settlement
//! ([`VisitShard::pair`]), then receives what arrived and finds what is live now ([`VisitShard::receive`]). What it
//! tells the timelines is the cause of a change, not its effect: whoever is told looks again at the live facts, by
//! [`read::Visits`]. What becomes of visits between batches is in [`hold`].

pub mod hold;
pub mod read;

use super::checks::{CheckNews, Checks};
use super::details::{self, DetailRow, LiveDetails};
use super::paged::Paged;
use super::settlements::{Paired, Settlements, VisitNews};
use super::stays::{Stay, StayRecords};
use super::versions::{Receipt, Superseded};
use super::{Mail, Receipts, mail};
use crate::detect::plan::{DAY_ITEM, Plan};
use crate::record::decode::{Line, Rows};
use crate::record::heap::{Heap, Place};
use crate::record::{
    Admission, AdmissionCancel, CheckId, Day, Discharge, DischargeCancel, FeeDetail, FeeDetailDelete, Ids,
    InstitutionId, PersonId, Record, Settlement, SettlementId, Time, VisitId,
};
use crate::rules::rule::Map;
use std::collections::BTreeMap;

#[derive(Default)]
struct State {
    /// The packed details.
    block: Place,
    /// Whether the shard knows when it may be over.
    due: bool,
    /// The first of its settlements; most visits have no more.
    settlement: SettlementId,
    /// What most visits do not have.
    extra: Option<Box<Extra>>,
}

#[derive(Default)]
struct Extra {
    /// Settlements beside the first.
    settlements: Vec<SettlementId>,
    /// Settlements with which refunds that name none are paired.
    paired: Vec<SettlementId>,
    deletes: Vec<FeeDetailDelete>,
    records: StayRecords,
    checks: Vec<CheckId>,
    /// The stay as it was last told to the timelines.
    stay: Option<Stay>,
    /// The death as it was last told to the timelines.
    death: Option<(PersonId, Day)>,
}

impl State {
    fn settlements(&self) -> impl Iterator<Item = SettlementId> + '_ {
        let more = self.extra.iter().flat_map(|extra| extra.settlements.iter().copied());
        self.settlement.get().into_iter().chain(more)
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The latest time of what hangs on it, its details apart.
    fn latest(&self, settlements: Settlements<'_>, checks: Checks<'_>) -> Time {
        let settled = self.settlements().filter_map(|id| settlements.kept(id)).map(|row| row.setl_time);
        let extra = self.extra.as_ref();
        let seen = extra.iter().flat_map(|extra| &extra.checks).filter_map(|check| checks.kept(*check));
        let stay = extra.map_or(Time::ABSENT, |extra| extra.records.latest());
        settled.chain(seen.map(|check| check.check_time)).chain(Some(stay)).max().unwrap_or(Time::ABSENT)
    }
}

/// A visit that the batch at hand touches, unpacked.
pub struct OpenVisit {
    /// Which.
    pub visit: VisitId,
    rows: Vec<DetailRow>,
    /// How many rows its block held, and the first row that is not as it was there.
    held: usize,
    changed_from: usize,
    /// All its details must be looked at again.
    recheck: bool,
    /// The live details.
    pub live: LiveDetails,
}

/// A stay before and after a batch.
pub struct StayChange {
    /// As last told; `None`: there was none.
    pub before: Option<Stay>,
    /// As it is.
    pub after: Option<Stay>,
}

impl StayChange {
    /// Whether it began elsewhere, for another person or at another time than it was told, or there was none, or is none.
    pub fn is_of_admission(&self) -> bool {
        let admission = |stay: &Option<Stay>| stay.map(|stay| (stay.person, stay.institution, stay.begin));
        admission(&self.before) != admission(&self.after)
    }

    /// Whether what is known of its end is not what was told.
    pub fn is_of_discharge(&self) -> bool {
        let ended = |stay: &Option<Stay>| stay.filter(Stay::is_discharged).map(|stay| stay.end);
        self.is_of_admission() || ended(&self.before) != ended(&self.after)
    }
}

/// What the visits of a shard tell others after a batch.
pub struct VisitMail {
    /// Days of persons on which a detail that a rule reads changed, by person.
    pub days: Mail<(PersonId, Day, VisitId)>,
    /// Settlements whose items may have changed, by their person.
    pub items: Mail<(PersonId, InstitutionId, Time)>,
    /// Persons whose visit's settlements changed while it is a stay.
    pub funds: Mail<PersonId>,
    /// Persons of whom a discharge states, or no longer states, a date of death, by person.
    pub deaths: Mail<(PersonId, VisitId)>,
    /// Settlements that details carry without being known to be of the same visit, by settlement.
    pub named: Mail<(SettlementId, VisitId)>,
    /// Stays that changed.
    pub stays: Vec<StayChange>,
}

/// What arrives for the visits of a shard.
pub struct VisitInput<'a> {
    /// Records of the batch.
    pub details: Vec<&'a Rows<FeeDetail>>,
    /// Records of the batch.
    pub deletes: Vec<&'a Rows<FeeDetailDelete>>,
    /// Records of the batch.
    pub admissions: Vec<&'a Rows<Admission>>,
    /// Records of the batch.
    pub discharges: Vec<&'a Rows<Discharge>>,
    /// Records of the batch.
    pub admission_cancels: Vec<&'a Rows<AdmissionCancel>>,
    /// Records of the batch.
    pub discharge_cancels: Vec<&'a Rows<DischargeCancel>>,
    /// Visits whose details carry a settlement whose standing changed.
    pub rechecks: Vec<(VisitId, SettlementId)>,
    /// Visits whose presence checks changed.
    pub checks: Vec<CheckNews>,
    /// Visits whose live settlements changed.
    pub funds: Vec<VisitId>,
    /// The time that records have reached.
    pub now: Time,
}

/// The visits of a shard.
#[derive(Default)]
pub struct VisitShard {
    states: Paged<State>,
    heap: Heap,
    superseded: Superseded,
    /// How many versions of details the blocks hold.
    rows: usize,
    /// Visits by the day before which they cannot be over: each stands once.
    due: BTreeMap<Day, Vec<VisitId>>,
    /// The visits that the batch touches, and where each is among them.
    opened: Vec<OpenVisit>,
    places: Map<VisitId, usize>,
    /// Visits of which the batch at hand brought something new.
    touched: Vec<VisitId>,
}

impl VisitShard {
    /// Step 3 of settlements: pairs the refunds of a visit that name no settlement, in order of time, each with
    /// the latest settlement of the same person whose amount is its negative (point 4).
    pub fn pair(&mut self, news: Vec<VisitNews>, settlements: Settlements<'_>) -> Mail<Paired> {
        let ids = settlements.ids;
        let mut verdicts = mail(ids);
        let mut visits: Vec<VisitId> = Vec::with_capacity(news.len());
        for news in news {
            match news {
                VisitNews::Pair(visit) => visits.push(visit),
                VisitNews::Belongs(visit, settlement, belongs) => {
                    let state = self.states.entry(ids.visits.index_of(visit.0));
                    if !state.due {
                        state.due = true;
                        let settled = settlements.kept(settlement).map_or(Day(0), |row| row.setl_time.day());
                        self.due.entry(settled).or_default().push(visit);
                    }
                    if belongs && !state.settlements().any(|known| known == settlement) {
                        match state.settlement.get() {
                            None => state.settlement = settlement,
                            Some(_) => state.extra().settlements.push(settlement),
                        }
                    } else if !belongs {
                        if state.settlement == settlement {
                            let next = state.extra.as_mut().and_then(|extra| extra.settlements.pop());
                            state.settlement = next.unwrap_or_default();
                        } else {
                            state.extra().settlements.retain(|known| *known != settlement);
                        }
                    }
                    visits.push(visit);
                }
            }
        }
        visits.dedup();
        for visit in visits {
            let state = self.states.entry(ids.visits.index_of(visit.0));
            let before = state.extra.as_ref().map_or(&[][..], |extra| &extra.paired[..]);
            let unnamed = state.settlements().any(|id| settlements.standing(id).is_unnamed_refund());
            if !unnamed && before.is_empty() {
                continue;
            }
            let after = pairs(state, settlements);
            let tell = |out: bool| move |settlement: &SettlementId| Paired { visit, settlement: *settlement, out };
            let gone = before.iter().filter(|id| !after.contains(id)).map(tell(false));
            let verdict: Vec<Paired> = gone.chain(after.iter().map(tell(true))).collect();
            for paired in verdict {
                verdicts[ids.settlements.shard_of(paired.settlement.0)].push(paired);
            }
            state.extra().paired = after;
        }
        verdicts
    }

    /// Unpacks a visit for this batch.
    fn open(&mut self, visit: VisitId, ids: &Ids) -> usize {
        if let Some(last) = self.opened.last()
            && last.visit == visit
        {
            return self.opened.len() - 1;
        }
        if let Some(place) = self.places.get(&visit) {
            return *place;
        }
        let state = self.states.entry(ids.visits.index_of(visit.0));
        let mut rows = Vec::new();
        details::open(self.heap.get(state.block), visit, &mut rows, ids);
        let held = rows.len();
        let open =
            OpenVisit { visit, rows, held, changed_from: usize::MAX, recheck: false, live: LiveDetails::default() };
        self.opened.push(open);
        self.places.insert(visit, self.opened.len() - 1);
        self.opened.len() - 1
    }

    /// Receives a batch, finds what is live now, and tells others.
    pub fn receive(
        &mut self,
        input: &VisitInput<'_>,
        plan: &Plan,
        settlements: Settlements<'_>,
        checks: Checks<'_>,
        receipts: &Receipts,
    ) -> VisitMail {
        let ids = settlements.ids;
        self.opened.clear();
        self.places.clear();
        let mut out = VisitMail {
            days: mail(ids),
            items: mail(ids),
            funds: mail(ids),
            deaths: mail(ids),
            named: mail(ids),
            stays: Vec::new(),
        };
        for rows in &input.details {
            self.receive_details(rows, plan, settlements, receipts, &mut out);
        }
        self.receive_others(input, ids, receipts);
        for (visit, _) in &input.rechecks {
            let place = self.open(*visit, ids);
            self.opened[place].recheck = true;
        }
        for visit in &input.funds {
            self.open(*visit, ids);
            let state = self.states.entry(ids.visits.index_of(visit.0));
            if let Some(stay) = state.extra.as_ref().and_then(|extra| extra.stay) {
                out.funds[ids.persons.shard_of(stay.person.0)].push(stay.person);
            }
        }
        let mut opened = std::mem::take(&mut self.opened);
        for open in &mut opened {
            self.close(open, plan, settlements, checks, &mut out);
            let state = self.states.entry(ids.visits.index_of(open.visit.0));
            if !state.due {
                state.due = true;
                let latest = details::latest(&open.rows).max(state.latest(settlements, checks));
                self.due.entry(latest.get().unwrap_or(input.now).day()).or_default().push(open.visit);
            }
        }
        self.opened = opened;
        out
    }

    fn receive_details(
        &mut self,
        rows: &Rows<FeeDetail>,
        plan: &Plan,
        settlements: Settlements<'_>,
        receipts: &Receipts,
        out: &mut VisitMail,
    ) {
        let ids = settlements.ids;
        let verdicts = plan.detail_verdicts(rows, ids);
        let mut named = (VisitId::ABSENT, SettlementId::ABSENT);
        for ((line, row), passes) in rows.iter().zip(verdicts) {
            let place = self.open(row.mdtrt_id, ids);
            let open = &mut self.opened[place];
            let new = DetailRow { row: *row, passes };
            let arrival = details::receive(&mut open.rows, new, &mut self.superseded, ids);
            receipts.note(*line, arrival.receipt);
            if arrival.receipt != Receipt::Redelivered && self.touched.last() != Some(&row.mdtrt_id) {
                self.touched.push(row.mdtrt_id);
            }
            let Some(from) = arrival.changed_from else {
                continue;
            };
            open.changed_from = open.changed_from.min(from);
            // Another version may be kept now, or another detail be net of this one: look at all of them.
            open.recheck |= arrival.receipt == Receipt::Revision || row.init_feedetl_sn.get().is_some();
            for touched in arrival.replaced.iter().chain(Some(&new)) {
                tell_of_row(touched, &open.rows, ids, out);
                let settlement = touched.row.setl_id;
                if settlement.get().is_none() || named == (row.mdtrt_id, settlement) {
                    continue;
                }
                named = (row.mdtrt_id, settlement);
                if settlements.visit(settlement) != row.mdtrt_id {
                    out.named[ids.settlements.shard_of(settlement.0)].push((settlement, row.mdtrt_id));
                }
                if let Some(live) = settlements.live(settlement) {
                    let Settlement { psn_no, fixmedins_code, setl_time, .. } = live.row;
                    out.items[ids.persons.shard_of(psn_no.0)].push((psn_no, fixmedins_code, setl_time));
                }
            }
        }
    }

    fn receive_others(&mut self, input: &VisitInput<'_>, ids: &Ids, receipts: &Receipts) {
        /// Of records whose whole content is their identity every one is kept.
        fn add<R: Record>(known: &mut Vec<R>, row: &R) -> Receipt {
            if known.contains(row) {
                return Receipt::Redelivered;
            }
            known.push(*row);
            Receipt::New
        }
        for (line, row) in input.deletes.iter().copied().flatten() {
            let place = self.open(row.mdtrt_id, ids);
            self.opened[place].recheck = true;
            let extra = self.states.entry(ids.visits.index_of(row.mdtrt_id.0)).extra();
            let receipt = add(&mut extra.deletes, row);
            self.note(*line, row.mdtrt_id, receipt, receipts);
        }
        for (line, row) in input.admissions.iter().copied().flatten() {
            self.open(row.mdtrt_id, ids);
            let records = &mut self.states.entry(ids.visits.index_of(row.mdtrt_id.0)).extra().records;
            let receipt = self.superseded.receive(row.mdtrt_id.0, &mut records.admission, *row, ids);
            self.note(*line, row.mdtrt_id, receipt, receipts);
        }
        for (line, row) in input.discharges.iter().copied().flatten() {
            self.open(row.mdtrt_id, ids);
            let records = &mut self.states.entry(ids.visits.index_of(row.mdtrt_id.0)).extra().records;
            let first = records.discharges.is_empty();
            let receipt = match add(&mut records.discharges, row) {
                Receipt::New if !first => Receipt::Revision,
                receipt => receipt,
            };
            self.note(*line, row.mdtrt_id, receipt, receipts);
        }
        for (line, row) in input.admission_cancels.iter().copied().flatten() {
            self.open(row.mdtrt_id, ids);
            let records = &mut self.states.entry(ids.visits.index_of(row.mdtrt_id.0)).extra().records;
            let receipt = add(&mut records.admission_cancels, row);
            self.note(*line, row.mdtrt_id, receipt, receipts);
        }
        for (line, row) in input.discharge_cancels.iter().copied().flatten() {
            self.open(row.mdtrt_id, ids);
            let records = &mut self.states.entry(ids.visits.index_of(row.mdtrt_id.0)).extra().records;
            let receipt = add(&mut records.discharge_cancels, row);
            self.note(*line, row.mdtrt_id, receipt, receipts);
        }
        for news in &input.checks {
            self.open(news.visit, ids);
            let checks = &mut self.states.entry(ids.visits.index_of(news.visit.0)).extra().checks;
            checks.retain(|check| *check != news.check);
            if news.belongs {
                checks.push(news.check);
            }
        }
    }

    /// Notes what a record of a visit was.
    fn note(&mut self, line: Line, visit: VisitId, receipt: Receipt, receipts: &Receipts) {
        receipts.note(line, receipt);
        if receipt != Receipt::Redelivered {
            self.touched.push(visit);
        }
    }

    /// Packs a visit again and finds what is live of it.
    fn close(
        &mut self,
        open: &mut OpenVisit,
        plan: &Plan,
        settlements: Settlements<'_>,
        checks: Checks<'_>,
        out: &mut VisitMail,
    ) {
        let ids = settlements.ids;
        let state = self.states.entry(ids.visits.index_of(open.visit.0));
        if open.changed_from != usize::MAX {
            let appended = open.changed_from >= open.held;
            let (old, same) = if appended { (self.heap.get(state.block), open.held) } else { (&[][..], 0) };
            let block = details::close(&open.rows, old, same, ids);
            state.block = self.heap.replace(state.block, &block);
            self.rows += open.rows.len() - open.held.min(open.rows.len());
        }
        let deletes = state.extra.as_ref().map_or(&[][..], |extra| &extra.deletes);
        details::live(&open.rows, deletes, settlements, &mut open.live);
        if open.recheck {
            let mut last = SettlementId::ABSENT;
            for row in &open.rows {
                tell_of_row(row, &open.rows, ids, out);
                if row.row.setl_id != last
                    && let Some(live) = settlements.live(row.row.setl_id)
                {
                    let Settlement { psn_no, fixmedins_code, setl_time, .. } = live.row;
                    out.items[ids.persons.shard_of(psn_no.0)].push((psn_no, fixmedins_code, setl_time));
                }
                last = row.row.setl_id;
            }
        }
        let Some(extra) = state.extra.as_mut() else {
            return;
        };
        let details = open.live.details.iter().map(|detail| detail.row.fee_ocur_time);
        let seen = extra.checks.iter().filter_map(|check| checks.kept(*check)).filter(|check| check.is_valid(ids));
        let latest_sign = details.chain(seen.map(|check| check.check_time)).max().unwrap_or(Time::ABSENT);
        let stay = extra.records.stay(latest_sign, plan, ids);
        if stay != extra.stay {
            out.stays.push(StayChange { before: extra.stay, after: stay });
            extra.stay = stay;
        }
        let death = extra.records.death(ids);
        // The evidence of a death gives the discharge's time, so a visit that states one is always told.
        for (person, _) in death.into_iter().chain(extra.death.filter(|before| Some(*before) != death)) {
            out.deaths[ids.persons.shard_of(person.0)].push((person, open.visit));
        }
        extra.death = death;
    }

    /// The visits that the last batch touched.
    pub fn opened(&self) -> &[OpenVisit] {
        &self.opened
    }
}

/// Tells whose day a detail touches: its own, and that of the detail it refunds.
fn tell_of_row(touched: &DetailRow, rows: &[DetailRow], ids: &Ids, out: &mut VisitMail) {
    let mut tell = |detail: &DetailRow| {
        if detail.passes & DAY_ITEM != 0 {
            let person = detail.row.psn_no;
            let day = detail.row.fee_ocur_time.day();
            out.days[ids.persons.shard_of(person.0)].push((person, day, detail.row.mdtrt_id));
        }
    };
    tell(touched);
    if let Some(original) = touched.row.init_feedetl_sn.get() {
        let start = rows.partition_point(|row| row.row.feedetl_sn < original);
        rows[start..].iter().take_while(|row| row.row.feedetl_sn == original).for_each(tell);
    }
}

/// The settlements of a visit with which refunds that name none are paired.
fn pairs(state: &State, settlements: Settlements<'_>) -> Vec<SettlementId> {
    let ids = settlements.ids;
    let mut refunds: Vec<(Time, String, Settlement)> = Vec::new();
    let mut candidates: Vec<(Time, String, Settlement)> = Vec::new();
    for id in state.settlements() {
        let standing = settlements.standing(id);
        let list = if standing.is_unnamed_refund() {
            &mut refunds
        } else if standing.can_be_paired() {
            &mut candidates
        } else {
            continue;
        };
        if let Some(row) = settlements.kept(id) {
            list.push((row.setl_time, id.string(ids), row));
        }
    }
    refunds.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    candidates.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let mut paired = Vec::new();
    for (time, _, refund) in refunds {
        let fits = |candidate: &(Time, String, Settlement)| {
            candidate.2.psn_no == refund.psn_no
                && candidate.2.medfee_sumamt.units() == -refund.medfee_sumamt.units()
                && candidate.0 <= time
        };
        if let Some(latest) = candidates.iter().rposition(fits) {
            paired.push(candidates.remove(latest).2.setl_id);
        }
    }
    paired
}
