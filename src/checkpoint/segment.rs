//! Segments: what was written down between two cuts, as one object of compressed pieces.

use super::log::Chunk;
use super::read::Unreadable;
use crate::engine::persist::Part;
use serde::{Deserialize, Serialize};

/// Level 1 takes a third of the bytes away at several hundred megabytes a second.
const LEVEL: i32 = 1;

/// Where a piece lies in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its first byte.
    start: usize,
    /// Bytes there.
    length: usize,
    /// Bytes once it is unpacked.
    unpacked: usize,
}

/// A part of a segment; see [`Part`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// Parts of one generation and shard belong together.
    pub generation: u64,
    /// The shard, or [`crate::engine::persist::ALERTS`].
    pub shard: u32,
    texts: Piece,
    entries: Piece,
}

impl PartInfo {
    /// Bytes once it is unpacked.
    pub fn unpacked(&self) -> usize {
        self.texts.unpacked + self.entries.unpacked
    }

    /// The texts of the part.
    ///
    /// # Errors
    /// The segment is not as it was written.
    pub fn texts(&self, segment: &[u8]) -> Result<Vec<u8>, Unreadable> {
        self.texts.unpack(segment)
    }

    /// The entries of the part.
    ///
    /// # Errors
    /// The segment is not as it was written.
    pub fn entries(&self, segment: &[u8]) -> Result<Vec<u8>, Unreadable> {
        self.entries.unpack(segment)
    }
}

impl Piece {
    fn pack(bytes: &[u8], segment: &mut Vec<u8>) -> std::io::Result<Self> {
        let start = segment.len();
        zstd::stream::copy_encode(bytes, &mut *segment, LEVEL)?;
        Ok(Self { start, length: segment.len() - start, unpacked: bytes.len() })
    }

    fn unpack(self, segment: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let damaged = Unreadable::Damaged("a piece of a segment cannot be unpacked");
        let end = self.start.checked_add(self.length);
        let Some(piece) = end.and_then(|end| segment.get(self.start..end)) else {
            return Err(damaged);
        };
        match zstd::bulk::decompress(piece, self.unpacked) {
            Ok(bytes) if bytes.len() == self.unpacked => Ok(bytes),
            _ => Err(damaged),
        }
    }
}

/// Packs parts into a segment.
///
/// # Errors
/// No memory is left.
pub fn pack(parts: &[Part]) -> std::io::Result<(Vec<u8>, Vec<PartInfo>)> {
    let mut segment = Vec::new();
    let mut infos = Vec::with_capacity(parts.len());
    for Part { generation, shard, chunk: Chunk { texts, entries } } in parts {
        let texts = Piece::pack(texts, &mut segment)?;
        let entries = Piece::pack(entries, &mut segment)?;
        infos.push(PartInfo { generation: *generation, shard: *shard, texts, entries });
    }
    Ok((segment, infos))
}
