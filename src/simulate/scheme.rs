//! Schemes: frauds that no rule covers, for a model to find.
//!
//! A scheme changes the ordinary traffic of an institution or of a doctor from a day on; before it they are honest, so that there
//! is something to learn from. No record of a scheme breaks a rule: its bills go through the same counters and the same limits as
//! ordinary ones, and a person has one of them on a day at most. What it changes shows in a week's sums, if at all.

use super::Simulator;
use super::bill::{Detail, rounded};
use super::calendar::{Flow, HOUR, MINUTE, arrivals, clock, day_of};
use super::catalogue::GENERAL;
use super::city::{City, doctor_code};
use super::random::Rng;
use super::traffic::HOSPITAL_VISITS;
use super::visit::VisitKind;
use crate::record::Day;
use std::ops::Range;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemeKind {
    /// Bills 15 % more units than were given.
    InflatedQuantities,
    /// A doctor prescribes for patients of the clinic who did not come.
    AbsentPatients,
    /// A pharmacy runs borrowed cards before midnight.
    NightCards,
    /// A share of the bills that grows day by day is made up to a round amount.
    RoundAmounts,
}

impl SchemeKind {
    /// As `schemes.jsonl` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InflatedQuantities => "inflated_quantities",
            Self::AbsentPatients => "absent_patients",
            Self::NightCards => "night_cards",
            Self::RoundAmounts => "round_amounts",
        }
    }
}

/// A fraud that no rule covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// What is done.
    pub kind: SchemeKind,
    /// Where: `fixmedins_code`.
    pub institution: String,
    /// By which of its doctors, `bilg_dr_codg`; `None` where it is the institution itself.
    pub doctor: Option<String>,
    /// The first day.
    pub from: Day,
    place: u16,
}

impl Scheme {
    /// The entity as models name it: `<fixmedins_code>`, or `<fixmedins_code>/<bilg_dr_codg>`.
    pub fn entity(&self) -> String {
        match &self.doctor {
            Some(doctor) => format!("{}/{doctor}", self.institution),
            None => self.institution.clone(),
        }
    }

    /// Appends the scheme as one JSON line.
    pub fn to_json_line(&self, out: &mut Vec<u8>) {
        let kind = if self.doctor.is_some() { "doctor" } else { "institution" };
        // No text here holds a character that JSON escapes.
        let line = format!(
            "{{\"scheme\":\"{}\",\"entity_kind\":\"{kind}\",\"entity\":\"{}\",\"from\":\"{}\"}}\n",
            self.kind.name(),
            self.entity(),
            self.from
        );
        out.extend_from_slice(line.as_bytes());
    }
}

/// Keeps the draws of a scheme apart from those of the bill that it changes.
const SALT: u64 = 0x0073_6368_656d_6573;
/// Units added for 100.
const INFLATION: i64 = 15;
/// Visits that a doctor makes up for each visit at the clinic; there are two doctors, so theirs nearly double.
const ABSENT: f64 = 0.4;
/// The doctor of the department who does it.
const ABSENT_DOCTOR: u8 = 0;
/// Borrowed cards of a night for each 1,000 persons of the city and pharmacy, and the least: about a sixth of the day's sales.
const CARDS: f64 = 2.5;
const FEWEST_CARDS: f64 = 6.0;
/// The hours in which borrowed cards are run.
const CARD_HOURS: Range<i64> = 22..24;
/// By how much the share of round amounts grows in a day, in 1/1000, and where it ends.
const ROUND_GROWTH: i64 = 2;
const MOST_ROUND: i64 = 300;
/// A round amount, in fen.
const ROUND: i64 = 10_000;

/// Chooses who does what from a day on; each at a place of its own. A city too small for all has fewer.
pub(super) fn choose(city: &City, seed: u64, from: i64) -> Vec<Scheme> {
    let mut rng = Rng::new(seed ^ SALT);
    let mut clinics: Vec<usize> = (city.bounds[1]..city.bounds[2]).collect();
    // Not where planted bursts of sales block the counter.
    let mut shops: Vec<usize> = city.quiet_pharmacies().collect();
    let mut schemes = Vec::new();
    for (kind, at_clinic) in [
        (SchemeKind::InflatedQuantities, true),
        (SchemeKind::InflatedQuantities, false),
        (SchemeKind::AbsentPatients, true),
        (SchemeKind::NightCards, false),
        (SchemeKind::RoundAmounts, true),
        (SchemeKind::RoundAmounts, false),
    ] {
        let places = if at_clinic { &mut clinics } else { &mut shops };
        if places.is_empty() {
            continue;
        }
        let number = places.swap_remove(rng.index(places.len()));
        let place = &city.places[number];
        let doctor = (kind == SchemeKind::AbsentPatients)
            .then(|| String::from_utf8_lossy(&doctor_code(place, GENERAL, ABSENT_DOCTOR)).into_owned());
        let institution = place.code_text();
        schemes.push(Scheme { kind, institution, doctor, from: Day(from as i32), place: number as u16 });
    }
    schemes
}

