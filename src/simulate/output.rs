//! A simulation written to a folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{Options, Planted, Simulator, Summary};

/// Lines between two calls of a progress callback.
const PROGRESS_LINES: u64 = 65_536;

/// Simulates to the end and writes `records.jsonl`, `truth.jsonl` and the folder `registry` into
/// `out_dir`, which is made when missing; with schemes also `schemes.jsonl`. Calls `progress` with the counts so far now and then.
///
/// Endless options write until the disk is full.
pub fn write(options: Options, out_dir: &Path, progress: impl FnMut(&Summary)) -> io::Result<Summary> {
    fs::create_dir_all(out_dir)?;
    let asked = options.schemes.is_some();
    let mut simulator = Simulator::new(options);
    simulator.write_registry(&out_dir.join("registry"))?;
    let mut records = File::create(out_dir.join("records.jsonl"))?;
    let mut truth = BufWriter::new(File::create(out_dir.join("truth.jsonl"))?);
    if asked {
        let mut lines = Vec::new();
        simulator.schemes().iter().for_each(|scheme| scheme.to_json_line(&mut lines));
        fs::write(out_dir.join("schemes.jsonl"), lines)?;
    }
    let summary = write_to(&mut simulator, &mut records, &mut truth, progress)?;
    truth.flush()?;
    Ok(summary)
}

/// Writes all remaining records and truths to two writers. Records are handed over in large pieces.
pub fn write_to(
    simulator: &mut Simulator,
    records: &mut impl Write,
    truth: &mut impl Write,
    mut progress: impl FnMut(&Summary),
) -> io::Result<Summary> {
    const PIECE: usize = 1 << 20;
    let mut buffer = Vec::with_capacity(PIECE + (64 << 10));
    let mut line = Vec::new();
    loop {
        let more = simulator.next_line(&mut buffer).is_some();
        if buffer.len() >= PIECE || !more {
            records.write_all(&buffer)?;
            buffer.clear();
            for entry in simulator.take_truth() {
                debug_assert!(entry.planted == Planted::NearMiss || !entry.severity.is_empty());
                line.clear();
                entry.to_json_line(&mut line);
                truth.write_all(&line)?;
            }
        }
        if !more {
            return Ok(simulator.summary().clone());
        }
        if simulator.summary().lines.is_multiple_of(PROGRESS_LINES) {
            progress(simulator.summary());
        }
    }
}
