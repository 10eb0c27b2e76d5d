//! A settlement above the limit of its class (VIS-04).

use super::finding::FEN;
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::settlements::LiveSettlement;
use crate::rules::rule::{Threshold, passes};

/// Over one settlement.
pub fn of_settlement(
    world: &World<'_>,
    number: RuleNumber,
    threshold: &Threshold,
    settlement: &LiveSettlement,
    out: &mut Vec<Found>,
) {
    let fee = settlement.row.medfee_sumamt.units();
    let class = world.plan.class(settlement.row.med_type);
    let limit = threshold.limits.iter().find(|(of, _)| *of == class).map(|(_, limit)| *limit);
    let Some(limit) = limit.filter(|limit| fee > *limit && passes(settlement.passes, threshold.filter)) else {
        return;
    };
    let draft = world
        .draft(number)
        .part("settlement", settlement.row.setl_id.string(world.ids))
        .figure("medfee_sumamt", fee * FEN, Some(limit * FEN))
        .settlement(Role::Violating, settlement);
    out.push(draft.finish());
}
