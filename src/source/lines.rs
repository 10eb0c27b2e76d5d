//! JSON Lines: one record a line.

use super::{Filling, Outlet};
use crate::record::Origin;
use crate::record::batch::Message;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

/// How much is read at once.
pub const BUFFER: usize = 256 << 10;

/// Whether reading can block for long with messages at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// A file: the next line is there.
    Steady,
    /// A pipe: the next line may take hours, so what is complete is sent first.
    Waiting,
}

/// How reading came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All lines were read.
    AtEnd,
    /// It was time to stop.
    Stopped,
}

/// Reads lines to the end and sends batches as they fill; what is left stays in `filling`. Empty lines are skipped
/// and counted. A line above the longest message is cut there, and its rest skipped.
///
/// # Errors
/// The reader's.
pub fn feed<R: Read>(
    reader: &mut BufReader<R>,
    origin: &Arc<Origin>,
    pace: Pace,
    filling: &mut Filling,
    outlet: &Outlet,
) -> io::Result<Ended> {
    let longest = filling.limits.longest_message;
    let mut line = 0;
    loop {
        if pace == Pace::Waiting
            && !filling.is_empty()
            && !reader.buffer().contains(&b'\n')
            && outlet.flush(filling).is_err()
        {
            return Ok(Ended::Stopped);
        }
        let batch = &mut filling.batch;
        let start = batch.bytes.len();
        let read = reader.by_ref().take(longest as u64 + 1).read_until(b'\n', &mut batch.bytes)?;
        if read == 0 {
            return Ok(Ended::AtEnd);
        }
        line += 1;
        match batch.bytes.last() {
            Some(b'\n') => batch.bytes.truncate(start + read - 1),
            _ if read > longest => {
                batch.bytes.truncate(start + longest);
                skip_line(reader)?;
            }
            _ => {}
        }
        if batch.bytes.len() > start && batch.bytes.last() == Some(&b'\r') {
            batch.bytes.pop();
        }
        if batch.bytes[start..].trim_ascii().is_empty() {
            batch.bytes.truncate(start);
            continue;
        }
        let origin = batch.origin(origin);
        batch.messages.push(Message { start, end: batch.bytes.len(), origin, position: line });
        filling.touch();
        if filling.is_full() && outlet.flush(filling).is_err() {
            return Ok(Ended::Stopped);
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let newline = buffer.iter().position(|byte| *byte == b'\n');
        let passed = newline.map_or(buffer.len(), |at| at + 1);
        reader.consume(passed);
        if newline.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::channel::{Event, Received, channel};
    use super::*;
    use std::time::Duration;

    fn read(text: &[u8], limits: Limits, pace: Pace) -> Vec<Vec<(String, Vec<u8>)>> {
        let (outlet, inlet) = channel(1_000);
        let origin = Arc::new(Origin { name: "f".to_owned(), separator: ':', default_type: None });
        let mut filling = Filling::new(limits);
        // A small buffer, so that lines cross its end.
        let mut reader = BufReader::with_capacity(7, text);
        let ended = feed(&mut reader, &origin, pace, &mut filling, &outlet).expect("memory");
        assert_eq!(ended, Ended::AtEnd);
        outlet.flush(&mut filling).expect("room");
        drop(outlet);
        let mut batches = Vec::new();
        while let Received::Event(Event::Batch(delivery)) = inlet.receive(Duration::ZERO) {
            let batch = delivery.batch;
            let message = |message| (batch.position(message), batch.payload(message).to_vec());
            batches.push(batch.messages.iter().map(message).collect());
        }
        batches
    }

    fn limits(messages: usize, longest_message: usize) -> Limits {
        Limits { messages, longest_message, ..Limits::bulk() }
    }

    #[test]
    fn lines_have_their_numbers_and_empty_ones_are_skipped() {
        let text = b"{\"a\":1}\r\n\n  \t\n{\"b\":\"long enough\"}\nx\r\r\n\r\nlast";
        let all: Vec<(String, Vec<u8>)> = read(text, limits(100, 1 << 20), Pace::Steady).concat();
        let expected: [(&str, &[u8]); 4] =
            [("f:1", b"{\"a\":1}"), ("f:4", b"{\"b\":\"long enough\"}"), ("f:5", b"x\r"), ("f:7", b"last")];
        assert_eq!(all.len(), 4);
        for ((position, payload), (at, bytes)) in all.iter().zip(expected) {
            assert_eq!((position.as_str(), payload.as_slice()), (at, bytes));
        }
        assert_eq!(read(text, limits(100, 1 << 20), Pace::Waiting).concat(), all);
        assert_eq!(read(text, limits(1, 1 << 20), Pace::Steady).len(), 4, "a batch for each");
        assert!(read(b"", limits(1, 9), Pace::Steady).is_empty());
        assert!(read(b"\n\n", limits(1, 9), Pace::Steady).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let text = [b"exactly_10".as_slice(), b"\n", &[b'x'; 1_000], b"\nnext\n", &[b'y'; 11]].concat();
        let all = read(&text, limits(100, 10), Pace::Steady).concat();
        let lines: Vec<(&str, &[u8])> =
            all.iter().map(|(position, line)| (position.as_str(), line.as_slice())).collect();
        assert_eq!(
            lines,
            [
                ("f:1", b"exactly_10".as_slice()),
                ("f:2", b"xxxxxxxxxx".as_slice()),
                ("f:3", b"next".as_slice()),
                ("f:4", b"yyyyyyyyyy".as_slice())
            ]
        );
    }
}
