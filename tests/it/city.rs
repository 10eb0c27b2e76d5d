//! A simulated city: what was planted is found, to the fen, and nothing else.

use crate::support::{Backtest, City, json_lines};
use crate::worlds::dice::Dice;
use fundwatch::simulate::{Options, Simulator};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

const PERSONS: u32 = 5_000;
const DAYS: u32 = 30;

fn city(seed: u64) -> City {
    City::simulate(PERSONS, DAYS, seed)
}

/// The records that a finding rests on, as far as the truth names them.
fn evidence(finding: &Value) -> Vec<String> {
    let pieces = finding["evidence"].as_array().expect("evidence").iter();
    pieces.map(|piece| format!("{} {} {}", piece["role"], piece["type"], piece["id"])).collect()
}

/// What the truth says of a finding, as one line.
fn line(finding: &Value) -> String {
    let mut line = String::new();
    for name in ["rule_id", "subject", "severity", "amount_at_issue"] {
        write!(line, "{} ", finding[name]).expect("memory");
    }
    line + &evidence(finding).join(", ")
}

/// What findings, or what the truth says of them, in an order of their own.
pub fn sorted_lines<'a>(findings: impl Iterator<Item = &'a Value>) -> Vec<String> {
    let mut lines: Vec<String> = findings.map(line).collect();
    lines.sort();
    lines
}

fn every_fraud_and_no_near_miss(seed: u64) {
    let city = city(seed);
    let truth = json_lines(&fs::read_to_string(city.path("truth.jsonl")).expect("the truth"));
    let backtest = Backtest::of(&city.records(), Some(&city.registry()));
    let open = backtest.open();

    let (frauds, near_misses): (Vec<&Value>, Vec<&Value>) = truth.iter().partition(|truth| truth["planted"] == "fraud");
    let words = format!("{} frauds and {} near misses planted", frauds.len(), near_misses.len());
    assert!(city.words.contains(&words), "{words:?} is not what the simulator said: {}", city.words);
    let rules: BTreeSet<String> = frauds.iter().map(|fraud| fraud["rule_id"].to_string()).collect();
    assert_eq!(rules.len(), 18, "every rule has its frauds");

    let (found, planted) = (sorted_lines(open.iter()), sorted_lines(frauds.iter().copied()));
    let without = |some: &[String], others: &[String]| -> Vec<String> {
        some.iter().filter(|line| others.binary_search(line).is_err()).cloned().collect()
    };
    assert_eq!(without(&planted, &found), [""; 0], "planted and not found");
    assert_eq!(without(&found, &planted), [""; 0], "found and not planted");
    assert_eq!(found.len(), planted.len(), "each once");

    for near_miss in near_misses {
        let near: BTreeSet<String> = evidence(near_miss).into_iter().collect();
        assert!(!near.is_empty(), "{near_miss}");
        for alert in open.iter().filter(|alert| alert["rule_id"] == near_miss["rule_id"]) {
            let found: BTreeSet<String> = evidence(alert).into_iter().collect();
            assert!(!near.is_subset(&found), "a near miss is reported: {near_miss} as {alert}");
        }
    }

    // The library sends what the command wrote, and knows what is dirty in it.
    let options = Options { persons: PERSONS, days: Some(DAYS), seed, ..Options::default() };
    let mut simulator = Simulator::new(options);
    let mut bytes = Vec::new();
    while simulator.next_line(&mut bytes).is_some() {}
    let summary = simulator.summary();
    assert!(bytes == fs::read(city.records()).expect("records"), "the command writes other bytes than the library");
    assert!(city.words.contains(&format!("{} records", summary.lines)), "{}", city.words);
    backtest.assert_balanced();
    assert!(summary.redelivered > 0 && summary.dead_letters > 0, "{summary:?}");
    for (name, count) in
        [("records_in", summary.lines), ("redelivered", summary.redelivered), ("dead_lettered", summary.dead_letters)]
    {
        assert_eq!(backtest.count(name), count, "{name}");
    }
}

#[test]
fn seed_1_every_fraud_and_no_near_miss_is_found() {
    every_fraud_and_no_near_miss(1);
}

#[test]
fn seed_2_every_fraud_and_no_near_miss_is_found() {
    every_fraud_and_no_near_miss(2);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, again, other) = (city(1), city(1), city(2));
    let files =
        ["records.jsonl", "truth.jsonl"].into_iter().map(str::to_owned).chain(registry_files(&one)).collect::<Vec<_>>();
    assert!(files.len() > 3, "{files:?}");
    for file in &files {
        let [bytes, same] = [&one, &again].map(|city| fs::read(city.path(file)).expect("it was written"));
        assert!(!bytes.is_empty() && bytes == same, "{file}");
    }
    let [one, other] = [one, other].map(|city| fs::read(city.records()).expect("records"));
    assert!(one != other, "two seeds are two cities");
}

fn registry_files(city: &City) -> Vec<String> {
    let files = fs::read_dir(city.registry()).expect("the registry");
    files.map(|file| format!("registry/{}", file.expect("a file").file_name().display())).collect()
}

/// Open alerts as they stand in the file, without what may depend on arrival.
fn lasting_text(backtest: &Backtest) -> String {
    let lines = backtest.alerts.lines().filter(|line| line.contains("\"status\":\"open\""));
    let without = |line: &str, begin: &str, end: &str| {
        let (before, rest) = line.split_once(begin).expect("every alert has it");
        let (_, after) = rest.split_once(end).expect("it ends");
        format!("{before}{after}")
    };
    lines.map(|line| without(&without(line, "\"revision\":", ","), "\"detected_at\":\"", "\"") + "\n").collect()
}

#[test]
fn the_order_of_lines_changes_no_alert() {
    let city = city(1);
    let in_order = Backtest::of(&city.records(), Some(&city.registry()));
    let bytes = fs::read(city.records()).expect("records");
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut dice = Dice::new(7);
    for round in 1..=2 {
        dice.shuffle(&mut lines);
        let shuffled = city.path("shuffled.jsonl");
        fs::write(&shuffled, lines.concat()).expect("there is room");
        let backtest = Backtest::of(&shuffled, Some(&city.registry()));
        backtest.assert_balanced();
        assert_eq!(backtest.count("dead_lettered"), in_order.count("dead_lettered"));
        let (expected, found) = (lasting_text(&in_order), lasting_text(&backtest));
        let different = expected.lines().zip(found.lines()).find(|(one, other)| one != other);
        assert!(expected == found, "round {round}: {different:#?}");
    }
}
