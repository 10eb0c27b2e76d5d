//! From a configuration to a running pipeline.

use super::health::{Health, Limits};
use super::models::ModelKeeper;
use super::outputs::Outputs;
use super::poison::{self, Poison};
use super::publish::Publisher;
use super::shutdown::Shutdown;
use super::state::{StateFolder, StateKeeper};
use super::warm_up::Former;
use super::{Pipeline, RuleReload};
use crate::alert::Alert;
use crate::checkpoint::manifest::{Manifest, Positions};
use crate::checkpoint::restore::{Restored, restore};
use crate::config::{self, Config, SourceKind, Start};
use crate::engine::{Engine, Options};
use crate::fault;
use crate::http;
use crate::metrics::Metrics;
use crate::record::Ids;
use crate::rules::{Mistakes, RuleSet, RulesDir, Watch};
use crate::sink::from_config::{Memory, alert_sinks, letter_sink};
use crate::sink::{Fanout, dead_letter, store::Store};
use crate::source::{self, Resume};
use crate::status::Board;
use anyhow::Context as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

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
    let options = Options { threads, retention_days: engine.retention.0, future_skew, ..Options::default() };
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
    let models = ModelKeeper::of_config(config)?;
    let load = || {
        let mut loaded = load_engine(config.rules.dir.clone(), registry, &config.engine, future_skew)?;
        loaded.engine.use_models(models.as_ref().map(ModelKeeper::scorers).unwrap_or_default());
        Ok(loaded)
    };
    let Loaded { engine, rules } = load()
        .map_err(|mistakes: Mistakes| anyhow::anyhow!("the rules cannot be used:\n{}", mistakes.render(false)))?;
    let folder = if config.keeps_state() { Some(StateFolder::open(&config.state)?) } else { None };
    let Begun { mut engine, mut resume, alerts, manifest } =
        begin(engine, folder.as_ref(), || load().expect("the rules could be read a moment ago").engine)?;
    let watch = Watch::new(rules, config.rules.registry.clone(), engine.rules());
    let board = Board::new();
    let metrics = Arc::new(Metrics::new());
    let marks = manifest.as_ref().map(|manifest| manifest.sinks.clone()).unwrap_or_default();
    let id = pipeline_id(config);
    let memory = folder.is_some().then_some(Memory { id: &id, marks: &marks });
    let sinks = alert_sinks(&config.sinks, &board, memory.as_ref()).context("failed to set up the sinks")?;
    let dead_letters = letter_sink(dead_letter::NAME, config.dead_letters.letters());
    let dead_letters = dead_letters.context("failed to set up the dead letters")?;
    let late = letter_sink(dead_letter::LATE, config.late.letters());
    let late = late.context("failed to set up the place of late records")?;
    warn_of_forgetful_store(config, sinks.store.as_ref());
    let told_before = !sinks.recalled.is_empty();
    if resume.is_none() && told_before {
        info!(
            alerts = sinks.recalled.len(),
            "there is no state, but alerts of a former run: begins with the difference"
        );
        engine.begin_warm_up([]);
        resume = Some(Resume::default());
    }
    let former = resume.as_ref().map(|resume| Former {
        alerts,
        recalled: sinks.recalled,
        until: match config.source.kind {
            SourceKind::Kafka => None,
            // Up to where is not known, but they end.
            SourceKind::File if resume.told.is_empty() => None,
            // What was piped in before does not come again.
            SourceKind::Stdin => Some(Positions::new()),
            SourceKind::File | SourceKind::Simulator => Some(resume.told.clone()),
        },
    });
    let alerts_known = told_before || sinks.store.as_ref().is_some_and(has_alerts);
    let source = source::of_config(config, alerts_known, resume);
    let borne = Limits {
        ready_lag: config.http.ready_lag,
        ready_delay: config.http.ready_delay,
        stalled_after: config.http.stalled_after,
    };
    let health = Health::new(borne, Instant::now());
    let mut publisher = Publisher::new(board.clone(), metrics.clone(), source.name(), engine.rules(), health);
    publisher.models(&engine, None);
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
        models,
        poison: Poison::new(poison::Limits::of(&config.dead_letters)),
        last_bad: None,
        shutdown,
        shutdown_timeout: config.engine.shutdown_timeout,
        sequence: 0,
        waiting: std::collections::VecDeque::new(),
        last_batch: Instant::now(),
        warm_up: None,
        state: folder.map(|folder| StateKeeper::start(folder, &config.state, manifest)).transpose()?,
        former,
    };
    Ok(Ready { pipeline, server })
}

/// What a run begins with.
struct Begun {
    engine: Engine,
    /// Where the source goes on; `None`: there was no checkpoint.
    resume: Option<Resume>,
    /// The alerts of the checkpoint.
    alerts: Vec<Alert>,
    /// The checkpoint.
    manifest: Option<Manifest>,
}

/// Takes the newest checkpoint back, if there is one.
fn begin(engine: Engine, folder: Option<&StateFolder>, load: impl Fn() -> Engine) -> anyhow::Result<Begun> {
    let mut first = Some(engine);
    let mut make = || first.take().unwrap_or_else(&load);
    let Some(folder) = folder else {
        return Ok(Begun { engine: make(), resume: None, alerts: Vec::new(), manifest: None });
    };
    let since = Instant::now();
    let told = folder.told().context("failed to read the state folder")?;
    let restored = restore(&folder.checkpoints, &mut make).context("failed to take a checkpoint back")?;
    let Some(Restored { mut engine, manifest, alerts }) = restored else {
        let mut engine = make();
        engine.keep_log(1, &[]);
        // A run before may have gone before its first checkpoint, and yet have told something.
        let resume = (!told.is_empty()).then(|| Resume { positions: Positions::new(), told });
        if resume.is_some() {
            engine.begin_warm_up([]);
        }
        return Ok(Begun { engine, resume, alerts: Vec::new(), manifest: None });
    };
    fault::point("state-taken-back");
    let seconds = since.elapsed().as_secs_f64();
    info!(number = manifest.number, written_at = manifest.written_at, seconds, "a checkpoint is taken back");
    engine.keep_log(manifest.next_generation, &alerts);
    let resume = Resume { positions: manifest.positions.clone(), told };
    Ok(Begun { engine, resume: Some(resume), alerts, manifest: Some(manifest) })
}

/// What tells this pipeline apart from all others that write to the same brokers: the consumer group, with the member's
/// own name where it has one.
fn pipeline_id(config: &Config) -> String {
    let kafka = &config.source.kafka;
    let member = kafka.properties.reveal().find(|(key, _)| *key == "group.instance.id").map(|(_, value)| value);
    match member {
        Some(member) => format!("fundwatch-{}-{member}", kafka.group),
        None => format!("fundwatch-{}", kafka.group),
    }
}

fn has_alerts(store: &Store) -> bool {
    store.counts().is_ok_and(|counts| !counts.is_empty())
}

fn warn_of_forgetful_store(config: &Config, store: Option<&Store>) {
    let kafka = config.source.kind == SourceKind::Kafka && config.source.kafka.start == Start::Replay;
    if kafka && !config.keeps_state() && (store.is_none() || config.sinks.sqlite.path.is_none()) {
        warn!(
            "no alerts are kept over a restart, so every open alert will be sent again then; `state` or `sinks.sqlite.path` keeps them"
        );
    }
}
