//! DUP-04, DUP-05 (items that exclude each other), DUP-07 (daily limits), CHG-01 (bed days).

use super::super::bill::Detail;
use super::super::calendar::{DAY, HOUR, MINUTE};
use super::super::catalogue::{
    BARIUM_SWALLOW, BED_PLAIN, BED_WARD, CERVIX_BIOPSY, CONSULT_INPATIENT, CONSULT_OBSERVATION, DELIVERY, ECG_HOURS,
    EMERGENCY_MONITOR, FETAL_MONITOR, FLUOROSCOPY, HYSTEROSCOPY, NURSING_1, NURSING_2, NURSING_3, OBSTETRICS,
    OXIMETRY_HOURS, RESPIRATORY, VENTILATOR_HOURS,
};
use super::super::city::midnight;
use super::super::truth::Evidence;
use super::super::truth::Role::{Involved, Violating};
use super::stage::{Case, Inpatient, ONE, Stage};

/// A stay of three nights from the next morning.
fn ward(stage: &mut Stage) -> Option<Inpatient> {
    let (person, place, day) = (stage.anyone()?, stage.hospital(), stage.first_day());
    let begin = midnight(day) + 9 * HOUR + stage.between(0, 40 * MINUTE);
    stage.inpatient(person, place, (RESPIRATORY, 0), begin, begin + 3 * DAY)
}

fn gynaecology(stage: &mut Stage) -> Option<Inpatient> {
    let (person, place, day) = (stage.woman()?, stage.hospital(), stage.first_day());
    let begin = midnight(day) + 9 * HOUR + stage.between(0, 40 * MINUTE);
    stage.inpatient(person, place, (OBSTETRICS, 2), begin, begin + 3 * DAY)
}

/// A visit with one item in `count`.
fn visit_with(stage: &mut Stage, person: u32, place: u16, time: i64, item: usize, count: i64) -> Case {
    let mut case = stage.visit(person, place, "11", time);
    stage.add(&mut case, item, count, time - 3 * MINUTE);
    stage.basket(&mut case, 6, 2);
    stage.settle(&mut case);
    stage.send(&case);
    case
}

fn in_scope(case: &Case, item: usize) -> i64 {
    case.of_item(item).map(|detail| detail.in_scope).sum()
}

/// `in_scope × excess / count`, rounded half up; excess and count in 1/10,000.
fn excess(in_scope: i64, excess: i64, count: i64) -> i64 {
    let product = 2 * i128::from(in_scope) * i128::from(excess) + i128::from(count);
    (product / (2 * i128::from(count))) as i64
}

/// States DUP-04 about a person, or DUP-05 about a visit, for a main and an included item.
fn exclusive(stage: &mut Stage, rule: &'static str, cases: &[&Case], main: usize, included: usize) {
    let subject = if rule == "DUP-04" { stage.person(cases[0].bill.person) } else { stage.visit_subject(cases[0]) };
    let mut evidence = Vec::new();
    for case in cases {
        evidence.extend(stage.details(Involved, case, main));
        evidence.extend(stage.details(Violating, case, included));
    }
    let amount = cases.iter().map(|case| in_scope(case, included)).sum();
    stage.fraud(rule, "medium", subject, Some(amount), evidence);
}

fn not_exclusive(stage: &mut Stage, rule: &'static str, cases: &[&Case], main: usize, included: usize) {
    let subject = if rule == "DUP-04" { stage.person(cases[0].bill.person) } else { stage.visit_subject(cases[0]) };
    let evidence: Vec<Evidence> = cases
        .iter()
        .flat_map(|case| [stage.details(Violating, case, main), stage.details(Violating, case, included)])
        .flatten()
        .collect();
    stage.near_miss(rule, subject, evidence);
}

// DUP-04.

