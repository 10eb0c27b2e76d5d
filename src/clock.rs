//! The clock: the only place that reads the time of day. Everything else is told.

use crate::record::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::sync::OnceLock;

/// The zone that clock readings are of where nothing else is configured.
pub const DEFAULT_ZONE: &str = "Asia/Shanghai";

/// A clock that shows the local time of a zone.
#[derive(Debug, Clone)]
pub struct Clock(TimeZone);

/// A name that is no zone.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no time zone; write an IANA name as in \"{DEFAULT_ZONE}\"")]
pub struct UnknownZone(String);

static ZONE: OnceLock<Clock> = OnceLock::new();

/// Sets the zone of [`now`] and [`local_time_of_millis`] for the whole process. Only the first call counts:
/// readings of two zones cannot be compared.
///
/// # Errors
/// A name that is no zone.
pub fn set_zone(name: &str) -> Result<(), UnknownZone> {
    let clock = Clock::of_zone(name)?;
    ZONE.get_or_init(|| clock);
    Ok(())
}

fn clock() -> &'static Clock {
    // The database of zones is in the binary, so the default is always there; UTC is for a broken build.
    ZONE.get_or_init(|| Clock::of_zone(DEFAULT_ZONE).unwrap_or(Clock(TimeZone::UTC)))
}

/// The local clock reading of this moment.
pub fn now() -> Time {
    clock().read(moment())
}

/// The local clock reading at a moment given in milliseconds since 1970-01-01T00:00:00Z. A moment beyond the
/// years a clock can show is cut to the last one it can.
pub fn local_time_of_millis(millis: i64) -> Time {
    let end = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    clock().read(Timestamp::from_millisecond(millis).unwrap_or(end))
}

/// The moment of a local clock reading, in milliseconds since 1970-01-01T00:00:00Z; where the clock was set back, the first of two.
pub fn millis_of_local_time(reading: Time) -> i64 {
    clock().moment_of(reading)
}

/// A moment in milliseconds since 1970-01-01T00:00:00Z, as RFC 3339 writes it.
pub fn rfc3339(millis: i64) -> String {
    let end = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millis).unwrap_or(end).to_string()
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn now_millis() -> i64 {
    moment().as_millisecond()
}

#[expect(clippy::disallowed_methods, reason = "this is the place that reads the time of day")]
fn moment() -> Timestamp {
    Timestamp::now()
}

impl Clock {
    /// A clock of a zone, by its IANA name.
    ///
    /// # Errors
    /// A name that is no zone.
    pub fn of_zone(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name).map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }

    fn read(&self, moment: Timestamp) -> Time {
        let local: Zoned = moment.to_zoned(self.0.clone());
        let offset = i64::from(local.offset().seconds());
        Time(moment.as_millisecond().div_euclid(1_000) + offset)
    }

    fn moment_of(&self, reading: Time) -> i64 {
        let end = if reading.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let civil = TimeZone::UTC.to_datetime(Timestamp::from_second(reading.0).unwrap_or(end));
        self.0.to_timestamp(civil).unwrap_or(end).as_millisecond()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_local() {
        let clock = Clock::of_zone(DEFAULT_ZONE).expect("exists");
        let reading = |millis| clock.read(Timestamp::from_millisecond(millis).expect("in range")).to_string();
        assert_eq!(reading(0), "1970-01-01 08:00:00");
        assert_eq!(reading(1_767_225_599_999), "2026-01-01 07:59:59");
        assert_eq!(reading(-1_500), "1970-01-01 07:59:58", "a reading shows the second that has begun");
        let summer = Clock::of_zone("Europe/Berlin").expect("exists");
        let moment = Timestamp::from_millisecond(1_782_900_000_000).expect("in range");
        assert_eq!(summer.read(moment).to_string(), "2026-07-01 12:00:00");
        assert!(Clock::of_zone("Mars/Olympus").is_err());
        assert!(local_time_of_millis(i64::MAX).0 > 0);
        for moment in [0, 1_767_225_599_000, 1_782_900_000_000] {
            for clock in [&clock, &summer] {
                assert_eq!(clock.moment_of(clock.read(Timestamp::from_millisecond(moment).expect("in range"))), moment);
            }
        }
        assert_eq!(rfc3339(1_767_225_599_000), "2025-12-31T23:59:59Z");
    }
}
