//! VIS-01, VIS-03 and VIS-04: a person's day, and large settlements.

use super::super::live::{Facts, Settlement};
use super::super::values::Day;
use super::{Finding, RefAlert, YUAN, alert, class, fund_pay, keys, of_settlement};

const VISITS: usize = 4;
const VISITS_HIGH: usize = 8;
const INSTITUTIONS: usize = 3;
const LARGE_OUTPATIENT: i128 = 5_000 * YUAN;
const LARGE_PHARMACY: i128 = 2_000 * YUAN;
const LARGE_INPATIENT: i128 = 100_000 * YUAN;
const LARGE_HIGH_FACTOR: i128 = 3;

/// The settlements of every person and day of `setl_time`, every class, interim ones too.
fn person_days(facts: &Facts) -> Vec<(String, Day, Vec<&Settlement>)> {
    let key = |settlement: &Settlement| (settlement.psn_no.clone(), settlement.setl_time.day());
    let days = keys(&facts.settlements, key).into_iter().map(|(person, day)| {
        let of_the_day =
            facts.settlements.iter().filter(|settlement| key(settlement) == (person.clone(), day.clone())).collect();
        (person, day, of_the_day)
    });
    days.collect()
}

/// VIS-01.
pub fn too_many_visits_in_a_day(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for (person, day, settlements) in person_days(facts) {
        let visits = keys(&settlements, |settlement| settlement.mdtrt_id.clone()).len();
        if visits >= VISITS {
            let finding = Finding {
                result: "suspicious",
                severity: if visits >= VISITS_HIGH { "high" } else { "medium" },
                subject: ("person", person.clone()),
                amount: Some(fund_pay(&settlements)),
                evidence: all_violate(&settlements),
            };
            alerts.push(alert("VIS-01", &[&person, &day.0], finding));
        }
    }
    alerts
}

/// VIS-03.
pub fn too_many_institutions_in_a_day(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for (person, day, settlements) in person_days(facts) {
        let institutions = keys(&settlements, |settlement| settlement.fixmedins_code.clone()).len();
        if institutions >= INSTITUTIONS {
            let finding = Finding {
                result: "suspicious",
                severity: "medium",
                subject: ("person", person.clone()),
                amount: None,
                evidence: all_violate(&settlements),
            };
            alerts.push(alert("VIS-03", &[&person, &day.0], finding));
        }
    }
    alerts
}

fn all_violate(settlements: &[&Settlement]) -> Vec<super::RefEvidence> {
    settlements.iter().map(|settlement| of_settlement("violating", settlement)).collect()
}

/// VIS-04.
pub fn large_settlement(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for settlement in &facts.settlements {
        let limit = match class(&settlement.med_type) {
            "OUTPATIENT" | "CHRONIC_OUTPATIENT" => LARGE_OUTPATIENT,
            "PHARMACY" => LARGE_PHARMACY,
            "INPATIENT" => LARGE_INPATIENT,
            _ => continue,
        };
        if settlement.medfee_sumamt > limit {
            let is_high = settlement.medfee_sumamt > LARGE_HIGH_FACTOR * limit;
            let finding = Finding {
                result: "suspicious",
                severity: if is_high { "high" } else { "low" },
                subject: ("person", settlement.psn_no.clone()),
                amount: Some(settlement.fund_pay_sumamt),
                evidence: vec![of_settlement("violating", settlement)],
            };
            alerts.push(alert("VIS-04", &[&settlement.setl_id], finding));
        }
    }
    alerts
}
