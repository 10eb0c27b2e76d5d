//! Labels of windows: which entities were confirmed as fraud and which dismissed, in which window, and when each became known.
//!
//! ```csv
//! entity,window_start,outcome,known_at
//! H1/D7,2026-03-02,confirmed,2026-03-20
//! ```
//!
//! The form is that of [`label_file`], the names are those of alerts: `subject.id` and `window.from`. A later verdict on the same entity
//! and window takes the place of an earlier one, from when it is known.

use super::label_file::{self, LabelsError, Row, Told};
use super::recent::{Case, Lookback, Recent};
use crate::record::{Day, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const COLUMNS: [&str; 4] = ["entity", "window_start", "outcome", "known_at"];

/// Verdicts on windows are few and come late: what is recent is longer than of settlements.
const LOOKBACK: Lookback = Lookback { spans: [30, 90, 365], remembered: 365 };

/// Verdicts on entities in windows. Whatever is asked is asked as of a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowLabels {
    /// By entity, in order of windows and of when they became known.
    of_entity: BTreeMap<String, Vec<Verdict>>,
}

/// A verdict on an entity in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Verdict {
    /// The first day of the window.
    start: Day,
    confirmed: bool,
    /// It is known after this second.
    known: Time,
}

impl WindowLabels {
    /// Reads a file, packed with gzip where its name ends in `.gz`.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong; it is said where.
    pub fn read(path: &Path) -> Result<Self, LabelsError> {
        let mut labels = Self::default();
        for Told { case: (entity, start), confirmed, known, .. } in label_file::read(path, &COLUMNS, case, name)? {
            let verdict = Verdict { start, confirmed, known: known.expect("it is one of the columns") };
            let verdicts = labels.of_entity.entry(entity).or_default();
            // Told twice is told once.
            if verdicts.last() != Some(&verdict) {
                verdicts.push(verdict);
            }
        }
        Ok(labels)
    }

    /// Those that were known before a moment.
    pub fn known_before(&self, at: Time) -> Self {
        let known = |verdicts: &Vec<Verdict>| verdicts.iter().filter(|one| one.known < at).copied().collect::<Vec<_>>();
        let of_entity = self.of_entity.iter().map(|(entity, verdicts)| (entity.clone(), known(verdicts)));
        Self { of_entity: of_entity.filter(|(_, verdicts)| !verdicts.is_empty()).collect() }
    }

    /// How many verdicts there are.
    pub fn len(&self) -> usize {
        self.of_entity.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.of_entity.is_empty()
    }

    /// Whether an entity is confirmed in a window, as far as is known before a moment; `None`: there is no verdict yet.
    pub fn outcome(&self, entity: &str, start: Day, at: Time) -> Option<bool> {
        let verdicts = self.of_entity.get(entity)?;
        verdicts.iter().rev().find(|one| one.start == start && one.known < at).map(|one| one.confirmed)
    }

    /// An entity's cases in other windows than one, as far as they are known before a moment.
    pub fn of_entity(&self, entity: &str, but: Day, at: Time) -> Recent {
        let verdicts = self.of_entity.get(entity).map_or(&[][..], Vec::as_slice);
        LOOKBACK.recent(cases(verdicts).filter(|(start, _)| *start != but).map(|(_, case)| case), at)
    }

    /// The cases of an institution and of its doctors and items, without those of an entity in one window, as far as they are
    /// known before a moment.
    pub fn of_institution(&self, institution: &str, but: (&str, Day), at: Time) -> Recent {
        // `/` comes right before `0`.
        let parts = self.of_entity.range(format!("{institution}/")..format!("{institution}0"));
        let all = self.of_entity.get_key_value(institution).into_iter().chain(parts);
        let others = all.flat_map(|(entity, verdicts)| {
            cases(verdicts).filter(move |(start, _)| (entity.as_str(), *start) != but).map(|(_, case)| case)
        });
        LOOKBACK.recent(others, at)
    }
}

