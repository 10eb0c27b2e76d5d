//! `fundwatch backtest`: every form of file gives the same alerts, and the exit status says what happened.

use crate::support::{Backtest, City, assert_same, fundwatch, json_lines};
use arrow::json::ReaderBuilder;
use arrow::json::reader::infer_json_schema;
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

/// The good records of a city by type, as JSON Lines.
fn by_type(city: &City, backtest: &Backtest) -> BTreeMap<String, Vec<Value>> {
    let bad: BTreeSet<usize> = backtest
        .dead_letters
        .iter()
        .map(|letter| {
            let source = letter["source"].as_str().expect("a position");
            source.rsplit(':').next().and_then(|line| line.parse().ok()).expect("a line number")
        })
        .collect();
    let bytes = fs::read(city.records()).expect("records");
    let mut records: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if !line.is_empty() && !bad.contains(&(number + 1)) {
            let record: Value = serde_json::from_slice(line).expect("a good record");
            records.entry(record["type"].as_str().expect("a type").to_owned()).or_default().push(record);
        }
    }
    records
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

fn write_parquet(path: &Path, records: &[Value]) {
    let text = lines(records);
    let (schema, _) = infer_json_schema(Cursor::new(&text), None).expect("a schema");
    let schema = Arc::new(schema);
    let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), schema.clone(), None).expect("a writer");
    for batch in ReaderBuilder::new(schema).with_coerce_primitive(true).build(Cursor::new(&text)).expect("a reader") {
        writer.write(&batch.expect("records")).expect("written");
    }
    writer.close().expect("written");
}

fn write_csv(path: &Path, records: &[Value]) {
    let names: BTreeSet<&String> =
        records.iter().flat_map(|record| record.as_object().expect("an object").keys()).collect();
    let mut writer = csv::Writer::from_path(path).expect("a file");
    writer.write_record(&names).expect("written");
    for record in records {
        let cells = names.iter().map(|name| match &record[name.as_str()] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writer.write_record(cells).expect("written");
    }
    writer.flush().expect("written");
}

#[test]
fn every_form_of_file_gives_the_same_alerts() {
    let city = City::simulate(2_000, 6, 11);
    let expected = Backtest::of(&city.records(), Some(&city.registry()));
    expected.assert_balanced();
    assert!(expected.open().len() >= 18, "{}", expected.counts);
    let records = by_type(&city, &expected);

    let parquet = tempfile::tempdir().expect("a folder");
    let csv = tempfile::tempdir().expect("a folder");
    let packed = tempfile::tempdir().expect("a folder");
    for (number, (tag, records)) in records.iter().enumerate() {
        let mut without_type = records.clone();
        for record in &mut without_type {
            record.as_object_mut().expect("an object").remove("type");
        }
        // The type from the file's name, or from a column.
        write_parquet(&parquet.path().join(format!("{tag}_2026.parquet")), &without_type);
        if number % 2 == 0 {
            write_csv(&csv.path().join(format!("{tag}.csv")), &without_type);
        } else {
            write_csv(&csv.path().join(format!("part-{number}.csv")), records);
        }
        let text = lines(records);
        if number % 2 == 0 {
            let file = File::create(packed.path().join(format!("{number}.jsonl.gz"))).expect("a file");
            let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).expect("written");
        } else {
            let bytes = zstd::encode_all(text.as_bytes(), 1).expect("packed");
            fs::write(packed.path().join(format!("{number}.jsonl.zst")), bytes).expect("written");
        }
    }
    let good = expected.count("records_in") - expected.count("dead_lettered");
    for folder in [&packed, &csv, &parquet] {
        let found = Backtest::of(folder.path(), Some(&city.registry()));
        assert_eq!(found.dead_letters.first(), None);
        assert_eq!(found.count("records_in"), good);
        found.assert_balanced();
        assert_same(&found.essences(), &expected.essences());
    }
}

#[test]
fn alerts_are_in_order_and_revisions_end_with_them() {
    let city = City::simulate(2_000, 6, 12);
    let dir = tempfile::tempdir().expect("a folder");
    let (alerts, revisions) = (dir.path().join("alerts.jsonl"), dir.path().join("revisions.jsonl"));
    let mut command = fundwatch();
    command.args(["backtest", "--input"]).arg(city.records()).arg("--alerts").arg(&alerts);
    let output = command.arg("--revisions").arg(&revisions).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(table.contains("STY-01") && table.contains("分解住院"), "{table}");
    let read = |path: &Path| json_lines(&fs::read_to_string(path).expect("written"));
    let alerts = read(&alerts);
    let id = |alert: &Value| alert["alert_id"].as_str().expect("an id").to_owned();
    assert!(alerts.is_sorted_by_key(id) && !alerts.is_empty());
    let last: BTreeMap<String, Value> = read(&revisions).into_iter().map(|alert| (id(&alert), alert)).collect();
    assert_eq!(last, alerts.into_iter().map(|alert| (id(&alert), alert)).collect());
}

#[test]
fn the_exit_status_says_whose_mistake_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let records = dir.path().join("records.jsonl");
    fs::write(&records, "no record\n").expect("written");
    let status = |arguments: &[&str]| {
        let output = fundwatch().arg("backtest").args(arguments).current_dir(dir.path()).output().expect("it starts");
        (output.status.code().expect("no signal"), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, words) = status(&["--input", "records.jsonl"]);
    assert_eq!(code, 0, "dead letters do not change it: {words}");
    let (code, words) = status(&["--input", "missing.jsonl"]);
    assert!(code == 2 && words.contains("missing.jsonl"), "{code}: {words}");
    let (code, words) = status(&["--input", "records.jsonl", "--alerts", "no/such/folder"]);
    assert!(code == 2 && words.contains("no/such/folder"), "{code}: {words}");
    assert_eq!(status(&[]).0, 2, "usage");
    assert_eq!(status(&["--input", "records.jsonl", "--retention", "soon"]).0, 2);
    fs::create_dir_all(dir.path().join("rules/x")).expect("a folder");
    fs::write(dir.path().join("rules/x/X-01-x.toml"), "id = 5\n").expect("written");
    let (code, words) = status(&["--input", "records.jsonl", "--rules", "rules"]);
    assert!(code == 1 && words.contains("X-01-x.toml"), "{code}: {words}");
}
