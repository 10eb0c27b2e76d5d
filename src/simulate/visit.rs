//! Ordinary visits: what a person's seed makes of a minute at a counter.
//!
//! A visit is kept as a few numbers and composed anew whenever it is sent, so that a re-delivery, a
//! revision or a refund days later needs no memory of the record.

use super::bill::{Bill, Detail, Ident, Sums, settle};
use super::calendar::{DAY, MINUTE, clock, day_of};
use super::catalogue::{DEPARTMENTS, EMERGENCY, FIRST_FREE, GENERAL, Group, ITEMS, OBSTETRICS, PAEDIATRICS};
use super::city::{City, Level};
use super::random::Rng;
use super::scheme::Hand;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VisitKind {
    Outpatient,
    Emergency,
    Chronic,
    Pharmacy,
    /// Of a patient who did not come.
    Absent,
}

/// An ordinary visit that is settled at once. `serial` is its visit's and settlement's; two more
/// are kept free behind it for a refund and a second settlement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    pub(super) seed: u64,
    pub(super) time: i64,
    pub(super) person: u32,
    pub(super) serial: u32,
    pub(super) place: u16,
    pub(super) kind: VisitKind,
    /// First sent without its diagnosis, then revised.
    pub(super) revised: bool,
}

impl Visit {
    pub(super) fn ident(&self, offset: u32) -> Ident {
        Ident { day: day_of(self.time), serial: self.serial + offset }
    }
}

/// An empty bill, to be composed into.
pub(super) fn blank_bill() -> Bill {
    let ident = Ident { day: 0, serial: 0 };
    Bill {
        person: 0,
        place: 0,
        med_type: "11",
        mdtrt: ident,
        setl: ident,
        time: 0,
        updated: 0,
        begin_day: None,
        end_day: None,
        department: GENERAL,
        doctor: 0,
        diagnosis: None,
        interim: false,
        pay_loc: 2,
        sums: Sums::default(),
    }
}

/// Ordinary bills stay well below the limits of the rule on large settlements.
const MOST_OUTPATIENT: i64 = 400_000;
const MOST_PHARMACY: i64 = 120_000;

/// Composes the settlement of a visit.
pub(super) fn compose(city: &City, visit: &Visit, bill: &mut Bill, details: &mut Vec<Detail>) {
    let mut rng = Rng::new(visit.seed);
    let person = &city.persons[visit.person as usize];
    let day = day_of(visit.time);
    let (department, diagnosis) = reason(city, visit, &mut rng);
    details.clear();
    *bill = Bill {
        person: visit.person,
        place: visit.place,
        med_type: match visit.kind {
            VisitKind::Outpatient | VisitKind::Absent => "11",
            VisitKind::Emergency => "13",
            VisitKind::Chronic => "140104",
            VisitKind::Pharmacy => "41",
        },
        mdtrt: visit.ident(0),
        setl: visit.ident(0),
        time: visit.time,
        updated: visit.time + 2,
        begin_day: Some(day),
        end_day: Some(day),
        department,
        doctor: match visit.kind {
            VisitKind::Absent => Hand::doctor(),
            _ => rng.index(usize::from(city.places[usize::from(visit.place)].doctors)) as u8,
        },
        diagnosis: if visit.kind == VisitKind::Pharmacy { None } else { Some(diagnosis) },
        interim: false,
        pay_loc: if person.area == city.places[usize::from(visit.place)].area || rng.chance(700) { 2 } else { 3 },
        sums: Sums::default(),
    };
    let mut hand = Hand::of(city, visit.place, day, visit.seed);
    let mut basket =
        Basket { city, place: visit.place, time: visit.time, sum: 0, hand: hand.as_mut(), details: &mut *details };
    match visit.kind {
        VisitKind::Pharmacy => {
            for _ in 0..2 + rng.below(2) {
                let group = if rng.chance(420) { Group::Patent } else { Group::Western };
                basket.put(&mut rng, group, 3, MOST_PHARMACY);
            }
        }
        VisitKind::Chronic => {
            for _ in 0..3 + rng.below(3) {
                basket.put(&mut rng, Group::Western, 4, MOST_OUTPATIENT);
            }
            if rng.chance(300) {
                basket.put(&mut rng, Group::Laboratory, 1, MOST_OUTPATIENT);
            }
        }
        VisitKind::Absent => {
            for _ in 0..2 + rng.below(3) {
                let group = if rng.chance(280) { Group::Patent } else { Group::Western };
                basket.put(&mut rng, group, 3, MOST_OUTPATIENT);
            }
        }
        VisitKind::Outpatient | VisitKind::Emergency => {
            basket.put_item(&mut rng, FIRST_FREE + consultation(visit.seed), 1, MOST_OUTPATIENT);
            for _ in 0..2 + rng.below(4) {
                let (group, most) = match rng.below(100) {
                    0..22 => (Group::Laboratory, 1),
                    22..38 => (Group::Examination, 1),
                    38..50 => (Group::Treatment, 2),
                    50..80 => (Group::Western, 3),
                    80..92 => (Group::Patent, 3),
                    92..95 => (Group::Consumable, 2),
                    _ => (Group::Slice, 90),
                };
                basket.put(&mut rng, group, most, MOST_OUTPATIENT);
            }
        }
    }
    if let Some(hand) = &mut hand {
        hand.round(details);
    }
    settle(city, bill, details, &mut rng);
    if visit.revised {
        bill.diagnosis = None;
    }
}

