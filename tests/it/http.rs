//! The HTTP server, over real connections.

use crate::sinks::{alert, alerts, context, eventually};
use fundwatch::alert::Alert;
use fundwatch::http::{Server, State};
use fundwatch::metrics::Metrics;
use fundwatch::sink::Sink;
use fundwatch::sink::live::{self, BACKLOG, Live, LiveSender};
use fundwatch::sink::store::Store;
use fundwatch::status::{Board, RuleTotals};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Setup {
    server: Server,
    store: Store,
    live: LiveSender,
    board: Board,
    metrics: Arc<Metrics>,
}

impl Setup {
    fn new() -> Self {
        let store = Store::open(None).expect("a store");
        let (live, board, metrics) = (live::sender(), Board::new(), Arc::new(Metrics::new()));
        let state =
            State { store: Some(store.clone()), metrics: metrics.clone(), board: board.clone(), live: live.clone() };
        let server = Server::start("127.0.0.1:0", state).expect("a free port");
        Self { server, store, live, board, metrics }
    }

    fn put(&self, alerts: &[Alert]) {
        let mut sinks: [Box<dyn Sink<Alert>>; 2] = [Box::new(self.store.sink()), Box::new(Live(self.live.clone()))];
        for sink in &mut sinks {
            for alert in alerts {
                sink.write(alert).expect("JSON");
            }
            sink.flush(&context()).expect("it can be written");
        }
    }

