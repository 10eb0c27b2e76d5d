//! Prometheus' Alertmanager: a mirror of what is open, by `POST <url>/api/v2/alerts`.
//!
//! Alertmanager knows no revisions: it holds what fires now, lets go of whatever is not sent again in time, and forgets
//! everything at a restart of its own. So this sink keeps the open alerts of `min_severity` and graver. It posts what has
//! changed, at most once a second, and everything again every `resend_interval`, each time with an end ([`LEASES`] times
//! that away) at which Alertmanager lets go by itself. What was withdrawn is posted with an end of now.
//!
//! The labels ([`Labels`]) tell alerts apart, so posting one again changes nothing: at least once, and idempotent. The names
//! of the annotations are those of the alarms in `dashboards/prometheus`, so that both fit the same templates. Neither
//! persons nor visits have a field: notifications go to mail and chats.
//!
//! An Alertmanager that is away, hangs or refuses holds up nothing for longer than one request takes: an alert counts as
//! delivered once it is kept here, for after a crash of ours everything that is open is handed over again
//! ([`Sink::is_mirror`]). What failed is tried again after pauses that double. A batch that it refuses for its content is
//! counted, told, and offered again in the next round.
//!
//! Memory is bounded by `limit`: of more open alerts the gravest are kept, and of equal ones those that came first; the
//! others are counted as left out, until they are revised or the program starts anew.

use super::post::{self, Answer, Attempt, pause};
use super::{Context, Sink, SinkError};
use crate::alert::{Alert, AlertId, AlertStatus, yuan};
use crate::client;
use crate::clock;
use crate::rules::rule::Severity;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::Agent;

/// What metrics and messages call it.
const NAME: &str = "alertmanager";
/// So many rounds may fail until Alertmanager lets go of an alert; Prometheus gives its own alerts as many.
const LEASES: u32 = 4;
/// Alerts in a request: Prometheus sends as many at a time.
const BATCH: usize = 256;
/// Changes of this time go out together, so that what opens and is withdrawn at once is not told.
const PACE: Duration = Duration::from_secs(1);
/// Characters of an annotation; what is longer is cut.
const LONGEST: usize = 1_024;
/// Characters of what Alertmanager says that are repeated.
const QUOTED: usize = 200;

/// How open alerts are mirrored.
#[derive(Debug, Clone)]
pub struct AlertmanagerSettings {
    /// The address, without the path of the API.
    pub url: String,
    /// Milder alerts are not sent.
    pub min_severity: Severity,
    /// How often everything is posted again.
    pub resend_interval: Duration,
    /// Open alerts that are kept.
    pub limit: usize,
    /// The longest that one request may take.
    pub timeout: Duration,
    /// The longest pause between attempts.
    pub max_backoff: Duration,
    /// Where people reach the status page; `None`: alerts have no link.
    pub link: Option<String>,
}

/// Alertmanager as a sink.
pub struct Alertmanager {
    settings: AlertmanagerSettings,
    endpoint: String,
    agent: Agent,
    /// What is open.
    open: BTreeMap<AlertId, Mirrored>,
    /// What of it is to be posted.
    due: BTreeSet<AlertId>,
    /// What Alertmanager was told is open, and is not any more.
    ended: BTreeMap<Labels, Mirrored>,
    /// When everything is posted again.
    next_round: Instant,
    /// When the next request may leave.
    next_request: Instant,
    /// Attempts that have failed in a row.
    failures: u32,
    /// Why something of this round was refused.
    refused: Option<String>,
    /// Alerts that found no room and are not counted yet.
    left_out: usize,
}

/// An alert as Alertmanager has it or is to have it.
#[derive(Debug, Clone)]
struct Mirrored {
    alert: Alert,
    /// When its first revision that is kept here was detected, in milliseconds of Unix time.
    since: i64,
    /// Whether Alertmanager has it under its labels.
    told: bool,
}

/// What Alertmanager tells alerts apart by, and routes and silences them by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Labels {
    /// The rule or model.
    alertname: Arc<str>,
    severity: &'static str,
    subject_kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    institution: Option<String>,
    alert_id: String,
}

/// What people read.
#[derive(Debug, Serialize)]
struct Annotations<'a> {
    summary: String,
    summary_zh: String,
    description: String,
    description_zh: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_at_issue_yuan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_basis: Option<String>,
    event_time: String,
    /// The days that a model has looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<String>,
    rule_version: &'a str,
    revision: String,
}

/// An alert as the API takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Post<'a> {
    labels: Labels,
    annotations: Annotations<'a>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

impl Labels {
    fn of(alert: &Alert) -> Self {
        let finding = &alert.finding;
        Self {
            alertname: finding.rule_id.clone(),
            severity: finding.severity.word(),
            subject_kind: finding.subject.kind.word(),
            institution: finding.fixmedins_code.clone(),
            alert_id: alert.alert_id.to_string(),
        }
    }
}

