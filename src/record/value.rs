//! Exact values of the contract: money, quantities, prices, times and dates.
//!
//! A decimal is an integer scaled by a power of ten and never passes through floating point. A value
//! that a record does not carry is `ABSENT`; the types are `Copy` and as small as their content, since
//! millions of them are held.

use std::fmt;

/// A decimal with `SCALE` places, held as an integer in units of 10^-SCALE; below 10^16 in size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scaled<const SCALE: u32>(i64);

/// Yuan, exact to the fen.
pub type Money = Scaled<2>;
/// A count of units, four places.
pub type Quantity = Scaled<4>;
/// Yuan per unit, six places.
pub type Price = Scaled<6>;

/// The first size that a scaled value may not reach (contract, section 1).
const SCALED_END: i64 = 10_000_000_000_000_000;

impl<const SCALE: u32> Scaled<SCALE> {
    /// No value given.
    pub const ABSENT: Self = Self(i64::MIN);

    /// The value of so many units of 10^-SCALE.
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// The units of 10^-SCALE; `None` where absent.
    pub fn get(self) -> Option<i64> {
        (self.0 != i64::MIN).then_some(self.0)
    }

    /// The units of 10^-SCALE, or 0 where absent.
    pub fn units(self) -> i64 {
        if self.0 == i64::MIN { 0 } else { self.0 }
    }

    pub(crate) const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    pub(crate) const fn raw(self) -> i64 {
        self.0
    }

    /// Reads a JSON number's text. The value, not the spelling, decides: `1.25e1` is 12.5.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        parse_decimal(text, SCALE).map(Self)
    }
}

impl<const SCALE: u32> fmt::Display for Scaled<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(units) = self.get() else {
            return Ok(());
        };
        let one = 10_u64.pow(SCALE);
        let size = units.unsigned_abs();
        let sign = if units < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:0width$}", size / one, size % one, width = SCALE as usize)
    }
}

impl<const SCALE: u32> fmt::Debug for Scaled<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(_) => fmt::Display::fmt(self, f),
            None => f.write_str("-"),
        }
    }
}

/// Reads a JSON number as an integer in units of 10^-scale.
fn parse_decimal(text: &[u8], scale: u32) -> Result<i64, &'static str> {
    const NOT_A_NUMBER: &str = "is not a number";
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    // The integer part: one zero, or digits that do not start with one.
    let mut units: i64 = 0;
    let mut at = 0;
    while let Some(digit) = digits.get(at).filter(|byte| byte.is_ascii_digit()) {
        if at == 17 {
            return parse_long_decimal(negative, digits, scale);
        }
        units = units * 10 + i64::from(digit - b'0');
        at += 1;
    }
    if at == 0 || (at > 1 && digits[0] == b'0') {
        return Err(NOT_A_NUMBER);
    }
    let mut places = 0;
    if digits.get(at) == Some(&b'.') {
        let start = at + 1;
        at = start;
        while let Some(digit) = digits.get(at).filter(|byte| byte.is_ascii_digit()) {
            if places < scale {
                if units >= SCALED_END {
                    return parse_long_decimal(negative, digits, scale);
                }
                units = units * 10 + i64::from(digit - b'0');
                places += 1;
            } else if *digit != b'0' {
                return parse_long_decimal(negative, digits, scale);
            }
            at += 1;
        }
        if at == start {
            return Err(NOT_A_NUMBER);
        }
    }
    if at != digits.len() {
        return parse_long_decimal(negative, digits, scale);
    }
    while places < scale {
        if units >= SCALED_END {
            return Err("is too large: a scaled value must be below 10^16");
        }
        units *= 10;
        places += 1;
    }
    if units >= SCALED_END {
        return Err("is too large: a scaled value must be below 10^16");
    }
    Ok(if negative { -units } else { units })
}

