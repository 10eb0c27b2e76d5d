//! A batch: the bytes of many messages, and where each came from.

use std::sync::Arc;

/// Where messages come from: a file, a partition of a topic, standard input, the simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// How people call it: a file's path, `topic[partition]`, `stdin`, `simulator`.
    pub name: String,
    /// What separates the name from a position in it: `:` for line numbers, `@` for offsets.
    pub separator: char,
    /// The `type` of records that carry none.
    pub default_type: Option<String>,
}

/// A message of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    /// Where its bytes begin in the batch.
    pub start: usize,
    /// Where they end.
    pub end: usize,
    /// Which of the batch's origins it came from.
    pub origin: u32,
    /// Its position there: a line number from 1, or a Kafka offset.
    pub position: u64,
}

/// Messages that are processed together.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// The bytes of all messages.
    pub bytes: Vec<u8>,
    /// The messages, in order of arrival.
    pub messages: Vec<Message>,
    /// The origins that messages name.
    pub origins: Vec<Arc<Origin>>,
}

impl Batch {
    /// Appends a message.
    pub fn push(&mut self, payload: &[u8], origin: u32, position: u64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        self.messages.push(Message { start, end: self.bytes.len(), origin, position });
    }

    /// The number of an origin, added where it is new.
    pub fn origin(&mut self, origin: &Arc<Origin>) -> u32 {
        let found = self.origins.iter().position(|known| Arc::ptr_eq(known, origin) || known == origin);
        found.unwrap_or_else(|| {
            self.origins.push(origin.clone());
            self.origins.len() - 1
        }) as u32
    }

    /// The bytes of a message.
    pub fn payload(&self, message: &Message) -> &[u8] {
        &self.bytes[message.start..message.end]
    }

    /// Where a message stands, as people write it: `records.jsonl:17`, `settlements[3]@1234`.
    pub fn position(&self, message: &Message) -> String {
        let origin = &self.origins[message.origin as usize];
        format!("{}{}{}", origin.name, origin.separator, message.position)
    }

    /// A batch of JSON lines, for tests and small inputs; empty lines are skipped.
    pub fn of_lines(name: &str, lines: &[u8]) -> Self {
        let mut batch = Self::default();
        let origin = batch.origin(&Arc::new(Origin { name: name.to_owned(), separator: ':', default_type: None }));
        for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                batch.push(line, origin, number as u64 + 1);
            }
        }
        batch
    }

    /// Whether it holds no message.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forgets the messages but keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.messages.clear();
        self.origins.clear();
    }
}
