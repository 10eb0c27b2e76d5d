//! Consecutive days of a stay without activity (STY-10).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{Found, VisitFacts, World};
use crate::alert::Role;
use crate::rules::rule::{MissingActivity, passes};

/// Over a discharged stay, from the day of admission to that of discharge.
pub fn in_visit(
    world: &World<'_>,
    number: RuleNumber,
    missing: &MissingActivity,
    facts: &VisitFacts<'_>,
    out: &mut Vec<Found>,
) {
    let Some(stay) = facts.stay.filter(|stay| stay.is_discharged()) else {
        return;
    };
    let (first, last) = (stay.begin.day().0, stay.end.day().0);
    let active = facts.details.iter().filter(|detail| passes(detail.passes, missing.activity));
    let mut days: Vec<i32> = active.map(|detail| detail.row.fee_ocur_time.day().0).collect();
    days.retain(|day| (first..=last).contains(day));
    days.sort_unstable();
    let mut longest = 0;
    let mut next = first;
    for day in days.into_iter().chain(Some(last + 1)) {
        longest = longest.max(day - next);
        next = day + 1;
    }
    if longest < missing.days {
        return;
    }
    let draft = world
        .draft(number)
        .part("visit", facts.visit.string(world.ids))
        .figure("longest_run", i64::from(longest) * ONE, Some(i64::from(missing.days) * ONE))
        .figure("stay_days", i64::from(stay.days()) * ONE, None)
        .stay(Role::Violating, stay)
        .visit(facts.visit);
    out.push(draft.finish());
}
