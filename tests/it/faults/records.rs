//! Records whose time is wrong.

use super::{ONE_BY_ONE, settlement};
use crate::support::json_lines;
use crate::support::kafka::Broker;
use crate::support::running::Running;
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

const DETAILS: &str = r#","fee_details":[{"feedetl_sn":"1","fee_ocur_time":"2024-06-30 09:00:00","med_list_codg":"I1","cnt":1,"pric":9000,"det_item_fee_sumamt":9000}]"#;
const DISCHARGE: &str =
    r#"{"type":"discharge","mdtrt_id":"V9","psn_no":"P9","fixmedins_code":"H1","endtime":"2024-03-09 09:00:00"}"#;
const INVENTORY: &str = r#"{"type":"inventory","fixmedins_code":"H1","fixmedins_bchno":"B1","inv_data_type":"1","med_list_codg":"I1","inv_time":"2024-03-09 09:00:00","cnt":5}"#;

fn assert_balanced(status: &Value) {
    let records = &status["records"];
    let count = |name: &str| records[name].as_u64().expect("a number");
    assert_eq!(count("received"), count("processed") + count("redelivered") + count("dead_lettered"), "{records}");
}

#[test]
fn late_records_have_a_place_of_their_own_and_are_counted_by_the_families_that_miss_them() {
    let variables = [&ONE_BY_ONE[..], &[("FUNDWATCH__LATE__PATH", "late.jsonl")]].concat();
    let mut running = Running::start(&variables, Stdio::piped());
    let mut stdin = running.stdin();
    let lines = [
        settlement("S1", "2024-07-01 10:00:00", DETAILS),
        settlement("S2", "2024-05-01 10:00:00", ""),
        settlement("S3", "2024-05-02 10:00:00", DETAILS),
        "{".to_owned(),
        DISCHARGE.to_owned(),
        INVENTORY.to_owned(),
        settlement("S1", "2024-07-01 10:00:00", DETAILS),
        // The first day that is retained.
        settlement("S4", "2024-06-01 00:00:00", ""),
        settlement("S5", "2024-05-31 23:59:59", ""),
    ];
    for line in &lines {
        writeln!(stdin, "{line}").expect("it reads");
    }
    running.wait_for_records(lines.len() as u64);
    let status = running.status();
    assert_balanced(&status);
    assert_eq!(
        (&status["records"]["processed"], &status["records"]["redelivered"], &status["records"]["dead_lettered"]),
        (&2.into(), &1.into(), &6.into())
    );
    for (family, count) in [
        ("charging", 2.0),
        ("duplicate", 3.0),
        ("identity", 4.0),
        ("pharmacy", 3.0),
        ("stays", 4.0),
        ("visits", 3.0),
        ("none", 1.0),
    ] {
        let found = running.metric(&format!("fundwatch_late_records_total{{family=\"{family}\"}}"));
        assert_eq!(found, Some(count), "{family}");
    }
    assert_eq!(running.metric("fundwatch_dead_letters_total{reason=\"late\"}"), Some(5.0));
    assert_eq!(status["event_time"], "2024-07-01 10:00:00");
    assert!(running.metric("fundwatch_event_time_age_seconds") > Some(0.0));
    let sinks = status["sinks"].as_array().expect("a list");
    assert!(sinks.iter().any(|sink| sink["name"] == "late" && sink["required"] == true), "{sinks:?}");
    drop(stdin);
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    let late = json_lines(&running.read("late.jsonl"));
    let places: Vec<&str> = late.iter().filter_map(|letter| letter["source"].as_str()).collect();
    assert_eq!(places, ["stdin:2", "stdin:3", "stdin:5", "stdin:6", "stdin:9"]);
    assert_eq!((&late[0]["kind"], &late[0]["record"]), (&"late".into(), &lines[1].as_str().into()));
    let reason = late[4]["reason"].as_str().expect("words");
    assert!(reason.contains("2024-05-31 23:59:59") && reason.contains("2024-06-01 00:00:00"), "{reason}");
    let dead = json_lines(&running.read("dead.jsonl"));
    assert_eq!((dead.len(), &dead[0]["source"]), (1, &"stdin:4".into()));
}

