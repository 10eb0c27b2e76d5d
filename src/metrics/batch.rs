//! What a batch came to, for counting.

use crate::engine::Totals;
use crate::record::decode::{Bad, BadKind, TYPES};
use std::time::Duration;

/// What a batch came to.
#[derive(Debug, Clone, Default)]
pub struct BatchReport {
    /// Good messages by type, in the order of [`TYPES`].
    pub by_type: [u64; TYPES.len()],
    /// Messages that changed or could have changed something.
    pub processed: u64,
    /// Messages of which everything was known before.
    pub redelivered: u64,
    /// Bad messages by kind, in the order of [`BadKind::ALL`].
    pub dead_lettered: [u64; BadKind::ALL.len()],
    /// Fee details that came inside settlements.
    pub embedded_details: u64,
    /// Good messages from the future.
    pub future: u64,
    /// Records with an identity known under other content.
    pub revisions: u64,
    /// From the batch being handed over to its alerts being ready.
    pub time: Duration,
    /// From the arrival of the batch's first message to its alerts being handed to the sinks.
    pub latency: Duration,
}

impl BatchReport {
    /// What lies between the engine's totals before and after a batch, with the batch's bad records; times are
    /// left at zero.
    pub fn between(before: &Totals, after: &Totals, bad: &[Bad]) -> Self {
        let mut report = Self {
            by_type: std::array::from_fn(|number| after.by_type[number] - before.by_type[number]),
            processed: after.processed - before.processed,
            redelivered: after.redelivered - before.redelivered,
            embedded_details: after.embedded - before.embedded,
            future: after.future - before.future,
            revisions: after.revisions - before.revisions,
            ..Self::default()
        };
        for bad in bad {
            let kind = BadKind::ALL.iter().position(|kind| *kind == bad.kind);
            if let Some(count) = kind.and_then(|number| report.dead_lettered.get_mut(number)) {
                *count += 1;
            }
        }
        report
    }

    /// All messages.
    pub fn messages(&self) -> u64 {
        self.processed + self.redelivered + self.dead_lettered.iter().sum::<u64>()
    }
}
