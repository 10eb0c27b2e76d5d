//! The only broker hangs for a while, then goes for a while, both in the middle of the work.
//!
//! `FUNDWATCH_OUTAGE=60` makes it a minute each.

use super::{LIMIT, Sample, Setup};
use crate::support::kafka::Broker;
use crate::support::{number, wait_until};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_broker_that_is_away_for_a_while_costs_no_alert() {
    let outage = Duration::from_secs(number("FUNDWATCH_OUTAGE", 2));
    let sample = Sample::new();
    let lines = sample.lines();
    let mut parts = lines.chunks(lines.len().div_ceil(3));
    let mut broker = Broker::start();
    let setup = Setup::new(&broker, 3, Some(&sample.city.registry()));
    let mut running = setup.run_with(&[
        ("ENGINE__BATCH_MESSAGES", "40"),
        ("HTTP__READY_DELAY", "1s"),
        ("STATE__INTERVAL", "200ms"),
        // That nothing is answered is noticed after this long.
        ("SOURCE__KAFKA__PROPERTIES__SOCKET_TIMEOUT_MS", "1000"),
    ]);
    setup.send(parts.next().expect("a first part"));
    let seen = setup.wait_for_more_alerts(0, &mut running);

    let since = Instant::now();
    broker.pause();
    let reason = running.wait_for_answer("/readyz", 503);
    assert!(reason.contains("the source is in trouble"), "{reason}");
    thread::sleep(outage.saturating_sub(since.elapsed()));
    let checkpoint = running.checkpoint();
    broker.resume();
    setup.send(parts.next().expect("a second part"));
    setup.wait_for_more_alerts(seen, &mut running);
    running.wait_for_answer("/readyz", 200);
    running.wait_for_checkpoint_after(checkpoint);

    let (names, since) = (setup.names, Instant::now());
    broker.kill();
    let reason = running.wait_for_answer("/readyz", 503);
    // Whoever hears of it first; or the group was still being put together after the pause.
    let heard =
        ["the source is in trouble", "the kafka sink does not deliver", "no partition of the topics is assigned"];
    assert!(heard.iter().any(|words| reason.contains(words)), "{reason}");
    thread::sleep(outage.saturating_sub(since.elapsed()));
    broker.restart();
    running.assert_alive();
    let setup = Setup { broker: &broker, names };
    setup.send(parts.next().expect("a third part"));
    setup.wait_for_commit(i64::try_from(lines.len()).expect("not so many"));
    running.wait_for_answer("/readyz", 200);
    assert_eq!(running.get("/healthz").0, 200);
    wait_until("nothing is wrong any more", LIMIT, || running.status()["trouble"].is_null().then_some(()));
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}
