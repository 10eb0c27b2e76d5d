//! Recent cases: what was known of someone's verdicts at a moment. A case is recent while its verdict is.

use crate::record::Time;
use crate::record::value::DAY_SECONDS;

/// How far is looked back.
#[derive(Debug, Clone, Copy)]
pub struct Lookback {
    /// Days for which verdicts are counted, the shortest span first.
    pub spans: [i32; 3],
    /// Days for which a verdict is looked at after it became known.
    pub remembered: i32,
}

/// A verdict as those look at it who ask for many.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// It is known after this second.
    pub known: Time,
    /// When what it is on began.
    pub time: Time,
    /// Whether it was confirmed as fraud, or dismissed.
    pub confirmed: bool,
    /// When another verdict took its place.
    pub replaced: Option<Time>,
}

/// What was known of cases at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recent {
    /// Verdicts of the last days, for each span.
    pub cases: [u32; 3],
    /// Those of them that confirm.
    pub confirmed: [u32; 3],
    /// When the first confirmed one among those remembered began.
    pub first_confirmed: Option<Time>,
    /// And the last.
    pub last_confirmed: Option<Time>,
    /// And the last dismissed one.
    pub last_dismissed: Option<Time>,
}

impl Recent {
    /// The share of confirmed ones among the verdicts of a span; NaN where there is none.
    pub fn share(&self, span: usize) -> f64 {
        f64::from(self.confirmed[span]) / f64::from(self.cases[span])
    }
}

impl Lookback {
    /// The first second of verdicts that are remembered at a moment.
    pub fn begin(self, at: Time) -> Time {
        back(at, self.remembered)
    }

    /// What was known of cases before a moment.
    pub fn recent(self, cases: impl Iterator<Item = Case>, at: Time) -> Recent {
        let mut recent = Recent::default();
        let is_known = |case: &Case| (self.begin(at)..at).contains(&case.known);
        let stands = |case: &Case| case.replaced.is_none_or(|replaced| replaced >= at);
        for case in cases.filter(|case| is_known(case) && stands(case)) {
            for (span, days) in self.spans.into_iter().enumerate() {
                if case.known >= back(at, days) {
                    recent.cases[span] += 1;
                    recent.confirmed[span] += u32::from(case.confirmed);
                }
            }
            if case.confirmed {
                recent.first_confirmed = Some(recent.first_confirmed.map_or(case.time, |time| time.min(case.time)));
                recent.last_confirmed = recent.last_confirmed.max(Some(case.time));
            } else {
                recent.last_dismissed = recent.last_dismissed.max(Some(case.time));
            }
        }
        recent
    }
}

fn back(at: Time, days: i32) -> Time {
    Time(at.0 - i64::from(days) * DAY_SECONDS)
}
