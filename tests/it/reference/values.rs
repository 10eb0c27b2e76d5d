//! Values of section 1: clock readings, days, exact decimals and their canonical text.

use super::json;

/// Digits after the point of the three decimal types.
pub const MONEY: u32 = 2;
pub const QUANTITY: u32 = 4;
pub const PRICE: u32 = 6;

/// One scaled unit of quantity.
pub const ONE: i128 = 10_000;

const SECONDS_PER_DAY: i64 = 86_400;

/// A clock reading. Readings have a fixed width, so comparing the text compares the time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub String);

/// A calendar day, `yyyy-MM-dd`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub String);

impl Time {
    /// Reads exactly `yyyy-MM-dd HH:mm:ss`; hours 0–23, minutes and seconds 0–59.
    pub fn parse(text: &str) -> Result<Time, String> {
        let bad = || format!("{text:?} is not a time like 2024-02-29 23:59:59");
        let (day, clock) = text.split_once(' ').ok_or_else(bad)?;
        Day::parse(day).map_err(|_| bad())?;
        let parts: Vec<&str> = clock.split(':').collect();
        let [hour, minute, second] = parts[..] else {
            return Err(bad());
        };
        for (part, limit) in [(hour, 24), (minute, 60), (second, 60)] {
            if !is_digits(part, 2) || number(part) >= limit {
                return Err(bad());
            }
        }
        Ok(Time(text.into()))
    }

    pub fn day(&self) -> Day {
        Day(self.0[..10].into())
    }

    /// Seconds on an even clock: differences are differences of clock readings.
    pub fn seconds(&self) -> i64 {
        let clock = &self.0[11..];
        self.day().number() * SECONDS_PER_DAY
            + number(&clock[..2]) * 3600
            + number(&clock[3..5]) * 60
            + number(&clock[6..])
    }
}

