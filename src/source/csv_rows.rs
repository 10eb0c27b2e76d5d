//! CSV: a header with the names of the fields, and a record a row.

use super::json_row::text;
use super::lines::Ended;
use super::{Filling, Outlet};
use crate::record::Origin;
use std::io::{self, Read};
use std::sync::Arc;

/// What spreadsheets put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads rows to the end and sends batches as they fill; what is left stays in `filling`. A position is the line a
/// row begins on; empty lines are skipped. A row with more or fewer cells than the header is handed on as a JSON
/// array, which the decoder refuses: nobody knows which cell is missing.
///
/// # Errors
/// The reader's.
pub fn feed(reader: impl Read, origin: &Arc<Origin>, filling: &mut Filling, outlet: &Outlet) -> io::Result<Ended> {
    // Rows end at the line feed alone, so that lines are counted right; what precedes it in files of Windows is cut
    // off below.
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(super::lines::BUFFER)
        .from_reader(Terminated { inner: reader, last: b'\n' });
    let names: Vec<Vec<u8>> = reader
        .byte_headers()
        .map_err(io_error)?
        .iter()
        .map(|name| name.strip_prefix(BYTE_ORDER_MARK).unwrap_or(name).trim_ascii().to_vec())
        .collect();
    let mut row = csv::ByteRecord::new();
    let mut json = Vec::new();
    while reader.read_byte_record(&mut row).map_err(io_error)? {
        let mut cells: Vec<&[u8]> = row.iter().collect();
        if let Some(last) = cells.last_mut() {
            *last = last.strip_suffix(b"\r").unwrap_or(last);
        }
        if *cells == [b""] {
            continue;
        }
        json.clear();
        if cells.len() == names.len() {
            object(&names, &cells, &mut json);
        } else {
            array(&cells, &mut json);
        }
        let inside = row.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        // The reader stands on the line after the row.
        filling.push(&json, origin, reader.position().line().saturating_sub(inside + 1));
        if filling.is_full() && outlet.flush(filling).is_err() {
            return Ok(Ended::Stopped);
        }
    }
    Ok(Ended::AtEnd)
}

/// Ends the last line where its end is missing, so that lines can be counted by their ends.
struct Terminated<R> {
    inner: R,
    last: u8,
}

impl<R: Read> Read for Terminated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(last) = buffer[..read].last() {
            self.last = *last;
            return Ok(read);
        }
        match buffer.first_mut() {
            Some(first) if self.last != b'\n' => {
                self.last = b'\n';
                *first = b'\n';
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, format!("{other:?}")),
    }
}

/// Cells are texts, which the decoder takes for numbers and codes alike; flags and embedded details have JSON of
/// their own. An empty cell is an absent field.
fn object(names: &[Vec<u8>], cells: &[&[u8]], json: &mut Vec<u8>) {
    json.push(b'{');
    for (name, cell) in names.iter().zip(cells.iter().copied()).filter(|(_, cell)| !cell.is_empty()) {
        // A name that is not UTF-8 names no field; its cell is passed on with it, and the record refused.
        if json.last() != Some(&b'{') {
            json.push(b',');
        }
        text(name, json);
        json.push(b':');
        match (name.as_slice(), cell) {
            (b"passed" | b"approved_leave", b"true" | b"false") => json.extend_from_slice(cell),
            (b"fee_details", _) if is_json_array(cell) => json.extend_from_slice(cell),
            _ => text(cell, json),
        }
    }
    json.push(b'}');
}

fn is_json_array(cell: &[u8]) -> bool {
    cell.trim_ascii_start().starts_with(b"[") && serde_json::from_slice::<serde::de::IgnoredAny>(cell).is_ok()
}

fn array(cells: &[&[u8]], json: &mut Vec<u8>) {
    json.push(b'[');
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            json.push(b',');
        }
        text(cell, json);
    }
    json.push(b']');
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::channel::{Event, Received, channel};
    use super::*;
    use std::time::Duration;

    fn rows(text: &[u8]) -> Vec<(String, String)> {
        let (outlet, inlet) = channel(9);
        let origin = Arc::new(Origin { name: "f.csv".to_owned(), separator: ':', default_type: None });
        let mut filling = Filling::new(Limits::bulk());
        feed(text, &origin, &mut filling, &outlet).expect("memory");
        outlet.flush(&mut filling).expect("room");
        drop(outlet);
        let Received::Event(Event::Batch(delivery)) = inlet.receive(Duration::ZERO) else { return Vec::new() };
        let batch = &delivery.batch;
        let row = |message| (batch.position(message), String::from_utf8_lossy(batch.payload(message)).into_owned());
        batch.messages.iter().map(row).collect()
    }

    #[test]
    fn rows_become_objects() {
        let text = "\u{feff}type,setl_id, passed ,medfee_sumamt,fee_details\r\n\
                    settlement,S1,,12.50,\"[{\"\"cnt\"\":1}]\"\n\
                    presence,\"a\nb\",true,,\n\
                    \n\
                    presence,c,maybe,,x\n";
        let expected = [
            ("f.csv:2", r#"{"type":"settlement","setl_id":"S1","medfee_sumamt":"12.50","fee_details":[{"cnt":1}]}"#),
            ("f.csv:3", r#"{"type":"presence","setl_id":"a\nb","passed":true}"#),
            ("f.csv:6", r#"{"type":"presence","setl_id":"c","passed":"maybe","fee_details":"x"}"#),
        ];
        let rows = rows(text.as_bytes());
        let rows: Vec<(&str, &str)> = rows.iter().map(|(position, json)| (position.as_str(), json.as_str())).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn rows_of_another_width_are_no_objects() {
        let rows = rows(b"a,b\n1\n1,2,3\n1,2\n");
        let json: Vec<&str> = rows.iter().map(|(_, json)| json.as_str()).collect();
        assert_eq!(json, [r#"["1"]"#, r#"["1","2","3"]"#, r#"{"a":"1","b":"2"}"#]);
        assert_eq!(
            self::rows(b"a,b\r\n\r\n1,2\r\n\n\"x\r\ny\",3\r\n5,\"6\"")
                .iter()
                .map(|(at, _)| at.as_str())
                .collect::<Vec<_>>(),
            ["f.csv:3", "f.csv:5", "f.csv:7"]
        );
        assert!(self::rows(b"a,b\n").is_empty());
        assert!(self::rows(b"").is_empty());
    }
}
