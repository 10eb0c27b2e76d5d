//! The text of days and times, and the rhythm of a city: hours, weekdays, seasons.
//!
//! Times are seconds, days are days, both since 1970-01-01 on the local clock.

use crate::record::Day;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;
pub(super) const HOUR: i64 = 3_600;
pub(super) const MINUTE: i64 = 60;

pub(super) fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY)
}

/// Seconds since midnight.
pub(super) fn clock(time: i64) -> i64 {
    time.rem_euclid(DAY)
}

/// 0 is Monday.
fn weekday(day: i64) -> usize {
    (day + 3).rem_euclid(7) as usize
}

/// 1 is January.
pub(super) fn month(day: i64) -> usize {
    Day(day as i32).date().1 as usize
}

/// `yyyy-MM-dd`.
pub(super) fn date_bytes(day: i64) -> [u8; 10] {
    let (year, month, of_month) = Day(day as i32).date();
    let digit = |value: i32| b'0' + (value % 10) as u8;
    [
        digit(year / 1000),
        digit(year / 100),
        digit(year / 10),
        digit(year),
        b'-',
        digit(month / 10),
        digit(month),
        b'-',
        digit(of_month / 10),
        digit(of_month),
    ]
}

/// Texts of the days used last: a record names the same few days again and again.
#[derive(Debug)]
pub(super) struct Dates {
    slots: [(i64, [u8; 10]); 64],
}

impl Dates {
    pub(super) fn new() -> Self {
        Dates { slots: [(i64::MIN, [0; 10]); 64] }
    }

    pub(super) fn date(&mut self, day: i64) -> [u8; 10] {
        let slot = &mut self.slots[(day & 63) as usize];
        if slot.0 != day {
            *slot = (day, date_bytes(day));
        }
        slot.1
    }

    /// `yyyy-MM-dd HH:mm:ss`.
    pub(super) fn time(&mut self, time: i64) -> [u8; 19] {
        let mut text = *b"0000-00-00 00:00:00";
        text[..10].copy_from_slice(&self.date(day_of(time)));
        let seconds = clock(time);
        for (at, value) in [(11, seconds / HOUR), (14, seconds / MINUTE % 60), (17, seconds % 60)] {
            text[at] = b'0' + (value / 10) as u8;
            text[at + 1] = b'0' + (value % 10) as u8;
        }
        text
    }
}

/// Share of a day's hospital visits in each hour, in 1/1000.
const HOSPITAL_HOURS: [u16; 24] =
    [6, 5, 4, 4, 4, 6, 14, 62, 142, 150, 132, 82, 30, 46, 88, 84, 66, 36, 14, 10, 9, 8, 7, 6];
/// Share of a day's pharmacy sales in each hour, in 1/1000.
const PHARMACY_HOURS: [u16; 24] =
    [2, 1, 1, 1, 1, 2, 8, 30, 66, 80, 78, 66, 50, 48, 54, 60, 66, 76, 88, 94, 78, 38, 10, 2];
/// Share of a day's admissions in each hour, in 1/1000.
const ADMISSION_HOURS: [u16; 24] =
    [0, 0, 0, 0, 0, 0, 0, 0, 120, 210, 200, 130, 20, 40, 120, 110, 50, 0, 0, 0, 0, 0, 0, 0];
/// Monday to Sunday, in 1/100.
const HOSPITAL_WEEK: [u16; 7] = [122, 112, 106, 102, 100, 86, 72];
const PHARMACY_WEEK: [u16; 7] = [98, 96, 97, 98, 101, 106, 104];
/// January to December, in 1/100: winter is the time of coughs.
const SEASON: [u16; 12] = [114, 106, 103, 100, 97, 94, 92, 92, 95, 98, 103, 110];

/// What arrives at the places of a city.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flow {
    Hospital,
    Pharmacy,
    Admission,
}

/// Expected arrivals in the minute that begins at `time`, when `daily` arrive on a mean day.
pub(super) fn arrivals(flow: Flow, daily: f64, time: i64) -> f64 {
    let day = day_of(time);
    let (hours, week) = match flow {
        Flow::Hospital => (&HOSPITAL_HOURS, &HOSPITAL_WEEK),
        Flow::Pharmacy => (&PHARMACY_HOURS, &PHARMACY_WEEK),
        Flow::Admission => (&ADMISSION_HOURS, &HOSPITAL_WEEK),
    };
    let shape = f64::from(hours[(clock(time) / HOUR) as usize]) / 60_000.0;
    let factor = f64::from(week[weekday(day)]) * f64::from(SEASON[month(day) - 1]) / 10_000.0;
    daily * shape * factor
}
