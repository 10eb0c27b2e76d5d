//! Rules folders as a whole: the project's own rules, and folders with mistakes.

use super::*;
use crate::record::Ids;
use proptest::prelude::*;
use std::path::Path;

const DUP_02: &str = "duplicate/DUP-02-visit-settled-twice.toml";
const STY_01: &str = "stays/STY-01-split-stay.toml";

fn project() -> Folder {
    Folder::built_in()
}

fn text(folder: &Folder, path: &str) -> String {
    String::from_utf8(folder.get(path).expect("it is there").to_vec()).expect("UTF-8")
}

/// The project's rules with some texts of a file replaced.
fn changed(path: &str, changes: &[(&str, &str)]) -> Folder {
    let mut folder = project();
    let mut file = text(&folder, path);
    for (from, to) in changes {
        assert!(file.contains(from), "{from} is in {path}");
        file = file.replacen(from, to, 1);
    }
    folder.put(path, file.into_bytes());
    folder
}

fn mistakes(folder: Folder) -> Vec<String> {
    let told = |mistake: &Mistake| {
        let line = mistake.place.as_ref().map_or(0, |place| place.line);
        let wrong = mistake.place.as_ref().map_or("", |place| &place.text[place.wrong.clone()]);
        let hint = mistake.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{line} [{wrong}] {}{hint}", mistake.message)
    };
    match Library::read(folder) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.0.iter().map(told).collect(),
    }
}

