//! The SQLite store.

use super::{alert, alerts, context, eventually};
use fundwatch::alert::{Alert, AlertStatus};
use fundwatch::metrics::Metrics;
use fundwatch::record::Time;
use fundwatch::rules::rule::Severity;
use fundwatch::sink::store::{Filter, Known, Shadow, Store};
use fundwatch::sink::{Context, Fanout, Sink, SinkError, SinkQueue};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const REQUIRED: SinkQueue = SinkQueue { capacity: 1_000, required: true };

fn put(store: &Store, alerts: &[Alert]) {
    let mut sink = store.sink();
    for alert in alerts {
        sink.write(alert).expect("JSON");
    }
    sink.flush(&context()).expect("it can be written");
}

fn withdrawn(number: u128, revision: u32) -> Alert {
    Alert { status: AlertStatus::Withdrawn, withdrawn_reason: Some("gone"), ..alert(number, revision) }
}

fn numbers(bodies: &[String]) -> Vec<u128> {
    let number = |body: &String| {
        let alert: serde_json::Value = serde_json::from_str(body).expect("JSON");
        u128::from_str_radix(alert["alert_id"].as_str().expect("an id"), 16).expect("an id")
    };
    bodies.iter().map(number).collect()
}

fn listed(store: &Store, filter: Filter) -> Vec<u128> {
    numbers(&store.list(&filter, None, 1_000).expect("it can be read").alerts)
}

#[test]
fn filters_show_what_they_say() {
    let store = Store::open(None).expect("a store");
    put(&store, &alerts(0..100));
    put(&store, &[withdrawn(10, 2), Alert { shadow: true, ..alert(200, 1) }]);
    let where_is = |holds: &dyn Fn(u128) -> bool| (0..100).rev().filter(|number| holds(*number)).collect::<Vec<_>>();
    assert_eq!(listed(&store, Filter::default()), where_is(&|_| true));
    let rules = vec!["DUP-02".to_owned(), "VIS-04".to_owned()];
    assert_eq!(listed(&store, Filter { rules, ..Filter::default() }), where_is(&|n| n % 3 != 1));
    let severities = vec![Severity::Critical, Severity::Low];
    assert_eq!(listed(&store, Filter { severities, ..Filter::default() }), where_is(&|n| n % 4 == 3 || n % 4 == 0));
    assert_eq!(listed(&store, Filter { status: Some(AlertStatus::Withdrawn), ..Filter::default() }), [10]);
    assert_eq!(listed(&store, Filter { person: Some("P7".to_owned()), ..Filter::default() }), [7]);
    let institution = Some("H3".to_owned());
    assert_eq!(listed(&store, Filter { institution, ..Filter::default() }), where_is(&|n| n % 5 == 3));
    let time = |number: i64| Some(Time(alert(0, 1).finding.event_time.0 + number * 60));
    let span = Filter { since: time(20), until: time(30), ..Filter::default() };
    assert_eq!(listed(&store, span), where_is(&|n| (20..30).contains(&n)));
    let amount = Filter { min_amount: Some(90_001), ..Filter::default() };
    assert_eq!(listed(&store, amount), where_is(&|n| n >= 90 && n % 7 != 0), "no amount is not enough");
    let text = |text: &str| listed(&store, Filter { text: Some(text.to_owned()), ..Filter::default() });
    assert_eq!(text("第42次"), [42]);
    assert_eq!(text("NUMBER 42,"), [42]);
    assert_eq!(text("m55/1"), [55], "ids of evidence are found");
    assert_eq!(text("%"), [] as [u128; 0], "signs of SQL stand for themselves");
    assert_eq!(listed(&store, Filter { shadow: Shadow::Only, ..Filter::default() }), [200]);
    assert_eq!(listed(&store, Filter { shadow: Shadow::Include, ..Filter::default() }).len(), 101);
}

#[test]
fn paging_shows_each_alert_once_while_others_come_and_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(Some(&folder.path().join("alerts.db"))).expect("a store");
    put(&store, &alerts(0..25));
    let mut seen = Vec::new();
    let mut next = None;
    let mut round = 0;
    loop {
        let page = store.list(&Filter::default(), next, 10).expect("it can be read");
        seen.extend(numbers(&page.alerts));
        next = page.next;
        // Between two pages new alerts come and old ones are revised.
        round += 1;
        put(&store, &[alert(100 + round, 1), alert(3, round as u32 + 1), alert(20, round as u32 + 1)]);
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
    let exact = store.list(&Filter::default(), None, 28).expect("it can be read");
    assert_eq!((exact.alerts.len(), exact.next), (28, None), "a last page that is full has no next");
}

