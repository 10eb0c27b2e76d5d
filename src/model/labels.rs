//! Labels: which settlements were confirmed as fraud and which dismissed, and when each became known.
//!
//! A CSV file, plain or packed with gzip, a verdict a row:
//!
//! ```csv
//! setl_id,psn_no,fixmedins_code,setl_time,outcome,known_at
//! S1,P1,H1,2026-03-01 10:00:00,confirmed,2026-03-20
//! ```
//!
//! A verdict that became known on a date counts from the next day on, one that became known at a time from the second after it:
//! nobody can have used it before. A later verdict on the same settlement takes the place of an earlier one, from when it is known.
//! Person and institution stand in the file, so that a confirmed settlement counts also when it was refunded and is gone.

use crate::engine::moments::SPANS;
use crate::record::value::DAY_SECONDS;
use crate::record::{Day, Time};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The columns of the file, in any order; others are passed over.
const COLUMNS: [&str; 6] = ["setl_id", "psn_no", "fixmedins_code", "setl_time", "outcome", "known_at"];

/// Days for which a verdict is looked at after it became known.
const REMEMBERED: i64 = 60;

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

/// Why there are no labels.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The file cannot be opened or read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no CSV.
    #[error("{} is not a CSV file with the same number of columns in every line: {reason}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// A column is not there.
    #[error("{} has no column \"{column}\"; labels have the columns {}", path.display(), COLUMNS.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// What is missing.
        column: &'static str,
    },
    /// A value is none of its column.
    #[error("{}, line {line}, column \"{column}\": \"{text}\" {wrong}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line of the file, the header being line 1.
        line: u64,
        /// Name of the column.
        column: &'static str,
        /// What stands there.
        text: String,
        /// What it should be.
        wrong: &'static str,
    },
    /// Two verdicts contradict each other.
    #[error("{}, lines {} and {}: settlement {settlement} is both confirmed and dismissed at the same time", path.display(), lines.0, lines.1)]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Where.
        lines: (u64, u64),
        /// Which.
        settlement: String,
    },
}

/// What was known of a person's or an institution's cases at a moment. A case is recent while its verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recent {
    /// Verdicts of the last days, for each of [`SPANS`].
    pub cases: [u32; SPANS.len()],
    /// Those of them that confirm.
    pub confirmed: [u32; SPANS.len()],
    /// `setl_time` of the first confirmed settlement among the verdicts of the last 60 days.
    pub first_confirmed: Option<Time>,
    /// And of the last.
    pub last_confirmed: Option<Time>,
    /// And of the last dismissed one.
    pub last_dismissed: Option<Time>,
}

impl Recent {
    /// The share of confirmed ones among the verdicts of one of [`SPANS`]; NaN where there is none.
    pub fn share(&self, span: usize) -> f64 {
        f64::from(self.confirmed[span]) / f64::from(self.cases[span])
    }
}

/// A verdict as those look at it who ask for many.
#[derive(Debug, Clone, Copy)]
struct Case {
    known: Time,
    time: Time,
    confirmed: bool,
    /// When another verdict took its place.
    replaced: Option<Time>,
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
        let file = File::open(path).map_err(|source| LabelsError::Read { path: path.to_owned(), source })?;
        let input: Box<dyn Read> = match path.extension() {
            Some(ending) if ending == "gz" => Box::new(MultiGzDecoder::new(file)),
            _ => Box::new(file),
        };
        let mut verdicts = rows(input, path)?;
        let by_settlement = |row: &(u64, Verdict)| (row.1.settlement.clone(), row.1.known);
        verdicts.sort_by_cached_key(by_settlement);
        let clash = |pair: &&[(u64, Verdict)]| {
            by_settlement(&pair[0]) == by_settlement(&pair[1]) && pair[0].1.confirmed != pair[1].1.confirmed
        };
        if let Some([(one, verdict), (other, _)]) = verdicts.windows(2).find(clash) {
            let (lines, settlement) = ((*one.min(other), *one.max(other)), verdict.settlement.clone());
            return Err(LabelsError::Contradiction { path: path.to_owned(), lines, settlement });
        }
        Ok(Self::new(verdicts.into_iter().map(|(_, verdict)| verdict)))
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
    let back = |days: i64| Time(at.0 - days * DAY_SECONDS);
    let from = cases.partition_point(|case| case.known < back(REMEMBERED));
    let to = cases.partition_point(|case| case.known < at);
    let mut recent = Recent::default();
    for case in &cases[from..to] {
        if case.replaced.is_some_and(|replaced| replaced < at) {
            continue;
        }
        for (span, days) in SPANS.into_iter().enumerate() {
            if case.known >= back(i64::from(days)) {
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

/// The verdicts of a file with their lines.
fn rows(input: impl Read, path: &Path) -> Result<Vec<(u64, Verdict)>, LabelsError> {
    let failed = |error: csv::Error| {
        let reason = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => LabelsError::Read { path: path.to_owned(), source },
            _ => LabelsError::Csv { path: path.to_owned(), reason },
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let header = reader.headers().map_err(failed)?.clone();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        // What spreadsheets put before UTF-8 is part of the first name.
        let found = header.iter().position(|name| name.trim_start_matches('\u{feff}') == column);
        *place = found.ok_or_else(|| LabelsError::NoColumn { path: path.to_owned(), column })?;
    }
    let (mut verdicts, mut record) = (Vec::new(), csv::StringRecord::new());
    while reader.read_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        let text = |column: usize| &record[places[column]];
        let wrong = |column: usize, wrong| LabelsError::Value {
            path: path.to_owned(),
            line,
            column: COLUMNS[column],
            text: text(column).to_owned(),
            wrong,
        };
        let named = |column: usize| match text(column) {
            "" => Err(wrong(column, "is empty; write the id as it stands in the settlement")),
            text => Ok(text.to_owned()),
        };
        let time =
            Time::parse(text(3).as_bytes()).ok_or_else(|| wrong(3, "is not a time such as 2026-03-01 10:00:00"))?;
        let confirmed = match text(4) {
            "confirmed" => true,
            "dismissed" => false,
            _ => return Err(wrong(4, "is not an outcome; write confirmed or dismissed")),
        };
        let known = known(text(5)).ok_or_else(|| wrong(5, "is neither a date such as 2026-03-20 nor a time"))?;
        if known < time {
            return Err(wrong(5, "is before setl_time: a verdict cannot be known before its settlement"));
        }
        let (settlement, person, institution) = (named(0)?, named(1)?, named(2)?);
        verdicts.push((line, Verdict { settlement, person, institution, time, confirmed, known }));
    }
    Ok(verdicts)
}

/// The last second at which what became known then was not known.
fn known(text: &str) -> Option<Time> {
    let end_of = |day: Day| Time(Day(day.0 + 1).start().0 - 1);
    Time::parse(text.as_bytes()).or_else(|| Day::parse(text.as_bytes()).map(end_of))
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
        assert!(told("S1,P1,H1,2026-03-01 10:00:00,confirmed,2026-02-28,\n").contains("before setl_time"));
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
