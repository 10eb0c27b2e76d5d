//! Small cases with answers worked out by hand from the contract.
//!
//! The builders write defaults first and the caller's fields last: of a repeated key the last one
//! counts, so that a case states only what it is about.

mod details;
mod dq;
mod dup;
mod reading;
mod settlements;
mod stays;
mod sty;
mod sty_pairs;
mod vis_pha_idn;

use super::live::Facts;
use super::{Outcome, Tables, judge};

/// A settlement of 100.00, of which the fund pays 60.00, at 2024-03-01 08:00:00.
pub fn settlement(setl_id: &str, visit: &str, fields: &str) -> String {
    format!(
        r#"{{"type":"settlement","setl_id":"{setl_id}","mdtrt_id":"{visit}","psn_no":"P1","fixmedins_code":"H1","med_type":"11","insutype":"310","setl_time":"2024-03-01 08:00:00","medfee_sumamt":100,"fund_pay_sumamt":60{}}}"#,
        more(fields)
    )
}

/// A detail of person P1 at 2024-03-01 08:00:00, of 10.00 yuan a unit.
pub fn detail(visit: &str, feedetl_sn: &str, item: &str, cnt: i32, fields: &str) -> String {
    format!(
        r#"{{"type":"fee_detail","mdtrt_id":"{visit}","feedetl_sn":"{feedetl_sn}","psn_no":"P1","fixmedins_code":"H1","fee_ocur_time":"2024-03-01 08:00:00","med_list_codg":"{item}","cnt":{cnt},"pric":10,"det_item_fee_sumamt":{}{}}}"#,
        cnt * 10,
        more(fields)
    )
}

pub fn admission(visit: &str, person: &str, begntime: &str, fields: &str) -> String {
    format!(
        r#"{{"type":"admission","mdtrt_id":"{visit}","psn_no":"{person}","fixmedins_code":"H1","med_type":"21","begntime":"{begntime}"{}}}"#,
        more(fields)
    )
}

pub fn discharge(visit: &str, person: &str, endtime: &str, fields: &str) -> String {
    format!(
        r#"{{"type":"discharge","mdtrt_id":"{visit}","psn_no":"{person}","fixmedins_code":"H1","endtime":"{endtime}"{}}}"#,
        more(fields)
    )
}

pub fn presence(visit: &str, check_time: &str, fields: &str) -> String {
    format!(
        r#"{{"type":"presence","check_id":"C1","psn_no":"P1","mdtrt_id":"{visit}","fixmedins_code":"H1","check_time":"{check_time}","check_type":"ROUND","passed":false{}}}"#,
        more(fields)
    )
}

/// A delete or cancel of a visit.
pub fn order(kind: &str, visit: &str, fields: &str) -> String {
    format!(r#"{{"type":"{kind}","mdtrt_id":"{visit}"{}}}"#, more(fields))
}

fn more(fields: &str) -> String {
    if fields.is_empty() { String::new() } else { format!(",{fields}") }
}

pub fn bytes(lines: &[String]) -> Vec<Vec<u8>> {
    lines.iter().map(|line| line.clone().into_bytes()).collect()
}

pub fn outcome(lines: &[String], tables: &Tables) -> Outcome {
    judge(&bytes(lines), tables)
}

/// The live facts of lines that must all be good.
pub fn facts(lines: &[String]) -> Facts {
    let mut received = std::collections::BTreeSet::new();
    for line in lines {
        received.extend(super::records::read_line(line.as_bytes()).expect("a good line"));
    }
    super::live::facts(&received)
}

/// The findings of one rule as `identity severity amount`, in order; no line may be bad.
pub fn findings_with(rule: &str, lines: &[String], tables: &Tables) -> Vec<String> {
    let outcome = outcome(lines, tables);
    assert_eq!(outcome.dead, vec![], "no line may be bad");
    let alerts = outcome.alerts.iter().filter(|alert| alert.rule_id == rule);
    alerts
        .map(|alert| {
            let amount = alert.amount.as_deref().unwrap_or("null");
            format!("{} {} {amount}", alert.identity.join(","), alert.severity)
        })
        .collect()
}

pub fn findings(rule: &str, lines: &[String]) -> Vec<String> {
    findings_with(rule, lines, &Tables::default())
}

/// The evidence of the only finding of a rule, as `role type id time`.
pub fn evidence(rule: &str, lines: &[String], tables: &Tables) -> Vec<String> {
    let outcome = outcome(lines, tables);
    let alerts: Vec<_> = outcome.alerts.iter().filter(|alert| alert.rule_id == rule).collect();
    assert_eq!(alerts.len(), 1, "one finding of {rule}");
    let pieces = alerts[0].evidence.iter();
    pieces.map(|piece| format!("{} {} {} {}", piece.role, piece.kind, piece.id, piece.time)).collect()
}

/// Day 1 is 2024-03-01.
pub fn at(day: u32, clock: &str) -> String {
    format!("2024-03-{day:02} {clock}")
}

pub fn limit(item: &str, limit: &str) -> Tables {
    Tables { limits: vec![(item.into(), limit.into())], ..Tables::default() }
}

pub fn exclusive(rows: &[(&str, &str, &str)]) -> Tables {
    let rows = rows.iter().map(|row| (row.0.into(), row.1.into(), row.2.into()));
    Tables { exclusive: rows.collect(), ..Tables::default() }
}
