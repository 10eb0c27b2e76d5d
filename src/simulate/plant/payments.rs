//! DUP-02 (one visit settled twice) and DUP-03 (the same purchase paid twice).

use super::super::bill::Detail;
use super::super::calendar::{DAY, HOUR, MINUTE, day_of};
use super::super::catalogue::GASTRO;
use super::super::city::midnight;
use super::super::truth::Role::{Involved, Violating};
use super::stage::{Case, Stage};

/// An outpatient visit with four drugs, sent, and the same visit settled again after `gap`, not sent.
fn settled_twice(stage: &mut Stage, gap: i64) -> Option<(Case, Case)> {
    let (person, place, time) = (stage.anyone()?, stage.hospital(), stage.soon());
    let case = stage.ordinary(person, place, "11", time);
    let twin = stage.twin(&case, time + gap);
    Some((case, twin))
}

fn dup02(stage: &mut Stage, first: &Case, others: &[&Case]) {
    let subject = stage.visit_subject(first);
    let mut evidence = vec![stage.settlement(Involved, first)];
    evidence.extend(others.iter().map(|case| stage.settlement(Violating, case)));
    let amount = others.iter().map(|case| case.fund()).sum();
    stage.fraud("DUP-02", "high", subject, Some(amount), evidence);
}

fn not_dup02(stage: &mut Stage, cases: &[&Case]) {
    let subject = stage.visit_subject(cases[0]);
    let evidence = cases.iter().map(|case| stage.settlement(Violating, case)).collect();
    stage.near_miss("DUP-02", subject, evidence);
}

pub(super) fn twice(stage: &mut Stage) -> Option<()> {
    let (case, twin) = settled_twice(stage, 40 * MINUTE)?;
    stage.send(&twin);
    dup02(stage, &case, &[&twin]);
    Some(())
}

pub(super) fn three_times(stage: &mut Stage) -> Option<()> {
    let (case, twin) = settled_twice(stage, 3 * HOUR)?;
    stage.send(&twin);
    let third = stage.twin(&case, case.bill.time + 20 * HOUR);
    stage.send(&third);
    dup02(stage, &case, &[&twin, &third]);
    Some(())
}

/// A stay settled again after exactly 24 hours, which is still within.
pub(super) fn stay_twice(stage: &mut Stage) -> Option<()> {
    let (person, place, day) = (stage.anyone()?, stage.hospital(), stage.first_day());
    let begin = midnight(day) + 9 * HOUR;
    let mut stay = stage.inpatient(person, place, (GASTRO, 0), begin, begin + 3 * DAY)?;
    stage.send_stay(&mut stay);
    let twin = stage.twin(&stay.case, stay.case.bill.time + DAY);
    stage.send(&twin);
    dup02(stage, &stay.case, &[&twin]);
    Some(())
}

pub(super) fn twice_after_a_day(stage: &mut Stage) -> Option<()> {
    let (case, twin) = settled_twice(stage, DAY + 1)?;
    stage.send(&twin);
    not_dup02(stage, &[&case, &twin]);
    Some(())
}

pub(super) fn twice_interim(stage: &mut Stage) -> Option<()> {
    let (person, place, time) = (stage.anyone()?, stage.hospital(), stage.soon());
    let mut case = stage.visit(person, place, "11", time);
    stage.basket(&mut case, 4, 4);
    stage.settle(&mut case);
    case.bill.interim = true;
    stage.send(&case);
    let twin = stage.twin(&case, time + 2 * HOUR);
    stage.send(&twin);
    not_dup02(stage, &[&case, &twin]);
    Some(())
}

fn twice_refunded_as(stage: &mut Stage, linked: bool) -> Option<()> {
    let (case, twin) = settled_twice(stage, 30 * MINUTE)?;
    stage.send(&twin);
    stage.refund(&twin, twin.bill.time + 11 * MINUTE, linked);
    not_dup02(stage, &[&case, &twin]);
    Some(())
}

pub(super) fn twice_refunded(stage: &mut Stage) -> Option<()> {
    twice_refunded_as(stage, true)
}

/// A refund that names no settlement takes out the latest one of that amount.
pub(super) fn twice_refunded_unlinked(stage: &mut Stage) -> Option<()> {
    twice_refunded_as(stage, false)
}

/// A visit over two days, each day settled by itself.
pub(super) fn twice_other_days(stage: &mut Stage) -> Option<()> {
    let (case, mut twin) = settled_twice(stage, 20 * HOUR)?;
    let next = day_of(case.bill.time) + 1;
    twin.bill.begin_day = Some(next);
    twin.bill.end_day = Some(next);
    stage.send(&twin);
    not_dup02(stage, &[&case, &twin]);
    Some(())
}

pub(super) fn twice_a_fen_apart(stage: &mut Stage) -> Option<()> {
    let (case, mut twin) = settled_twice(stage, HOUR)?;
    twin.details.clear();
    twin.bill.sums.total += 1;
    twin.bill.sums.own += 1;
    twin.bill.sums.cash += 1;
    stage.send(&twin);
    not_dup02(stage, &[&case, &twin]);
    Some(())
}

