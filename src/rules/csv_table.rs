//! A CSV table that still knows where in its file every value stands.

use super::mistake::{Desk, one_of};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::ops::Range;

/// A table with a line of names.
pub struct CsvTable<'t> {
    source: &'t str,
    names: StringRecord,
    rows: Vec<StringRecord>,
}

impl<'t> CsvTable<'t> {
    /// Reads all rows; `None` where there is not even a line of names.
    pub fn read(desk: &Desk<'t>) -> Option<Self> {
        let source = desk.source();
        let mut reader = ReaderBuilder::new().trim(Trim::All).flexible(true).from_reader(source.as_bytes());
        let names = match reader.headers() {
            Ok(names) if !names.iter().all(str::is_empty) => names.clone(),
            _ => {
                desk.note(0..0, "the table has no line of column names", None);
                return None;
            }
        };
        let mut rows = Vec::new();
        for row in reader.records() {
            match row {
                Ok(row) => {
                    // Fewer values than columns end in empty ones; more are a comma too many.
                    if row.len() > names.len() {
                        let message = format!("a row with {} values, and there are {} columns", row.len(), names.len());
                        desk.note(line(source, &row), message, Some("put values with commas in quotes".to_owned()));
                    }
                    rows.push(row);
                }
                Err(error) => {
                    let at = error.position().map_or(0, |position| position.byte() as usize);
                    desk.note(at..at, format!("this row cannot be read: {error}"), None);
                }
            }
        }
        Some(Self { source, names, rows })
    }

    /// The places of columns in a row.
    pub fn columns(&self, desk: &Desk<'_>, wanted: &[&'static str]) -> Option<Vec<usize>> {
        let find = |name: &&'static str| {
            let found = self.names.iter().position(|column| column == *name);
            if found.is_none() {
                let unused = self.names.iter().filter(|column| !wanted.contains(column));
                let hint = format!("the columns are {}", self.names.iter().collect::<Vec<_>>().join(", "));
                let hint = super::mistake::nearest(name, unused.clone())
                    .map_or(hint, |near| one_of(near, [near]).replace("did you mean", "is it"));
                desk.note(line(self.source, &self.names), format!("the table has no column `{name}`"), Some(hint));
            }
            found
        };
        let found: Vec<_> = wanted.iter().map(find).collect();
        found.into_iter().collect()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// A value; empty where the row ends before it.
    pub fn value(&self, row: usize, column: usize) -> &str {
        self.rows[row].get(column).unwrap_or_default()
    }

    /// Where a value stands: the value where it can be found in its line, or else the line.
    pub fn span(&self, row: usize, column: usize) -> Range<usize> {
        let line = line(self.source, &self.rows[row]);
        let text = &self.source[line.clone()];
        let value = self.value(row, column);
        let mut at = 0;
        // Skips the columns before it; quoted commas only make the underlined part too long or too early.
        for _ in 0..column {
            at = text[at..].find(',').map_or(at, |comma| at + comma + 1);
        }
        match text[at..].find(value).filter(|_| !value.is_empty()) {
            Some(found) => line.start + at + found..line.start + at + found + value.len(),
            None => line,
        }
    }
}

/// The line at which a row begins.
fn line(source: &str, row: &StringRecord) -> Range<usize> {
    let mut start = row.position().map_or(0, |position| position.byte() as usize).min(source.len());
    while !source.is_char_boundary(start) {
        start -= 1;
    }
    // Empty lines before a row count as its beginning.
    start += source[start..].len() - source[start..].trim_start_matches(['\r', '\n']).len();
    let end = source[start..].find(['\r', '\n']).map_or(source.len(), |end| start + end);
    start..end
}
