//! Windows: the spans of days over which an entity is looked at.

use crate::record::Day;
use jiff::civil::Date;
use jiff::{Span, ToSpan as _};

/// How days are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Window {
    /// Calendar days.
    Day,
    /// Weeks from Monday to Sunday.
    Week,
    /// Calendar months.
    Month,
    /// So many days, a new window every `step` days; they overlap where `step` is less than `days`.
    Rolling {
        /// Length in days.
        days: i32,
        /// Days from the start of one to the start of the next.
        step: i32,
    },
}

impl Window {
    /// The first days of the windows that a day is in, earliest first.
    pub fn starts(self, day: Day) -> impl Iterator<Item = Day> {
        let (last, count, step) = match self {
            Self::Day => (day.0, 1, 1),
            Self::Week => (day.0 - i32::from(day.weekday()), 1, 7),
            Self::Month => (number(date(day).first_of_month()), 1, 31),
            Self::Rolling { days, step } => {
                let last = day.0.div_euclid(step) * step;
                let reach = days - (day.0 - last);
                (last, if reach > 0 { (reach + step - 1) / step } else { 0 }, step)
            }
        };
        (0..count).rev().map(move |back| Day(last - back * step))
    }

    /// The day after the last one of the window that starts on a day.
    pub fn end(self, start: Day) -> Day {
        match self {
            Self::Day => Day(start.0 + 1),
            Self::Week => Day(start.0 + 7),
            Self::Month => self.moved(start, 1.month()),
            Self::Rolling { days, .. } => Day(start.0 + days),
        }
    }

    /// The start of the window right before one, which shares no day with it.
    pub fn before(self, start: Day) -> Day {
        match self {
            Self::Month => self.moved(start, -1.month()),
            _ => Day(start.0 - (self.end(start).0 - start.0)),
        }
    }

    fn moved(self, start: Day, by: Span) -> Day {
        date(start).checked_add(by).map_or(start, |date| Day(number(date)))
    }
}

const EPOCH: Date = Date::constant(1970, 1, 1);

fn date(day: Day) -> Date {
    EPOCH.saturating_add(Span::new().days(day.0.clamp(-700_000, 2_900_000)))
}

fn number(date: Date) -> i32 {
    EPOCH.until(date).map_or(0, |span| span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text.as_bytes()).expect("a day")
    }

    fn starts(window: Window, text: &str) -> Vec<String> {
        window.starts(day(text)).map(|start| start.to_string()).collect()
    }

    #[test]
    fn a_day_is_in_its_windows_and_in_no_other() {
        assert_eq!(starts(Window::Day, "2026-03-01"), ["2026-03-01"]);
        // A Sunday, and the Monday after it.
        assert_eq!(starts(Window::Week, "2026-03-01"), ["2026-02-23"]);
        assert_eq!(starts(Window::Week, "2026-03-02"), ["2026-03-02"]);
        assert_eq!(starts(Window::Month, "2024-02-29"), ["2024-02-01"]);
        for window in
            [Window::Rolling { days: 28, step: 7 }, Window::Rolling { days: 10, step: 3 }, Window::Week, Window::Month]
        {
            for number in 20_000..20_100 {
                let found: Vec<Day> = window.starts(Day(number)).collect();
                let all = (number - 40..number + 40).map(Day);
                let containing: Vec<Day> = all
                    .filter(|start| window.starts(*start).last() == Some(*start))
                    .filter(|start| start.0 <= number && number < window.end(*start).0)
                    .collect();
                assert_eq!(found, containing, "{window:?} {number}");
            }
        }
    }

    #[test]
    fn windows_follow_each_other() {
        assert_eq!(Window::Month.end(day("2024-02-01")), day("2024-03-01"));
        assert_eq!(Window::Month.before(day("2024-03-01")), day("2024-02-01"));
        assert_eq!(Window::Week.before(day("2026-03-02")), day("2026-02-23"));
        assert_eq!(Window::Rolling { days: 28, step: 7 }.before(day("2026-03-02")), day("2026-02-02"));
    }
}
