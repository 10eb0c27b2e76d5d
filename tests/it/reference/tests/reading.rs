//! Reading lines: section 1 and "Records" and "Counts" of section 5.

use super::super::records::read_line;
use super::{admission, bytes, detail, discharge, order, outcome, presence, settlement};
use crate::reference::{Tables, judge};

fn content(line: &str) -> Vec<(&'static str, String)> {
    let records = read_line(line.as_bytes()).expect("a good line");
    records[0].content.clone().into_iter().collect()
}

fn is_bad(line: &str) -> bool {
    read_line(line.as_bytes()).is_err()
}

#[test]
fn the_content_does_not_depend_on_the_spelling() {
    let plain = settlement("7", "V1", r#""inscp_scp_amt":12.5,"begndate":"2024-02-29""#);
    let odd = [
        // numbers as text, exponents, trailing zeros, a code as an integer
        settlement("7", "V1", r#""setl_id":7,"inscp_scp_amt":"1.250e1","begndate":"2024-02-29""#),
        // alias, message id, unknown fields, null and "" as absent, escapes
        settlement(
            "7",
            "\\u00561",
            r#""msgid":"m","inscp_amt":"12.500","acct_pay":null,"gend":"","x":{"cnt":1},"begndate":"2024-02-29""#,
        ),
        // the interface name wins over its alias; of a repeated key the last one counts
        settlement(
            "7",
            "V1",
            r#""inscp_amt":1,"balc":"x","inscp_scp_amt":{},"balc":null,"inscp_scp_amt":12.50,"begndate":"2024-02-29""#,
        ),
        // an absent interface name leaves the alias
        settlement("7", "V1", r#""inscp_scp_amt":null,"inscp_amt":12.5,"begndate":"2024-02-29""#),
    ];
    for line in &odd {
        assert_eq!(content(line), content(&plain), "{line}");
    }
    assert_eq!(content(&plain).iter().filter(|pair| pair.0 == "inscp_scp_amt").count(), 1);
    assert!(content(&plain).contains(&("medfee_sumamt", "100.00".into())));
    assert!(content(&plain).contains(&("setl_id", "7".into())));
}

#[test]
fn canonical_text_of_every_type() {
    let line = presence("V1", "2024-03-01 08:00:00", r#""score":-0,"approved_leave":true,"vali_flag":-0"#);
    let content = content(&line);
    for pair in [("score", "0.0000"), ("approved_leave", "true"), ("passed", "false"), ("vali_flag", "0")] {
        assert!(content.contains(&(pair.0, pair.1.into())), "{pair:?}");
    }
}

#[test]
fn embedded_details_inherit_what_they_lack() {
    let line = settlement(
        "S1",
        "V1",
        r#""updt_time":"2024-03-02 00:00:00","vali_flag":"1","msgid":"m","fee_details":[{"bkkp_sn":1,"psn_no":"P2","setl_id":"","fee_ocur_time":"2024-03-01 08:00:00","med_list_codg":"I","cnt":1,"pric":10,"det_item_fee_sumamt":10}]"#,
    );
    let records = read_line(line.as_bytes()).expect("good");
    let standalone =
        detail("V1", "1", "I", 1, r#""psn_no":"P2","setl_id":"S1","med_type":11,"updt_time":"2024-03-02 00:00:00""#);
    assert_eq!(records[1], read_line(standalone.as_bytes()).expect("good")[0]);
}

#[test]
fn codes_have_lengths_in_characters() {
    let long = |name: &str, length: usize| format!(r#""{name}":"{}""#, "病".repeat(length));
    for (name, longest) in
        [("setl_id", 30), ("insutype", 6), ("mid_setl_flag", 3), ("vali_flag", 3), ("dise_codg", 100), ("msgid", 30)]
    {
        assert!(!is_bad(&settlement("S", "V", &long(name, longest))), "{name}");
        assert!(is_bad(&settlement("S", "V", &long(name, longest + 1))), "{name}");
    }
    for (name, longest) in [
        ("rxno", 40),
        ("med_list_codg", 50),
        ("medins_list_codg", 150),
        ("medins_list_name", 200),
        ("chrgitm_lv", 3),
        ("drord_no", 30),
        ("drug_trac_codg", 100),
        ("list_type", 6),
    ] {
        assert!(!is_bad(&detail("V", "1", "I", 1, &long(name, longest))), "{name}");
        assert!(is_bad(&detail("V", "1", "I", 1, &long(name, longest + 1))), "{name}");
    }
    assert!(!is_bad(&admission("V", "P", "2024-03-01 00:00:00", &long("dscg_maindiag_code", 20))));
    assert!(is_bad(&admission("V", "P", "2024-03-01 00:00:00", &long("dscg_maindiag_code", 21))));
}

#[test]
fn bad_records() {
    for fields in [
        r#""setl_id":null"#,
        r#""setl_id":"""#,
        r#""setl_id":1.0"#,
        r#""setl_id":1e2"#,
        r#""setl_id":true"#,
        r#""setl_id":["7"]"#,
        r#""medfee_sumamt":0.001"#,
        r#""medfee_sumamt":"1.5 ""#,
        r#""medfee_sumamt":"+1""#,
        r#""medfee_sumamt":true"#,
        r#""balc":"x""#,
        r#""balc":100000000000000"#,
        r#""brdy":"2023-02-29""#,
        r#""setl_time":"2024-03-01""#,
        r#""setl_time":20240301080000"#,
        r#""begndate":"2024-03-01 00:00:00""#,
        r#""begndate":"2024-03-02","enddate":"2024-03-01""#,
        r#""updt_time":"2024-03-01T00:00:00""#,
        r#""type":"payment""#,
        r#""type":null"#,
        r#""type":["settlement"]"#,
        r#""fee_details":{}"#,
        r#""fee_details":[null]"#,
        r#""fee_details":[{}]"#,
        r#""vali_flag":false"#,
        r#""msgid":{}"#,
    ] {
        assert!(is_bad(&settlement("S", "V", fields)), "{fields}");
    }
    for fields in [r#""cnt":0.00001"#, r#""pric":0.0000001"#, r#""prd_days":"ten""#, r#""init_feedetl_sn":"0""#] {
        assert!(is_bad(&detail("V", "1", "I", 1, fields)), "{fields}");
    }
    assert!(!is_bad(&detail("V", "1", "I", 0, r#""init_feedetl_sn":"0""#)));
    assert!(is_bad(&presence("V", "2024-03-01 08:00:00", r#""passed":"true""#)));
    assert!(is_bad(&presence("V", "2024-03-01 08:00:00", r#""passed":1"#)));
    assert!(is_bad(&order("fee_detail_delete", "V", "")));
    assert!(!is_bad(&order("fee_detail_delete", "V", r#""bkkp_sn":"1""#)));
    assert!(is_bad(&discharge("V", "P", "2024-03-01 08:00:00", r#""die_date":"soon""#)));
    for line in ["", "[]", "7", "null", "{", r#"{"type":"settlement"}x"#] {
        assert!(is_bad(line), "{line:?}");
    }
    assert!(read_line(b"{\"type\":\"\xff\"}").is_err());
    // Unknown to its type, a field may be anything.
    assert!(!is_bad(&order("admission_cancel", "V", r#""psn_no":{},"endtime":7"#)));
    assert!(!is_bad(&settlement("S", "V", r#""fee_details":null,"cnt":"x""#)));
    assert!(!is_bad(&settlement("S", "V", r#""fee_details":[],"begndate":"2024-03-01","enddate":"2024-03-01""#)));
}

#[test]
fn lines_balance() {
    let first = settlement("S1", "V1", "");
    let other_spelling = settlement("S1", "V1", r#""msgid":"again","medfee_sumamt":"100.0""#);
    let revised = settlement("S1", "V1", r#""medfee_sumamt":200"#);
    let row = r#""fee_details":[{"feedetl_sn":"1","fee_ocur_time":"2024-03-01 08:00:00","med_list_codg":"I","cnt":1,"pric":10,"det_item_fee_sumamt":10}]"#;
    let lines = [
        first.clone(),                                                  // processed
        other_spelling,                                                 // the same content: re-delivered
        revised,                                                        // other content: processed, kept or not
        first.clone(),                                                  // an earlier version again: re-delivered
        settlement("S1", "V1", row), // the settlement is known, its row is new: processed
        detail("V1", "1", "I", 1, r#""setl_id":"S1","med_type":"11""#), // the same row alone: re-delivered
        settlement("S1", "V1", row), // all known: re-delivered
        order("admission_cancel", "V1", ""), // processed
        order("admission_cancel", "V1", r#""msgid":"x""#), // re-delivered
        order("admission_cancel", "V1", r#""vali_flag":"1""#), // other content: processed
        "nonsense".into(),           // dead
        String::new(),               // skipped
        "nonsense".into(),           // dead again
    ];
    let outcome = outcome(&lines, &Tables::default());
    assert_eq!((outcome.records_in, outcome.processed, outcome.redelivered), (12, 5, 5));
    assert_eq!(outcome.dead.iter().map(|dead| dead.0).collect::<Vec<_>>(), [10, 12]);
    assert_eq!(judge(&bytes(&lines[..0]), &Tables::default()).records_in, 0);
}
