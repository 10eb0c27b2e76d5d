//! Records of a visit that cannot both be right (DQ-03, DQ-08).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{Found, VisitFacts, World};
use crate::alert::Role;
use crate::record::field::Field;
use crate::rules::rule::Contradiction;

/// Over a visit. Of a discharge and an admission in the wrong order nobody knows which is wrong, so both violate.
pub fn in_visit(
    world: &World<'_>,
    number: RuleNumber,
    contradiction: Contradiction,
    facts: &VisitFacts<'_>,
    out: &mut Vec<Found>,
) {
    let visit = facts.visit.string(world.ids);
    match contradiction {
        Contradiction::DischargeBeforeAdmission => {
            let Some((admission, discharge)) = world.visits.reversed(facts.visit) else {
                return;
            };
            let seconds = admission.begntime.0 - discharge.endtime.0;
            let draft = world
                .draft(number)
                .part("visit", visit)
                .figure("hours_before_admission", seconds * ONE / 3_600, None)
                .admission(Role::Violating, admission)
                .discharge(Role::Violating, discharge);
            out.push(draft.finish());
        }
        Contradiction::RefundsExceedDetail => {
            for over in facts.over_refunds {
                let refunded = -over.refunds.iter().map(|row| row.cnt.units()).sum::<i64>();
                let mut draft = world
                    .draft(number)
                    .part("visit", visit.clone())
                    .part("detail", over.detail.feedetl_sn.text(world.ids))
                    .figure("refunded_cnt", refunded, Some(over.detail.cnt.units()))
                    .billed(Role::Involved, &over.detail);
                for row in &over.refunds {
                    draft = draft.billed(Role::Violating, row);
                }
                out.push(draft.finish());
            }
        }
    }
}