pub(super) fn two_nursing_levels(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    let time = stage.at(&stay, 1, 40);
    stage.add(&mut stay.case, NURSING_1, ONE, time);
    stage.add(&mut stay.case, NURSING_3, ONE, time + HOUR);
    stage.send_stay(&mut stay);
    exclusive(stage, "DUP-04", &[&stay.case], NURSING_1, NURSING_3);
    Some(())
}

/// Three levels on a day break three rows of the table.
pub(super) fn three_nursing_levels(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    let time = stage.at(&stay, 2, 40);
    for (index, item) in [NURSING_1, NURSING_2, NURSING_3].into_iter().enumerate() {
        stage.add(&mut stay.case, item, ONE, time + index as i64 * HOUR);
    }
    stage.send_stay(&mut stay);
    for (main, included) in [(NURSING_1, NURSING_2), (NURSING_1, NURSING_3), (NURSING_2, NURSING_3)] {
        exclusive(stage, "DUP-04", &[&stay.case], main, included);
    }
    Some(())
}

/// Monitored in one emergency room, in bed at another hospital: across visits and institutions.
pub(super) fn monitored_and_in_bed(stage: &mut Stage) -> Option<()> {
    let (person, time) = (stage.anyone()?, stage.morning());
    let [one, two] = stage.hospitals();
    let monitored = visit_with(stage, person, one, time, EMERGENCY_MONITOR, ONE);
    let bedded = visit_with(stage, person, two, time + 2 * HOUR, BED_WARD, ONE);
    exclusive(stage, "DUP-04", &[&monitored, &bedded], EMERGENCY_MONITOR, BED_WARD);
    Some(())
}

pub(super) fn fluoroscopy_twice_with_barium(stage: &mut Stage) -> Option<()> {
    let (person, time, place) = (stage.anyone()?, stage.morning(), stage.hospital());
    let barium = visit_with(stage, person, place, time, BARIUM_SWALLOW, ONE);
    let second = visit_with(stage, person, place, time + 3 * HOUR, FLUOROSCOPY, 2 * ONE);
    exclusive(stage, "DUP-04", &[&barium, &second], BARIUM_SWALLOW, FLUOROSCOPY);
    Some(())
}

pub(super) fn nursing_levels_on_two_days(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    for (day, item) in [(1, NURSING_1), (2, NURSING_2)] {
        let time = stage.at(&stay, day, 45);
        stage.add(&mut stay.case, item, ONE, time);
    }
    stage.send_stay(&mut stay);
    not_exclusive(stage, "DUP-04", &[&stay.case], NURSING_1, NURSING_2);
    Some(())
}

pub(super) fn nursing_level_taken_back(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    let time = stage.at(&stay, 1, 45);
    stage.add(&mut stay.case, NURSING_2, ONE, time);
    let wrong = stage.add(&mut stay.case, NURSING_3, ONE, time + HOUR);
    stage.add_refund(&mut stay.case, wrong, ONE);
    stage.send_stay(&mut stay);
    not_exclusive(stage, "DUP-04", &[&stay.case], NURSING_2, NURSING_3);
    Some(())
}

pub(super) fn barium_before_midnight(stage: &mut Stage) -> Option<()> {
    let (person, place) = (stage.anyone()?, stage.hospital());
    let midnight = midnight(stage.first_day() + 1);
    let barium = visit_with(stage, person, place, midnight - 10 * MINUTE, BARIUM_SWALLOW, ONE);
    let after = visit_with(stage, person, place, midnight + 20 * MINUTE, FLUOROSCOPY, ONE);
    not_exclusive(stage, "DUP-04", &[&barium, &after], BARIUM_SWALLOW, FLUOROSCOPY);
    Some(())
}

pub(super) fn fluoroscopy_refunded(stage: &mut Stage) -> Option<()> {
    let (person, time, place) = (stage.anyone()?, stage.morning(), stage.hospital());
    let barium = visit_with(stage, person, place, time, BARIUM_SWALLOW, ONE);
    let second = visit_with(stage, person, place, time + 2 * HOUR, FLUOROSCOPY, ONE);
    stage.refund(&second, time + 5 * HOUR, true);
    not_exclusive(stage, "DUP-04", &[&barium, &second], BARIUM_SWALLOW, FLUOROSCOPY);
    Some(())
}

