//! Live records: points 1–9 of section 1, with "Refunds", "Deletes and cancels" and "Stays" of
//! section 5. Points 8 and 9 are in `visits`.
//!
//! The order matters once: which version of a fee detail is kept depends on which settlements are
//! live (point 2), and nothing about settlements depends on details. So settlements come first.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{self, Kind};
use super::records::Record;
use super::values::{Day, Time};
use super::visits::{live_discharges, reversed_visits, stays};

/// All live facts that rules look at.
pub struct Facts {
    /// Sorted by `setl_time`, then `setl_id`.
    pub settlements: Vec<Settlement>,
    pub details: Vec<Detail>,
    pub discharges: Vec<Discharge>,
    /// Sorted by `begntime`, then `mdtrt_id`.
    pub stays: Vec<Stay>,
    /// Point 6: details with a net `cnt` below 0.
    pub over_refunds: Vec<OverRefund>,
    /// Point 9: visits with a discharge before their admission.
    pub reversed_visits: Vec<ReversedVisit>,
}

#[derive(Debug, Clone)]
pub struct Settlement {
    pub setl_id: String,
    pub mdtrt_id: String,
    pub psn_no: String,
    pub fixmedins_code: String,
    pub med_type: String,
    pub setl_time: Time,
    pub begndate: Option<Day>,
    pub enddate: Option<Day>,
    pub medfee_sumamt: i128,
    pub fund_pay_sumamt: i128,
    pub is_interim: bool,
}

#[derive(Debug, Clone)]
pub struct Detail {
    pub mdtrt_id: String,
    pub feedetl_sn: String,
    pub setl_id: Option<String>,
    pub psn_no: String,
    pub med_list_codg: String,
    pub med_chrgitm_type: Option<String>,
    pub fee_ocur_time: Time,
    /// In 1/10000; of a live detail net of refund rows.
    pub cnt: i128,
    /// `inscp` of section 3, in fen; of a live detail net of refund rows.
    pub inscp: i128,
}

/// A detail and the refund rows that count against it, each with its own amounts.
#[derive(Debug, Clone)]
pub struct OverRefund {
    pub detail: Detail,
    pub rows: Vec<Detail>,
}

#[derive(Debug, Clone)]
pub struct ReversedVisit {
    pub begntime: Time,
    pub discharge: Discharge,
}

#[derive(Debug, Clone)]
pub struct Discharge {
    pub mdtrt_id: String,
    pub psn_no: String,
    pub endtime: Time,
    pub dscg_dept_codg: Option<String>,
    pub dscg_way: Option<String>,
    pub dscg_maindiag_code: Option<String>,
    pub die_date: Option<Day>,
}

/// Point 9. Person, institution, bed, admission department and `days_rinp_flag_31` are the
/// admission's.
#[derive(Debug, Clone)]
pub struct Stay {
    pub mdtrt_id: String,
    pub psn_no: String,
    pub fixmedins_code: String,
    pub begntime: Time,
    pub adm_dept_codg: Option<String>,
    pub adm_bed: Option<String>,
    pub days_rinp_flag_31: Option<String>,
    /// The discharge's, or else the admission's.
    pub diagnosis: Option<String>,
    /// None: the stay is open.
    pub discharge: Option<Discharge>,
    /// The discharge's `endtime`, or the time until which an open stay is known to last.
    pub end: Time,
}

impl Stay {
    /// A stay's time in evidence: its `endtime` or, open, its `begntime`.
    pub fn evidence_time(&self) -> &Time {
        match &self.discharge {
            Some(discharge) => &discharge.endtime,
            None => &self.begntime,
        }
    }
}

/// What became of the settlements, as far as fee details care.
pub struct SettlementStates {
    /// Taken out by a refund (point 4).
    taken_out: BTreeSet<String>,
    /// The kept version has `vali_flag` 0.
    not_valid: BTreeSet<String>,
    /// The kept version is a refund.
    refunds: BTreeSet<String>,
}

impl SettlementStates {
    /// Point 5: taken out, not valid, or a refund. One never seen does no harm.
    fn is_dead(&self, setl_id: Option<&str>) -> bool {
        setl_id.is_some_and(|setl_id| {
            self.taken_out.contains(setl_id) || self.not_valid.contains(setl_id) || self.refunds.contains(setl_id)
        })
    }
}

