//! Two stays at the same time (STY-06, STY-16).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::stays::Stay;
use crate::rules::rule::{Overlap, OverlapKey};
use std::cmp::Ordering;

/// Over all pairs of stays of a person or in a bed, in order of admission.
pub fn in_stays(world: &World<'_>, number: RuleNumber, overlap: &Overlap, stays: &[Stay], out: &mut Vec<Found>) {
    for (place, one) in stays.iter().enumerate() {
        for other in &stays[place + 1..] {
            let shared = one.known_end.min(other.known_end).0 - one.begin.max(other.begin).0;
            if shared <= overlap.tolerance || (overlap.key == OverlapKey::Bed && one.person == other.person) {
                continue;
            }
            let in_text_order = world.by_text(one.visit, other.visit) == Ordering::Less;
            let (first, second) = if in_text_order { (one, other) } else { (other, one) };
            // Of two that began together the one with the greater id began later.
            let later = if one.begin == other.begin { second } else { other };
            let mut draft = world
                .draft(number)
                .part("first_stay", first.visit.string(world.ids))
                .part("second_stay", second.visit.string(world.ids))
                .figure("overlap_hours", shared * ONE / 3_600, Some(overlap.tolerance * ONE / 3_600))
                .stay(Role::Violating, first)
                .stay(Role::Violating, second)
                .visit(later.visit);
            if overlap.key == OverlapKey::Bed {
                draft = draft.bed(one.institution, one.bed);
            }
            out.push(draft.finish());
        }
    }
}
