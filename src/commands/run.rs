//! `fundwatch run`: the live pipeline.

use super::Outcome;
use crate::cli::RunArgs;
use crate::clock;
use crate::config::SourceKind;
use crate::pipeline::setup;
use crate::pipeline::shutdown::{Shutdown, end_on_panic};
use anyhow::{Context as _, Result};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Carries the command out.
///
/// # Errors
/// The configuration is wrong, something cannot be had, or the pipeline has failed.
pub fn run(args: &RunArgs) -> Result<Outcome> {
    let config = super::configuration(args.config.as_deref())?;
    log_to_stderr(&config.log.filter)?;
    clock::set_zone(&config.engine.time_zone)?;
    end_on_panic();
    let shutdown = Shutdown::on_signals().context("failed to listen for signals")?;
    let ready = setup::pipeline(&config, shutdown.clone())?;
    if let Some(server) = &ready.server {
        info!("status page: http://{}/", server.address());
    }
    let ended = ready.pipeline.run();
    let outcome = match ended {
        Ok(ended) => {
            info!(?ended, "goodbye");
            Outcome::Done
        }
        Err(error) => {
            super::tell(&error);
            // Whoever reads files waits for the end, and sees the words.
            if ready.server.is_some() && config.source.kind != SourceKind::File {
                linger(config.http.linger, &shutdown);
            }
            Outcome::Failed
        }
    };
    if let Some(server) = ready.server {
        server.stop();
    }
    Ok(outcome)
}

/// Leaves a failed pipeline's server be for a while, so that the reason is scraped; a signal ends that.
fn linger(time: Duration, shutdown: &Shutdown) {
    if time.is_zero() || shutdown.requested() {
        return;
    }
    info!("/healthz and /metrics say so for {time:?} more (http.linger)");
    let until = Instant::now() + time;
    while Instant::now() < until && !shutdown.requested() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn log_to_stderr(filter: &str) -> Result<()> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let levels = EnvFilter::try_new(&filter).with_context(|| format!("`log.filter` \"{filter}\" cannot be read"))?;
    tracing_subscriber::fmt()
        // Words about words that could not be written would end the process where its log is on a full disk.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(levels)
        .init();
    Ok(())
}
