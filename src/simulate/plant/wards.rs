//! STY-07 and STY-08 (care and purchases during a stay), STY-10 (hang-bed), STY-16 (one bed, two
//! patients).

use super::super::calendar::{DAY, HOUR, MINUTE};
use super::super::catalogue::{BED_WARD, CARDIOLOGY, CONSULT_INPATIENT, NURSING_2};
use super::super::city::midnight;
use super::super::truth::Role::{Involved, Violating};
use super::stage::{Case, Inpatient, ONE, Stage};

const HEART: (u8, u8) = (CARDIOLOGY, 1);

/// A stay of `nights` from the next morning, sent.
fn stay(stage: &mut Stage, nights: i64) -> Option<Inpatient> {
    let mut stay = unsent(stage, nights)?;
    stage.send_stay(&mut stay);
    Some(stay)
}

fn unsent(stage: &mut Stage, nights: i64) -> Option<Inpatient> {
    let (person, place, day) = (stage.anyone()?, stage.hospital(), stage.first_day());
    let begin = midnight(day) + 9 * HOUR + stage.between(0, 50 * MINUTE);
    stage.inpatient(person, place, HEART, begin, midnight(day + nights) + 10 * HOUR)
}

// STY-07 and STY-08.

fn during(stage: &mut Stage, rule: &'static str, severity: &'static str, stay: &Inpatient, case: &Case) {
    let subject = stage.person(stay.ward.person);
    let evidence = vec![stage.settlement(Violating, case), stage.stay(Involved, &stay.ward)];
    stage.fraud(rule, severity, subject, Some(case.fund()), evidence);
}

fn not_during(stage: &mut Stage, rule: &'static str, case: &Case) {
    let subject = stage.person(case.bill.person);
    let evidence = vec![stage.settlement(Violating, case)];
    stage.near_miss(rule, subject, evidence);
}

/// A visit of `med_type` on a day of a stay of five nights, at a quarter past three.
fn visit_on(stage: &mut Stage, stay: &Inpatient, day: i64, med_type: &'static str) -> Case {
    let place = stage.hospital();
    let time = midnight(stay.first_day() + day) + 15 * HOUR + 15 * MINUTE;
    stage.ordinary(stay.ward.person, place, med_type, time)
}

fn outpatient_inside(stage: &mut Stage, day: i64, med_type: &'static str) -> Option<()> {
    let stay = stay(stage, 5)?;
    let case = visit_on(stage, &stay, day, med_type);
    during(stage, "STY-07", "medium", &stay, &case);
    Some(())
}

pub(super) fn outpatient_on_the_second_day(stage: &mut Stage) -> Option<()> {
    outpatient_inside(stage, 1, "11")
}

pub(super) fn chronic_on_the_last_day_but_one(stage: &mut Stage) -> Option<()> {
    outpatient_inside(stage, 4, "14")
}

pub(super) fn emergency_inside(stage: &mut Stage) -> Option<()> {
    outpatient_inside(stage, 2, "13")
}

fn outpatient_outside(stage: &mut Stage, day: i64, med_type: &'static str) -> Option<()> {
    let stay = stay(stage, 5)?;
    let case = visit_on(stage, &stay, day, med_type);
    not_during(stage, "STY-07", &case);
    Some(())
}

pub(super) fn outpatient_on_admission_day(stage: &mut Stage) -> Option<()> {
    outpatient_outside(stage, 0, "11")
}

pub(super) fn outpatient_on_discharge_day(stage: &mut Stage) -> Option<()> {
    outpatient_outside(stage, 5, "11")
}

pub(super) fn accident_inside(stage: &mut Stage) -> Option<()> {
    outpatient_outside(stage, 3, "22")
}

pub(super) fn outpatient_inside_refunded(stage: &mut Stage) -> Option<()> {
    let stay = stay(stage, 5)?;
    let case = visit_on(stage, &stay, 3, "11");
    stage.refund(&case, case.bill.time + 30 * HOUR, true);
    not_during(stage, "STY-07", &case);
    Some(())
}

/// The stay never was: its admission is cancelled after all.
pub(super) fn outpatient_inside_a_cancelled_stay(stage: &mut Stage) -> Option<()> {
    let stay = unsent(stage, 5)?;
    stage.send_open(&stay);
    stage.send_discharge(&stay.ward);
    stage.cancel("admission_cancel", &stay.ward, stay.ward.end + 6 * HOUR);
    let case = visit_on(stage, &stay, 2, "11");
    not_during(stage, "STY-07", &case);
    Some(())
}

