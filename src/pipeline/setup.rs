//! From a configuration to a running pipeline.

use super::health::{Health, Limits};
use super::outputs::Outputs;
use super::poison::{self, Poison};
use super::publish::Publisher;
use super::shutdown::Shutdown;
use super::{Pipeline, RuleReload};
use crate::config::{self, Config, SourceKind, Start};
use crate::engine::{Engine, Options};
use crate::http;
use crate::metrics::Metrics;
use crate::record::Ids;
use crate::rules::{Mistakes, RuleSet, RulesDir, Watch};
use crate::sink::from_config::{alert_sinks, letter_sink};
use crate::sink::{Fanout, dead_letter, store::Store};
use crate::source;
use crate::status::Board;
use anyhow::Context as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;

/// Shards for each thread: so many that none has to wait long for the slowest.
const SHARDS_PER_THREAD: usize = 4;

/// An engine under the rules of a folder, with where they came from.
pub struct Loaded {
    /// The engine, empty.
    pub engine: Engine,
    /// Where the rules were read.
    pub rules: RulesDir,
}

/// Reads rules and makes an engine for them. Threads and shards of 0 mean as many as suit the machine.
///
/// # Errors
/// Every mistake in every rule file.
pub fn load_engine(
    rules: Option<PathBuf>,
    registry: Option<&Path>,
    engine: &config::Engine,
    future_skew: Option<Duration>,
) -> Result<Loaded, Mistakes> {
    let threads = match engine.threads {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        threads => threads,
    };
    let shards = match engine.shards {
        0 if threads == 1 => 1,
        0 => threads * SHARDS_PER_THREAD,
        shards => shards,
    }
    .next_power_of_two();
    let ids = Arc::new(Ids::new(shards));
    let rules = RulesDir::or_default(rules);
    let set = RuleSet::load(&rules, registry, &ids)?;
    let future_skew = future_skew.and_then(|skew| i64::try_from(skew.as_secs()).ok());
    let options = Options { threads, retention_days: engine.retention.0, future_skew };
    Ok(Loaded { engine: Engine::new(Arc::new(set), ids, &options), rules })
}

/// A pipeline with its server.
pub struct Ready {
    /// To be run.
    pub pipeline: Pipeline,
    /// The HTTP server, if there is one; stops when it is dropped.
    pub server: Option<http::Server>,
}

/// Sets everything up and starts the source.
///
/// # Errors
/// What cannot be had: rules, files, the address of the server.
pub fn pipeline(config: &Config, shutdown: Shutdown) -> anyhow::Result<Ready> {
    let registry = config.rules.registry.as_deref();
    // The simulated city's time is its own, and soon ahead of ours.
    let future_skew = (config.source.kind != SourceKind::Simulator).then_some(config.engine.future_skew);
    let Loaded { engine, rules } = load_engine(config.rules.dir.clone(), registry, &config.engine, future_skew)
        .map_err(|mistakes| anyhow::anyhow!("the rules cannot be used:\n{}", mistakes.render(false)))?;
    let watch = Watch::new(rules, config.rules.registry.clone(), engine.rules());
    let board = Board::new();
    let metrics = Arc::new(Metrics::new());
    let sinks = alert_sinks(&config.sinks, &board).context("failed to set up the sinks")?;
    let dead_letters = letter_sink(dead_letter::NAME, config.dead_letters.letters());
    let dead_letters = dead_letters.context("failed to set up the dead letters")?;
    let late = letter_sink(dead_letter::LATE, config.late.letters());
    let late = late.context("failed to set up the place of late records")?;
    warn_of_forgetful_store(config, sinks.store.as_ref());
    let source = source::of_config(config, sinks.store.as_ref().is_some_and(has_alerts));
    let borne = Limits {
        ready_lag: config.http.ready_lag,
        ready_delay: config.http.ready_delay,
        stalled_after: config.http.stalled_after,
    };
    let health = Health::new(borne, Instant::now());
    let publisher = Publisher::new(board.clone(), metrics.clone(), source.name(), engine.rules(), health);
    let server = match config.http.enabled {
        false => None,
        true => {
            let store = sinks.store.clone();
            let state = http::State { store, metrics: metrics.clone(), board, live: sinks.live };
            Some(http::Server::start(&config.http.listen, state)?)
        }
    };
    let outputs = Outputs {
        alerts: Fanout::start(sinks.sinks, &metrics),
        dead_letters: Fanout::start(vec![dead_letters], &metrics),
        late: Fanout::start(vec![late], &metrics),
        store: sinks.store,
    };
    let interval = config.rules.reload_interval;
    let rules = (!interval.is_zero()).then(|| RuleReload { watch, interval, next: Instant::now() + interval });
    let pipeline = Pipeline {
        engine,
        source: source::start(source, config.engine.batches_ahead)?,
        outputs,
        publisher,
        rules,
        poison: Poison::new(poison::Limits::of(&config.dead_letters)),
        last_bad: None,
        shutdown,
        shutdown_timeout: config.engine.shutdown_timeout,
        sequence: 0,
        waiting: std::collections::VecDeque::new(),
        last_batch: Instant::now(),
        warm_up: None,
    };
    Ok(Ready { pipeline, server })
}

fn has_alerts(store: &Store) -> bool {
    store.counts().is_ok_and(|counts| !counts.is_empty())
}

fn warn_of_forgetful_store(config: &Config, store: Option<&Store>) {
    let kafka = config.source.kind == SourceKind::Kafka && config.source.kafka.start == Start::Replay;
    if kafka && (store.is_none() || config.sinks.sqlite.path.is_none()) {
        warn!(
            "no alerts are kept over a restart, so every open alert will be sent again then; sinks.sqlite.path keeps them"
        );
    }
}
