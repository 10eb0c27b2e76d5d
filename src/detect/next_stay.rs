//! A stay that follows another at the same institution (STY-01, STY-05).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::stays::Stay;
use crate::record::Code;
use crate::rules::rule::{Departments, NextStay, passes};

/// Over a person's stays, in order; neighbours are taken at each institution.
pub fn in_stays(world: &World<'_>, number: RuleNumber, next: &NextStay, stays: &[Stay], out: &mut Vec<Found>) {
    for (place, earlier) in stays.iter().enumerate() {
        let Some(later) = stays[place + 1..].iter().find(|later| later.institution == earlier.institution) else {
            continue;
        };
        let gap = later.begin.day().0 - earlier.end.day().0;
        if !earlier.is_discharged()
            || !(next.gap_from..=next.gap_to).contains(&gap)
            || (next.exempt_earlier.is_some() && passes(earlier.passes, next.exempt_earlier))
            || !departments_fit(next.departments, earlier.dscg_dept, later.adm_dept)
            || !next.same_diagnosis.is_none_or(|length| same_start(world, earlier.diagnosis, later.diagnosis, length))
        {
            continue;
        }
        let draft = world
            .draft(number)
            .part("earlier_stay", earlier.visit.string(world.ids))
            .part("later_stay", later.visit.string(world.ids))
            .figure("days_between", i64::from(gap) * ONE, Some(i64::from(next.gap_to) * ONE))
            .stay(Role::Involved, earlier)
            .stay(Role::Violating, later)
            .visit(later.visit);
        out.push(draft.finish());
    }
}

/// A missing department is no match and no difference.
fn departments_fit(wanted: Departments, discharged: Code, admitted: Code) -> bool {
    let both = discharged.get().is_some() && admitted.get().is_some();
    match wanted {
        Departments::Any => true,
        Departments::Same => both && discharged == admitted,
        Departments::Different => both && discharged != admitted,
    }
}

/// Whether two codes are there and begin with the same so many characters.
fn same_start(world: &World<'_>, one: Code, other: Code, length: usize) -> bool {
    if one.get().is_none() || other.get().is_none() {
        return false;
    }
    let start = |code: Code| code.string(world.ids).chars().take(length).collect::<String>();
    start(one) == start(other)
}
