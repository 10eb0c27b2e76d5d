//! Labels: which settlements were confirmed as fraud and which dismissed, and when each became known.
//!
//! ```csv
//! setl_id,psn_no,fixmedins_code,setl_time,outcome,known_at
//! S1,P1,H1,2026-03-01 10:00:00,confirmed,2026-03-20
//! ```
//!
//! The form is that of [`label_file`]. A later verdict on the same settlement takes the place of an earlier one, from when it is known.
//! Person and institution stand in the file, so that a confirmed settlement counts also when it was refunded and is gone.

use super::label_file::{self, LabelsError, Row, Told};
use super::recent::{Case, Lookback, Recent};
use crate::engine::moments::SPANS;
use crate::record::Time;
use std::collections::BTreeMap;
use std::path::Path;

const COLUMNS: [&str; 6] = ["setl_id", "psn_no", "fixmedins_code", "setl_time", "outcome", "known_at"];

const LOOKBACK: Lookback = Lookback { spans: SPANS, remembered: 60 };

/// A verdict on a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `setl_id`
    pub settlement: String,
    /// `psn_no`
    pub person: String,
    /// `fixmedins_code`
    pub institution: String,
    /// `setl_time`
    pub time: Time,
    /// Whether it was confirmed as fraud, or dismissed.
    pub confirmed: bool,
    /// It is known after this second.
    pub known: Time,
}

/// All verdicts. Whatever is asked is asked as of a moment.
#[derive(Debug, Default)]
pub struct Labels {
    /// In order of `known`.
    of_settlement: BTreeMap<String, Vec<Case>>,
    of_person: BTreeMap<String, Vec<Case>>,
    of_institution: BTreeMap<String, Vec<Case>>,
}

impl Labels {
    /// Reads a file, packed with gzip where its name ends in `.gz`.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong; it is said where.
    pub fn read(path: &Path) -> Result<Self, LabelsError> {
        let case = |row: &Row<'_>| -> Result<_, LabelsError> {
            let time = row.time("setl_time")?;
            Ok((([row.id("setl_id")?, row.id("psn_no")?, row.id("fixmedins_code")?], time), time))
        };
        let name = |([settlement, ..], _): &([String; 3], Time)| format!("settlement {settlement}");
        let told = label_file::read(path, &COLUMNS, case, name)?;
        Ok(Self::new(told.into_iter().map(|Told { case: (ids, time), confirmed, known, .. }| {
            let ([settlement, person, institution], known) = (ids, known.expect("it is one of the columns"));
            Verdict { settlement, person, institution, time, confirmed, known }
        })))
    }

    /// Labels of verdicts in any order.
    pub fn new(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        let mut verdicts: Vec<Verdict> = verdicts.into_iter().collect();
        verdicts.sort_by(|one, other| (&one.settlement, one.known).cmp(&(&other.settlement, other.known)));
        // Told twice is told once.
        verdicts.dedup_by(|later, one| later.settlement == one.settlement && later.known == one.known);
        let mut labels = Self::default();
        for verdicts in verdicts.chunk_by(|one, other| one.settlement == other.settlement) {
            for (number, verdict) in verdicts.iter().enumerate() {
                let replaced = verdicts.get(number + 1).map(|next| next.known);
                let Verdict { known, time, confirmed, .. } = *verdict;
                let case = Case { known, time, confirmed, replaced };
                labels.of_settlement.entry(verdict.settlement.clone()).or_default().push(case);
                labels.of_person.entry(verdict.person.clone()).or_default().push(case);
                labels.of_institution.entry(verdict.institution.clone()).or_default().push(case);
            }
        }
        for cases in labels.of_person.values_mut().chain(labels.of_institution.values_mut()) {
            cases.sort_by_key(|case| (case.known, case.time));
        }
        labels
    }

    /// Whether a settlement is confirmed, as far as is known before a moment; `None`: there is no verdict yet.
    pub fn outcome(&self, settlement: &str, at: Time) -> Option<bool> {
        let cases = self.of_settlement.get(settlement)?;
        cases.iter().rev().find(|case| case.known < at).map(|case| case.confirmed)
    }

    /// A person's cases, as far as they are known before a moment.
    pub fn of_person(&self, person: &str, at: Time) -> Recent {
        self.of_person.get(person).map_or(Recent::default(), |cases| recent(cases, at))
    }

    /// An institution's cases, as far as they are known before a moment.
    pub fn of_institution(&self, institution: &str, at: Time) -> Recent {
        self.of_institution.get(institution).map_or(Recent::default(), |cases| recent(cases, at))
    }
}

