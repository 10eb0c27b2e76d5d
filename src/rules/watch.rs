//! Notices that rules, tables or the registry changed on disk, and loads them again.

use super::folder::{RulesDir, list};
use super::mistake::Mistakes;
use super::rule::RuleSet;
use crate::record::Ids;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a look at the file system tells: files with their time of change and length.
type Stamp = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Watches a rules folder. It does nothing by itself: whoever owns the rules calls [`Watch::poll`] every few
/// seconds.
pub struct Watch {
    rules: RulesDir,
    registry: Option<PathBuf>,
    /// What was there when the set in use was loaded, or found wrong.
    handled: Stamp,
    /// What the look before saw.
    seen: Stamp,
    /// The content hash of the set in use.
    version: String,
}

impl Watch {
    /// Watches what `current` was loaded from.
    pub fn new(rules: RulesDir, registry: Option<PathBuf>, current: &RuleSet) -> Self {
        let seen = stamp(&rules, registry.as_deref());
        Self { rules, registry, handled: seen.clone(), seen, version: current.version.clone() }
    }

    /// Looks once. `None`: nothing to do. Otherwise the files changed and stand still since the look before, so
    /// that nobody is caught in the middle of saving: either the new set, to be put in place as a whole, or what is
    /// wrong with it, told once for each state of the files.
    pub fn poll(&mut self, ids: &Ids) -> Option<Result<RuleSet, Mistakes>> {
        let now = stamp(&self.rules, self.registry.as_deref());
        let still = now == self.seen;
        self.seen.clone_from(&now);
        if !still || now == self.handled {
            return None;
        }
        self.handled = now;
        match RuleSet::load(&self.rules, self.registry.as_deref(), ids) {
            // Touched, or changed back: the content is what is in use.
            Ok(set) if set.version == self.version => None,
            Ok(set) => {
                self.version.clone_from(&set.version);
                Some(Ok(set))
            }
            Err(mistakes) => Some(Err(mistakes)),
        }
    }
}

fn stamp(rules: &RulesDir, registry: Option<&Path>) -> Stamp {
    let directory = match rules {
        RulesDir::Directory(directory) => Some(directory.as_path()),
        RulesDir::BuiltIn => None,
    };
    let mut stamp = Stamp::new();
    for directory in directory.into_iter().chain(registry) {
        for file in list(directory).unwrap_or_default().into_values() {
            let data = std::fs::metadata(&file).ok();
            let changed = data.as_ref().and_then(|data| data.modified().ok());
            stamp.insert(file, (changed, data.map_or(0, |data| data.len())));
        }
    }
    stamp
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn copy(from: &Path, to: &Path) {
        for (path, file) in list(from).expect("the project's rules") {
            let target = to.join(path);
            fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
            fs::copy(file, target).expect("a copy");
        }
    }

    #[test]
    fn a_change_is_loaded_once_it_stands_still_and_mistakes_keep_the_old_set() {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), folder.path());
        let rules = RulesDir::Directory(folder.path().to_owned());
        let ids = Ids::new(1);
        let set = RuleSet::load(&rules, None, &ids).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let mut watch = Watch::new(rules, None, &set);
        assert!(watch.poll(&ids).is_none());

        let file = folder.path().join("stays/STY-01-split-stay.toml");
        let text = fs::read_to_string(&file).expect("the rule");
        let old_version =
            |set: &RuleSet| set.rules.iter().find(|rule| rule.id == "STY-01").map(|rule| rule.version.clone());
        fs::write(&file, text.replace("status = \"live\"", "status = \"shadow\"")).expect("written");
        assert!(watch.poll(&ids).is_none(), "it may still be being written");
        let changed = watch.poll(&ids).expect("it stands still").unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_ne!(old_version(&changed), old_version(&set));
        assert!(watch.poll(&ids).is_none());

        fs::write(&file, text.replace("status = \"live\"", "status = \"alive\" ")).expect("written");
        assert!(watch.poll(&ids).is_none());
        assert!(watch.poll(&ids).expect("told").is_err());
        assert!(watch.poll(&ids).is_none(), "told once");

        fs::write(&file, text.replace("status = \"live\"", "status = \"shadow\"")).expect("written");
        assert!(watch.poll(&ids).is_none());
        assert!(watch.poll(&ids).is_none(), "that is what is in use");
        fs::remove_file(&file).expect("removed");
        assert!(watch.poll(&ids).is_none());
        let without = watch.poll(&ids).expect("a rule less").unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(without.rules.len(), set.rules.len() - 1);
    }
}
