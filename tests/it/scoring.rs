//! Models at work: their alerts depend on the records alone, stand in the alerts of the contract, and follow the files in the
//! folder of models.

use crate::reference::Tables;
use crate::rule_sets;
use crate::support::running::Running;
use crate::support::{City, essence, fundwatch, json_lines, open_at_last, succeed, wait_until};
use crate::worlds::{Dice, duplicated, shuffled};
use fundwatch::alert::{Alert, AlertStatus, stored};
use fundwatch::checkpoint::restore::restore;
use fundwatch::checkpoint::store::Checkpoints;
use fundwatch::checkpoint::writer::{Job, Scribe};
use fundwatch::engine::{Engine, Options};
use fundwatch::model::file::Model;
use fundwatch::model::observer::Observer;
use fundwatch::model::scorer::Scorer;
use fundwatch::model::trained::Trained;
use fundwatch::record::{Batch, Ids};
use object_store::memory::InMemory;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Generous, so that it raises something in an ordinary city.
pub const MODEL: &str = r#"
id = "T-1"
name = { zh = "医师周行为异常", en = "an unusual week" }
entity = "doctor"
window = "week"
history = 2
severity = "low"
[features]
fee = "fee / visits"
drug_share = "drug_fee / detail_fee"
items = "items / details"
growth = "fee / past_fee"
[labels]
fee = { zh = "次均费用", en = "fee per visit" }
[peers]
alike_in = [["level"]]
least = 5
[budget]
q = 0.8
per_group = 4
"#;

const LIMIT: Duration = Duration::from_secs(60);

fn city() -> (City, Vec<Vec<u8>>) {
    let city = City::simulate(3_000, 35, 5);
    let lines = lines_of(&city);
    (city, lines)
}

