//! PHA-06: machine-gun sales.

use super::super::live::{Facts, Settlement};
use super::{Finding, RefAlert, alert, class, fund_pay, keys, of_settlement};

const SALES: usize = 10;
const GAP_SECONDS: i64 = 20;

/// PHA-06: settlements of other classes or institutions do not break a run, nor does midnight.
pub fn machine_gun_sales(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    for institution in keys(&facts.settlements, |settlement| settlement.fixmedins_code.clone()) {
        // Sorted by `setl_time`, then `setl_id`, as `facts.settlements` are.
        let mut runs: Vec<Vec<&Settlement>> = Vec::new();
        for sale in &facts.settlements {
            if sale.fixmedins_code != institution || class(&sale.med_type) != "PHARMACY" {
                continue;
            }
            let follows = |run: &Vec<&Settlement>| {
                let before = run.last().expect("a run is never empty");
                sale.setl_time.seconds() - before.setl_time.seconds() <= GAP_SECONDS
            };
            match runs.last_mut() {
                Some(run) if follows(run) => run.push(sale),
                _ => runs.push(vec![sale]),
            }
        }
        for run in runs {
            if run.len() >= SALES {
                let finding = Finding {
                    result: "suspicious",
                    severity: "high",
                    subject: ("institution", institution.clone()),
                    amount: Some(fund_pay(&run)),
                    evidence: run.iter().map(|sale| of_settlement("violating", sale)).collect(),
                };
                alerts.push(alert("PHA-06", &[&institution, &run[0].setl_id], finding));
            }
        }
    }
    alerts
}
