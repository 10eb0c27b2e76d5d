//! The stage of a planted case: picks persons and places, writes records, states truths.

use super::super::Simulator;
use super::super::bill::{Bill, Detail, Ident, settle};
use super::super::calendar::{DAY, HOUR, MINUTE, clock, day_of};
use super::super::catalogue::{BED_PLAIN, GENERAL, Group};
use super::super::city::{NEVER, Person, midnight};
use super::super::json::Form;
use super::super::notices::{self, Check, Ward};
use super::super::traffic::LineKind;
use super::super::truth::Truth;
use super::super::visit::blank_bill;

/// A line of a case and when what it tells happened.
pub(super) struct Line {
    pub(super) event: i64,
    pub(super) text: Box<[u8]>,
    pub(super) kind: LineKind,
}

/// A settlement with its details.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) bill: Bill,
    pub(super) details: Vec<Detail>,
}

impl Case {
    /// Fund money of the settlement.
    pub(super) fn fund(&self) -> i64 {
        self.bill.sums.fund
    }

    /// The details of an item.
    pub(super) fn of_item(&self, item: usize) -> impl Iterator<Item = &Detail> {
        self.details.iter().filter(move |detail| usize::from(detail.item) == item && detail.refund_of.is_none())
    }
}

/// A stay with its settlement, whose details are uploaded day by day before.
#[derive(Debug, Clone)]
pub(super) struct Inpatient {
    pub(super) ward: Ward,
    pub(super) case: Case,
}

impl Inpatient {
    pub(super) fn first_day(&self) -> i64 {
        day_of(self.ward.begin)
    }

    /// Days of the stay, counted from 1.
    pub(super) fn days(&self) -> i64 {
        day_of(self.ward.end) - day_of(self.ward.begin) + 1
    }
}

/// Whole units as a quantity.
pub(super) const ONE: i64 = 10_000;