/// The general case: exponents, many digits, surplus places. `text` is without its sign.
#[cold]
fn parse_long_decimal(negative: bool, text: &[u8], scale: u32) -> Result<i64, &'static str> {
    let json_number = |text: &[u8]| -> Option<(Vec<u8>, i64)> {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let whole = digits(text);
        if whole == 0 || (whole > 1 && text[0] == b'0') {
            return None;
        }
        let mut significant = text[..whole].to_vec();
        let mut rest = &text[whole..];
        let mut power = 0_i64;
        if let [b'.', after @ ..] = rest {
            let places = digits(after);
            if places == 0 {
                return None;
            }
            significant.extend_from_slice(&after[..places]);
            power = -i64::try_from(places).ok()?;
            rest = &after[places..];
        }
        if let [b'e' | b'E', after @ ..] = rest {
            let (sign, after) = match after {
                [b'-', after @ ..] => (-1, after),
                [b'+', after @ ..] => (1, after),
                _ => (1, after),
            };
            if after.is_empty() || digits(after) != after.len() {
                return None;
            }
            // An exponent beyond any reach is cut: the result is the same refusal, or zero.
            let exponent = after.iter().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1 << 40));
            power += sign * exponent;
            rest = &[];
        }
        rest.is_empty().then_some((significant, power))
    };
    let (mut digits, mut power) = json_number(text).ok_or("is not a number")?;
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..leading);
    while digits.last() == Some(&b'0') {
        digits.pop();
        power += 1;
    }
    if digits.is_empty() {
        return Ok(0);
    }
    let shift = power + i64::from(scale);
    if shift < 0 {
        return Err(match scale {
            2 => "has more than 2 decimals",
            4 => "has more than 4 decimals",
            _ => "has more than 6 decimals",
        });
    }
    if digits.len() as i64 + shift > 16 {
        return Err("is too large: a scaled value must be below 10^16");
    }
    let units = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let units = units * 10_i64.pow(shift as u32);
    Ok(if negative { -units } else { units })
}

/// A calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// A local clock reading in seconds from 1970-01-01 00:00:00 of the same clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;

impl Day {
    /// No date given.
    pub const ABSENT: Self = Self(i32::MIN);

    /// `None` where absent.
    pub fn get(self) -> Option<Self> {
        (self != Self::ABSENT).then_some(self)
    }

    /// The first second of the day.
    pub fn start(self) -> Time {
        Time(i64::from(self.0) * DAY_SECONDS)
    }

    /// 0 for Monday to 6. Day 0, 1 January 1970, was a Thursday.
    pub fn weekday(self) -> u8 {
        (self.0 + 3).rem_euclid(7) as u8
    }

    /// Whether it is a Saturday or a Sunday.
    pub fn is_weekend(self) -> bool {
        self.weekday() >= 5
    }

    /// Reads `yyyy-MM-dd` of a day that exists.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else {
            return None;
        };
        let pair = |tens: u8, ones: u8| -> Option<i32> {
            (tens.is_ascii_digit() && ones.is_ascii_digit())
                .then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
        };
        let year = pair(y0, y1)? * 100 + pair(y2, y3)?;
        let (month, day) = (pair(m0, m1)?, pair(d0, d1)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + i32::from(leap),
            _ => return None,
        };
        (1..=last).contains(&day).then(|| Self::of_date(year, month, day))
    }

    /// The day of a date that exists, in the proleptic Gregorian calendar.
    /// Source: H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    pub const fn of_date(year: i32, month: i32, day: i32) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Self(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
    }

    /// The year, month and day of the month; the inverse of [`Day::of_date`].
    pub const fn date(self) -> (i32, i32, i32) {
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as i32;
        (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(_) => fmt::Display::fmt(self, f),
            None => f.write_str("-"),
        }
    }
}

impl Time {
    /// No time given; smaller than every time.
    pub const ABSENT: Self = Self(i64::MIN);

    /// `None` where absent.
    pub fn get(self) -> Option<Self> {
        (self != Self::ABSENT).then_some(self)
    }

