//! CHG-01: bed days exceed the stay.

use super::super::live::{Detail, Facts};
use super::super::values::{self, ONE};
use super::{Finding, RefAlert, alert, of_detail};

const BED: &str = "01";
const TOLERANCE: i128 = ONE;

/// CHG-01: bed details count whatever their day.
pub fn bed_days_exceed_the_stay(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for stay in &facts.stays {
        let Some(discharge) = &stay.discharge else {
            continue;
        };
        let days = discharge.endtime.day().number() - stay.begntime.day().number() + 1;
        let days = i128::from(days) * ONE;
        let beds: Vec<&Detail> = facts
            .details
            .iter()
            .filter(|detail| detail.mdtrt_id == stay.mdtrt_id && detail.med_chrgitm_type.as_deref() == Some(BED))
            .collect();
        let count: i128 = beds.iter().map(|detail| detail.cnt).sum();
        let inscp: i128 = beds.iter().map(|detail| detail.inscp).sum();
        if count > days + TOLERANCE {
            let finding = Finding {
                result: "violation",
                severity: "medium",
                subject: ("visit", stay.mdtrt_id.clone()),
                amount: Some(values::share_half_up(inscp, count - days, count)),
                evidence: beds.iter().map(|detail| of_detail("violating", detail)).collect(),
            };
            alerts.push(alert("CHG-01", &[&stay.mdtrt_id], finding));
        }
    }
    alerts
}
