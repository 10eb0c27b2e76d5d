//! JSON Lines files, dead letters, the terminal.

use super::{alert, alerts, context};
use fundwatch::alert::{Alert, AlertStatus};
use fundwatch::metrics::Metrics;
use fundwatch::record::Batch;
use fundwatch::record::decode::{Bad, BadKind};
use fundwatch::sink::dead_letter::DeadLetterFile;
use fundwatch::sink::json_lines::{JsonLines, Rotation};
use fundwatch::sink::terminal::{Style, Terminal};
use fundwatch::sink::{Fanout, Sink, SinkError, SinkQueue};
use parking_lot::Mutex;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn write(file: &mut JsonLines, alerts: &[Alert]) -> Result<(), SinkError> {
    for alert in alerts {
        Sink::<Alert>::write(file, alert)?;
    }
    Sink::<Alert>::flush(file, &context())
}

fn ids(path: &Path) -> Vec<u128> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let id = |line: &str| {
        let alert: serde_json::Value = serde_json::from_str(line).expect("a whole line of JSON");
        u128::from_str_radix(alert["alert_id"].as_str().expect("an id"), 16).expect("an id")
    };
    text.lines().map(id).collect()
}

#[test]
fn files_rotate_by_size_and_old_ones_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out/alerts.jsonl");
    let one = serde_json::to_string(&alert(1, 1)).expect("JSON").len() as u64;
    // Two alerts fill a file, also where they are a little shorter than the first one.
    let rotation = Rotation { bytes: one * 3 / 2, keep: 2 };
    let mut file = JsonLines::open("file", &path, Some(rotation)).expect("a file");
    for number in 1..=9 {
        write(&mut file, &[alert(number, 1)]).expect("it can be written");
    }
    let numbered = |number: u32| path.with_file_name(format!("alerts.jsonl.{number}"));
    assert_eq!((ids(&path), ids(&numbered(1)), ids(&numbered(2))), (vec![9], vec![7, 8], vec![5, 6]));
    assert!(!numbered(3).exists());
}

#[test]
fn a_line_that_a_crash_cut_off_is_removed_and_the_file_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("alerts.jsonl");
    let mut text = serde_json::to_string(&alert(1, 1)).expect("JSON");
    text.push_str("\n{\"alert_id\":\"00");
    text.push_str(&"x".repeat(100_000));
    fs::write(&path, text).expect("it can be written");
    let mut file = JsonLines::open("file", &path, None).expect("a file");
    write(&mut file, &[alert(2, 1)]).expect("it can be written");
    assert_eq!(ids(&path), [1, 2]);
    let second = JsonLines::open("file", &path, None).err().expect("one process at a time");
    assert!(second.to_string().contains("another process"), "{second}");
}

#[test]
fn a_disk_without_room_is_waited_for() {
    // Writing to /dev/full fails as a full disk does.
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let file = JsonLines::open("file", full, None).expect("it can be opened");
    let queue = SinkQueue { capacity: 10, required: true };
    let mut fanout = Fanout::start(vec![(Box::new(file) as Box<dyn Sink<Alert>>, queue)], &Metrics::new());
    fanout.send(1, &alerts(0..1)).expect("there is room");
    super::eventually("the trouble shows", || fanout.status()[0].retries > 1);
    assert!(fanout.failure().is_none());
    assert!(fanout.status()[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("/dev/full")));
    assert_eq!(fanout.close(Duration::from_millis(50)).len(), 1);
}

#[test]
fn dead_letters_hold_the_bytes_their_place_and_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.jsonl");
    fs::write(&path, "left by a former run\n").expect("it can be written");
    let batch = Batch::of_lines("records.jsonl", b"{\"type\":\"x\", \"\xe5\x8c\xbb\"}\n\n\xff\xfe\n");
    let bad = [
        Bad { line: 0, kind: BadKind::NotJson, reason: "a colon is missing".to_owned(), late: 0 },
        Bad { line: 1, kind: BadKind::NotUtf8, reason: "byte 0 is not UTF-8".to_owned(), late: 0 },
    ];
    DeadLetterFile::create(&path).expect("a file").write(&batch, &bad).expect("it can be written");
    let text = fs::read_to_string(&path).expect("the file");
    let letters: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(letters.len(), 2);
    let field = |number: usize, name: &str| letters[number][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(field(0, "record"), "{\"type\":\"x\", \"医\"}");
    assert_eq!((field(0, "encoding"), field(0, "source")), ("text".to_owned(), "records.jsonl:1".to_owned()));
    assert_eq!((field(0, "kind"), field(0, "contract")), ("not_json".to_owned(), "1: records are JSON".to_owned()));
    assert_eq!((field(1, "encoding"), field(1, "record")), ("base64".to_owned(), "//4=".to_owned()));
    assert_eq!((field(1, "source"), field(1, "reason")), ("records.jsonl:3".to_owned(), bad[1].reason.clone()));
}

/// An output that can be looked at.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_terminal_shows_one_aligned_line_for_each_alert() {
    let screen = Screen::default();
    let style = Style { color: false, json: false, chinese: false };
    let mut terminal = Terminal::new(style, Box::new(screen.clone()), None);
    let withdrawn = Alert {
        status: AlertStatus::Withdrawn,
        withdrawn_reason: Some("the records no longer support it"),
        ..alert(7, 2)
    };
    for alert in [alert(2, 1), alert(4, 3), withdrawn] {
        terminal.write(&alert).expect("it can be written");
    }
    terminal.flush(&context()).expect("it can be written");
    let text = String::from_utf8(screen.0.lock().clone()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "10:00:00  high       VIS-04  重复结算 visit settled twice                  person P2                          \
         ¥20.01  number 2, 6 days apart",
            "10:00:00  low        STY-01  重复结算 visit settled twice                  person P4                          \
         ¥40.03  number 4, 6 days apart [revision 3]",
            "10:00:00  withdrawn  STY-01  重复结算 visit settled twice                  person P7                               \
         -  number 7, 6 days apart (the records no longer support it)",
        ]
    );
}
