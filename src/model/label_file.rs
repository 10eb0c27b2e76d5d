//! Files of verdicts: what those on settlements and those on windows have in common.
//!
//! A CSV file, plain or packed with gzip, a verdict a row. Columns are found by name, in any order; others are passed over. `outcome`
//! is `confirmed` or `dismissed`. A verdict that became known on a date (`known_at`) counts from the next day on, one that became known
//! at a time from the second after it: nobody can have used it before.

use crate::record::{Day, Time};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const OUTCOME: &str = "outcome";
const KNOWN_AT: &str = "known_at";

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
    #[error("{} has no column \"{column}\"; labels have the columns {}", path.display(), columns.join(", "))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// What is missing.
        column: &'static str,
        /// What is needed.
        columns: &'static [&'static str],
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
    #[error("{}, lines {} and {}: {case} is both confirmed and dismissed at the same time", path.display(), lines.0, lines.1)]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Where.
        lines: (u64, u64),
        /// On what.
        case: String,
    },
}

/// A verdict as it stands in a file.
#[derive(Debug)]
pub struct Told<C> {
    /// On what.
    pub case: C,
    /// Whether it was confirmed as fraud, or dismissed.
    pub confirmed: bool,
    /// It is known after this second; `None` where the file does not say it.
    pub known: Option<Time>,
    line: u64,
}

/// A row of a file.
pub struct Row<'f> {
    path: &'f Path,
    header: &'f [String],
    line: u64,
    record: &'f csv::StringRecord,
}

impl Row<'_> {
    /// What stands in a column; nothing where there is no such column.
    fn text(&self, column: &str) -> &str {
        let place = self.header.iter().position(|name| name == column);
        place.and_then(|place| self.record.get(place)).unwrap_or_default()
    }

    fn wrong(&self, column: &'static str, wrong: &'static str) -> LabelsError {
        let (path, text) = (self.path.to_owned(), self.text(column).to_owned());
        LabelsError::Value { path, line: self.line, column, text, wrong }
    }

    /// An id.
    ///
    /// # Errors
    /// There is none.
    pub fn id(&self, column: &'static str) -> Result<String, LabelsError> {
        match self.text(column) {
            "" => Err(self.wrong(column, "is empty; write the id as it stands in records and alerts")),
            text => Ok(text.to_owned()),
        }
    }

    /// A time.
    ///
    /// # Errors
    /// It is none.
    pub fn time(&self, column: &'static str) -> Result<Time, LabelsError> {
        let time = Time::parse(self.text(column).as_bytes());
        time.ok_or_else(|| self.wrong(column, "is not a time such as 2026-03-01 10:00:00"))
    }

    /// A day.
    ///
    /// # Errors
    /// It is none.
    pub fn day(&self, column: &'static str) -> Result<Day, LabelsError> {
        Day::parse(self.text(column).as_bytes()).ok_or_else(|| self.wrong(column, "is not a day such as 2026-03-02"))
    }

    fn confirmed(&self) -> Result<bool, LabelsError> {
        match self.text(OUTCOME) {
            "confirmed" => Ok(true),
            "dismissed" => Ok(false),
            _ => Err(self.wrong(OUTCOME, "is not an outcome; write confirmed or dismissed")),
        }
    }

    /// The last second at which what became known then was not known.
    fn known(&self) -> Result<Time, LabelsError> {
        let text = self.text(KNOWN_AT).as_bytes();
        let end_of = |day: Day| Time(Day(day.0 + 1).start().0 - 1);
        let known = Time::parse(text).or_else(|| Day::parse(text).map(end_of));
        known.ok_or_else(|| self.wrong(KNOWN_AT, "is neither a date such as 2026-03-20 nor a time"))
    }
}

/// Reads the verdicts of a file that has these columns at least, in the order of what they are on and of when they became known.
/// `case` reads from a row on what its verdict is, with the time at which that began; `name` says it in words, the same for the same.
/// `known_at` may be left out where it is none of the columns.
///
/// # Errors
/// The file cannot be read, or something in it is wrong; it is said where.
pub fn read<C>(
    path: &Path,
    columns: &'static [&'static str],
    case: impl Fn(&Row<'_>) -> Result<(C, Time), LabelsError>,
    name: impl Fn(&C) -> String,
) -> Result<Vec<Told<C>>, LabelsError> {
    let failed = |error: csv::Error| {
        let reason = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => LabelsError::Read { path: path.to_owned(), source },
            _ => LabelsError::Csv { path: path.to_owned(), reason },
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path)?);
    // What spreadsheets put before UTF-8 is part of the first name.
    let plain = |name: &str| name.trim_start_matches('\u{feff}').to_owned();
    let header: Vec<String> = reader.headers().map_err(failed)?.iter().map(plain).collect();
    if let Some(column) = columns.iter().copied().find(|column| !header.iter().any(|name| name == *column)) {
        return Err(LabelsError::NoColumn { path: path.to_owned(), column, columns });
    }
    let (mut told, mut record) = (Vec::new(), csv::StringRecord::new());
    while reader.read_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { path, header: &header, line, record: &record };
        let (case, begin) = case(&row)?;
        let confirmed = row.confirmed()?;
        let is_said = columns.contains(&KNOWN_AT) || !row.text(KNOWN_AT).is_empty();
        let known = is_said.then(|| row.known()).transpose()?;
        if known.is_some_and(|known| known < begin) {
            return Err(row.wrong(KNOWN_AT, "is before the case itself: no verdict on it can have been known"));
        }
        told.push(Told { case, confirmed, known, line });
    }
    told.sort_by_cached_key(|one: &Told<C>| (name(&one.case), one.known));
    let clash = |pair: &&[Told<C>]| {
        let [one, other] = [&pair[0], &pair[1]];
        let at_once = one.known.is_some() && one.known == other.known && name(&one.case) == name(&other.case);
        at_once && one.confirmed != other.confirmed
    };
    if let Some([one, other]) = told.windows(2).find(clash) {
        let lines = (one.line.min(other.line), one.line.max(other.line));
        return Err(LabelsError::Contradiction { path: path.to_owned(), lines, case: name(&one.case) });
    }
    Ok(told)
}

fn open(path: &Path) -> Result<Box<dyn Read>, LabelsError> {
    let file = File::open(path).map_err(|source| LabelsError::Read { path: path.to_owned(), source })?;
    Ok(match path.extension() {
        Some(ending) if ending == "gz" => Box::new(MultiGzDecoder::new(file)),
        _ => Box::new(file),
    })
}
