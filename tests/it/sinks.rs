//! The sinks, each with what can go wrong outside.

mod alertmanager;
mod delivery;
mod files;
mod kafka;
mod store;
mod webhook;

use fundwatch::alert::{Alert, AlertId, AlertStatus, Evidence, Finding, Reason, Role, Subject};
use fundwatch::metrics::Metrics;
use fundwatch::record::Time;
use fundwatch::rules::rule::{Bilingual, Conclusion, Severity, SubjectKind};
use fundwatch::sink::Context;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An alert whose fields differ with its number.
pub fn alert(number: u128, revision: u32) -> Alert {
    let finding = Finding {
        rule_id: ["DUP-02", "STY-01", "VIS-04"][number as usize % 3].into(),
        rule_version: "0123456789abcdef".into(),
        rule_name: Arc::new(Bilingual { zh: "重复结算".to_owned(), en: "visit settled twice".to_owned() }),
        result: Conclusion::Violation,
        severity: Severity::ALL[number as usize % 4],
        subject: Subject { kind: SubjectKind::Person, id: format!("P{number}") },
        psn_no: Some(format!("P{number}")),
        mdtrt_id: None,
        fixmedins_code: Some(format!("H{}", number % 5)),
        insuplc_admdvs: Some("310000".to_owned()),
        amount_at_issue: (!number.is_multiple_of(7)).then_some(number as i64 * 1_000 + i64::from(revision)),
        event_time: Time::parse(b"2026-03-01 08:00:00").map(|time| Time(time.0 + number as i64 * 60)).expect("a time"),
        message: Bilingual {
            zh: format!("第{number}次，相隔 6 天"), en: format!("number {number}, 6 days apart")
        },
        reasons: vec![
            Reason { name: "days_between", value: 60_000, limit: Some(150_000) },
            Reason { name: "settlements", value: 25_000, limit: None },
        ],
        legal_basis: vec!["reg-2021-38".to_owned()].into(),
        evidence: vec![
            Evidence {
                role: Role::Involved,
                record: "settlement",
                id: format!("S{number}"),
                time: Time::parse(b"2026-03-01 07:00:00").expect("a time"),
                amount: Some(-1_250),
            },
            Evidence {
                role: Role::Violating,
                record: "admission",
                id: format!("M{number}/{revision}"),
                time: Time::parse(b"2026-03-01 08:00:00").expect("a time"),
                amount: None,
            },
        ],
        scored: None,
    };
    Alert {
        alert_id: AlertId(number),
        revision,
        status: AlertStatus::Open,
        withdrawn_reason: None,
        finding: Arc::new(finding),
        detected_at: Time::parse(b"2026-03-02 10:00:00").expect("a time"),
        shadow: false,
    }
}

/// The first revisions of some alerts.
pub fn alerts(numbers: std::ops::Range<u128>) -> Arc<[Alert]> {
    numbers.map(|number| alert(number, 1)).collect()
}

/// A context outside a fan-out.
pub fn context() -> Context {
    Context::standalone(Metrics::new().sink("test"))
}

/// Waits until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} does not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}