#[test]
fn the_projects_rules_load_and_their_tests_pass() {
    let library = Library::read(project()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let ids: Vec<&str> = library.files.iter().map(|file| file.rule.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "CHG-01", "DQ-03", "DQ-08", "DUP-02", "DUP-03", "DUP-04", "DUP-05", "DUP-07", "IDN-01", "PHA-06", "STY-01",
            "STY-05", "STY-06", "STY-07", "STY-08", "STY-10", "STY-16", "VIS-01", "VIS-03", "VIS-04"
        ]
    );
    // The alerts that are sent are those of the 18 rules of the contract.
    let unsent = library.files.iter().map(|file| &file.rule).filter(|rule| rule.status != rule::Status::Live);
    assert_eq!(
        unsent.map(|rule| (rule.id.as_str(), rule.status)).collect::<Vec<_>>(),
        [("DQ-03", rule::Status::Shadow), ("DQ-08", rule::Status::Shadow)]
    );
    let mut failed = String::new();
    for file in &library.files {
        assert!(!file.exemptions.is_empty() && !file.false_positives.is_empty() && !file.ask_for.is_empty());
        for example in &file.examples {
            let differences = trial::run(&library, file, example).unwrap_or_else(|mistakes| panic!("{mistakes}"));
            if !differences.is_empty() {
                failed +=
                    &format!("{} line {}: {}\n{}\n", file.path, example.line, example.name, differences.join("\n"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn a_rule_that_does_not_run_is_tested_with_its_filters() {
    for status in ["draft", "shadow", "retired"] {
        for path in
            [DUP_02, STY_01, "pharmacy/PHA-06-machine-gun-sales.toml", "charging/CHG-01-bed-days-exceed-stay.toml"]
        {
            let folder = changed(path, &[("status = \"live\"", &format!("status = {status:?}"))]);
            let library = Library::read(folder).unwrap_or_else(|mistakes| panic!("{mistakes}"));
            let file = library.files.iter().find(|file| file.path == path).expect("the rule");
            for example in &file.examples {
                assert_eq!(
                    trial::run(&library, file, example).expect("no mistakes"),
                    [""; 0],
                    "{status} {}",
                    example.name
                );
            }
        }
    }
}

#[test]
fn a_test_that_expects_something_else_fails() {
    let wrong = [
        ("severity = \"high\"", "severity = \"low\""),
        ("amount_at_issue = \"200.00\"", "amount_at_issue = \"200.01\""),
        ("violating = [\"S2\"]", "violating = [\"S3\"]"),
        ("involved = [\"S1\"]", "involved = []"),
        ("first_settlement = \"S1\"", "first_settlement = \"S2\""),
    ];
    for change in wrong {
        let file = text(&project(), DUP_02);
        let (head, tests) = file.split_once("[[tests]]").expect("tests");
        let mut folder = project();
        folder.put(DUP_02, format!("{head}[[tests]]{}", tests.replacen(change.0, change.1, 1)).into_bytes());
        let library = Library::read(folder).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let rule = library.find("dup-02").expect("the rule");
        let failed = |example| !trial::run(&library, rule, example).expect("no mistakes").is_empty();
        assert!(rule.examples.iter().any(failed), "{change:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let folder = changed(
        DUP_02,
        &[
            ("id = \"DUP-02\"", "id = \"DUP-02\"\nprioritty = 1"),
            ("result = \"violation\"", "result = \"violaton\""),
            ("identity = [\"visit\", \"amount\", \"first_settlement\"]", "identity = [\"visit\", \"amount\"]"),
            ("legal_basis = [\"TL38(3)\"]", "legal_basis = [\"TL38\"]"),
            ("unit = \"hours\"", "unit = \"yuan\""),
            ("mid_setl_flag IS", "mid_stl_flag IS"),
            ("otherwise = \"high\"", "otherwise = \"hihg\""),
            ("kind = \"positive\"", "kind = \"positiv\""),
            ("{settlements}笔", "{setlements}笔"),
        ],
    );
    let told = mistakes(folder);
    for expected in [
        "5 [prioritty] the rule knows no `prioritty`",
        "[\"violaton\"] `violaton` is no valid `result` (did you mean `violation`?)",
        "[\"TL38\"] `TL38` is not in knowledge/legal_basis.csv (did you mean `TL38(1)`?)",
        "[\"$window\"] `within` is measured in seconds or minutes or hours or days, not in yuan",
        "[mid_stl_flag] a settlement has no column `mid_stl_flag` (did you mean `mid_setl_flag`?",
        "`hihg` is no valid `otherwise` (did you mean `high`?)",
        "`positiv` is no valid `kind` (did you mean `positive`?)",
    ] {
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{expected} in\n{}", told.join("\n"));
    }
    // What depends on the kind of detection is told once that is right.
    let folder = changed(
        DUP_02,
        &[
            ("identity = [\"visit\", \"amount\", \"first_settlement\"]", "identity = [\"visit\", \"amount\"]"),
            ("subject = \"visit\"", "subject = \"bed\""),
            ("amount = \"fund_of_violating\"", "amount = \"excess\""),
            ("reads = [\"settlement\"]", "reads = [\"settlement\", \"fee_detail\"]"),
            ("{settlements}笔", "{setlements}笔"),
            ("\"mdtrt_id\":\"V1\"", "\"mdtrt\":\"V1\""),
        ],
    );
    let told = mistakes(folder);
    for expected in [
        "the identity names each of its parts once (`identity = [\"visit\", \"amount\", \"first_settlement\"]`)",
        "[\"bed\"] `bed` is no valid `subject` (valid here: `visit`, `person`, `institution`)",
        "[\"excess\"] `excess` is no valid `amount`",
        "[{setlements}] `setlements` cannot be shown here (did you mean `settlements`?)",
        "this record cannot be read: ",
    ] {
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{expected} in\n{}", told.join("\n"));
    }
}

#[test]
fn each_kind_of_mistake_has_its_words() {
    #[expect(clippy::type_complexity, reason = "a table")]
    let cases: [(&str, &[(&str, &str)], &str); 22] = [
        (
            STY_01,
            &[("gap_to = \"$days\"", "gap_to = \"$dayz\"")],
            "[\"$dayz\"] there is no parameter `dayz` (did you mean `days`?)",
        ),
        (
            STY_01,
            &[("at_most = \"$high_days\"", "at_most = 7")],
            "[high_days] parameter `high_days` is not used by the rule",
        ),
        (STY_01, &[("gap_from = 0", "gap_from = 16")], "[16] `gap_from` is 16 and `gap_to` 15"),
        (STY_01, &[("gap_from = 0", "gap_from = -1")], "[-1] `gap_from` must not be negative"),
        (STY_01, &[("gap_from = 0", "gap_from = 0.5")], "[0.5] `gap_from` must be a whole number from 0 to 3660"),
        (STY_01, &[("gap_from = 0", "gap_from = true")], "[true] `gap_from` is not a number"),
        (
            STY_01,
            &[("kind = \"next_stay\"", "kind = \"nextstay\"")],
            "`nextstay` is no valid `kind` (did you mean `next_stay`?)",
        ),
        (STY_01, &[("departments = \"same\"\n", "")], "`detection` lacks `departments`"),
        (
            STY_01,
            &[("departments = \"same\"", "departments = \"same\"\nwithin = 3")],
            "[within] `detection` knows no `within`",
        ),
        (STY_01, &[("OR days_rinp", "OR OR days_rinp")], "this is no SQL expression"),
        (STY_01, &[("begins_with(", "starts_with(")], "[starts_with] filters have no function `starts_with`"),
        (
            STY_01,
            &[("figure = \"days_between\"", "figure = \"days\"")],
            "`next_stay` gives no figure `days` (did you mean `days_between`?)",
        ),
        (
            STY_01,
            &[("at_most = \"$high_days\"", "at_most = \"$high_days\", above = 3")],
            "a band has exactly one comparison",
        ),
        (STY_01, &[("status = \"live\"", "status = \"live")], "this is no TOML"),
        (
            STY_01,
            &[("id = \"STY-01\"", "id = \"STY-02\"")],
            "[\"STY-02\"] the file of rule `STY-02` is called `STY-01-split-stay.toml`",
        ),
        (STY_01, &[("id = \"STY-01\"", "id = \"sty 01\"")], "`sty 01` is no id of a rule"),
        (STY_01, &[("family = \"stays\"", "family = \"stay\"")], "the folder of this rule is `stays`, not `stay`"),
        (
            STY_01,
            &[("value = 15\nunit = \"days\"", "value = 15\nunit = \"day\"")],
            "`day` is no valid `unit` (did you mean `days`?)",
        ),
        (STY_01, &[("value = [\"2\", \"5\"]", "value = []")], "[[]] a list of codes must not be empty"),
        (
            "visits/VIS-04-large-settlement.toml",
            &[("INPATIENT = \"$inp", "INPATENT = \"$inp")],
            "[INPATENT] `INPATENT` is no class of `med_type` (did you mean `INPATIENT`?)",
        ),
        (
            "data-quality/DQ-08-refunds-exceed-detail.toml",
            &[("what = \"refunds_exceed_detail\"", "what = \"refunds_exceed\"")],
            "`refunds_exceed` is no valid `what` (did you mean `refunds_exceed_detail`?)",
        ),
        (
            "data-quality/DQ-03-discharge-before-admission.toml",
            &[("amount = \"none\"", "amount = \"over_refund\"")],
            "[\"over_refund\"] `over_refund` is no valid `amount` (valid here: `none`)",
        ),
    ];
    for (path, changes, expected) in cases {
        let told = mistakes(changed(path, changes));
        assert!(told.iter().any(|mistake| mistake.contains(expected)), "{expected} in\n{}", told.join("\n"));
    }
}

#[test]
fn a_live_rule_needs_tests_of_all_kinds() {
    let file = text(&project(), DUP_02);
    let head = file.split("[[tests]]").next().expect("the rule").to_owned();
    let mut folder = project();
    folder.put(DUP_02, head.clone().into_bytes());
    let told = mistakes(folder);
    assert!(told[0].contains("[\"live\"] a live rule has tests of all kinds"), "{told:?}");
    for status in ["draft", "shadow", "retired"] {
        let mut folder = project();
        folder.put(DUP_02, head.replace("\"live\"", &format!("{status:?}")).into_bytes());
        let library = Library::read(folder).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(library.files.len(), 20);
    }
}

#[test]
fn only_live_and_shadow_rules_run_and_only_their_filters_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("rules");
    for (path, file) in super::folder::list(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).expect("rules") {
        let target = directory.join(&path);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        let mut text = std::fs::read_to_string(file).expect("a text");
        for status in ["live", "shadow"] {
            text = text.replace(&format!("status = {status:?}"), "status = \"retired\"");
        }
        std::fs::write(target, text).expect("written");
    }
    let set = RuleSet::load(&RulesDir::Directory(directory), None, &Ids::new(1)).unwrap_or_else(|m| panic!("{m}"));
    assert!(set.rules.is_empty());
    assert!(set.settlement_filters.is_empty() && set.detail_filters.is_empty() && set.stay_filters.is_empty());
    let set = RuleSet::load(&RulesDir::BuiltIn, None, &Ids::new(1)).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!(set.rules.len(), 20);
    // Equal filters are kept once: PHA-06's is a part of STY-08's, but not the same.
    assert_eq!(set.settlement_filters.len(), 4);
    assert_eq!((set.detail_filters.len(), set.stay_filters.len()), (2, 2));
}

#[test]
fn versions_follow_the_file_and_the_tables_it_reads() {
    let version = |folder: Folder, id: &str| {
        let library = Library::read(folder).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        library.find(id).expect("the rule").rule.version.clone()
    };
    let mut folder = project();
    let table = text(&folder, "knowledge/exclusive_items.csv");
    folder.put("knowledge/exclusive_items.csv", (table + "A,B,day,,,,\n").into_bytes());
    for (id, same) in [("DUP-04", false), ("DUP-05", false), ("DUP-07", true), ("STY-01", true)] {
        assert_eq!(version(folder.clone(), id) == version(project(), id), same, "{id}");
    }
    let folder = changed(STY_01, &[("value = 15", "value = 14")]);
    assert_ne!(version(folder.clone(), "STY-01"), version(project(), "STY-01"));
    assert_eq!(version(folder, "STY-05"), version(project(), "STY-05"));
    assert!(version(project(), "STY-01").len() >= 12);
}

#[test]
fn a_rule_that_is_there_twice_is_a_mistake() {
    let mut folder = project();
    let copy = text(&folder, DUP_02);
    folder.put("duplicate/DUP-02-copy.toml", copy.into_bytes());
    assert!(mistakes(folder)[0].contains("rule `DUP-02` is also in rules/duplicate/DUP-02-copy.toml"));
    assert!(mistakes(Folder::default())[0].contains("there is no rule in this folder"));
    let told = mistakes(changed(DUP_02, &[("status", "\u{0}status")]));
    assert!(told[0].contains("this is no TOML"), "{told:?}");
    let mut folder = project();
    folder.put(DUP_02, vec![0xc4, 0xe3, 0xba, 0xc3]);
    assert!(mistakes(folder)[0].contains("this file is not UTF-8, first in line 1"));
}

#[test]
fn the_published_tables_load() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/knowledge");
    if !shared.is_dir() {
        return;
    }
    let mut folder = project();
    for table in ["exclusive_items", "daily_limits"] {
        let bytes = std::fs::read(shared.join(format!("{table}.csv"))).expect("a table");
        folder.put(&format!("knowledge/{table}.csv"), bytes);
    }
    let library = Library::read(folder).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let rows = |scope: &str| library.knowledge.exclusive.iter().flatten().filter(|row| row.scope == scope).count();
    assert_eq!(
        rows("day") + rows("visit") + rows("6h") + rows("hour"),
        library.knowledge.exclusive.as_ref().map_or(0, Vec::len)
    );
    assert!(rows("day") > 400 && rows("visit") > 400, "{} {}", rows("day"), rows("visit"));
    assert_eq!(library.knowledge.limits.as_ref().map(|limits| limits.len()), Some(67));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_rule_file_is_too_odd_to_be_read(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, ".{0,6}"), 0..6),
        which in 0_usize..20,
    ) {
        let folder = project();
        let path = folder.rule_files().nth(which).expect("20 rules").to_owned();
        let file = text(&folder, &path);
        // The tests of a rule are long and all alike; its head is where the variety is.
        let mut file: String = file.split("[[tests]]").take(2).collect::<Vec<_>>().join("[[tests]]");
        for (at, length, put) in cuts {
            let mut start = at.index(file.len());
            while !file.is_char_boundary(start) { start -= 1; }
            let mut end = (start + length).min(file.len());
            while !file.is_char_boundary(end) { end += 1; }
            file.replace_range(start..end, &put);
        }
        fuzz_rule_file(file.as_bytes());
    }

    #[test]
    fn no_bytes_are_too_odd_to_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_rule_file(&bytes);
    }
}
