//! Live records: what counts of all that was received, in any order of arrival (contract, section 1).
//!
//! Whoever owns an identity keeps its versions: [`settlements`] by `setl_id`, [`checks`] by `check_id`,
//! [`inventory`] by institution, and [`visits`] all that hangs on a visit: its fee [`details`] and its
//! [`stays`]. Owners live in shards. A batch passes through them in steps; within a step a shard writes only what
//! it owns, reads what the step before has finished, and tells other owners by mail. So the outcome does not
//! depend on how many shards there are, nor on which thread is faster.

pub mod checks;
pub mod details;
pub mod inventory;
pub mod paged;
pub mod settlements;
pub mod stays;
pub mod versions;
pub mod visits;

use crate::record::Ids;
use crate::record::decode::Line;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use versions::Receipt;

/// Messages to the shards: `mail[s]` is for shard `s`.
pub type Mail<M> = Vec<Vec<M>>;

/// Empty mail for all shards.
pub fn mail<M>(ids: &Ids) -> Mail<M> {
    (0..ids.shards()).map(|_| Vec::new()).collect()
}

/// What the records of a batch turned out to be. A line is re-delivered when everything in it was.
pub struct Receipts {
    fresh: Vec<AtomicBool>,
    revisions: AtomicU64,
}

impl Receipts {
    /// For a batch of so many lines.
    pub fn new(lines: usize) -> Self {
        Self { fresh: (0..lines).map(|_| AtomicBool::new(false)).collect(), revisions: AtomicU64::new(0) }
    }

    /// Notes what a record of a line was.
    pub fn note(&self, line: Line, receipt: Receipt) {
        if receipt != Receipt::Redelivered {
            self.fresh[line as usize].store(true, Ordering::Relaxed);
        }
        if receipt == Receipt::Revision {
            self.revisions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines held something new.
    pub fn fresh(&self) -> u64 {
        self.fresh.iter().filter(|fresh| fresh.load(Ordering::Relaxed)).count() as u64
    }

    /// How many records came with a known identity and content never seen.
    pub fn revisions(&self) -> u64 {
        self.revisions.load(Ordering::Relaxed)
    }
}
