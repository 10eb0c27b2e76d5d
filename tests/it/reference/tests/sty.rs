//! Boundaries of STY-07, 08 and 10.

use super::{admission, at, detail, discharge, evidence, findings, settlement};
use crate::reference::Tables;

/// A stay V from day 1 to day `last` and one more record.
fn stay_and(last: u32, more: Vec<String>) -> Vec<String> {
    let stay = [admission("V", "P1", &at(1, "10:00:00"), ""), discharge("V", "P1", &at(last, "10:00:00"), "")];
    [stay.to_vec(), more].concat()
}

#[test]
fn sty_07_is_strictly_inside_by_day() {
    let fires = |time: &str, fields: &str| {
        let fields = format!(r#""setl_time":"{time}"{fields}"#);
        findings("STY-07", &stay_and(4, vec![settlement("S", "W", &fields)]))
    };
    assert!(fires(&at(1, "23:59:59"), "").is_empty());
    assert_eq!(fires(&at(2, "00:00:00"), ""), ["S,V medium 60.00"]);
    assert_eq!(fires(&at(3, "23:59:59"), ""), ["S,V medium 60.00"]);
    assert!(fires(&at(4, "00:00:00"), "").is_empty());
    // Any institution, the stay's own visit too.
    assert_eq!(fires(&at(2, "00:00:00"), r#","fixmedins_code":"H2","mdtrt_id":"V""#).len(), 1);
    for (med_type, count) in
        [("12", 1), ("13", 1), ("140101", 1), ("41", 0), ("21", 0), ("28", 0), ("51", 0), ("011", 0)]
    {
        let fields = format!(r#","med_type":"{med_type}""#);
        assert_eq!(fires(&at(2, "08:00:00"), &fields).len(), count, "{med_type}");
    }
    assert!(fires(&at(2, "08:00:00"), r#","psn_no":"P2""#).is_empty());
    // An open stay has no discharge day.
    let open = [admission("V", "P1", &at(1, "10:00:00"), ""), settlement("S", "W", "")];
    assert!(findings("STY-07", &open).is_empty());
}

#[test]
fn sty_07_has_one_finding_per_stay() {
    let lines = stay_and(
        4,
        vec![
            admission("U", "P1", &at(1, "10:00:00"), ""),
            discharge("U", "P1", &at(9, "10:00:00"), ""),
            settlement("S", "W", r#""setl_time":"2024-03-02 08:00:00""#),
        ],
    );
    assert_eq!(findings("STY-07", &lines), ["S,U medium 60.00", "S,V medium 60.00"]);
    let one = [lines[0].clone(), lines[1].clone(), lines[4].clone()];
    assert_eq!(
        evidence("STY-07", &one, &Tables::default()),
        ["violating settlement S 2024-03-02 08:00:00", "involved admission V 2024-03-04 10:00:00"]
    );
}

#[test]
fn sty_08_is_above_100_yuan() {
    let fires = |fields: &str| {
        let fields = format!(r#""setl_time":"2024-03-02 08:00:00","med_type":"41"{fields}"#);
        findings("STY-08", &stay_and(4, vec![settlement("S", "W", &fields)]))
    };
    assert!(fires("").is_empty());
    assert_eq!(fires(r#","medfee_sumamt":100.01"#), ["S,V low 60.00"]);
    assert_eq!(fires(r#","medfee_sumamt":"1.0001e2","med_type":9929"#), ["S,V low 60.00"]);
    assert!(fires(r#","medfee_sumamt":100.01,"med_type":"11""#).is_empty());
}

#[test]
fn sty_10_is_three_days_in_a_row_without_treatment() {
    let treated = |last: u32, days: &[(u32, &str)]| {
        let details = days.iter().enumerate().map(|(index, (day, item_type))| {
            let time = at(*day, "23:59:59");
            let fields = format!(r#""fee_ocur_time":"{time}","med_chrgitm_type":{item_type}"#);
            detail("V", &index.to_string(), "I", 1, &fields)
        });
        findings("STY-10", &stay_and(last, details.collect()))
    };
    // Days count from the admission day to the discharge day inclusive.
    assert!(treated(2, &[]).is_empty());
    assert_eq!(treated(3, &[]), ["V medium 0.00"]);
    assert_eq!(treated(6, &[]), ["V medium 0.00"]);
    assert_eq!(treated(7, &[]), ["V high 0.00"]);
    assert!(treated(5, &[(3, "\"09\"")]).is_empty());
    assert_eq!(treated(5, &[(2, "\"09\"")]), ["V medium 0.00"]);
    // Bed, consultation and nursing are no treatment; a missing type and `1` are.
    assert_eq!(treated(3, &[(1, "\"01\""), (2, "\"02\""), (3, "\"07\"")]), ["V medium 0.00"]);
    assert!(treated(3, &[(2, "null")]).is_empty());
    assert!(treated(3, &[(2, "1")]).is_empty());
    // Of the longest run: 8 to 14.
    let long = treated(14, &[(3, "\"03\""), (7, "\"03\"")]);
    assert_eq!(long, ["V high 0.00"]);
}

#[test]
fn sty_10_only_live_details_of_the_visit() {
    let with = |fields: &str| {
        let fields = format!(r#""fee_ocur_time":"2024-03-02 08:00:00"{fields}"#);
        findings("STY-10", &stay_and(3, vec![detail("V", "1", "I", 1, &fields), settlement("S", "V", "")]))
    };
    assert!(with("").is_empty());
    assert!(with(r#","psn_no":"P2","fixmedins_code":"H2""#).is_empty());
    assert_eq!(with(r#","mdtrt_id":"W""#), ["V medium 60.00"]);
    assert_eq!(with(r#","vali_flag":"0""#), ["V medium 60.00"]);
}