#[test]
fn an_alert_has_all_its_revisions_and_repetitions_change_nothing() {
    let store = Store::open(None).expect("a store");
    put(&store, &[alert(1, 1), alert(1, 2)]);
    put(&store, &[alert(1, 2), alert(1, 1), withdrawn(1, 3), alert(1, 2)]);
    let history = store.get(&alert(1, 1).alert_id.to_string()).expect("it can be read").expect("it is there");
    let expected = [alert(1, 1), alert(1, 2), withdrawn(1, 3)];
    let expected: Vec<_> = expected.iter().map(|alert| serde_json::to_string(alert).expect("JSON")).collect();
    assert_eq!(history.revisions, expected);
    let page = store.list(&Filter::default(), None, 10).expect("it can be read");
    assert_eq!(page.alerts, expected[2..], "the list shows the last revision");
    assert_eq!(store.get("00").expect("it can be read"), None);
    let counts = store.counts().expect("it can be read");
    assert_eq!((counts.len(), counts[0].alerts, counts[0].amount), (1, 1, 1_003));
    assert_eq!(counts[0].status, AlertStatus::Withdrawn);
}

fn known(store: &Store) -> Vec<Known> {
    let mut known = Vec::new();
    store.known(|alert| known.push(alert)).expect("it can be read");
    known
}

#[test]
fn what_is_known_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/alerts.db");
    let shadow = Alert { shadow: true, ..alert(9, 1) };
    let alerts = [alert(1, 1), alert(7, 1), alert(1, 2), withdrawn(7, 2), shadow.clone()];
    put(&Store::open(Some(&path)).expect("a store"), &alerts);
    let found = known(&Store::open(Some(&path)).expect("the same store"));
    let expected = |alert: Alert| Known { alert, delivered: true };
    assert_eq!(found, [expected(alert(1, 2)), expected(withdrawn(7, 2)), expected(shadow)]);
}

/// A sink that never gets anything delivered.
struct Stuck;

impl Sink<Alert> for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn write(&mut self, _: &Alert) -> Result<(), SinkError> {
        Ok(())
    }

    fn flush(&mut self, context: &Context) -> Result<(), SinkError> {
        loop {
            context.pause(Duration::from_secs(1))?;
        }
    }
}

#[test]
fn a_revision_counts_as_delivered_only_when_all_other_sinks_have_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("alerts.db");
    let store = Store::open(Some(&path)).expect("a store");
    let alone: Vec<(Box<dyn Sink<Alert>>, _)> = vec![(Box::new(store.sink()), REQUIRED)];
    let mut fanout = Fanout::start(alone, &Metrics::new());
    fanout.send(1, &alerts(0..2)).expect("there is room");
    assert_eq!(fanout.close(Duration::from_secs(20)), []);

    let store = Store::open(Some(&path)).expect("the same store");
    let sinks: Vec<(Box<dyn Sink<Alert>>, _)> = vec![(Box::new(store.sink()), REQUIRED), (Box::new(Stuck), REQUIRED)];
    let mut fanout = Fanout::start(sinks, &Metrics::new());
    fanout.send(1, &Arc::from([alert(0, 2), alert(2, 1)])).expect("there is room");
    eventually("the store has the alerts", || known(&store).len() == 3);
    fanout.close(Duration::from_millis(100));
    let delivered: Vec<_> = known(&store).iter().map(|known| (known.alert.alert_id.0, known.delivered)).collect();
    assert_eq!(delivered, [(0, false), (1, true), (2, false)]);

    let sinks: Vec<(Box<dyn Sink<Alert>>, _)> = vec![(Box::new(store.sink()), REQUIRED)];
    let mut fanout = Fanout::start(sinks, &Metrics::new());
    fanout.send(1, &Arc::from([alert(0, 2), alert(2, 1)])).expect("there is room");
    assert_eq!(fanout.close(Duration::from_secs(20)), []);
    assert!(known(&store).iter().all(|known| known.delivered), "sent again after the restart");
}

#[test]
fn a_locked_store_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("alerts.db");
    let store = Store::open(Some(&path)).expect("a store");
    let lock = rusqlite::Connection::open(&path).expect("the same file");
    lock.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let sinks: Vec<(Box<dyn Sink<Alert>>, _)> = vec![(Box::new(store.sink()), REQUIRED)];
    let fanout = Fanout::start(sinks, &Metrics::new());
    fanout.send(1, &alerts(0..5)).expect("there is room");
    eventually("the lock shows", || fanout.status()[0].trouble.is_some());
    assert_eq!(fanout.acknowledged(), 0);
    assert_eq!(listed(&store, Filter::default()), [] as [u128; 0], "reading goes on meanwhile");
    lock.execute_batch("ROLLBACK").expect("the lock is given back");
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    assert_eq!(listed(&store, Filter::default()).len(), 5);
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.db");
    rusqlite::Connection::open(&path).and_then(|db| db.execute_batch("CREATE TABLE t (x)")).expect("a database");
    let refused = |path: &PathBuf| Store::open(Some(path)).err().expect("it is refused").to_string();
    assert!(refused(&path).contains("another program"), "{}", refused(&path));
    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database, but long enough to look like one".repeat(100)).expect("a file");
    assert!(refused(&text).contains("not a database"), "{}", refused(&text));
    let newer = folder.path().join("newer.db");
    drop(Store::open(Some(&newer)).expect("a store"));
    rusqlite::Connection::open(&newer).and_then(|db| db.execute_batch("PRAGMA user_version = 99")).expect("a store");
    assert!(refused(&newer).contains("version 99"), "{}", refused(&newer));
}
