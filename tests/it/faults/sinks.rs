//! Sinks that do not deliver for a while, under the whole program: nothing is lost, order is kept, queues are bounded,
//! the source is held up, and the outside is told.

use super::wait_for_answer;
use crate::support::receiver::{Answer, Receiver, free_address};
use crate::support::running::{LIMIT, Running};
use crate::support::{City, json_lines, wait_until};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// A required webhook with a queue of five, and a file of everything that went out.
const SMALL: [(&str, &str); 14] = [
    ("FUNDWATCH__SOURCE__KIND", "stdin"),
    ("FUNDWATCH__ENGINE__RETENTION", "unlimited"),
    ("FUNDWATCH__ENGINE__BATCH_MESSAGES", "64"),
    ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
    ("FUNDWATCH__SINKS__FILE__ENABLED", "true"),
    ("FUNDWATCH__SINKS__FILE__PATH", "alerts.jsonl"),
    ("FUNDWATCH__SINKS__WEBHOOK__ENABLED", "true"),
    ("FUNDWATCH__SINKS__WEBHOOK__QUEUE", "5"),
    ("FUNDWATCH__SINKS__WEBHOOK__TIMEOUT", "500ms"),
    ("FUNDWATCH__SINKS__WEBHOOK__RETRIES", "1000"),
    ("FUNDWATCH__SINKS__WEBHOOK__MAX_BACKOFF", "200ms"),
    ("FUNDWATCH__SINKS__WEBHOOK__DEAD_LETTER_PATH", "undelivered.jsonl"),
    ("FUNDWATCH__HTTP__READY_DELAY", "1s"),
    ("FUNDWATCH__HTTP__STALLED_AFTER", "2s"),
];

/// Keys of revisions as the webhook has them, in order.
fn keys(text: &str) -> Vec<String> {
    let key =
        |alert: serde_json::Value| format!("{}-{}", alert["alert_id"].as_str().unwrap_or_default(), alert["revision"]);
    json_lines(text).into_iter().map(key).collect()
}

/// Panics unless these are the same revisions, and those of each alert in order.
fn assert_delivered(taken: &[String], sent: &[String]) {
    let set = |keys: &[String]| keys.iter().cloned().collect::<BTreeSet<_>>();
    assert!(set(taken) == set(sent), "{} of {} revisions came", set(taken).len(), set(sent).len());
    let mut last: Vec<(String, u32)> = Vec::new();
    for key in taken {
        let (alert, revision) = key.split_once('-').expect("an alert and its revision");
        let revision: u32 = revision.parse().expect("a number");
        match last.iter_mut().find(|(known, _)| known == alert) {
            Some((_, before)) => {
                // The same may come twice, where an answer got lost.
                assert!(revision == *before + 1 || revision == *before, "{key} after {before}");
                *before = revision;
            }
            None => {
                assert_eq!(revision, 1, "{key}");
                last.push((alert.to_owned(), 1));
            }
        }
    }
}

/// A city on its way into the program, whose input ends when this is dropped.
struct Feed {
    written: Arc<AtomicUsize>,
    /// Held as long as the input must not end.
    _open: SyncSender<()>,
}

impl Feed {
    fn start(running: &mut Running, city: &City) -> Feed {
        let mut stdin = running.stdin();
        let records = std::fs::read(city.records()).expect("records");
        let written = Arc::new(AtomicUsize::new(0));
        let (open, ended) = sync_channel(0);
        let count = written.clone();
        std::thread::spawn(move || {
            for part in records.chunks(4_096) {
                if stdin.write_all(part).is_err() {
                    return;
                }
                count.fetch_add(part.len(), Ordering::Relaxed);
            }
            // An error says that it may end.
            let _ended = ended.recv();
        });
        Feed { written, _open: open }
    }

    /// Bytes that the program has read, or that wait in the pipe.
    fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }
}

