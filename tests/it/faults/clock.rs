//! The wall clock is set forward while it runs, and back while it is away. Only it: what measures intervals goes on, as
//! it does in reality.

use crate::kafka::{Running, Sample, Setup};
use crate::support::kafka::Broker;
use std::fs;
use std::path::PathBuf;

/// libfaketime, which `./dev test` installs.
fn library() -> String {
    let folders = fs::read_dir("/usr/lib").expect("a folder").flatten().map(|entry| entry.path());
    let find = |folder: PathBuf| Some(folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    let found = folders.into_iter().find_map(find).expect("libfaketime (Debian: apt-get install faketime)");
    found.display().to_string()
}

#[test]
#[ignore = "the Kafka client hangs under libfaketime; see docs/reliability.md"]
fn a_clock_that_is_set_changes_no_alert() {
    let sample = Sample::new();
    let lines = sample.lines();
    let parts: Vec<_> = lines.chunks(lines.len().div_ceil(6)).collect();
    let setup = Setup::new(Broker::shared(), 2, Some(&sample.city.registry()));
    let (library, clock) = (library(), setup.names.dir.path().join("clock"));
    // In one step: an empty file would be a clock that is right for a moment.
    let set = |offset: &str| {
        let new = clock.with_extension("new");
        fs::write(&new, offset).and_then(|()| fs::rename(&new, &clock)).expect("there is room");
    };
    let clock_name = clock.display().to_string();
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", &clock_name),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FUNDWATCH__STATE__INTERVAL", "200ms"),
        ("FUNDWATCH__ENGINE__RETENTION", "400d"),
        ("FUNDWATCH__ENGINE__BATCH_MESSAGES", "100"),
    ];
    let mut sent = 0;
    // Sends a part, and returns the records' own time after it.
    let mut send = |running: &Running, part: &[&[u8]]| {
        let before = running.checkpoint();
        setup.send(part);
        sent += part.len() as i64;
        setup.wait_for_commit(sent);
        running.wait_for_checkpoint_after(before);
        assert_eq!(running.get("/readyz").0, 200);
        running.status()["event_time"].as_str().expect("a time").to_owned()
    };
    // The clock is never behind the real one: under libfaketime the Kafka client hangs then from the start on.
    set("+0");
    let running = setup.run_with_environment(&variables);
    let first = send(&running, parts[0]);
    set("+900d");
    let second = send(&running, parts[1]);
    assert!(second > first, "{second}");
    running.terminate_in_order();
    // Checkpoints and alerts are dated later than now.
    set("+0");
    let running = setup.run_with_environment(&variables);
    assert!(send(&running, parts[2]) > second);
    assert!(running.words().contains("a checkpoint is taken back"), "{}", running.words());
    set("+3000d");
    send(&running, parts[3]);
    drop(running);
    set("+30d");
    let running = setup.run_with_environment(&variables);
    send(&running, parts[4]);
    send(&running, parts[5]);
    running.terminate_in_order();
    setup.assert_undisturbed(&sample.expected);
}
