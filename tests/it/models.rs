//! Features of models: the same whatever the order, the duplicates, the batches and the shards, and however often they
//! are looked at on the way; equal to what the slow reference's live records sum up to; and blind to what comes later.

use crate::reference;
use crate::rule_sets;
use crate::support::fundwatch;
use crate::worlds::{Dice, duplicated, shuffled, world};
use fundwatch::engine::{Engine, Options};
use fundwatch::model::aggregate::COLUMNS;
use fundwatch::model::file::Model;
use fundwatch::model::observer::{FeatureRow, Observer};
use fundwatch::record::{Batch, Day, Ids};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Later than anything.
const ALWAYS: Day = Day(1_000_000);

/// A model whose features are the columns themselves.
fn bare(entity: &str, window: &str) -> Model {
    let mut text = format!(
        "id = \"T-1\"\nname = {{ zh = \"一\", en = \"one\" }}\nentity = \"{entity}\"\nwindow = {window}\nhistory = 3\n[features]\n"
    );
    for (name, ..) in COLUMNS {
        text.push_str(&format!("v_{name} = \"{name}\"\np_{name} = \"past_{name}\"\n"));
    }
    Model::parse(&text, Path::new("model.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// Rows to the bit.
type Bits = BTreeMap<(String, Day), (String, Vec<u64>)>;

fn bits(rows: impl Iterator<Item = FeatureRow>) -> Bits {
    let one = |row: FeatureRow| {
        let rest = format!("{:?} {:?} {}", row.institution, row.traits, row.at_stake);
        ((row.entity, row.start), (rest, row.values.iter().map(|value| value.to_bits()).collect()))
    };
    rows.map(one).collect()
}

/// Features of lines in batches by dice, looked at now and then.
fn features(model: &Model, lines: &[Vec<u8>], shards: usize, dice: &mut Dice) -> Bits {
    let ids = Arc::new(Ids::new(shards));
    let rules = Arc::new(rule_sets::of_tables(&reference::Tables::default(), &ids));
    let options = Options { threads: 1 + dice.below(2), least_shared: 1, ..Options::default() };
    let mut engine = Engine::new(rules, ids, &options);
    engine.watch(model.watch());
    let mut observer = Observer::default();
    let most = 1 + dice.below(lines.len().max(1));
    let mut at = 0;
    while at < lines.len() {
        let end = (at + 1 + dice.below(most)).min(lines.len());
        engine.process(&Batch::of_lines("world", &lines[at..end].join(&b'\n')));
        at = end;
        if dice.chance(40) || at == lines.len() {
            observer.note(model, &engine.take_changed_days());
            observer.advance(model, &engine, ALWAYS);
        }
    }
    let windows: Vec<Day> = observer.windows().collect();
    bits(windows.iter().flat_map(|start| observer.features(model, *start)))
}

#[test]
fn features_depend_on_the_records_alone() {
    let models = [
        bare("institution", "\"week\""),
        bare("doctor", "\"day\""),
        bare("institution_item", "\"month\""),
        bare("person", "{ rolling = { days = 5, step = 2 } }"),
    ];
    for seed in 0..60 {
        let mut dice = Dice::new(seed ^ 0xfea7);
        let size = 16 + dice.below(80);
        let lines = world(seed, size).lines;
        for (number, model) in models.iter().enumerate() {
            let expected = features(model, &lines, 1, &mut dice);
            let others = [shuffled(&lines, seed), duplicated(&shuffled(&lines, seed + 1), seed)];
            for (order, lines) in others.iter().enumerate() {
                let got = features(model, lines, 4, &mut dice);
                let differs = |key: &&(String, Day)| expected.get(*key) != got.get(*key);
                let different = expected.keys().chain(got.keys()).find(differs);
                if let Some(key) = different {
                    let wrong = expected.get(key).zip(got.get(key)).map(|(one, other)| {
                        let values = one.1.iter().zip(&other.1).enumerate();
                        let named = values.filter(|(_, (one, other))| one != other).map(|(place, (one, other))| {
                            (&model.features.names()[place], f64::from_bits(*one), f64::from_bits(*other))
                        });
                        (&one.0, &other.0, named.collect::<Vec<_>>())
                    });
                    panic!("seed {seed}, model {number}, order {order}: {key:?}: {wrong:?}");
                }
            }
        }
    }
}

#[test]
fn aggregates_are_what_the_live_records_sum_up_to() {
    let model = bare("institution", "\"day\"");
    let (mut compared, mut readmissions) = (0, 0);
    for seed in 0..200 {
        let mut dice = Dice::new(seed ^ 0xa99);
        let size = 16 + dice.below(80);
        let lines = world(seed, size).lines;
        let got = features(&model, &lines, 2, &mut dice);
        let facts = reference::facts(&lines);
        let column = |bits: &[u64], name: &str| {
            let place = COLUMNS.iter().position(|(known, ..)| *known == name).expect("a column");
            f64::from_bits(bits[2 * place])
        };
        let mut days: BTreeSet<(String, Day)> = BTreeSet::new();
        let day = |text: &reference::values::Day| Day::parse(text.0.as_bytes()).expect("a day");
        for settlement in &facts.settlements {
            days.insert((settlement.fixmedins_code.clone(), day(&settlement.setl_time.day())));
        }
        let ended = || facts.stays.iter().filter(|stay| stay.discharge.is_some());
        days.extend(ended().map(|stay| (stay.fixmedins_code.clone(), day(&stay.end.day()))));
        assert_eq!(got.keys().cloned().collect::<BTreeSet<_>>(), days, "seed {seed}");
        for ((institution, start), (_, bits)) in &got {
            let here: Vec<_> = facts
                .settlements
                .iter()
                .filter(|one| one.fixmedins_code == *institution && day(&one.setl_time.day()) == *start)
                .collect();
            let carried = |detail: &&reference::live::Detail| {
                detail.setl_id.as_ref().is_some_and(|id| here.iter().any(|one| one.setl_id == *id))
            };
            let details: Vec<_> = facts.details.iter().filter(carried).collect();
            let distinct = |texts: Vec<&String>| texts.into_iter().collect::<BTreeSet<_>>().len() as f64;
            let begun: Vec<_> = facts
                .stays
                .iter()
                .filter(|stay| stay.fixmedins_code == *institution && day(&stay.begntime.day()) == *start)
                .collect();
            let again = begun.iter().filter(|stay| {
                ended().any(|other| {
                    other.mdtrt_id != stay.mdtrt_id
                        && other.psn_no == stay.psn_no
                        && other.fixmedins_code == *institution
                        && other.end <= stay.begntime
                        && start.0 - day(&other.end.day()).0 <= 15
                })
            });
            readmissions += again.clone().count();
            let stays = ended().filter(|stay| stay.fixmedins_code == *institution && day(&stay.end.day()) == *start);
            let expected = [
                ("settlements", here.len() as f64),
                ("visits", distinct(here.iter().map(|one| &one.mdtrt_id).collect())),
                ("persons", distinct(here.iter().map(|one| &one.psn_no).collect())),
                ("fee", here.iter().map(|one| one.medfee_sumamt).sum::<i128>() as f64 / 100.0),
                ("fund", here.iter().map(|one| one.fund_pay_sumamt).sum::<i128>() as f64 / 100.0),
                ("details", details.len() as f64),
                ("units", details.iter().map(|one| one.cnt).sum::<i128>() as f64 / 10_000.0),
                ("in_scope", details.iter().map(|one| one.inscp).sum::<i128>() as f64 / 100.0),
                ("items", distinct(details.iter().map(|one| &one.med_list_codg).collect())),
                ("discharges", stays.count() as f64),
                ("admissions", begun.len() as f64),
                ("readmissions", again.count() as f64),
            ];
            for (name, expected) in expected {
                assert_eq!(column(bits, name), expected, "seed {seed}: {name} of {institution} on {start}");
                compared += 1;
            }
        }
    }
    assert!(compared > 5_000 && readmissions > 20, "{compared}, {readmissions}");
}

/// A refund counts on its own day, until it turns out not to be valid; what it takes out is not counted.
#[test]
fn refunds_and_amounts_just_below_a_limit_are_counted() {
    let model = bare("institution", "\"week\"");
    let refund = r#","refd_setl_flag":"1","init_setl_id":"2""#;
    let mut lines = vec![
        settlement("1", "2026-03-02 10:00:00", "199.99", ""),
        settlement("2", "2026-03-03 10:00:00", "900", ""),
        settlement("3", "2026-03-10 10:00:00", "190", ""),
        settlement("4", "2026-03-11 10:00:00", "-900", refund),
        settlement("6", "2026-03-30 10:00:00", "100", ""),
    ];
    let counted = |lines: &[String]| {
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.clone().into_bytes()).collect();
        let got = features(&model, &lines, 2, &mut Dice::new(1));
        let place = |name: &str| 2 * COLUMNS.iter().position(|(known, ..)| *known == name).expect("a column");
        let value = |bits: &[u64], name: &str| f64::from_bits(bits[place(name)]);
        let of = |(_, bits): &(String, Vec<u64>)| (value(bits, "refunds"), value(bits, "just_below_limit"));
        got.values().map(of).collect::<Vec<_>>()
    };
    assert_eq!(counted(&lines), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]);
    lines.reverse();
    assert_eq!(counted(&lines), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]);
    lines.push(settlement(
        "4",
        "2026-03-11 10:00:00",
        "-900",
        &format!("{refund},\"vali_flag\":\"0\",\"updt_time\":\"2026-04-01 00:00:00\""),
    ));
    assert_eq!(counted(&lines), [(0.0, 1.0), (0.0, 1.0), (0.0, 0.0)]);
}

