//! Settlements that repeat an amount (DUP-02, DUP-03).

use super::finding::{FEN, ONE};
use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::Role;
use crate::live::settlements::LiveSettlement;
use crate::record::{Code, SettlementId};
use crate::rules::rule::{Grouping, Map, Repeat, Set, passes};

/// Groups of a visit's settlements (in order): the first opens a group and takes all of its amount within
/// reach whose days of care meet its own; the first left opens the next.
pub fn in_visit(
    world: &World<'_>,
    number: RuleNumber,
    repeat: &Repeat,
    settlements: &[LiveSettlement],
    out: &mut Vec<Found>,
) {
    let mut left: Vec<&LiveSettlement> = settlements.iter().filter(|one| counts(repeat, one)).collect();
    while let Some(first) = left.first().copied() {
        let taken = |other: &LiveSettlement| {
            other.row.medfee_sumamt == first.row.medfee_sumamt
                && other.row.setl_time.0 - first.row.setl_time.0 <= repeat.within
                && other.row.first_day() <= first.row.last_day()
                && first.row.first_day() <= other.row.last_day()
        };
        let (mut group, rest): (Vec<_>, Vec<_>) = left[1..].iter().partition(|other| taken(other));
        left = rest;
        if !group.is_empty() {
            group.insert(0, first);
            let visit = first.row.mdtrt_id.string(world.ids);
            let draft = world.draft(number).part("visit", visit);
            out.push(finish(world, draft, &group));
        }
    }
}

fn counts(repeat: &Repeat, settlement: &LiveSettlement) -> bool {
    passes(settlement.passes, repeat.filter) && settlement.row.medfee_sumamt.units() > 0
}

fn finish(world: &World<'_>, draft: super::finding::Draft<'_>, group: &[&LiveSettlement]) -> Found {
    let first = group[0];
    let mut draft = draft
        .part("amount", first.row.medfee_sumamt.to_string())
        .part("first_settlement", first.row.setl_id.string(world.ids))
        .figure("settlements", group.len() as i64 * ONE, Some(ONE))
        .figure("medfee_sumamt", first.row.medfee_sumamt.units() * FEN, None)
        .settlement(Role::Involved, first);
    for repeated in &group[1..] {
        draft = draft.settlement(Role::Violating, repeated);
    }
    draft.finish()
}

/// Chains among a person's settlements at one institution (in order): settlements of different visits, of one
/// amount, close in time and with like items are linked; what links join is one chain.
pub fn at_institution(
    world: &World<'_>,
    number: RuleNumber,
    repeat: &Repeat,
    settlements: &[LiveSettlement],
    out: &mut Vec<Found>,
) {
    let Grouping::PersonInstitutionChained { similarity } = repeat.grouping else {
        return;
    };
    let counted: Vec<&LiveSettlement> = settlements.iter().filter(|one| counts(repeat, one)).collect();
    let mut items: Map<SettlementId, Set<Code>> = Map::default();
    // Each settlement's chain, by the place of the chain's first.
    let mut chain: Vec<usize> = (0..counted.len()).collect();
    for later in 0..counted.len() {
        for earlier in 0..later {
            let (one, other) = (&counted[earlier].row, &counted[later].row);
            if chain[earlier] == chain[later]
                || one.mdtrt_id == other.mdtrt_id
                || one.medfee_sumamt != other.medfee_sumamt
                || other.setl_time.0 - one.setl_time.0 > repeat.within
            {
                continue;
            }
            let alike = similarity.is_none_or(|least| {
                for id in [one.setl_id, other.setl_id] {
                    items.entry(id).or_insert_with(|| world.items_of(id));
                }
                are_alike(&items[&one.setl_id], &items[&other.setl_id], least)
            });
            if alike {
                let (keep, drop) = (chain[earlier].min(chain[later]), chain[earlier].max(chain[later]));
                chain.iter_mut().filter(|first| **first == drop).for_each(|first| *first = keep);
            }
        }
    }
    for first in 0..counted.len() {
        let members = (first..counted.len()).filter(|place| chain[*place] == first);
        let group: Vec<&LiveSettlement> = members.map(|place| counted[place]).collect();
        if group.len() < 2 {
            continue;
        }
        let row = &counted[first].row;
        let draft = world
            .draft(number)
            .part("person", row.psn_no.string(world.ids))
            .part("institution", row.fixmedins_code.string(world.ids));
        out.push(finish(world, draft, &group));
    }
}

/// Whether the Jaccard similarity is at least so many 10^-4; where a set is empty nothing speaks against it.
fn are_alike(one: &Set<Code>, other: &Set<Code>, least: i64) -> bool {
    if one.is_empty() || other.is_empty() {
        return true;
    }
    let common = one.intersection(other).count() as i64;
    let all = one.len() as i64 + other.len() as i64 - common;
    common * ONE >= least * all
}
