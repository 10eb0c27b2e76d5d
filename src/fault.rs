//! Places where a process can be made to die, for tests: before and after each step that leaves a trace.
//!
//! `FUNDWATCH_DIE_AT=checkpoint-published:3` ends the process, as if it were killed, the third time it comes there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every place, in the order of a batch's way.
pub const POINTS: [&str; 14] = [
    "told",
    "handed-over",
    "alerts-produced",
    "alerts-committed",
    "file-written",
    "file-synced",
    "store-written",
    "store-committed",
    "offsets-committed",
    "segment-packed",
    "segment-written",
    "checkpoint-published",
    "checkpoint-cleaned",
    "state-taken-back",
];

/// Dies here, if that is asked for.
#[inline]
pub fn point(name: &'static str) {
    static ASKED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    debug_assert!(POINTS.contains(&name), "{name} is not in the list");
    let asked = ASKED.get_or_init(|| {
        let asked = std::env::var("FUNDWATCH_DIE_AT").ok()?;
        let (name, count) = asked.split_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    if let Some((asked, count)) = asked
        && asked == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        std::process::abort();
    }
}