fn resident(running: &Running) -> u64 {
    let path = format!("/proc/{}/status", running.child.id());
    let text = std::fs::read_to_string(path).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A receiver that is in trouble until the flag says otherwise.
fn outage(trouble: fn() -> Answer) -> (Receiver, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let flag = well.clone();
    let temper = move |_| if flag.load(Ordering::Relaxed) { Answer::Status(200, "") } else { trouble() };
    (Receiver::start(temper), well)
}

#[test]
fn an_outage_of_the_receiver_holds_everything_up_and_loses_nothing() {
    let city = City::simulate(3_000, 10, 5);
    let size = std::fs::metadata(city.records()).expect("records").len() as usize;
    for trouble in [|| Answer::Hang, || Answer::Status(500, "")] as [fn() -> Answer; 2] {
        let (receiver, well) = outage(trouble);
        let variables = [&SMALL[..], &[("FUNDWATCH__SINKS__WEBHOOK__URL", &*receiver.url)]].concat();
        let mut running = Running::start(&variables, Stdio::piped());
        let feed = Feed::start(&mut running, &city);

        let body = wait_for_answer(&running, "/healthz", 500, "the webhook sink is full and takes nothing");
        assert!(body.contains("stalled_after"), "{body}");
        wait_for_answer(&running, "/readyz", 503, "not ready: records wait");
        assert_eq!(running.metric("fundwatch_trouble{cause=\"stalled\"}"), Some(1.0));
        assert_eq!(running.metric("fundwatch_healthy"), Some(0.0));
        // What waits is bounded, and so is what it takes: whoever sends is held up.
        let (before, memory) = (feed.written(), resident(&running));
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(feed.written(), before, "nothing is read while nothing can leave");
        assert!(before < size / 2, "{before} of {size} bytes were read");
        let grown = resident(&running).saturating_sub(memory);
        assert!(grown < 4_096, "{grown} kB more");
        // One batch in hand, one queue full of others.
        let waits = running.metric("fundwatch_sink_queue_items{sink=\"webhook\"}").expect("a number");
        assert!(waits <= 300.0, "{waits}");

        well.store(true, Ordering::Relaxed);
        wait_for_answer(&running, "/healthz", 200, "");
        wait_for_answer(&running, "/readyz", 200, "");
        let written = feed.written.clone();
        drop(feed);
        assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
        assert_eq!(written.load(Ordering::Relaxed), size);
        assert!(running.read("words").contains("the sink works again after"), "{}", running.read("words"));
        assert_delivered(&receiver.taken.lock(), &keys(&running.read("alerts.jsonl")));
        assert_eq!(running.read("undelivered.jsonl"), "");
    }
}

#[test]
fn a_receiver_that_starts_later_gets_everything_also_after_the_end_of_the_input() {
    let city = City::simulate(3_000, 10, 5);
    let address = free_address();
    let url = format!("http://{address}/alerts");
    let more = [("FUNDWATCH__SINKS__WEBHOOK__URL", &*url), ("FUNDWATCH__SINKS__WEBHOOK__QUEUE", "100000")];
    let variables = [&SMALL[..], &more].concat();
    let mut running = Running::start(&variables, Stdio::piped());
    drop(Feed::start(&mut running, &city));
    wait_for_answer(&running, "/readyz", 503, "the webhook sink does not deliver: no answer");
    assert_eq!(running.metric("fundwatch_trouble{cause=\"sink\"}"), Some(1.0));
    assert_eq!(running.get("/healthz").0, 200, "the queue has room: it moves");
    // Longer than a shutdown may take: nobody has asked for one.
    std::thread::sleep(Duration::from_secs(9));
    assert!(running.child.try_wait().expect("ours").is_none(), "{}", running.read("words"));
    let receiver = Receiver::on(address, |_| Answer::Status(200, ""));
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    assert_delivered(&receiver.taken.lock(), &keys(&running.read("alerts.jsonl")));
}

#[test]
fn what_the_receiver_refuses_is_put_aside_and_the_rest_goes_on() {
    let city = City::simulate(3_000, 10, 5);
    let receiver = Receiver::start(|number| Answer::Status(if number % 3 == 0 { 400 } else { 200 }, ""));
    let variables = [&SMALL[..], &[("FUNDWATCH__SINKS__WEBHOOK__URL", &*receiver.url)]].concat();
    let mut running = Running::start(&variables, Stdio::piped());
    drop(Feed::start(&mut running, &city));
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    let aside = json_lines(&running.read("undelivered.jsonl"));
    let aside: Vec<String> = aside.iter().filter_map(|letter| letter["key"].as_str().map(str::to_owned)).collect();
    let taken = receiver.taken.lock().clone();
    let mut all = [taken.clone(), aside.clone()].concat();
    let mut sent = keys(&running.read("alerts.jsonl"));
    all.sort();
    sent.sort();
    assert!(aside.len() > 10 && taken.len() > 10, "{} and {}", aside.len(), taken.len());
    assert_eq!(all, sent);
}

#[test]
fn a_store_that_another_process_has_locked_is_waited_for() {
    let city = City::simulate(3_000, 10, 5);
    let more = [
        ("FUNDWATCH__SINKS__WEBHOOK__ENABLED", "false"),
        ("FUNDWATCH__SINKS__SQLITE__PATH", "alerts.sqlite"),
        ("FUNDWATCH__SINKS__SQLITE__QUEUE", "5"),
    ];
    let variables = [&SMALL[..], &more].concat();
    let mut running = Running::start(&variables, Stdio::piped());
    running.address();
    let lock = rusqlite::Connection::open(running.path("alerts.sqlite")).expect("the store");
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let locked = Instant::now();
    let feed = Feed::start(&mut running, &city);
    wait_for_answer(&running, "/healthz", 500, "the sqlite sink is full and takes nothing");
    wait_until("the trouble shows", LIMIT, || {
        let sinks = running.status()["sinks"].clone();
        let store = sinks.as_array()?.iter().find(|sink| sink["name"] == "sqlite")?;
        store["trouble"].as_str()?.contains("locked").then_some(())
    });
    let before = feed.written();
    std::thread::sleep(Duration::from_secs(6).saturating_sub(locked.elapsed()));
    assert_eq!(feed.written(), before, "it waits");
    lock.execute_batch("ROLLBACK").expect("the lock is given back");
    drop(feed);
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    let mut stored = lock.prepare("SELECT alert_id || '-' || revision FROM revisions ORDER BY id").expect("a query");
    let stored: Vec<String> = stored.query_map([], |row| row.get(0)).expect("rows").flatten().collect();
    assert_eq!(stored, keys(&running.read("alerts.jsonl")), "in the order in which they went out");
}

#[test]
fn a_file_that_a_dying_process_still_holds_is_waited_for() {
    let variables = [("FUNDWATCH__DEAD_LETTERS__PATH", "dead.jsonl"), ("FUNDWATCH__SOURCE__KIND", "stdin")];
    let mut first = Running::start(&variables, Stdio::piped());
    first.address();
    // What a killed process holds is free once its memory is given back, which takes a while.
    drop(first.child.kill());
    let held = std::fs::File::open(first.path("dead.jsonl")).expect("the file");
    wait_until("the lock", LIMIT, || held.try_lock().ok());
    let mut second = Running::start_in(first.dir(), &variables, Stdio::piped());
    std::thread::sleep(Duration::from_secs(1));
    assert!(second.child.try_wait().expect("ours").is_none(), "{}", second.read("words"));
    drop(held);
    second.address();
    drop(second.stdin());
    assert_eq!(second.end().0, Some(0), "{}", second.read("words"));
}