    /// Sends a request by hand, and returns the status and the whole answer.
    fn ask(&self, path: &str, headers: &str) -> (u16, String) {
        let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let method = if path.starts_with('/') { "GET " } else { "" };
        let mut stream = TcpStream::connect(self.server.address()).expect("a connection");
        let request = format!("{method}{path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it can be sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, answer) = self.ask(path, "");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

fn ids(body: &Value) -> Vec<u128> {
    let id = |alert: &Value| u128::from_str_radix(alert["alert_id"].as_str().expect("an id"), 16).expect("an id");
    body["alerts"].as_array().expect("a list").iter().map(id).collect()
}

#[test]
fn alerts_are_listed_filtered_and_paged() {
    let setup = Setup::new();
    setup.put(&alerts(0..30));
    let (status, body) = setup.get("/api/alerts?limit=10");
    assert_eq!((status, ids(&body)), (200, (20..30).rev().collect()));
    assert_eq!(body["alerts"][0], serde_json::to_value(alert(29, 1)).expect("JSON"), "as the contract has it");
    setup.put(&alerts(100..110));
    let next = body["next"].as_str().expect("a next page").to_owned();
    let (_, body) = setup.get(&format!("/api/alerts?limit=20&cursor={next}"));
    assert_eq!((ids(&body), &body["next"]), ((0..20).rev().collect(), &Value::Null));
    let filters = "rule=STY-01,VIS-04&status=open&severity=high&institution=H2&since=2026-03-01&min_amount=20";
    assert_eq!(ids(&setup.get(&format!("/api/alerts?{filters}")).1), [22, 2]);
    assert_eq!(ids(&setup.get("/api/alerts?person=P7").1), [7]);
    assert_eq!(ids(&setup.get("/api/alerts?q=%E7%AC%AC17%E6%AC%A1").1), [17], "第17次");
}

#[test]
fn one_alert_comes_with_its_revisions() {
    let setup = Setup::new();
    setup.put(&[alert(5, 1), alert(5, 2)]);
    let (status, body) = setup.get(&format!("/api/alerts/{}", alert(5, 1).alert_id));
    assert_eq!(status, 200);
    assert_eq!(body["alert"], body["revisions"][1]);
    assert_eq!((&body["revisions"][0]["revision"], &body["shadow"]), (&1.into(), &false.into()));
    let (status, body) = setup.get("/api/alerts/42");
    assert_eq!(status, 404);
    assert!(body["error"].as_str().is_some_and(|words| words.contains("32 hexadecimal digits")), "{body}");
}

#[test]
fn mistakes_are_answered_with_a_sentence() {
    let setup = Setup::new();
    for (path, status, words) in [
        ("/api/alerts?sevrity=high", 400, "did you mean `severity`?"),
        ("/api/alerts?since=yesterday", 400, "2026-03-31"),
        ("/api/alert", 404, "/api/alerts"),
        ("POST /api/alerts", 405, "GET only"),
    ] {
        let (found, body) = setup.get(path);
        let said = body["error"].as_str().unwrap_or_default();
        assert!(found == status && said.contains(words), "{path}: {found} {said}");
    }
    let state = State { store: None, metrics: setup.metrics.clone(), board: Board::new(), live: live::sender() };
    let bare = Setup { server: Server::start("127.0.0.1:0", state).expect("a port"), ..Setup::new() };
    let (status, body) = bare.get("/api/alerts");
    assert_eq!(status, 503);
    assert!(body["error"].as_str().is_some_and(|words| words.contains("sinks.sqlite")), "{body}");
}

#[test]
fn health_readiness_metrics_and_status_follow_the_pipeline() {
    let setup = Setup::new();
    assert_eq!(setup.ask("/healthz", "").0, 200);
    let (status, body) = setup.get("/readyz");
    assert_eq!((status, body["error"].as_str()), (503, Some("not ready: it is starting")));
    setup.board.update(|status| {
        (status.ready, status.trouble) = (true, None);
        status.records.received = 12;
        status.rules = vec![RuleTotals { id: "DUP-02".into(), open: 3, amount: 12_345, ..RuleTotals::default() }];
    });
    assert_eq!(setup.ask("/readyz", "").0, 200);
    let (_, status) = setup.get("/api/status");
    assert_eq!(status["records"]["received"], 12);
    assert_eq!(
        (&status["rules"][0]["id"], &status["rules"][0]["amount_at_issue"]),
        (&"DUP-02".into(), &"123.45".into())
    );
    setup.metrics.sizes(&setup.board.read(|status| status.rules.clone()), &[], &[]);
    assert!(setup.ask("/metrics", "").1.contains("fundwatch_open_amount_at_issue_yuan{rule=\"DUP-02\"} 123.45"));
    setup.board.update(|status| status.stalled = Some("records wait".to_owned()));
    assert_eq!(setup.get("/healthz"), (500, serde_json::json!({"error": "records wait"})));
    setup.board.update(|status| status.stalled = None);
    setup.board.beat(Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(5));
    for (path, status) in [("/healthz", 500), ("/readyz", 503)] {
        let (found, body) = setup.get(path);
        let words = body["error"].as_str().unwrap_or_default();
        assert!(found == status && words.contains("no sign of life"), "{path}: {found} {words}");
    }
    setup.board.beat(Duration::ZERO);
    assert_eq!(setup.ask("/healthz", "").0, 200, "switched off");
    setup.board.update(|status| (status.failed, status.trouble) = (true, Some("the kafka sink has failed".to_owned())));
    assert_eq!(setup.get("/healthz"), (500, serde_json::json!({"error": "the kafka sink has failed"})));
}

#[test]
fn the_page_is_whole_and_loads_nothing_from_elsewhere() {
    let setup = Setup::new();
    let (status, page) = setup.ask("/", "");
    assert_eq!(status, 200);
    assert!(page.contains("content-security-policy: default-src 'none'; script-src 'sha256-"));
    assert!(!page.contains("/*STYLE*/") && !page.contains("/*SCRIPT*/"));
    let links = page.split("http").skip(1).filter(|after| after.starts_with("://") || after.starts_with("s://"));
    let foreign: Vec<_> = links.filter(|after| !after.starts_with("://www.w3.org/2000/svg")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn a_foreign_host_name_is_refused_on_loopback() {
    let setup = Setup::new();
    assert_eq!(setup.ask("/api/status", "Host: evil.example\r\n").0, 421);
    assert_eq!(setup.ask("/api/status", "Host: 127.0.0.1:9464\r\n").0, 200);
}

#[test]
fn a_port_in_use_is_explained() {
    let setup = Setup::new();
    let state = State { store: None, metrics: setup.metrics.clone(), board: Board::new(), live: live::sender() };
    let refused = Server::start(&setup.server.address().to_string(), state.clone()).err().expect("it is in use");
    assert!(refused.to_string().contains("is another fundwatch running?"), "{refused}");
    let nowhere = Server::start("not an address", state).err().expect("it is none");
    assert!(nowhere.to_string().contains("127.0.0.1:9464"), "{nowhere}");
}

/// A client of the event stream.
struct Follower(BufReader<TcpStream>);

impl Follower {
    fn new(setup: &Setup) -> Self {
        let mut stream = TcpStream::connect(setup.server.address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let request = "GET /api/alerts/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("it can be sent");
        let mut follower = Self(BufReader::new(stream));
        follower.line_with(": connected");
        follower
    }

    /// The next line that begins so; chunk sizes and other lines in between are passed over.
    fn line_with(&mut self, start: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.0.read_line(&mut line).expect("the stream goes on");
            assert!(read > 0, "the stream has ended before {start}");
            if line.starts_with(start) {
                return line.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn followers_get_each_revision_as_it_comes() {
    let setup = Setup::new();
    let (mut first, mut second) = (Follower::new(&setup), Follower::new(&setup));
    setup.put(&[alert(1, 1)]);
    setup.put(&[alert(1, 2)]);
    for follower in [&mut first, &mut second] {
        for revision in 1..=2 {
            assert_eq!(follower.line_with("event: "), "event: alert");
            assert_eq!(follower.line_with("id: "), format!("id: {:032x}-{revision}", 1));
            let data = follower.line_with("data: ");
            assert_eq!(data.strip_prefix("data: "), Some(&*serde_json::to_string(&alert(1, revision)).expect("JSON")));
        }
    }
    eventually("two clients are counted", || setup.metrics.stream_clients().get() == 2);
    drop((first, second));
    eventually("none is left", || setup.metrics.stream_clients().get() == 0);
}

#[test]
fn a_follower_that_does_not_read_is_told_and_dropped() {
    let setup = Setup::new();
    let mut follower = Follower::new(&setup);
    // Far more than the backlog and all buffers on the way hold.
    let batch: Vec<Alert> = alerts(0..BACKLOG as u128).to_vec();
    for _ in 0..20 {
        setup.put(&batch);
    }
    assert!(follower.line_with("event: lagged").contains("lagged"));
    assert!(follower.line_with("data: {\"missed\":").len() > 17);
    eventually("it is gone", || setup.metrics.stream_clients().get() == 0);
}

#[test]
fn stopping_ends_streams_at_once() {
    let setup = Setup::new();
    let mut follower = Follower::new(&setup);
    let begun = Instant::now();
    setup.server.stop();
    let mut rest = String::new();
    follower.0.read_to_string(&mut rest).expect("the end of the stream");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
