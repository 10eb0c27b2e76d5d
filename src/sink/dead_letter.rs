//! Dead letters: records that cannot be read, as they came, with where they stood and what is wrong. Records that came
//! after their time was dropped are such letters too, in a place of their own.

use super::json_lines::{JsonLines, Rotation};
use super::{Item, SinkError};
use crate::clock;
use crate::record::decode::{Bad, BadKind};
use crate::record::{Batch, Time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::path::Path;

/// What metrics and messages call the sink of dead letters.
pub const NAME: &str = "dead_letters";
/// The same of the sink of late records.
pub const LATE: &str = "late";

/// A record that cannot be read, or came too late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its bytes, as they came.
    pub payload: Vec<u8>,
    /// Where it stood: `records.jsonl:17`, `settlements[3]@1234`.
    pub source: String,
    /// The kind of mistake.
    pub kind: BadKind,
    /// What is wrong, in words.
    pub reason: String,
    /// When it was refused.
    pub time: Time,
}

impl DeadLetter {
    /// The dead letter of a bad record in a batch.
    pub fn new(batch: &Batch, bad: &Bad) -> Option<Self> {
        let message = batch.messages.get(bad.line as usize)?;
        Some(Self {
            payload: batch.payload(message).to_vec(),
            source: batch.position(message),
            kind: bad.kind,
            reason: bad.reason.clone(),
            time: clock::now(),
        })
    }

    /// The dead letters of a batch.
    pub fn of_batch(batch: &Batch, bad: &[Bad]) -> Vec<Self> {
        bad.iter().filter_map(|bad| Self::new(batch, bad)).collect()
    }
}

impl Item for DeadLetter {}

/// The JSON in files: the record's bytes as text where they are UTF-8, which `encoding` says, or else as Base64.
impl Serialize for DeadLetter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("DeadLetter", 7)?;
        fields.serialize_field("source", &self.source)?;
        fields.serialize_field("reason", &self.reason)?;
        fields.serialize_field("kind", self.kind.word())?;
        fields.serialize_field("contract", self.kind.contract())?;
        fields.serialize_field("time", &self.time)?;
        match std::str::from_utf8(&self.payload) {
            Ok(text) => {
                fields.serialize_field("encoding", "text")?;
                fields.serialize_field("record", text)?;
            }
            Err(_) => {
                fields.serialize_field("encoding", "base64")?;
                fields.serialize_field("record", &BASE64.encode(&self.payload))?;
            }
        }
        fields.end()
    }
}

/// A file of dead letters that is written directly, for a backtest.
pub struct DeadLetterFile(JsonLines);

impl DeadLetterFile {
    /// Begins a new file: what a former run left is removed.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        match std::fs::metadata(path) {
            Ok(present) if present.is_file() => std::fs::remove_file(path).map_err(|source| SinkError::File {
                action: "replace",
                path: path.to_owned(),
                source,
            })?,
            _ => {}
        }
        JsonLines::open(NAME, path, None).map(Self)
    }

    /// Writes the dead letters of a batch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, batch: &Batch, bad: &[Bad]) -> Result<(), SinkError> {
        for bad in bad {
            if let Some(letter) = DeadLetter::new(batch, bad) {
                self.0.append(&letter)?;
            }
        }
        self.0.sync()
    }
}

/// A file of dead letters as a sink with a name.
///
/// # Errors
/// The file cannot be opened.
pub fn file(name: &'static str, path: &Path, rotation: Rotation) -> Result<JsonLines, SinkError> {
    JsonLines::open(name, path, Some(rotation))
}
