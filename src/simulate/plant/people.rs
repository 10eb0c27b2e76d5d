//! IDN-01 (care after death), VIS-01 and VIS-03 (visits in a day), VIS-04 (large settlements),
//! PHA-06 (machine-gun sales).

use super::super::calendar::{DAY, HOUR, MINUTE, day_of};
use super::super::catalogue::CARDIOLOGY;
use super::super::city::midnight;
use super::super::truth::Role::Violating;
use super::stage::{Case, Inpatient, Stage};

// IDN-01.

fn after_death(stage: &mut Stage, case: &Case, stay: Option<&Inpatient>) {
    let subject = stage.person(case.bill.person);
    let mut evidence = vec![stage.settlement(Violating, case)];
    evidence.extend(stay.map(|stay| stage.discharge(&stay.ward)));
    stage.fraud("IDN-01", "critical", subject, Some(case.fund()), evidence);
}

fn not_after_death(stage: &mut Stage, case: &Case) {
    let subject = stage.person(case.bill.person);
    let evidence = vec![stage.settlement(Violating, case)];
    stage.near_miss("IDN-01", subject, evidence);
}

/// A person who dies in hospital after two nights; the stay is not sent.
fn dying(stage: &mut Stage) -> Option<Inpatient> {
    let (person, place, day) = (stage.senior()?, stage.hospital(), stage.first_day());
    let begin = midnight(day) + 9 * HOUR + stage.between(0, 50 * MINUTE);
    let mut stay = stage.inpatient(person, place, (CARDIOLOGY, 2), begin, midnight(day + 2) + 13 * HOUR)?;
    stay.ward.way = 5;
    stay.ward.die_day = Some(day + 2);
    Some(stay)
}

/// A person who has died in hospital, the stay sent.
fn died(stage: &mut Stage) -> Option<Inpatient> {
    let mut stay = dying(stage)?;
    stage.send_stay(&mut stay);
    stage.bury(stay.ward.person);
    Some(stay)
}

/// A time on the day `days` after the stay's last.
fn later(stage: &mut Stage, stay: &Inpatient, days: i64) -> i64 {
    midnight(day_of(stay.ward.end) + days) + 10 * HOUR + stage.between(0, 5 * HOUR)
}

pub(super) fn bought_by_a_dead_person(stage: &mut Stage) -> Option<()> {
    let (person, _) = stage.dead()?;
    let (store, time) = (stage.store(), stage.soon());
    let case = stage.ordinary(person, store, "41", time);
    after_death(stage, &case, None);
    stage.by_registry();
    Some(())
}

/// Reimbursed long after, for care before: `setl_time` does not matter.
pub(super) fn settled_late_for_a_dead_person(stage: &mut Stage) -> Option<()> {
    let (person, die_day) = stage.dead()?;
    let (place, time) = (stage.hospital(), stage.soon());
    let mut case = stage.visit(person, place, "11", time);
    stage.basket(&mut case, 2, 3);
    let ago = time - midnight(die_day - 2) - 11 * HOUR;
    for detail in &mut case.details {
        detail.time -= ago;
    }
    case.bill.begin_day = Some(die_day - 2);
    case.bill.end_day = Some(die_day - 2);
    case.bill.pay_loc = 1;
    stage.settle(&mut case);
    stage.send(&case);
    not_after_death(stage, &case);
    Some(())
}

/// Twice, each a finding of its own.
pub(super) fn care_after_death_in_hospital(stage: &mut Stage) -> Option<()> {
    let stay = died(stage)?;
    let (store, place) = (stage.store(), stage.hospital());
    for (days, place, med_type) in [(2, store, "41"), (5, place, "14")] {
        let time = later(stage, &stay, days);
        let case = stage.ordinary(stay.ward.person, place, med_type, time);
        after_death(stage, &case, Some(&stay));
    }
    Some(())
}

/// Without `begndate` the day of settlement counts.
pub(super) fn care_after_death_undated(stage: &mut Stage) -> Option<()> {
    let stay = died(stage)?;
    let (place, time) = (stage.hospital(), later(stage, &stay, 3));
    let mut case = stage.visit(stay.ward.person, place, "11", time);
    case.bill.begin_day = None;
    case.bill.end_day = None;
    stage.basket(&mut case, 8, 3);
    stage.settle(&mut case);
    stage.send(&case);
    after_death(stage, &case, Some(&stay));
    Some(())
}

