//! The STY family: stays next to each other, overlapping stays, care beside a stay, idle stays.

use super::super::live::{Discharge, Facts, Settlement, Stay};
use super::{Finding, HOUR, RefAlert, YUAN, alert, class, fund_pay_of_visit, keys, of_settlement, of_stay};

const SPLIT_DAYS: i64 = 15;
const SPLIT_HIGH_DAYS: i64 = 7;
const DIAGNOSIS_CHARACTERS: usize = 3;
const EXEMPT_WAYS: [&str; 2] = ["2", "5"];
const EXEMPT_DIAGNOSES: [&str; 5] = ["Z51", "N18", "O80", "O82", "C"];
const TRANSFER_DAYS: i64 = 1;
const OVERLAP: i64 = 24 * HOUR;
const PURCHASE: i128 = 100 * YUAN;
const NO_TREATMENT: [&str; 3] = ["01", "02", "07"];
const IDLE_DAYS: i64 = 3;
const IDLE_HIGH_DAYS: i64 = 7;

/// Pairs next to each other in time: A, its discharge, B, and date(B.begntime) − date(A.endtime).
///
/// Over all stays of person + institution, open and nested ones too; A is discharged.
fn neighbours(facts: &Facts) -> Vec<(&Stay, &Discharge, &Stay, i64)> {
    let mut found = Vec::new();
    let key = |stay: &Stay| (stay.psn_no.clone(), stay.fixmedins_code.clone());
    for person_at_institution in keys(&facts.stays, key) {
        // `facts.stays` is sorted by `begntime`, then `mdtrt_id`.
        let stays: Vec<&Stay> = facts.stays.iter().filter(|stay| key(stay) == person_at_institution).collect();
        for pair in stays.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            if let Some(discharge) = &a.discharge {
                let gap = b.begntime.day().number() - discharge.endtime.day().number();
                found.push((a, discharge, b, gap));
            }
        }
    }
    found
}

/// A missing `dscg_way` is not 2 or 5.
fn is_exempt_way(discharge: &Discharge) -> bool {
    discharge.dscg_way.as_deref().is_some_and(|way| EXEMPT_WAYS.contains(&way))
}

/// STY-01.
pub fn split_stay(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for (a, discharge, b, gap) in neighbours(facts) {
        // A missing diagnosis or department is no match.
        let (Some(diagnosis_a), Some(diagnosis_b)) = (&a.diagnosis, &b.diagnosis) else {
            continue;
        };
        let (Some(from), Some(to)) = (&discharge.dscg_dept_codg, &b.adm_dept_codg) else {
            continue;
        };
        // Decided: of a diagnosis shorter than three characters, all of it is compared.
        let start = |diagnosis: &str| -> String { diagnosis.chars().take(DIAGNOSIS_CHARACTERS).collect() };
        if (0..=SPLIT_DAYS).contains(&gap)
            && start(diagnosis_a) == start(diagnosis_b)
            && from == to
            && !is_exempt_way(discharge)
            && a.days_rinp_flag_31.as_deref() != Some("1")
            && !EXEMPT_DIAGNOSES.iter().any(|exempt| diagnosis_a.starts_with(exempt))
        {
            let severity = if gap <= SPLIT_HIGH_DAYS { "high" } else { "medium" };
            alerts.push(readmission("STY-01", severity, facts, a, b));
        }
    }
    alerts
}

/// STY-05.
pub fn transfer_booked_as_discharge(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for (a, discharge, b, gap) in neighbours(facts) {
        // A missing department is no difference.
        let (Some(from), Some(to)) = (&discharge.dscg_dept_codg, &b.adm_dept_codg) else {
            continue;
        };
        if (0..=TRANSFER_DAYS).contains(&gap) && from != to && !is_exempt_way(discharge) {
            alerts.push(readmission("STY-05", "medium", facts, a, b));
        }
    }
    alerts
}

/// B violates, A is involved; B without settlements: `0.00`.
fn readmission(rule_id: &str, severity: &'static str, facts: &Facts, a: &Stay, b: &Stay) -> RefAlert {
    let finding = Finding {
        result: "suspicious",
        severity,
        subject: ("person", b.psn_no.clone()),
        amount: Some(fund_pay_of_visit(facts, &b.mdtrt_id)),
        evidence: vec![of_stay("involved", a), of_stay("violating", b)],
    };
    alert(rule_id, &[&a.mdtrt_id, &b.mdtrt_id], finding)
}

/// All pairs of stays, earlier-begun first (tie: smaller id first), that overlap by more than 24 h.
fn overlapping_pairs(facts: &Facts) -> Vec<(&Stay, &Stay)> {
    let mut pairs = Vec::new();
    for (index, earlier) in facts.stays.iter().enumerate() {
        for later in &facts.stays[index + 1..] {
            // The earlier end minus the later begin.
            let end = earlier.end.seconds().min(later.end.seconds());
            let begin = earlier.begntime.seconds().max(later.begntime.seconds());
            if end - begin > OVERLAP {
                pairs.push((earlier, later));
            }
        }
    }
    pairs
}

