//! Ordinary stays: one chain of steps from admission to settlement, composed from a seed.
//!
//! Each day has treatment details (no empty bed), one bed, one consultation and one level of nursing
//! (no daily limit broken, no two levels side by side).

use super::bill::{Bill, Detail, Ident, settle};
use super::calendar::{DAY, HOUR, MINUTE, day_of, month};
use super::catalogue::{
    AIR_CONDITIONING, BED_WARD, CONSULT_INPATIENT, DEPARTMENTS, ECG_HOURS, Group, HEATING, ITEMS, NURSING_1, NURSING_2,
    NURSING_3, OXIMETRY_HOURS,
};
use super::city::{City, midnight};
use super::notices::{Check, Ward};
use super::random::Rng;
use super::visit::blank_bill;

/// An ordinary stay.
#[derive(Debug, Clone)]
pub(super) struct Stay {
    pub(super) seed: u64,
    pub(super) ward: Ward,
}

/// What happens at a step of a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StayStep {
    Admission,
    /// Presence check number 0 or 1 of a day.
    Round(i64, u32),
    /// The day's details are uploaded.
    Details(i64),
    Discharge,
    Settlement,
}

impl Stay {
    /// Last day of the stay, counted from 0.
    pub(super) fn last_day(&self) -> i64 {
        day_of(self.ward.end) - day_of(self.ward.begin)
    }

    /// The step with a number and its time; `None` after the last.
    pub(super) fn step(&self, number: u16) -> Option<(StayStep, i64)> {
        let last = self.last_day();
        let number = i64::from(number);
        if number == 0 {
            return Some((StayStep::Admission, self.ward.begin));
        }
        let (day, part) = ((number - 1) / 3, (number - 1) % 3);
        if day > last {
            return match number - 1 - (last + 1) * 3 {
                0 => Some((StayStep::Discharge, self.ward.end)),
                1 => Some((StayStep::Settlement, self.ward.end + 25 * MINUTE)),
                _ => None,
            };
        }
        let jitter = (self.seed >> (day % 48)) as i64 & 0x3ff;
        let morning = midnight(day_of(self.ward.begin) + day) + 8 * HOUR;
        Some(match part {
            0 if day == 0 => (StayStep::Round(day, 0), self.ward.begin + 10 * MINUTE),
            0 => (StayStep::Round(day, 0), morning + jitter),
            1 if day == last => (StayStep::Round(day, 1), self.ward.end - 30 * MINUTE),
            1 => (StayStep::Round(day, 1), morning + 8 * HOUR + jitter),
            _ if day == last => (StayStep::Details(day), self.ward.end - 10 * MINUTE),
            _ => (StayStep::Details(day), morning + 14 * HOUR + jitter),
        })
    }

    /// The presence check of a round.
    pub(super) fn check(&self, day: i64, round: u32, time: i64) -> Check {
        let mut rng = Rng::new(self.seed ^ (day as u64 * 2 + u64::from(round) + 1).rotate_left(40));
        let passed = !rng.chance(25);
        Check {
            ident: Ident { day: day_of(time), serial: self.ward.mdtrt.serial + 2 + round },
            time,
            kind: if day == 0 && round == 0 { "ADMISSION" } else { "ROUND" },
            passed,
            on_leave: !passed && rng.chance(400),
            score: if passed { rng.between(8_300, 9_990) } else { rng.between(1_000, 7_500) },
        }
    }

    /// The bill of the stay; its sums are filled in by [`Stay::settlement`].
    pub(super) fn bill(&self) -> Bill {
        let ward = &self.ward;
        Bill {
            person: ward.person,
            place: ward.place,
            med_type: ward.med_type,
            mdtrt: ward.mdtrt,
            setl: ward.mdtrt,
            time: ward.end + 25 * MINUTE,
            updated: ward.end + 25 * MINUTE + 2,
            begin_day: Some(day_of(ward.begin)),
            end_day: Some(day_of(ward.end)),
            department: ward.department,
            doctor: ward.doctor,
            diagnosis: ward.out_diagnosis.map(|(_, diagnosis)| diagnosis),
            ..blank_bill()
        }
    }

    /// Composes the settlement: all details of the stay under their serial numbers of the daily
    /// uploads.
    pub(super) fn settlement(&self, city: &City, details: &mut Vec<Detail>) -> Bill {
        let mut bill = self.bill();
        details.clear();
        for day in 0..=self.last_day() {
            self.compose_day(city, day, details);
        }
        settle(city, &mut bill, details, &mut Rng::new(self.seed));
        bill
    }

