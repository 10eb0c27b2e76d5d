//! Every kind of bad record, mixed with good ones: each is accounted for, says why, and changes nothing else.

use crate::support::Backtest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;

/// A record as names and JSON texts.
#[derive(Clone)]
struct Record(Vec<(&'static str, String)>);

impl Record {
    fn new(fields: &[(&'static str, &str)]) -> Record {
        Record(fields.iter().map(|(name, json)| (*name, (*json).to_owned())).collect())
    }

    fn with(mut self, name: &'static str, json: impl Into<String>) -> Record {
        self = self.without(name);
        self.0.push((name, json.into()));
        self
    }

    fn without(mut self, name: &str) -> Record {
        self.0.retain(|field| field.0 != name);
        self
    }

    fn line(&self) -> Vec<u8> {
        let fields: Vec<String> = self.0.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    }
}

/// A settlement that would make one more repeat of the good ones, were it taken.
fn settlement() -> Record {
    Record::new(&[
        ("type", "\"settlement\""),
        ("setl_id", "\"S9\""),
        ("mdtrt_id", "\"V1\""),
        ("psn_no", "\"P1\""),
        ("fixmedins_code", "\"H1\""),
        ("med_type", "\"11\""),
        ("insutype", "\"310\""),
        ("setl_time", "\"2026-03-01 12:30:00\""),
        ("medfee_sumamt", "300.00"),
        ("fund_pay_sumamt", "200.00"),
    ])
}

/// A detail that would turn a stay without treatment into one with, were it taken.
fn detail() -> Record {
    Record::new(&[
        ("type", "\"fee_detail\""),
        ("mdtrt_id", "\"V3\""),
        ("feedetl_sn", "\"1\""),
        ("psn_no", "\"P3\""),
        ("fixmedins_code", "\"H1\""),
        ("fee_ocur_time", "\"2026-03-03 08:00:00\""),
        ("med_list_codg", "\"I1\""),
        ("cnt", "1"),
        ("pric", "80"),
        ("det_item_fee_sumamt", "80"),
    ])
}

fn admission() -> Record {
    Record::new(&[
        ("type", "\"admission\""),
        ("mdtrt_id", "\"V3\""),
        ("psn_no", "\"P3\""),
        ("fixmedins_code", "\"H1\""),
        ("med_type", "\"21\""),
        ("begntime", "\"2026-03-02 09:00:00\""),
    ])
}

fn discharge() -> Record {
    Record::new(&[
        ("type", "\"discharge\""),
        ("mdtrt_id", "\"V3\""),
        ("psn_no", "\"P3\""),
        ("fixmedins_code", "\"H1\""),
        ("endtime", "\"2026-03-09 09:00:00\""),
    ])
}

fn presence() -> Record {
    Record::new(&[
        ("type", "\"presence\""),
        ("check_id", "\"C1\""),
        ("psn_no", "\"P3\""),
        ("mdtrt_id", "\"V3\""),
        ("fixmedins_code", "\"H1\""),
        ("check_time", "\"2026-03-03 10:00:00\""),
        ("check_type", "\"ROUND\""),
        ("passed", "true"),
    ])
}

fn inventory() -> Record {
    Record::new(&[
        ("type", "\"inventory\""),
        ("fixmedins_code", "\"H1\""),
        ("fixmedins_bchno", "\"B1\""),
        ("inv_data_type", "\"1\""),
        ("med_list_codg", "\"I1\""),
        ("inv_time", "\"2026-03-01 10:00:00\""),
        ("cnt", "5"),
    ])
}

fn delete() -> Record {
    Record::new(&[("type", "\"fee_detail_delete\""), ("mdtrt_id", "\"V4\""), ("feedetl_sn", "\"0000\"")])
}

fn text_of(characters: usize) -> String {
    format!("\"{}\"", "药".repeat(characters))
}

/// A bad line, the kind of its mistake, and what its reason must name.
struct BadLine {
    bytes: Vec<u8>,
    kind: &'static str,
    names: String,
}

fn bad_lines() -> Vec<BadLine> {
    let mut lines = Vec::new();
    let mut add = |bytes: Vec<u8>, kind, names: &str| lines.push(BadLine { bytes, kind, names: names.to_owned() });

    let good = settlement().line();
    let mut not_utf8 = good[..good.len() - 1].to_vec();
    not_utf8.extend_from_slice(b",\"dise_name\":\"\xb8\xdf\xd1\xaa\"}");
    add(not_utf8, "not_utf8", "UTF-8");
    add([&b"\xff"[..], &good].concat(), "not_utf8", "UTF-8");

    add(b"setl_id,mdtrt_id,psn_no".to_vec(), "not_json", "byte 0");
    add(good[..good.len() / 2].to_vec(), "not_json", "JSON");
    add([&good[..], b"}"].concat(), "not_json", "JSON");
    add([&good[..], &good[..]].concat(), "not_json", "JSON");
    add([&b"\xef\xbb\xbf"[..], &good].concat(), "not_json", "byte 0");
    add(settlement().with("medfee_sumamt", "0300.00").line(), "not_json", "JSON");
    add(settlement().with("x", "\"\u{1}\"").line(), "not_json", "JSON");
    add(settlement().with("x", "NaN").line(), "not_json", "JSON");

    for other in ["17", "null", "true", "\"settlement\"", "[]"] {
        add(other.as_bytes().to_vec(), "not_object", "object");
    }
    add([&b"["[..], &good, b"]"].concat(), "not_object", "object");

    add(b"{}".to_vec(), "unknown_type", "`type`");
    add(settlement().without("type").line(), "unknown_type", "`type`");
    add(settlement().with("type", "null").line(), "unknown_type", "`type`");
    add(settlement().with("type", "\"settlment\"").line(), "unknown_type", "settlment");
    add(settlement().with("type", "\"Settlement\"").line(), "unknown_type", "Settlement");
    add(settlement().with("type", "4").line(), "unknown_type", "`type`");

    for record in [settlement(), detail(), admission(), discharge(), presence(), inventory()] {
        for (name, _) in record.0.iter().filter(|(name, _)| *name != "type") {
            let names = format!("`{name}`");
            add(record.clone().without(name).line(), "missing_field", &names);
            add(record.clone().with(name, "\"\"").line(), "missing_field", &names);
            add(record.clone().with(name, "null").line(), "missing_field", &names);
        }
    }
    add(delete().without("mdtrt_id").line(), "missing_field", "`mdtrt_id`");
    add(delete().without("feedetl_sn").line(), "missing_field", "`chrg_bchno`");
    for cancel in ["\"admission_cancel\"", "\"discharge_cancel\""] {
        add(Record::new(&[("type", cancel)]).line(), "missing_field", "`mdtrt_id`");
    }

    for money in ["300.001", "\"300,00\"", "\"300.00 \"", "\"+300\"", "true", "[300]", "1e17", "100000000000000"] {
        add(settlement().with("medfee_sumamt", money).line(), "malformed_field", "`medfee_sumamt`");
        add(settlement().with("inscp_amt", money).line(), "malformed_field", "`inscp_scp_amt`");
    }
    add(detail().with("cnt", "1.00001").line(), "malformed_field", "`cnt`");
    add(detail().with("pric", "0.0000001").line(), "malformed_field", "`pric`");
    add(presence().with("score", "\"high\"").line(), "malformed_field", "`score`");
    let times = [
        "2026-03-01T12:30:00",
        "2026-03-01 12:30:00Z",
        "2026-03-01 12:30",
        "2026-03-01 24:00:00",
        "2026-02-29 12:30:00",
        "2026-13-01 12:30:00",
        "2026-3-1 12:30:00",
        "2026-03-01",
    ];
    for time in times {
        add(settlement().with("setl_time", format!("\"{time}\"")).line(), "malformed_field", "`setl_time`");
    }
    add(settlement().with("updt_time", "20260301123000").line(), "malformed_field", "`updt_time`");
    for date in ["2026-02-29", "2026/03/01", "20260301", "2026-03-01 00:00:00"] {
        add(settlement().with("begndate", format!("\"{date}\"")).line(), "malformed_field", "`begndate`");
    }
    for flag in ["\"true\"", "1", "\"yes\"", "[]"] {
        add(presence().with("passed", flag).line(), "malformed_field", "`passed`");
        add(presence().with("approved_leave", flag).line(), "malformed_field", "`approved_leave`");
    }
    for code in ["true", "1.5", "1e3", "{}", "[\"P1\"]", "\"\\ud83d\"", "\"\\udc00x\""] {
        add(settlement().with("psn_no", code).line(), "malformed_field", "`psn_no`");
        add(settlement().with("dise_codg", code).line(), "malformed_field", "`dise_codg`");
    }

    // One for each length, one character above it.
    let longest = [
        (settlement(), "setl_id", 30),
        (settlement(), "msgid", 30),
        (detail(), "drord_no", 30),
        (detail(), "rxno", 40),
        (detail(), "med_list_codg", 50),
        (admission(), "dscg_maindiag_code", 20),
        (settlement(), "hosp_lv", 6),
        (settlement(), "refd_setl_flag", 3),
        (settlement(), "vali_flag", 3),
        (discharge(), "dscg_way", 3),
        (detail(), "medins_list_codg", 150),
        (detail(), "medins_list_name", 200),
        (inventory(), "spler_name", 200),
        (settlement(), "dise_codg", 100),
        (presence(), "device_no", 100),
    ];
    for (record, name, longest) in longest {
        add(record.with(name, text_of(longest + 1)).line(), "malformed_field", &format!("`{name}`"));
    }
    add(settlement().with("setl_id", "9".repeat(31)).line(), "malformed_field", "`setl_id`");

    let spans = settlement().with("begndate", "\"2026-03-02\"").with("enddate", "\"2026-03-01\"");
    add(spans.line(), "contradiction", "`enddate`");
    add(detail().with("init_feedetl_sn", "\"2\"").line(), "contradiction", "`cnt`");
    add(detail().with("init_feedetl_sn", "\"2\"").with("cnt", "0.0001").line(), "contradiction", "`cnt`");

    let rows = |bad: Vec<u8>| {
        let good = String::from_utf8(detail().line()).expect("UTF-8");
        let bad = String::from_utf8(bad).expect("UTF-8");
        settlement().with("fee_details", format!("[{good},{bad}]")).line()
    };
    add(settlement().with("fee_details", "{}").line(), "malformed_field", "`fee_details`");
    add(settlement().with("fee_details", "\"none\"").line(), "malformed_field", "`fee_details`");
    add(rows(b"17".to_vec()), "malformed_field", "fee_details[1]");
    add(rows(detail().without("cnt").line()), "missing_field", "fee_details[1].`cnt`");
    add(rows(detail().with("pric", "\"a\"").line()), "malformed_field", "fee_details[1].`pric`");
    add(rows(detail().with("rxno", text_of(41)).line()), "malformed_field", "fee_details[1].`rxno`");
    add(rows(detail().with("init_feedetl_sn", "\"2\"").line()), "contradiction", "fee_details[1].`cnt`");
    lines
}

/// Good lines: some that make alerts, a re-delivery, a revision, a refund and many that make none.
fn good_lines() -> Vec<Vec<u8>> {
    let first = settlement().with("setl_id", "\"S1\"").with("setl_time", "\"2026-03-01 10:00:00\"");
    let repeat = settlement().with("setl_id", "\"S2\"").with("setl_time", "\"2026-03-01 12:00:00\"");
    let large = |id: &str| {
        let record = settlement().with("setl_id", format!("\"{id}\"")).with("mdtrt_id", "\"V2\"");
        record.with("psn_no", "\"P2\"").with("medfee_sumamt", "\"20000.00\"")
    };
    let refund = large("S4").with("refd_setl_flag", "1").with("init_setl_id", "\"S3\"").with("medfee_sumamt", "-2e4");
    let mut lines: Vec<Vec<u8>> = [
        first.clone(),
        repeat.clone(),
        first.clone().with("msgid", "\"again\""),
        repeat.with("updt_time", "\"2026-03-02 00:00:00\""),
        large("S3"),
        refund,
        large("S5"),
        admission(),
        discharge(),
        presence(),
        inventory(),
        delete(),
        // Values at the edge of what is good.
        first.with("dise_codg", text_of(100)).with("hosp_lv", text_of(6)).with("psn_no", "\"\\ud83d\\ude00\""),
        detail().with("mdtrt_id", "\"V4\"").with("pric", "1.2345670").with("cnt", "\"1e-4\"").with("rxno", text_of(40)),
    ]
    .iter()
    .map(Record::line)
    .collect();
    // More than one batch holds.
    for number in 0..12_000 {
        let mut record = settlement();
        for (name, letter) in [("setl_id", 'S'), ("mdtrt_id", 'V'), ("psn_no", 'P')] {
            record = record.with(name, format!("\"{letter}X{number}\""));
        }
        lines.push(record.line());
    }
    lines
}

fn payload(letter: &Value) -> Vec<u8> {
    let record = letter["record"].as_str().expect("the record");
    match letter["encoding"].as_str() {
        Some("text") => record.as_bytes().to_vec(),
        Some("base64") => BASE64.decode(record).expect("Base64"),
        other => panic!("unknown encoding {other:?}"),
    }
}

/// The file of alerts without the wall clock.
fn timeless(backtest: &Backtest) -> String {
    let mut text = String::new();
    for line in backtest.alerts.lines() {
        let (before, rest) = line.split_once("\"detected_at\":\"").expect("every alert has it");
        let (_, after) = rest.split_once('"').expect("it ends");
        writeln!(text, "{before}{after}").expect("memory");
    }
    text
}

#[test]
fn every_bad_record_is_accounted_for_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (good, bad) = (good_lines(), bad_lines());
    let clean = dir.path().join("clean.jsonl");
    fs::write(&clean, good.join(&b'\n')).expect("there is room");
    let expected = Backtest::of(&clean, None);
    expected.assert_balanced();
    assert_eq!(expected.count("records_in"), good.len() as u64);
    assert_eq!(
        ["redelivered", "revisions", "dead_lettered"].map(|name| expected.count(name)),
        [1, 2, 0],
        "{}",
        expected.counts
    );
    let open: Vec<String> = expected.open().iter().map(|alert| alert["rule_id"].to_string()).collect();
    assert!(
        ["\"DUP-02\"", "\"VIS-04\"", "\"STY-10\""].iter().all(|rule| open.contains(&(*rule).to_owned())),
        "{open:?}"
    );

    // Bad lines all over the file, with an empty line now and then, which counts as a line and as no record.
    let mut text = Vec::new();
    let mut number = 0;
    let mut places = Vec::new();
    let mut push = |line: &[u8]| {
        text.extend_from_slice(line);
        text.push(b'\n');
        number += 1;
        number
    };
    let mut left = bad.iter();
    let every = good.len() / bad.len();
    for (place, line) in good.iter().enumerate() {
        if place < 14 || place % every == 0 {
            places.extend(left.next().map(|bad| push(&bad.bytes)));
        }
        if place % 1_000 == 17 {
            push(b"");
        }
        push(line);
    }
    for bad in left {
        places.push(push(&bad.bytes));
    }
    let mixed = dir.path().join("mixed.jsonl");
    fs::write(&mixed, text).expect("there is room");

    let found = Backtest::of(&mixed, None);
    found.assert_balanced();
    assert_eq!(found.count("records_in"), (good.len() + bad.len()) as u64);
    for name in ["processed", "redelivered", "revisions"] {
        assert_eq!(found.count(name), expected.count(name), "{name}");
    }
    assert_eq!(found.counts["alerts"], expected.counts["alerts"]);
    assert_eq!(timeless(&found), timeless(&expected));

    assert_eq!(found.dead_letters.len(), bad.len());
    for ((letter, bad), place) in found.dead_letters.iter().zip(&bad).zip(places) {
        let record = String::from_utf8_lossy(&bad.bytes);
        assert_eq!(payload(letter), bad.bytes, "{letter} is not {record}");
        assert_eq!(letter["source"], format!("{}:{place}", mixed.display()), "{record}");
        assert_eq!(letter["kind"], bad.kind, "{record}: {letter}");
        let reason = letter["reason"].as_str().expect("a reason");
        assert!(reason.contains(&bad.names), "{reason:?} does not name {}: {record}", bad.names);
        assert!(letter["contract"].as_str().is_some_and(|rule| rule.starts_with("1: ")), "{letter}");
    }
}
