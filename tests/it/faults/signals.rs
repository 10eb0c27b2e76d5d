//! Signals while a receiver does not answer.

use crate::support::receiver::{Answer, Receiver};
use crate::support::running::{LIMIT, Running};
use crate::support::{Backtest, City, assert_same, essence, json_lines, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A webhook that is required and soon full, a file and a store beside it.
fn variables(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("FUNDWATCH__SOURCE__KIND", "stdin"),
        ("FUNDWATCH__ENGINE__RETENTION", "unlimited"),
        ("FUNDWATCH__ENGINE__BATCH_MESSAGES", "64"),
        ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
        ("FUNDWATCH__SINKS__WEBHOOK__ENABLED", "true"),
        ("FUNDWATCH__SINKS__WEBHOOK__URL", url),
        ("FUNDWATCH__SINKS__WEBHOOK__QUEUE", "5"),
        ("FUNDWATCH__SINKS__FILE__ENABLED", "true"),
        ("FUNDWATCH__SINKS__FILE__PATH", "alerts.jsonl"),
        ("FUNDWATCH__SINKS__SQLITE__PATH", "alerts.sqlite"),
    ]
}

/// What the last revision of each alert in a file says, where it is open.
fn open_alerts(text: &str) -> BTreeMap<String, Value> {
    let mut last = BTreeMap::new();
    for alert in json_lines(text) {
        last.insert(alert["alert_id"].to_string(), alert);
    }
    last.values().filter(|alert| alert["status"] == "open").map(essence).collect()
}

#[test]
fn a_stop_takes_no_more_than_ten_seconds_while_the_receiver_hangs() {
    let city = City::simulate(3_000, 10, 5);
    let receiver = Receiver::start(|_| Answer::Hang);
    // With room in the queue, and with a batch that waits for room.
    for (queue, blocked) in [("100000", false), ("5", true)] {
        let mut variables = variables(&receiver.url);
        variables.push(("FUNDWATCH__SINKS__WEBHOOK__QUEUE", queue));
        let mut running = Running::start(&variables, Stdio::piped());
        let mut stdin = running.stdin();
        let records = std::fs::read(city.records()).expect("records");
        // The pipe is full once the pipeline is blocked.
        std::thread::spawn(move || drop(stdin.write_all(&records).map(|()| std::thread::sleep(LIMIT))));
        let held_up = || running.metric("fundwatch_sink_blocked_seconds_total{sink=\"webhook\"}") > Some(0.5);
        let queued = || running.metric("fundwatch_sink_queue_items{sink=\"webhook\"}") > Some(20.0);
        wait_until("alerts wait", LIMIT, || (if blocked { held_up() } else { queued() }).then_some(()));
        running.signal("TERM");
        let (code, time) = running.end();
        let words = running.read("words");
        assert_eq!(code, Some(0), "{words}");
        assert!(time < Duration::from_secs(10), "{time:?}\n{words}");
        assert!(words.contains("not everything was delivered"), "{words}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_nothing_broken() {
    let city = City::simulate(3_000, 10, 5);
    let expected = Backtest::of(&city.records(), None).essences();
    let hangs = Arc::new(AtomicBool::new(true));
    let flag = hangs.clone();
    let receiver = Receiver::start(move |_| match flag.load(Ordering::Relaxed) {
        true => Answer::Hang,
        false => Answer::Status(200, ""),
    });
    let path = city.records().display().to_string();
    for kind in ["stdin", "file"] {
        hangs.store(true, Ordering::Relaxed);
        let mut variables = variables(&receiver.url);
        variables.extend([("FUNDWATCH__SOURCE__KIND", kind), ("FUNDWATCH__SOURCE__FILE__PATHS", &path)]);
        let stdin = || Stdio::from(std::fs::File::open(city.records()).expect("records"));
        let mut running = Running::start(&variables, stdin());
        wait_until("an alert is on its way", LIMIT, || {
            (running.metric("fundwatch_sink_queue_items{sink=\"webhook\"}") > Some(0.0)).then_some(())
        });
        running.signal("TERM");
        wait_until("it stops", LIMIT, || running.read("words").contains("stopping").then_some(()));
        running.signal("TERM");
        let (code, time) = running.end();
        assert_eq!(code, Some(143), "{}", running.read("words"));
        assert!(time < Duration::from_secs(2), "{time:?}");
        let whole = running.read("alerts.jsonl");
        assert!(whole.is_empty() || whole.ends_with('\n'));
        json_lines(&whole);
        let store = rusqlite::Connection::open(running.path("alerts.sqlite")).expect("the store");
        let check: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
        assert_eq!(check, "ok");
        drop(store);

        hangs.store(false, Ordering::Relaxed);
        let mut again = Running::start_in(running.dir(), &variables, stdin());
        assert_eq!(again.end().0, Some(0), "{}", again.read("words"));
        assert_same(&open_alerts(&again.read("alerts.jsonl")), &expected);
        let stored: i64 = rusqlite::Connection::open(again.path("alerts.sqlite"))
            .and_then(|store| {
                store
                    .query_row("SELECT count(*) FROM alerts WHERE status = 'open' AND NOT shadow", [], |row| row.get(0))
            })
            .expect("a number");
        assert_eq!(stored as usize, expected.len());
    }
}
