//! `fundwatch rules`: looks at rules, checks them and runs their tests.

use super::Outcome;
use crate::rules::{Library, Mistakes, RuleFile, RulesDir, trial};
use anyhow::{Context, bail};
use comfy_table::{Table, presets};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

mod page;

/// Look at rules, check them, run their tests.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fundwatch rules list
  fundwatch rules show STY-01
  fundwatch rules check --rules my-rules
  fundwatch rules test STY-01 STY-05")]
pub struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RulesCommand {
    /// List all rules
    #[command(after_help = "Example:\n  fundwatch rules list --rules rules")]
    List(Place),
    /// Print a rule as a page for people: definition, parameters, exemptions, law
    #[command(after_help = "Example:\n  fundwatch rules show STY-01")]
    Show {
        /// The rule's id, for example STY-01
        id: String,
        #[command(flatten)]
        place: Place,
    },
    /// Report every mistake in every rule file and table; exits with 1 if there is one
    #[command(after_help = "Example:\n  fundwatch rules check --rules my-rules")]
    Check(Place),
    /// Run the tests inside the rule files and show what differs; exits with 1 if something does
    #[command(after_help = "Example:\n  fundwatch rules test STY-01 STY-05")]
    Test {
        /// Ids of rules; all rules where none is given
        ids: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The rules folder [default: ./rules, or else the built-in rules]
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// A registry in place of the one in the rules folder
    #[arg(long, value_name = "DIR")]
    registry: Option<PathBuf>,
}

/// Runs the command. Wrong rules and failed tests are no error but [`Outcome::Wrong`].
///
/// # Errors
/// A folder that is not there, or output that cannot be written.
pub fn run(args: RulesArgs) -> anyhow::Result<Outcome> {
    let place = match &args.command {
        RulesCommand::List(place) | RulesCommand::Check(place) => place,
        RulesCommand::Show { place, .. } | RulesCommand::Test { place, .. } => place,
    };
    for folder in place.rules.iter().chain(&place.registry) {
        if !folder.is_dir() {
            bail!("there is no folder {}", folder.display());
        }
    }
    let rules = RulesDir::or_default(place.rules.clone());
    let library = match Library::load(&rules, place.registry.as_deref()) {
        Ok(library) => library,
        Err(mistakes) => {
            tell(&mistakes, &rules)?;
            return Ok(Outcome::Wrong);
        }
    };
    match args.command {
        RulesCommand::List(_) => put(&format!("{}\n", list(&library)))?,
        RulesCommand::Check(_) => {
            let tests: usize = library.files.iter().map(|file| file.examples.len()).sum();
            say(&format!("{rules}: {} rules with {tests} tests, no mistake", library.files.len()))?;
        }
        RulesCommand::Show { id, .. } => match find(&library, &id)? {
            Some(file) => put(&page::write(&library, file))?,
            None => return Ok(Outcome::Wrong),
        },
        RulesCommand::Test { ids, .. } => return test(&library, &ids),
    }
    Ok(Outcome::Done)
}

fn find<'l>(library: &'l Library, id: &str) -> anyhow::Result<Option<&'l RuleFile>> {
    let found = library.find(id);
    if found.is_none() {
        let ids = library.files.iter().map(|file| file.rule.id.as_str());
        let hint = crate::rules::mistake::one_of(id, ids);
        say(&format!("there is no rule {id}; {hint}"))?;
    }
    Ok(found)
}

fn list(library: &Library) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["rule", "名称 name", "result", "severity", "status", "version", "tests"]);
    for file in &library.files {
        let rule = &file.rule;
        table.add_row([
            rule.id.clone(),
            format!("{}\n{}", rule.name.zh, rule.name.en),
            page::result(rule.result).1.to_owned(),
            page::severities(&rule.severity),
            page::status(rule.status).1.to_owned(),
            rule.version.clone(),
            file.examples.len().to_string(),
        ]);
    }
    table
}

fn test(library: &Library, ids: &[String]) -> anyhow::Result<Outcome> {
    let mut chosen = Vec::new();
    for id in ids {
        match find(library, id)? {
            Some(file) => chosen.push(file),
            None => return Ok(Outcome::Wrong),
        }
    }
    if ids.is_empty() {
        chosen = library.files.iter().collect();
    }
    let (mut passed, mut failed) = (0, 0);
    for file in chosen {
        let before = failed;
        for example in &file.examples {
            let differences = match trial::run(library, file, example) {
                Ok(differences) => differences,
                Err(mistakes) => mistakes.render(false).lines().map(str::to_owned).collect(),
            };
            if differences.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            let place = library.folder.path_of(&file.path);
            put(&format!("FAILED {} {}\n  {place}:{}\n", file.rule.id, example.name, example.line))?;
            for line in differences {
                put(&format!("  {line}\n"))?;
            }
        }
        if failed == before {
            put(&format!("ok     {} {} ({} tests)\n", file.rule.id, file.rule.name.en, file.examples.len()))?;
        }
    }
    say(&format!("{passed} tests passed, {failed} failed"))?;
    Ok(if failed == 0 { Outcome::Done } else { Outcome::Wrong })
}

fn tell(mistakes: &Mistakes, rules: &RulesDir) -> anyhow::Result<()> {
    let coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    say(&mistakes.render(coloured))?;
    let count = mistakes.0.len();
    say(&format!("\n{rules}: {count} mistake{}", if count == 1 { "" } else { "s" }))
}

/// Writes data. A reader that has seen enough (`| head`) is no failure.
fn put(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output cannot be written"),
    }
}

/// Writes words for people.
fn say(text: &str) -> anyhow::Result<()> {
    writeln!(io::stderr().lock(), "{text}").context("standard error cannot be written")
}
