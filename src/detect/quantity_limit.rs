//! More units than allowed (DUP-07, CHG-01).

use super::finding::ONE;
use super::plan::RuleNumber;
use super::{DayFacts, Found, VisitFacts, World};
use crate::alert::Role;
use crate::live::details::LiveDetail;
use crate::record::Code;
use crate::rules::rule::{Allowance, Map, QuantityLimit, passes};

/// Over a person's day, item by item.
pub fn in_day(
    world: &World<'_>,
    number: RuleNumber,
    limit: &QuantityLimit,
    facts: &DayFacts<'_>,
    out: &mut Vec<Found>,
) {
    let Allowance::PersonDayItem(limits) = &limit.limit else {
        return;
    };
    let mut by_item: Map<Code, Vec<&LiveDetail>> = Map::default();
    for detail in facts.details.iter().filter(|detail| passes(detail.passes, limit.filter)) {
        if limits.contains_key(&detail.row.med_list_codg) {
            by_item.entry(detail.row.med_list_codg).or_default().push(detail);
        }
    }
    for (item, details) in by_item {
        let allowed = limits[&item];
        let (cnt, inscp) = sums(&details);
        if cnt <= allowed {
            continue;
        }
        let mut draft = world
            .draft(number)
            .part("person", facts.person.to_owned())
            .part("item", item.string(world.ids))
            .part("day", facts.day.to_string())
            .figure("cnt", cnt, Some(allowed))
            .excess(allowed, cnt, inscp);
        for detail in details {
            draft = draft.detail(Role::Violating, detail);
        }
        out.push(draft.finish());
    }
}

/// Over a discharged stay: its days are allowed, and a tolerance is passed over.
pub fn in_visit(
    world: &World<'_>,
    number: RuleNumber,
    limit: &QuantityLimit,
    facts: &VisitFacts<'_>,
    out: &mut Vec<Found>,
) {
    let (Allowance::StayDays { tolerance }, Some(stay)) = (&limit.limit, facts.stay) else {
        return;
    };
    let details: Vec<&LiveDetail> = facts.details.iter().filter(|one| passes(one.passes, limit.filter)).collect();
    let (cnt, inscp) = sums(&details);
    let days = i64::from(stay.days()) * ONE;
    if !stay.is_discharged() || cnt <= days + tolerance {
        return;
    }
    let mut draft = world
        .draft(number)
        .part("visit", facts.visit.string(world.ids))
        .figure("cnt", cnt, Some(days + tolerance))
        .figure("stay_days", days, None)
        .excess(days, cnt, inscp);
    for detail in details {
        draft = draft.detail(Role::Violating, detail);
    }
    out.push(draft.finish());
}

/// Σcnt in 10^-4 and Σinscp in fen.
fn sums(details: &[&LiveDetail]) -> (i64, i64) {
    (details.iter().map(|detail| detail.cnt).sum(), details.iter().map(|detail| detail.inscp).sum())
}