// DUP-05.

/// On different days of one visit, which is all the same for the scope "visit".
pub(super) fn biopsy_with_hysteroscopy(stage: &mut Stage) -> Option<()> {
    let mut stay = gynaecology(stage)?;
    for (day, item) in [(1, HYSTEROSCOPY), (2, CERVIX_BIOPSY)] {
        let time = stage.at(&stay, day, 45);
        stage.add(&mut stay.case, item, ONE, time);
    }
    stage.send_stay(&mut stay);
    exclusive(stage, "DUP-05", &[&stay.case], HYSTEROSCOPY, CERVIX_BIOPSY);
    Some(())
}

pub(super) fn monitor_with_delivery(stage: &mut Stage) -> Option<()> {
    let mut stay = gynaecology(stage)?;
    stay.ward.foreign_code = Some("O80.900");
    stay.ward.out_diagnosis = None;
    for (day, item, count) in
        [(0, FETAL_MONITOR, 2 * ONE), (1, FETAL_MONITOR, ONE), (1, DELIVERY, ONE), (1, FETAL_MONITOR, 3 * ONE)]
    {
        let time = stage.at(&stay, day, 50 + count / ONE);
        stage.add(&mut stay.case, item, count, time);
    }
    stage.send_stay(&mut stay);
    exclusive(stage, "DUP-05", &[&stay.case], DELIVERY, FETAL_MONITOR);
    Some(())
}

pub(super) fn biopsy_at_another_visit(stage: &mut Stage) -> Option<()> {
    let (person, time, place) = (stage.woman()?, stage.morning(), stage.hospital());
    let one = visit_with(stage, person, place, time, HYSTEROSCOPY, ONE);
    // The next day, so that a table with the pair for days as well finds nothing either.
    let two = visit_with(stage, person, place, time + DAY, CERVIX_BIOPSY, ONE);
    not_exclusive(stage, "DUP-05", &[&one, &two], HYSTEROSCOPY, CERVIX_BIOPSY);
    Some(())
}

pub(super) fn biopsy_taken_back(stage: &mut Stage) -> Option<()> {
    let mut stay = gynaecology(stage)?;
    let time = stage.at(&stay, 1, 45);
    stage.add(&mut stay.case, HYSTEROSCOPY, ONE, time);
    let wrong = stage.add(&mut stay.case, CERVIX_BIOPSY, ONE, time);
    stage.add_refund(&mut stay.case, wrong, ONE);
    stage.send_stay(&mut stay);
    not_exclusive(stage, "DUP-05", &[&stay.case], HYSTEROSCOPY, CERVIX_BIOPSY);
    Some(())
}

pub(super) fn biopsy_deleted(stage: &mut Stage) -> Option<()> {
    let mut stay = gynaecology(stage)?;
    let time = stage.at(&stay, 1, 45);
    stage.add(&mut stay.case, HYSTEROSCOPY, ONE, time);
    let wrong = stage.add(&mut stay.case, CERVIX_BIOPSY, ONE, time);
    stay.case.details[wrong].erroneous = true;
    stage.send_stay(&mut stay);
    stage.delete(&stay, stay.case.details[wrong].serial, time + HOUR);
    not_exclusive(stage, "DUP-05", &[&stay.case], HYSTEROSCOPY, CERVIX_BIOPSY);
    Some(())
}

// DUP-07.

fn over_limit(stage: &mut Stage, cases: &[&Case], item: usize, limit: i64) {
    let subject = stage.person(cases[0].bill.person);
    let count: i64 = cases.iter().flat_map(|case| case.of_item(item)).map(|detail| detail.count).sum();
    let scope = cases.iter().map(|case| in_scope(case, item)).sum();
    let evidence = cases.iter().flat_map(|case| stage.details(Violating, case, item)).collect();
    stage.fraud("DUP-07", "medium", subject, Some(excess(scope, count - limit, count)), evidence);
}