fn settlement(id: &str, time: &str, fee: &str, more: &str) -> String {
    format!(
        r#"{{"type":"settlement","setl_id":"{id}","mdtrt_id":"V{id}","psn_no":"P{id}","fixmedins_code":"H","med_type":"11","insutype":"310","setl_time":"{time}","medfee_sumamt":{fee},"fund_pay_sumamt":{fee}{more}}}"#
    )
}

/// The refund of the first week's only large settlement comes in the third week. Who learns from the first week as it
/// was known then must not see it; who asks for everything must.
#[test]
fn what_comes_later_is_not_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let refund = r#","refd_setl_flag":"1","init_setl_id":"2""#;
    let lines = [
        settlement("1", "2026-03-02 10:00:00", "100", ""),
        settlement("2", "2026-03-03 10:00:00", "900", ""),
        settlement("3", "2026-03-10 10:00:00", "100", ""),
        settlement("4", "2026-03-18 10:00:00", "-900", refund),
        // Late: its week was looked at before.
        settlement("5", "2026-03-11 10:00:00", "50", ""),
        settlement("6", "2026-03-30 10:00:00", "100", ""),
    ];
    std::fs::write(path("records.jsonl"), lines.join("\n")).expect("there is room");
    let model = "id = \"T-1\"\nname = { zh = \"一\", en = \"one\" }\nentity = \"institution\"\nwindow = \"week\"\n\
                 grace_days = 1\n[features]\nfee = \"fee * 1\"\ngrowth = \"fee / past_fee\"\n";
    std::fs::write(path("model.toml"), model).expect("there is room");
    let rows = |as_of: &str| {
        let mut command = fundwatch();
        command.arg("features").arg("--model").arg(path("model.toml")).arg("--input").arg(path("records.jsonl"));
        let output = command.arg("--out").arg(path("out.csv")).args(["--as-of", as_of]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(path("out.csv")).expect("a matrix");
        let row = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            format!("{} {} {}", fields[1], fields[9], fields[10])
        };
        text.lines().skip(1).map(row).collect::<Vec<_>>()
    };
    assert_eq!(rows("close"), ["2026-03-02 1000 ", "2026-03-09 100 0.1"]);
    assert_eq!(rows("end"), ["2026-03-02 100 ", "2026-03-09 150 1.5"]);
    // A column of the future is none that a model could name.
    std::fs::write(path("model.toml"), model.replace("past_fee", "next_fee")).expect("there is room");
    let mut command = fundwatch();
    command.arg("features").arg("--model").arg(path("model.toml")).arg("--input").arg(path("records.jsonl"));
    let output = command.arg("--out").arg(path("out.csv")).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("feature `growth`: a window has no column `next_fee`"), "{words}");
}
