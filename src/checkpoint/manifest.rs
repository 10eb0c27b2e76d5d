//! The manifest of a checkpoint: which segments make it up, and what is small.

use super::read::Schema;
use super::segment::PartInfo;
use crate::engine::persist::Summary;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The version of the format that this program writes. Older ones are read; of newer ones it knows nothing.
pub const FORMAT: u32 = 1;

/// How far each origin was read: the position of its next message, by [`crate::record::Origin::name`].
pub type Positions = BTreeMap<String, u64>;

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] of the program that wrote it.
    pub format: u32,
    /// The version of that program.
    pub program: String,
    /// Checkpoints of a folder are counted from 1.
    pub number: u64,
    /// Wall clock, local time.
    pub written_at: String,
    /// What it is the state after.
    pub positions: Positions,
    /// What is small of the state.
    pub summary: Summary,
    /// How far each sink that remembers was, at the latest: what it holds beyond that is asked of it.
    pub sinks: BTreeMap<String, String>,
    /// The first generation that no segment has.
    pub next_generation: u64,
    /// How rows are packed; segments name theirs by its place here.
    pub schemas: Vec<Schema>,
    /// Oldest first.
    pub segments: Vec<SegmentInfo>,
}

/// A segment of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// The object's name.
    pub name: String,
    /// The object's size.
    pub bytes: u64,
    /// Of the object, in hexadecimal digits.
    pub sha256: String,
    /// The place of its schema among those of the manifest.
    pub schema: usize,
    /// Whether a cycle began with it.
    pub begins_cycle: bool,
    /// Its parts, oldest first.
    pub parts: Vec<PartInfo>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unusable {
    /// It is not as it was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A newer program wrote it.
    #[error(
        "it was written by fundwatch {program} in format {format}, and this is {}, which reads formats up to {FORMAT}: \
         install that version or a newer one",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// Its format.
        format: u32,
        /// The version that wrote it.
        program: String,
    },
}

/// A hash as hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Manifest {
    /// The bytes of the object: a line of JSON and a line with its hash.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        let hash = sha256(&bytes);
        bytes.push(b'\n');
        bytes.extend_from_slice(hash.as_bytes());
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the bytes of an object.
    ///
    /// # Errors
    /// They are damaged, or of a newer program.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, Unusable> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            program: String,
        }
        let damaged = |reason: &str| Unusable::Damaged(reason.to_owned());
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("its end is missing"))?;
        let (body, hash) = bytes.split_at(end);
        if hash.trim_ascii() != sha256(body).as_bytes() {
            return Err(damaged("its checksum does not fit"));
        }
        let head: Head = serde_json::from_slice(body).map_err(|error| Unusable::Damaged(error.to_string()))?;
        if head.format > FORMAT {
            return Err(Unusable::Newer { format: head.format, program: head.program });
        }
        serde_json::from_slice(body).map_err(|error| Unusable::Damaged(error.to_string()))
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            program: "9.9.9".to_owned(),
            number: 7,
            written_at: "2026-03-01 10:00:00".to_owned(),
            positions: Positions::from([("t[0]".to_owned(), 5)]),
            summary: Summary::default(),
            sinks: BTreeMap::new(),
            next_generation: 2,
            schemas: vec![super::super::read::schema()],
            segments: Vec::new(),
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = manifest().to_bytes().expect("JSON");
        assert_eq!(Manifest::of_bytes(&bytes), Ok(manifest()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // White space around the checksum holds nothing.
            let same = damaged.trim_ascii_end() == bytes.trim_ascii_end();
            assert!(same || matches!(Manifest::of_bytes(&damaged), Err(Unusable::Damaged(_))), "bit {bit}");
        }
        for length in 0..bytes.len() - 1 {
            assert!(matches!(Manifest::of_bytes(&bytes[..length]), Err(Unusable::Damaged(_))), "cut at {length}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_with_words() {
        let newer = Manifest { format: FORMAT + 1, ..manifest() };
        let refused = Manifest::of_bytes(&newer.to_bytes().expect("JSON")).expect_err("newer");
        assert_eq!(refused, Unusable::Newer { format: FORMAT + 1, program: "9.9.9".to_owned() });
        assert!(refused.to_string().contains("fundwatch 9.9.9 in format 2"), "{refused}");
    }
}