pub(super) fn settled_the_day_after_death(stage: &mut Stage) -> Option<()> {
    let stay = died(stage)?;
    let (place, time) = (stage.hospital(), later(stage, &stay, 1));
    let case = stage.ordinary(stay.ward.person, place, "11", time);
    not_after_death(stage, &case);
    Some(())
}

pub(super) fn refunded_after_death(stage: &mut Stage) -> Option<()> {
    let stay = died(stage)?;
    let (place, time) = (stage.hospital(), later(stage, &stay, 4));
    let case = stage.ordinary(stay.ward.person, place, "11", time);
    stage.refund(&case, time + HOUR, true);
    not_after_death(stage, &case);
    Some(())
}

/// Discharged as dead by mistake, and discharged again alive.
pub(super) fn alive_after_all(stage: &mut Stage) -> Option<()> {
    let mut stay = dying(stage)?;
    stage.send_open(&stay);
    stage.send_discharge(&stay.ward);
    stage.cancel("discharge_cancel", &stay.ward, stay.ward.end + 10 * MINUTE);
    stay.ward.way = 1;
    stay.ward.die_day = None;
    stay.ward.end += 20 * MINUTE;
    stage.send_discharge(&stay.ward);
    stay.case.bill.time += 20 * MINUTE;
    stay.case.bill.updated += 20 * MINUTE;
    stage.send_settlement(&mut stay);
    let (store, time) = (stage.store(), later(stage, &stay, 3));
    let case = stage.ordinary(stay.ward.person, store, "41", time);
    not_after_death(stage, &case);
    Some(())
}

/// The whole stay is cancelled, and with it the death that it tells of.
pub(super) fn death_of_a_cancelled_stay(stage: &mut Stage) -> Option<()> {
    let stay = dying(stage)?;
    stage.send_open(&stay);
    stage.send_discharge(&stay.ward);
    stage.cancel("admission_cancel", &stay.ward, stay.ward.end + 4 * HOUR);
    let (place, time) = (stage.hospital(), later(stage, &stay, 4));
    let case = stage.ordinary(stay.ward.person, place, "11", time);
    not_after_death(stage, &case);
    Some(())
}

// VIS-01 and VIS-03.

/// Visits of one person 35 minutes apart, one at each of the places.
fn visits(stage: &mut Stage, places: &[u16], begin: i64) -> Option<Vec<Case>> {
    let person = stage.anyone()?;
    let mut cases = Vec::new();
    for (index, &place) in places.iter().enumerate() {
        cases.push(stage.ordinary(person, place, "11", begin + index as i64 * 35 * MINUTE));
    }
    Some(cases)
}

fn day_found(stage: &mut Stage, rule: &'static str, severity: &'static str, cases: &[Case]) {
    let subject = stage.person(cases[0].bill.person);
    let evidence = cases.iter().map(|case| stage.settlement(Violating, case)).collect();
    let amount = (rule == "VIS-01").then(|| cases.iter().map(Case::fund).sum());
    stage.fraud(rule, severity, subject, amount, evidence);
}

fn day_not_found(stage: &mut Stage, rule: &'static str, cases: &[Case]) {
    let subject = stage.person(cases[0].bill.person);
    let evidence = cases.iter().map(|case| stage.settlement(Violating, case)).collect();
    stage.near_miss(rule, subject, evidence);
}

pub(super) fn four_visits(stage: &mut Stage) -> Option<()> {
    let ([one, two], begin) = (stage.hospitals(), stage.morning());
    let cases = visits(stage, &[one, one, two, one], begin)?;
    day_found(stage, "VIS-01", "medium", &cases);
    Some(())
}

pub(super) fn eight_visits(stage: &mut Stage) -> Option<()> {
    let ([one, two], begin) = (stage.hospitals(), stage.morning());
    let cases = visits(stage, &[one, two, one, two, one, two, one, two], begin)?;
    day_found(stage, "VIS-01", "high", &cases);
    Some(())
}

/// Too many visits and too many institutions at once.
pub(super) fn five_visits_at_four_places(stage: &mut Stage) -> Option<()> {
    let ([one, two, three], store, begin) = (stage.hospitals(), stage.store(), stage.morning());
    let cases = visits(stage, &[one, two, three, store, one], begin)?;
    day_found(stage, "VIS-01", "medium", &cases);
    day_found(stage, "VIS-03", "medium", &cases);
    Some(())
}

