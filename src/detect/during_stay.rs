//! A settlement during a stay (STY-07, STY-08).

use super::finding::{FEN, ONE};
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::settlements::LiveSettlement;
use crate::live::stays::Stay;
use crate::rules::rule::{DuringStay, passes};

/// Over one settlement and the stays of its person.
pub fn of_settlement(
    world: &World<'_>,
    number: RuleNumber,
    rule: &DuringStay,
    settlement: &LiveSettlement,
    stays: &[Stay],
    out: &mut Vec<Found>,
) {
    if !passes(settlement.passes, rule.filter) {
        return;
    }
    let day = settlement.row.setl_time.day();
    for stay in stays.iter().filter(|stay| stay.is_discharged()) {
        if day <= stay.begin.day() || day >= stay.end.day() {
            continue;
        }
        let draft = world
            .draft(number)
            .part("settlement", settlement.row.setl_id.string(world.ids))
            .part("stay", stay.visit.string(world.ids))
            .figure("medfee_sumamt", settlement.row.medfee_sumamt.units() * FEN, None)
            .figure("days_after_admission", i64::from(day.0 - stay.begin.day().0) * ONE, None)
            .settlement(Role::Violating, settlement)
            .stay(Role::Involved, stay);
        out.push(draft.finish());
    }
}
