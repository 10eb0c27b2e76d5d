//! IDN-01: care after death.

use super::super::live::{Discharge, Facts};
use super::super::values::Day;
use super::{Finding, RefAlert, Tables, alert, of_discharge, of_settlement};

const GRACE_DAYS: i64 = 1;

/// IDN-01: `die_date` is the earliest of the registry's and the person's live discharges'.
///
/// Decided: whose discharge it is, its own `psn_no` says, not its admission's.
pub fn care_after_death(facts: &Facts, tables: &Tables) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for settlement in &facts.settlements {
        let discharges: Vec<&Discharge> =
            facts.discharges.iter().filter(|discharge| discharge.psn_no == settlement.psn_no).collect();
        // An empty `die_date` is none; persons not in the registry are alive.
        let registered = tables.deaths.get(&settlement.psn_no).filter(|date| !date.is_empty());
        let registered = registered.map(|date| Day::parse(date).expect("tests give good days"));
        let stated = discharges.iter().filter_map(|discharge| discharge.die_date.clone());
        let Some(die_date) = stated.chain(registered).min() else {
            continue;
        };

        let day = settlement.begndate.clone().unwrap_or(settlement.setl_time.day());
        if day.number() > die_date.number() + GRACE_DAYS {
            let mut evidence = vec![of_settlement("violating", settlement)];
            for discharge in discharges {
                if discharge.die_date.as_ref() == Some(&die_date) {
                    evidence.push(of_discharge("involved", discharge));
                }
            }
            let finding = Finding {
                result: "violation",
                severity: "critical",
                subject: ("person", settlement.psn_no.clone()),
                amount: Some(settlement.fund_pay_sumamt),
                evidence,
            };
            alerts.push(alert("IDN-01", &[&settlement.setl_id], finding));
        }
    }
    alerts
}
