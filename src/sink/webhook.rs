//! HTTP POST of each revision to an address.
//!
//! The body is the alert's JSON. Headers: `Idempotency-Key: <alert_id>-<revision>`, so that a receiver can tell
//! a repetition; `X-Fundwatch-Timestamp`, seconds of Unix time; and, where a secret is set,
//! `X-Fundwatch-Signature: sha256=<hex>`, the HMAC-SHA256 under that secret of the timestamp, a full stop and
//! the body. A receiver that checks the signature and the age of the timestamp cannot be fed old or made-up
//! alerts.
//!
//! An answer of 2xx is a delivery. 408, 429, 5xx and whatever goes wrong on the way are tried again, after
//! pauses that double; any other answer will not change, so the alert goes to the webhook's own dead-letter
//! file, as it does when all attempts have failed. That counts as done: it is on disk, and counted.

use super::json_lines::JsonLines;
use super::post::{self, Answer, Attempt, pause};
use super::{Context, Sink, SinkError};
use crate::alert::Alert;
use crate::client;
use crate::clock;
use crate::record::Time;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use ureq::Agent;

/// What metrics and messages call it.
const NAME: &str = "webhook";
/// Requests under way at a time. All revisions of an alert go through one lane, in order.
const LANES: usize = 4;

/// How alerts are posted.
#[derive(Clone)]
pub struct WebhookSettings {
    /// The address.
    pub url: String,
    /// Key of the signature; `None`: no signature.
    pub secret: Option<String>,
    /// The longest that one request may take.
    pub timeout: Duration,
    /// Attempts after the first one.
    pub retries: u32,
    /// The longest pause between attempts.
    pub max_backoff: Duration,
    /// JSON Lines file for what could not be delivered.
    pub dead_letter_path: PathBuf,
}

/// The webhook as a sink.
pub struct Webhook {
    settings: WebhookSettings,
    agent: Agent,
    dead_letters: Mutex<JsonLines>,
    lanes: [VecDeque<Post>; LANES],
}

/// An alert on its way.
struct Post {
    key: String,
    body: String,
}

/// An alert that could not be delivered, as it stands in the dead-letter file.
#[derive(Serialize)]
struct Undeliverable<'a> {
    key: &'a str,
    time: Time,
    attempts: u32,
    reason: &'a str,
    alert: &'a RawValue,
}

impl Webhook {
    /// A webhook; nothing is sent yet.
    ///
    /// # Errors
    /// The address is none, or the dead-letter file cannot be opened.
    pub fn new(settings: WebhookSettings) -> Result<Self, SinkError> {
        let scheme = settings.url.parse::<ureq::http::Uri>().ok().and_then(|uri| uri.scheme_str().map(str::to_owned));
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            let reason = "its address must begin with http:// or https://".to_owned();
            return Err(SinkError::Setting { sink: NAME, reason });
        }
        // A redirected POST would leave the signed address.
        let agent = client::agent(settings.timeout).max_redirects(0).max_redirects_will_error(false).build();
        let dead_letters = Mutex::new(JsonLines::open(NAME, &settings.dead_letter_path, None)?);
        Ok(Self { settings, agent: agent.new_agent(), dead_letters, lanes: Default::default() })
    }

    /// Delivers the posts of a lane one after the other; what is done with is taken off.
    fn deliver(&self, lane: &mut VecDeque<Post>, context: &Context) -> Result<(), SinkError> {
        while let Some(post) = lane.front() {
            let mut attempts = 0;
            let reason = loop {
                attempts += 1;
                let (reason, wait) = match self.attempt(post) {
                    Attempt::Delivered => {
                        context.works(NAME);
                        break None;
                    }
                    Attempt::Refused(reason) => break Some(reason),
                    Attempt::Failed(reason, _) if attempts > self.settings.retries => break Some(reason),
                    Attempt::Failed(reason, wait) => (reason, wait),
                };
                context.meter.retried();
                let pause = pause(attempts, self.settings.max_backoff, &post.key);
                let pause = wait.map_or(pause, |wait| pause.max(wait.min(self.settings.max_backoff)));
                tracing::debug!(key = post.key, attempts, ?pause, "the webhook will be tried again: {reason}");
                context.troubled(NAME, reason);
                context.pause(pause)?;
            };
            if let Some(reason) = reason {
                self.put_aside(post, attempts, &reason)?;
                context.meter.undeliverable(1);
            }
            lane.pop_front();
        }
        Ok(())
    }

    fn attempt(&self, post: &Post) -> Attempt {
        let timestamp = (clock::now_millis() / 1_000).to_string();
        let mut request = self
            .agent
            .post(&self.settings.url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", &post.key)
            .header("X-Fundwatch-Timestamp", &timestamp);
        if let Some(secret) = &self.settings.secret {
            request = request.header("X-Fundwatch-Signature", signature(secret, &timestamp, &post.body));
        }
        match post::send(request, post.body.as_bytes()) {
            Ok(Answer { status, wait, .. }) => judge(status, wait),
            Err(reason) => Attempt::Failed(reason, None),
        }
    }

    fn put_aside(&self, post: &Post, attempts: u32, reason: &str) -> Result<(), SinkError> {
        tracing::warn!(key = post.key, attempts, "an alert could not be delivered and is put aside: {reason}");
        let alert = serde_json::from_str(&post.body)?;
        let mut dead_letters = self.dead_letters.lock();
        dead_letters.append(&Undeliverable { key: &post.key, time: clock::now(), attempts, reason, alert })?;
        dead_letters.sync()
    }
}

/// What an answer means.
fn judge(status: u16, wait: Option<Duration>) -> Attempt {
    match status {
        200..300 => Attempt::Delivered,
        408 | 429 | 500..600 => Attempt::Failed(format!("the answer was {status}"), wait),
        _ => Attempt::Refused(format!("the answer was {status}")),
    }
}

/// The signature header's value.
pub fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    for part in [timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

impl Sink<Alert> for Webhook {
    fn name(&self) -> &'static str {
        NAME
    }

    fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        let post = Post { key: format!("{}-{}", alert.alert_id, alert.revision), body: serde_json::to_string(alert)? };
        self.lanes[(alert.alert_id.0 % LANES as u128) as usize].push_back(post);
        Ok(())
    }

    fn flush(&mut self, context: &Context) -> Result<(), SinkError> {
        let mut lanes = std::mem::take(&mut self.lanes);
        let this = &*self;
        let outcomes = std::thread::scope(|scope| {
            let busy = lanes.iter_mut().filter(|lane| !lane.is_empty());
            let threads: Vec<_> = busy.map(|lane| scope.spawn(move || this.deliver(lane, context))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a lane does not panic")).collect::<Vec<_>>()
        });
        self.lanes = lanes;
        outcomes.into_iter().collect::<Result<(), SinkError>>()?;
        // What was put aside is no trouble any more.
        context.works(NAME);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        assert_eq!(judge(204, None), Attempt::Delivered);
        for status in [408, 429, 500, 503] {
            assert!(matches!(judge(status, None), Attempt::Failed(..)), "{status}");
        }
        for status in [301, 400, 401, 404, 410, 422] {
            assert!(matches!(judge(status, None), Attempt::Refused(_)), "{status}");
        }
    }

    #[test]
    fn the_signature_is_the_hmac_of_timestamp_and_body() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
        let expected = "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        assert_eq!(signature("secret", "1700000000", "{}"), expected);
    }
}
