//! The running program between topics of a real Apache Kafka; alerts are read with kcat.

use crate::support::kafka::Broker;
use crate::support::{Backtest, City, assert_same, stays, wait_until};
use flate2::read::GzDecoder;
use serde_json::Value;
use setup::alert;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::time::Duration;

mod coordinator;
mod faults;
mod outage;
mod partitions;
mod replaced;
mod setup;

pub use setup::{Names, Running, Setup};

/// What no step takes on any machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A city's records, a line each, and the alerts of an undisturbed run.
pub struct Sample {
    pub city: City,
    records: Vec<u8>,
    pub expected: BTreeMap<String, Value>,
}

impl Sample {
    pub fn new() -> Sample {
        let city = City::simulate(2_000, 15, 3);
        let expected = Backtest::of(&city.records(), Some(&city.registry())).essences();
        assert!(expected.len() > 20, "{}", expected.len());
        let records = fs::read(city.records()).expect("records");
        Sample { city, records, expected }
    }

    pub fn lines(&self) -> Vec<&[u8]> {
        self.records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
    }
}

fn settlement(id: &str, visit: &str, time: &str, amount: &str, more: &str) -> String {
    format!(
        "{{\"type\":\"settlement\",\"setl_id\":\"{id}\",\"mdtrt_id\":\"{visit}\",\"psn_no\":\"P-{visit}\",\
         \"fixmedins_code\":\"H1\",\"med_type\":\"11\",\"insutype\":\"310\",\"setl_time\":\"2026-03-01 {time}\",\
         \"medfee_sumamt\":{amount},\"fund_pay_sumamt\":{amount}{more}}}"
    )
}

