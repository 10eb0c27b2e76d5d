//! `fundwatch state`: looks at checkpoints while nothing runs, or beside a running pipeline.

use super::Outcome;
use crate::checkpoint::manifest::{Manifest, Unusable};
use crate::checkpoint::store::Checkpoints;
use crate::cli::{StateArgs, StateCommand};
use anyhow::{Result, bail};
use comfy_table::{CellAlignment, Table, presets};

/// Carries the command out.
///
/// # Errors
/// The configuration is wrong, or the checkpoints cannot be read.
pub fn run(args: &StateArgs) -> Result<Outcome> {
    let (StateCommand::Inspect(place) | StateCommand::Verify(place)) = &args.command;
    let mut state = super::configuration(place.config.as_deref())?.state;
    if let Some(path) = &place.path {
        path.clone_into(&mut state.path);
        state.url.clear();
    }
    if state.url.is_empty() && !state.folder().is_dir() {
        bail!("there is no state in {}: `state.path` is where the pipeline keeps it", state.path.display());
    }
    let checkpoints = Checkpoints::of_config(&state)?;
    match &args.command {
        StateCommand::Inspect(_) => inspect(&checkpoints),
        StateCommand::Verify(_) => verify(&checkpoints),
    }
}

/// Shows the checkpoints that there are, and the newest in full.
fn inspect(checkpoints: &Checkpoints) -> Result<Outcome> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["CHECKPOINT", "WRITTEN", "RECORDS", "SEGMENTS", "MB", ""]);
    for column in [0, 2, 3, 4] {
        table.column_mut(column).into_iter().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    }
    let mut newest: Option<Manifest> = None;
    let numbers = checkpoints.numbers()?;
    for number in &numbers {
        match checkpoints.manifest(*number)? {
            Ok(manifest) => {
                let Manifest { written_at, summary, segments, .. } = &manifest;
                let (records, bytes) = (summary.totals.records_in, manifest.bytes() as f64 / 1e6);
                table.add_row([
                    number.to_string(),
                    written_at.clone(),
                    records.to_string(),
                    segments.len().to_string(),
                    format!("{bytes:.1}"),
                    String::new(),
                ]);
                newest.get_or_insert(manifest);
            }
            Err(reason) => {
                let [none, also, too, again] = [const { String::new() }; 4];
                table.add_row([number.to_string(), none, also, too, again, reason.to_string()]);
            }
        }
    }
    println!("{} checkpoints in {}\n", numbers.len(), checkpoints.place());
    println!("{table}");
    let Some(newest) = newest else {
        return Ok(Outcome::Done);
    };
    println!("\nthe newest, {} by fundwatch {}, rules {}", newest.number, newest.program, newest.summary.rules);
    let totals = &newest.summary.totals;
    println!(
        "  {} records in: {} processed, {} re-delivered, {} dead-lettered",
        totals.records_in, totals.processed, totals.redelivered, totals.dead_lettered
    );
    for (origin, next) in &newest.positions {
        println!("  {origin}: goes on at {next}");
    }
    for (sink, mark) in &newest.sinks {
        println!("  the {sink} sink was at {mark}");
    }
    Ok(Outcome::Done)
}

/// Reads every checkpoint as a restart would, and says which are whole.
fn verify(checkpoints: &Checkpoints) -> Result<Outcome> {
    let numbers = checkpoints.numbers()?;
    if numbers.is_empty() {
        bail!("there is no checkpoint in {}", checkpoints.place());
    }
    let mut damaged = 0;
    for number in &numbers {
        let verified = checkpoints.manifest(*number)?.and_then(|manifest| verify_one(checkpoints, &manifest));
        match verified {
            Ok(bytes) => println!("checkpoint {number}: whole, {:.1} MB", bytes as f64 / 1e6),
            Err(reason) => {
                damaged += 1;
                println!("checkpoint {number}: {reason}");
            }
        }
    }
    match damaged {
        0 => Ok(Outcome::Done),
        _ => {
            println!("{damaged} of {} cannot be used; a start takes the newest that can", numbers.len());
            Ok(Outcome::Wrong)
        }
    }
}

/// Fetches all segments, compares their checksums and unpacks every piece.
fn verify_one(checkpoints: &Checkpoints, manifest: &Manifest) -> Result<u64, Unusable> {
    let segments = checkpoints.segments(manifest)?;
    for (info, bytes) in manifest.segments.iter().zip(&segments) {
        for part in &info.parts {
            let unpacked = part.texts(bytes).and_then(|_| part.entries(bytes));
            unpacked.map_err(|reason| Unusable::Damaged(format!("segment {}: {reason}", info.name)))?;
        }
    }
    Ok(manifest.bytes())
}
