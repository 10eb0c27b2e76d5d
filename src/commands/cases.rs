//! `fundwatch cases`: learns from confirmed and dismissed settlements, and says which others are like the confirmed ones.

use super::{Outcome, history, labels, say};
use crate::engine::Engine;
use crate::engine::moments::Moment;
use crate::model::labels::Labels;
use crate::model::supervised::learner::Settings;
use crate::model::supervised::replay::Replay;
use crate::model::supervised::{Supervised, SupervisedError};
use crate::record::{Day, Money, Time};
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Features that are told of a settlement.
const TOLD: usize = 3;

/// Settlements of which they are told: it takes a millisecond each, and nobody reads further.
const EXPLAINED: usize = 1_000;

/// `fundwatch cases`
#[derive(Debug, Args)]
pub struct CasesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CasesCommand,
}

/// What can be done with cases.
#[derive(Debug, Subcommand)]
pub enum CasesCommand {
    /// Learns from the settlements on which verdicts were known before a day
    #[command(
        after_help = "The labels are a CSV file with the columns setl_id, psn_no, fixmedins_code, setl_time, outcome \
        (confirmed or dismissed) and known_at (a date or a time). The same input and seed give the same bytes.\n\n\
        Example:\n  \
        fundwatch cases learn --labels cases.csv --input records.jsonl.gz --out learned.json"
    )]
    Learn(LearnArgs),
    /// Writes the probability of being confirmed for each settlement, the highest first, by what was known before it
    #[command(
        after_help = "A row for each settlement: setl_id, psn_no, fixmedins_code, setl_time, fund_pay_sumamt (yuan), \
        probability, and, of the first 1,000, why: the features that add most.\n\n\
        Example:\n  \
        fundwatch cases score --learned learned.json --labels cases.csv --input records.jsonl.gz --from 2026-04-01 --out scores.csv"
    )]
    Score(ScoreArgs),
}

/// What is read.
#[derive(Debug, Args)]
pub struct Read {
    /// Verdicts with the date on which each became known
    #[arg(long, value_name = "FILE")]
    pub labels: PathBuf,
    /// Files and folders of records, in the order in which they came
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub input: Vec<PathBuf>,
    /// Folder of rules, for the classes of med_type [default: ./rules, else the built-in rules]
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `fundwatch cases learn`
#[derive(Debug, Args)]
pub struct LearnArgs {
    #[command(flatten)]
    read: Read,
    /// Receives what was learned
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Settlements of this day and later, and verdicts that became known on it or later, are not seen [default: all are]
    #[arg(long, value_name = "DAY", value_parser = day)]
    before: Option<Day>,
    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// `fundwatch cases score`
#[derive(Debug, Args)]
pub struct ScoreArgs {
    #[command(flatten)]
    read: Read,
    /// What `cases learn` has written
    #[arg(long, value_name = "FILE")]
    learned: PathBuf,
    /// Receives the settlements: .csv
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The first day whose settlements are scored [default: the first of all]
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Day>,
}

fn day(text: &str) -> Result<Day, String> {
    Day::parse(text.as_bytes()).ok_or_else(|| "not a day such as 2026-04-01".to_owned())
}

// The first and the last day that records may have, both far off.
const FIRST: Day = Day::of_date(1900, 1, 1);
const LAST: Day = Day::of_date(2200, 1, 1);

/// Carries the command out.
///
/// # Errors
/// A file cannot be read or written. Wrong labels, wrong rules, or too little to learn from are no error but
/// [`Outcome::Wrong`].
pub fn run(args: CasesArgs) -> Result<Outcome> {
    match args.command {
        CasesCommand::Learn(args) => learn(args),
        CasesCommand::Score(args) => score(args),
    }
}

fn learn(args: LearnArgs) -> Result<Outcome> {
    let Some((moments, labels)) = read(args.read, FIRST, args.before.unwrap_or(LAST))? else {
        return Ok(Outcome::Wrong);
    };
    let at: Time = args.before.unwrap_or(LAST).start();
    let learned = match Supervised::learn(&moments, &labels, at, Settings::default(), args.seed) {
        Ok(learned) => learned,
        Err(wrong @ SupervisedError::TooLittle { .. }) => return Ok(say(&wrong.to_string())),
        Err(error) => return Err(error.into()),
    };
    learned.write(&args.out)?;
    let history = &learned.history;
    eprintln!(
        "{}: {} confirmed and {} dismissed of {} settlements",
        args.out.display(),
        history.confirmed,
        history.dismissed,
        moments.len()
    );
    Ok(Outcome::Done)
}

fn score(args: ScoreArgs) -> Result<Outcome> {
    let learned = Supervised::read(&args.learned)?;
    let Some((moments, labels)) = read(args.read, args.from.unwrap_or(FIRST), LAST)? else {
        return Ok(Outcome::Wrong);
    };
    let mut scored: Vec<(f64, &Moment)> = learned.score(&moments, &labels).into_iter().zip(&moments).collect();
    // By time and id where they tie.
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    write(&args.out, &learned, &labels, &scored).with_context(|| format!("failed to write {}", args.out.display()))?;
    eprintln!("{} settlements", scored.len());
    Ok(Outcome::Done)
}

/// The settlements from a day to the one before another, and the labels; `None` where something is wrong, which has been said.
fn read(read: Read, from: Day, to: Day) -> Result<Option<(Vec<Moment>, Labels)>> {
    let Some(labels) = labels(Labels::read(&read.labels))? else {
        return Ok(None);
    };
    let Some(mut engine) = history::engine(read.rules) else {
        return Ok(None);
    };
    let mut replay = Replay::new(&mut engine, from, to);
    history::read(read.input, &mut engine, |engine: &mut Engine, batch| {
        replay.process(engine, batch);
        Ok(())
    })?;
    Ok(Some((replay.finish(&engine), labels)))
}

fn write(path: &Path, learned: &Supervised, labels: &Labels, scored: &[(f64, &Moment)]) -> Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(["setl_id", "psn_no", "fixmedins_code", "setl_time", "fund_pay_sumamt", "probability", "why"])?;
    for (number, (probability, moment)) in scored.iter().enumerate() {
        let parts = if number < EXPLAINED { learned.explain(moment, labels) } else { Vec::new() };
        let why: Vec<String> = parts
            .iter()
            .take(TOLD)
            .filter(|part| part.contribution > 0.0)
            .map(|part| format!("{}={:.2}", part.feature, part.value))
            .collect();
        file.write_record([
            moment.settlement.as_str(),
            &moment.person,
            &moment.institution,
            &moment.time.to_string(),
            &Money::from_units(moment.fund).to_string(),
            &format!("{probability:.6}"),
            &why.join("; "),
        ])?;
    }
    Ok(file.flush()?)
}