fn not_over_limit(stage: &mut Stage, cases: &[&Case], item: usize) {
    let subject = stage.person(cases[0].bill.person);
    let evidence = cases.iter().flat_map(|case| stage.details(Violating, case, item)).collect();
    stage.near_miss("DUP-07", subject, evidence);
}

pub(super) fn consulted_thrice(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    for minutes in [40, 55] {
        let time = stage.at(&stay, 1, minutes);
        stage.add(&mut stay.case, CONSULT_INPATIENT, if minutes == 40 { 2 * ONE } else { ONE }, time);
    }
    stage.send_stay(&mut stay);
    over_limit(stage, &[&stay.case], CONSULT_INPATIENT, ONE);
    Some(())
}

/// The rows do not say what is in scope; the whole amount counts.
pub(super) fn monitored_26_hours(stage: &mut Stage) -> Option<()> {
    let (person, time, place) = (stage.anyone()?, stage.soon(), stage.hospital());
    let mut case = stage.visit(person, place, "13", time);
    let index = stage.add(&mut case, ECG_HOURS, 26 * ONE, time);
    case.details[index].scope_unsaid = true;
    stage.basket(&mut case, 9, 2);
    stage.settle(&mut case);
    stage.send(&case);
    over_limit(stage, &[&case], ECG_HOURS, 24 * ONE);
    Some(())
}

pub(super) fn ventilated_half_an_hour_too_long(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    for minutes in [30, 50] {
        let time = stage.at(&stay, 1, minutes);
        stage.add(&mut stay.case, VENTILATOR_HOURS, 122_500, time);
    }
    stage.send_stay(&mut stay);
    over_limit(stage, &[&stay.case], VENTILATOR_HOURS, 24 * ONE);
    Some(())
}

pub(super) fn observed_at_two_hospitals(stage: &mut Stage) -> Option<()> {
    let (person, time) = (stage.anyone()?, stage.morning());
    let [one, two] = stage.hospitals();
    let first = visit_with(stage, person, one, time, CONSULT_OBSERVATION, ONE);
    let second = visit_with(stage, person, two, time + 3 * HOUR, CONSULT_OBSERVATION, ONE);
    over_limit(stage, &[&first, &second], CONSULT_OBSERVATION, ONE);
    Some(())
}

pub(super) fn monitored_24_hours(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    for minutes in [30, 50] {
        let time = stage.at(&stay, 1, minutes);
        stage.add(&mut stay.case, OXIMETRY_HOURS, 12 * ONE, time);
    }
    stage.send_stay(&mut stay);
    not_over_limit(stage, &[&stay.case], OXIMETRY_HOURS);
    Some(())
}

pub(super) fn two_half_beds(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    for minutes in [30, 50] {
        let time = stage.at(&stay, 1, minutes);
        stage.add(&mut stay.case, NURSING_2, ONE / 2, time);
    }
    stage.send_stay(&mut stay);
    not_over_limit(stage, &[&stay.case], NURSING_2);
    Some(())
}

pub(super) fn consultation_taken_back(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    let time = stage.at(&stay, 1, 45);
    let row = stage.add(&mut stay.case, CONSULT_INPATIENT, 2 * ONE, time);
    stage.add_refund(&mut stay.case, row, ONE);
    stage.send_stay(&mut stay);
    not_over_limit(stage, &[&stay.case], CONSULT_INPATIENT);
    Some(())
}

pub(super) fn consultation_deleted(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    let time = stage.at(&stay, 1, 45);
    stage.add(&mut stay.case, CONSULT_INPATIENT, ONE, time);
    let wrong = stage.add(&mut stay.case, CONSULT_INPATIENT, ONE, time + MINUTE);
    stay.case.details[wrong].erroneous = true;
    stage.send_stay(&mut stay);
    stage.delete(&stay, stay.case.details[wrong].serial, time + 2 * HOUR);
    not_over_limit(stage, &[&stay.case], CONSULT_INPATIENT);
    Some(())
}

