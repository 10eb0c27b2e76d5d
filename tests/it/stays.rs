//! 51,427 stays over three years: what the program finds, against a computation that shares nothing with it.

use crate::support::{Backtest, stays};
use flate2::read::GzDecoder;
use jiff::civil::DateTime;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

struct Stay {
    visit: String,
    person: String,
    institution: String,
    begin: DateTime,
    end: DateTime,
    admission_department: String,
    discharge_department: String,
    discharge_way: String,
    diagnosis: String,
    /// In fen.
    fund: i64,
}

impl Stay {
    /// Days from this one's discharge to the other's admission.
    fn days_until(&self, next: &Stay) -> i64 {
        next.begin.date().duration_since(self.end.date()).as_hours() / 24
    }
}

fn text(record: &Value, name: &str) -> String {
    record[name].as_str().unwrap_or_default().to_owned()
}

fn fen(record: &Value, name: &str) -> i64 {
    let (yuan, fen) = record[name].as_str().and_then(|text| text.split_once('.')).expect("two decimals");
    assert_eq!(fen.len(), 2);
    format!("{yuan}{fen}").parse().expect("digits")
}

/// Every visit of the file has one admission, one discharge and one settlement.
fn read(path: &Path) -> Vec<Stay> {
    let mut records: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for line in BufReader::new(GzDecoder::new(File::open(path).expect("the file"))).lines() {
        let record: Value = serde_json::from_str(&line.expect("UTF-8")).expect("JSON");
        let visit = records.entry(text(&record, "mdtrt_id")).or_default();
        assert!(visit.insert(text(&record, "type"), record).is_none());
    }
    let stay = |(visit, records): (String, BTreeMap<String, Value>)| {
        let (admission, discharge) = (&records["admission"], &records["discharge"]);
        let time = |record: &Value, name| text(record, name).parse().expect("a time");
        Stay {
            visit,
            person: text(admission, "psn_no"),
            institution: text(admission, "fixmedins_code"),
            begin: time(admission, "begntime"),
            end: time(discharge, "endtime"),
            admission_department: text(admission, "adm_dept_codg"),
            discharge_department: text(discharge, "dscg_dept_codg"),
            discharge_way: text(discharge, "dscg_way"),
            diagnosis: text(discharge, "dscg_maindiag_code"),
            fund: fen(&records["settlement"], "fund_pay_sumamt"),
        }
    };
    records.into_iter().map(stay).collect()
}

/// Rule, severity, amount and evidence of a finding, as one line.
fn line(rule: &str, severity: &str, fund: i64, mut evidence: Vec<String>) -> String {
    evidence.sort();
    format!("{rule} {severity} {}.{:02} {}", fund / 100, fund % 100, evidence.join(" "))
}

fn violating(stay: &Stay) -> String {
    format!("violating:{}", stay.visit)
}

fn involved(stay: &Stay) -> String {
    format!("involved:{}", stay.visit)
}

fn by_key(stays: &[Stay], key: impl Fn(&Stay) -> String) -> Vec<Vec<&Stay>> {
    let mut groups: BTreeMap<String, Vec<&Stay>> = BTreeMap::new();
    for stay in stays {
        groups.entry(key(stay)).or_default().push(stay);
    }
    let mut groups: Vec<Vec<&Stay>> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort_by_key(|stay| (stay.begin, stay.visit.clone())));
    groups
}

/// STY-06: any two stays of a person that overlap by more than 24 hours.
fn overlaps(stays: &[Stay], out: &mut BTreeSet<String>) {
    for group in by_key(stays, |stay| stay.person.clone()) {
        for (place, first) in group.iter().enumerate() {
            for later in &group[place + 1..] {
                let overlap = first.end.min(later.end).duration_since(first.begin.max(later.begin));
                if overlap.as_secs() > 86_400 {
                    out.insert(line("STY-06", "high", later.fund, vec![violating(first), violating(later)]));
                }
            }
        }
    }
}

/// STY-01 and STY-05: the next stay of the person in the institution.
fn next_stays(stays: &[Stay], out: &mut BTreeSet<String>) {
    for group in by_key(stays, |stay| format!("{}/{}", stay.person, stay.institution)) {
        for pair in group.windows(2) {
            let (first, next) = (pair[0], pair[1]);
            let days = first.days_until(next);
            let departments = [&first.discharge_department, &next.admission_department];
            if days < 0 || departments.iter().any(|one| one.is_empty()) || ["2", "5"].contains(&&*first.discharge_way) {
                continue;
            }
            let evidence = vec![involved(first), violating(next)];
            if departments[0] != departments[1] {
                if days <= 1 {
                    out.insert(line("STY-05", "medium", next.fund, evidence));
                }
                continue;
            }
            let exempt = ["Z51", "N18", "O80", "O82", "C"].iter().any(|prefix| first.diagnosis.starts_with(prefix));
            let alike = first.diagnosis.get(..3).is_some_and(|start| next.diagnosis.get(..3) == Some(start));
            if days <= 15 && alike && !exempt {
                out.insert(line("STY-01", if days <= 7 { "high" } else { "medium" }, next.fund, evidence));
            }
        }
    }
}

/// STY-10: the file has no details, so every stay of three days and more is one without treatment.
fn without_treatment(stays: &[Stay], out: &mut BTreeSet<String>) {
    for stay in stays {
        let days = stay.end.date().duration_since(stay.begin.date()).as_hours() / 24 + 1;
        if days >= 3 {
            let severity = if days >= 7 { "high" } else { "medium" };
            out.insert(line("STY-10", severity, stay.fund, vec![violating(stay)]));
        }
    }
}

#[test]
fn a_backtest_finds_what_a_simple_computation_finds() {
    let Some(path) = stays() else { return };
    let backtest = Backtest::of(&path, None);
    for (name, count) in [("records_in", 154_281), ("processed", 154_281), ("redelivered", 0), ("dead_lettered", 0)] {
        assert_eq!(backtest.count(name), count, "{name}");
    }
    let alerts = backtest.counts["alerts"].as_object().expect("counts by rule");
    assert_eq!(alerts.len(), 18);
    for (rule, count) in alerts {
        let expected = match rule.as_str() {
            "STY-01" => 2,
            "STY-05" => 157,
            "STY-06" => 1_418,
            "STY-10" => 44_890,
            "DUP-03" => 6,
            "VIS-03" => 1,
            _ => 0,
        };
        assert_eq!(count, expected, "{rule}");
    }

    let mut expected = BTreeSet::new();
    let stays = read(&path);
    assert_eq!(stays.len(), 51_427);
    overlaps(&stays, &mut expected);
    next_stays(&stays, &mut expected);
    without_treatment(&stays, &mut expected);
    let open = backtest.open();
    let found: BTreeSet<String> = open
        .iter()
        .filter(|alert| alert["rule_id"].as_str().is_some_and(|rule| rule.starts_with("STY-")))
        .map(|alert| {
            let evidence = alert["evidence"].as_array().expect("evidence").iter();
            let evidence = evidence.map(|piece| format!("{}:{}", text(piece, "role"), text(piece, "id")));
            let (rule, severity) = (text(alert, "rule_id"), text(alert, "severity"));
            line(&rule, &severity, fen(alert, "amount_at_issue"), evidence.collect())
        })
        .collect();
    assert_eq!(expected.difference(&found).take(5).collect::<Vec<_>>(), [""; 0], "not found");
    assert_eq!(found.difference(&expected).take(5).collect::<Vec<_>>(), [""; 0], "not expected");
}