#[test]
fn however_late_within_retention_records_count() {
    let variables = [&ONE_BY_ONE[..], &[("FUNDWATCH__ENGINE__RETENTION", "400d")]].concat();
    let mut running = Running::start(&variables, Stdio::piped());
    let mut stdin = running.stdin();
    let refund = r#","refd_setl_flag":"1","init_setl_id":"S1""#;
    let lines = [
        settlement("S0", "2026-03-01 10:00:00", ""),
        // An hour, a month, a year, and the last day that is retained.
        settlement("S1", "2026-03-01 09:00:00", ""),
        settlement("S2", "2026-02-01 10:00:00", ""),
        settlement("S3", "2025-03-01 10:00:00", ""),
        settlement("S4", "2025-01-25 10:00:00", ""),
        // Beyond it, and a record that takes another out an hour late.
        settlement("S5", "2025-01-24 10:00:00", ""),
        settlement("R1", "2026-03-01 09:30:00", refund).replace("9000.00", "-9000.00").replace("VR1", "VS1"),
    ];
    for line in &lines {
        writeln!(stdin, "{line}").expect("it reads");
    }
    running.wait_for_records(lines.len() as u64);
    assert_balanced(&running.status());
    assert_eq!(running.metric("fundwatch_dead_letters_total{reason=\"late\"}"), Some(1.0));
    drop(stdin);
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    assert_eq!(alerted(&running), ["S0", "S1", "S2", "S3", "S4", "S1"]);
    let last = json_lines(&running.read("out")).pop().expect("an alert");
    assert_eq!(last["status"], "withdrawn");
    let late = json_lines(&running.read("fundwatch-data/late.jsonl"));
    assert_eq!((late.len(), &late[0]["kind"]), (1, &"late".into()));
}

#[test]
fn late_records_go_to_a_topic_where_one_is_named() {
    let broker = Broker::shared();
    let topic = broker.topic("late", 1);
    let variables = [
        &ONE_BY_ONE[..],
        &[
            ("FUNDWATCH__LATE__KIND", "kafka"),
            ("FUNDWATCH__LATE__BROKERS", broker.address()),
            ("FUNDWATCH__LATE__TOPIC", &topic),
        ],
    ]
    .concat();
    let mut running = Running::start(&variables, Stdio::piped());
    let mut stdin = running.stdin();
    let late = settlement("S2", "2024-05-01 10:00:00", "");
    writeln!(stdin, "{}\n{late}", settlement("S1", "2024-07-01 10:00:00", "")).expect("it reads");
    drop(stdin);
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    let seen = broker.kcat_consume_all(&topic);
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].text(), seen[0].header("source")), (late.as_str(), Some("stdin:2")));
    assert_eq!(seen[0].header("kind"), Some("late"));
    assert!(!running.path("fundwatch-data/late.jsonl").exists());
}

/// The ids of settlements that alerts on the terminal name.
fn alerted(running: &Running) -> Vec<String> {
    let id = |alert: Value| alert["evidence"][0]["id"].as_str().unwrap_or_default().to_owned();
    json_lines(&running.read("out")).into_iter().map(id).collect()
}

#[test]
fn a_record_from_the_future_counts_and_does_not_push_time_forward() {
    let lines = [
        settlement("S1", "2024-07-01 10:00:00", ""),
        settlement("S2", "2999-01-01 10:00:00", ""),
        // Bad for another reason: its time does not count either.
        settlement("S3", "2024-09-01 10:00:00", r#","begndate":"2024-09-02","enddate":"2024-09-01""#),
        settlement("S4", "2024-06-25 10:00:00", ""),
    ];
    let run = |skew| {
        let variables = [&ONE_BY_ONE[..], &[("FUNDWATCH__ENGINE__FUTURE_SKEW", skew)]].concat();
        let mut running = Running::start(&variables, Stdio::piped());
        let mut stdin = running.stdin();
        stdin.write_all(lines.join("\n").as_bytes()).expect("it reads");
        writeln!(stdin).expect("it reads");
        running.wait_for_records(4);
        assert_balanced(&running.status());
        let metrics = [
            running.metric("fundwatch_future_records_total"),
            running.metric("fundwatch_dead_letters_total{reason=\"late\"}"),
        ];
        let reached = running.status()["event_time"].clone();
        drop(stdin);
        assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
        (alerted(&running), metrics, reached)
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(run("1d"), (ids(&["S1", "S2", "S4"]), [Some(1.0), Some(0.0)], "2024-07-01 10:00:00".into()));
    // Were its clock believed, everything after it would be late.
    assert_eq!(run("1000000d"), (ids(&["S1", "S2"]), [Some(0.0), Some(2.0)], "2999-01-01 10:00:00".into()));
}
