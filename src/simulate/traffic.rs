//! Ordinary traffic: what arrives in a minute, and the jobs that come of it.

use super::Simulator;
use super::bill::{Bill, Detail, Ident};
use super::calendar::{DAY, Flow, HOUR, MINUTE, arrivals, clock, day_of};
use super::catalogue::{DEPARTMENTS, EMERGENCY, OBSTETRICS, PAEDIATRICS};
use super::city::midnight;
use super::notices::{Movement, Ward};
use super::stay::Stay;
use super::visit::{Visit, VisitKind};

/// Visits of 1,000 persons on a mean day; two thirds of a city's 36 settlements are of hospitals
/// when the sales that follow a visit are counted with the pharmacies.
pub(super) const HOSPITAL_VISITS: f64 = 20.0;
const PHARMACY_SALES: f64 = 12.5;
/// Admissions of 1,000 persons on a mean day: a fifth of the city in a year.
const ADMISSIONS: f64 = 0.55;
/// Serial numbers reserved for a visit or stay.
const SERIALS: u32 = 4;

/// Something to do at a time.
#[derive(Debug)]
pub(super) enum Job {
    Visit(Visit, Sending),
    /// A sale that follows a visit; the counter decides when exactly.
    FollowOn {
        person: u32,
        place: u16,
    },
    /// Step of a stay, and of the steps after it.
    Stay(Box<Stay>, u16),
    /// A day's details alone: late, or again.
    StayDetails {
        stay: Box<Stay>,
        day: i64,
        again: bool,
    },
    /// The number of a registration by mistake, and whether this is its cancel.
    Mistake {
        stay: Box<Stay>,
        cancel: bool,
    },
    Stock(Movement),
    Dirt(u64),
    /// A planted line, and whether it was sent before.
    Line {
        text: Box<[u8]>,
        kind: LineKind,
        again: bool,
    },
}

/// What a planted line counts as.
#[derive(Debug, Clone, Copy)]
pub(super) enum LineKind {
    Settlement { details: u32, refund: bool },
    Detail,
    Stay,
}

/// How a visit's settlement is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sending {
    Normal,
    Again,
    Revised,
    Refund {
        time: i64,
        linked: bool,
    },
    /// Settled anew after a refund.
    Anew {
        time: i64,
    },
}

/// A stay's details, being sent one by one.
#[derive(Debug)]
pub(super) struct Tray {
    pub(super) at: i64,
    pub(super) bill: Bill,
    pub(super) details: Vec<Detail>,
    pub(super) next: usize,
    pub(super) updated: i64,
    pub(super) again: bool,
    /// Deletes of erroneous details come after all details.
    pub(super) deletes: usize,
}

impl Simulator {
    /// Plans what happens from `self.minute` on for a minute.
    pub(super) fn live_a_minute(&mut self) {
        let minute = self.minute;
        let thousands = self.city.persons.len() as f64 / 1000.0;
        for _ in 0..self.draw_count(arrivals(Flow::Hospital, HOSPITAL_VISITS * thousands, minute)) {
            self.hospital_visit();
        }
        for _ in 0..self.draw_count(arrivals(Flow::Pharmacy, PHARMACY_SALES * thousands, minute)) {
            let time = minute + self.rng.between(0, 59);
            if let Some(person) = self.seek_person(time) {
                let place = self.pharmacy_of(person);
                self.sale(person, place, time);
            }
        }
        for _ in 0..self.draw_count(arrivals(Flow::Admission, ADMISSIONS * thousands, minute)) {
            self.admit();
        }
        self.purchases();
        self.live_schemes();
        self.plant_cases();
    }

    /// A whole number whose mean is `expected`.
    pub(super) fn draw_count(&mut self, expected: f64) -> u64 {
        (expected + self.rng.unit()) as u64
    }

    /// A person who seeks care today for the first time.
    fn seek_person(&mut self, time: i64) -> Option<u32> {
        let today = day_of(time) as i32;
        for _ in 0..48 {
            let index = self.rng.index(self.city.persons.len());
            let person = &mut self.city.persons[index];
            if person.busy_until < today
                && person.visit_day != today
                && self.rng.below(256) < u64::from(person.appetite)
            {
                person.visit_day = today;
                return Some(index as u32);
            }
        }
        None
    }

