//! DUP-04, DUP-05 and DUP-07: fee details against the knowledge tables.

use std::collections::{BTreeMap, BTreeSet};

use super::super::live::{Detail, Facts};
use super::super::values::{self, QUANTITY};
use super::{Finding, RefAlert, RefEvidence, Tables, alert, keys, of_detail};

/// DUP-04: across institutions and visits, settled or not.
pub fn exclusive_same_day(facts: &Facts, tables: &Tables) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    let key = |detail: &Detail| (detail.psn_no.clone(), detail.fee_ocur_time.day());
    for (main, included) in pairs(tables, "day") {
        for (person, day) in keys(&facts.details, key) {
            let details: Vec<&Detail> =
                facts.details.iter().filter(|detail| key(detail) == (person.clone(), day.clone())).collect();
            if let Some((amount, evidence)) = both_billed(&details, &main, &included) {
                let finding = Finding {
                    result: "violation",
                    severity: "medium",
                    subject: ("person", person.clone()),
                    amount: Some(amount),
                    evidence,
                };
                alerts.push(alert("DUP-04", &[&person, &day.0, &main, &included], finding));
            }
        }
    }
    alerts
}

/// DUP-05.
pub fn exclusive_same_visit(facts: &Facts, tables: &Tables) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for (main, included) in pairs(tables, "visit") {
        for visit in keys(&facts.details, |detail| detail.mdtrt_id.clone()) {
            let details: Vec<&Detail> = facts.details.iter().filter(|detail| detail.mdtrt_id == visit).collect();
            if let Some((amount, evidence)) = both_billed(&details, &main, &included) {
                let finding = Finding {
                    result: "violation",
                    severity: "medium",
                    subject: ("visit", visit.clone()),
                    amount: Some(amount),
                    evidence,
                };
                alerts.push(alert("DUP-05", &[&visit, &main, &included], finding));
            }
        }
    }
    alerts
}

/// Main and included items of one scope; a repeated pair counts once.
fn pairs(tables: &Tables, scope: &str) -> BTreeSet<(String, String)> {
    let rows = tables.exclusive.iter().filter(|row| row.2 == scope);
    rows.map(|row| (row.0.clone(), row.1.clone())).collect()
}

/// Σ `inscp` of the included item's details and the evidence, when both items are there.
///
/// Decided: an item that excludes itself would stand in the evidence twice, in both roles.
fn both_billed(details: &[&Detail], main: &str, included: &str) -> Option<(i128, Vec<RefEvidence>)> {
    let of_item = |item: &str| -> Vec<&Detail> {
        details.iter().copied().filter(|detail| detail.med_list_codg == item).collect()
    };
    let (mains, includeds) = (of_item(main), of_item(included));
    if mains.is_empty() || includeds.is_empty() {
        return None;
    }
    let amount = includeds.iter().map(|detail| detail.inscp).sum();
    let violating = includeds.into_iter().map(|detail| of_detail("violating", detail));
    let involved = mains.into_iter().map(|detail| of_detail("involved", detail));
    Some((amount, violating.chain(involved).collect()))
}

/// DUP-07: unsettled details count.
pub fn over_the_daily_limit(facts: &Facts, tables: &Tables) -> Vec<RefAlert> {
    // Of two limits for an item the smaller holds.
    let mut limits: BTreeMap<&str, i128> = BTreeMap::new();
    for (item, limit) in &tables.limits {
        let limit = values::decimal(limit, QUANTITY).expect("tests give good limits");
        let smallest = limits.entry(item.as_str()).or_insert(limit);
        *smallest = limit.min(*smallest);
    }
    let mut alerts = Vec::new();
    let key = |detail: &Detail| (detail.psn_no.clone(), detail.med_list_codg.clone(), detail.fee_ocur_time.day());
    for (person, item, day) in keys(&facts.details, key) {
        let Some(&limit) = limits.get(item.as_str()) else {
            continue;
        };
        let details: Vec<&Detail> =
            facts.details.iter().filter(|detail| key(detail) == (person.clone(), item.clone(), day.clone())).collect();
        let count: i128 = details.iter().map(|detail| detail.cnt).sum();
        let inscp: i128 = details.iter().map(|detail| detail.inscp).sum();
        if count > limit {
            let finding = Finding {
                result: "violation",
                severity: "medium",
                subject: ("person", person.clone()),
                // Exact until the end, then half up.
                amount: Some(values::share_half_up(inscp, count - limit, count)),
                evidence: details.iter().map(|detail| of_detail("violating", detail)).collect(),
            };
            alerts.push(alert("DUP-07", &[&person, &item, &day.0], finding));
        }
    }
    alerts
}
