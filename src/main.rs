//! The door: arguments in, exit status out.

use clap::Parser;
use fundwatch::cli::{Cli, Command};
use fundwatch::commands::{self, Outcome};
use std::process::ExitCode;

/// Batches are made on one thread and freed on another, and rows are many and small: with glibc's allocator the
/// freed memory is scattered over per-thread arenas and never given back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // A live pipeline whose socket breaks has failed; a command that prints has only been cut short by its reader.
    let prints = !matches!(command, Command::Run(_));
    match commands::execute(command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Wrong) => ExitCode::from(1),
        Ok(Outcome::Failed) => ExitCode::from(2),
        Err(error) if prints && is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            commands::tell(&error);
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        io.or_else(|| cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind))
    };
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}
