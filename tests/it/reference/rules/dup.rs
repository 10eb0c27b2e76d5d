//! DUP-02 and DUP-03: the same care settled more than once.

use std::collections::BTreeSet;

use super::super::live::{Facts, Settlement};
use super::super::values::Day;
use super::{Finding, HOUR, MINUTE, RefAlert, alert, fund_pay, keys, of_settlement, yuan};

const SETTLED_TWICE_WINDOW: i64 = 24 * HOUR;
const LINK_GAP: i64 = 10 * MINUTE;
/// Jaccard at least 9/10.
const JACCARD: (usize, usize) = (9, 10);

/// DUP-02.
pub fn visit_settled_twice(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    let key = |settlement: &Settlement| (settlement.mdtrt_id.clone(), settlement.medfee_sumamt);
    for (visit, amount) in keys(&facts.settlements, key) {
        // Settlements without `mid_setl_flag` = 1 and with equal `medfee_sumamt` > 0, sorted.
        let mut left: Vec<&Settlement> = facts
            .settlements
            .iter()
            .filter(|settlement| key(settlement) == (visit.clone(), amount) && amount > 0 && !settlement.is_interim)
            .collect();
        // The first left opens a group and takes all within 24 h after it whose span meets its own.
        while let Some(first) = left.first().copied() {
            let (group, others): (Vec<&Settlement>, Vec<&Settlement>) = left.into_iter().partition(|settlement| {
                settlement.setl_id == first.setl_id
                    || (seconds_between(first, settlement) <= SETTLED_TWICE_WINDOW && spans_meet(first, settlement))
            });
            left = others;
            if group.len() >= 2 {
                let finding = Finding {
                    result: "violation",
                    severity: "high",
                    subject: ("visit", visit.clone()),
                    amount: Some(fund_pay(&group[1..])),
                    evidence: all_but_the_first_violate(&group),
                };
                alerts.push(alert("DUP-02", &[&visit, &yuan(amount), &first.setl_id], finding));
            }
        }
    }
    alerts
}

fn all_but_the_first_violate(group: &[&Settlement]) -> Vec<super::RefEvidence> {
    let (first, rest) = group.split_first().expect("at least two");
    let violating = rest.iter().map(|settlement| of_settlement("violating", settlement));
    violating.chain([of_settlement("involved", first)]).collect()
}

fn seconds_between(one: &Settlement, other: &Settlement) -> i64 {
    (other.setl_time.seconds() - one.setl_time.seconds()).abs()
}

/// `begndate..enddate`; a missing date is the day of `setl_time`.
fn span(settlement: &Settlement) -> (Day, Day) {
    let day = settlement.setl_time.day();
    let begin = settlement.begndate.clone().unwrap_or(day.clone());
    (begin, settlement.enddate.clone().unwrap_or(day))
}

/// Spans that share one day meet.
///
/// Decided: with one date missing a span may end before it begins; it is then compared the same
/// way, each begin against the other's end.
fn spans_meet(one: &Settlement, other: &Settlement) -> bool {
    let (one, other) = (span(one), span(other));
    one.0 <= other.1 && other.0 <= one.1
}

/// DUP-03.
pub fn probable_duplicate_payment(facts: &Facts) -> Vec<RefAlert> {
    let mut alerts = Vec::new();
    let key = |settlement: &Settlement| {
        (settlement.psn_no.clone(), settlement.fixmedins_code.clone(), settlement.medfee_sumamt)
    };
    for (person, institution, amount) in keys(&facts.settlements, key) {
        let mut left: Vec<&Settlement> = facts
            .settlements
            .iter()
            .filter(|settlement| key(settlement) == (person.clone(), institution.clone(), amount) && amount > 0)
            .collect();
        // A chain: settlements joined by links. Grow one from the first left until nothing joins.
        while !left.is_empty() {
            let mut chain = vec![left.remove(0)];
            while let Some(next) =
                left.iter().position(|candidate| chain.iter().any(|member| linked(facts, member, candidate)))
            {
                chain.push(left.remove(next));
            }
            if chain.len() >= 2 {
                chain.sort_by_key(|member| (member.setl_time.clone(), member.setl_id.clone()));
                let first = &chain[0].setl_id;
                let finding = Finding {
                    result: "suspicious",
                    severity: "medium",
                    subject: ("person", person.clone()),
                    amount: Some(fund_pay(&chain[1..])),
                    evidence: all_but_the_first_violate(&chain),
                };
                let amount = yuan(amount);
                alerts.push(alert("DUP-03", &[&person, &institution, &amount, first], finding));
            }
        }
    }
    alerts
}

/// Of settlements with equal amounts: whether visits differ, times are near and items alike.
fn linked(facts: &Facts, one: &Settlement, other: &Settlement) -> bool {
    one.mdtrt_id != other.mdtrt_id
        && seconds_between(one, other) <= LINK_GAP
        && are_alike(&items(facts, one), &items(facts, other))
}

/// The `med_list_codg` of live details that carry the settlement's `setl_id`.
fn items<'a>(facts: &'a Facts, settlement: &Settlement) -> BTreeSet<&'a str> {
    let details = facts.details.iter().filter(|detail| detail.setl_id.as_ref() == Some(&settlement.setl_id));
    details.map(|detail| detail.med_list_codg.as_str()).collect()
}

fn are_alike(one: &BTreeSet<&str>, other: &BTreeSet<&str>) -> bool {
    if one.is_empty() || other.is_empty() {
        return true;
    }
    let common = one.intersection(other).count();
    let all = one.union(other).count();
    common * JACCARD.1 >= JACCARD.0 * all
}
