//! The real Alertmanager (Debian's package, `scripts/monitoring`), as a mirror of what is open.

use crate::support::receiver::free_address;
use crate::support::running::{LIMIT, Running};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/monitoring");

/// One process in a folder of its own; killed when dropped, with all that it knew.
struct Alertmanager {
    address: SocketAddr,
    script: Child,
    _dir: TempDir,
}

impl Alertmanager {
    fn start(address: SocketAddr) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(SCRIPT);
        command.arg("start-alertmanager").arg(address.port().to_string()).arg(dir.path()).arg("--until-eof");
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the script starts");
        let mut said = String::new();
        let mut out = BufReader::new(script.stdout.take().expect("piped"));
        out.read_line(&mut said).expect("an address");
        assert_eq!(said.trim(), address.to_string(), "scripts/monitoring install");
        Self { address, script, _dir: dir }
    }

    /// The alerts that fire.
    fn alerts(&self) -> Vec<Value> {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let mut answer = ureq::get(&url).call().expect("an answer");
        serde_json::from_str(&answer.body_mut().read_to_string().expect("a text")).expect("JSON")
    }

    /// The institutions of the alerts that fire, with their states.
    fn states(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of = |alert: &Value| (text(&alert["labels"]["institution"]), text(&alert["status"]["state"]));
        let mut states: Vec<_> = self.alerts().iter().map(of).collect();
        states.sort();
        states
    }

    fn wait_for(&self, what: &str, states: &[(&str, &str)]) {
        let expected: Vec<_> = states.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect();
        wait_until(what, LIMIT, || (self.states() == expected).then_some(()));
    }

    fn silence(&self, institution: &str) {
        let matcher = json!({"name": "institution", "value": institution, "isRegex": false, "isEqual": true});
        let silence = json!({
            "matchers": [matcher],
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "2099-01-01T00:00:00Z",
            "createdBy": "a supervisor",
            "comment": "is being looked into",
        });
        let url = format!("http://{}/api/v2/silences", self.address);
        let request = ureq::post(&url).header("Content-Type", "application/json");
        assert_eq!(request.send(silence.to_string()).expect("an answer").status().as_u16(), 200);
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // The script ends it when its input ends.
        drop(self.script.stdin.take());
        drop(self.script.wait());
    }
}

/// A settlement above the limit of VIS-04, or its refund.
fn settlement(number: u32, refund: bool) -> String {
    let (id, sign, more) = match refund {
        false => (format!("S{number}"), "", String::new()),
        true => (format!("R{number}"), "-", format!(r#","refd_setl_flag":"1","init_setl_id":"S{number}""#)),
    };
    format!(
        r#"{{"type":"settlement","setl_id":"{id}","mdtrt_id":"V{number}","psn_no":"P{number}","fixmedins_code":"H{number}","med_type":"11","insutype":"310","setl_time":"2026-03-0{number} 10:00:00","medfee_sumamt":{sign}9000.00,"fund_pay_sumamt":{sign}3200.50{more}}}"#
    )
}

#[test]
fn alertmanager_has_what_is_open() {
    let address = free_address();
    let alertmanager = Alertmanager::start(address);
    let url = format!("http://{address}");
    let variables = [
        ("FUNDWATCH__SOURCE__KIND", "stdin"),
        ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
        ("FUNDWATCH__SINKS__ALERTMANAGER__ENABLED", "true"),
        ("FUNDWATCH__SINKS__ALERTMANAGER__URL", url.as_str()),
        ("FUNDWATCH__SINKS__ALERTMANAGER__MIN_SEVERITY", "low"),
        ("FUNDWATCH__SINKS__ALERTMANAGER__RESEND_INTERVAL", "2s"),
        ("FUNDWATCH__SINKS__ALERTMANAGER__LINK", "http://fundwatch.example"),
        ("FUNDWATCH__STATE__ENABLED", "on"),
        ("FUNDWATCH__STATE__INTERVAL", "100ms"),
    ];
    let mut running = Running::start(&variables, Stdio::piped());
    let mut stdin = running.stdin();
    for number in [1, 2, 3] {
        writeln!(stdin, "{}", settlement(number, false)).expect("it reads");
    }
    alertmanager.wait_for("three alerts", &[("H1", "active"), ("H2", "active"), ("H3", "active")]);
    let alerts = alertmanager.alerts();
    let first = alerts.iter().find(|alert| alert["labels"]["institution"] == "H1").expect("the first");
    let id = first["labels"]["alert_id"].as_str().expect("an id");
    // Each sink has a pace of its own: the store may be behind.
    let told = wait_until("it in the store", LIMIT, || {
        let (status, told) = running.get(&format!("/api/alerts/{id}"));
        (status == 200).then(|| serde_json::from_str::<Value>(&told).expect("JSON"))
    });
    let told = &told["alert"];
    assert_eq!(
        (&first["labels"]["alertname"], &first["labels"]["severity"]),
        (&told["rule_id"], &told["severity"]),
        "{told}"
    );
    assert_eq!(first["annotations"]["description"], told["message"]["en"]);
    assert_eq!(first["annotations"]["summary_zh"], told["rule_name"]["zh"]);
    assert_eq!(first["annotations"]["amount_at_issue_yuan"], "3200.50");
    assert_eq!(first["annotations"]["event_time"], "2026-03-01 10:00:00");
    assert_eq!(first["generatorURL"], format!("http://fundwatch.example/api/alerts/{id}"));
    assert!(!alerts.iter().any(|alert| alert["labels"].to_string().contains("\"P1\"")), "no person is a label");

    // A supervisor silences one, and another is refunded.
    alertmanager.silence("H2");
    alertmanager.wait_for("a silence", &[("H1", "active"), ("H2", "suppressed"), ("H3", "active")]);
    writeln!(stdin, "{}", settlement(1, true)).expect("it reads");
    alertmanager.wait_for("a withdrawal", &[("H2", "suppressed"), ("H3", "active")]);

    // It restarts and knows nothing, silences neither, until the next round.
    drop(alertmanager);
    wait_until("trouble", LIMIT, || {
        (running.metric("fundwatch_sink_trouble{sink=\"alertmanager\"}") == Some(1.0)).then_some(())
    });
    let alertmanager = Alertmanager::start(address);
    alertmanager.wait_for("the next round", &[("H2", "active"), ("H3", "active")]);
    wait_until("no trouble", LIMIT, || {
        (running.metric("fundwatch_sink_trouble{sink=\"alertmanager\"}") == Some(0.0)).then_some(())
    });

    // We end: with the lease everything ends there. We start again: what is open is there again.
    wait_until("a checkpoint", LIMIT, || running.metric("fundwatch_checkpoint_number").filter(|number| *number > 0.0));
    running.signal("TERM");
    assert_eq!(running.end().0, Some(0), "{}", running.read("words"));
    wait_until("the end of the lease", Duration::from_secs(20), || alertmanager.alerts().is_empty().then_some(()));
    let dir = running.dir();
    drop((running, stdin));
    let mut running = Running::start_in(dir, &variables, Stdio::piped());
    alertmanager.wait_for("what is open", &[("H2", "active"), ("H3", "active")]);
    let mut stdin = running.stdin();
    writeln!(stdin, "{}", settlement(2, true)).expect("it reads");
    alertmanager.wait_for("a withdrawal after a start", &[("H3", "active")]);
}
