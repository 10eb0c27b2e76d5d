//! Posting to a receiver over HTTP: what an attempt came to, and how long to wait before the next one.

use std::hash::BuildHasher;
use std::time::Duration;
use ureq::RequestBuilder;
use ureq::typestate::WithBody;

/// The pause before the first repetition.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest answer that is read to keep a connection in use.
const ANSWER_LIMIT: u64 = 64 << 10;

/// What an attempt came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Delivered,
    /// Another attempt may help; the receiver may have said how long to wait before it.
    Failed(String, Option<Duration>),
    /// It will not.
    Refused(String),
}

/// What a receiver answered.
pub(super) struct Answer {
    pub status: u16,
    /// How long it asks to wait.
    pub wait: Option<Duration>,
    /// What it says.
    pub body: String,
}

/// Posts a body and reads the answer.
pub(super) fn send(request: RequestBuilder<WithBody>, body: &[u8]) -> Result<Answer, String> {
    let mut answer = request.send(body).map_err(|error| format!("no answer: {error}"))?;
    let status = answer.status().as_u16();
    let wait = answer.headers().get("retry-after").and_then(|text| text.to_str().ok()?.trim().parse().ok());
    // The connection can serve again only when the answer was read; where that fails the answer still counts.
    let body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status, wait: wait.map(Duration::from_secs), body })
}

/// The pause after so many attempts: it doubles up to the longest one, and between half and all of it is taken,
/// by a key and the attempt, so that the repetitions of several processes spread out.
pub(super) fn pause(attempts: u32, longest: Duration, key: &str) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(longest);
    let hash = foldhash::fast::FixedState::default().hash_one((key, attempts));
    whole.mul_f64(0.5 + (hash >> 11) as f64 / (1_u64 << 54) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ() {
        let longest = Duration::from_secs(30);
        for (attempts, whole) in [(1, 0.2), (2, 0.4), (5, 3.2), (9, 30.0), (40, 30.0)] {
            let pause = pause(attempts, longest, "key").as_secs_f64();
            assert!(pause >= whole * 0.5 && pause <= whole, "{attempts}: {pause}");
        }
        assert_ne!(pause(3, longest, "a"), pause(3, longest, "b"));
    }
}
