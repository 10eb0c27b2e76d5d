//! The mirror in Alertmanager, against receivers of every temper.

use super::{alert, eventually};
use crate::support::receiver::{Answer, Receiver};
use fundwatch::alert::scored::{Days, PeerGroup, Scored};
use fundwatch::alert::{Alert, AlertStatus, Finding};
use fundwatch::clock;
use fundwatch::metrics::Metrics;
use fundwatch::record::{Day, Time};
use fundwatch::rules::rule::Severity;
use fundwatch::sink::alertmanager::{Alertmanager, AlertmanagerSettings};
use fundwatch::sink::json_lines::JsonLines;
use fundwatch::sink::{Fanout, Sink, SinkQueue};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What no step takes on any machine.
const LIMIT: Duration = Duration::from_secs(20);

fn settings(receiver: &Receiver) -> AlertmanagerSettings {
    AlertmanagerSettings {
        url: receiver.url.clone(),
        min_severity: Severity::Low,
        resend_interval: Duration::from_secs(600),
        limit: 10_000,
        timeout: Duration::from_millis(300),
        max_backoff: Duration::from_millis(100),
        link: None,
    }
}

struct Mirror {
    fanout: Fanout<Alert>,
    metrics: Metrics,
    sequence: u64,
}

impl Mirror {
    fn start(settings: AlertmanagerSettings) -> Self {
        let metrics = Metrics::new();
        let sink: Box<dyn Sink<Alert>> = Box::new(Alertmanager::new(settings).expect("an address"));
        let fanout = Fanout::start(vec![(sink, SinkQueue { capacity: 100_000, required: true })], &metrics);
        Self { fanout, metrics, sequence: 0 }
    }

    /// Hands alerts over; that never waits for Alertmanager.
    fn send(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        self.sequence += 1;
        self.fanout.send(self.sequence, &alerts.into_iter().collect()).expect("there is room");
        assert!(self.fanout.wait_for(self.sequence, LIMIT));
    }

    fn trouble(&self) -> Option<String> {
        self.fanout.status()[0].trouble.clone()
    }
}

fn of_severity(number: u128, severity: Severity) -> Alert {
    let alert = alert(number, 1);
    let finding = Finding { severity, ..(*alert.finding).clone() };
    Alert { finding: Arc::new(finding), ..alert }
}

fn withdrawn(number: u128, revision: u32) -> Alert {
    Alert { status: AlertStatus::Withdrawn, ..alert(number, revision) }
}

/// All alerts of all requests, in order.
fn posted(receiver: &Receiver) -> Vec<Value> {
    let requests = receiver.requests.lock().clone();
    let posts = requests.iter().flat_map(|request| serde_json::from_str::<Vec<Value>>(&request.body).expect("a list"));
    posts.collect()
}

/// The number of a posted alert, and whether it is over.
fn number(post: &Value) -> (u128, bool) {
    let id = post["labels"]["alert_id"].as_str().expect("an id");
    (u128::from_str_radix(id, 16).expect("an id"), millis(&post["endsAt"]) <= clock::now_millis())
}

fn millis(time: &Value) -> i64 {
    time.as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time").as_millisecond()
}

#[test]
fn an_alert_goes_out_with_labels_words_and_an_end() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let link = Some("https://fundwatch.example/".to_owned());
    let mut mirror =
        Mirror::start(AlertmanagerSettings { link, min_severity: Severity::Medium, ..settings(&receiver) });
    let scored = Scored {
        score: 3.0,
        p_value: 0.01,
        q_value: 0.02,
        confirmation_probability: None,
        window: Days { from: Day::parse(b"2026-02-23").expect("a day"), to: Day::parse(b"2026-03-01").expect("a day") },
        reads_from: Day::parse(b"2026-02-23").expect("a day"),
        peers: PeerGroup { group: String::new(), entities: 40 },
        contributions: Vec::new(),
    };
    let judged = Finding { scored: Some(Box::new(scored)), ..(*alert(1, 2).finding).clone() };
    let shadow = Alert { shadow: true, ..alert(3, 1) };
    let before = clock::now_millis();
    // Number 4 is of low severity.
    mirror.send([alert(4, 1), Alert { finding: Arc::new(judged), ..alert(1, 2) }, shadow]);
    eventually("a request", || !receiver.requests.lock().is_empty());
    let request = receiver.requests.lock()[0].clone();
    assert_eq!(request.line, "POST /alerts/api/v2/alerts HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    let mut posts = posted(&receiver);
    assert_eq!(posts.len(), 1, "neither a mild one nor one in shadow");
    let ends = posts[0].as_object_mut().expect("an object").remove("endsAt").expect("an end");
    let lease = 4 * 600_000;
    assert!((before + lease..=clock::now_millis() + lease).contains(&millis(&ends)), "{ends}");
    let expected = json!({
        "labels": {
            "alertname": "STY-01",
            "severity": "medium",
            "subject_kind": "person",
            "institution": "H1",
            "alert_id": format!("{:032x}", 1),
        },
        "annotations": {
            "summary": "visit settled twice",
            "summary_zh": "重复结算",
            "description": "number 1, 6 days apart",
            "description_zh": "第1次，相隔 6 天",
            "result": "violation",
            "amount_at_issue_yuan": "10.02",
            "legal_basis": "reg-2021-38",
            "event_time": "2026-03-01 08:01:00",
            "window": "2026-02-23/2026-03-01",
            "rule_version": "0123456789abcdef",
            "revision": "2",
        },
        // Ten o'clock in Shanghai.
        "startsAt": "2026-03-02T02:00:00Z",
        "generatorURL": format!("https://fundwatch.example/api/alerts/{:032x}", 1),
    });
    assert_eq!(posts[0], expected);
}

