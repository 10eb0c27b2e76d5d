//! Versions of a record: which one is kept, and what was seen before (contract, section 1, live records 1 and 2).

use crate::record::{Ids, Record};
use crate::rules::rule::Map;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::cmp::Ordering;

/// What a record that arrives is to what was received before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// An identity never seen.
    New,
    /// A known identity with content never seen.
    Revision,
    /// Content that was received before.
    Redelivered,
}

/// The order of versions with equal standing otherwise: by `updt_time`, then by the number of fields, then by
/// content, pair by pair. The greatest is kept.
pub fn compare<R: Record>(one: &R, other: &R, ids: &Ids) -> Ordering {
    one.updated().cmp(&other.updated()).then_with(|| compare_content(one, other, ids))
}

/// By the number of fields, then by content.
pub fn compare_content<R: Record>(one: &R, other: &R, ids: &Ids) -> Ordering {
    one.fields().cmp(&other.fields()).then_with(|| one.content(ids).cmp(&other.content(ids)))
}

/// A row on its own, packed.
pub fn pack<R: Record>(row: &R) -> Vec<u8> {
    let mut packed = Vec::with_capacity(128);
    row.pack(&R::ABSENT, &mut packed);
    packed
}

/// Hashes of versions that are not kept, by the owner they belong to: enough to know them again.
#[derive(Default)]
pub struct Superseded {
    by_owner: Map<u32, SmallVec<[u64; 2]>>,
}

impl Superseded {
    /// A hash over a record's type and content, the same in every process. Only versions of one owner are compared:
    /// of a million of them two meet by chance once in 37 million owners.
    fn hash<R: Record>(row: &R, ids: &Ids) -> u64 {
        let mut content = Vec::with_capacity(1_024);
        content.extend_from_slice(R::TYPE.as_bytes());
        row.say(ids, &mut content);
        let digest: [u8; 32] = Sha256::digest(&content).into();
        u64::from_le_bytes(std::array::from_fn(|byte| digest[byte]))
    }

    /// Whether this content was noted.
    pub fn contains<R: Record>(&self, owner: u32, row: &R, ids: &Ids) -> bool {
        self.by_owner.get(&owner).is_some_and(|hashes| hashes.contains(&Self::hash(row, ids)))
    }

    /// Notes a version that is not kept.
    pub fn note<R: Record>(&mut self, owner: u32, row: &R, ids: &Ids) {
        self.add(owner, Self::hash(row, ids));
    }

    /// Notes the hash of a version that is not kept.
    pub fn add(&mut self, owner: u32, hash: u64) {
        let hashes = self.by_owner.entry(owner).or_default();
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    }

    /// The hashes of an owner's versions that are not kept.
    pub fn hashes(&self, owner: u32) -> &[u64] {
        self.by_owner.get(&owner).map_or(&[], |hashes| hashes)
    }

    /// Forgets all versions of an owner.
    pub fn forget(&mut self, owner: u32) {
        self.by_owner.remove(&owner);
    }

    /// Receives a version of a record of which one version is kept, and keeps the greater one.
    pub fn receive<R: Record>(&mut self, owner: u32, kept: &mut Option<R>, row: R, ids: &Ids) -> Receipt {
        let Some(known) = kept else {
            *kept = Some(row);
            return Receipt::New;
        };
        if *known == row || self.contains(owner, &row, ids) {
            return Receipt::Redelivered;
        }
        if compare(&row, known, ids) == Ordering::Greater {
            self.note(owner, known, ids);
            *known = row;
        } else {
            self.note(owner, &row, ids);
        }
        Receipt::Revision
    }
}
