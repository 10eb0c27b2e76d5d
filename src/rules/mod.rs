//! Rules: from files to what the engine runs.
//!
//! A rules folder holds one TOML file a rule (`<family>/<id>-<name>.toml`), the tables that rules read
//! (`knowledge/*.csv`) and the registry (`registry/*.csv`). [`RuleSet::load`] reads all of it and either gives a
//! complete set or every mistake in every file; there is nothing in between. How a rule file is written is in
//! `docs/rule-files.md`.
//!
//! - [`folder`]: where files come from; [`built_in`]: the copy in the program
//! - [`reader`], [`parameter`], [`detection`], [`severity`], [`example`]: the parts of a rule file
//! - [`rule_file`]: the whole of one; [`rule`]: what the engine runs
//! - [`csv_table`], [`knowledge`]: tables
//! - [`filter`]: SQL expressions over columns
//! - [`mistake`]: what is wrong and where
//! - [`trial`]: runs the tests inside rule files; [`watch`]: notices changes

pub mod built_in;
pub mod csv_table;
pub mod detection;
pub mod example;
pub mod filter;
pub mod folder;
pub mod knowledge;
pub mod load;
pub mod mistake;
pub mod parameter;
pub mod reader;
pub mod rule;
pub mod rule_file;
pub mod severity;
#[cfg(test)]
mod tests;
pub mod trial;
pub mod watch;

pub use folder::{Folder, RulesDir};
pub use load::{Library, fuzz_rule_file};
pub use mistake::{Mistake, Mistakes};
pub use rule::RuleSet;
pub use rule_file::RuleFile;
pub use watch::Watch;