pub(super) fn observed_on_two_days(stage: &mut Stage) -> Option<()> {
    let (person, time, place) = (stage.anyone()?, stage.morning(), stage.hospital());
    let first = visit_with(stage, person, place, time, CONSULT_OBSERVATION, ONE);
    let second = visit_with(stage, person, place, time + DAY, CONSULT_OBSERVATION, ONE);
    not_over_limit(stage, &[&first, &second], CONSULT_OBSERVATION);
    Some(())
}

// CHG-01: a stay of four days has three bed rows already, and may have five.

fn beds(stage: &mut Stage, stay: &mut Inpatient, count: i64) -> usize {
    let time = stage.at(stay, 2, 55);
    stage.add(&mut stay.case, BED_PLAIN, count, time)
}

fn bed_days(stage: &mut Stage, stay: &Inpatient) {
    let subject = stage.visit_subject(&stay.case);
    let count: i64 = stay.case.of_item(BED_PLAIN).map(|detail| detail.count).sum();
    let amount = excess(in_scope(&stay.case, BED_PLAIN), count - stay.days() * ONE, count);
    let evidence = stage.details(Violating, &stay.case, BED_PLAIN);
    stage.fraud("CHG-01", "medium", subject, Some(amount), evidence);
}

fn not_bed_days(stage: &mut Stage, stay: &Inpatient) {
    let subject = stage.visit_subject(&stay.case);
    let evidence = stage.details(Violating, &stay.case, BED_PLAIN);
    stage.near_miss("CHG-01", subject, evidence);
}

pub(super) fn two_beds_too_many(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    beds(stage, &mut stay, 3 * ONE);
    stage.send_stay(&mut stay);
    bed_days(stage, &stay);
    Some(())
}

pub(super) fn half_a_bed_too_many(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    beds(stage, &mut stay, 25_000);
    stage.send_stay(&mut stay);
    bed_days(stage, &stay);
    Some(())
}

/// Ten beds were billed and one taken back, which is still too many: the amount is of the net.
pub(super) fn ten_beds_less_one(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    let row = beds(stage, &mut stay, 7 * ONE);
    stage.add_refund(&mut stay.case, row, ONE);
    stage.send_stay(&mut stay);
    let subject = stage.visit_subject(&stay.case);
    let net = |value: fn(&Detail) -> i64| -> i64 {
        stay.case.details.iter().filter(|detail| usize::from(detail.item) == BED_PLAIN).map(value).sum()
    };
    let (count, scope) = (net(|detail| detail.count), net(|detail| detail.in_scope));
    let amount = excess(scope, count - stay.days() * ONE, count);
    let evidence = stage.details(Violating, &stay.case, BED_PLAIN);
    stage.fraud("CHG-01", "medium", subject, Some(amount), evidence);
    Some(())
}

pub(super) fn one_bed_too_many(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    beds(stage, &mut stay, 2 * ONE);
    stage.send_stay(&mut stay);
    not_bed_days(stage, &stay);
    Some(())
}

pub(super) fn beds_taken_back(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    let row = beds(stage, &mut stay, 6 * ONE);
    stage.add_refund(&mut stay.case, row, 4 * ONE);
    stage.send_stay(&mut stay);
    not_bed_days(stage, &stay);
    Some(())
}

/// The discharge was a mistake, the patient is still there: nothing can be said yet.
pub(super) fn beds_of_an_open_stay(stage: &mut Stage) -> Option<()> {
    let mut stay = ward(stage)?;
    beds(stage, &mut stay, 6 * ONE);
    stage.send_stay(&mut stay);
    stage.cancel("discharge_cancel", &stay.ward, stay.ward.end + 2 * HOUR);
    not_bed_days(stage, &stay);
    Some(())
}
