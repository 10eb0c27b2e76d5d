//! STY-01 (split stay), STY-05 (transfer booked as discharge), STY-06 (overlapping stays).

use super::super::calendar::{DAY, HOUR, MINUTE, day_of};
use super::super::catalogue::{CARDIOLOGY, EMERGENCY, ONCOLOGY, RESPIRATORY, SURGERY};
use super::super::city::midnight;
use super::super::truth::Role::{Involved, Violating};
use super::stage::{Inpatient, Stage};

/// Two stays of one person at one hospital, the second admitted `gap` days after the discharge from
/// the first: same department and diagnosis until a card changes that. Not sent.
fn readmitted(stage: &mut Stage, gap: i64, diagnosis: (u8, u8)) -> Option<(Inpatient, Inpatient)> {
    let (person, place, day) = (stage.anyone()?, stage.hospital(), stage.first_day());
    let begin = midnight(day) + 9 * HOUR + stage.between(0, 50 * MINUTE);
    let end = midnight(day + 2) + 10 * HOUR;
    let first = stage.inpatient(person, place, diagnosis, begin, end)?;
    let back = midnight(day + 2 + gap) + 14 * HOUR + stage.between(0, 50 * MINUTE);
    let second = stage.inpatient(person, place, diagnosis, back, midnight(day + 4 + gap) + 10 * HOUR)?;
    Some((first, second))
}

fn send(stage: &mut Stage, stays: &mut (Inpatient, Inpatient)) {
    stage.send_stay(&mut stays.0);
    stage.send_stay(&mut stays.1);
}

/// States STY-01 or STY-05 about the second stay.
fn found(stage: &mut Stage, rule: &'static str, severity: &'static str, stays: &(Inpatient, Inpatient), amount: i64) {
    let subject = stage.person(stays.0.ward.person);
    let evidence = vec![stage.stay(Involved, &stays.0.ward), stage.stay(Violating, &stays.1.ward)];
    stage.fraud(rule, severity, subject, Some(amount), evidence);
}

fn not_found(stage: &mut Stage, rule: &'static str, stays: &(Inpatient, Inpatient)) {
    let subject = stage.person(stays.0.ward.person);
    let evidence = vec![stage.stay(Violating, &stays.0.ward), stage.stay(Violating, &stays.1.ward)];
    stage.near_miss(rule, subject, evidence);
}

const PNEUMONIA: (u8, u8) = (RESPIRATORY, 0);

// STY-01.

fn split(stage: &mut Stage, gap: i64, severity: &'static str) -> Option<()> {
    let mut stays = readmitted(stage, gap, PNEUMONIA)?;
    send(stage, &mut stays);
    let fund = stays.1.case.fund();
    found(stage, "STY-01", severity, &stays, fund);
    Some(())
}

pub(super) fn split_same_day(stage: &mut Stage) -> Option<()> {
    split(stage, 0, "high")
}

pub(super) fn split_3_days(stage: &mut Stage) -> Option<()> {
    split(stage, 3, "high")
}

pub(super) fn split_7_days(stage: &mut Stage) -> Option<()> {
    split(stage, 7, "high")
}

pub(super) fn split_8_days(stage: &mut Stage) -> Option<()> {
    split(stage, 8, "medium")
}

pub(super) fn split_15_days(stage: &mut Stage) -> Option<()> {
    split(stage, 15, "medium")
}

/// Admitted for one thing, treated for another; the second discharge names no diagnosis.
pub(super) fn split_by_final_diagnosis(stage: &mut Stage) -> Option<()> {
    let mut stays = readmitted(stage, 4, PNEUMONIA)?;
    stays.0.ward.diagnosis = Some((EMERGENCY, 0));
    stays.1.ward.out_diagnosis = None;
    send(stage, &mut stays);
    let fund = stays.1.case.fund();
    found(stage, "STY-01", "high", &stays, fund);
    Some(())
}

/// The second stay's bill was refunded: nothing at stake any more, but two stays all the same. Its
/// details went with the bill, so that it also looks like three days without treatment.
pub(super) fn split_refunded(stage: &mut Stage) -> Option<()> {
    let mut stays = readmitted(stage, 5, PNEUMONIA)?;
    send(stage, &mut stays);
    stage.refund(&stays.1.case, stays.1.ward.end + 3 * HOUR, true);
    found(stage, "STY-01", "high", &stays, 0);
    let subject = stage.visit_subject(&stays.1.case);
    let evidence = vec![stage.stay(Violating, &stays.1.ward)];
    stage.fraud("STY-10", "medium", subject, Some(0), evidence);
    Some(())
}