impl<'a> Annotations<'a> {
    fn of(alert: &'a Alert) -> Self {
        let finding = &*alert.finding;
        let laws = finding.legal_basis.join(", ");
        Self {
            summary: cut(&finding.rule_name.en, LONGEST),
            summary_zh: cut(&finding.rule_name.zh, LONGEST),
            description: cut(&finding.message.en, LONGEST),
            description_zh: cut(&finding.message.zh, LONGEST),
            result: finding.result.word(),
            amount_at_issue_yuan: finding.amount_at_issue.map(yuan),
            legal_basis: (!laws.is_empty()).then(|| cut(&laws, LONGEST)),
            event_time: finding.event_time.to_string(),
            window: finding.scored.as_ref().map(|scored| format!("{}/{}", scored.window.from, scored.window.to)),
            rule_version: &finding.rule_version,
            revision: alert.revision.to_string(),
        }
    }
}

impl<'a> Post<'a> {
    /// `to` and `now` are in milliseconds of Unix time.
    fn of(mirrored: &'a Mirrored, to: i64, now: i64, link: Option<&str>) -> Self {
        let alert = &mirrored.alert;
        Self {
            labels: Labels::of(alert),
            annotations: Annotations::of(alert),
            // A clock that was set back must not make it end before it began, which would be refused.
            starts_at: clock::rfc3339(mirrored.since.min(now)),
            ends_at: clock::rfc3339(to),
            generator_url: link.map(|link| format!("{}/api/alerts/{}", link.trim_end_matches('/'), alert.alert_id)),
        }
    }
}

/// What one request carries.
struct Batch {
    ended: Vec<Labels>,
    open: Vec<AlertId>,
}

impl Batch {
    fn len(&self) -> usize {
        self.ended.len() + self.open.len()
    }
}

impl Alertmanager {
    /// A mirror that is empty; nothing is sent yet.
    ///
    /// # Errors
    /// The address is none.
    pub fn new(settings: AlertmanagerSettings) -> Result<Self, SinkError> {
        let endpoint = format!("{}/api/v2/alerts", settings.url.trim_end_matches('/'));
        let scheme = endpoint.parse::<ureq::http::Uri>().ok().and_then(|uri| uri.scheme_str().map(str::to_owned));
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            let reason = "its address must begin with http:// or https://".to_owned();
            return Err(SinkError::Setting { sink: NAME, reason });
        }
        let agent = client::agent(settings.timeout).max_redirects(0).max_redirects_will_error(false).build();
        let now = Instant::now();
        Ok(Self {
            next_round: now + settings.resend_interval,
            settings,
            endpoint,
            agent: agent.new_agent(),
            open: BTreeMap::new(),
            due: BTreeSet::new(),
            ended: BTreeMap::new(),
            next_request: now,
            failures: 0,
            refused: None,
            left_out: 0,
        })
    }

    /// Keeps an open alert, in place of what it was before.
    fn keep(&mut self, alert: &Alert) {
        let labels = Labels::of(alert);
        // Not the time of the event: what fires has not fired since the conduct, which may lie months back, or ahead of the clock.
        let mut kept =
            Mirrored { alert: alert.clone(), since: clock::millis_of_local_time(alert.detected_at), told: false };
        match self.open.remove(&alert.alert_id) {
            Some(before) => {
                kept.since = before.since;
                let before_labels = Labels::of(&before.alert);
                if before_labels == labels {
                    kept.told = before.told;
                } else if before.told {
                    // To Alertmanager another severity or institution is another alert.
                    self.ended.insert(before_labels, before);
                }
            }
            None if !self.has_room_for(alert.finding.severity) => return,
            None => {}
        }
        self.ended.remove(&labels);
        self.open.insert(alert.alert_id, kept);
        self.due.insert(alert.alert_id);
    }

    /// Makes room for one more alert, if need be in place of a milder one, which Alertmanager lets go of by itself; whether
    /// there is any.
    fn has_room_for(&mut self, severity: Severity) -> bool {
        if self.open.len() < self.settings.limit {
            return true;
        }
        self.left_out += 1;
        let grave = |kept: &Mirrored| kept.alert.finding.severity;
        let mildest = self.open.iter().min_by_key(|(_, kept)| grave(kept)).filter(|(_, kept)| grave(kept) < severity);
        let Some(id) = mildest.map(|(id, _)| *id) else {
            return false;
        };
        self.open.remove(&id);
        self.due.remove(&id);
        true
    }

    /// Keeps an alert no longer.
    fn end(&mut self, id: AlertId) {
        self.due.remove(&id);
        if let Some(kept) = self.open.remove(&id).filter(|kept| kept.told) {
            self.ended.insert(Labels::of(&kept.alert), kept);
        }
    }

    /// Posts what is due, unless it is too early for that. What fails stays due.
    fn turn(&mut self, context: &Context) {
        context.meter.left_out(std::mem::take(&mut self.left_out));
        let now = Instant::now();
        if now < self.next_request || context.stopping() {
            return;
        }
        if now >= self.next_round {
            self.next_round = now + self.settings.resend_interval;
            self.due.extend(self.open.keys());
            self.refused = None;
        }
        while let Some(batch) = self.next_batch() {
            match self.post(&batch) {
                Attempt::Delivered => self.done(&batch, true),
                Attempt::Refused(reason) => {
                    context.meter.undeliverable(batch.len());
                    self.refused = Some(reason);
                    self.done(&batch, false);
                }
                Attempt::Failed(reason, wait) => {
                    self.failures += 1;
                    // A pause longer than the time between two rounds would let alerts end that are open.
                    let longest = self.settings.max_backoff.min(self.settings.resend_interval);
                    let pause = pause(self.failures, longest, NAME).max(wait.unwrap_or_default().min(longest));
                    self.next_request = Instant::now() + pause;
                    context.meter.retried();
                    context.troubled(NAME, reason);
                    return;
                }
            }
        }
        self.failures = 0;
        self.next_request = Instant::now() + PACE;
        match &self.refused {
            Some(reason) => context.troubled(NAME, reason.clone()),
            None => context.works(NAME),
        }
    }

    /// What the next request carries: first what is over.
    fn next_batch(&self) -> Option<Batch> {
        let ended: Vec<Labels> = self.ended.keys().take(BATCH).cloned().collect();
        let open: Vec<AlertId> = self.due.iter().take(BATCH - ended.len()).copied().collect();
        Some(Batch { ended, open }).filter(|batch| batch.len() > 0)
    }

    fn done(&mut self, batch: &Batch, told: bool) {
        for labels in &batch.ended {
            self.ended.remove(labels);
        }
        for id in &batch.open {
            self.due.remove(id);
            if let Some(kept) = self.open.get_mut(id) {
                kept.told |= told;
            }
        }
    }

    fn post(&self, batch: &Batch) -> Attempt {
        let now = clock::now_millis();
        let lease = self.settings.resend_interval.saturating_mul(LEASES);
        let end = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let link = self.settings.link.as_deref();
        let ended = batch.ended.iter().filter_map(|labels| Some(Post::of(self.ended.get(labels)?, now, now, link)));
        let open = batch.open.iter().filter_map(|id| Some(Post::of(self.open.get(id)?, end, now, link)));
        let posts: Vec<Post<'_>> = ended.chain(open).collect();
        let body = serde_json::to_vec(&posts).expect("texts can be written as JSON");
        let request = self.agent.post(&self.endpoint).header("Content-Type", "application/json");
        match post::send(request, &body) {
            Ok(answer) => judge(&answer),
            Err(reason) => Attempt::Failed(reason, None),
        }
    }
}

