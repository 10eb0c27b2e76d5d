//! The terminal: one readable line for each revision, and running totals.
//!
//! Alerts go to standard output, totals to standard error, so that output can be redirected by itself.

use super::{Context, Sink, SinkError};
use crate::alert::{Alert, AlertStatus};
use crate::rules::rule::Severity;
use crate::status::{Board, Report};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The time between two lines of totals.
const TOTALS_EVERY: Duration = Duration::from_secs(5);
/// Cells for a rule's names; a longer one pushes its line.
const NAME_CELLS: usize = 46;
/// Cells for who it is about.
const WHO_CELLS: usize = 27;
/// Cells for the amount.
const AMOUNT_CELLS: usize = 14;

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With colours.
    pub color: bool,
    /// The alert's JSON instead of a line for people.
    pub json: bool,
    /// The message in Chinese instead of English.
    pub chinese: bool,
}

/// The terminal as a sink.
pub struct Terminal {
    style: Style,
    lines: String,
    out: Box<dyn Write + Send>,
    /// Where totals go, and where they come from.
    totals: Option<(Box<dyn Write + Send>, Board)>,
    shown_at: Option<Instant>,
    shown: String,
}

impl Terminal {
    /// Standard output, with totals on standard error.
    pub fn standard(style: Style, board: Board) -> Self {
        Self::new(style, Box::new(io::stdout()), Some((Box::new(io::stderr()), board)))
    }

    /// Any outputs.
    pub fn new(style: Style, out: Box<dyn Write + Send>, totals: Option<(Box<dyn Write + Send>, Board)>) -> Self {
        Self { style, lines: String::new(), out, totals, shown_at: None, shown: String::new() }
    }

    fn show_totals(&mut self) -> io::Result<()> {
        let Some((words, board)) = &mut self.totals else {
            return Ok(());
        };
        if self.shown_at.is_some_and(|shown| shown.elapsed() < TOTALS_EVERY) {
            return Ok(());
        }
        self.shown_at = Some(Instant::now());
        let report = board.report();
        if report.status.records.received == 0 {
            return Ok(());
        }
        let line = totals(&report);
        if line != self.shown {
            let (dim, plain) = if self.style.color { (DIM, PLAIN) } else { ("", "") };
            writeln!(words, "{dim}{line}{plain}")?;
            words.flush()?;
            self.shown = line;
        }
        Ok(())
    }

    fn put_out(&mut self) -> io::Result<()> {
        self.out.write_all(self.lines.as_bytes())?;
        self.out.flush()?;
        self.lines.clear();
        self.show_totals()
    }
}

impl Sink<Alert> for Terminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        if self.style.json {
            self.lines.push_str(&serde_json::to_string(alert)?);
        } else {
            write_line(&mut self.lines, alert, self.style);
        }
        self.lines.push('\n');
        Ok(())
    }

    fn flush(&mut self, _context: &Context) -> Result<(), SinkError> {
        self.put_out().map_err(closed)
    }

    fn idle(&mut self, _context: &Context) -> Result<(), SinkError> {
        self.put_out().map_err(closed)
    }
}

/// A terminal that is gone does not come back.
fn closed(error: io::Error) -> SinkError {
    SinkError::Setting { sink: "terminal", reason: format!("its output is closed: {error}") }
}

const PLAIN: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";

const fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "\x1b[36m",
        Severity::Medium => "\x1b[33m",
        Severity::High => "\x1b[31m",
        Severity::Critical => "\x1b[1;97;41m",
    }
}