    fn pharmacy_of(&mut self, person: u32) -> u16 {
        if self.rng.chance(780) {
            self.city.persons[person as usize].store
        } else {
            let range = self.city.pharmacies();
            (range.start + self.rng.index(range.len())) as u16
        }
    }

    fn hospital_visit(&mut self) {
        let time = self.minute + self.rng.between(0, 59);
        let Some(index) = self.seek_person(time) else { return };
        let hour = clock(time) / HOUR;
        let person = &self.city.persons[index as usize];
        let at_night = !(7..18).contains(&hour);
        let kind = if self.rng.chance(if at_night { 850 } else { 45 }) {
            VisitKind::Emergency
        } else if person.chronic > 0 && self.rng.chance(420) {
            VisitKind::Chronic
        } else {
            VisitKind::Outpatient
        };
        let tertiary = self.rng.index(self.city.bounds[0]) as u16;
        let place = match self.rng.below(100) {
            0..25 => tertiary,
            25..58 => person.hospital,
            _ if kind == VisitKind::Emergency => person.hospital,
            _ => person.clinic,
        };
        let follow_on = kind != VisitKind::Emergency && hour < 20 && self.rng.chance(170);
        self.settle_visit(index, place, kind, time);
        if follow_on {
            let at = time + self.rng.between(15 * MINUTE, 150 * MINUTE);
            let place = self.pharmacy_of(index);
            self.push(at, Job::FollowOn { person: index, place });
        }
    }

    /// Sells at a pharmacy's counter, which serves one customer in 21 seconds or more: ordinary sales
    /// never make a burst.
    pub(super) fn sale(&mut self, person: u32, place: u16, time: i64) {
        let counter = &mut self.city.places[usize::from(place)].next_free;
        let served = time.max(*counter);
        if day_of(served) == day_of(time) {
            *counter = served + 21 + (self.rng.next() & 31) as i64;
            self.settle_visit(person, place, VisitKind::Pharmacy, served);
        }
    }

    pub(super) fn settle_visit(&mut self, person: u32, place: u16, kind: VisitKind, time: i64) {
        if self.end.is_some_and(|end| time >= end) {
            return;
        }
        self.planner.visits += 1;
        let mut visit = Visit {
            seed: self.rng.next(),
            time,
            person,
            serial: self.take_serials(SERIALS),
            place,
            kind,
            revised: false,
        };
        // At most one mishap: each is exact by itself.
        match self.rng.below(1000) {
            0..6 => {
                let refund = time + self.rng.between(5 * MINUTE, 40 * HOUR);
                let linked = self.rng.chance(750);
                self.push_visit(visit, Sending::Refund { time: refund, linked }, refund);
            }
            6..9 if kind != VisitKind::Pharmacy => {
                // The same day, so that the person's visits of other days stay as they were.
                let refund = time + self.rng.between(3 * MINUTE, 12 * MINUTE);
                let anew = refund + self.rng.between(MINUTE, 8 * MINUTE);
                if day_of(anew) == day_of(time) && self.end.is_none_or(|end| anew < end) {
                    self.push_visit(visit, Sending::Refund { time: refund, linked: true }, refund);
                    self.push_visit(visit, Sending::Anew { time: anew }, anew);
                }
            }
            9..14 if self.dirty => {
                let latest = if self.rng.chance(200) { 2 * DAY } else { 600 };
                let again = time + 50 + self.rng.between(0, latest);
                self.push(again, Job::Visit(visit, Sending::Again));
            }
            14..18 if self.dirty => {
                visit.revised = true;
                let revised = time + self.rng.between(10 * MINUTE, 3 * DAY);
                self.push(revised, Job::Visit(visit, Sending::Revised));
            }
            18..20 if self.dirty => {
                let seed = self.rng.next();
                self.push(time + 3, Job::Dirt(seed));
            }
            _ => {}
        }
        self.push_visit(visit, Sending::Normal, time);
    }

    fn push_visit(&mut self, visit: Visit, sending: Sending, event: i64) {
        if self.end.is_some_and(|end| event >= end) {
            return;
        }
        let at = self.upload_time(event);
        self.push(at, Job::Visit(visit, sending));
    }

