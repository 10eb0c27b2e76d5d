//! The command line, as types. What a command does is in [`crate::commands`].

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Watches a medical-insurance fund: settlement records in, defensible alerts out.
#[derive(Debug, Parser)]
#[command(name = "fundwatch", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Examples:\n  \
    fundwatch run                                    a simulated city, alerts on the terminal, http://127.0.0.1:9464/\n  \
    fundwatch run --config fundwatch.toml            live records from Kafka\n  \
    fundwatch backtest --input records.jsonl.gz      the same rules over a file\n\n\
    Exit status: 0 done, 1 what was asked about is wrong, 2 usage or environment.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the live pipeline and its HTTP server
    Run(RunArgs),
    /// Runs the same engine over files, to their end
    Backtest(BacktestArgs),
    /// Writes the records of a simulated city, with its labelled frauds
    Simulate(SimulateArgs),
    /// Measures how well the detectors of the anomaly model find labelled rows of a table
    Evaluate(EvaluateArgs),
    /// Shows rules, checks them and runs their tests
    Rules(crate::commands::rules::RulesArgs),
    /// Shows and checks the configuration
    Config(ConfigArgs),
    /// Shows and checks the state that a pipeline keeps for its next start
    State(StateArgs),
    /// Writes the features of a model over files, for training and for other tools
    Features(FeaturesArgs),
    /// Learns from a history what is usual, for a model, and from verdicts what is confirmed
    Train(TrainArgs),
    /// Learns from confirmed and dismissed cases which settlements are like the confirmed ones
    Cases(crate::commands::cases::CasesArgs),
}

/// `fundwatch run`
#[derive(Debug, Args)]
#[command(after_help = "Without a configuration the source is the built-in simulator, and nothing else is needed.\n\n\
    Examples:\n  \
    fundwatch run\n  \
    fundwatch run --config fundwatch.toml\n  \
    FUNDWATCH__SOURCE__SIMULATOR__RATE=2000 fundwatch run\n\n\
    SIGTERM or Ctrl-C finishes what was read and stops; a second one stops at once.")]
pub struct RunArgs {
    /// Configuration file; `fundwatch config default` prints one with every key
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `fundwatch backtest`
#[derive(Debug, Args)]
#[command(
    after_help = "Files are JSON Lines, CSV or Parquet, plain or packed with gzip or Zstandard; a folder is all \
    files in it, and - is standard input. Several inputs are one stream. Dead letters do not change the exit status.\n\n\
    Examples:\n  \
    fundwatch backtest --input records.jsonl.gz\n  \
    fundwatch backtest --input 2026/ --rules rules --alerts alerts.jsonl --dead-letters bad.jsonl\n  \
    fundwatch backtest --input records.jsonl --json | jq .alerts\n  \
    fundwatch backtest --input records.jsonl --models trained --alerts alerts.jsonl"
)]
pub struct BacktestArgs {
    /// Files and folders of records
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub input: Vec<PathBuf>,
    /// Folder of rules and knowledge tables [default: ./rules, else the built-in rules]
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Folder of the registry [default: the one in the rules folder]
    #[arg(long, value_name = "DIR")]
    pub registry: Option<PathBuf>,
    /// Folder with a folder for each trained model, which judge what the records come to in the end
    #[arg(long, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Receives the last revision of every alert, ordered by alert_id, withdrawn ones too
    #[arg(long, value_name = "FILE")]
    pub alerts: Option<PathBuf>,
    /// Receives every revision as it came
    #[arg(long, value_name = "FILE")]
    pub revisions: Option<PathBuf>,
    /// Receives what models found as strange as what is raised, and their budgets have cut
    #[arg(long, value_name = "FILE", requires = "models")]
    pub left_out: Option<PathBuf>,
    /// Receives the records that cannot be read, with their position and the reason
    #[arg(long, value_name = "FILE")]
    pub dead_letters: Option<PathBuf>,
    /// Prints the counts as one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// How long records are kept by event time: whole days as in 400d, or unlimited
    #[arg(long, value_name = "DURATION", default_value = "unlimited")]
    pub retention: crate::config::value::Retention,
    /// Worker threads; 0: one for each core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Parts that the state is split into; 0: a number that suits the threads
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub shards: usize,
}

