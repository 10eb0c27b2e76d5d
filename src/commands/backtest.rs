//! `fundwatch backtest`: the same engine over files, to their end.

use super::{Outcome, history};
use crate::alert::{Alert, AlertStatus, yuan};
use crate::cli::BacktestArgs;
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::model::folder::Models;
use crate::model::scorer::Scorer;
use crate::pipeline::setup::load_engine;
use crate::record::Time;
use crate::rules::rule::{Bilingual, Status};
use crate::sink::dead_letter::DeadLetterFile;
use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Carries the command out.
///
/// # Errors
/// A file cannot be read or written. Wrong rules are no error but [`Outcome::Wrong`].
pub fn run(args: BacktestArgs) -> Result<Outcome> {
    let started = Instant::now();
    let settings = config::Engine {
        threads: args.threads,
        shards: args.shards,
        retention: args.retention,
        ..Config::default().engine
    };
    let mut engine = match load_engine(args.rules.clone(), args.registry.as_deref(), &settings, None) {
        Ok(loaded) => loaded.engine,
        Err(mistakes) => {
            eprintln!("{}", mistakes.render(std::io::stderr().is_terminal()));
            return Ok(Outcome::Wrong);
        }
    };
    if let Some(dir) = &args.models {
        engine.use_models(Models::read(dir)?.scorers());
    }
    let mut outputs = Outputs::create(&args)?;
    let mut day = None;
    history::read(args.input, &mut engine, |engine, batch| {
        let outcome = engine.process(batch);
        outputs.revisions(&outcome.alerts)?;
        // Where records are dropped a window must be judged before it loses its own.
        let now = engine.event_time().map(Time::day).filter(|_| settings.retention.0.is_some());
        if now != std::mem::replace(&mut day, now) {
            outputs.revisions(&engine.score())?;
        }
        match &mut outputs.dead_letters {
            Some(letters) => Ok(letters.write(batch, &outcome.bad)?),
            None => Ok(()),
        }
    })?;
    outputs.revisions(&engine.score())?;
    outputs.finish(&engine)?;
    let report = Report::of(&engine);
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &report).context("failed to write the counts")?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", table(&engine))?;
        eprintln!(
            "{} records in {:.1} s: {} processed, {} re-delivered, {} dead-lettered",
            report.records_in,
            started.elapsed().as_secs_f64(),
            report.processed,
            report.redelivered,
            report.dead_lettered
        );
    }
    Ok(Outcome::Done)
}

/// The files that are asked for.
struct Outputs {
    alerts: Option<JsonFile>,
    revisions: Option<JsonFile>,
    left_out: Option<JsonFile>,
    dead_letters: Option<DeadLetterFile>,
}

impl Outputs {
    /// Begins them all, so that a wrong path is found before hours of work.
    fn create(args: &BacktestArgs) -> Result<Self> {
        let create = |path: &Option<PathBuf>| path.as_deref().map(JsonFile::create).transpose();
        Ok(Self {
            alerts: create(&args.alerts)?,
            revisions: create(&args.revisions)?,
            left_out: create(&args.left_out)?,
            dead_letters: args.dead_letters.as_deref().map(DeadLetterFile::create).transpose()?,
        })
    }

    fn revisions(&mut self, alerts: &[Alert]) -> Result<()> {
        match &mut self.revisions {
            Some(file) => sent(alerts.iter()).try_for_each(|alert| file.write(alert)),
            None => Ok(()),
        }
    }

    fn finish(self, engine: &Engine) -> Result<()> {
        if let Some(mut file) = self.alerts {
            sent(engine.alerts().into_iter()).try_for_each(|alert| file.write(alert))?;
            file.finish()?;
        }
        if let Some(mut file) = self.left_out {
            engine.models().iter().flat_map(Scorer::left_out).try_for_each(|entity| file.write(entity))?;
            file.finish()?;
        }
        self.revisions.map_or(Ok(()), JsonFile::finish)
    }
}

/// Without what rules in shadow found, which is counted and not sent.
fn sent<'a>(alerts: impl Iterator<Item = &'a Alert>) -> impl Iterator<Item = &'a Alert> {
    alerts.filter(|alert| !alert.shadow)
}

/// JSON Lines.
struct JsonFile {
    path: PathBuf,
    out: BufWriter<File>,
}

impl JsonFile {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self { path: path.to_owned(), out: BufWriter::with_capacity(1 << 20, file) })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let fail = || format!("failed to write {}", self.path.display());
        serde_json::to_writer(&mut self.out, line).with_context(fail)?;
        self.out.write_all(b"\n").with_context(fail)
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush().with_context(|| format!("failed to write {}", self.path.display()))
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    records_in: u64,
    processed: u64,
    redelivered: u64,
    dead_lettered: u64,
    revisions: u64,
    /// Open alerts by id of the rule, 0 too; without rules in shadow.
    alerts: BTreeMap<String, u64>,
}

impl Report {
    fn of(engine: &Engine) -> Self {
        let totals = engine.totals();
        let mut alerts: BTreeMap<String, u64> = live(engine).map(|(id, _)| (id.to_owned(), 0)).collect();
        for alert in sent(engine.alerts().into_iter()).filter(|alert| alert.status == AlertStatus::Open) {
            *alerts.entry(alert.finding.rule_id.to_string()).or_default() += 1;
        }
        Self {
            records_in: totals.records_in,
            processed: totals.processed,
            redelivered: totals.redelivered,
            dead_lettered: totals.dead_lettered,
            revisions: totals.revisions,
            alerts,
        }
    }
}

/// The rules and models that are sent, with their names.
fn live(engine: &Engine) -> impl Iterator<Item = (&str, Bilingual)> {
    let rules = engine.rules().rules.iter().filter(|rule| rule.status == Status::Live);
    let models = engine.models().iter().filter(|model| !model.is_in_shadow()).map(|model| &model.model().file);
    let rules = rules.map(|rule| (rule.id.as_str(), rule.name.clone()));
    rules.chain(models.map(|model| (model.id.as_str(), model.name.clone().into())))
}

/// A row for each rule and model that is sent.
fn table(engine: &Engine) -> Table {
    #[derive(Default)]
    struct Row {
        open: u64,
        withdrawn: u64,
        amount: i64,
    }
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let alerts = engine.alerts();
    for alert in sent(alerts.iter().copied()) {
        let row = rows.entry(&alert.finding.rule_id).or_default();
        match alert.status {
            AlertStatus::Open => {
                row.open += 1;
                row.amount += alert.finding.amount_at_issue.unwrap_or(0);
            }
            AlertStatus::Withdrawn => row.withdrawn += 1,
        }
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(["rule", "规则", "name", "open", "withdrawn", "amount at issue"]);
    let mut total = Row::default();
    for (id, Bilingual { zh, en }) in live(engine) {
        let Row { open, withdrawn, amount } = rows.remove(id).unwrap_or_default();
        table.add_row([id, &zh, &en, &open.to_string(), &withdrawn.to_string(), &yuan(amount)]);
        total.open += open;
        total.withdrawn += withdrawn;
        total.amount += amount;
    }
    table.add_row(["", "", "all", &total.open.to_string(), &total.withdrawn.to_string(), &yuan(total.amount)]);
    for number in 3..6 {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