/// Decides what is live among all records ever received.
pub fn facts(received: &BTreeSet<Record>) -> Facts {
    let (mut settlements, states) = live_settlements(received);
    settlements.sort_by_key(|settlement| (settlement.setl_time.clone(), settlement.setl_id.clone()));
    let (details, over_refunds) = live_details(received, &states);
    let discharges = live_discharges(received);
    let reversed_visits = reversed_visits(received, &discharges);
    let mut stays = stays(received, &details, &discharges);
    stays.sort_by_key(|stay| (stay.begntime.clone(), stay.mdtrt_id.clone()));
    Facts { settlements, details, discharges, stays, over_refunds, reversed_visits }
}

pub fn of_kind(received: &BTreeSet<Record>, kind: Kind) -> Vec<&Record> {
    received.iter().filter(|record| record.kind == kind).collect()
}

/// Point 3: a delete or cancel with `vali_flag` = 0 has no effect.
pub fn effective(received: &BTreeSet<Record>, kind: Kind) -> Vec<&Record> {
    of_kind(received, kind).into_iter().filter(|record| record.is_valid()).collect()
}

/// Point 2: of the versions of one identity, the kept one.
pub fn kept<'a>(versions: &[&'a Record], states: Option<&SettlementStates>) -> Option<&'a Record> {
    versions.iter().copied().max_by_key(|version| {
        (
            // the greatest `updt_time`, absent is smallest
            version.owned("updt_time"),
            // a fee detail that carries the `setl_id` of a settlement that is not live loses
            states.is_none_or(|states| !states.is_dead(version.get("setl_id"))),
            // the one with more fields
            version.content.len(),
            // the greatest content, pair by pair
            version.content.clone(),
        )
    })
}

/// The kept version of every identity of one type.
pub fn all_kept<'a>(received: &'a BTreeSet<Record>, kind: Kind, states: Option<&SettlementStates>) -> Vec<&'a Record> {
    let mut versions: BTreeMap<Vec<&str>, Vec<&Record>> = BTreeMap::new();
    for record in of_kind(received, kind) {
        let identity = fields::identity(kind).into_iter().map(|name| record.text(name)).collect();
        versions.entry(identity).or_default().push(record);
    }
    versions.values().filter_map(|versions| kept(versions, states)).collect()
}

/// Points 3 and 4.
fn live_settlements(received: &BTreeSet<Record>) -> (Vec<Settlement>, SettlementStates) {
    let kept = all_kept(received, Kind::Settlement, None);
    let is_refund = |record: &Record| record.get("refd_setl_flag") == Some("1");
    let ids = |wanted: &dyn Fn(&Record) -> bool| -> BTreeSet<String> {
        let wanted = kept.iter().filter(|record| wanted(record));
        wanted.map(|record| record.text("setl_id").to_string()).collect()
    };
    let mut states = SettlementStates {
        taken_out: BTreeSet::new(),
        not_valid: ids(&|record| !record.is_valid()),
        refunds: ids(&is_refund),
    };

    // A valid refund takes out the settlement it names, unless that is itself a refund; one never
    // seen is nothing to take out, and nothing else of the refund matters.
    let refunds = kept.iter().copied().filter(|record| record.is_valid() && is_refund(record));
    let (named, mut unnamed): (Vec<&Record>, Vec<&Record>) =
        refunds.partition(|record| record.get("init_setl_id").is_some());
    for refund in named {
        for target in &kept {
            if Some(target.text("setl_id")) == refund.get("init_setl_id") && !is_refund(target) {
                states.taken_out.insert(target.text("setl_id").into());
            }
        }
    }

    // The others are paired afterwards, in order of (`setl_time`, `setl_id`).
    let order = |record: &Record| (record.time("setl_time"), record.text("setl_id").to_string());
    unnamed.sort_by_key(|refund| order(refund));
    for refund in unnamed {
        let matching = kept.iter().filter(|settlement| {
            settlement.text("mdtrt_id") == refund.text("mdtrt_id")
                && settlement.text("psn_no") == refund.text("psn_no")
                && settlement.is_valid()
                && !is_refund(settlement)
                && !states.taken_out.contains(settlement.text("setl_id"))
                && settlement.money("medfee_sumamt") == refund.money("medfee_sumamt").map(|fen| -fen)
                && settlement.time("setl_time") <= refund.time("setl_time")
        });
        if let Some(latest) = matching.max_by_key(|settlement| order(settlement)) {
            states.taken_out.insert(latest.text("setl_id").into());
        }
    }

    let live = kept.iter().filter(|record| !states.is_dead(record.get("setl_id")));
    (live.map(|record| settlement(record)).collect(), states)
}