#[test]
fn a_beginning_ahead_of_the_clock_is_now() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let mut mirror = Mirror::start(settings(&receiver));
    mirror.send([Alert { detected_at: Time(clock::now().0 + 86_400), ..alert(1, 1) }]);
    eventually("a request", || !receiver.requests.lock().is_empty());
    let post = &posted(&receiver)[0];
    assert!(millis(&post["startsAt"]) <= clock::now_millis(), "{post}");
}

#[test]
fn what_is_withdrawn_ends_at_once() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let mut mirror = Mirror::start(settings(&receiver));
    mirror.send([alert(1, 1), alert(2, 1)]);
    eventually("both", || posted(&receiver).len() == 2);
    // What comes and goes within a second is not told.
    mirror.send([withdrawn(1, 2), alert(3, 1), withdrawn(3, 2)]);
    eventually("an end", || posted(&receiver).len() == 3);
    let posts = posted(&receiver);
    assert_eq!(number(&posts[2]), (1, true));
    assert_eq!(posts[2]["labels"], posts[0]["labels"]);
    assert_eq!(posts[2]["annotations"], posts[0]["annotations"], "a message of the end has words too");
    mirror.send([alert(1, 3)]);
    eventually("it again", || posted(&receiver).len() == 4);
    assert_eq!(number(&posted(&receiver)[3]), (1, false));
}

#[test]
fn another_severity_takes_the_place_of_the_one_before() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let mut mirror = Mirror::start(AlertmanagerSettings { min_severity: Severity::Medium, ..settings(&receiver) });
    mirror.send([of_severity(1, Severity::Medium)]);
    eventually("it", || posted(&receiver).len() == 1);
    mirror.send([of_severity(1, Severity::High)]);
    eventually("both", || posted(&receiver).len() == 3);
    let severities = |posts: &[Value]| -> Vec<(String, bool)> {
        posts.iter().map(|post| (post["labels"]["severity"].to_string(), number(post).1)).collect()
    };
    let expected = [("\"medium\"", false), ("\"medium\"", true), ("\"high\"", false)];
    let expected = |count| expected[..count].iter().map(|(severity, over)| ((*severity).to_owned(), *over));
    assert_eq!(severities(&posted(&receiver)), expected(3).collect::<Vec<_>>());
    // One that has become too mild is not open any more, to Alertmanager.
    mirror.send([of_severity(1, Severity::Low)]);
    eventually("its end", || posted(&receiver).len() == 4);
    assert_eq!(severities(&posted(&receiver)[3..]), [("\"high\"".to_owned(), true)]);
}

#[test]
fn everything_is_sent_again_in_parts() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let mut mirror =
        Mirror::start(AlertmanagerSettings { resend_interval: Duration::from_secs(2), ..settings(&receiver) });
    mirror.send((0..600).map(|number| alert(number, 1)));
    eventually("two rounds", || posted(&receiver).len() >= 1_200);
    let sizes: Vec<usize> = receiver
        .requests
        .lock()
        .iter()
        .map(|request| serde_json::from_str::<Vec<Value>>(&request.body).expect("a list").len())
        .collect();
    assert_eq!(sizes[..6], [256, 256, 88, 256, 256, 88]);
    let second: BTreeSet<_> = posted(&receiver)[600..1_200].iter().map(number).collect();
    assert_eq!(second, (0..600).map(|number| (number, false)).collect());
}

