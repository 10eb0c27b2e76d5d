//! A slow reference implementation of the contract, the oracle for the engine.
//!
//! Written from the contract alone, as literally as possible: all versions of all records are
//! collected first, then points 1–9 of "Live records" decide what is live, then each rule is a
//! nested loop over live facts. Nothing is cached or incremental. "Point n" in comments is the
//! point of "Live records"; where the contract can be read in two ways, the comment says "Decided".

pub mod fields;
mod json;
pub mod live;
mod records;
mod rules;
#[cfg(test)]
mod tests;
pub mod values;
mod visits;

use std::collections::{BTreeMap, BTreeSet};

/// What the knowledge tables and the person registry say.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// `exclusive_items.csv`: main, included, scope.
    pub exclusive: Vec<(String, String, String)>,
    /// `daily_limits.csv`: item, limit.
    pub limits: Vec<(String, String)>,
    /// `persons.csv`: `psn_no` and `die_date` of the dead.
    pub deaths: BTreeMap<String, String>,
}

/// The judgement over all lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub records_in: u64,
    pub processed: u64,
    pub redelivered: u64,
    /// Index into the lines, and why the line is bad.
    pub dead: Vec<(usize, String)>,
    /// Open at the end, sorted by rule, then identity.
    pub alerts: Vec<RefAlert>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefAlert {
    pub rule_id: String,
    /// The identity column of section 3, in the order written there.
    pub identity: Vec<String>,
    pub result: String,
    pub severity: String,
    /// Kind and id.
    pub subject: (String, String),
    pub amount: Option<String>,
    pub event_time: String,
    /// Ordered by time, then id.
    pub evidence: Vec<RefEvidence>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefEvidence {
    pub time: String,
    pub id: String,
    /// `settlement`, `fee_detail`, `admission` (a stay) or `discharge`.
    pub kind: String,
    /// `violating` or `involved`.
    pub role: String,
    /// Decided: `fund_pay_sumamt` of a settlement, net `inscp` of a detail, none otherwise.
    pub amount: Option<String>,
}

/// What is live after all lines of a stream.
pub fn facts(lines: &[Vec<u8>]) -> live::Facts {
    live::facts(&lines.iter().filter_map(|line| records::read_line(line).ok()).flatten().collect())
}

/// Judges the lines of one stream, in the order of arrival.
pub fn judge(lines: &[Vec<u8>], tables: &Tables) -> Outcome {
    let mut outcome = Outcome { records_in: 0, processed: 0, redelivered: 0, dead: vec![], alerts: vec![] };
    let mut received = BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        // Empty lines are skipped. Decided: a line of blanks (as `\r` of `\r\n`) is empty too.
        if line.trim_ascii().is_empty() {
            continue;
        }
        outcome.records_in += 1;
        match records::read_line(line) {
            Err(reason) => outcome.dead.push((index, reason)),
            Ok(records) => {
                // Point 1 and section 5: a line is re-delivered when everything in it was received
                // before with the same content, kept or not; any other good line is processed.
                if records.iter().all(|record| received.contains(record)) {
                    outcome.redelivered += 1;
                } else {
                    outcome.processed += 1;
                }
                received.extend(records);
            }
        }
    }
    let facts = live::facts(&received);
    outcome.alerts = rules::judge(&facts, tables);
    outcome.alerts.sort();
    outcome
}