#[test]
fn nothing_is_lost_or_repeated_over_a_restart() {
    let setup = Setup::new(Broker::shared(), 3, None);
    let bad: [&[u8]; 3] = [b"{\"type\":\"settlement\"}", b"\xff\xfe", b"{\"type\":\"presence\",\"passed\":3}"];
    let before = [
        settlement("S1", "V1", "10:00:00", "300.00", ""),
        settlement("S2", "V2", "10:00:00", "8000.00", ""),
        settlement("S3", "V3", "10:00:00", "9000.00", ",\"mid_setl_flag\":\"0\""),
    ];
    let after = [
        // Repeats what came before the restart.
        settlement("S4", "V1", "12:00:00", "300.00", ""),
        settlement("S5", "V5", "10:00:00", "7000.00", ""),
        // Takes out what an alert was about.
        settlement("S6", "V2", "11:00:00", "-8000.00", ",\"refd_setl_flag\":\"1\",\"init_setl_id\":\"S2\""),
        // Known already.
        before[2].clone(),
    ];

    let mut running = setup.run();
    setup.send(&before);
    setup.send(&bad);
    setup.send_tombstone();
    let first = setup.wait_for_alerts(2, &mut running);
    let file = setup.names.dir.path().join("records.jsonl");
    fs::write(&file, before.join("\n")).expect("there is room");
    let expected: BTreeMap<String, Value> = Backtest::of(&file, None)
        .open()
        .into_iter()
        .map(|alert| (alert["alert_id"].as_str().expect("an id").to_owned(), alert))
        .collect();
    assert_eq!(expected.len(), 2);
    for message in &first {
        let mut found = alert(message);
        let key = message.key.as_deref().map(String::from_utf8_lossy).expect("a key");
        let mut expected = expected[&*key].clone();
        for (header, value) in
            [("rule", &expected["rule_id"]), ("severity", &expected["severity"]), ("status", &expected["status"])]
        {
            assert_eq!(message.header(header), value.as_str(), "{header}");
        }
        for alert in [&mut found, &mut expected] {
            let time = alert.as_object_mut().and_then(|alert| alert.remove("detected_at"));
            assert!(time.is_some_and(|time| time.as_str().is_some_and(|time| time.len() == 19)));
        }
        assert_eq!(found, expected);
    }
    // Records, bad records and the tombstone.
    setup.wait_for_commit(7);
    running.terminate_in_order();
    assert_eq!(setup.committed(), 7);
    let letters = setup.broker.kcat_consume_all(&setup.names.dead_letters);
    let payloads: BTreeSet<&[u8]> = letters.iter().filter_map(|letter| letter.payload.as_deref()).collect();
    assert_eq!(payloads, BTreeSet::from(bad));
    for letter in &letters {
        let source = letter.header("source").expect("where it stood");
        assert!(source.starts_with(&format!("{}[", setup.names.records)) && source.contains("]@"), "{source}");
        assert!(["reason", "kind", "contract", "time"].iter().all(|name| letter.header(name).is_some()), "{letter:?}");
    }

    setup.send(&after);
    let mut running = setup.run();
    setup.wait_for_alerts(5, &mut running);
    setup.wait_for_commit(11);
    running.terminate_in_order();
    assert_eq!(setup.broker.kcat_consume_all(&setup.names.dead_letters).len(), 3, "dead letters come once");
    let mut revisions: Vec<String> = setup
        .broker
        .kcat_consume_all(&setup.names.alerts)
        .iter()
        .map(alert)
        .map(|alert| format!("{} {} {}", alert["rule_id"], alert["evidence"][0]["id"], alert["revision"]))
        .collect();
    revisions.sort();
    assert_eq!(
        revisions,
        [r#""DUP-02" "S1" 1"#, r#""VIS-04" "S2" 1"#, r#""VIS-04" "S2" 2"#, r#""VIS-04" "S3" 1"#, r#""VIS-04" "S5" 1"#,]
    );
    fs::write(&file, [before.as_slice(), &after].concat().join("\n")).expect("there is room");
    let expected = Backtest::of(&file, None).essences();
    assert_eq!(expected.len(), 3);
    assert_same(&setup.open_alerts(), &expected);
}

#[test]
fn a_kill_loses_nothing() {
    let city = City::simulate(2_000, 15, 3);
    let expected = Backtest::of(&city.records(), Some(&city.registry())).essences();
    assert!(expected.len() > 20, "{}", expected.len());
    let setup = Setup::new(Broker::shared(), 3, Some(&city.registry()));
    let records = fs::read(city.records()).expect("records");
    let lines: Vec<&[u8]> = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let mut parts = lines.chunks(lines.len().div_ceil(4));
    let mut seen = 0;
    // Killed before anything is committed, and after.
    for (commit_interval, part) in ["5s", "200ms", "5s"].into_iter().zip(parts.by_ref()) {
        let mut running = setup.run_with(&[("SOURCE__KAFKA__COMMIT_INTERVAL", commit_interval)]);
        setup.send(part);
        setup.wait_for_alerts(seen + 1, &mut running);
        drop(running);
        seen = setup.broker.kcat_consume_all(&setup.names.alerts).len();
    }
    setup.send(parts.next().expect("the last quarter"));
    let running = setup.run();
    setup.wait_for_commit(i64::try_from(lines.len()).expect("not so many"));
    running.terminate_in_order();
    assert_same(&setup.open_alerts(), &expected);
}

#[test]
fn the_stays_give_the_same_alerts_as_in_a_backtest() {
    let setup = Setup::new(Broker::shared(), 4, None);
    the_stays_give_the_same_alerts(&setup, "a checkpoint is taken back");
}

#[test]
fn the_stays_give_the_same_alerts_without_state() {
    let setup = Setup::new(Broker::shared(), 4, None).without_state();
    the_stays_give_the_same_alerts(&setup, "rebuilds the state");
}

fn the_stays_give_the_same_alerts(setup: &Setup<'_>, taken_up: &str) {
    let Some(path) = stays() else { return };
    let records = GzDecoder::new(File::open(&path).expect("the file"));
    setup.send(&BufReader::new(records).split(b'\n').collect::<Result<Vec<_>, _>>().expect("it can be read"));

    // Stopped in full flight, then as soon as it has taken up what it knew.
    let mut running = setup.run();
    setup.wait_for_alerts(100, &mut running);
    running.terminate_in_order();
    let committed = setup.committed();
    assert!(committed > 0, "what was done is committed");
    let running = setup.run();
    wait_until("it rebuilds its state", LIMIT, || running.words().contains(taken_up).then_some(()));
    running.terminate_in_order();
    assert!(setup.committed() >= committed);

    setup.run_to_the_end();
    assert_eq!(setup.committed(), 154_281);
    let sent: Vec<(String, u64)> = setup
        .broker
        .kcat_consume_all(&setup.names.alerts)
        .iter()
        .map(alert)
        .map(|alert| (alert["alert_id"].to_string(), alert["revision"].as_u64().expect("a number")))
        .collect();
    let once: BTreeSet<&(String, u64)> = sent.iter().collect();
    assert_eq!(once.len(), sent.len(), "every revision is sent once");
    assert_same(&setup.open_alerts(), &Backtest::of(&path, None).essences());
}

#[test]
fn a_broker_that_dies_is_waited_for() {
    let mut broker = Broker::start();
    let setup = Setup::new(&broker, 1, None);
    let mut running = setup.run();
    setup.send(&[settlement("S1", "V1", "10:00:00", "8000.00", "")]);
    setup.wait_for_alerts(1, &mut running);
    setup.wait_for_commit(1);
    let names = setup.names;
    broker.kill();
    broker.restart();
    running.assert_alive();
    let setup = Setup { broker: &broker, names };
    setup.send(&[settlement("S2", "V2", "10:00:00", "9000.00", "")]);
    setup.wait_for_alerts(2, &mut running);
    setup.wait_for_commit(2);
    running.terminate_in_order();
    assert_eq!(setup.broker.kcat_consume_all(&setup.names.alerts).len(), 2, "each comes once");
}