/// Where a case is played.
pub(super) struct Stage<'a> {
    pub(super) simulator: &'a mut Simulator,
    pub(super) now: i64,
    pub(super) case: &'static str,
    lines: Vec<Line>,
    pub(super) truths: Vec<Truth>,
    cast: Vec<u32>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(simulator: &'a mut Simulator, now: i64, case: &'static str) -> Self {
        Stage { simulator, now, case, lines: Vec::new(), truths: Vec::new(), cast: Vec::new() }
    }

    pub(super) fn leave(self) -> (Vec<Line>, Vec<Truth>, Vec<u32>) {
        (self.lines, self.truths, self.cast)
    }

    // Times.

    /// A time of today that leaves seven hours of it, or a morning time of tomorrow.
    pub(super) fn morning(&mut self) -> i64 {
        let today = midnight(day_of(self.now));
        let opening = 8 * HOUR + self.between(0, HOUR);
        if clock(self.now) < 15 * HOUR { (self.now + 2 * MINUTE).max(today + opening) } else { today + DAY + opening }
    }

    /// A time within the next minutes.
    pub(super) fn soon(&mut self) -> i64 {
        let delay = self.between(20, 3 * MINUTE);
        if clock(self.now) < 23 * HOUR { self.now + delay } else { midnight(day_of(self.now) + 1) + delay }
    }

    /// The first day whose morning is still to come.
    pub(super) fn first_day(&self) -> i64 {
        day_of(self.now) + i64::from(clock(self.now) >= 8 * HOUR)
    }

    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        self.simulator.rng.between(low, high)
    }

    // Persons and places.

    /// A person without any visit today, for this case alone.
    pub(super) fn idle(&mut self, fits: impl Fn(&Person, i64) -> bool) -> Option<u32> {
        let today = day_of(self.now);
        for _ in 0..600 {
            let index = self.simulator.rng.index(self.simulator.city.persons.len());
            let person = &mut self.simulator.city.persons[index];
            if i64::from(person.busy_until) < today
                && i64::from(person.visit_day) != today
                && i64::from(person.next_stay) <= today
                && fits(person, today)
            {
                // Until the end of the case is known.
                person.busy_until = NEVER - 1;
                self.cast.push(index as u32);
                return Some(index as u32);
            }
        }
        None
    }

    pub(super) fn anyone(&mut self) -> Option<u32> {
        self.idle(|_, _| true)
    }

    pub(super) fn woman(&mut self) -> Option<u32> {
        self.idle(|person, today| person.female && (22..46).contains(&person.age(today)))
    }

    pub(super) fn senior(&mut self) -> Option<u32> {
        self.idle(|person, today| person.age(today) > 62)
    }

    /// A person whom the registry knows as dead, and the day of death.
    pub(super) fn dead(&mut self) -> Option<(u32, i64)> {
        let today = day_of(self.now);
        let dead = self.simulator.city.dead.iter_mut().find(|dead| dead.used_day < today - 4)?;
        dead.used_day = today;
        Some((dead.person, dead.die_day))
    }

    /// The person does not come back into ordinary traffic.
    pub(super) fn bury(&mut self, person: u32) {
        self.simulator.city.persons[person as usize].busy_until = NEVER;
    }

    /// `N` different hospitals with beds.
    pub(super) fn hospitals<const N: usize>(&mut self) -> [u16; N] {
        let range = self.simulator.city.hospitals();
        let first = self.simulator.rng.index(range.len());
        std::array::from_fn(|index| ((first + index) % range.len()) as u16)
    }

    pub(super) fn hospital(&mut self) -> u16 {
        let [place] = self.hospitals();
        place
    }

    /// A pharmacy at which no burst of sales is planted.
    pub(super) fn store(&mut self) -> u16 {
        let range = self.simulator.city.quiet_pharmacies();
        (range.start + self.simulator.rng.index(range.len())) as u16
    }

    /// Blocks the counter of a pharmacy for `seconds` and tells when it is ours, clear of other sales
    /// on both sides.
    pub(super) fn counter(&mut self, seconds: i64) -> (u16, i64) {
        let range = self.simulator.city.burst_pharmacies();
        let place = range.start + self.simulator.rng.index(range.len());
        let next_free = &mut self.simulator.city.places[place].next_free;
        let from = self.now.max(*next_free) + 60;
        *next_free = from + seconds + 60;
        (place as u16, from)
    }

    /// Takes a certain bed, when it is free.
    pub(super) fn same_bed(&mut self, place: u16, bed: u16, until: i64) -> Option<u16> {
        let now = self.now;
        let free = self.simulator.city.places[usize::from(place)].beds.get_mut(usize::from(bed))?;
        if *free > now {
            return None;
        }
        *free = until;
        Some(bed)
    }

    // Bills.

    fn idents(&mut self, time: i64) -> Ident {
        Ident { day: day_of(time), serial: self.simulator.take_serials(4) }
    }

    /// A visit of its own, settled at `time`, without details yet.
    pub(super) fn visit(&mut self, person: u32, place: u16, med_type: &'static str, time: i64) -> Case {
        let ident = self.idents(time);
        let bill = Bill {
            person,
            place,
            med_type,
            mdtrt: ident,
            setl: ident,
            time,
            updated: time + 2,
            begin_day: Some(day_of(time)),
            end_day: Some(day_of(time)),
            department: GENERAL,
            diagnosis: (med_type != "41").then_some(0),
            ..blank_bill()
        };
        Case { bill, details: Vec::new() }
    }

    /// A second settlement of the same visit, details and money the same.
    pub(super) fn twin(&mut self, case: &Case, time: i64) -> Case {
        let mut twin = case.clone();
        twin.bill.setl = self.idents(time);
        twin.bill.time = time;
        twin.bill.updated = time + 2;
        twin
    }

    /// Adds `count` (1/10,000) units of an item; returns the detail's place in the list.
    pub(super) fn add(&mut self, case: &mut Case, item: usize, count: i64, time: i64) -> usize {
        let price = self.simulator.city.price(item, case.bill.place);
        let serial = case.details.iter().map(|detail| detail.serial).max().unwrap_or(0) + 1;
        case.details.push(Detail::new(item, serial, time, count, price));
        case.details.len() - 1
    }

    /// Adds the row that takes back `count` units of a detail.
    pub(super) fn add_refund(&mut self, case: &mut Case, of: usize, count: i64) {
        let serial = case.details.iter().map(|detail| detail.serial).max().unwrap_or(0) + 1;
        let row = case.details[of].refund(serial, case.details[of].time + 60, count);
        case.details.push(row);
    }

    /// Adds one unit each of `number` different drugs, the `first`-th of the list and those after it,
    /// a minute before the settlement.
    pub(super) fn basket(&mut self, case: &mut Case, first: usize, number: usize) {
        for index in 0..number {
            let drugs = &self.simulator.city.free[Group::Western.index()];
            let item = usize::from(drugs[(first + index) % drugs.len()]);
            let time = case.bill.time - MINUTE.min(clock(case.bill.time));
            self.add(case, item, ONE, time);
        }
    }

    /// Adds a drug at the price that brings the details to `total` fen.
    pub(super) fn fill(&mut self, case: &mut Case, total: i64) {
        let rest = total - case.details.iter().map(|detail| detail.amount).sum::<i64>();
        let drug = usize::from(self.simulator.city.free[Group::Western.index()][1]);
        let time = case.details.last().map_or(case.bill.time, |detail| detail.time);
        let index = self.add(case, drug, ONE, time);
        let serial = case.details[index].serial;
        case.details[index] = Detail::new(drug, serial, time, ONE, rest * 100);
    }

    /// Splits the money.
    pub(super) fn settle(&mut self, case: &mut Case) {
        settle(&self.simulator.city, &mut case.bill, &case.details, &mut self.simulator.rng);
    }

    /// A settled and sent visit with some drugs, whose cost differs from that of other visits.
    pub(super) fn ordinary(&mut self, person: u32, place: u16, med_type: &'static str, time: i64) -> Case {
        let mut case = self.visit(person, place, med_type, time);
        let (first, number) = (self.between(0, 30) as usize, self.between(2, 5) as usize);
        self.basket(&mut case, first, number);
        self.settle(&mut case);
        self.send(&case);
        case
    }

    // Lines.

    fn line(&mut self, event: i64, kind: LineKind, write: impl FnOnce(&mut Simulator, &mut Vec<u8>)) {
        let mut text = Vec::with_capacity(512);
        write(self.simulator, &mut text);
        self.lines.push(Line { event, text: text.into_boxed_slice(), kind });
    }

    pub(super) fn send(&mut self, case: &Case) {
        self.send_as(case, Form::Normal);
    }

    fn send_as(&mut self, case: &Case, form: Form) {
        let details = case.details.iter().filter(|detail| !detail.erroneous).count() as u32;
        let kind = LineKind::Settlement { details, refund: form != Form::Normal };
        self.line(case.bill.time, kind, |simulator, out| {
            simulator.pen.settlement(out, &simulator.city, &case.bill, &case.details, form, case.bill.time);
        });
    }

    /// Refunds a settlement, with or without saying which.
    pub(super) fn refund(&mut self, case: &Case, time: i64, linked: bool) {
        let mut refund = self.twin(case, time);
        refund.details.clear();
        self.send_as(&refund, Form::Refund { of: case.bill.setl, linked });
    }

    /// A stay from `begin` to `end` in a bed of its own, with a plain bed and some drugs each day.
    pub(super) fn inpatient(
        &mut self,
        person: u32,
        place: u16,
        (department, diagnosis): (u8, u8),
        begin: i64,
        end: i64,
    ) -> Option<Inpatient> {
        let now = self.now;
        let simulator = &mut *self.simulator;
        let until = end + DAY;
        let bed = simulator.city.places[usize::from(place)].take_bed(&mut simulator.rng, now, until)?;
        let mut case = self.visit(person, place, "21", end + 25 * MINUTE);
        let ident = Ident { day: day_of(begin), serial: case.bill.mdtrt.serial };
        case.bill.mdtrt = ident;
        case.bill.begin_day = Some(day_of(begin));
        case.bill.end_day = Some(day_of(end));
        case.bill.department = department;
        case.bill.diagnosis = Some(diagnosis);
        let ward = Ward {
            person,
            place,
            bed: Some(bed),
            department,
            department_unsaid: false,
            out_department: department,
            doctor: 0,
            diagnosis: Some((department, diagnosis)),
            foreign_code: None,
            out_diagnosis: Some((department, diagnosis)),
            mdtrt: ident,
            med_type: "21",
            begin,
            end,
            way: 1,
            planned_return: false,
            die_day: None,
        };
        let mut stay = Inpatient { ward, case };
        for day in 0..stay.days() {
            self.treat(&mut stay, day);
            if day + 1 < stay.days() {
                let time = self.at(&stay, day, 30);
                self.add(&mut stay.case, BED_PLAIN, ONE, time);
            }
        }
        Some(stay)
    }

    /// A time in a stay: `minutes` after its begin on day 0, after ten o'clock on others, before its
    /// end on the last.
    pub(super) fn at(&self, stay: &Inpatient, day: i64, minutes: i64) -> i64 {
        let ten = midnight(stay.first_day() + day) + 10 * HOUR;
        let time = if day == 0 { stay.ward.begin } else { ten } + minutes * MINUTE;
        if day + 1 == stay.days() {
            time.min(stay.ward.end - 5 * MINUTE).max(midnight(day_of(stay.ward.end)))
        } else {
            time
        }
    }

    /// Adds two or three drugs to a day of a stay.
    pub(super) fn treat(&mut self, stay: &mut Inpatient, day: i64) {
        let first = self.between(0, 30) as usize;
        for index in 0..self.between(2, 3) as usize {
            let drugs = &self.simulator.city.free[Group::Western.index()];
            let item = usize::from(drugs[(first + index) % drugs.len()]);
            let time = self.at(stay, day, 12 + index as i64);
            self.add(&mut stay.case, item, ONE, time);
        }
    }

    /// Sends a stay: admission, daily details and checks, discharge, settlement.
    pub(super) fn send_stay(&mut self, stay: &mut Inpatient) {
        self.send_open(stay);
        self.send_discharge(&stay.ward);
        self.send_settlement(stay);
    }

    /// Sends the admission, the daily details and the checks.
    pub(super) fn send_open(&mut self, stay: &Inpatient) {
        let ward = &stay.ward;
        self.line(ward.begin, LineKind::Stay, |simulator, out| {
            notices::admission(&mut simulator.pen, out, &simulator.city, ward, ward.begin + 20);
        });
        for day in 0..stay.days() {
            let time = if day == 0 { ward.begin + 10 * MINUTE } else { midnight(stay.first_day() + day) + 8 * HOUR };
            let check = Check {
                ident: Ident { day: day_of(time), serial: ward.mdtrt.serial + 2 },
                time,
                kind: if day == 0 { "ADMISSION" } else { "ROUND" },
                passed: true,
                on_leave: false,
                score: 9_000 + self.between(0, 900),
            };
            if time > ward.end {
                continue;
            }
            self.line(time, LineKind::Stay, |simulator, out| {
                notices::presence(&mut simulator.pen, out, &simulator.city, ward, &check, time + 2);
            });
        }
        for detail in &stay.case.details {
            let updated = detail.time + 30;
            self.line(updated, LineKind::Detail, |simulator, out| {
                simulator.pen.unsettled(out, &simulator.city, &stay.case.bill, detail, updated, updated);
            });
        }
    }

    pub(super) fn send_discharge(&mut self, ward: &Ward) {
        let updated = ward.end + MINUTE;
        self.line(ward.end, LineKind::Stay, |simulator, out| {
            notices::discharge(&mut simulator.pen, out, &simulator.city, ward, updated, updated);
        });
    }

    /// Splits the money of a stay and sends its settlement.
    pub(super) fn send_settlement(&mut self, stay: &mut Inpatient) {
        self.settle(&mut stay.case);
        self.send(&stay.case);
    }

    /// `admission_cancel` or `discharge_cancel` at a time.
    pub(super) fn cancel(&mut self, kind: &'static str, ward: &Ward, time: i64) {
        self.line(time, LineKind::Stay, |simulator, out| {
            notices::cancel(&mut simulator.pen, out, &simulator.city, kind, ward, time, time);
        });
    }

    /// Deletes the unsettled details of a stay with a serial number.
    pub(super) fn delete(&mut self, stay: &Inpatient, serial: u32, time: i64) {
        let visit = (stay.ward.place, stay.ward.mdtrt);
        self.line(time, LineKind::Stay, |simulator, out| {
            notices::delete(&mut simulator.pen, out, &simulator.city, visit, Some(serial), time, time);
        });
    }
}
