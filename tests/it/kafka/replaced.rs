//! A process that hangs while another takes its place, and comes back.

use super::{Sample, Setup};
use crate::support::kafka::Broker;
use std::fs;

#[test]
fn who_was_replaced_ends_and_tells_nothing_twice() {
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(3)).collect();
    let setup = Setup::new(Broker::shared(), 1, Some(&sample.city.registry()));
    let slow = ("FUNDWATCH_SLOW_AT", "alerts-produced:5000");
    let mut replaced = setup.run_with_environment(&[slow, ("FUNDWATCH__HTTP__LINGER", "0s")]);
    setup.send(&parts[0][..parts[0].len() / 2]);
    setup.wait_for_more_alerts(0, &mut replaced);
    // It stops with alerts that are not committed: there have been more than one transaction holds.
    setup.send(&parts[0][parts[0].len() / 2..]);
    setup.wait_for_more_alerts(1, &mut replaced);
    replaced.signal("STOP");

    let other = setup.beside();
    let running = other.run();
    setup.send(parts[1]);
    // Its partition comes once the broker has given up the first.
    setup.wait_for_commit((parts[0].len() + parts[1].len()) as i64);
    replaced.signal("CONT");
    let log = replaced.log.clone();
    let status = replaced.wait("it sees that it was replaced");
    let words = fs::read_to_string(log).unwrap_or_default();
    assert_eq!(status.code(), Some(2), "{words}");
    assert!(words.contains("it has taken the place of this one"), "{words}");
    setup.send(parts[2]);
    setup.wait_for_commit(lines.len() as i64);
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}