#[test]
fn an_outage_holds_up_nothing_and_then_it_has_what_stands() {
    for trouble in
        [|| Answer::Status(503, "Retry-After: 60\r\n"), || Answer::Hang, || Answer::Close] as [fn() -> Answer; 3]
    {
        let well = Arc::new(AtomicBool::new(false));
        let flag = well.clone();
        let receiver =
            Receiver::start(move |_| if flag.load(Ordering::Relaxed) { Answer::Status(200, "") } else { trouble() });
        let mut mirror = Mirror::start(settings(&receiver));
        let begun = Instant::now();
        mirror.send([alert(1, 1), alert(2, 1)]);
        mirror.send([withdrawn(1, 2), alert(3, 1)]);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        eventually("trouble", || mirror.trouble().is_some());
        assert!(mirror.fanout.status()[0].retries > 0);
        let tried = posted(&receiver).len();
        well.store(true, Ordering::Relaxed);
        eventually("it works", || mirror.trouble().is_none());
        let last: BTreeSet<_> = posted(&receiver)[tried..].iter().map(|post| number(post).0).collect();
        assert!(last.is_superset(&BTreeSet::from([2, 3])), "{last:?}");
        assert!(!last.contains(&1), "it was withdrawn before it could be told: {last:?}");
    }
}

#[test]
fn a_refusal_is_counted_and_told_and_offered_again() {
    let receiver = Receiver::start(|number| Answer::Status(if number == 0 { 400 } else { 200 }, ""));
    let mut mirror =
        Mirror::start(AlertmanagerSettings { resend_interval: Duration::from_secs(3), ..settings(&receiver) });
    mirror.send([alert(1, 1), alert(2, 1)]);
    eventually("trouble", || mirror.trouble().is_some());
    assert_eq!(mirror.trouble().as_deref(), Some("the answer was 400: ok"));
    assert_eq!(mirror.metrics.sink("alertmanager").undeliverable_so_far(), 2);
    mirror.send([alert(3, 1)]);
    eventually("what is good", || receiver.requests.lock().len() == 2);
    assert!(mirror.trouble().is_some(), "some of what is open is not there");
    eventually("the next round", || mirror.trouble().is_none());
    assert_eq!(posted(&receiver).len(), 2 + 1 + 3);
}

#[test]
fn of_more_than_fit_the_gravest_are_kept() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let mut mirror = Mirror::start(AlertmanagerSettings { limit: 2, ..settings(&receiver) });
    use Severity::{Critical, High, Low, Medium};
    let alerts = [(1, Medium), (2, Medium), (3, Medium), (4, Critical), (5, Low), (6, High)];
    mirror.send(alerts.map(|(number, severity)| of_severity(number, severity)));
    eventually("a request", || !receiver.requests.lock().is_empty());
    assert_eq!(posted(&receiver).iter().map(|post| number(post).0).collect::<Vec<_>>(), [4, 6]);
    assert_eq!(mirror.metrics.sink("alertmanager").left_out_so_far(), 4);
    // Once there is room again, whoever changes gets in.
    mirror.send([withdrawn(4, 2), of_severity(2, Medium)]);
    eventually("an end and another", || posted(&receiver).len() >= 4);
    let later: BTreeSet<_> = posted(&receiver)[2..4].iter().map(number).collect();
    assert_eq!(later, BTreeSet::from([(4, true), (2, false)]));
}

#[test]
fn what_stands_at_a_start_is_told_to_mirrors_alone() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let folder = tempfile::tempdir().expect("a folder");
    let file = JsonLines::open("file", folder.path().join("alerts.jsonl"), None).expect("a file");
    let sinks: Vec<Box<dyn Sink<Alert>>> =
        vec![Box::new(file), Box::new(Alertmanager::new(settings(&receiver)).expect("an address"))];
    let queue = SinkQueue { capacity: 2, required: true };
    let metrics = Metrics::new();
    let fanout = Fanout::start(sinks.into_iter().map(|sink| (sink, queue)).collect(), &metrics);
    assert!(fanout.has_mirror());
    fanout.send(1, &Arc::from([alert(1, 1)])).expect("there is room");
    // More than the queue holds.
    let standing: Arc<[Alert]> = (0..40).map(|number| alert(number, 1)).collect();
    assert!(fanout.restate_while(1, &standing, &mut || true).expect("there is room"));
    eventually("all", || posted(&receiver).iter().map(|post| number(post).0).collect::<BTreeSet<_>>().len() == 40);
    assert!(fanout.wait_for(1, LIMIT));
    let written = std::fs::read_to_string(folder.path().join("alerts.jsonl")).expect("the file");
    assert_eq!(written.lines().count(), 1);
}

#[test]
fn closing_posts_what_has_just_changed() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let mut mirror = Mirror::start(settings(&receiver));
    mirror.send([alert(1, 1)]);
    eventually("it", || posted(&receiver).len() == 1);
    mirror.send([withdrawn(1, 2)]);
    assert_eq!(mirror.fanout.close(LIMIT), []);
    assert_eq!(posted(&receiver).iter().map(number).collect::<Vec<_>>(), [(1, false), (1, true)]);
}

#[test]
fn an_address_must_be_one() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    for url in ["", "example.org:9093", "ftp://example.org/"] {
        assert!(
            Alertmanager::new(AlertmanagerSettings { url: url.to_owned(), ..settings(&receiver) }).is_err(),
            "{url}"
        );
    }
}