/// The records of a city.
pub fn lines_of(city: &City) -> Vec<Vec<u8>> {
    let records = fs::read(city.records()).expect("records");
    records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn engine(shards: usize, threads: usize) -> Engine {
    let ids = Arc::new(Ids::new(shards));
    let rules = Arc::new(rule_sets::of_tables(&Tables::default(), &ids));
    Engine::new(rules, ids, &Options { threads, least_shared: 1, ..Options::default() })
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn process(engine: &mut Engine, lines: &[Vec<u8>]) -> Vec<Alert> {
    engine.process(&Batch::of_lines("city", &lines.join(&b'\n'))).alerts
}

fn trained(lines: &[Vec<u8>]) -> Trained {
    trained_as(MODEL, lines)
}

fn trained_as(model: &str, lines: &[Vec<u8>]) -> Trained {
    let model = Model::parse(model, Path::new("model.toml")).unwrap_or_else(|error| panic!("{error}"));
    let mut engine = engine(1, 1);
    engine.watch(model.watch());
    process(&mut engine, lines);
    let mut observer = Observer::default();
    observer.note(&model, &engine.take_changed_days());
    let reached = engine.event_time().expect("records").day();
    observer.advance(&model, &engine, reached);
    let windows: Vec<_> = observer.windows().collect();
    let mut rows: Vec<_> = windows.iter().flat_map(|start| observer.features(&model, *start)).collect();
    // Of a calm history: the dearest visits are strange to it.
    rows.sort_by(|one, other| one.values[0].total_cmp(&other.values[0]));
    rows.truncate(rows.len() * 85 / 100);
    Trained::learn(&model, Path::new(""), &rows, 1).expect("enough rows")
}

/// The open alerts of models as they are written, without what the revision says of itself.
fn open(engine: &Engine) -> BTreeMap<String, Value> {
    let open = engine.alerts().into_iter().filter(|alert| alert.status == AlertStatus::Open);
    let written = open.filter(|alert| alert.finding.scored.is_some()).map(|alert| {
        let mut written = serde_json::to_value(alert).expect("JSON");
        let fields = written.as_object_mut().expect("an object");
        fields.remove("revision");
        fields.remove("detected_at");
        (alert.alert_id.to_string(), written)
    });
    written.collect()
}

/// Compares alerts, and shows the first that differs.
fn same(got: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>, context: &str) {
    if let Some(id) = got.keys().chain(expected.keys()).find(|id| got.get(*id) != expected.get(*id)) {
        let (one, other) = (got.get(id), expected.get(id));
        let fields = other.or(one).and_then(Value::as_object).expect("an object").keys();
        let part = |alert: Option<&Value>, field: &str| alert.map(|alert| alert[field].clone());
        let different: Vec<_> = fields
            .filter(|field| part(one, field) != part(other, field))
            .map(|field| (field, part(one, field), part(other, field)))
            .collect();
        panic!("{context}: {id} differs: {different:#?}");
    }
}

#[test]
fn what_models_find_depends_on_the_records_alone() {
    let (_city, lines) = city();
    let trained = trained(&lines);
    let scorers = || vec![Scorer::new(trained.clone()).expect("its features are known")];
    let expected = {
        let mut engine = engine(1, 1);
        engine.use_models(scorers());
        process(&mut engine, &lines);
        engine.score();
        open(&engine)
    };
    assert!(expected.len() > 5, "{} alerts", expected.len());
    let mut behind = 0;
    for seed in 0..6 {
        let mut dice = Dice::new(seed);
        let mut lines = lines.clone();
        // Of the first days, and of no stay, which would end in a later week.
        let outpatient = |line: &[u8]| holds(line, b"\"settlement\"") && holds(line, b"\"med_type\":\"11\"");
        let late: Vec<Vec<u8>> = lines.extract_if(..600, |line| outpatient(line)).collect();
        if seed >= 2 {
            lines = duplicated(&shuffled(&lines, seed), seed);
        }
        let mut engine = engine(1 << dice.below(4), 1 + dice.below(2));
        engine.use_models(scorers());
        let mut last: BTreeMap<_, u32> = BTreeMap::new();
        let mut tell = |alerts: Vec<Alert>| {
            for alert in alerts {
                let before = last.insert(alert.alert_id, alert.revision).unwrap_or(0);
                assert_eq!(alert.revision, before + 1, "revisions rise by one");
            }
        };
        let mut at = 0;
        while at < lines.len() {
            let end = (at + 1 + dice.below(3_000)).min(lines.len());
            tell(process(&mut engine, &lines[at..end]));
            at = end;
            match dice.below(6) {
                0 => tell(engine.score()),
                1 => tell(engine.replace_models(scorers())),
                // For want of time a part of them.
                2 | 3 => {
                    tell(engine.score_until(Some(Instant::now())));
                    behind += u32::from(engine.is_behind());
                }
                _ => {}
            }
        }
        loop {
            tell(engine.score_until(Some(Instant::now())));
            if !engine.is_behind() {
                break;
            }
            behind += 1;
        }
        // What comes last touches the first week alone, which later ones read.
        tell(process(&mut engine, &late));
        tell(engine.score());
        same(&open(&engine), &expected, &format!("seed {seed}"));
        let rules = Arc::new(rule_sets::of_tables(&Tables::default(), engine.ids()));
        assert!(engine.replace_rules(rules).is_empty(), "the same rules and models find the same");
    }
    assert!(behind > 5, "windows were left for later only {behind} times");
}

#[test]
fn what_the_budget_cuts_is_listed() {
    let (_city, lines) = city();
    let found = |per_group: &str| {
        let mut engine = engine(2, 2);
        let trained = trained_as(&MODEL.replace("per_group = 4", per_group), &lines);
        engine.use_models(vec![Scorer::new(trained).expect("its features are known")]);
        process(&mut engine, &lines);
        engine.score();
        let raised: BTreeSet<(String, String)> = open(&engine)
            .into_values()
            .map(|alert| (alert["subject"]["id"].to_string(), alert["window"]["from"].to_string()))
            .collect();
        let text = |value: &dyn std::fmt::Display| format!("\"{value}\"");
        let left_out = engine.models()[0].left_out();
        let left_out: BTreeSet<_> = left_out.map(|one| (text(&one.entity), text(&one.window.from))).collect();
        (raised, left_out)
    };
    let (all, none) = found("per_group = 1000");
    let (few, rest) = found("per_group = 1");
    assert!(none.is_empty() && !few.is_empty() && rest.len() > few.len(), "{few:?} {rest:?}");
    assert!(few.is_disjoint(&rest));
    assert_eq!(few.union(&rest).cloned().collect::<BTreeSet<_>>(), all);
}

#[test]
fn models_go_on_from_a_checkpoint() {
    let (_city, lines) = city();
    let trained = trained(&lines);
    let make = |shards| {
        let mut engine = engine(shards, 2);
        engine.use_models(vec![Scorer::new(trained.clone()).expect("its features are known")]);
        engine
    };
    let mut undisturbed = make(1);
    process(&mut undisturbed, &lines);
    undisturbed.score();
    let half = lines.len() * 3 / 4;
    let checkpoints = Checkpoints::of(Arc::new(InMemory::new())).expect("memory");
    let mut first = make(4);
    first.keep_log(1, &[]);
    process(&mut first, &lines[..half]);
    let told = first.score();
    assert!(told.iter().any(|alert| alert.finding.scored.is_some()), "something is found before the checkpoint");
    let cut = first.cut().expect("a log is kept");
    let mut scribe = Scribe::new(checkpoints.clone(), None, 2);
    scribe.write(&Job { cut, positions: BTreeMap::new(), sinks: BTreeMap::new(), tag: 0 }).expect("memory");
    let restored = restore(&checkpoints, || make(2)).expect("whole").expect("one");
    let held = |alert: &Alert| alert.finding.scored.is_some();
    let before: Vec<&Alert> = told.iter().filter(|alert| held(alert)).collect();
    for alert in &before {
        let read =
            restored.alerts.iter().find(|read| read.alert_id == alert.alert_id).expect("it is in the checkpoint");
        assert_eq!(read.finding, alert.finding, "to the bit");
        let body = serde_json::to_string(alert).expect("JSON");
        assert_eq!(stored::alert(&body, false).expect("readable").finding, alert.finding);
    }
    let mut second = restored.engine;
    let alerts = second.end_warm_up();
    assert!(alerts.is_empty(), "what was told stands: {alerts:?}");
    process(&mut second, &lines[half..]);
    second.score();
    same(&open(&second), &open(&undisturbed), "restored");
}

/// A folder of models, with one trained on a city.
pub fn train(lines: &[Vec<u8>], models: &Path, model: &str) {
    let trained = trained_as(model, lines);
    trained.write(&models.join(&trained.model().id)).expect("there is room");
}

#[test]
fn a_pipeline_finds_what_a_backtest_finds_and_takes_other_models() {
    let (city, lines) = city();
    let folder = tempfile::tempdir().expect("a folder");
    let models = folder.path().join("models");
    fs::create_dir(&models).expect("a folder");
    train(&lines, &models, MODEL);

    let alerts = folder.path().join("alerts.jsonl");
    let mut command = fundwatch();
    command.args(["backtest", "--json"]).arg("--input").arg(city.records()).arg("--registry").arg(city.registry());
    command.arg("--models").arg(&models).arg("--alerts").arg(&alerts);
    let output = succeed(&mut command);
    let counts: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(counts["alerts"]["T-1"].as_u64() > Some(5), "{counts}");
    let found = json_lines(&fs::read_to_string(&alerts).expect("alerts"));
    let expected: BTreeMap<_, _> = found.iter().filter(|alert| alert["status"] == "open").map(essence).collect();
    let one = found.iter().find(|alert| alert["rule_id"] == "T-1").expect("an alert of the model");
    assert_eq!((&one["subject"]["kind"], &one["severity"]), (&"doctor".into(), &"low".into()));
    assert!(one["score"].is_f64() && one["p_value"].as_f64() < Some(1.0), "{one}");
    assert_eq!(one["contributions"].as_array().map(Vec::len), Some(4));
    for field in ["feature", "contribution", "value", "peer_median", "own_median"] {
        assert!(one["contributions"][0].get(field).is_some(), "{field} {one}");
    }
    assert!(!one["evidence"].as_array().expect("evidence").is_empty());
    for language in ["zh", "en"] {
        let words = one["message"][language].as_str().expect("words");
        assert!(words.contains(one["subject"]["id"].as_str().expect("an id")), "{words}");
    }

    let (models_name, registry) = (models.display().to_string(), city.registry().display().to_string());
    let variables = [
        ("FUNDWATCH__SOURCE__KIND", "stdin"),
        ("FUNDWATCH__RULES__REGISTRY", registry.as_str()),
        ("FUNDWATCH__MODELS__DIR", models_name.as_str()),
        ("FUNDWATCH__MODELS__INTERVAL", "200ms"),
        ("FUNDWATCH__MODELS__RELOAD_INTERVAL", "100ms"),
        ("FUNDWATCH__SINKS__TERMINAL__ENABLED", "false"),
        ("FUNDWATCH__SINKS__FILE__ENABLED", "true"),
        ("FUNDWATCH__SINKS__FILE__PATH", "alerts.jsonl"),
        ("FUNDWATCH__HTTP__LINGER", "0s"),
    ];
    let mut running = Running::start(&variables, Stdio::piped());
    let mut stdin = running.stdin();
    let text = lines.join(&b'\n');
    let (first, second) = text.split_at(text.len() / 2);
    std::io::Write::write_all(&mut stdin, first).expect("it reads");
    let raised = "fundwatch_model_entities{decision=\"raised\",model=\"T-1\"}";
    wait_until("a window is judged", LIMIT, || running.metric(raised).map(drop));
    assert!(running.metric("fundwatch_model_drift{feature=\"items\",model=\"T-1\"}").is_some());

    // A second one in shadow is counted, and not sent.
    train(&lines, &models, &MODEL.replace("\"T-1\"", "\"T-2\"").replace("severity", "status = \"shadow\"\nseverity"));
    let beside = "fundwatch_alert_revisions_total{rule=\"T-2\",severity=\"low\",shadow=\"true\",status=\"open\"}";
    wait_until("the one in shadow finds something", LIMIT, || running.metric(beside).filter(|count| *count > 0.0));
    // What cannot be read leaves the others at work.
    fs::create_dir(models.join("broken")).expect("a folder");
    fs::write(models.join("broken/model.json"), "{").expect("there is room");
    let refused = "fundwatch_model_reloads_total{outcome=\"refused\"}";
    wait_until("it is refused", LIMIT, || running.metric(refused).filter(|count| *count == 1.0));
    assert!(running.read("words").contains("is no trained model"), "{}", running.read("words"));

    std::io::Write::write_all(&mut stdin, second).expect("it reads");
    drop(stdin);
    let (code, _) = running.end();
    assert_eq!(code, Some(0), "{}", running.read("words"));
    assert_eq!(open_at_last(&running.path("alerts.jsonl")), expected);
}

#[test]
fn models_that_cannot_work_are_refused_with_words() {
    let (_city, lines) = city();
    let folder = tempfile::tempdir().expect("a folder");
    let models = folder.path().join("models");
    fs::create_dir(&models).expect("a folder");
    train(&lines, &models, MODEL);
    let models_name = models.display().to_string();
    let fails = |variables: &[(&str, &str)]| {
        let all = [&[("FUNDWATCH__MODELS__DIR", models_name.as_str())], variables].concat();
        let mut running = Running::start(&all, Stdio::null());
        let (code, _) = running.end();
        assert_eq!(code, Some(2), "{}", running.read("words"));
        running.read("words")
    };
    let words = fails(&[("FUNDWATCH__ENGINE__RETENTION", "20d")]);
    assert!(words.contains("T-1 looks back 38 days, but engine.retention keeps 20"), "{words}");
    let copy = models.join("copy");
    fs::create_dir(&copy).expect("a folder");
    fs::copy(models.join("T-1/model.json"), copy.join("model.json")).expect("a copy");
    let words = fails(&[]);
    assert!(words.contains("have the id T-1"), "{words}");
    fs::remove_dir_all(&models).expect("it was there");
    let words = fails(&[]);
    assert!(words.contains("failed to read the folder of models"), "{words}");
}

#[test]
fn a_trained_model_is_measured_on_a_history() {
    let (city, lines) = city();
    let folder = tempfile::tempdir().expect("a folder");
    let models = folder.path().join("models");
    fs::create_dir(&models).expect("a folder");
    train(&lines, &models, MODEL);
    let (alerts, cases, page) =
        (folder.path().join("a.jsonl"), folder.path().join("c.csv"), folder.path().join("r.html"));
    let mut command = fundwatch();
    command.args(["backtest", "--json", "--models"]).arg(&models).arg("--input").arg(city.records());
    succeed(command.arg("--alerts").arg(&alerts));
    let found = json_lines(&fs::read_to_string(&alerts).expect("alerts"));
    let raised = || found.iter().filter(|alert| alert["rule_id"] == "T-1" && alert["status"] == "open");
    let row = |alert: &Value| {
        let (entity, from) = (alert["subject"]["id"].as_str(), alert["window"]["from"].as_str());
        format!("{},{},confirmed\n", entity.expect("an id"), from.expect("a day"))
    };
    let rows: String = raised().map(row).collect();
    fs::write(&cases, format!("entity,window_start,outcome\n{rows}none/such,2026-03-02,confirmed\n")).expect("room");
    let evaluate = || {
        let mut command = fundwatch();
        command.arg("evaluate").arg("--model").arg(models.join("T-1")).arg("--input").arg(city.records());
        command
    };
    let measured = |more: &[&str]| -> Value {
        let output = succeed(evaluate().arg("--json").args(more));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    assert!(measured(&[])["quality"].is_null(), "without cases nothing is known of quality");
    let (cases_name, page_name) = (cases.display().to_string(), page.display().to_string());
    let measures = measured(&["--labels", &cases_name, "--html", &page_name]);
    let quality = &measures["quality"];
    assert_eq!(quality["unseen"], 1, "{quality}");
    // What came after a window was over makes the difference between the history and the end.
    assert!(quality["recall_at_budget"]["value"].as_f64() > Some(0.7), "{quality}");
    assert!(quality["precision_at_budget"]["value"].as_f64() > Some(0.7), "{quality}");
    assert!(quality["roc_auc"]["value"].as_f64() > Some(0.9), "{quality}");
    let sum = |field: &str| -> u64 {
        let windows = measures["windows"].as_array().expect("windows");
        windows.iter().map(|window| window[field].as_u64().expect("a count")).sum()
    };
    assert_eq!(measures["rows"].as_u64(), Some(sum("entities")));
    assert!(sum("raised") > 5);
    assert_eq!(measures["drift"].as_array().map(Vec::len), Some(4));
    let page = fs::read_to_string(page).expect("a page");
    assert_eq!(page.matches("<svg width").count(), 3, "three charts");
    assert!(page.contains("医师周行为异常") && !page.contains("{{"), "{page}");
    let table = succeed(&mut evaluate());
    assert!(String::from_utf8_lossy(&table.stdout).contains("most in a window"));

    fs::write(&cases, "entity,window_start,outcome\nH/D,2026-03-02,maybe\n").expect("room");
    let output = evaluate().arg("--labels").arg(&cases).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("line 2, column \"outcome\": \"maybe\" is not an outcome; write confirmed or dismissed"),
        "{words}"
    );
}
