//! `fundwatch run` without a broker: the first thing a new user sees, and how it stops.

use crate::support::running::{LIMIT, Running};
use crate::support::{Backtest, City, assert_same, essence, fundwatch, json_lines, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn alerts_appear_within_seconds_and_a_stop_is_orderly() {
    let mut running = Running::start(&[], Stdio::null());
    let started = Instant::now();
    wait_until("an alert", Duration::from_secs(20), || (running.read("out").lines().count() > 3).then_some(()));
    println!("first alerts after {:?}", started.elapsed());
    assert_eq!(running.get("/readyz").0, 200);
    assert!(running.get("/metrics").1.contains("fundwatch_records_total{type=\"settlement\"}"));
    running.signal("TERM");
    let (code, time) = running.end();
    assert_eq!(code, Some(0), "{}", running.read("words"));
    assert!(time < Duration::from_secs(10), "{time:?}");
    assert!(running.read("words").contains("goodbye"));
}

#[test]
fn piped_records_give_the_alerts_of_a_backtest() {
    let city = City::simulate(2_000, 6, 13);
    let expected = Backtest::of(&city.records(), None);
    let variables = [
        ("FUNDWATCH__SOURCE__KIND", "stdin"),
        ("FUNDWATCH__ENGINE__RETENTION", "unlimited"),
        ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
        ("FUNDWATCH__SINKS__FILE__ENABLED", "true"),
        ("FUNDWATCH__SINKS__FILE__PATH", "alerts.jsonl"),
        ("FUNDWATCH__DEAD_LETTERS__PATH", "dead.jsonl"),
    ];
    let mut running = Running::start(&variables, fs::File::open(city.records()).expect("records").into());
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    let last: BTreeMap<String, Value> = json_lines(&running.read("alerts.jsonl"))
        .into_iter()
        .map(|alert| (alert["alert_id"].as_str().expect("an id").to_owned(), alert))
        .collect();
    let open: BTreeMap<String, Value> = last.values().filter(|alert| alert["status"] == "open").map(essence).collect();
    assert_same(&open, &expected.essences());
    assert_eq!(json_lines(&running.read("dead.jsonl")).len(), expected.dead_letters.len());
}

#[test]
fn a_record_on_a_quiet_pipe_travels_at_once() {
    let variables = [("FUNDWATCH__SOURCE__KIND", "stdin"), ("FUNDWATCH__SINKS__TERMINAL__FORMAT", "json")];
    let mut running = Running::start(&variables, Stdio::piped());
    let mut stdin = running.child.stdin.take().expect("piped");
    running.address();
    let record = r#"{"type":"settlement","setl_id":"S1","mdtrt_id":"V1","psn_no":"P1","fixmedins_code":"H1","med_type":"41","insutype":"310","setl_time":"2026-03-01 12:30:00","medfee_sumamt":9000.00,"fund_pay_sumamt":1000.00}"#;
    let sent = Instant::now();
    writeln!(stdin, "{record}").expect("it reads");
    let alert = wait_until("an alert", LIMIT, || running.read("out").lines().next().map(str::to_owned));
    println!("from record to alert: {:?}", sent.elapsed());
    assert!(alert.contains("VIS-04"), "{alert}");
    // The pipe stays open: reading from it cannot be interrupted, and yet it stops.
    running.signal("INT");
    let (code, time) = running.end();
    assert_eq!(code, Some(0), "{}", running.read("words"));
    assert!(time < Duration::from_secs(10), "{time:?}");
}

#[test]
fn what_cannot_be_had_ends_with_words() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = fundwatch();
    let dir = tempfile::tempdir().expect("a folder");
    let output = command
        .arg("run")
        .current_dir(dir.path())
        .env("FUNDWATCH__HTTP__LISTEN", &address)
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));
    let variables = [("FUNDWATCH__SOURCE__KIND", "file"), ("FUNDWATCH__SOURCE__FILE__PATHS", "nowhere.jsonl")];
    let mut running = Running::start(&variables, Stdio::null());
    assert_eq!(running.end().0, Some(2));
    let words = running.read("words");
    assert!(words.contains("failed to read nowhere.jsonl: No such file"), "{words}");
    assert_eq!(words.matches("No such file").count(), 1, "it is told once: {words}");
}

#[test]
fn other_rules_on_disk_take_effect_and_wrong_ones_do_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let rules = dir.path().join("rules");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let copied = Command::new("cp").arg("-r").arg(&source).arg(&rules).status().expect("cp");
    assert!(copied.success());
    let variables =
        [("FUNDWATCH__RULES__DIR", rules.to_str().expect("UTF-8")), ("FUNDWATCH__RULES__RELOAD_INTERVAL", "100ms")];
    let mut running = Running::start(&variables, Stdio::null());
    running.address();
    let file = rules.join("visits").read_dir().expect("rules").map(|entry| entry.expect("a file").path());
    let file = file.into_iter().find(|path| path.to_string_lossy().contains("VIS-04")).expect("the rule");
    let good = fs::read_to_string(&file).expect("the rule");
    fs::write(&file, format!("{good}\nnonsense = true\n")).expect("written");
    wait_until("the refusal", LIMIT, || running.read("words").contains("are not taken").then_some(()));
    fs::write(&file, good.replacen("status = \"live\"", "status = \"retired\"", 1)).expect("written");
    wait_until("the other rules", LIMIT, || running.read("words").contains("other rules are in force").then_some(()));
    let (_, status) = running.get("/api/status");
    assert!(!status.contains("\"refused\":\""), "{status}");
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0));
}
