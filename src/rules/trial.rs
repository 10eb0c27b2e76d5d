//! Runs the tests inside rule files through the engine.
//!
//! Every test runs several times: as written, one record a batch, in reverse order over several shards, and with
//! every record twice. What stands open at the end must be the same each time.

use super::example::{Example, Expected};
use super::load::Library;
use super::mistake::Mistakes;
use super::rule_file::RuleFile;
use crate::alert::{Alert, AlertId, AlertStatus, Finding, Role, yuan};
use crate::detect::finding::alert_id;
use crate::engine::{Engine, Options};
use crate::record::{Batch, Ids};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How the records of a test are put before the engine.
struct Arrangement {
    name: &'static str,
    reversed: bool,
    one_a_batch: bool,
    twice: bool,
    shards: usize,
}

const ARRANGEMENTS: [Arrangement; 4] = [
    Arrangement { name: "as written", reversed: false, one_a_batch: false, twice: false, shards: 1 },
    Arrangement { name: "one record a batch", reversed: false, one_a_batch: true, twice: false, shards: 1 },
    Arrangement { name: "in reverse order, over 4 shards", reversed: true, one_a_batch: true, twice: false, shards: 4 },
    Arrangement { name: "with every record twice", reversed: false, one_a_batch: false, twice: true, shards: 2 },
];

/// Runs a test. What comes out are the lines that say how the findings differ from what is expected; none: passed.
///
/// # Errors
/// Mistakes in the tables that the test brings along.
pub fn run(library: &Library, file: &RuleFile, example: &Example) -> Result<Vec<String>, Mistakes> {
    for arrangement in &ARRANGEMENTS {
        let ids = Arc::new(Ids::new(arrangement.shards));
        let set = Arc::new(library.set_of(file, example, &ids)?);
        let mut engine = Engine::new(set, ids, &Options::default());
        let mut differences = Vec::new();
        for batch in batches(example, arrangement) {
            for bad in engine.process(&batch).bad {
                let message = &batch.messages[bad.line as usize];
                differences.push(format!("record {} cannot be read: {}", message.position, bad.reason));
            }
        }
        differences.extend(compare(file, &example.expect, &engine.alerts()));
        if !differences.is_empty() {
            differences.insert(0, format!("records {}:", arrangement.name));
            return Ok(differences);
        }
    }
    Ok(Vec::new())
}

fn batches(example: &Example, arrangement: &Arrangement) -> Vec<Batch> {
    let all = Batch::of_lines("records", example.records.as_bytes());
    let mut messages = all.messages.clone();
    if arrangement.reversed {
        messages.reverse();
    }
    if arrangement.twice {
        messages.extend(messages.clone());
    }
    let size = if arrangement.one_a_batch { 1 } else { messages.len().max(1) };
    let batch = |part: &[crate::record::Message]| Batch {
        bytes: all.bytes.clone(),
        messages: part.to_vec(),
        origins: all.origins.clone(),
    };
    messages.chunks(size).map(batch).collect()
}

fn compare(file: &RuleFile, expect: &[Expected], alerts: &[&Alert]) -> Vec<String> {
    let offered = file.rule.detection.identities();
    let id = |expected: &Expected| {
        let part = |(name, value): &(String, String)| {
            offered.iter().find(|part| *part == name).map(|part| (*part, value.clone()))
        };
        let parts: Vec<(&'static str, String)> = expected.identity.iter().filter_map(part).collect();
        alert_id(&file.rule, &parts)
    };
    let open = alerts.iter().filter(|alert| alert.status == AlertStatus::Open);
    let mut found: BTreeMap<AlertId, &Finding> = open.map(|alert| (alert.alert_id, &*alert.finding)).collect();
    let mut differences = Vec::new();
    let mut missing = Vec::new();
    for expected in expect {
        match found.remove(&id(expected)) {
            Some(finding) => differences.extend(differ(expected, finding)),
            None => missing.push(expected),
        }
    }
    for expected in missing {
        differences.push(format!("- not found: {}", identity(expected)));
        differences.push(format!(
            "    severity {}, amount {}, violating {}, involved {}",
            expected.severity.word(),
            amount(expected.amount),
            list(&expected.violating),
            list(&expected.involved)
        ));
    }
    for finding in found.values() {
        differences.push(format!("+ found, and not expected: {}", finding.message.en));
        differences.push(format!(
            "    severity {}, amount {}, violating {}, involved {}",
            finding.severity.word(),
            amount(finding.amount_at_issue),
            list(&evidence(finding, Role::Violating)),
            list(&evidence(finding, Role::Involved))
        ));
    }
    differences
}

/// How a finding differs from what is expected of it, line by line.
fn differ(expected: &Expected, finding: &Finding) -> Vec<String> {
    let mut lines = Vec::new();
    if finding.severity != expected.severity {
        lines.push(format!("    severity: expected {}, found {}", expected.severity.word(), finding.severity.word()));
    }
    if finding.amount_at_issue != expected.amount {
        let (wanted, found) = (amount(expected.amount), amount(finding.amount_at_issue));
        lines.push(format!("    amount at issue: expected {wanted}, found {found}"));
    }
    for (role, word, wanted) in
        [(Role::Violating, "violating", &expected.violating), (Role::Involved, "involved", &expected.involved)]
    {
        let found = evidence(finding, role);
        let before = lines.len();
        for id in wanted.iter().filter(|id| !found.contains(id)) {
            lines.push(format!("    - {word} {id}: expected, not found"));
        }
        for id in found.iter().filter(|id| !wanted.contains(id)) {
            lines.push(format!("    + {word} {id}: found, not expected"));
        }
        if lines.len() == before && found != *wanted {
            lines.push(format!("    {word}: expected in the order {}, found {}", list(wanted), list(&found)));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, format!("~ found, but differs: {}", identity(expected)));
    }
    lines
}

fn evidence(finding: &Finding, role: Role) -> Vec<String> {
    finding.evidence.iter().filter(|piece| piece.role == role).map(|piece| piece.id.clone()).collect()
}

fn identity(expected: &Expected) -> String {
    expected.identity.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

fn amount(fen: Option<i64>) -> String {
    fen.map_or_else(|| "none".to_owned(), yuan)
}

fn list(ids: &[String]) -> String {
    if ids.is_empty() { "none".to_owned() } else { ids.join(" ") }
}