/// A purchase of `total` fen on a day of a stay of five nights.
fn purchase_on(stage: &mut Stage, stay: &Inpatient, day: i64, total: i64) -> Case {
    let store = stage.store();
    let time = midnight(stay.first_day() + day) + 17 * HOUR + stage.between(0, HOUR);
    let mut case = stage.visit(stay.ward.person, store, "41", time);
    stage.fill(&mut case, total);
    stage.settle(&mut case);
    stage.send(&case);
    case
}

fn bought(stage: &mut Stage, day: i64, total: i64) -> Option<()> {
    let stay = stay(stage, 5)?;
    let case = purchase_on(stage, &stay, day, total);
    during(stage, "STY-08", "low", &stay, &case);
    Some(())
}

pub(super) fn bought_for_a_fen_over_100(stage: &mut Stage) -> Option<()> {
    bought(stage, 1, 10_001)
}

pub(super) fn bought_for_350(stage: &mut Stage) -> Option<()> {
    bought(stage, 3, 35_000)
}

pub(super) fn bought_for_100(stage: &mut Stage) -> Option<()> {
    let stay = stay(stage, 5)?;
    let case = purchase_on(stage, &stay, 2, 10_000);
    not_during(stage, "STY-08", &case);
    Some(())
}

pub(super) fn bought_on_discharge_day(stage: &mut Stage) -> Option<()> {
    let stay = stay(stage, 5)?;
    let case = purchase_on(stage, &stay, 5, 18_050);
    not_during(stage, "STY-08", &case);
    Some(())
}

pub(super) fn bought_and_refunded(stage: &mut Stage) -> Option<()> {
    let stay = stay(stage, 5)?;
    let case = purchase_on(stage, &stay, 2, 22_090);
    stage.refund(&case, case.bill.time + 15 * MINUTE, false);
    not_during(stage, "STY-08", &case);
    Some(())
}

// STY-10.

/// A stay of `nights`, its details: bed, consultation and nursing each day, drugs on the days that
/// `treated` names. Not sent.
fn hanging(stage: &mut Stage, nights: i64, treated: impl Fn(i64) -> bool) -> Option<Inpatient> {
    let mut stay = unsent(stage, nights)?;
    stay.case.details.clear();
    for day in 0..stay.days() {
        for (minutes, item) in [(20, BED_WARD), (25, CONSULT_INPATIENT), (35, NURSING_2)] {
            if item != BED_WARD || day < nights {
                let time = stage.at(&stay, day, minutes);
                stage.add(&mut stay.case, item, ONE, time);
            }
        }
        if treated(day) {
            stage.treat(&mut stay, day);
        }
    }
    Some(stay)
}

fn hang_bed(stage: &mut Stage, severity: &'static str, stay: &Inpatient) {
    let subject = stage.visit_subject(&stay.case);
    let evidence = vec![stage.stay(Violating, &stay.ward)];
    stage.fraud("STY-10", severity, subject, Some(stay.case.fund()), evidence);
}

fn not_hang_bed(stage: &mut Stage, stay: &Inpatient) {
    let subject = stage.visit_subject(&stay.case);
    let evidence = vec![stage.stay(Violating, &stay.ward)];
    stage.near_miss("STY-10", subject, evidence);
}

pub(super) fn hang_bed_3_days(stage: &mut Stage) -> Option<()> {
    let mut stay = hanging(stage, 6, |day| !(2..=4).contains(&day))?;
    stage.send_stay(&mut stay);
    hang_bed(stage, "medium", &stay);
    Some(())
}

/// The last seven days, the day of discharge among them.
pub(super) fn hang_bed_7_days(stage: &mut Stage) -> Option<()> {
    let mut stay = hanging(stage, 8, |day| day < 2)?;
    stage.send_stay(&mut stay);
    hang_bed(stage, "high", &stay);
    Some(())
}

/// There were drugs, but all of three days' came back.
pub(super) fn hang_bed_after_refunds(stage: &mut Stage) -> Option<()> {
    let mut stay = hanging(stage, 5, |_| true)?;
    let rows = 0..stay.case.details.len();
    let from = midnight(stay.first_day() + 1);
    for row in rows {
        let detail = stay.case.details[row];
        let treatment = ![BED_WARD, CONSULT_INPATIENT, NURSING_2].contains(&usize::from(detail.item));
        if treatment && (from..from + 3 * DAY).contains(&detail.time) {
            stage.add_refund(&mut stay.case, row, detail.count);
        }
    }
    stage.send_stay(&mut stay);
    hang_bed(stage, "medium", &stay);
    Some(())
}

/// Not a single detail in three days, and a bill.
pub(super) fn hang_bed_without_details(stage: &mut Stage) -> Option<()> {
    let mut stay = unsent(stage, 2)?;
    stage.settle(&mut stay.case);
    stay.case.details.clear();
    stage.send_open(&stay);
    stage.send_discharge(&stay.ward);
    stage.send(&stay.case);
    hang_bed(stage, "medium", &stay);
    Some(())
}

