//! Floods of bad records.

use super::{ONE_BY_ONE, settlement, wait_for_answer};
use crate::support::running::Running;
use crate::support::{Backtest, json_lines};
use std::fs;
use std::io::Write;
use std::process::Stdio;

const GOOD: &str = "2024-07-01 10:00:00";
const LATE: &str = "2024-01-01 10:00:00";

/// Runs over lines on standard input, to the end; the exit status, its words and the number of dead letters.
fn run(limits: &[(&str, &str)], lines: &[String]) -> (Option<i32>, String, usize) {
    let variables = [&ONE_BY_ONE[..], &[("FUNDWATCH__HTTP__LINGER", "0s")], limits].concat();
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), lines.join("\n")).expect("there is room");
    let mut running = Running::start(&variables, fs::File::open(file.path()).expect("the file").into());
    let (code, _) = running.end();
    (code, running.read("words"), json_lines(&running.read("dead.jsonl")).len())
}

#[test]
fn so_many_bad_records_in_a_row_stop_the_pipeline_and_it_says_why() {
    let limits = [("FUNDWATCH__DEAD_LETTERS__STOP_AT_RUN", "20"), ("FUNDWATCH__HTTP__LINGER", "50s")];
    let variables = [&ONE_BY_ONE[..], &limits].concat();
    let mut running = Running::start(&variables, Stdio::piped());
    let mut stdin = running.stdin();
    let mut lines = vec![settlement("S1", GOOD, "")];
    lines.extend(vec!["{".to_owned(); 19]);
    // Re-delivered and late ones could be read.
    lines.push(settlement("S1", GOOD, ""));
    lines.extend(vec!["{".to_owned(); 19]);
    lines.push(settlement("S2", LATE, ""));
    lines.extend((0..25).map(|number| settlement(&format!("L{number}"), LATE, "")));
    for line in &lines {
        writeln!(stdin, "{line}").expect("it reads");
    }
    running.wait_for_records(lines.len() as u64);
    assert_eq!(running.get("/healthz").0, 200);
    assert_eq!(running.metric("fundwatch_dead_letter_run"), Some(0.0));
    for _ in 0..20 {
        writeln!(stdin, "{{\"type\":\"settlement\"}}").expect("it reads");
    }
    let body = wait_for_answer(&running, "/healthz", 500, "");
    let place = format!("stdin:{}", lines.len() + 20);
    for words in [
        "20 records in a row",
        "dead_letters.stop_at_run = 20",
        &place,
        "which every `settlement` must have",
        "start again",
    ] {
        assert!(body.contains(words), "{words} is not in {body}");
    }
    assert_eq!(running.get("/readyz").0, 503);
    assert_eq!(running.metric("fundwatch_trouble{cause=\"dead_letters\"}"), Some(1.0));
    assert_eq!(running.metric("fundwatch_healthy"), Some(0.0));
    assert_eq!(running.metric("fundwatch_dead_letter_run"), Some(20.0));
    // A signal ends the time in which it only tells.
    running.signal("TERM");
    assert_eq!(running.end().0, Some(2));
    let words = running.read("words");
    assert_eq!(words.matches("20 records in a row").count(), 1, "{words}");
    assert_eq!(json_lines(&running.read("dead.jsonl")).len(), 58, "what shows the mistake is kept");
}

#[test]
fn such_a_share_of_bad_records_stops_the_pipeline() {
    let limits = [
        ("FUNDWATCH__DEAD_LETTERS__STOP_AT_RATIO", "0.25"),
        ("FUNDWATCH__DEAD_LETTERS__RATIO_OVER", "40"),
        ("FUNDWATCH__DEAD_LETTERS__STOP_AT_RUN", "0"),
    ];
    let share = |good: usize| -> Vec<String> {
        let line = |number: usize| match number % (good + 1) {
            0 => "[]".to_owned(),
            _ => settlement(&format!("S{number}"), GOOD, ""),
        };
        (0..200).map(line).collect()
    };
    let (code, words, letters) = run(&limits, &share(4));
    assert_eq!((code, letters), (Some(0), 40), "{words}");
    let (code, words, letters) = run(&limits, &share(3));
    assert_eq!((code, letters), (Some(2), 10), "{words}");
    assert!(words.contains("10 of the last 40 records cannot be read (dead_letters.stop_at_ratio = 0.25)"), "{words}");
    assert!(words.contains("stdin:37: the JSON is not an object"), "{words}");
}

#[test]
fn limits_can_be_switched_off_and_do_not_concern_a_backtest() {
    let flood = vec!["{".to_owned(); 1_000];
    let (code, words, letters) = run(&[], &flood[1..]);
    assert_eq!((code, letters), (Some(0), 999), "{words}");
    let (code, words, letters) = run(&[], &flood);
    assert_eq!((code, letters), (Some(2), 1_000), "{words}");
    let off = [("FUNDWATCH__DEAD_LETTERS__STOP_AT_RATIO", "0"), ("FUNDWATCH__DEAD_LETTERS__STOP_AT_RUN", "0")];
    let (code, words, letters) = run(&off, &flood);
    assert_eq!((code, letters), (Some(0), 1_000), "{words}");
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().expect("a file");
    fs::write(file.path(), flood.join("\n")).expect("there is room");
    let found = Backtest::of(file.path(), None);
    found.assert_balanced();
    assert_eq!(found.count("dead_lettered"), 1_000);
}
