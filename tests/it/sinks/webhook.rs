//! The webhook against receivers of every temper.

use super::{alert, alerts, eventually};
use crate::support::receiver::{Answer, Receiver};
use fundwatch::alert::Alert;
use fundwatch::metrics::Metrics;
use fundwatch::sink::webhook::{Webhook, WebhookSettings, signature};
use fundwatch::sink::{Fanout, Sink, SinkQueue};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn settings(url: &str, folder: &Path) -> WebhookSettings {
    WebhookSettings {
        url: url.to_owned(),
        secret: Some("geheim".to_owned()),
        timeout: Duration::from_millis(300),
        retries: 2,
        max_backoff: Duration::from_millis(20),
        dead_letter_path: folder.join("undelivered.jsonl"),
    }
}

fn start(settings: WebhookSettings) -> Fanout<Alert> {
    let sink: Box<dyn Sink<Alert>> = Box::new(Webhook::new(settings).expect("a webhook"));
    Fanout::start(vec![(sink, SinkQueue { capacity: 100, required: true })], &Metrics::new())
}

fn dead_letters(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("undelivered.jsonl")).expect("the file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_post_is_signed_and_says_which_revision_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let fanout = start(settings(&receiver.url, folder.path()));
    fanout.send(1, &Arc::from([alert(1, 1), alert(1, 2), alert(2, 1)])).expect("there is room");
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    let requests = receiver.requests.lock().clone();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        let timestamp = &request.headers["x-fundwatch-timestamp"];
        assert_eq!(request.headers["x-fundwatch-signature"], signature("geheim", timestamp, &request.body));
        assert_eq!(request.headers["content-type"], "application/json");
        assert!(timestamp.parse::<u64>().is_ok_and(|seconds| seconds > 1_700_000_000));
    }
    let of_the_first: Vec<_> =
        receiver.keys().into_iter().filter(|key| key.starts_with(&format!("{:032x}", 1))).collect();
    assert_eq!(of_the_first, [format!("{:032x}-1", 1), format!("{:032x}-2", 1)], "revisions come in order");
    let first = requests.iter().find(|request| request.headers["idempotency-key"].ends_with("1-1"));
    assert_eq!(first.map(|first| &first.body), Some(&serde_json::to_string(&alert(1, 1)).expect("JSON")));
}

#[test]
fn what_may_pass_is_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(|number| match number {
        0 => Answer::Status(500, ""),
        1 => Answer::Close,
        _ => Answer::Status(200, ""),
    });
    let fanout = start(settings(&receiver.url, folder.path()));
    fanout.send(1, &alerts(1..2)).expect("there is room");
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    assert_eq!(receiver.keys(), vec![format!("{:032x}-1", 1); 3]);
    assert_eq!(fanout.status()[0].retries, 2);
    assert!(dead_letters(folder.path()).is_empty());
}

#[test]
fn a_refusal_is_put_aside_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(|_| Answer::Status(400, ""));
    let fanout = start(settings(&receiver.url, folder.path()));
    fanout.send(1, &alerts(1..3)).expect("there is room");
    assert!(fanout.wait_for(1, Duration::from_secs(20)), "put aside counts as done");
    assert_eq!(receiver.keys().len(), 2, "a refusal is not tried again");
    let mut letters = dead_letters(folder.path());
    letters.sort_by_key(|letter| letter["key"].to_string());
    assert_eq!(letters.len(), 2);
    assert_eq!((&letters[0]["attempts"], &letters[0]["reason"]), (&1.into(), &"the answer was 400".into()));
    assert_eq!(letters[0]["alert"], serde_json::to_value(alert(1, 1)).expect("JSON"));
}

#[test]
fn redirects_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(|_| Answer::Status(302, "Location: http://127.0.0.1:9/\r\n"));
    let fanout = start(settings(&receiver.url, folder.path()));
    fanout.send(1, &alerts(1..2)).expect("there is room");
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    assert_eq!(dead_letters(folder.path())[0]["reason"], "the answer was 302");
}

#[test]
fn a_receiver_that_hangs_or_is_not_there_is_given_up_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let hanging = Receiver::start(|_| Answer::Hang);
    // A port that was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    for (url, words) in [(hanging.url.clone(), "timeout"), (format!("http://{nobody}/"), "refused")] {
        let folder = folder.path().join(words);
        let fanout = start(settings(&url, &folder));
        fanout.send(1, &alerts(1..2)).expect("there is room");
        assert!(fanout.wait_for(1, Duration::from_secs(20)));
        let letters = dead_letters(&folder);
        assert_eq!(letters[0]["attempts"], 3);
        let reason = letters[0]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.to_lowercase().contains(words), "{reason}");
    }
}

#[test]
fn the_receiver_may_say_how_long_to_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(|number| match number {
        0 => Answer::Status(429, "Retry-After: 1\r\n"),
        _ => Answer::Status(200, ""),
    });
    let settings = WebhookSettings { max_backoff: Duration::from_secs(5), ..settings(&receiver.url, folder.path()) };
    let fanout = start(settings);
    let begun = Instant::now();
    fanout.send(1, &alerts(1..2)).expect("there is room");
    assert!(fanout.wait_for(1, Duration::from_secs(20)));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn closing_does_not_wait_for_a_long_pause() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(|_| Answer::Status(503, "Retry-After: 60\r\n"));
    let settings = WebhookSettings { max_backoff: Duration::from_secs(60), ..settings(&receiver.url, folder.path()) };
    let mut fanout = start(settings);
    fanout.send(1, &alerts(1..2)).expect("there is room");
    eventually("the first attempt", || !receiver.keys().is_empty());
    let begun = Instant::now();
    assert_eq!(fanout.close(Duration::from_millis(100)).len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(fanout.acknowledged(), 0, "it comes again after a restart");
    assert!(dead_letters(folder.path()).is_empty());
}

#[test]
fn an_address_must_be_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for url in ["", "example.org/alerts", "ftp://example.org/", "http//x"] {
        assert!(Webhook::new(settings(url, folder.path())).is_err(), "{url}");
    }
}
