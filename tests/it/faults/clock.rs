//! The wall clock is set forward and back, while the program runs and while it is away. Only it: what measures intervals
//! goes on, as it does in reality. Records come by standard input: the Kafka client waits by the wall clock, and hangs
//! under libfaketime (docs/reliability.md).

use crate::support::running::{LIMIT, Running};
use crate::support::{Backtest, City, assert_same, open_at_last, wait_until};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

/// libfaketime, which `./dev test` installs.
fn library() -> String {
    let folders = fs::read_dir("/usr/lib").expect("a folder").flatten().map(|entry| entry.path());
    let find = |folder: PathBuf| Some(folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    let found = folders.into_iter().find_map(find).expect("libfaketime (Debian: apt-get install faketime)");
    found.display().to_string()
}

#[test]
fn a_clock_that_is_set_changes_no_alert() {
    let city = City::simulate(2_000, 15, 3);
    let expected = Backtest::of(&city.records(), Some(&city.registry())).essences();
    let records = fs::read(city.records()).expect("records");
    let lines: Vec<&[u8]> = records.split_inclusive(|byte| *byte == b'\n').collect();
    let dir = Arc::new(tempfile::tempdir().expect("a folder"));
    let (library, clock) = (library(), dir.path().join("clock"));
    // In one step: an empty file would be a clock that is right for a moment.
    let set = |offset: &str| {
        let new = clock.with_extension("new");
        fs::write(&new, offset).and_then(|()| fs::rename(&new, &clock)).expect("there is room");
    };
    let (clock_name, registry) = (clock.display().to_string(), city.registry().display().to_string());
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", &clock_name),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FUNDWATCH__SOURCE__KIND", "stdin"),
        ("FUNDWATCH__RULES__REGISTRY", &registry),
        ("FUNDWATCH__STATE__ENABLED", "on"),
        ("FUNDWATCH__STATE__INTERVAL", "200ms"),
        ("FUNDWATCH__ENGINE__BATCH_MESSAGES", "100"),
        ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
        ("FUNDWATCH__SINKS__FILE__ENABLED", "true"),
        ("FUNDWATCH__SINKS__FILE__PATH", "alerts.jsonl"),
        ("FUNDWATCH__SINKS__SQLITE__PATH", "alerts.sqlite"),
    ];
    let mut parts = lines.chunks(lines.len().div_ceil(6));
    let mut sent = 0;
    // Sends the next part to a program whose clock is set meanwhile, and waits for a checkpoint that has it.
    let mut send = |running: &Running, stdin: &mut dyn Write, offset: &str| {
        let part = parts.next().expect("six parts").concat();
        let before = running.metric("fundwatch_checkpoint_number").unwrap_or(0.0);
        let (first, second) = part.split_at(part.len() / 2);
        stdin.write_all(first).expect("it reads");
        set(offset);
        stdin.write_all(second).expect("it reads");
        sent += part.iter().filter(|byte| **byte == b'\n').count() as u64;
        running.wait_for_records(sent);
        let later = || (running.metric("fundwatch_checkpoint_number") > Some(before)).then_some(());
        wait_until("a checkpoint is written", LIMIT, later);
        assert_eq!(running.get("/healthz").0, 200, "{offset}");
    };
    for (at_start, then) in [("+0", ["+900d", "-400d"]), ("-30d", ["+5000d", "-3000d"]), ("+40d", ["-1d", "+0"])] {
        set(at_start);
        let mut running = Running::start_in(dir.clone(), &variables, Stdio::piped());
        let mut stdin = running.stdin();
        then.iter().for_each(|offset| send(&running, &mut stdin, offset));
        running.signal("TERM");
        let (code, time) = running.end();
        let words = running.read("words");
        assert_eq!(code, Some(0), "{words}");
        assert!(time.as_secs() < 10, "{time:?}\n{words}");
    }
    let open = open_at_last(&dir.path().join("alerts.jsonl"));
    assert_same(&open, &expected);
}