/// Time, severity, rule, who, amount at issue, why.
fn write_line(line: &mut String, alert: &Alert, style: Style) {
    let finding = &alert.finding;
    let withdrawn = alert.status == AlertStatus::Withdrawn;
    let paint = |escape: &'static str| if style.color { escape } else { "" };
    let (line_colour, plain) = (if withdrawn { paint(DIM) } else { "" }, paint(PLAIN));
    let time = alert.detected_at.to_string();
    line.push_str(line_colour);
    line.push_str(time.get(11..).unwrap_or(&time));
    line.push_str("  ");
    if withdrawn {
        pad(line, "withdrawn", 11);
    } else {
        line.push_str(paint(colour(finding.severity)));
        line.push_str(finding.severity.word());
        line.push_str(plain);
        line.push_str(&" ".repeat(11_usize.saturating_sub(finding.severity.word().len())));
    }
    if !withdrawn {
        line.push_str(paint(BOLD));
    }
    pad(line, &finding.rule_id, 8);
    if !withdrawn {
        line.push_str(plain);
    }
    pad(line, &format!("{} {}", finding.rule_name.zh, finding.rule_name.en), NAME_CELLS);
    pad(line, &format!("{} {}", finding.subject.kind.word(), finding.subject.id), WHO_CELLS);
    let amount = finding.amount_at_issue.map_or_else(|| "-".to_owned(), grouped_yuan);
    line.push_str(&" ".repeat(AMOUNT_CELLS.saturating_sub(amount.width())));
    line.push_str(&amount);
    line.push_str("  ");
    let why = if style.chinese { &finding.message.zh } else { &finding.message.en };
    push_clean(line, why);
    if let (true, Some(reason)) = (withdrawn, alert.withdrawn_reason) {
        line.push_str(" (");
        push_clean(line, reason);
        line.push(')');
    } else if alert.revision > 1 {
        let _infallible = write!(line, " [revision {}]", alert.revision);
    }
    if withdrawn {
        line.push_str(plain);
    }
}

/// Adds a text and blanks up to so many cells, and always one blank.
fn pad(line: &mut String, text: &str, cells: usize) {
    let before = line.len();
    push_clean(line, text);
    let width: usize = line.get(before..).map_or(0, UnicodeWidthStr::width);
    line.push_str(&" ".repeat(cells.saturating_sub(width).max(1)));
}

/// Adds a text without characters that steer a terminal: ids come from outside.
fn push_clean(line: &mut String, text: &str) {
    line.extend(text.chars().map(|char| if char.width().is_none() { '\u{fffd}' } else { char }));
}

/// Fen as `¥1,234.56`.
fn grouped_yuan(fen: i64) -> String {
    let text = crate::alert::yuan(fen.saturating_abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}¥{}{rest}", grouped_digits(whole))
}

/// Digits in groups of three.
fn grouped_digits(digits: &str) -> String {
    let mut grouped = String::new();
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn count(number: u64) -> String {
    grouped_digits(&number.to_string())
}

/// The line of totals.
fn totals(report: &Report) -> String {
    let status = &report.status;
    let mut line = format!(
        "── {} records ({}/s) · {} alerts open, {} at issue · {} withdrawn",
        count(status.records.received),
        count(report.records_per_second.round() as u64),
        count(status.alerts.open),
        grouped_yuan(status.alerts.amount),
        count(status.alerts.withdrawn),
    );
    for (number, words) in [
        (status.records.redelivered, "re-delivered"),
        (status.records.dead_lettered, "dead letters"),
        (report.lag_records, "waiting"),
    ] {
        if number > 0 {
            let _infallible = write!(line, " · {} {words}", count(number));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_cells_and_control_characters_do_not_pass() {
        let mut line = String::new();
        pad(&mut line, "重复 dup", 12);
        assert_eq!((line.as_str(), line.width()), ("重复 dup    ", 12));
        line.clear();
        pad(&mut line, "P1\x1b[2J\r\n", 3);
        assert_eq!(line, "P1\u{fffd}[2J\u{fffd}\u{fffd} ");
    }

    #[test]
    fn amounts_are_grouped() {
        for (fen, text) in [(0, "¥0.00"), (99_999, "¥999.99"), (100_000, "¥1,000.00"), (-123_456_789, "-¥1,234,567.89")]
        {
            assert_eq!(grouped_yuan(fen), text);
        }
    }
}
