//! The DQ family: what the contract calls a data-quality finding, as the rules in shadow tell it.

use super::super::live::Facts;
use super::{Finding, RefAlert, RefEvidence, alert, of_detail, of_discharge};

/// DQ-03: nobody knows which of the two is wrong, so both violate.
pub fn discharge_before_admission(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for visit in &facts.reversed_visits {
        let mdtrt_id = &visit.discharge.mdtrt_id;
        let admission = RefEvidence {
            time: visit.begntime.0.clone(),
            id: mdtrt_id.clone(),
            kind: "admission".into(),
            role: "violating".into(),
            amount: None,
        };
        let finding = Finding {
            result: "technical",
            severity: "medium",
            subject: ("visit", mdtrt_id.clone()),
            amount: None,
            evidence: vec![of_discharge("violating", &visit.discharge), admission],
        };
        alerts.push(alert("DQ-03", &[mdtrt_id], finding));
    }
    alerts
}

/// DQ-08: the amount is what the rows take back of `inscp` beyond the detail's own, null where they take back less.
pub fn refunds_exceed_the_detail(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for over in &facts.over_refunds {
        let given_back: i128 = over.rows.iter().map(|row| -row.inscp).sum();
        let beyond = given_back - over.detail.inscp;
        let rows = over.rows.iter().map(|row| of_detail("violating", row));
        let finding = Finding {
            result: "technical",
            severity: "low",
            subject: ("visit", over.detail.mdtrt_id.clone()),
            amount: if beyond < 0 { None } else { Some(beyond) },
            evidence: rows.chain([of_detail("involved", &over.detail)]).collect(),
        };
        alerts.push(alert("DQ-08", &[&over.detail.mdtrt_id, &over.detail.feedetl_sn], finding));
    }
    alerts
}
