//! Places where a process can be made to die or to be slow, for tests: before and after each step that leaves a trace.
//!
//! `FUNDWATCH_DIE_AT=checkpoint-published:3` ends the process, as if it were killed, the third time it comes there.
//! `FUNDWATCH_SLOW_AT=segment-packed:200` makes it take 200 ms each time it comes there, as a slow disk does.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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

/// Dies here or waits here, if that is asked for.
#[inline]
pub fn point(name: &'static str) {
    static DIE: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static SLOW: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    debug_assert!(POINTS.contains(&name), "{name} is not in the list");
    if let Some((place, time)) = SLOW.get_or_init(|| asked("FUNDWATCH_SLOW_AT"))
        && place == name
    {
        std::thread::sleep(Duration::from_millis(*time));
    }
    if let Some((place, count)) = DIE.get_or_init(|| asked("FUNDWATCH_DIE_AT"))
        && place == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        std::process::abort();
    }
}

/// `place:number` of a variable.
fn asked(variable: &str) -> Option<(String, u64)> {
    let asked = std::env::var(variable).ok()?;
    let (place, number) = asked.split_once(':')?;
    Some((place.to_owned(), number.parse().ok()?))
}