/// Ordinary or expert consultation.
fn consultation(seed: u64) -> usize {
    usize::from(seed.is_multiple_of(5))
}

/// Department and diagnosis.
fn reason(city: &City, visit: &Visit, rng: &mut Rng) -> (u8, u8) {
    let person = &city.persons[visit.person as usize];
    if visit.kind == VisitKind::Chronic
        && let Some(reason) = city.chronic(person)
    {
        return reason;
    }
    let department = if visit.kind == VisitKind::Emergency {
        EMERGENCY
    } else if city.places[usize::from(visit.place)].level == Level::Primary {
        GENERAL
    } else if person.age(day_of(visit.time)) < 14 {
        PAEDIATRICS
    } else {
        match rng.index(DEPARTMENTS.len()) as u8 {
            OBSTETRICS if !person.female => GENERAL,
            PAEDIATRICS | EMERGENCY => GENERAL,
            department => department,
        }
    };
    // The last diagnosis of a department may be a reason for a stay only.
    (department, rng.index(DEPARTMENTS[usize::from(department)].diagnoses.len() - 1) as u8)
}

/// Details under way to a bill.
struct Basket<'a> {
    city: &'a City,
    place: u16,
    time: i64,
    sum: i64,
    hand: Option<&'a mut Hand>,
    details: &'a mut Vec<Detail>,
}

impl Basket<'_> {
    /// Adds a free item of a group, 1 to `most` units, unless the bill would pass `limit` fen.
    fn put(&mut self, rng: &mut Rng, group: Group, most: u64, limit: i64) {
        let items = &self.city.free[group.index()];
        let item = usize::from(items[rng.index(items.len())]);
        self.put_item(rng, item, most, limit);
    }

    fn put_item(&mut self, rng: &mut Rng, item: usize, most: u64, limit: i64) {
        let mut count = 1 + rng.below(most) as i64;
        if let Some(hand) = self.hand.as_deref_mut().filter(|_| ITEMS[item].group != Group::Consultation) {
            count = hand.units(count);
        }
        let price = self.city.price(item, self.place);
        // Never before midnight: rules count by the day of a detail.
        let ago = (rng.between(1, 50) * MINUTE).min(clock(self.time));
        let mut detail = Detail::new(item, self.details.len() as u32 + 1, self.time - ago, count * 10_000, price);
        if ITEMS[item].group.is_drug() {
            detail.days_supplied = (count * 7).min(28) as u8;
        }
        if self.sum + detail.amount <= limit {
            self.sum += detail.amount;
            self.details.push(detail);
        }
        debug_assert_eq!(detail.time.div_euclid(DAY), day_of(self.time), "a detail left the day of its visit");
    }
}
