//! State over restarts: checkpoints in a folder and in a bucket, damaged, torn, gone, and a place that takes nothing.

use crate::support::{Backtest, City, assert_same, fundwatch, open_at_last, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

mod disk;

const LIMIT: Duration = Duration::from_secs(60);

/// A folder with a configuration that reads one file.
struct Setup {
    dir: TempDir,
    registry: PathBuf,
}

impl Setup {
    fn new(registry: &Path) -> Setup {
        let dir = tempfile::tempdir().expect("a folder");
        let setup = Setup { dir, registry: registry.to_owned() };
        setup.configure("");
        setup
    }

    /// Writes the configuration, with more lines for `[state]`.
    fn configure(&self, state: &str) {
        let config = format!(
            r#"
            [engine]
            batch_messages = 100
            retention = "unlimited"
            [rules]
            registry = "{registry}"
            [source]
            kind = "file"
            [source.file]
            paths = ["records.jsonl"]
            [sinks.terminal]
            enabled = false
            [sinks.file]
            enabled = true
            path = "alerts.jsonl"
            [sinks.sqlite]
            enabled = false
            [dead_letters]
            path = "dead.jsonl"
            stop_at_run = 0
            stop_at_ratio = 0
            [late]
            path = "late.jsonl"
            [http]
            enabled = false
            [state]
            enabled = "on"
            path = "state"
            interval = "100ms"
            {state}
            "#,
            registry = self.registry.display(),
        );
        fs::write(self.path("fundwatch.toml"), config).expect("there is room");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = fundwatch();
        command.current_dir(self.dir.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Runs it over so many of the lines, to their end; what it said.
    fn run(&self, lines: &[&[u8]]) -> (bool, String) {
        fs::write(self.path("records.jsonl"), lines.join(&b'\n')).expect("there is room");
        let output = self.command().args(["run", "--config", "fundwatch.toml"]).output().expect("it starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// `fundwatch state`: whether it found everything in order, and what it printed.
    fn state(&self, what: &str) -> (bool, String) {
        let output = self.command().args(["state", what, "--config", "fundwatch.toml"]).output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// What the last revision of each alert in the file says, where it is open; each revision is there once.
    fn open_alerts(&self) -> BTreeMap<String, Value> {
        open_at_last(&self.path("alerts.jsonl"))
    }
}

/// Another folder with the same in it.
fn copy_of(setup: &Setup) -> Setup {
    let copy = Setup { dir: tempfile::tempdir().expect("a folder"), registry: setup.registry.clone() };
    let from = format!("{}/.", setup.dir.path().display());
    assert!(Command::new("cp").arg("-a").arg(from).arg(copy.dir.path()).status().is_ok_and(|done| done.success()));
    copy
}

fn lines(city: &City) -> Vec<u8> {
    fs::read(city.records()).expect("records")
}

#[test]
fn whatever_file_of_a_checkpoint_is_damaged_an_older_one_is_taken() {
    let city = City::simulate(2_000, 15, 3);
    let expected = Backtest::of(&city.records(), Some(&city.registry())).essences();
    let records = lines(&city);
    let lines: Vec<&[u8]> = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let setup = Setup::new(&city.registry());
    // Each start begins a cycle, so that there is something from before the newest segments.
    for part in 1..5 {
        let (well, words) = setup.run(&lines[..lines.len() * part / 5]);
        assert!(well, "{words}");
    }
    let (whole, words) = setup.state("verify");
    assert!(whole && words.contains(": whole"), "{words}");
    let (_, words) = setup.state("inspect");
    assert!(words.contains("records.jsonl: goes on at") && words.contains("the file sink was at"), "{words}");
    let checkpoints = setup.path("state/checkpoints");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&checkpoints).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 4, "{files:?}");
    let (mut fell_back, mut refused) = (0, 0);
    for file in &files {
        let name = file.file_name().expect("a name");
        for torn in [false, true] {
            let damaged = copy_of(&setup);
            let file = damaged.path("state/checkpoints").join(name);
            let mut bytes = fs::read(&file).expect("a file");
            let middle = bytes.len() / 2;
            if torn {
                bytes.truncate(middle);
            } else {
                bytes[middle] ^= 4;
            }
            fs::write(&file, bytes).expect("there is room");
            let (whole, words) = damaged.state("verify");
            assert!(!whole && words.contains("damaged"), "{name:?}: {words}");
            let (well, words) = damaged.run(&lines);
            if words.contains("is damaged, the one before it is tried") {
                fell_back += 1;
            }
            if well {
                assert_same(&damaged.open_alerts(), &expected);
            } else {
                // The very first segment of all: everything rests on it.
                assert!(words.contains("none of the") && words.contains("state verify"), "{name:?}: {words}");
                refused += 1;
            }
        }
    }
    assert!(fell_back > 2, "{fell_back} of {}", files.len());
    assert!(refused < files.len(), "{refused} of {}", files.len());
    let (well, words) = setup.run(&lines);
    assert!(well && words.contains("a checkpoint is taken back"), "{words}");
    assert_same(&setup.open_alerts(), &expected);
}

#[test]
fn a_place_that_takes_nothing_stops_no_alert() {
    let city = City::simulate(1_000, 5, 3);
    let records = lines(&city);
    let lines: Vec<&[u8]> = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let setup = Setup::new(&city.registry());
    let config = fs::read_to_string(setup.path("fundwatch.toml")).expect("a file");
    fs::write(setup.path("fundwatch.toml"), config.replace("kind = \"file\"", "kind = \"stdin\""))
        .expect("there is room");
    let log = setup.path("log");
    let mut child = setup
        .command()
        .args(["run", "--config", "fundwatch.toml"])
        .stdin(Stdio::piped())
        .stderr(File::create(&log).expect("a file"))
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    let mut send = |lines: &[&[u8]]| {
        input.write_all(&lines.join(&b'\n')).and_then(|()| input.write_all(b"\n")).expect("it reads");
    };
    let said = |words: &str| {
        wait_until(words, LIMIT, || fs::read_to_string(&log).ok().filter(|log| log.contains(words)).map(drop));
    };
    let half = lines.len() / 2;
    send(&lines[..half]);
    said("INFO checkpoint");
    // A file stands where the folder was.
    fs::rename(setup.path("state/checkpoints"), setup.path("aside")).expect("moved");
    fs::write(setup.path("state/checkpoints"), "").expect("there is room");
    let alerts = || fs::read_to_string(setup.path("alerts.jsonl")).map_or(0, |text| text.lines().count());
    let before = alerts();
    send(&lines[half..]);
    said("a checkpoint is not written yet");
    wait_until("alerts go out", LIMIT, || (alerts() > before).then_some(()));
    fs::remove_file(setup.path("state/checkpoints")).expect("removed");
    fs::rename(setup.path("aside"), setup.path("state/checkpoints")).expect("moved");
    let written = fs::read_to_string(&log).expect("a log").matches("INFO checkpoint").count();
    wait_until("checkpoints are written again", LIMIT, || {
        (fs::read_to_string(&log).ok()?.matches("INFO checkpoint").count() > written).then_some(())
    });
    drop(input);
    assert!(wait_until("the end", LIMIT, || child.try_wait().expect("a child")).success());
    let (whole, words) = setup.state("verify");
    assert!(whole, "{words}");
    let expected = Backtest::of(&city.records(), Some(&city.registry())).essences();
    assert_same(&setup.open_alerts(), &expected);
}

#[test]
fn two_do_not_share_a_state() {
    let city = City::simulate(200, 2, 3);
    let setup = Setup::new(&city.registry());
    let config = fs::read_to_string(setup.path("fundwatch.toml")).expect("a file");
    fs::write(setup.path("fundwatch.toml"), config.replace("kind = \"file\"", "kind = \"stdin\""))
        .expect("there is room");
    let mut first =
        setup.command().args(["run", "--config", "fundwatch.toml"]).stdin(Stdio::piped()).spawn().expect("it starts");
    wait_until("its lock", LIMIT, || setup.path("state/told").exists().then_some(()));
    let (well, words) = setup.run(&[]);
    assert!(!well && words.contains("another process uses the state in"), "{words}");
    drop(first.stdin.take());
    assert!(wait_until("the end", LIMIT, || first.try_wait().expect("a child")).success());
}

/// An S3 server; ended when dropped.
struct S3 {
    script: Child,
    address: String,
}

impl S3 {
    fn start() -> S3 {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/s3"))
            .arg("start")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/s3 starts");
        let mut address = String::new();
        BufReader::new(script.stdout.take().expect("piped")).read_line(&mut address).expect("its address");
        assert!(address.starts_with("http://"), "scripts/s3 says {address:?}");
        S3 { script, address: address.trim().to_owned() }
    }

    fn make_bucket(&self, name: &str) {
        let url = format!("{}/{name}", self.address);
        ureq::put(&url).send_empty().expect("the bucket is made");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        self.script.wait().ok();
    }
}

#[test]
fn checkpoints_in_a_bucket() {
    let city = City::simulate(1_000, 10, 3);
    let expected = Backtest::of(&city.records(), Some(&city.registry())).essences();
    let records = lines(&city);
    let lines: Vec<&[u8]> = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let s3 = S3::start();
    s3.make_bucket("fund");
    let setup = Setup::new(&city.registry());
    setup.configure(&format!(
        "url = \"s3://fund/watch/one\"\n[state.properties]\nendpoint = \"{}\"\nallow_http = \"true\"\n\
         region = \"nowhere\"\naccess_key_id = \"id\"\nsecret_access_key = \"none\"",
        s3.address
    ));
    for part in 1..4 {
        let (well, words) = setup.run(&lines[..lines.len() * part / 3]);
        assert!(well && words.contains("INFO checkpoint"), "{words}");
        assert_eq!(words.contains("a checkpoint is taken back"), part > 1, "{words}");
    }
    assert!(!setup.path("state/checkpoints").exists());
    assert_same(&setup.open_alerts(), &expected);
    let (whole, words) = setup.state("verify");
    assert!(whole && words.contains("whole"), "{words}");
    let (_, words) = setup.state("inspect");
    assert!(words.contains("s3://fund/watch/one"), "{words}");
}