/// Two stays that miss STY-01 after `change`.
fn not_split(
    stage: &mut Stage,
    gap: i64,
    diagnosis: (u8, u8),
    change: impl FnOnce(&mut Inpatient, &mut Inpatient),
) -> Option<()> {
    let mut stays = readmitted(stage, gap, diagnosis)?;
    change(&mut stays.0, &mut stays.1);
    send(stage, &mut stays);
    not_found(stage, "STY-01", &stays);
    Some(())
}

pub(super) fn back_after_16_days(stage: &mut Stage) -> Option<()> {
    not_split(stage, 16, PNEUMONIA, |_, _| {})
}

pub(super) fn back_after_transfer(stage: &mut Stage) -> Option<()> {
    not_split(stage, 2, PNEUMONIA, |first, _| first.ward.way = 2)
}

pub(super) fn back_as_planned(stage: &mut Stage) -> Option<()> {
    not_split(stage, 6, PNEUMONIA, |first, _| first.ward.planned_return = true)
}

pub(super) fn back_for_chemotherapy(stage: &mut Stage) -> Option<()> {
    not_split(stage, 5, (ONCOLOGY, 2), |_, _| {})
}

pub(super) fn back_with_cancer(stage: &mut Stage) -> Option<()> {
    not_split(stage, 9, (ONCOLOGY, 0), |_, _| {})
}

pub(super) fn back_with_another_disease(stage: &mut Stage) -> Option<()> {
    not_split(stage, 3, PNEUMONIA, |_, second| {
        second.ward.out_diagnosis = Some((RESPIRATORY, 1));
        second.case.bill.diagnosis = Some(1);
    })
}

pub(super) fn back_in_another_department(stage: &mut Stage) -> Option<()> {
    not_split(stage, 4, PNEUMONIA, |_, second| {
        second.ward.department = CARDIOLOGY;
        second.ward.out_department = CARDIOLOGY;
        second.case.bill.department = CARDIOLOGY;
    })
}

pub(super) fn back_at_another_hospital(stage: &mut Stage) -> Option<()> {
    let (person, day) = (stage.anyone()?, stage.first_day());
    let [one, two] = stage.hospitals();
    let begin = midnight(day) + 9 * HOUR;
    let first = stage.inpatient(person, one, PNEUMONIA, begin, begin + 2 * DAY)?;
    let second = stage.inpatient(person, two, PNEUMONIA, begin + 5 * DAY, begin + 7 * DAY)?;
    let mut stays = (first, second);
    send(stage, &mut stays);
    not_found(stage, "STY-01", &stays);
    Some(())
}

pub(super) fn back_but_cancelled(stage: &mut Stage) -> Option<()> {
    let mut stays = readmitted(stage, 3, PNEUMONIA)?;
    stage.send_stay(&mut stays.0);
    stage.send_open(&stays.1);
    stage.cancel("admission_cancel", &stays.1.ward, stays.1.ward.end);
    not_found(stage, "STY-01", &stays);
    Some(())
}

// STY-05.

fn transferred(
    stage: &mut Stage,
    gap: i64,
    change: impl FnOnce(&mut Inpatient, &mut Inpatient),
) -> Option<(Inpatient, Inpatient)> {
    let mut stays = readmitted(stage, gap, PNEUMONIA)?;
    stays.1.ward.department = CARDIOLOGY;
    stays.1.ward.out_department = CARDIOLOGY;
    stays.1.case.bill.department = CARDIOLOGY;
    stays.1.ward.diagnosis = Some((CARDIOLOGY, 1));
    stays.1.ward.out_diagnosis = Some((CARDIOLOGY, 1));
    change(&mut stays.0, &mut stays.1);
    send(stage, &mut stays);
    Some(stays)
}

pub(super) fn transfer_same_day(stage: &mut Stage) -> Option<()> {
    let stays = transferred(stage, 0, |_, _| {})?;
    found(stage, "STY-05", "medium", &stays, stays.1.case.fund());
    Some(())
}

/// The same disease in another department is no split stay, but a transfer.
pub(super) fn transfer_next_day(stage: &mut Stage) -> Option<()> {
    let stays = transferred(stage, 1, |_, second| second.ward.out_diagnosis = Some(PNEUMONIA))?;
    found(stage, "STY-05", "medium", &stays, stays.1.case.fund());
    Some(())
}

