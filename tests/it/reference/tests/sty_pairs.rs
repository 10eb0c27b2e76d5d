//! Boundaries of the rules on two stays: STY-01, 05, 06 and 16.

use super::{admission, at, detail, discharge, evidence, findings, presence, settlement};
use crate::reference::Tables;

/// A discharged on day 3 at 10:00 from D1, B admitted to D1; both with diagnosis I20.
fn two(b_begin: &str, a_discharge: &str, b_admission: &str) -> Vec<String> {
    let more = |fields: &str| {
        if fields.is_empty() { String::new() } else { format!(",{fields}") }
    };
    vec![
        admission("A", "P1", &at(1, "10:00:00"), r#""dscg_maindiag_code":"I20.0""#),
        discharge("A", "P1", &at(3, "10:00:00"), &format!(r#""dscg_dept_codg":"D1"{}"#, more(a_discharge))),
        admission(
            "B",
            "P1",
            b_begin,
            &format!(r#""adm_dept_codg":"D1","dscg_maindiag_code":"I20.9"{}"#, more(b_admission)),
        ),
    ]
}

#[test]
fn sty_01_gap_is_0_to_15_days_and_high_up_to_7() {
    let split = |begin: &str| findings("STY-01", &two(begin, "", ""));
    assert_eq!(split(&at(3, "12:00:00")), ["A,B high 0.00"]);
    // Some hours before A ends, on the same date.
    assert_eq!(split(&at(3, "08:00:00")), ["A,B high 0.00"]);
    assert!(split(&at(2, "23:59:59")).is_empty());
    assert_eq!(split(&at(10, "23:59:59")), ["A,B high 0.00"]);
    assert_eq!(split(&at(11, "00:00:00")), ["A,B medium 0.00"]);
    assert_eq!(split(&at(18, "23:59:59")), ["A,B medium 0.00"]);
    assert!(split(&at(19, "00:00:00")).is_empty());
}

#[test]
fn sty_01_exemptions_and_missing_values() {
    let fires = |a: &str, b: &str| findings("STY-01", &two(&at(4, "08:00:00"), a, b)).len() == 1;
    assert!(fires("", ""));
    assert!(fires(r#""dscg_way":"1""#, ""));
    assert!(fires(r#""dscg_way":"02""#, ""));
    assert!(!fires(r#""dscg_way":2"#, ""));
    assert!(!fires(r#""dscg_way":"5""#, ""));
    assert!(!fires(r#""dscg_dept_codg":null"#, ""));
    assert!(!fires("", r#""adm_dept_codg":null"#));
    assert!(!fires("", r#""adm_dept_codg":"D2""#));
    assert!(!fires("", r#""dscg_maindiag_code":null"#));
    assert!(!fires("", r#""dscg_maindiag_code":"I21""#));
    assert!(fires("", r#""dscg_maindiag_code":"I20""#));
    assert!(!fires("", r#""dscg_maindiag_code":"I2""#));
    assert!(!fires("", r#""fixmedins_code":"H2""#));
    assert!(!fires("", r#""psn_no":"P2""#));
    for exempt in ["Z51.1", "N18", "O80.0", "O82", "C34", "C"] {
        let fields = format!(r#""dscg_maindiag_code":"{exempt}""#);
        assert!(!fires(&fields, &fields), "{exempt}");
    }
    assert!(fires(r#""dscg_maindiag_code":"Z52""#, r#""dscg_maindiag_code":"Z52""#));
    let mut flagged = two(&at(4, "08:00:00"), "", "");
    let flag = r#""dscg_maindiag_code":"I20.0","days_rinp_flag_31":"1""#;
    flagged[0] = admission("A", "P1", &at(1, "10:00:00"), flag);
    assert!(findings("STY-01", &flagged).is_empty());
}

#[test]
fn sty_01_looks_at_the_next_stay_only() {
    let mut lines = two(&at(4, "08:00:00"), "", "");
    // An open stay begins between the two: A's neighbour is that one, and it has no departments.
    lines.push(admission("N", "P1", &at(2, "00:00:00"), ""));
    assert!(findings("STY-01", &lines).is_empty());
    // At another institution it is no neighbour.
    lines.pop();
    lines.push(admission("N", "P1", &at(2, "00:00:00"), r#""fixmedins_code":"H2""#));
    assert_eq!(findings("STY-01", &lines), ["A,B high 0.00"]);
}

#[test]
fn sty_01_amount_is_that_of_b() {
    let mut lines = two(&at(4, "08:00:00"), "", "");
    lines.push(settlement("S1", "A", ""));
    lines.push(settlement("S2", "B", ""));
    lines.push(settlement("S3", "B", r#""psn_no":"P9","fund_pay_sumamt":0.5"#));
    assert_eq!(findings("STY-01", &lines), ["A,B high 60.50"]);
    // An open stay's time is its `begntime`.
    assert_eq!(
        evidence("STY-01", &lines, &Tables::default()),
        ["involved admission A 2024-03-03 10:00:00", "violating admission B 2024-03-04 08:00:00"]
    );
}

#[test]
fn sty_05_other_department_within_a_day() {
    let fires = |begin: &str, a: &str, b: &str| findings("STY-05", &two(begin, a, b)).len() == 1;
    let other = r#""adm_dept_codg":"D2","dscg_maindiag_code":null"#;
    assert!(fires(&at(3, "00:00:00"), "", other));
    assert!(fires(&at(4, "23:59:59"), "", other));
    assert!(!fires(&at(5, "00:00:00"), "", other));
    assert!(!fires(&at(2, "23:59:59"), "", other));
    assert!(!fires(&at(4, "08:00:00"), "", ""));
    assert!(!fires(&at(4, "08:00:00"), "", r#""adm_dept_codg":null"#));
    assert!(!fires(&at(4, "08:00:00"), r#""dscg_dept_codg":null"#, other));
    assert!(!fires(&at(4, "08:00:00"), r#""dscg_way":"5""#, other));
    // The diagnosis does not exempt here.
    assert!(fires(&at(4, "08:00:00"), r#""dscg_maindiag_code":"C34""#, other));
}

/// X until day 3 at 10:00 and Y from `begin` until day 9.
fn overlap(begin: &str, x: &str, y: &str) -> Vec<String> {
    vec![
        admission("X", "P1", &at(1, "10:00:00"), x),
        discharge("X", "P1", &at(3, "10:00:00"), ""),
        admission("M", "P1", begin, y),
        discharge("M", "P1", &at(9, "10:00:00"), ""),
        settlement("S", "M", ""),
        settlement("T", "X", r#""fund_pay_sumamt":1"#),
    ]
}

#[test]
fn sty_06_is_more_than_24_hours() {
    let pair = |begin: &str, y: &str| findings("STY-06", &overlap(begin, "", y));
    assert!(pair(&at(2, "10:00:00"), "").is_empty());
    // The later-begun stay is M; ids in text order, smaller first.
    assert_eq!(pair(&at(2, "09:59:59"), r#""fixmedins_code":"H2""#), ["M,X high 60.00"]);
    assert!(pair(&at(2, "09:59:59"), r#""psn_no":"P2""#).is_empty());
    // Begun together: the greater id, X, counts as the later.
    assert_eq!(pair(&at(1, "10:00:00"), ""), ["M,X high 1.00"]);
    assert_eq!(
        evidence("STY-06", &overlap(&at(2, "09:59:59"), "", ""), &Tables::default()),
        ["violating admission X 2024-03-03 10:00:00", "violating admission M 2024-03-09 10:00:00"]
    );
}

#[test]
fn sty_06_open_stays_last_as_long_as_known() {
    let open = |proof: String| {
        let lines = [
            admission("X", "P1", &at(1, "10:00:00"), ""),
            admission("Y", "P1", &at(1, "12:00:00"), ""),
            discharge("Y", "P1", &at(9, "12:00:00"), ""),
            proof,
        ];
        findings("STY-06", &lines)
    };
    assert!(open(presence("X", &at(2, "12:00:00"), "")).is_empty());
    assert_eq!(open(presence("X", &at(2, "12:00:01"), "")), ["X,Y high 0.00"]);
    let billed = |fields: &str| detail("X", "1", "I", 1, fields);
    assert_eq!(open(billed(r#""fee_ocur_time":"2024-03-05 00:00:00""#)), ["X,Y high 0.00"]);
    assert!(open(billed(r#""fee_ocur_time":"2024-03-05 00:00:00","vali_flag":"0""#)).is_empty());
}

#[test]
fn sty_16_is_one_bed_of_one_institution_and_two_persons() {
    let bed = r#""adm_bed":"B/1""#;
    let pair = |begin: &str, y: &str| findings("STY-16", &overlap(begin, bed, y));
    let other_person = r#""adm_bed":"B/1","psn_no":"P2""#;
    assert_eq!(pair(&at(2, "09:59:59"), other_person), ["M,X high null"]);
    assert!(pair(&at(2, "10:00:00"), other_person).is_empty());
    assert!(pair(&at(2, "09:59:59"), bed).is_empty());
    assert!(pair(&at(2, "09:59:59"), r#""psn_no":"P2""#).is_empty());
    assert!(pair(&at(2, "09:59:59"), r#""psn_no":"P2","adm_bed":"B/2""#).is_empty());
    assert!(pair(&at(2, "09:59:59"), r#""adm_bed":"B/1","psn_no":"P2","fixmedins_code":"H2""#).is_empty());
    // No `adm_bed`, no bed: two stays without one do not share it.
    assert!(findings("STY-16", &overlap(&at(2, "00:00:00"), "", r#""psn_no":"P2""#)).is_empty());
    let lines = overlap(&at(2, "09:59:59"), bed, other_person);
    let alerts = super::outcome(&lines, &Tables::default()).alerts;
    let alert = alerts.iter().find(|alert| alert.rule_id == "STY-16").expect("one");
    assert_eq!(alert.subject, ("bed".into(), "H1/B/1".into()));
    assert_eq!(alert.event_time, "2024-03-09 10:00:00");
}