impl Day {
    /// Reads exactly `yyyy-MM-dd` of a day that exists.
    pub fn parse(text: &str) -> Result<Day, String> {
        let bad = || format!("{text:?} is not a day like 2024-02-29");
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else {
            return Err(bad());
        };
        if !is_digits(year, 4) || !is_digits(month, 2) || !is_digits(day, 2) {
            return Err(bad());
        }
        let (year, month, day) = (number(year), number(month), number(day));
        if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return Err(bad());
        }
        Ok(Day(text.into()))
    }

    /// Days since 0000-01-01, so that differences count days.
    pub fn number(&self) -> i64 {
        let (year, month, day) = (number(&self.0[..4]), number(&self.0[5..7]), number(&self.0[8..]));
        // Of the years 0 .. year-1, every fourth is a leap year, save three centuries of four.
        let leap_years = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
        let whole_months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
        year * 365 + leap_years + whole_months + day - 1
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(digits: &str) -> i64 {
    digits.parse().expect("only digits get here")
}

/// Reads a JSON number as an integer of `decimals` places: `1.25e1` with 2 is 1250.
///
/// Trailing zeros do not count as decimals, and 10^16 or more after scaling is bad.
pub fn decimal(text: &str, decimals: u32) -> Result<i128, String> {
    if !json::is_number(text) {
        return Err(format!("{text:?} is not a number"));
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // value = digits × 10^power, with neither leading nor trailing zeros in the digits
    let digits = format!("{whole}{fraction}");
    let shortened = digits.trim_end_matches('0');
    let zeros = (digits.len() - shortened.len()) as i128;
    let shortened = shortened.trim_start_matches('0');
    if shortened.is_empty() {
        return Ok(0);
    }
    let power = read_exponent(exponent) - fraction.len() as i128 + zeros;
    let scaled_power = power + i128::from(decimals);
    if scaled_power < 0 {
        return Err(format!("{text} has more than {decimals} decimals"));
    }
    if shortened.len() as i128 + scaled_power > 16 {
        return Err(format!("{text} is too large"));
    }
    let unscaled: i128 = shortened.parse().expect("at most 16 digits");
    Ok(sign * unscaled * 10_i128.pow(scaled_power as u32))
}

/// An exponent beyond i64 is as good as endless.
fn read_exponent(text: &str) -> i128 {
    let endless = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    i128::from(text.trim_start_matches('+').parse::<i64>().unwrap_or(endless))
}

/// The canonical text with all decimals: 1250 with 2 is `12.50`.
pub fn canonical(scaled: i128, decimals: u32) -> String {
    let sign = if scaled < 0 { "-" } else { "" };
    let unit = 10_i128.pow(decimals);
    let width = decimals as usize;
    format!("{sign}{}.{:0width$}", scaled.abs() / unit, scaled.abs() % unit)
}

/// `value × part / whole`, rounded half up to the unit; `whole` is above zero.
///
/// Half up is towards the greater value: 2.5 becomes 3 and -2.5 becomes -2.
pub fn share_half_up(value: i128, part: i128, whole: i128) -> i128 {
    (2 * value * part + whole).div_euclid(2 * whole)
}

#[test]
fn times_are_strict() {
    for good in ["2024-02-29 00:00:00", "2000-02-29 23:59:59", "2023-12-31 12:00:00"] {
        assert!(Time::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "2023-02-29 00:00:00",
        "1900-02-29 00:00:00",
        "2024-04-31 00:00:00",
        "2024-01-01 24:00:00",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z",
        "2024-01-01 00:00:00.0",
        "2024-01-01 00:60:00",
        "2024-01-01 00:00:60",
        "2024-1-01 00:00:00",
        "2024-01-01  0:00:00",
        "2024-01-01",
        "2024-00-10 00:00:00",
        "2024-01-01 00:00",
        " 2024-01-01 00:00:00",
        "20240101 000000",
        "2024-13-01 00:00:00",
        "2024-01-00 00:00:00",
    ] {
        assert!(Time::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn day_numbers_count_days() {
    let number = |text: &str| Day::parse(text).unwrap().number();
    assert_eq!(number("1970-01-01") - number("0000-01-01"), 719_528);
    assert_eq!(number("2024-03-01") - number("2024-02-28"), 2);
    assert_eq!(number("2023-03-01") - number("2023-02-28"), 1);
    assert_eq!(number("2025-01-01") - number("2024-01-01"), 366);
    assert_eq!(number("2101-01-01") - number("2100-01-01"), 365);
    let seconds = |text: &str| Time::parse(text).unwrap().seconds();
    assert_eq!(seconds("2024-03-01 00:00:01") - seconds("2024-02-29 23:59:40"), 21);
}

#[test]
fn decimals_are_those_of_the_value() {
    for (text, fen) in [
        ("12.500", 1250),
        ("1.25e1", 1250),
        ("1250e-2", 1250),
        ("-0", 0),
        ("0e999999999999999999999", 0),
        ("-0.01", -1),
        ("0.001e1", 1),
        ("1E+2", 10_000),
        ("99999999999999.99", 9_999_999_999_999_999),
        ("0.00000", 0),
        ("100", 10_000),
        ("0.10", 10),
    ] {
        assert_eq!(decimal(text, MONEY), Ok(fen), "{text}");
    }
    for bad in
        ["0.001", "1e-3", "0.00012e2", "100000000000000", "1e400", "1e99999999999999999999", "1e-99999999999999999999"]
    {
        assert!(decimal(bad, MONEY).is_err(), "{bad}");
    }
    assert_eq!(decimal("0.0001", QUANTITY), Ok(1));
    assert!(decimal("0.00001", QUANTITY).is_err());
    assert_eq!(decimal("3.5", PRICE), Ok(3_500_000));
    assert!(decimal("0.0000001", PRICE).is_err());
}

#[test]
fn canonical_text_has_all_decimals() {
    assert_eq!(canonical(1250, MONEY), "12.50");
    assert_eq!(canonical(-5, MONEY), "-0.05");
    assert_eq!(canonical(20_000, QUANTITY), "2.0000");
    assert_eq!(canonical(3_500_000, PRICE), "3.500000");
}

#[test]
fn halves_go_up() {
    assert_eq!(share_half_up(5, 1, 2), 3);
    assert_eq!(share_half_up(-5, 1, 2), -2);
    assert_eq!(share_half_up(100, 1, 3), 33);
    assert_eq!(share_half_up(200, 1, 3), 67);
}
