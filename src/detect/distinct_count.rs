//! Too many different visits or institutions in a person's day (VIS-01, VIS-03).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::settlements::LiveSettlement;
use crate::record::Day;
use crate::rules::rule::{Distinct, DistinctCount, passes};

/// Over a person's settlements of a day.
pub fn in_day(
    world: &World<'_>,
    number: RuleNumber,
    count: &DistinctCount,
    day: Day,
    settlements: &[LiveSettlement],
    out: &mut Vec<Found>,
) {
    let counted: Vec<&LiveSettlement> = settlements.iter().filter(|one| passes(one.passes, count.filter)).collect();
    let mut different: Vec<u32> = counted
        .iter()
        .map(|settlement| match count.what {
            Distinct::Visits => settlement.row.mdtrt_id.0,
            Distinct::Institutions => settlement.row.fixmedins_code.0,
        })
        .collect();
    different.sort_unstable();
    different.dedup();
    let (Some(first), true) = (counted.first(), different.len() as i64 >= count.at_least) else {
        return;
    };
    let name = match count.what {
        Distinct::Visits => "visits",
        Distinct::Institutions => "institutions",
    };
    let mut draft = world
        .draft(number)
        .part("person", first.row.psn_no.string(world.ids))
        .part("day", day.to_string())
        .figure(name, different.len() as i64 * ONE, Some(count.at_least * ONE));
    for settlement in counted {
        draft = draft.settlement(Role::Violating, settlement);
    }
    out.push(draft.finish());
}