pub(super) fn three_visits(stage: &mut Stage) -> Option<()> {
    let ([one, two], begin) = (stage.hospitals(), stage.morning());
    let cases = visits(stage, &[one, two, one], begin)?;
    day_not_found(stage, "VIS-01", &cases);
    Some(())
}

/// Four settlements, but two of them of one visit.
pub(super) fn four_settlements_of_three_visits(stage: &mut Stage) -> Option<()> {
    let ([one, two], begin) = (stage.hospitals(), stage.morning());
    let mut cases = visits(stage, &[one, two, one], begin)?;
    let mut fourth = stage.twin(&cases[0], begin + 3 * HOUR);
    for detail in &mut fourth.details {
        detail.serial += 10;
    }
    let total = cases[0].bill.sums.total + 1_234;
    stage.fill(&mut fourth, total);
    stage.settle(&mut fourth);
    stage.send(&fourth);
    cases.push(fourth);
    day_not_found(stage, "VIS-01", &cases);
    Some(())
}

pub(super) fn four_visits_one_refunded(stage: &mut Stage) -> Option<()> {
    let ([one, two], begin) = (stage.hospitals(), stage.morning());
    let cases = visits(stage, &[one, one, two, two], begin)?;
    stage.refund(&cases[2], begin + 6 * HOUR, true);
    day_not_found(stage, "VIS-01", &cases);
    Some(())
}

pub(super) fn four_visits_around_midnight(stage: &mut Stage) -> Option<()> {
    let [one, two] = stage.hospitals();
    // The fourth one is five minutes past midnight.
    let begin = midnight(stage.first_day() + 1) - 100 * MINUTE;
    let cases = visits(stage, &[one, two, one, two], begin)?;
    day_not_found(stage, "VIS-01", &cases);
    Some(())
}

pub(super) fn three_places(stage: &mut Stage) -> Option<()> {
    let ([one, two], store, begin) = (stage.hospitals(), stage.store(), stage.morning());
    let cases = visits(stage, &[one, store, two], begin)?;
    day_found(stage, "VIS-03", "medium", &cases);
    Some(())
}

pub(super) fn two_places(stage: &mut Stage) -> Option<()> {
    let ([one], store, begin) = (stage.hospitals(), stage.store(), stage.morning());
    let cases = visits(stage, &[one, store, one], begin)?;
    day_not_found(stage, "VIS-03", &cases);
    Some(())
}

pub(super) fn three_places_one_refunded(stage: &mut Stage) -> Option<()> {
    let ([one, two, three], begin) = (stage.hospitals(), stage.morning());
    let cases = visits(stage, &[one, two, three], begin)?;
    stage.refund(&cases[1], begin + 5 * HOUR, false);
    day_not_found(stage, "VIS-03", &cases);
    Some(())
}

pub(super) fn three_places_around_midnight(stage: &mut Stage) -> Option<()> {
    let [one, two, three] = stage.hospitals();
    let begin = midnight(stage.first_day() + 1) - 60 * MINUTE;
    let cases = visits(stage, &[one, two, three], begin)?;
    day_not_found(stage, "VIS-03", &cases);
    Some(())
}

// VIS-04.

/// A settlement of exactly `total` fen.
fn large(stage: &mut Stage, med_type: &'static str, total: i64) -> Option<Case> {
    let (person, time) = (stage.anyone()?, stage.soon());
    let place = if med_type == "41" { stage.store() } else { stage.hospital() };
    let mut case = stage.visit(person, place, med_type, time);
    stage.basket(&mut case, 12, 2);
    stage.fill(&mut case, total);
    stage.settle(&mut case);
    stage.send(&case);
    Some(case)
}

fn large_found(stage: &mut Stage, severity: &'static str, case: &Case) {
    let subject = stage.person(case.bill.person);
    let evidence = vec![stage.settlement(Violating, case)];
    stage.fraud("VIS-04", severity, subject, Some(case.fund()), evidence);
}

fn large_not_found(stage: &mut Stage, case: &Case) {
    let subject = stage.person(case.bill.person);
    let evidence = vec![stage.settlement(Violating, case)];
    stage.near_miss("VIS-04", subject, evidence);
}

pub(super) fn outpatient_a_fen_over_5000(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "11", 500_001)?;
    large_found(stage, "low", &case);
    Some(())
}

/// Exactly three times the limit is not more than three times.
pub(super) fn chronic_of_15000(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "140104", 1_500_000)?;
    large_found(stage, "low", &case);
    Some(())
}