/// What an answer means: 400, 413 and 422 are about what was sent; any other but 2xx is about who was asked, and may pass.
fn judge(answer: &Answer) -> Attempt {
    let words = || {
        let says = cut(answer.body.trim(), QUOTED);
        if says.is_empty() {
            format!("the answer was {}", answer.status)
        } else {
            format!("the answer was {}: {says}", answer.status)
        }
    };
    match answer.status {
        200..300 => Attempt::Delivered,
        400 | 413 | 422 => Attempt::Refused(words()),
        _ => Attempt::Failed(words(), answer.wait),
    }
}

/// A text of so many characters at most.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Sink<Alert> for Alertmanager {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_mirror(&self) -> bool {
        true
    }

    fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        match alert.status {
            AlertStatus::Open if alert.finding.severity >= self.settings.min_severity => self.keep(alert),
            AlertStatus::Open | AlertStatus::Withdrawn => self.end(alert.alert_id),
        }
        Ok(())
    }

    fn flush(&mut self, context: &Context) -> Result<(), SinkError> {
        self.turn(context);
        Ok(())
    }

    fn idle(&mut self, context: &Context) -> Result<(), SinkError> {
        self.turn(context);
        Ok(())
    }

    /// Posts what has changed in the last second; not where it is away.
    fn close(&mut self, context: &Context) -> Result<(), SinkError> {
        if self.failures == 0 {
            self.next_request = Instant::now();
        }
        self.turn(context);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        let judged = |status| judge(&Answer { status, wait: None, body: " bad\n".to_owned() });
        assert_eq!(judged(200), Attempt::Delivered);
        for status in [400, 413, 422] {
            assert_eq!(judged(status), Attempt::Refused(format!("the answer was {status}: bad")));
        }
        for status in [302, 401, 403, 404, 408, 429, 500, 503] {
            assert!(matches!(judged(status), Attempt::Failed(..)), "{status}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!((cut("重复结算", 4), cut("重复结算", 2)), ("重复结算".to_owned(), "重复…".to_owned()));
    }
}
