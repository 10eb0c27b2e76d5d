//! The detectors on tables that come with figures of other implementations, and the command as people type it.

use crate::support::{fundwatch, succeed};
use fundwatch::model::detector::Detector;
use fundwatch::model::detector::mixture::{Covariance, Settings as Mixture};
use fundwatch::model::measure::roc_auc;
use fundwatch::model::table::Table;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The 17 tables of ADBench with the figures of other implementations, where they lie beside the repository.
fn adbench() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/adbench");
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    Some(path)
}

/// ROC-AUC by table of one detector, by another implementation.
fn elsewhere(folder: &Path, detector: &str) -> Vec<(String, f64)> {
    let text = fs::read_to_string(folder.join("baselines_roc_auc.csv")).expect("figures");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let place = lines.next().expect("a header").iter().position(|name| *name == detector).expect("a detector");
    let tables = lines.filter(|line| line[0] != "mean");
    tables.map(|line| (line[0].to_owned(), line[place].parse().expect("a number"))).collect()
}

/// The tables with at most so many rows.
fn tables(folder: &Path, most: usize) -> Vec<(String, Table, Vec<bool>)> {
    let names = elsewhere(folder, "PCA").into_iter().map(|(name, _)| name);
    names
        .map(|name| {
            let (table, labels) =
                Table::read_labelled(&folder.join(format!("{name}.csv.gz")), "label").expect("a table");
            (name, table, labels)
        })
        .filter(|(_, table, _)| table.rows() <= most)
        .collect()
}

fn area(detector: &Detector, table: &Table, labels: &[bool]) -> f64 {
    let scores = detector.fit(table, 1).expect("fitted").score(table).expect("scores");
    roc_auc(labels, &scores).expect("rows of both kinds")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn detectors_do_as_well_as_other_implementations() {
    let Some(folder) = adbench() else { return };
    let tables = tables(&folder, usize::MAX);
    let named = |name: &str| Detector::all().into_iter().find(|known| known.0 == name).expect("a detector").1;
    let full = Mixture { components: 1, covariance: Covariance::Full, ..Mixture::default() };
    let shared = [
        ("IForest", named("forest")),
        ("ECOD", named("ecod")),
        ("COPOD", named("copod")),
        ("HBOS", named("histogram")),
        ("PCA", named("pca")),
        ("GMM1", Detector::Mixture(full)),
        ("GMM5diag", named("mixture")),
        ("KNN", named("neighbours")),
        ("RobustZ_max", named("robust-z")),
    ];
    let mut off = Vec::new();
    for (name, detector) in shared {
        let theirs: Vec<f64> = elsewhere(&folder, name).into_iter().map(|(_, area)| area).collect();
        let ours: Vec<f64> = tables.iter().map(|(_, table, labels)| area(&detector, table, labels)).collect();
        println!("{name}: {:.4}, elsewhere {:.4}", mean(&ours), mean(&theirs));
        for ((table, ..), (ours, theirs)) in tables.iter().zip(ours.iter().zip(&theirs)) {
            println!("  {table}: {ours:.3}, elsewhere {theirs:.3}");
        }
        if (mean(&ours) - mean(&theirs)).abs() > 0.01 {
            off.push(name);
        }
    }
    assert!(off.is_empty(), "further than 0.01 from the other implementation: {off:?}");
}

#[test]
fn the_combined_detector_finds_what_it_is_said_to_find() {
    let Some(folder) = adbench() else { return };
    // The six largest tables take nine tenths of the time; `FUNDWATCH_TABLES=all` takes them too.
    let all = std::env::var("FUNDWATCH_TABLES").is_ok_and(|tables| tables == "all");
    let areas: Vec<f64> = tables(&folder, if all { usize::MAX } else { 2000 })
        .iter()
        .map(|(name, table, labels)| {
            let area = area(&Detector::Combined, table, labels);
            println!("{name}: {area:.3}");
            area
        })
        .collect();
    println!("mean of {}: {:.4}", areas.len(), mean(&areas));
    assert!(mean(&areas) >= 0.785, "{}", mean(&areas));
}

fn evaluate(table: &Path, arguments: &[&str]) -> Output {
    fundwatch().arg("evaluate").arg("--table").arg(table).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// 100 rows, the last five of them labelled and far off.
fn small(folder: &Path) -> PathBuf {
    let path = folder.join("small.csv");
    let row = |row: usize| {
        format!("{},{},{}\n", row * 37 % 101, row * 53 % 97 + if row < 95 { 0 } else { 1000 }, u8::from(row >= 95))
    };
    fs::write(&path, "a,b,fraud\n".to_owned() + &(0..100).map(row).collect::<String>()).expect("written");
    path
}

#[test]
fn the_command_prints_a_row_for_each_detector() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = small(folder.path());
    let output = evaluate(&table, &["--label", "fraud"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (printed, said) = (text(&output.stdout), text(&output.stderr));
    for word in ["detector", "ROC-AUC", "average precision", "precision at 5"] {
        assert!(printed.contains(word), "{word} in\n{printed}");
    }
    for (name, _) in Detector::all() {
        assert!(printed.contains(&format!(" {name} ")), "{name} in\n{printed}");
    }
    assert!(said.contains("100 rows with 2 features, 5 of them labelled"), "{said}");
}

#[test]
fn the_json_is_the_same_for_a_seed() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = small(folder.path());
    let json = |seed: &str| {
        let output = evaluate(&table, &["--label", "fraud", "--detector", "forest", "--json", "--seed", seed]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let mut report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["detectors"][0].as_object_mut().expect("measures").remove("seconds").expect("seconds");
        report
    };
    let once = json("3");
    assert_eq!(once, json("3"));
    assert_eq!((&once["rows"], &once["labelled"]), (&100.into(), &5.into()));
    let measures = &once["detectors"][0];
    assert_eq!((&measures["detector"], &measures["roc_auc"]), (&"forest".into(), &1.0.into()));
    assert_eq!(measures["precision_at_labelled"], 1.0);
}

#[test]
fn mistakes_are_told_with_an_exit_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = small(folder.path());
    let told = |table: &Path, arguments: &[&str], status: i32, words: &str| {
        let output = evaluate(table, arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(words) && output.stdout.is_empty(), "{words} in\n{said}");
    };
    told(&table, &["--label", "frau"], 2, "no column \"frau\"; its columns are \"a\", \"b\", \"fraud\"");
    told(&table, &["--label", "fraud", "--detector", "ecot"], 2, "ecod");
    told(&folder.path().join("none.csv"), &["--label", "fraud"], 2, "failed to read");
    told(&table, &["--label", "a"], 1, "is not a label");
    let path = folder.path().join("wrong.csv");
    let wrong = |content: &str, words: &str| {
        fs::write(&path, content).expect("written");
        told(&path, &["--label", "fraud"], 1, words);
    };
    wrong("a,fraud\n1,0\nmany,1\n", "line 3, column \"a\": \"many\" is not a number");
    wrong("a,fraud\n1,0\n2,0\n", "no row");
    wrong("a,fraud\n1,1\n", "every row");
    wrong("a,fraud\n", "no row");
    let help = succeed(fundwatch().args(["evaluate", "--help"]));
    assert!(text(&help.stdout).contains("fundwatch evaluate --table institutions.csv.gz --label fraud"));
}
