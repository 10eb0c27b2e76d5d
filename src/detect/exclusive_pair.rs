//! An item billed together with one that includes it (DUP-04, DUP-05).

use super::plan::RuleNumber;
use super::{DayFacts, Found, VisitFacts, World};
use crate::alert::Role;
use crate::live::details::LiveDetail;
use crate::record::Code;
use crate::rules::rule::{ExclusivePair, Map, passes};

/// Over a visit.
pub fn in_visit(
    world: &World<'_>,
    number: RuleNumber,
    pair: &ExclusivePair,
    facts: &VisitFacts<'_>,
    out: &mut Vec<Found>,
) {
    let visit = facts.visit.string(world.ids);
    find(world, number, pair, facts.details, &[("visit", &visit)], out);
}

/// Over a person's day.
pub fn in_day(world: &World<'_>, number: RuleNumber, pair: &ExclusivePair, facts: &DayFacts<'_>, out: &mut Vec<Found>) {
    let day = facts.day.to_string();
    find(world, number, pair, facts.details, &[("person", facts.person), ("day", &day)], out);
}

fn find(
    world: &World<'_>,
    number: RuleNumber,
    pair: &ExclusivePair,
    details: &[LiveDetail],
    identity: &[(&'static str, &str)],
    out: &mut Vec<Found>,
) {
    let mut by_item: Map<Code, Vec<&LiveDetail>> = Map::default();
    for detail in details.iter().filter(|detail| passes(detail.passes, pair.filter)) {
        by_item.entry(detail.row.med_list_codg).or_default().push(detail);
    }
    for (main, of_main) in &by_item {
        for included in pair.pairs.get(main).into_iter().flatten() {
            let Some(of_included) = by_item.get(included).filter(|_| included != main) else {
                continue;
            };
            let cnt = of_included.iter().map(|detail| detail.cnt).sum();
            let mut draft = world.draft(number);
            for (name, value) in identity {
                draft = draft.part(name, (*value).to_owned());
            }
            draft = draft.part("main", main.string(world.ids)).part("included", included.string(world.ids)).figure(
                "included_cnt",
                cnt,
                Some(0),
            );
            for detail in of_main {
                draft = draft.detail(Role::Involved, detail);
            }
            for detail in of_included {
                draft = draft.detail(Role::Violating, detail);
            }
            out.push(draft.finish());
        }
    }
}