/// The two `mdtrt_id`, smaller first.
fn two_ids<'a>(one: &'a Stay, other: &'a Stay) -> [&'a str; 2] {
    let mut ids = [one.mdtrt_id.as_str(), other.mdtrt_id.as_str()];
    ids.sort();
    ids
}

/// STY-06.
pub fn overlapping_stays(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for (earlier, later) in overlapping_pairs(facts) {
        if earlier.psn_no == later.psn_no {
            let finding = Finding {
                result: "violation",
                severity: "high",
                subject: ("person", later.psn_no.clone()),
                amount: Some(fund_pay_of_visit(facts, &later.mdtrt_id)),
                evidence: vec![of_stay("violating", earlier), of_stay("violating", later)],
            };
            alerts.push(alert("STY-06", &two_ids(earlier, later), finding));
        }
    }
    alerts
}

/// STY-16.
pub fn one_bed_two_patients(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for (earlier, later) in overlapping_pairs(facts) {
        // No `adm_bed`, no bed.
        let Some(bed) = &earlier.adm_bed else {
            continue;
        };
        if earlier.fixmedins_code == later.fixmedins_code
            && later.adm_bed.as_ref() == Some(bed)
            && earlier.psn_no != later.psn_no
        {
            let finding = Finding {
                result: "suspicious",
                severity: "high",
                subject: ("bed", format!("{}/{bed}", earlier.fixmedins_code)),
                amount: None,
                evidence: vec![of_stay("violating", earlier), of_stay("violating", later)],
            };
            alerts.push(alert("STY-16", &two_ids(earlier, later), finding));
        }
    }
    alerts
}

/// STY-07.
pub fn outpatient_care_during_a_stay(facts: &Facts) -> Vec<RefAlert> {
    let classes = ["OUTPATIENT", "CHRONIC_OUTPATIENT", "EMERGENCY"];
    during_a_stay(facts, "STY-07", "medium", |settlement| classes.contains(&class(&settlement.med_type)))
}

/// STY-08.
pub fn pharmacy_purchase_during_a_stay(facts: &Facts) -> Vec<RefAlert> {
    during_a_stay(facts, "STY-08", "low", |settlement| {
        class(&settlement.med_type) == "PHARMACY" && settlement.medfee_sumamt > PURCHASE
    })
}

/// One finding per settlement and stay, any institution, the stay's own too.
fn during_a_stay(
    facts: &Facts,
    rule_id: &str,
    severity: &'static str,
    is_meant: impl Fn(&Settlement) -> bool,
) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for stay in &facts.stays {
        let Some(discharge) = &stay.discharge else {
            continue;
        };
        for settlement in &facts.settlements {
            let day = settlement.setl_time.day();
            // After the admission day and before the discharge day.
            if settlement.psn_no == stay.psn_no
                && is_meant(settlement)
                && day > stay.begntime.day()
                && day < discharge.endtime.day()
            {
                let finding = Finding {
                    result: "suspicious",
                    severity,
                    subject: ("person", settlement.psn_no.clone()),
                    amount: Some(settlement.fund_pay_sumamt),
                    evidence: vec![of_settlement("violating", settlement), of_stay("involved", stay)],
                };
                alerts.push(alert(rule_id, &[&settlement.setl_id, &stay.mdtrt_id], finding));
            }
        }
    }
    alerts
}

/// STY-10: a stay without any details counts.
pub fn no_treatment_in_the_stay(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for stay in &facts.stays {
        let Some(discharge) = &stay.discharge else {
            continue;
        };
        let is_treated = |day: i64| {
            facts.details.iter().any(|detail| {
                detail.mdtrt_id == stay.mdtrt_id
                    && detail.fee_ocur_time.day().number() == day
                    // A missing type counts as treatment.
                    && !detail
                        .med_chrgitm_type
                        .as_deref()
                        .is_some_and(|item_type| NO_TREATMENT.contains(&item_type))
            })
        };
        let (mut run, mut longest) = (0, 0);
        for day in stay.begntime.day().number()..=discharge.endtime.day().number() {
            run = if is_treated(day) { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        if longest >= IDLE_DAYS {
            let finding = Finding {
                result: "suspicious",
                severity: if longest >= IDLE_HIGH_DAYS { "high" } else { "medium" },
                subject: ("visit", stay.mdtrt_id.clone()),
                amount: Some(fund_pay_of_visit(facts, &stay.mdtrt_id)),
                evidence: vec![of_stay("violating", stay)],
            };
            alerts.push(alert("STY-10", &[&stay.mdtrt_id], finding));
        }
    }
    alerts
}
