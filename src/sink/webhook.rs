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
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::time::Duration;
use ureq::Agent;

/// What metrics and messages call it.
const NAME: &str = "webhook";
/// Requests under way at a time. All revisions of an alert go through one lane, in order.
const LANES: usize = 4;
/// The pause before the first repetition.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest answer that is read to keep a connection in use.
const ANSWER_LIMIT: u64 = 64 << 10;

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

/// What an attempt came to.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    Delivered,
    /// Another attempt may help; the receiver may have said how long to wait before it.
    Failed(String, Option<Duration>),
    /// It will not.
    Refused(String),
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
                context.meter.undeliverable();
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
        let mut answer = match request.send(post.body.as_bytes()) {
            Ok(answer) => answer,
            Err(error) => return Attempt::Failed(format!("no answer: {error}"), None),
        };
        let status = answer.status();
        let wait = answer.headers().get("retry-after").and_then(|text| text.to_str().ok()?.trim().parse().ok());
        // The connection can serve again only when the answer was read; where that fails the answer still counts.
        drop(answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec());
        judge(status.as_u16(), wait.map(Duration::from_secs))
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

/// The pause after so many attempts: it doubles up to the longest one, and between half and all of it is taken,
/// by the alert and the attempt, so that the repetitions of several processes spread out.
fn pause(attempts: u32, longest: Duration, key: &str) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(longest);
    let hash = foldhash::fast::FixedState::default().hash_one((key, attempts));
    whole.mul_f64(0.5 + (hash >> 11) as f64 / (1_u64 << 54) as f64)
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
        outcomes.into_iter().collect()
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
    fn pauses_double_up_to_the_longest_and_differ() {
        let longest = Duration::from_secs(30);
        for (attempts, whole) in [(1, 0.2), (2, 0.4), (5, 3.2), (9, 30.0), (40, 30.0)] {
            let pause = pause(attempts, longest, "key").as_secs_f64();
            assert!(pause >= whole * 0.5 && pause <= whole, "{attempts}: {pause}");
        }
        assert_ne!(pause(3, longest, "a"), pause(3, longest, "b"));
    }

    #[test]
    fn the_signature_is_the_hmac_of_timestamp_and_body() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
        let expected = "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        assert_eq!(signature("secret", "1700000000", "{}"), expected);
    }
}