pub(super) fn outpatient_a_fen_over_15000(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "11", 1_500_001)?;
    large_found(stage, "high", &case);
    Some(())
}

pub(super) fn pharmacy_a_fen_over_2000(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "41", 200_001)?;
    large_found(stage, "low", &case);
    Some(())
}

fn large_stay(stage: &mut Stage, total: i64) -> Option<Inpatient> {
    let (person, place, day) = (stage.anyone()?, stage.hospital(), stage.first_day());
    let begin = midnight(day) + 9 * HOUR;
    let mut stay = stage.inpatient(person, place, (CARDIOLOGY, 1), begin, begin + 3 * DAY)?;
    stage.fill(&mut stay.case, total);
    stage.send_stay(&mut stay);
    Some(stay)
}

pub(super) fn stay_a_fen_over_100000(stage: &mut Stage) -> Option<()> {
    let stay = large_stay(stage, 10_000_001)?;
    large_found(stage, "low", &stay.case);
    Some(())
}

pub(super) fn stay_of_100000(stage: &mut Stage) -> Option<()> {
    let stay = large_stay(stage, 10_000_000)?;
    large_not_found(stage, &stay.case);
    Some(())
}

pub(super) fn outpatient_of_5000(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "11", 500_000)?;
    large_not_found(stage, &case);
    Some(())
}

pub(super) fn pharmacy_of_2000(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "41", 200_000)?;
    large_not_found(stage, &case);
    Some(())
}

/// Emergencies have no limit.
pub(super) fn emergency_of_9000(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "13", 900_000)?;
    large_not_found(stage, &case);
    Some(())
}

pub(super) fn outpatient_of_8000_refunded(stage: &mut Stage) -> Option<()> {
    let case = large(stage, "11", 800_000)?;
    stage.refund(&case, case.bill.time + 47 * HOUR, true);
    large_not_found(stage, &case);
    Some(())
}

// PHA-06.

/// Sales to different persons at one counter, `gaps` seconds after each other.
fn sales(stage: &mut Stage, gaps: &[i64]) -> Option<Vec<Case>> {
    let (place, mut time) = stage.counter(gaps.iter().sum());
    let mut cases = Vec::with_capacity(gaps.len() + 1);
    for gap in std::iter::once(&0).chain(gaps) {
        time += gap;
        let person = stage.anyone()?;
        cases.push(stage.ordinary(person, place, "41", time));
    }
    Some(cases)
}

fn burst(stage: &mut Stage, cases: &[Case]) {
    let subject = stage.institution(cases[0].bill.place);
    let evidence = cases.iter().map(|case| stage.settlement(Violating, case)).collect();
    stage.fraud("PHA-06", "high", subject, Some(cases.iter().map(Case::fund).sum()), evidence);
}

fn not_burst(stage: &mut Stage, cases: &[Case]) {
    let subject = stage.institution(cases[0].bill.place);
    let evidence = cases.iter().map(|case| stage.settlement(Violating, case)).collect();
    stage.near_miss("PHA-06", subject, evidence);
}

pub(super) fn burst_of_13(stage: &mut Stage) -> Option<()> {
    let gaps = std::array::from_fn::<i64, 12, _>(|_| stage.between(3, 18));
    let cases = sales(stage, &gaps)?;
    burst(stage, &cases);
    Some(())
}

/// Just enough sales, just close enough, two in the same second.
pub(super) fn burst_of_10(stage: &mut Stage) -> Option<()> {
    let cases = sales(stage, &[20, 20, 20, 20, 0, 20, 20, 20, 20])?;
    burst(stage, &cases);
    Some(())
}

pub(super) fn burst_of_9(stage: &mut Stage) -> Option<()> {
    let cases = sales(stage, &[12; 8])?;
    not_burst(stage, &cases);
    Some(())
}

pub(super) fn burst_with_a_pause(stage: &mut Stage) -> Option<()> {
    let cases = sales(stage, &[15, 15, 15, 15, 15, 21, 15, 15, 15, 15, 15])?;
    not_burst(stage, &cases);
    Some(())
}

pub(super) fn burst_of_10_one_refunded(stage: &mut Stage) -> Option<()> {
    let cases = sales(stage, &[10; 9])?;
    stage.refund(&cases[9], cases[9].bill.time + 20 * MINUTE, true);
    not_burst(stage, &cases);
    Some(())
}
