//! The eighteen rules of section 3 with their default parameters and the two that tell of the data, one file per
//! family.

mod chg;
mod dq;
mod dup;
mod idn;
mod items;
mod pha;
mod sty;
mod vis;

use std::collections::BTreeSet;

use super::live::{Detail, Discharge, Facts, Settlement, Stay};
use super::values::{self, MONEY};
use super::{RefAlert, RefEvidence, Tables};

/// All findings of all rules.
pub fn judge(facts: &Facts, tables: &Tables) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    alerts.extend(dup::visit_settled_twice(facts));
    alerts.extend(dup::probable_duplicate_payment(facts));
    alerts.extend(items::exclusive_same_day(facts, tables));
    alerts.extend(items::exclusive_same_visit(facts, tables));
    alerts.extend(items::over_the_daily_limit(facts, tables));
    alerts.extend(chg::bed_days_exceed_the_stay(facts));
    alerts.extend(idn::care_after_death(facts, tables));
    alerts.extend(sty::split_stay(facts));
    alerts.extend(sty::transfer_booked_as_discharge(facts));
    alerts.extend(sty::overlapping_stays(facts));
    alerts.extend(sty::outpatient_care_during_a_stay(facts));
    alerts.extend(sty::pharmacy_purchase_during_a_stay(facts));
    alerts.extend(sty::no_treatment_in_the_stay(facts));
    alerts.extend(sty::one_bed_two_patients(facts));
    alerts.extend(vis::too_many_visits_in_a_day(facts));
    alerts.extend(vis::too_many_institutions_in_a_day(facts));
    alerts.extend(vis::large_settlement(facts));
    alerts.extend(pha::machine_gun_sales(facts));
    alerts.extend(dq::discharge_before_admission(facts));
    alerts.extend(dq::refunds_exceed_the_detail(facts));
    alerts
}

/// The default dictionary of `med_type`.
pub fn class(med_type: &str) -> &'static str {
    match med_type {
        "11" | "12" | "16" | "9107" => "OUTPATIENT",
        "13" | "1301" | "120" => "EMERGENCY",
        "14" | "140101" | "140104" | "140201" | "140401" | "15" => "CHRONIC_OUTPATIENT",
        "41" | "9929" => "PHARMACY",
        "21" | "2101" | "2102" | "2105" | "210104" | "2114" | "23" | "24" | "25" | "26" | "27" | "29" => "INPATIENT",
        "22" | "81" => "TRAUMA",
        "28" => "DAY_SURGERY",
        "51" | "52" | "5212" => "MATERNITY",
        "71" => "HOME",
        "61" => "LONG_TERM_CARE",
        "9901" | "9903" | "9904" => "OTHER",
        _ => "UNKNOWN",
    }
}

const YUAN: i128 = 100;
const HOUR: i64 = 3600;
const MINUTE: i64 = 60;

/// What a finding is apart from its rule and identity.
struct Finding {
    result: &'static str,
    severity: &'static str,
    subject: (&'static str, String),
    /// In fen.
    amount: Option<i128>,
    evidence: Vec<RefEvidence>,
}

fn alert(rule_id: &str, identity: &[&str], finding: Finding) -> RefAlert {
    let Finding { result, severity, subject, amount, mut evidence } = finding;
    // Evidence is ordered by time, then id (the derived order of `RefEvidence`).
    evidence.sort();
    // `event_time`: the latest time among the evidence.
    let event_time = evidence.iter().map(|piece| piece.time.clone()).max();
    RefAlert {
        rule_id: rule_id.into(),
        identity: identity.iter().map(|part| part.to_string()).collect(),
        result: result.into(),
        severity: severity.into(),
        subject: (subject.0.into(), subject.1),
        amount: amount.map(yuan),
        event_time: event_time.expect("every finding has evidence"),
        evidence,
    }
}

fn yuan(fen: i128) -> String {
    values::canonical(fen, MONEY)
}

fn of_settlement(role: &str, settlement: &Settlement) -> RefEvidence {
    RefEvidence {
        time: settlement.setl_time.0.clone(),
        id: settlement.setl_id.clone(),
        kind: "settlement".into(),
        role: role.into(),
        amount: Some(yuan(settlement.fund_pay_sumamt)),
    }
}

fn of_detail(role: &str, detail: &Detail) -> RefEvidence {
    RefEvidence {
        time: detail.fee_ocur_time.0.clone(),
        id: format!("{}/{}", detail.mdtrt_id, detail.feedetl_sn),
        kind: "fee_detail".into(),
        role: role.into(),
        amount: Some(yuan(detail.inscp)),
    }
}

/// In evidence a stay has type `admission` and id `mdtrt_id`.
fn of_stay(role: &str, stay: &Stay) -> RefEvidence {
    RefEvidence {
        time: stay.evidence_time().0.clone(),
        id: stay.mdtrt_id.clone(),
        kind: "admission".into(),
        role: role.into(),
        amount: None,
    }
}

fn of_discharge(role: &str, discharge: &Discharge) -> RefEvidence {
    RefEvidence {
        time: discharge.endtime.0.clone(),
        id: discharge.mdtrt_id.clone(),
        kind: "discharge".into(),
        role: role.into(),
        amount: None,
    }
}

/// Σ `fund_pay_sumamt`.
fn fund_pay(settlements: &[&Settlement]) -> i128 {
    settlements.iter().map(|settlement| settlement.fund_pay_sumamt).sum()
}

/// Σ `fund_pay_sumamt` of the settlements of a visit, matched by `mdtrt_id`.
fn fund_pay_of_visit(facts: &Facts, mdtrt_id: &str) -> i128 {
    let settlements = facts.settlements.iter().filter(|settlement| settlement.mdtrt_id == mdtrt_id);
    settlements.map(|settlement| settlement.fund_pay_sumamt).sum()
}

/// The different keys among some facts.
fn keys<F, K: Ord>(facts: &[F], key: impl Fn(&F) -> K) -> BTreeSet<K> {
    facts.iter().map(key).collect()
}
