//! A settlement of care after the person's death (IDN-01).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::settlements::LiveSettlement;
use crate::record::{Day, Discharge};
use crate::rules::rule::{AfterDeath, passes};

/// Over one settlement; `stated_by` are the live discharges of the person that state the date of death.
pub fn of_settlement(
    world: &World<'_>,
    number: RuleNumber,
    rule: &AfterDeath,
    settlement: &LiveSettlement,
    death: Day,
    stated_by: &[&Discharge],
    out: &mut Vec<Found>,
) {
    let days = settlement.row.first_day().0 - death.0;
    if days <= rule.grace || !passes(settlement.passes, rule.filter) {
        return;
    }
    let mut draft = world
        .draft(number)
        .part("settlement", settlement.row.setl_id.string(world.ids))
        .figure("days_after_death", i64::from(days) * ONE, Some(i64::from(rule.grace) * ONE))
        .settlement(Role::Violating, settlement);
    for discharge in stated_by {
        draft = draft.discharge(Role::Involved, discharge);
    }
    out.push(draft.finish());
}