/// `fundwatch features`
#[derive(Debug, Args)]
#[command(
    after_help = "A row for each entity and window that is over: entity, window_start, institution, level, class, \
    department, gender, age, fund_at_stake (fen), then a column for each feature; what is missing is null.\n\n\
    Examples:\n  \
    fundwatch features --model models/institution-week.toml --input records.jsonl.gz --out features.parquet\n  \
    fundwatch features --model models/institution-week.toml --input 2026/ --as-of end --out features.csv"
)]
pub struct FeaturesArgs {
    /// The model file, whose features are computed
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Files and folders of records
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub input: Vec<PathBuf>,
    /// Receives the matrix: .parquet or .csv
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What is known of a window: what had come when it was looked at first, or everything
    #[arg(long, value_enum, default_value_t = AsOf::Close)]
    pub as_of: AsOf,
    /// Folder of rules, for the classes of med_type [default: ./rules, else the built-in rules]
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// `fundwatch train`
#[derive(Debug, Args)]
#[command(
    after_help = "A window is learned from as it was known when it was over, not as later records changed it. The same \
    history, model file, labels and seed give the same bytes.\n\n\
    Labels are a CSV file with the columns entity, window_start (as alerts name them), outcome (confirmed or dismissed) and known_at \
    (a date or a time). Seen are those that were known before the last time of the history; 20 confirmed and 20 dismissed entities \
    in its windows are needed. The model then ranks what is strange by what the fund paid times the probability that a verdict would \
    confirm.\n\n\
    Examples:\n  \
    fundwatch train --model models/institution-week.toml --input records.jsonl.gz --out models/institution-week\n  \
    fundwatch train --model models/doctor-week.toml --input 2026/ --labels cases.csv --out models/doctor-week"
)]
pub struct TrainArgs {
    /// The model file
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Files and folders of records, in the order in which they came
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub input: Vec<PathBuf>,
    /// CSV of verdicts on entities in windows, each with when it became known: learns besides what is confirmed
    #[arg(long, value_name = "FILE.csv")]
    pub labels: Option<PathBuf>,
    /// Folder that receives what was learned; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Folder of rules, for the classes of med_type [default: ./rules, else the built-in rules]
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// What is known of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AsOf {
    /// What had come, in the order of the input, when the window and its grace were over: what a model can learn from
    Close,
    /// All of the input, as the live pipeline knows it in the end
    End,
}

/// `fundwatch simulate`
#[derive(Debug, Args)]
#[command(
    after_help = "Writes records.jsonl, truth.jsonl (what was planted: rule_id, evidence ids) and the registry. \
    The same seed gives the same bytes.\n\n\
    Examples:\n  \
    fundwatch simulate --out city\n  \
    fundwatch simulate --out city --persons 100000 --days 90 --seed 7\n  \
    fundwatch backtest --input city/records.jsonl --registry city/registry"
)]
pub struct SimulateArgs {
    /// Folder to write to; made where it is missing
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Insured persons
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub persons: u32,
    /// Days in which things happen
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Everything follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Also frauds that no rule covers, from this day on, counted from 0; schemes.jsonl tells of them
    #[arg(long, value_name = "DAY")]
    pub schemes: Option<u32>,
}

