//! `fundwatch rules` as people type it.

use crate::support::{fundwatch, succeed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

const DUP_02: &str = "duplicate/DUP-02-visit-settled-twice.toml";

/// A copy of the project's rules.
struct Rules(TempDir);

impl Rules {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for family in fs::read_dir(project().join("rules")).expect("rules") {
            let family = family.expect("a folder").path();
            let target = folder.path().join(family.file_name().expect("a name"));
            fs::create_dir(&target).expect("a folder");
            for file in fs::read_dir(&family).expect("files") {
                let file = file.expect("a file").path();
                fs::copy(&file, target.join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path).expect("a text");
        assert!(text.contains(from), "{from} is in {file}");
        fs::write(path, text.replacen(from, to, 1)).expect("written");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = fundwatch();
        command.arg("rules").args(arguments).arg("--rules").arg(self.path());
        command.output().expect("it runs")
    }
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn the_built_in_rules_are_there_in_any_directory() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let list = text(&succeed(fundwatch().args(["rules", "list"]).current_dir(elsewhere.path())).stdout);
    for id in ["CHG-01", "DUP-07", "IDN-01", "PHA-06", "STY-16", "VIS-04", "分解住院"] {
        assert!(list.contains(id), "{id} in\n{list}");
    }
    succeed(fundwatch().args(["rules", "check"]).current_dir(elsewhere.path()));
}

#[test]
fn a_rule_is_a_page_with_the_law_in_both_languages() {
    let page = text(&Rules::new().run(&["show", "sty-01"]).stdout);
    for part in [
        "STY-01  分解住院",
        "version",
        "gap_to = 15 days",
        "begins_with(diagnosis, 'Z51', 'N18', 'O80', 'O82', 'C')",
        "high: days_between ≤ 7 days",
        "[TL38(1)]",
        "第三十八条第一项",
        "art. 38 item 1",
        "病案首页",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    let unknown = Rules::new().run(&["show", "STY-1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("there is no rule STY-1; did you mean `STY-10`?"), "{unknown:?}");
}

#[test]
fn check_tells_every_mistake_in_every_file_at_once() {
    let rules = Rules::new();
    let right = rules.run(&["check"]);
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    rules.change(DUP_02, "result = \"violation\"", "result = \"violaton\"");
    rules.change(DUP_02, "within = \"$window\"", "within = \"$windoe\"");
    rules.change("visits/VIS-01-too-many-visits-in-a-day.toml", "status = \"live\"", "status = live");
    rules.change("knowledge/daily_limits.csv", ",1,day", ",one,day");
    fs::write(rules.path().join("registry/persons.csv"), "psn_no,die_date\nP1,2026-02-30\n").expect("written");
    let wrong = rules.run(&["check"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(wrong.stdout.is_empty());
    let words = text(&wrong.stderr);
    for part in [
        "`violaton` is no valid `result`",
        "did you mean `violation`?",
        "^^^^^^^^^^",
        "there is no parameter `windoe`",
        "this is no TOML",
        "VIS-01-too-many-visits-in-a-day.toml:6:10",
        "daily_limits.csv:2:17",
        "`2026-02-30` is no date",
        "5 mistakes",
    ] {
        assert!(words.contains(part), "{part} in\n{words}");
    }
    for command in ["list", "test"] {
        assert_eq!(rules.run(&[command]).status.code(), Some(1), "{command} takes nothing that is wrong");
    }
}

#[test]
fn test_shows_what_differs() {
    let rules = Rules::new();
    let right = rules.run(&["test", "dup-02", "VIS-03"]);
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    assert!(text(&right.stdout).contains("ok     DUP-02"));
    rules.change(
        DUP_02,
        "amount_at_issue = \"200.00\"\nviolating = [\"S2\"]",
        "amount_at_issue = \"200.01\"\nviolating = [\"S3\"]",
    );
    let wrong = rules.run(&["test", "DUP-02"]);
    assert_eq!(wrong.status.code(), Some(1));
    let shown = text(&wrong.stdout);
    for part in [
        "FAILED DUP-02",
        "DUP-02-visit-settled-twice.toml:",
        "amount at issue: expected 200.01, found 200.00",
        "- violating S3: expected, not found",
        "+ violating S2: found, not expected",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(text(&wrong.stderr).contains("1 failed"));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_of_usage() {
    let missing = fundwatch().args(["rules", "check", "--rules", "/there/is/none"]).output().expect("it runs");
    assert_eq!(missing.status.code(), Some(2));
    let missing = Rules::new().run(&["check", "--registry", "/there/is/none"]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(fundwatch().args(["rules", "chek"]).output().expect("it runs").status.code(), Some(2));
}

#[test]
fn another_registry_replaces_that_of_the_folder() {
    let rules = Rules::new();
    fs::write(rules.path().join("registry/persons.csv"), "psn_no\nP1\n").expect("written");
    assert_eq!(rules.run(&["check"]).status.code(), Some(1), "no column die_date");
    let registry = tempfile::tempdir().expect("a folder");
    let registry = registry.path().to_str().expect("a path");
    assert_eq!(rules.run(&["check", "--registry", registry]).status.code(), Some(0), "missing files are empty");
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in ["", "list", "show", "check", "test"] {
        let mut line = fundwatch();
        line.arg("rules").args(Some(command).filter(|command| !command.is_empty())).arg("--help");
        let help = text(&succeed(&mut line).stdout);
        assert!(help.contains("Example"), "{command}: {help}");
    }
}

#[test]
fn the_reference_names_every_kind_with_its_figures_and_identity() {
    use fundwatch::record::Ids;
    use fundwatch::rules::{RuleSet, RulesDir};
    let reference = fs::read_to_string(project().join("docs/rule-files.md")).expect("the reference");
    let set = RuleSet::load(&RulesDir::BuiltIn, None, &Ids::new(1)).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    for rule in &set.rules {
        let kind = &rule.detection;
        let section = reference
            .split(&format!("### `{}`", kind.word()))
            .nth(1)
            .unwrap_or_else(|| panic!("{} is not in the reference", kind.word()));
        let section = section.split("\n##").next().unwrap_or(section);
        assert!(section.contains(&kind.identities().join(" ")), "{}: {:?}", kind.word(), kind.identities());
        for figure in kind.figures() {
            assert!(section.contains(&format!("`{figure}`")), "{}: {figure}", kind.word());
        }
    }
}