    /// The calendar day it lies in.
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_SECONDS) as i32)
    }

    /// Reads `yyyy-MM-dd HH:mm:ss` of a day that exists.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (date, clock) = text.split_at_checked(10)?;
        let &[b' ', h0, h1, b':', m0, m1, b':', s0, s1] = clock else {
            return None;
        };
        let pair = |tens: u8, ones: u8, end: i64| -> Option<i64> {
            let value = i64::from(tens.wrapping_sub(b'0')) * 10 + i64::from(ones.wrapping_sub(b'0'));
            (tens.is_ascii_digit() && ones.is_ascii_digit() && value < end).then_some(value)
        };
        let seconds = pair(h0, h1, 24)? * 3_600 + pair(m0, m1, 60)? * 60 + pair(s0, s1, 60)?;
        Some(Self(Day::parse(date)?.start().0 + seconds))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.rem_euclid(DAY_SECONDS);
        write!(f, "{} {:02}:{:02}:{:02}", self.day(), second / 3_600, second / 60 % 60, second % 60)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(_) => fmt::Display::fmt(self, f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_by_value() {
        for (text, fen) in [
            ("0", 0),
            ("-0", 0),
            ("12.5", 1_250),
            ("12.500", 1_250),
            ("1.25e1", 1_250),
            ("1.25E+1", 1_250),
            ("1250e-2", 1_250),
            ("-3.10", -310),
            ("0e999999999999999999999", 0),
            ("99999999999999.99", 9_999_999_999_999_999),
            ("0.0000000000000000000000", 0),
            ("100000000000000000e-17", 100),
            ("-0.00", 0),
        ] {
            assert_eq!(Money::parse(text.as_bytes()), Ok(Money::from_units(fen)), "{text}");
        }
        for text in [
            "",
            "-",
            "01",
            "1.",
            ".5",
            "+1",
            " 1",
            "1 ",
            "1e",
            "1e+",
            "0x1",
            "1.001",
            "1e-3",
            "100000000000000",
            "1e14",
            "99999999999999.991",
            "NaN",
            "1.5.5",
            "--1",
            "1e5e5",
            "123456789012345678",
            "00",
        ] {
            assert!(Money::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(Quantity::parse(b"1.2345"), Ok(Quantity::from_units(12_345)));
        assert_eq!(Price::parse(b"3.5").map(|price| price.to_string()), Ok("3.500000".to_owned()));
        assert_eq!(Money::from_units(-5).to_string(), "-0.05");
    }

    #[test]
    fn dates_are_those_of_jiff() {
        for day in (-200_000..200_000).step_by(977) {
            let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
            let (year, month, of_month) = (i32::from(date.year()), i32::from(date.month()), i32::from(date.day()));
            assert_eq!(Day(day).date(), (year, month, of_month));
            assert_eq!(Day::of_date(year, month, of_month), Day(day));
        }
    }

    #[test]
    fn times_are_clock_readings_that_exist() {
        for text in ["2026-02-28 23:59:59", "2024-02-29 00:00:00", "1969-12-31 23:59:59", "9999-12-31 12:30:01"] {
            assert_eq!(Time::parse(text.as_bytes()).map(|time| time.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Time::parse(b"1970-01-02 00:00:01"), Some(Time(DAY_SECONDS + 1)));
        for text in [
            "2026-02-29 00:00:00",
            "2026-01-01T00:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 23:60:00",
            "2026-01-01 23:59:60",
            "2026-1-1 00:00:00",
            "2026-01-01 00:00",
            "2026-01-01 00:00:00Z",
            "2026-04-31 00:00:00",
            "2026-00-01 00:00:00",
            "2026-13-01 00:00:00",
            "2026-01-00 00:00:00",
            "",
            "２026-01-01 00:00:00",
        ] {
            assert_eq!(Time::parse(text.as_bytes()), None, "{text}");
        }
        let mut day = Day::parse(b"1899-12-31").expect("exists");
        for _ in 0..200_000 {
            assert_eq!(Day::parse(day.to_string().as_bytes()), Some(day));
            day = Day(day.0 + 1);
        }
    }
}
