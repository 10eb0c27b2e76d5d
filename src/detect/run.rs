//! A run of settlements in quick succession at an institution (PHA-06).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::settlements::LiveSettlement;
use crate::rules::rule::{Run, passes};

/// Over settlements of an institution, in order, that include every run they touch as a whole.
pub fn at_institution(
    world: &World<'_>,
    number: RuleNumber,
    run: &Run,
    settlements: &[LiveSettlement],
    out: &mut Vec<Found>,
) {
    let counted: Vec<&LiveSettlement> = settlements.iter().filter(|one| passes(one.passes, run.filter)).collect();
    let close =
        |one: &&LiveSettlement, other: &&LiveSettlement| other.row.setl_time.0 - one.row.setl_time.0 <= run.pause;
    for members in counted.chunk_by(close).filter(|members| members.len() >= run.at_least) {
        let (first, last) = (members[0], members[members.len() - 1]);
        let mut draft = world
            .draft(number)
            .part("institution", first.row.fixmedins_code.string(world.ids))
            .part("first_settlement", first.row.setl_id.string(world.ids))
            .figure("settlements", members.len() as i64 * ONE, Some(run.at_least as i64 * ONE))
            .figure("seconds", (last.row.setl_time.0 - first.row.setl_time.0) * ONE, None);
        for settlement in members {
            draft = draft.settlement(Role::Violating, settlement);
        }
        out.push(draft.finish());
    }
}