/// The cases of an entity with their windows.
fn cases(verdicts: &[Verdict]) -> impl Iterator<Item = (Day, Case)> {
    verdicts.iter().enumerate().map(move |(number, Verdict { start, confirmed, known })| {
        let next = verdicts.get(number + 1).filter(|next| next.start == *start);
        let replaced = next.map(|next| next.known);
        (*start, Case { known: *known, time: start.start(), confirmed: *confirmed, replaced })
    })
}

/// The outcomes of a file that need not say when they became known: of several on an entity in a window the one that became known
/// last, or else the last of the file.
///
/// # Errors
/// As of [`WindowLabels::read`].
pub fn outcomes(path: &Path) -> Result<BTreeMap<(String, Day), bool>, LabelsError> {
    let told = label_file::read(path, &["entity", "window_start", "outcome"], case, name)?;
    Ok(told.into_iter().map(|Told { case, confirmed, .. }| (case, confirmed)).collect())
}

fn case(row: &Row<'_>) -> Result<((String, Day), Time), LabelsError> {
    let start = row.day("window_start")?;
    Ok(((row.id("entity")?, start), start.start()))
}

fn name((entity, start): &(String, Day)) -> String {
    format!("{entity} in the window from {start}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(text: &str) -> tempfile::TempPath {
        let path = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        fs::write(&path, text).expect("there is room");
        path
    }

    fn read(rows: &str) -> Result<WindowLabels, LabelsError> {
        WindowLabels::read(&file(&format!("\u{feff}remark,known_at,entity,window_start,outcome\n{rows}")))
    }

    fn at(text: &str) -> Time {
        Time::parse(text.as_bytes()).expect("a time")
    }

    fn day(text: &str) -> Day {
        Day::parse(text.as_bytes()).expect("a day")
    }

    #[test]
    fn a_verdict_counts_once_it_is_known_and_not_for_its_own_window() {
        let labels = read(
            ",2026-03-20,H1,2026-03-02,confirmed\n\
             ,2026-03-25 12:00:00,H1,2026-03-09,dismissed\n\
             x,2026-03-20,H1,2026-03-02,confirmed\n",
        )
        .expect("labels");
        assert_eq!(labels.len(), 2, "told twice is told once");
        let first = |time: &str| labels.outcome("H1", day("2026-03-02"), at(time));
        assert_eq!((first("2026-03-20 23:59:59"), first("2026-03-21 00:00:00")), (None, Some(true)));
        let seen = |window: &str, time: &str| {
            let recent = labels.of_entity("H1", day(window), at(time));
            (recent.cases, recent.confirmed)
        };
        assert_eq!(seen("2026-03-16", "2026-03-20 23:59:59"), ([0; 3], [0; 3]));
        assert_eq!(seen("2026-03-16", "2026-03-26 00:00:00"), ([2; 3], [1; 3]));
        assert_eq!(seen("2026-03-02", "2026-03-26 00:00:00"), ([1; 3], [0; 3]), "its own verdict would be the answer");
        assert_eq!(seen("2026-03-16", "2026-05-10 00:00:00"), ([0, 2, 2], [0, 1, 1]));
        assert_eq!(seen("2026-03-16", "2027-05-10 00:00:00"), ([0; 3], [0; 3]));
        let recent = labels.of_entity("H1", day("2026-03-16"), at("2026-04-01 00:00:00"));
        let days = (recent.last_confirmed, recent.last_dismissed);
        assert_eq!(days, (Some(at("2026-03-02 00:00:00")), Some(at("2026-03-09 00:00:00"))));
        let before = labels.known_before(at("2026-03-25 12:00:00"));
        assert_eq!((before.len(), before.outcome("H1", day("2026-03-09"), at("2027-01-01 00:00:00"))), (1, None));
        assert!(labels.known_before(at("2026-03-01 00:00:00")).is_empty());
    }

    #[test]
    fn an_institution_has_the_cases_of_its_parts_and_of_no_other() {
        let rows = ["H1", "H1/D1", "H1/D2", "H10", "H1-2/D1", "H1 B", "H2/H1"];
        let rows = rows.map(|entity| format!(",2026-03-20,{entity},2026-03-02,confirmed\n"));
        let labels = read(&rows.concat()).expect("labels");
        let cases =
            |but: &str, start: &str| labels.of_institution("H1", (but, day(start)), at("2026-04-01 00:00:00")).cases[0];
        assert_eq!((cases("H1/D1", "2026-03-09"), cases("H1/D1", "2026-03-02")), (3, 2));
        assert_eq!((cases("H1", "2026-03-02"), cases("H3", "2026-03-02")), (2, 3));
    }

    #[test]
    fn a_later_verdict_takes_the_place_of_an_earlier_one() {
        let rows = ",2026-03-20,H1,2026-03-02,dismissed\n,2026-03-10,H1,2026-03-02,confirmed\n";
        let labels = read(rows).expect("labels");
        let seen = |time: &str| {
            let (recent, start) = (labels.of_entity("H1", day("2026-03-16"), at(time)), day("2026-03-02"));
            (labels.outcome("H1", start, at(time)), recent.cases[2], recent.confirmed[2])
        };
        assert_eq!(seen("2026-03-15 00:00:00"), (Some(true), 1, 1));
        assert_eq!(seen("2026-03-21 00:00:00"), (Some(false), 1, 0));
        // What replaced it later was not known.
        let before = labels.known_before(at("2026-03-15 00:00:00"));
        assert_eq!(before.of_entity("H1", day("2026-03-16"), at("2026-03-21 00:00:00")).confirmed[2], 1);
        let text = serde_json::to_string(&labels).expect("texts and numbers");
        assert_eq!(serde_json::from_str::<WindowLabels>(&text).expect("it was written a moment ago"), labels);
    }

    #[test]
    fn outcomes_need_no_moment() {
        let outcome = |text: &str| outcomes(&file(text)).expect("cases")[&("H1".to_owned(), day("2026-03-02"))];
        assert!(outcome("entity,window_start,outcome\nH1,2026-03-02,dismissed\nH1,2026-03-02,confirmed\n"));
        let header = "entity,window_start,outcome,known_at\n";
        assert!(outcome(&format!("{header}H1,2026-03-02,confirmed,2026-03-20\nH1,2026-03-02,dismissed,2026-03-10\n")));
        assert!(outcome(&format!("{header}H1,2026-03-02,confirmed,\n")));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let told = |rows: &str| read(rows).expect_err("a mistake").to_string();
        let good = ",2026-03-20,H1,2026-03-02,confirmed\n";
        let words = told(&format!("{good},2026-03-20,H2,2026-03-02,perhaps\n"));
        assert!(words.contains("line 3, column \"outcome\": \"perhaps\" is not an outcome"), "{words}");
        assert!(told(",2026-03-20,H1,03/02,confirmed\n").contains("\"03/02\" is not a day such as"));
        assert!(told(",,H1,2026-03-02,confirmed\n").contains("column \"known_at\": \"\" is neither a date"));
        assert!(told(",2026-03-20,,2026-03-02,confirmed\n").contains("column \"entity\": \"\" is empty"));
        assert!(told(",2026-03-01,H1,2026-03-02,confirmed\n").contains("is before the case itself"));
        let words = told(&format!("{good}{}", good.replace("confirmed", "dismissed")));
        assert!(words.contains("lines 2 and 3: H1 in the window from 2026-03-02 is both"), "{words}");
        let words = WindowLabels::read(&file("entity,window_start,outcome\n")).expect_err("a mistake").to_string();
        assert!(
            words.ends_with("no column \"known_at\"; labels have the columns entity, window_start, outcome, known_at")
        );
    }
}