fn recent(cases: &[Case], at: Time) -> Recent {
    let from = cases.partition_point(|case| case.known < LOOKBACK.begin(at));
    let to = cases.partition_point(|case| case.known < at);
    LOOKBACK.recent(cases[from..to].iter().copied(), at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(text: &str) -> Result<Labels, LabelsError> {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("there is room");
        Labels::read(file.path())
    }

    fn at(text: &str) -> Time {
        Time::parse(text.as_bytes()).expect("a time")
    }

    const HEADER: &str = "\u{feff}setl_id,psn_no,fixmedins_code,setl_time,outcome,known_at,remark\n";

    #[test]
    fn a_verdict_counts_once_it_is_known() {
        let labels = read(&format!(
            "{HEADER}S1,P1,H1,2026-03-01 10:00:00,confirmed,2026-03-08,x\n\
             S2,P1,H1,2026-03-02 10:00:00,dismissed,2026-03-08 12:00:00,\n"
        ))
        .expect("labels");
        assert_eq!(labels.outcome("S1", at("2026-03-08 23:59:59")), None);
        assert_eq!(labels.outcome("S1", at("2026-03-09 00:00:00")), Some(true));
        assert_eq!(labels.outcome("S2", at("2026-03-08 12:00:00")), None);
        assert_eq!(labels.outcome("S2", at("2026-03-08 12:00:01")), Some(false));
        assert_eq!(labels.outcome("S3", at("2026-04-01 00:00:00")), None);
        assert_eq!(labels.of_institution("H1", at("2026-03-08 12:00:00")), Recent::default());
        let one = labels.of_institution("H1", at("2026-03-08 12:00:01"));
        assert_eq!((one.cases, one.confirmed, one.first_confirmed), ([1, 1, 1], [0, 0, 0], None));
        let both = labels.of_person("P1", at("2026-03-10 00:00:00"));
        assert_eq!((both.cases, both.confirmed), ([0, 2, 2], [0, 1, 1]));
        assert_eq!((both.share(0).is_nan(), both.share(1)), (true, 0.5));
        assert_eq!(both.last_confirmed, Some(at("2026-03-01 10:00:00")));
        assert_eq!(both.last_dismissed, Some(at("2026-03-02 10:00:00")));
        assert_eq!(labels.of_person("P1", at("2026-06-01 00:00:00")), Recent::default());
    }

    #[test]
    fn a_later_verdict_takes_the_place_of_an_earlier_one() {
        let labels = read(&format!(
            "{HEADER}S1,P1,H1,2026-03-01 10:00:00,dismissed,2026-03-20,\n\
             S1,P1,H1,2026-03-01 10:00:00,confirmed,2026-03-10,\n"
        ))
        .expect("labels");
        let seen = |day: &str| {
            let at = at(day);
            let recent = labels.of_institution("H1", at);
            (labels.outcome("S1", at), recent.cases[2], recent.confirmed[2])
        };
        assert_eq!(seen("2026-03-15 00:00:00"), (Some(true), 1, 1));
        assert_eq!(seen("2026-03-21 00:00:00"), (Some(false), 1, 0));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let told = |rows: &str| read(&format!("{HEADER}{rows}")).expect_err("a mistake").to_string();
        let good = "S1,P1,H1,2026-03-01 10:00:00,confirmed,2026-03-08,\n";
        let words = told(&format!("{good}S2,P1,H1,2026-03-01 10:00:00,maybe,2026-03-08,\n"));
        assert!(
            words.ends_with("line 3, column \"outcome\": \"maybe\" is not an outcome; write confirmed or dismissed"),
            "{words}"
        );
        assert!(told("S1,P1,H1,2026-03-01,confirmed,2026-03-08,\n").contains("line 2, column \"setl_time\""));
        assert!(told("S1,P1,H1,2026-03-01 10:00:00,confirmed,2026-02-28,\n").contains("is before the case itself"));
        assert!(told("S1,P1,H1,2026-03-01 10:00:00,confirmed,soon,\n").contains("\"soon\" is neither a date"));
        assert!(
            told(",P1,H1,2026-03-01 10:00:00,confirmed,2026-03-08,\n").contains("column \"setl_id\": \"\" is empty")
        );
        assert!(told("S1,P1\n").contains("line: 2"));
        let words = told(&format!("{good}{}", good.replace("confirmed", "dismissed")));
        assert!(words.contains("lines 2 and 3: settlement S1 is both"), "{words}");
        let words = read("setl_id,psn_no\n").expect_err("a mistake").to_string();
        assert!(words.contains("has no column \"fixmedins_code\"; labels have"), "{words}");
        assert!(matches!(Labels::read(Path::new("/nowhere.csv")), Err(LabelsError::Read { .. })));
    }
}