pub(super) fn two_empty_days(stage: &mut Stage) -> Option<()> {
    let mut stay = hanging(stage, 6, |day| day != 2 && day != 3 && day != 5)?;
    stage.send_stay(&mut stay);
    not_hang_bed(stage, &stay);
    Some(())
}

/// The middle one of three days has a detail that does not say its charge class.
pub(super) fn empty_days_with_an_unknown_charge(stage: &mut Stage) -> Option<()> {
    let mut stay = hanging(stage, 5, |day| !(1..=3).contains(&day))?;
    let time = stage.at(&stay, 2, 40);
    let drug = stay.case.details.iter().map(|detail| usize::from(detail.item)).max()?;
    let row = stage.add(&mut stay.case, drug, ONE, time);
    stay.case.details[row].group_unsaid = true;
    stage.send_stay(&mut stay);
    not_hang_bed(stage, &stay);
    Some(())
}

pub(super) fn empty_days_of_an_open_stay(stage: &mut Stage) -> Option<()> {
    let mut stay = hanging(stage, 5, |day| day < 1)?;
    stage.send_stay(&mut stay);
    stage.cancel("discharge_cancel", &stay.ward, stay.ward.end + HOUR);
    not_hang_bed(stage, &stay);
    Some(())
}

// STY-16.

/// A stay of four nights, and another person's in the same bed from `back` before its end on.
fn shared_bed(stage: &mut Stage, back: i64) -> Option<(Inpatient, Inpatient)> {
    let first = unsent(stage, 4)?;
    let person = stage.anyone()?;
    let begin = first.ward.end - back;
    let mut second = stage.inpatient(person, first.ward.place, HEART, begin, begin + 3 * DAY)?;
    second.ward.bed = first.ward.bed;
    Some((first, second))
}

fn one_bed(stage: &mut Stage, stays: &(Inpatient, Inpatient)) {
    let subject = stage.bed_subject(&stays.0.ward);
    let evidence = vec![stage.stay(Violating, &stays.0.ward), stage.stay(Violating, &stays.1.ward)];
    stage.fraud("STY-16", "high", subject, None, evidence);
}

fn not_one_bed(stage: &mut Stage, stays: &(Inpatient, Inpatient)) {
    let subject = stage.bed_subject(&stays.0.ward);
    let evidence = vec![stage.stay(Violating, &stays.0.ward), stage.stay(Violating, &stays.1.ward)];
    stage.near_miss("STY-16", subject, evidence);
}

fn send_both(stage: &mut Stage, stays: &mut (Inpatient, Inpatient)) {
    stage.send_stay(&mut stays.0);
    stage.send_stay(&mut stays.1);
}

pub(super) fn bed_for_two(stage: &mut Stage) -> Option<()> {
    let mut stays = shared_bed(stage, 2 * DAY + 5 * HOUR)?;
    send_both(stage, &mut stays);
    one_bed(stage, &stays);
    Some(())
}

pub(super) fn bed_for_two_24_hours_and_a_second(stage: &mut Stage) -> Option<()> {
    let mut stays = shared_bed(stage, DAY + 1)?;
    send_both(stage, &mut stays);
    one_bed(stage, &stays);
    Some(())
}

pub(super) fn bed_for_two_24_hours(stage: &mut Stage) -> Option<()> {
    let mut stays = shared_bed(stage, DAY)?;
    send_both(stage, &mut stays);
    not_one_bed(stage, &stays);
    Some(())
}

pub(super) fn bed_for_two_cancelled(stage: &mut Stage) -> Option<()> {
    let mut stays = shared_bed(stage, 3 * DAY)?;
    stage.send_stay(&mut stays.0);
    stage.send_open(&stays.1);
    stage.cancel("admission_cancel", &stays.1.ward, stays.1.ward.begin + 26 * HOUR);
    not_one_bed(stage, &stays);
    Some(())
}

/// Beds of two hospitals may have the same number.
pub(super) fn same_bed_elsewhere(stage: &mut Stage) -> Option<()> {
    let first = unsent(stage, 4)?;
    let person = stage.anyone()?;
    let place = (0..8).map(|_| stage.hospital()).find(|&place| place != first.ward.place)?;
    let mut second = stage.inpatient(person, place, HEART, first.ward.begin + DAY, first.ward.end)?;
    second.ward.bed = Some(stage.same_bed(place, first.ward.bed?, first.ward.end + DAY)?);
    let mut stays = (first, second);
    send_both(stage, &mut stays);
    not_one_bed(stage, &stays);
    Some(())
}
