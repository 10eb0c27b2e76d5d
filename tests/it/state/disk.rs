//! Disks that are full or slow, between topics of a real Kafka: alerts go on, and each comes once.

use super::LIMIT;
use crate::kafka::{Running, Sample, Setup};
use crate::support::kafka::Broker;
use crate::support::{fundwatch, wait_until};
use std::process::Command;

/// The greatest size that a file of the process may have from now on. Beyond it a write fails, as on a full disk, and at
/// 0 every write does; this needs no file system of our own, and no right to mount one.
fn limit_files(running: &Running, bytes: &str) {
    let (id, limit) = (running.child.id().to_string(), format!("--fsize={bytes}:"));
    assert!(Command::new("prlimit").args(["--pid", &id, &limit]).status().expect("prlimit").success());
}

/// The program under a shell that makes it ignore the signal that comes with such a failure.
fn ignoring_the_signal() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(fundwatch().get_program());
    command
}

#[test]
fn a_full_disk_stops_no_alert() {
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(4)).collect();
    let setup = Setup::new(Broker::shared(), 2, Some(&sample.city.registry()));
    let variables = [
        ("FUNDWATCH__STATE__INTERVAL", "100ms"),
        ("FUNDWATCH__ENGINE__BATCH_MESSAGES", "100"),
        // What else would be written to the disk.
        ("FUNDWATCH__SINKS__SQLITE__PATH", ""),
    ];
    let mut running = setup.start(ignoring_the_signal(), &variables);
    setup.send(parts[0]);
    let mut seen = setup.wait_for_more_alerts(0, &mut running);
    running.wait_for_checkpoint_after(0.0);

    // Nothing can be written, then little, then everything.
    for (part, bytes) in [(parts[1], "0"), (parts[2], "2000")] {
        let failures = |running: &Running| running.metric("fundwatch_checkpoint_failures_total");
        let before = failures(&running).expect("it is there from the start");
        limit_files(&running, bytes);
        setup.send(part);
        seen = setup.wait_for_more_alerts(seen, &mut running);
        wait_until("attempts that fail are counted", LIMIT, || failures(&running).filter(|count| *count > before));
        let trouble = wait_until("it says so", LIMIT, || running.status()["trouble"].as_str().map(str::to_owned));
        assert!(trouble.contains("state"), "{trouble}");
        assert_eq!(running.get("/readyz").0, 200, "alerts are up to date");
        assert_eq!(running.get("/healthz").0, 200);
    }
    setup.wait_for_commit(parts[..3].iter().map(|part| part.len() as i64).sum());
    let checkpoint = running.checkpoint();
    limit_files(&running, "unlimited");
    running.wait_for_checkpoint_after(checkpoint);
    wait_until("nothing is wrong any more", LIMIT, || running.status()["trouble"].is_null().then_some(()));

    // It is killed while the disk is full again: the last checkpoint is from before that.
    limit_files(&running, "0");
    setup.send(parts[3]);
    setup.wait_for_more_alerts(seen, &mut running);
    drop(running);
    let running = setup.run_with(&[("SINKS__SQLITE__PATH", "")]);
    setup.wait_for_commit(lines.len() as i64);
    assert!(running.words().contains("a checkpoint is taken back"), "{}", running.words());
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}

#[test]
fn a_slow_disk_holds_up_no_alert() {
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(3)).collect();
    let setup = Setup::new(Broker::shared(), 2, Some(&sample.city.registry()));
    let quick = ("FUNDWATCH__STATE__INTERVAL", "100ms");
    let running = setup.run_with_environment(&[quick]);
    setup.send(parts[0]);
    setup.wait_for_commit(parts[0].len() as i64);
    running.terminate_in_order();

    // No checkpoint comes to its end any more: whatever waited for one would be seen.
    let mut running = setup.run_with_environment(&[quick, ("FUNDWATCH_SLOW_AT", "segment-written:600000")]);
    let told = setup.broker.kcat_consume_all(&setup.names.alerts).len();
    setup.send(parts[1]);
    setup.wait_for_more_alerts(told, &mut running);
    setup.wait_for_commit((parts[0].len() + parts[1].len()) as i64);
    assert_eq!(running.get("/readyz").0, 200);
    let log = running.log.clone();
    running.terminate_in_order();
    let words = std::fs::read_to_string(log).expect("a log");
    assert!(words.contains("no last checkpoint is written"), "{words}");

    // It is a little slow everywhere else.
    let running = setup.run_with_environment(&[quick, ("FUNDWATCH_SLOW_AT", "told:20")]);
    setup.send(parts[2]);
    setup.wait_for_commit(lines.len() as i64);
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}