/// The purchase of `case` again: another visit, the same details and money, `gap` later.
fn again(stage: &mut Stage, case: &Case, gap: i64) -> Case {
    let bill = &case.bill;
    let mut other = stage.visit(bill.person, bill.place, bill.med_type, bill.time + gap);
    other.details.extend(case.details.iter().map(|detail| Detail { time: detail.time + gap, ..*detail }));
    other.bill.sums = bill.sums;
    other
}

fn dup03(stage: &mut Stage, cases: &[&Case]) {
    let subject = stage.person(cases[0].bill.person);
    let evidence = cases
        .iter()
        .enumerate()
        .map(|(index, case)| stage.settlement(if index == 0 { Involved } else { Violating }, case))
        .collect();
    let amount = cases[1..].iter().map(|case| case.fund()).sum();
    stage.fraud("DUP-03", "medium", subject, Some(amount), evidence);
}

fn not_dup03(stage: &mut Stage, cases: &[&Case]) {
    let subject = stage.person(cases[0].bill.person);
    let evidence = cases.iter().map(|case| stage.settlement(Violating, case)).collect();
    stage.near_miss("DUP-03", subject, evidence);
}

fn purchase(stage: &mut Stage) -> Option<Case> {
    let (person, place, time) = (stage.anyone()?, stage.hospital(), stage.soon());
    Some(stage.ordinary(person, place, "11", time))
}

pub(super) fn paid_twice(stage: &mut Stage) -> Option<()> {
    let case = purchase(stage)?;
    let other = again(stage, &case, 4 * MINUTE);
    stage.send(&other);
    dup03(stage, &[&case, &other]);
    Some(())
}

/// A chain: each link is 8 minutes, its ends 16 minutes apart.
pub(super) fn paid_in_a_chain(stage: &mut Stage) -> Option<()> {
    let case = purchase(stage)?;
    let second = again(stage, &case, 8 * MINUTE);
    let third = again(stage, &case, 16 * MINUTE);
    stage.send(&second);
    stage.send(&third);
    dup03(stage, &[&case, &second, &third]);
    Some(())
}

/// Exactly ten minutes, and the second one has no details, which counts as the same.
pub(super) fn paid_twice_without_details(stage: &mut Stage) -> Option<()> {
    let case = purchase(stage)?;
    let mut other = again(stage, &case, 10 * MINUTE);
    other.details.clear();
    stage.send(&other);
    dup03(stage, &[&case, &other]);
    Some(())
}

pub(super) fn paid_after_ten_minutes(stage: &mut Stage) -> Option<()> {
    let case = purchase(stage)?;
    let other = again(stage, &case, 10 * MINUTE + 1);
    stage.send(&other);
    not_dup03(stage, &[&case, &other]);
    Some(())
}

/// Two purchases of equal cost, one of `items` drugs, one of these and one more.
fn nearly_the_same(stage: &mut Stage, items: usize) -> Option<(Case, Case)> {
    let (person, place, time) = (stage.anyone()?, stage.hospital(), stage.soon());
    let mut case = stage.visit(person, place, "11", time);
    stage.basket(&mut case, 3, items + 1);
    stage.settle(&mut case);
    stage.send(&case);
    let mut other = again(stage, &case, 5 * MINUTE);
    // The first drug's price takes up the cost of the one left out.
    let left_out = other.details.pop()?;
    let first = other.details[0];
    other.details[0] = Detail::new(
        usize::from(first.item),
        first.serial,
        first.time,
        first.count,
        (first.amount + left_out.amount) * 100,
    );
    stage.settle(&mut other);
    stage.send(&other);
    Some((case, other))
}

/// 9 of 10 items the same: just enough.
pub(super) fn paid_for_nine_of_ten(stage: &mut Stage) -> Option<()> {
    let (case, other) = nearly_the_same(stage, 9)?;
    dup03(stage, &[&case, &other]);
    Some(())
}

/// 8 of 9 items the same: just not enough.
pub(super) fn paid_for_eight_of_nine(stage: &mut Stage) -> Option<()> {
    let (case, other) = nearly_the_same(stage, 8)?;
    not_dup03(stage, &[&case, &other]);
    Some(())
}

pub(super) fn paid_elsewhere(stage: &mut Stage) -> Option<()> {
    let (person, time) = (stage.anyone()?, stage.soon());
    let [one, two] = stage.hospitals();
    let case = stage.ordinary(person, one, "11", time);
    let mut other = again(stage, &case, 3 * MINUTE);
    other.bill.place = two;
    stage.send(&other);
    not_dup03(stage, &[&case, &other]);
    Some(())
}

pub(super) fn paid_twice_refunded(stage: &mut Stage) -> Option<()> {
    let case = purchase(stage)?;
    let other = again(stage, &case, 2 * MINUTE);
    stage.send(&other);
    stage.refund(&other, other.bill.time + 26 * HOUR, true);
    not_dup03(stage, &[&case, &other]);
    Some(())
}
