//! Taking a checkpoint back: the newest one that is whole. What it holds is received again by an empty engine, so it
//! does not matter over how many shards it was spread, which rules were in force or which version wrote it.

use super::log::Chunk;
use super::manifest::{Manifest, SegmentInfo, Unusable};
use super::read::{Layouts, Stream, Taken, Unreadable, read_alerts};
use super::segment::PartInfo;
use super::store::{Checkpoints, StoreError};
use crate::alert::{Alert, AlertId};
use crate::engine::Engine;
use crate::engine::persist::ALERTS;
use crate::record::marks::Marks;
use crate::rules::rule::Map;
use bytes::Bytes;
use rayon::prelude::*;
use std::collections::BTreeMap;
use tracing::error;

/// An engine with the state of a checkpoint. It is in a warm-up: see [`Engine::end_warm_up`].
pub struct Restored {
    /// The engine.
    pub engine: Engine,
    /// The checkpoint.
    pub manifest: Manifest,
    /// The alerts that it holds, each with its last revision.
    pub alerts: Vec<Alert>,
}

/// Why no checkpoint could be taken back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The place could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A newer program wrote the newest one.
    #[error("checkpoint {number} in {place} cannot be read: {reason}")]
    Newer {
        /// The number.
        number: u64,
        /// The place.
        place: String,
        /// Which program.
        reason: Unusable,
    },
    /// None is whole.
    #[error(
        "none of the {count} checkpoints in {place} is whole (fundwatch state verify tells more); to begin without \
         one, move them away: the state is then built from the records that the source still has"
    )]
    NoneWhole {
        /// How many there are.
        count: usize,
        /// The place.
        place: String,
    },
}

/// Takes the newest whole checkpoint back into an engine that `make` makes; `None` where there is none at all.
///
/// # Errors
/// None of those that are there can be used.
pub fn restore(checkpoints: &Checkpoints, mut make: impl FnMut() -> Engine) -> Result<Option<Restored>, RestoreError> {
    let numbers = checkpoints.numbers()?;
    for number in &numbers {
        let damaged = |reason: String| {
            error!(
                number,
                place = checkpoints.place(),
                "a checkpoint is damaged, the one before it is tried: {reason}"
            );
        };
        let manifest = match checkpoints.manifest(*number)? {
            Ok(manifest) => manifest,
            Err(reason @ Unusable::Newer { .. }) => {
                return Err(RestoreError::Newer { number: *number, place: checkpoints.place().to_owned(), reason });
            }
            Err(reason) => {
                damaged(reason.to_string());
                continue;
            }
        };
        let segments = match checkpoints.segments(&manifest) {
            Ok(segments) => segments,
            Err(reason) => {
                damaged(reason.to_string());
                continue;
            }
        };
        let mut engine = make();
        match take_back(&mut engine, &manifest, &segments) {
            Ok(alerts) => {
                engine.took_back(&manifest.summary, alerts.iter().cloned());
                return Ok(Some(Restored { engine, manifest, alerts }));
            }
            Err(reason) => damaged(reason.to_string()),
        }
    }
    if numbers.is_empty() {
        return Ok(None);
    }
    Err(RestoreError::NoneWhole { count: numbers.len(), place: checkpoints.place().to_owned() })
}

type Parts<'a> = Vec<(&'a PartInfo, &'a Bytes)>;

/// Takes back all records, newest first, and returns the alerts.
fn take_back(engine: &mut Engine, manifest: &Manifest, segments: &[Bytes]) -> Result<Vec<Alert>, Unreadable> {
    let layouts: Vec<Layouts> = manifest.schemas.iter().map(Layouts::of).collect::<Result<_, _>>()?;
    let ids = engine.ids().clone();
    let mut alerts: Map<AlertId, Alert> = Map::default();
    let mut seen = Marks::telling();
    // Generation by generation, the newest first; within one, the shards side by side.
    let mut generations: BTreeMap<u64, Vec<(&SegmentInfo, &Bytes)>> = BTreeMap::new();
    for (info, bytes) in manifest.segments.iter().zip(segments) {
        let mut numbers: Vec<u64> = info.parts.iter().map(|part| part.generation).collect();
        numbers.dedup();
        numbers.into_iter().for_each(|number| generations.entry(number).or_default().push((info, bytes)));
    }
    for (generation, segments) in generations.into_iter().rev() {
        let schema = segments.first().map_or(0, |(info, _)| info.schema);
        let layouts = layouts.get(schema).ok_or(Unreadable::Damaged("a segment names no schema"))?;
        let mut shards: BTreeMap<u32, Parts<'_>> = BTreeMap::new();
        for (info, bytes) in &segments {
            for part in info.parts.iter().filter(|part| part.generation == generation) {
                shards.entry(part.shard).or_default().push((part, bytes));
            }
        }
        for (part, bytes) in shards.remove(&ALERTS).unwrap_or_default().into_iter().rev() {
            let chunk = Chunk { entries: part.entries(bytes)?, ..Chunk::default() };
            read_alerts(&chunk, &mut alerts)?;
        }
        let mut streams: Vec<(Stream<'_>, Parts<'_>, Marks)> = shards
            .into_values()
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|parts| {
                let mut stream = Stream::new(&ids, layouts);
                for (part, bytes) in &parts {
                    stream.read_texts(&Chunk { texts: part.texts(bytes)?, ..Chunk::default() })?;
                }
                Ok((stream, parts, Marks::telling()))
            })
            .collect::<Result<_, Unreadable>>()?;
        // A part of each stream at a time: so much of it is unpacked at once.
        loop {
            let taken: Vec<Taken> = streams
                .par_iter_mut()
                .filter_map(|(stream, parts, own)| {
                    let (part, bytes) = parts.pop()?;
                    let read = part
                        .entries(bytes)
                        .and_then(|entries| stream.read_entries(&Chunk { entries, ..Chunk::default() }, &seen, own));
                    Some(read)
                })
                .collect::<Result<_, Unreadable>>()?;
            if taken.is_empty() {
                break;
            }
            engine.take_back(taken);
        }
        for (_, _, own) in &mut streams {
            own.settlements.drain_fresh().for_each(|id| seen.settlements.mark(id));
            own.visits.drain_fresh().for_each(|id| seen.visits.mark(id));
            own.checks.drain_fresh().for_each(|id| seen.checks.mark(id));
        }
    }
    Ok(alerts.into_values().collect())
}