pub(super) fn transfer_after_two_days(stage: &mut Stage) -> Option<()> {
    let stays = transferred(stage, 2, |_, _| {})?;
    not_found(stage, "STY-05", &stays);
    Some(())
}

pub(super) fn transfer_elsewhere(stage: &mut Stage) -> Option<()> {
    let stays = transferred(stage, 1, |first, _| first.ward.way = 2)?;
    not_found(stage, "STY-05", &stays);
    Some(())
}

pub(super) fn transfer_without_department(stage: &mut Stage) -> Option<()> {
    let stays = transferred(stage, 0, |_, second| second.ward.department_unsaid = true)?;
    not_found(stage, "STY-05", &stays);
    Some(())
}

pub(super) fn back_in_the_same_department(stage: &mut Stage) -> Option<()> {
    let stays = transferred(stage, 1, |_, second| {
        second.ward.department = RESPIRATORY;
        second.ward.out_department = RESPIRATORY;
    })?;
    not_found(stage, "STY-05", &stays);
    Some(())
}

// STY-06: two hospitals, so that the stays are no neighbours for the rules above.

/// A stay of four nights, and another from `back` before its end on.
fn overlapping(stage: &mut Stage, back: i64) -> Option<(Inpatient, Inpatient)> {
    let (person, day) = (stage.anyone()?, stage.first_day());
    let [one, two] = stage.hospitals();
    let begin = midnight(day) + 9 * HOUR + stage.between(0, 40 * MINUTE);
    let end = midnight(day + 4) + 11 * HOUR;
    let first = stage.inpatient(person, one, PNEUMONIA, begin, end)?;
    let second_begin = end - back;
    let second_end = midnight(day_of(second_begin) + 5) + 10 * HOUR;
    let second = stage.inpatient(person, two, (SURGERY, 1), second_begin, second_end)?;
    Some((first, second))
}

fn overlap_found(stage: &mut Stage, stays: &(Inpatient, Inpatient)) {
    let subject = stage.person(stays.0.ward.person);
    let evidence = vec![stage.stay(Violating, &stays.0.ward), stage.stay(Violating, &stays.1.ward)];
    stage.fraud("STY-06", "high", subject, Some(stays.1.case.fund()), evidence);
}

pub(super) fn overlap_of_days(stage: &mut Stage) -> Option<()> {
    let mut stays = overlapping(stage, 2 * DAY + 3 * HOUR)?;
    send(stage, &mut stays);
    overlap_found(stage, &stays);
    Some(())
}

pub(super) fn overlap_of_24_hours_and_a_second(stage: &mut Stage) -> Option<()> {
    let mut stays = overlapping(stage, DAY + 1)?;
    send(stage, &mut stays);
    overlap_found(stage, &stays);
    Some(())
}

/// The second stay is never discharged nor settled; its details show that it went on.
pub(super) fn overlap_with_an_open_stay(stage: &mut Stage) -> Option<()> {
    let mut stays = overlapping(stage, 2 * DAY)?;
    stage.send_stay(&mut stays.0);
    stage.send_open(&stays.1);
    let subject = stage.person(stays.0.ward.person);
    let evidence = vec![stage.stay(Violating, &stays.0.ward), stage.open_stay(Violating, &stays.1.ward)];
    stage.fraud("STY-06", "high", subject, Some(0), evidence);
    Some(())
}

pub(super) fn overlap_of_24_hours(stage: &mut Stage) -> Option<()> {
    let mut stays = overlapping(stage, DAY)?;
    send(stage, &mut stays);
    not_found(stage, "STY-06", &stays);
    Some(())
}

pub(super) fn overlap_with_day_surgery(stage: &mut Stage) -> Option<()> {
    let mut stays = overlapping(stage, 2 * DAY)?;
    stays.1.ward.med_type = "28";
    stays.1.case.bill.med_type = "28";
    send(stage, &mut stays);
    not_found(stage, "STY-06", &stays);
    Some(())
}

pub(super) fn overlap_cancelled(stage: &mut Stage) -> Option<()> {
    let mut stays = overlapping(stage, 3 * DAY)?;
    stage.send_stay(&mut stays.0);
    stage.send_open(&stays.1);
    stage.cancel("admission_cancel", &stays.1.ward, stays.1.ward.begin + 2 * DAY);
    not_found(stage, "STY-06", &stays);
    Some(())
}