/// `fundwatch evaluate`
#[derive(Debug, Args)]
#[command(
    after_help = "Detectors are fitted on all rows and score all rows; they never see the labels. The table is CSV with a \
    header, plain or packed with gzip: numbers, and nothing where a value is missing. Labels are 1 or true for what is to be \
    found, 0 or false for the rest.\n\n\
    A model judges each window of a history as it was known when it was over. Of entities that no case names nothing is known; \
    they count as dismissed.\n\n\
    Examples:\n  \
    fundwatch evaluate --table institutions.csv.gz --label fraud\n  \
    fundwatch evaluate --table institutions.csv --label fraud --detector combined --json\n  \
    fundwatch evaluate --model trained/STA-11 --input 2026/ --labels cases.csv --html report.html"
)]
pub struct EvaluateArgs {
    /// Feature table, on which detectors are measured
    #[arg(
        long,
        value_name = "FILE.csv",
        requires = "label",
        required_unless_present = "model",
        conflicts_with = "model"
    )]
    pub table: Option<PathBuf>,
    /// Its column of labels
    #[arg(long, value_name = "COLUMN", requires = "table")]
    pub label: Option<String>,
    /// Folder of a trained model, which is measured on a history
    #[arg(long, value_name = "DIR", requires = "input")]
    pub model: Option<PathBuf>,
    /// Files and folders of records, in the order in which they came
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "model")]
    pub input: Vec<PathBuf>,
    /// CSV of cases: entity, window_start, outcome (confirmed or dismissed); where it has known_at, the last of several counts
    #[arg(long, value_name = "FILE.csv", requires = "model")]
    pub labels: Option<PathBuf>,
    /// Receives what the model says of each row: entity, window_start, score, p_value, q_value, decision (raised, cut or
    /// usual), confirmation_probability (of a model that has learned from verdicts)
    #[arg(long, value_name = "FILE.csv", requires = "model")]
    pub judgements: Option<PathBuf>,
    /// Receives a report with charts
    #[arg(long, value_name = "FILE.html", requires = "model")]
    pub html: Option<PathBuf>,
    /// Folder of rules, for the classes of med_type [default: ./rules, else the built-in rules]
    #[arg(long, value_name = "DIR", requires = "model")]
    pub rules: Option<PathBuf>,
    /// Only this detector [default: all of them]
    #[arg(long, value_name = "NAME", value_parser = detector_names())]
    pub detector: Option<String>,
    /// Prints the measures as one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

fn detector_names() -> clap::builder::PossibleValuesParser {
    let names = crate::model::detector::Detector::all().into_iter().map(|(name, _)| name);
    clap::builder::PossibleValuesParser::new(names)
}

/// `fundwatch state`
#[derive(Debug, Args)]
#[command(after_help = "Nothing is changed, and the pipeline may run meanwhile.\n\n\
    Examples:\n  \
    fundwatch state inspect --config fundwatch.toml\n  \
    fundwatch state verify --path fundwatch-data/state")]
pub struct StateArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What can be done with the state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Lists the checkpoints, and shows the newest
    #[command(after_help = "Example:\n  fundwatch state inspect --config fundwatch.toml")]
    Inspect(StatePlace),
    /// Reads every checkpoint whole, and says which could be used; exit status 1 where one cannot
    #[command(after_help = "Example:\n  fundwatch state verify --path fundwatch-data/state")]
    Verify(StatePlace),
}

/// Where state lies.
#[derive(Debug, Args)]
pub struct StatePlace {
    /// Configuration file of the pipeline
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the state, whatever the configuration says
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
}

/// `fundwatch config`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    fundwatch config default > fundwatch.toml\n  \
    fundwatch config check --config fundwatch.toml\n  \
    FUNDWATCH__SOURCE__KIND=kafka fundwatch config show")]
pub struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Loads the configuration as `run` does, without connecting to anything, and says what is wrong
    #[command(after_help = "Example:\n  fundwatch config check --config fundwatch.toml")]
    Check(RunArgs),
    /// Prints the configuration in force, secrets masked
    #[command(after_help = "Example:\n  fundwatch config show --config fundwatch.toml")]
    Show(RunArgs),
    /// Prints the documented defaults
    #[command(after_help = "Example:\n  fundwatch config default > fundwatch.toml")]
    Default,
}