    /// When a record of something that happened at `event` is uploaded.
    pub(super) fn upload_time(&mut self, event: i64) -> i64 {
        let delay = match self.rng.below(1000) {
            0..15 if self.dirty => self.rng.between(HOUR, 10 * HOUR),
            15..18 if self.dirty => self.rng.between(DAY, 3 * DAY),
            _ => self.rng.between(1, 40),
        };
        event + delay
    }

    fn admit(&mut self) {
        let begin = self.minute + self.rng.between(0, 59);
        let today = day_of(begin);
        let Some(index) = self.seek_person(begin) else { return };
        let person = &self.city.persons[index as usize];
        if i64::from(person.next_stay) > today {
            return;
        }
        let place = if self.rng.chance(450) { self.rng.index(self.city.bounds[0]) as u16 } else { person.hospital };
        let nights = 2 + self.rng.below(6) + self.rng.below(7);
        let end = midnight(today + nights as i64) + 9 * HOUR + self.rng.between(0, 5 * HOUR);
        let (department, diagnosis) = self.ward_of(index, today);
        let Some(bed) = self.city.places[usize::from(place)].take_bed(&mut self.rng, begin, end) else { return };
        let dies = self.rng.chance(6) && self.city.persons[index as usize].age(today) > 60;
        let person = &mut self.city.persons[index as usize];
        person.busy_until = if dies { super::city::NEVER } else { day_of(end) as i32 };
        person.next_stay = day_of(end) as i32 + 20;
        let doctors = usize::from(self.city.places[usize::from(place)].doctors);
        let stay = Box::new(Stay {
            seed: self.rng.next(),
            ward: Ward {
                person: index,
                place,
                bed: Some(bed),
                department,
                department_unsaid: false,
                out_department: department,
                doctor: self.rng.index(doctors) as u8,
                diagnosis: Some((department, diagnosis)),
                foreign_code: None,
                out_diagnosis: Some((department, diagnosis)),
                mdtrt: Ident { day: today, serial: self.take_serials(SERIALS) },
                med_type: if self.rng.chance(60) { "24" } else { "21" },
                begin,
                end,
                way: if dies { 5 } else { [1, 1, 1, 1, 1, 1, 2, 3, 4][self.rng.index(9)] },
                planned_return: false,
                die_day: dies.then_some(day_of(end)),
            },
        });
        if self.rng.chance(6) {
            let mistake = stay.clone();
            self.push(begin + 5, Job::Mistake { stay: mistake, cancel: false });
        }
        self.push(begin + 20, Job::Stay(stay, 0));
    }

    /// Department and diagnosis of a stay.
    fn ward_of(&mut self, person: u32, today: i64) -> (u8, u8) {
        let person = &self.city.persons[person as usize];
        if let Some(reason) = self.city.chronic(person)
            && self.rng.chance(600)
        {
            return reason;
        }
        let department = if person.age(today) < 14 {
            PAEDIATRICS
        } else {
            match 1 + self.rng.index(DEPARTMENTS.len() - 1) as u8 {
                OBSTETRICS if !person.female => EMERGENCY,
                PAEDIATRICS => EMERGENCY,
                department => department,
            }
        };
        (department, self.rng.index(DEPARTMENTS[usize::from(department)].diagnoses.len()) as u8)
    }

    /// Each institution takes two deliveries a day, at a minute of its own.
    fn purchases(&mut self) {
        const SPREAD: usize = 600;
        let minute = (clock(self.minute) / MINUTE) as usize;
        let Some(first) = minute.checked_sub(480).filter(|&first| first < SPREAD) else { return };
        for place in (first..self.city.places.len()).step_by(SPREAD) {
            for _ in 0..2 {
                let drugs = &self.city.free[super::catalogue::Group::Western.index()];
                let item = drugs[self.rng.index(drugs.len())];
                let batch = Ident { day: day_of(self.minute), serial: self.take_serials(1) };
                let movement = Movement {
                    place: place as u16,
                    item,
                    batch,
                    time: self.minute,
                    count: self.rng.between(2, 60) * 100_000,
                    sale: None,
                };
                self.push(self.minute + 30, Job::Stock(movement));
            }
        }
    }
}