    /// Appends the details of a day.
    pub(super) fn compose_day(&self, city: &City, day: i64, details: &mut Vec<Detail>) {
        let mut rng = Rng::new(self.seed ^ (day as u64 + 1).rotate_left(32));
        let ward = &self.ward;
        let last = self.last_day();
        let date = midnight(day_of(ward.begin) + day);
        let from = if day == 0 { ward.begin + 5 * MINUTE } else { date + 6 * HOUR };
        let to = if day == last { ward.end - 15 * MINUTE } else { date + 21 * HOUR };
        let mut table = Table { city, place: ward.place, from, to, next_serial: day as u32 * 100 + 1, details };
        if day < last {
            table.put_item(&mut rng, BED_WARD, 1);
            match month(day_of(date)) {
                11..=12 | 1..=3 => table.put_item(&mut rng, HEATING, 1),
                6..=9 => table.put_item(&mut rng, AIR_CONDITIONING, 1),
                _ => {}
            }
        }
        table.put_item(&mut rng, CONSULT_INPATIENT, 1);
        let nursing = [NURSING_1, NURSING_2, NURSING_2, NURSING_3][(self.seed % 4) as usize];
        table.put_item(&mut rng, nursing, 1);
        if nursing == NURSING_1 && day < 3 && day < last {
            table.put_item(&mut rng, ECG_HOURS, 6 + (self.seed % 18) as i64);
            table.put_item(&mut rng, OXIMETRY_HOURS, 6 + (self.seed % 18) as i64);
        }
        let first_days = day < 2;
        for (group, most_rows, most_units) in [
            (Group::Western, if first_days { 7 } else { 6 }, 2),
            (Group::Treatment, 3, 2),
            (Group::Laboratory, if first_days { 6 } else { 2 }, 1),
            (Group::Examination, if first_days { 2 } else { 1 }, 1),
            (Group::Consumable, 3, 2),
            (Group::Patent, 1, 2),
        ] {
            // At least two drugs a day: they are what makes it a day of treatment.
            let least = if group == Group::Western { 2 } else { 0 };
            for _ in 0..least + rng.below(most_rows + 1) {
                table.put(&mut rng, group, most_units);
            }
        }
        if day == 1.min(last) && DEPARTMENTS[usize::from(ward.department)].operates {
            table.put(&mut rng, Group::Operation, 1);
        }
        self.corrections(&mut rng, date, day, details);
    }

    /// Now and then a drug comes back from the ward, or a row was typed in by mistake.
    fn corrections(&self, rng: &mut Rng, date: i64, day: i64, details: &mut Vec<Detail>) {
        let from = details.len() - details.iter().rev().take_while(|detail| detail.time >= date).count();
        if rng.chance(12) {
            let original = details[from..]
                .iter()
                .find(|detail| detail.count >= 20_000 && ITEMS[usize::from(detail.item)].group.is_drug())
                .copied();
            if let Some(original) = original {
                details.push(original.refund(day as u32 * 100 + 99, original.time, 10_000));
            }
        }
        if rng.chance(8)
            && let Some(typed) =
                details[from..].iter().find(|detail| ITEMS[usize::from(detail.item)].group == Group::Western).copied()
        {
            details.push(Detail { serial: day as u32 * 100 + 98, erroneous: true, ..typed });
        }
    }
}

/// A day's details under way.
struct Table<'a> {
    city: &'a City,
    place: u16,
    from: i64,
    to: i64,
    next_serial: u32,
    details: &'a mut Vec<Detail>,
}

impl Table<'_> {
    fn put(&mut self, rng: &mut Rng, group: Group, most: u64) {
        let items = &self.city.free[group.index()];
        let item = usize::from(items[rng.index(items.len())]);
        let count = 1 + rng.below(most) as i64;
        self.put_item(rng, item, count);
    }

    fn put_item(&mut self, rng: &mut Rng, item: usize, count: i64) {
        let time = rng.between(self.from, self.to.max(self.from));
        let price = self.city.price(item, self.place);
        self.details.push(Detail::new(item, self.next_serial, time, count * 10_000, price));
        self.next_serial += 1;
        debug_assert!(time - self.from < DAY);
    }
}
