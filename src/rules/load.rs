//! Loading: a folder in, a complete rule set or every mistake out.

use super::detection::Context;
use super::example::Example;
use super::folder::{Folder, RulesDir};
use super::knowledge::Knowledge;
use super::mistake::{Mistake, Mistakes};
use super::rule::{Allowance, Detection, QuantityLimit, Rule, RuleSet, Status};
use super::rule_file::RuleFile;
use crate::record::Ids;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything in a rules folder, read: rules of every status with all that is written about them.
#[derive(Debug)]
pub struct Library {
    /// The rule files, by id of the rule.
    pub files: Vec<RuleFile>,
    /// The tables.
    pub knowledge: Knowledge,
    /// The files as they are, for tests that bring their own tables.
    pub folder: Folder,
}

impl Library {
    /// Reads a rules folder; `registry` replaces the registry in it.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load(rules: &RulesDir, registry: Option<&Path>) -> Result<Self, Mistakes> {
        Self::read(read_folder(rules, registry)?)
    }

    /// Reads a folder that is in memory.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn read(folder: Folder) -> Result<Self, Mistakes> {
        let (library, _) = Self::compile(folder, &Ids::new(1))?;
        Ok(library)
    }

    fn compile(folder: Folder, ids: &Ids) -> Result<(Self, RuleSet), Mistakes> {
        let mut mistakes = Vec::new();
        let knowledge = Knowledge::read(&folder, &mut mistakes);
        let mut context = Context::new(ids, &knowledge);
        let mut files = Vec::new();
        for path in folder.rule_files() {
            match RuleFile::read(&folder, path, &mut context) {
                Ok(file) => files.push(file),
                Err(wrong) => mistakes.extend(wrong),
            }
        }
        files.sort_by(|one, other| one.rule.id.cmp(&other.rule.id));
        for pair in files.windows(2) {
            if let [one, other] = pair
                && one.rule.id == other.rule.id
            {
                mistakes.push(Mistake {
                    file: folder.path_of(&other.path),
                    place: None,
                    message: format!("rule `{}` is also in {}", other.rule.id, folder.path_of(&one.path)),
                    hint: Some("give one of them another id".to_owned()),
                });
            }
        }
        if files.is_empty() && mistakes.is_empty() {
            let hint = "rule files are `<family>/<id>-<name>.toml` in it".to_owned();
            mistakes
                .push(Mistakes::one(folder.name.as_str(), "there is no rule in this folder", Some(hint)).0.remove(0));
        }
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let rules = files.iter().map(|file| file.rule.clone()).collect();
        let set = rule_set(rules, folder.hash(), context);
        Ok((Self { files, knowledge, folder }, set))
    }

    /// A rule file by the id of its rule.
    pub fn find(&self, id: &str) -> Option<&RuleFile> {
        self.files.iter().find(|file| file.rule.id.eq_ignore_ascii_case(id))
    }

    /// The set of one rule alone, run live, with the tables and the registry of a test.
    ///
    /// # Errors
    /// Mistakes in the tables of the test.
    pub fn set_of(&self, file: &RuleFile, example: &Example, ids: &Ids) -> Result<RuleSet, Mistakes> {
        let mut folder = self.folder.clone();
        let mut registry = Folder::default();
        let rows = example.deaths.iter().map(|(person, day)| format!("{person},{day}\n"));
        registry.put("persons.csv", format!("psn_no,die_date\n{}", rows.collect::<String>()).into_bytes());
        folder.replace("registry", registry);
        for (path, text) in &example.tables {
            folder.put(path, text.clone().into_bytes());
        }
        let mut mistakes = Vec::new();
        let knowledge = Knowledge::read(&folder, &mut mistakes);
        let mut context = Context { every_status: true, ..Context::new(ids, &knowledge) };
        match RuleFile::read(&folder, &file.path, &mut context) {
            Ok(read) if mistakes.is_empty() => {
                let rule = Rule { status: Status::Live, ..read.rule };
                Ok(rule_set(vec![rule], folder.hash(), context))
            }
            Ok(_) => Err(Mistakes(mistakes)),
            Err(wrong) => {
                mistakes.extend(wrong);
                Err(Mistakes(mistakes))
            }
        }
    }
}

impl RuleSet {
    /// Loads a rules folder with ids interned in `ids`; `registry` replaces the registry in it.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load(rules: &RulesDir, registry: Option<&Path>, ids: &Ids) -> Result<Self, Mistakes> {
        Ok(Library::compile(read_folder(rules, registry)?, ids)?.1)
    }

    /// Loads a folder that is in memory.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn of_folder(folder: Folder, ids: &Ids) -> Result<Self, Mistakes> {
        Ok(Library::compile(folder, ids)?.1)
    }

    /// Calls `see` with every id in the table of codes that the set holds.
    pub fn codes(&self, see: &mut dyn FnMut(u32)) {
        for code in self.classes.keys() {
            see(code.0);
        }
        for rule in &self.rules {
            match &rule.detection {
                Detection::ExclusivePair(pair) => {
                    for (main, included) in &pair.pairs {
                        see(main.0);
                        included.iter().for_each(|item| see(item.0));
                    }
                }
                Detection::QuantityLimit(QuantityLimit { limit: Allowance::PersonDayItem(limits), .. }) => {
                    limits.keys().for_each(|item| see(item.0));
                }
                _ => {}
            }
        }
    }

    /// Forgets remembered verdicts of filters: to be called after ids were given back.
    pub fn forget_verdicts(&self) {
        for filters in [&self.settlement_filters, &self.detail_filters, &self.stay_filters] {
            filters.forget();
        }
    }
}

fn read_folder(rules: &RulesDir, registry: Option<&Path>) -> Result<Folder, Mistakes> {
    let mut folder = rules.read()?;
    if let Some(registry) = registry {
        folder.replace("registry", Folder::read(registry)?);
    }
    Ok(folder)
}

fn rule_set(mut rules: Vec<Rule>, version: String, context: Context<'_>) -> RuleSet {
    rules.retain(|rule| matches!(rule.status, Status::Live | Status::Shadow));
    RuleSet {
        rules,
        version,
        classes: context.knowledge.classes(context.ids),
        deaths: context.knowledge.deaths(context.ids),
        institutions: context.knowledge.institutions.clone(),
        settlement_filters: context.settlements.finish(),
        detail_filters: context.details.finish(),
        stay_filters: context.stays.finish(),
    }
}

/// Reads bytes as a rule file, for fuzzing: whatever they are, mistakes come out and can be shown.
pub fn fuzz_rule_file(bytes: &[u8]) {
    let mut folder = Folder::built_in();
    folder.put("fuzz/FUZZ-01.toml", bytes.to_vec());
    let knowledge =
        Knowledge { laws: BTreeMap::from([("TL38(1)".to_owned(), Default::default())]), ..Knowledge::default() };
    let ids = Ids::new(1);
    let mut context = Context::new(&ids, &knowledge);
    if let Err(mistakes) = RuleFile::read(&folder, "fuzz/FUZZ-01.toml", &mut context) {
        assert!(!Mistakes(mistakes).render(true).is_empty());
    }
}
