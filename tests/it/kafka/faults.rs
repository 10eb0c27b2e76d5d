//! Readiness, and floods of bad records, with offsets at stake.

use super::{Broker, LIMIT, Setup, settlement};
use crate::support::wait_until;
use std::fs;

#[test]
fn a_flood_of_bad_records_stops_it_at_the_same_place_each_time_and_none_of_them_is_committed() {
    let setup = Setup::new(Broker::shared(), 1, None);
    let good = |number: usize| settlement(&format!("S{number}"), &format!("V{number}"), "10:00:00", "100.00", "");
    let mut lines: Vec<String> = (0..50).map(good).collect();
    lines.extend(vec!["{".to_owned(); 5]);
    lines.extend((50..60).map(good));
    let begin = lines.len();
    lines.extend(vec!["{".to_owned(); 70]);
    setup.send(&lines);
    let limits = [("DEAD_LETTERS__STOP_AT_RUN", "40"), ("HTTP__LINGER", "0s"), ("ENGINE__BATCH_MESSAGES", "7")];
    for _ in 0..3 {
        let running = setup.run_with(&limits);
        let log = running.log.clone();
        let status = running.wait("it stops");
        let words = fs::read_to_string(log).unwrap_or_default();
        assert_eq!(status.code(), Some(2), "{words}");
        assert!(words.contains("40 records in a row cannot be read (dead_letters.stop_at_run = 40)"), "{words}");
        // The batch in which the run began is open too.
        let committed = setup.committed();
        assert!((begin as i64 - 7..=begin as i64).contains(&committed), "{committed} of {begin}");
    }
    let mut running = setup.run_with(&[("DEAD_LETTERS__STOP_AT_RUN", "0")]);
    setup.wait_for_commit(lines.len() as i64);
    running.assert_alive();
    running.terminate_in_order();
    let mut places: Vec<String> = setup
        .broker
        .kcat_consume_all(&setup.names.dead_letters)
        .iter()
        .filter_map(|letter| letter.header("source").map(str::to_owned))
        .collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 75, "each bad record is there");
}

#[test]
fn it_is_ready_once_it_has_partitions_and_has_read_them() {
    let setup = Setup::new(Broker::shared(), 1, None);
    setup.send(&[settlement("S1", "V1", "10:00:00", "8000.00", "")]);
    let first = setup.run();
    let mut seen = Vec::new();
    wait_until("it is ready", LIMIT, || {
        let (status, body) = first.get("/readyz");
        if status == 200 {
            return Some(());
        }
        seen.push(body);
        None
    });
    assert!(first.words().contains("reads a partition"), "{}", first.words());
    assert!(seen.iter().any(|body| body.contains("no partition of the topics is assigned")), "{seen:?}");
    let metrics = first.get("/metrics").1;
    assert!(metrics.contains("fundwatch_source_rebalances_total 1"), "{metrics}");
    wait_until("a commit is counted", LIMIT, || {
        first.get("/metrics").1.contains("fundwatch_source_commits_total 1").then_some(())
    });

    // There is one partition: another process has none, until the first one goes.
    let second = setup.beside();
    let standby = second.run();
    let body = standby.wait_for_answer("/readyz", 503);
    assert!(body.contains("no partition") || body.contains("starting"), "{body}");
    std::thread::sleep(std::time::Duration::from_secs(5));
    let body = standby.wait_for_answer("/readyz", 503);
    assert!(body.contains("no partition of the topics is assigned to this process"), "{body}");
    assert_eq!(standby.get("/healthz").0, 200, "there is nothing for it to do");
    first.terminate_in_order();
    standby.wait_for_answer("/readyz", 200);
    standby.terminate_in_order();
}

#[test]
fn a_broker_that_goes_makes_it_not_ready() {
    let mut broker = Broker::start();
    let setup = Setup::new(&broker, 1, None);
    let running = setup.run_with(&[("HTTP__READY_DELAY", "1s")]);
    running.wait_for_answer("/readyz", 200);
    let names = setup.names;
    broker.kill();
    let body = running.wait_for_answer("/readyz", 503);
    assert!(body.contains("the source is in trouble"), "{body}");
    assert_eq!(running.get("/healthz").0, 200, "nothing waits that is known of");
    broker.restart();
    let setup = Setup { broker: &broker, names };
    setup.send(&[settlement("S1", "V1", "10:00:00", "8000.00", "")]);
    running.wait_for_answer("/readyz", 200);
    // A stop does not wait for it either.
    let _names = setup.names;
    broker.kill();
    running.terminate_in_order();
}