/// What a scheme does to one bill; the same whenever that bill is composed.
pub(super) struct Hand {
    kind: SchemeKind,
    rng: Rng,
    /// Days since the scheme began.
    days: i64,
}

impl Hand {
    /// The hand in a bill of a place and day, if there is one.
    pub(super) fn of(city: &City, place: u16, day: i64, seed: u64) -> Option<Hand> {
        let under_way = |scheme: &&Scheme| scheme.place == place && i64::from(scheme.from.0) <= day;
        let scheme = city.schemes.iter().find(under_way)?;
        Some(Hand { kind: scheme.kind, rng: Rng::new(seed ^ SALT), days: day - i64::from(scheme.from.0) })
    }

    /// The doctor who signs what absent patients are billed.
    pub(super) fn doctor() -> u8 {
        ABSENT_DOCTOR
    }

    /// The units that are billed for so many: whole ones, 15 % more on average.
    pub(super) fn units(&mut self, units: i64) -> i64 {
        if self.kind != SchemeKind::InflatedQuantities {
            return units;
        }
        let more = units * INFLATION;
        units + more / 100 + i64::from(self.rng.between(1, 100) <= more % 100)
    }

    /// Makes the sum of some bills round, by the price of their last detail.
    pub(super) fn round(&mut self, details: &mut [Detail]) {
        let share = (self.days * ROUND_GROWTH).min(MOST_ROUND);
        if self.kind != SchemeKind::RoundAmounts || self.rng.between(1, 1000) > share {
            return;
        }
        let total: i64 = details.iter().map(|detail| detail.amount).sum();
        let Some(last) = details.last_mut() else { return };
        let wanted = last.amount + (ROUND - total % ROUND) % ROUND;
        let price = rounded(wanted * 1_000_000, last.count);
        let dearer = Detail::new(usize::from(last.item), last.serial, last.time, last.count, price);
        *last = Detail { days_supplied: last.days_supplied, ..dearer };
        debug_assert_eq!(last.amount, wanted, "the price does not give the amount");
    }
}

impl Simulator {
    /// The schemes of the city, those to come too.
    pub fn schemes(&self) -> &[Scheme] {
        &self.city.schemes
    }

    /// The visits that schemes add in this minute.
    pub(super) fn live_schemes(&mut self) {
        let (minute, hour) = (self.minute, clock(self.minute) / HOUR);
        let thousands = self.city.persons.len() as f64 / 1000.0;
        for number in 0..self.city.schemes.len() {
            let Scheme { kind, from, place, .. } = self.city.schemes[number];
            if i64::from(from.0) > day_of(minute) {
                continue;
            }
            match kind {
                SchemeKind::AbsentPatients if (8..18).contains(&hour) => {
                    let clinics = (self.city.bounds[2] - self.city.bounds[1]) as f64;
                    // Four of ten hospital visits are at a clinic.
                    let daily = ABSENT * 0.4 * HOSPITAL_VISITS * thousands / clinics;
                    for _ in 0..self.draw_count(arrivals(Flow::Hospital, daily, minute)) {
                        let time = minute + self.rng.between(0, MINUTE - 1);
                        if let Some(person) = self.borrow_card(Some(place)) {
                            self.settle_visit(person, place, VisitKind::Absent, time);
                        }
                    }
                }
                SchemeKind::NightCards if CARD_HOURS.contains(&hour) => {
                    let cards = (CARDS * thousands / self.city.pharmacies().len() as f64).max(FEWEST_CARDS);
                    let minutes = ((CARD_HOURS.end - CARD_HOURS.start) * HOUR / MINUTE) as f64;
                    for _ in 0..self.draw_count(cards / minutes) {
                        let time = minute + self.rng.between(0, MINUTE - 1);
                        if let Some(person) = self.borrow_card(None) {
                            self.sale(person, place, time);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// A person, of a clinic where one is named, who has no bill today and is in no stay.
    fn borrow_card(&mut self, clinic: Option<u16>) -> Option<u32> {
        let today = day_of(self.minute) as i32;
        for _ in 0..2_000 {
            let index = self.rng.index(self.city.persons.len());
            let person = &mut self.city.persons[index];
            if person.busy_until < today
                && person.visit_day != today
                && clinic.is_none_or(|clinic| person.clinic == clinic)
            {
                person.visit_day = today;
                return Some(index as u32);
            }
        }
        None
    }
}
