//! Topics that change under the program: more partitions than before, and the same records again.

use super::{Sample, Setup};
use crate::support::kafka::Broker;

fn send_to(setup: &Setup<'_>, partition: i32, lines: &[&[u8]]) {
    setup.broker.produce(&setup.names.records, Some(partition), lines);
}

#[test]
fn partitions_that_are_added_are_read_from_their_start() {
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(6)).collect();
    let setup = Setup::new(Broker::shared(), 1, Some(&sample.city.registry()));
    let keys = [
        ("STATE__INTERVAL", "200ms"),
        ("SOURCE__KAFKA__PROPERTIES__TOPIC_METADATA_REFRESH_INTERVAL_MS", "500"),
        // The batch that reads what was added has company.
        ("ENGINE__BATCH_MESSAGES", "100"),
    ];
    let mut running = setup.run_with(&keys);
    send_to(&setup, 0, parts[0]);
    setup.wait_for_more_alerts(0, &mut running);
    // While it runs; the records are there before it knows of the partitions.
    setup.broker.add_partitions(&setup.names.records, 3);
    send_to(&setup, 1, parts[1]);
    send_to(&setup, 2, parts[2]);
    setup.wait_for_commit(parts[..3].iter().map(|part| part.len() as i64).sum());
    running.terminate_in_order();

    // While it is away.
    setup.broker.add_partitions(&setup.names.records, 5);
    send_to(&setup, 4, parts[3]);
    send_to(&setup, 0, parts[4]);
    let running = setup.run_with(&keys);
    send_to(&setup, 3, parts[5]);
    setup.wait_for_commit(lines.len() as i64);
    assert!(running.words().contains("a checkpoint is taken back"), "{}", running.words());
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}

#[test]
fn the_same_topic_again_tells_nothing_new() {
    let sample = Sample::new();
    let lines = sample.lines();
    let setup = Setup::new(Broker::shared(), 2, Some(&sample.city.registry()));
    let running = setup.run();
    setup.send(&lines);
    setup.wait_for_commit(lines.len() as i64);
    let told = setup.broker.kcat_consume_all(&setup.names.alerts);
    // While it runs, all of it comes again, and over a restart some of it.
    setup.send(&lines);
    setup.wait_for_commit(2 * lines.len() as i64);
    running.terminate_in_order();
    setup.send(&lines);
    let running = setup.run();
    setup.wait_for_commit(3 * lines.len() as i64);
    let redelivered = running.status()["records"]["redelivered"].as_u64();
    assert!(redelivered >= Some(lines.len() as u64 / 2), "{redelivered:?}");
    running.terminate_in_order();
    // The group begins again.
    setup.broker.reset_offsets(&setup.names.group, &setup.names.records, 2);
    assert_eq!(setup.committed(), 0);
    let running = setup.run();
    setup.wait_for_commit(3 * lines.len() as i64);
    running.terminate_in_order();
    assert_eq!(setup.broker.kcat_consume_all(&setup.names.alerts), told);
    setup.assert_undisturbed(&sample.expected);
}
