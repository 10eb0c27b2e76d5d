//! The tests inside a rule file: records as they come off the wire, and what the rule must find in them.

use super::knowledge;
use super::mistake::{Desk, one_of};
use super::reader::{At, Table, text};
use super::rule::Severity;
use super::severity;
use crate::record::batch::Batch;
use crate::record::decode::{Window, decode};
use crate::record::{Day, Ids, Money};
use std::ops::Range;

/// What a test is there to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// That conduct is found.
    Positive,
    /// That what is near to it is not.
    Negative,
    /// What refunds, deletes and cancels do to it.
    Refund,
}

impl Kind {
    /// All kinds with their words in rule files.
    pub const WORDS: [(&'static str, Self); 3] =
        [("positive", Self::Positive), ("negative", Self::Negative), ("refund", Self::Refund)];
}

/// A test.
#[derive(Debug, Clone)]
pub struct Example {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub kind: Kind,
    /// JSON lines.
    pub records: String,
    /// The line of the rule file at which it stands.
    pub line: usize,
    /// Dates of death that the registry holds in this test; otherwise nobody in it has died.
    pub deaths: Vec<(String, Day)>,
    /// Tables in place of those of the rules folder, by path.
    pub tables: Vec<(&'static str, String)>,
    /// What is to be found: exactly these.
    pub expect: Vec<Expected>,
}

/// A finding that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The parts of the identity, in the order of the rule.
    pub identity: Vec<(String, String)>,
    /// The severity.
    pub severity: Severity,
    /// The amount in fen.
    pub amount: Option<i64>,
    /// Ids of the evidence that breaks the rule, in the order of the alert.
    pub violating: Vec<String>,
    /// Ids of the other evidence, in the order of the alert.
    pub involved: Vec<String>,
}

/// What marks a record that takes something out.
const TAKES_OUT: [&str; 5] =
    ["refd_setl_flag", "init_feedetl_sn", "fee_detail_delete", "admission_cancel", "discharge_cancel"];

/// Reads all tests of a rule file. `identity` are the parts that findings have, where they are known.
pub fn read<'a>(tables: Vec<Table<'a>>, identity: Option<&[String]>) -> Vec<Example> {
    tables.into_iter().filter_map(|table| example(&table, identity)).collect()
}

fn example<'a>(table: &Table<'a>, identity: Option<&[String]>) -> Option<Example> {
    let desk = table.desk;
    let name = table.text("name");
    let kind = table.choice("kind", &Kind::WORDS);
    let records = table.text("records");
    let mut deaths = Vec::new();
    if let Some(registry) = table.optional_table("registry") {
        if let Some(persons) = registry.optional_table("deaths") {
            deaths.extend(persons.entries().filter_map(|(person, value)| {
                let day = text(desk, person.value, value)?;
                let parsed = Day::parse(day.value.as_bytes());
                if parsed.is_none() {
                    desk.note(day.span, "a date is written yyyy-MM-dd", None);
                }
                Some((person.value.to_owned(), parsed?))
            }));
        }
        registry.finish();
    }
    let mut own_tables = Vec::new();
    if let Some(tables) = table.optional_table("knowledge") {
        let paths = [
            ("exclusive_items", knowledge::EXCLUSIVE_ITEMS),
            ("daily_limits", knowledge::DAILY_LIMITS),
            ("med_types", knowledge::MED_TYPES),
        ];
        for (key, path) in paths {
            own_tables.extend(tables.optional_text(key).map(|text| (path, text.value.trim_start().to_owned())));
        }
        tables.finish();
    }
    let expect: Vec<Option<Expected>> = table.tables("expect").iter().map(|table| expected(table, identity)).collect();
    table.finish();
    let (name, kind, records) = (name?, kind?, records?);
    match kind {
        Kind::Positive if expect.is_empty() => {
            desk.note(
                records.span.clone(),
                "a positive test expects a finding",
                Some("add `[[tests.expect]]`".to_owned()),
            );
        }
        Kind::Negative if !expect.is_empty() => {
            desk.note(
                table.span.clone(),
                "a negative test expects no finding",
                Some("`kind = \"positive\"`?".to_owned()),
            );
        }
        Kind::Refund if !TAKES_OUT.iter().any(|mark| records.value.contains(mark)) => {
            desk.note(records.span.clone(), "a refund test has a refund, a refund row, a delete or a cancel", None);
        }
        _ => {}
    }
    check_records(desk, &records);
    let line = desk.source().get(..table.span.start).map_or(0, |before| before.matches('\n').count() + 1);
    Some(Example {
        name: name.value.to_owned(),
        kind,
        records: records.value.to_owned(),
        line,
        deaths,
        tables: own_tables,
        expect: expect.into_iter().collect::<Option<_>>()?,
    })
}

/// Notes records that cannot be read.
fn check_records(desk: &Desk<'_>, records: &At<&str>) {
    let batch = Batch::of_lines("records", records.value.as_bytes());
    if batch.is_empty() {
        desk.note(records.span.clone(), "there is no record", None);
    }
    let decoded = decode(&batch, 0..batch.messages.len(), Window::ALL, &Ids::new(1));
    for bad in decoded.bad {
        let line = batch.payload(&batch.messages[bad.line as usize]);
        let line = std::str::from_utf8(line).unwrap_or_default().trim();
        desk.note(
            super::parameter::within(desk, records, line),
            format!("this record cannot be read: {}", bad.reason),
            None,
        );
    }
}

fn expected(table: &Table<'_>, identity: Option<&[String]>) -> Option<Expected> {
    let parts = table.table("identity").and_then(|table| read_identity(&table, identity?));
    let severity = table.choice("severity", &severity::WORDS);
    let amount = match table.optional_text("amount_at_issue") {
        None => Some(None).filter(|_| table.get("amount_at_issue").is_none()),
        Some(amount) => match Money::parse(amount.value.as_bytes()) {
            Ok(money) => Some(Some(money.units())),
            Err(refusal) => {
                table.desk.note(amount.span, format!("`amount_at_issue` {refusal}"), None);
                None
            }
        },
    };
    let ids = |key| table.texts(key).into_iter().map(|id: At<&str>| id.value.to_owned()).collect::<Vec<_>>();
    let (violating, involved) = (ids("violating"), ids("involved"));
    table.finish();
    if violating.is_empty() {
        table.desk.note(
            table.span.clone(),
            "a finding has violating evidence",
            Some("`violating = [\"…\"]`".to_owned()),
        );
    }
    Some(Expected { identity: parts?, severity: severity?, amount: amount?, violating, involved })
}

fn read_identity(table: &Table<'_>, identity: &[String]) -> Option<Vec<(String, String)>> {
    let mut parts = Vec::new();
    for (name, value) in table.entries() {
        if !identity.iter().any(|part| part == name.value) {
            let hint = one_of(name.value, identity.iter().map(String::as_str));
            table.desk.note(name.span, format!("`{}` is no part of the rule's identity", name.value), Some(hint));
            continue;
        }
        parts.push((name.value.to_owned(), text(table.desk, name.value, value)?.value.to_owned()));
    }
    let missing: Vec<&str> =
        identity.iter().filter(|part| !parts.iter().any(|(name, _)| name == *part)).map(String::as_str).collect();
    if !missing.is_empty() {
        let span: Range<usize> = table.span.clone();
        table.desk.note(span, format!("the identity lacks `{}`", missing.join("`, `")), None);
        return None;
    }
    Some(parts)
}