fn settlement(record: &Record) -> Settlement {
    Settlement {
        setl_id: record.text("setl_id").into(),
        mdtrt_id: record.text("mdtrt_id").into(),
        psn_no: record.text("psn_no").into(),
        fixmedins_code: record.text("fixmedins_code").into(),
        med_type: record.text("med_type").into(),
        setl_time: record.time("setl_time"),
        begndate: record.day("begndate"),
        enddate: record.day("enddate"),
        medfee_sumamt: record.money("medfee_sumamt").expect("required"),
        fund_pay_sumamt: record.money("fund_pay_sumamt").expect("required"),
        is_interim: record.get("mid_setl_flag") == Some("1"),
    }
}

/// Points 5, 6 and 7: the live details, and those with a net `cnt` below 0.
fn live_details(received: &BTreeSet<Record>, states: &SettlementStates) -> (Vec<Detail>, Vec<OverRefund>) {
    let kept = all_kept(received, Kind::FeeDetail, Some(states));
    let deletes = effective(received, Kind::FeeDetailDelete);
    let is_deleted = |detail: &Record| deletes.iter().any(|delete| takes_out(delete, detail));
    let (mut live, mut over_refunds) = (Vec::new(), Vec::new());
    for detail in &kept {
        // Point 6: a refund row is never live itself.
        if detail.get("init_feedetl_sn").is_some() {
            continue;
        }
        // Points 3, 5 and 7; and section 5: a detail billed with `cnt` ≤ 0 is not live.
        if !detail.is_valid() || states.is_dead(detail.get("setl_id")) || is_deleted(detail) || detail.count() <= 0 {
            continue;
        }
        let rows = kept.iter().filter(|row| is_refund_row_of(row, detail) && nets(row, states) && !is_deleted(row));
        let rows: Vec<Detail> = rows.map(|row| as_billed(row)).collect();
        let mut net = as_billed(detail);
        for row in &rows {
            net.cnt += row.cnt;
            net.inscp += row.inscp;
        }
        // Net 0 is not live, below 0 neither, and it is a data-quality finding.
        if net.cnt > 0 {
            live.push(net);
        } else if net.cnt < 0 {
            over_refunds.push(OverRefund { detail: as_billed(detail), rows });
        }
    }
    (live, over_refunds)
}

/// A detail or refund row with its own amounts.
fn as_billed(record: &Record) -> Detail {
    Detail {
        mdtrt_id: record.text("mdtrt_id").into(),
        feedetl_sn: record.text("feedetl_sn").into(),
        setl_id: record.owned("setl_id"),
        psn_no: record.text("psn_no").into(),
        med_list_codg: record.text("med_list_codg").into(),
        med_chrgitm_type: record.owned("med_chrgitm_type"),
        fee_ocur_time: record.time("fee_ocur_time"),
        cnt: record.count(),
        inscp: inscp(record),
    }
}

/// Point 6: a refund row names a detail of the same visit that is no refund row.
///
/// So one that names itself or another refund row has no effect.
fn is_refund_row_of(row: &Record, detail: &Record) -> bool {
    row.text("mdtrt_id") == detail.text("mdtrt_id")
        && row.get("init_feedetl_sn") == Some(detail.text("feedetl_sn"))
        && detail.get("init_feedetl_sn").is_none()
}

/// Point 6: a refund row nets whatever `setl_id` it carries, a refund's too, except when its
/// settlement was refunded or is not valid.
fn nets(row: &Record, states: &SettlementStates) -> bool {
    let is_lost = |setl_id| states.taken_out.contains(setl_id) || states.not_valid.contains(setl_id);
    row.is_valid() && !row.get("setl_id").is_some_and(is_lost)
}

/// `inscp_scp_amt`, or `det_item_fee_sumamt` where that is missing.
fn inscp(record: &Record) -> i128 {
    record.money("inscp_scp_amt").or(record.money("det_item_fee_sumamt")).expect("det_item_fee_sumamt is required")
}

/// Point 7: whether a `fee_detail_delete` takes out a (kept) detail or refund row.
fn takes_out(delete: &Record, detail: &Record) -> bool {
    // With `updt_time` on both, a detail with a later one stays.
    let is_later = match (detail.get("updt_time"), delete.get("updt_time")) {
        (Some(detail), Some(delete)) => detail > delete,
        _ => false,
    };
    // Each of the two, where it is given, must fit; `0000` fits all, also details without a batch.
    let fits = |name: &str| match delete.get(name) {
        None | Some("0000") => true,
        given => detail.get(name) == given,
    };
    delete.text("mdtrt_id") == detail.text("mdtrt_id")
        && detail.get("setl_id").is_none()
        && fits("feedetl_sn")
        && fits("chrg_bchno")
        && !is_later
}
