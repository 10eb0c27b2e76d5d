//! Boundaries of DUP-02, 03, 04, 05, 07 and CHG-01.

use super::{admission, at, detail, discharge, evidence, exclusive, findings, findings_with, limit, settlement};
use crate::reference::Tables;

fn settled(id: &str, visit: &str, day: u32, clock: &str, fields: &str) -> String {
    let time = at(day, clock);
    let fields = if fields.is_empty() { String::new() } else { format!(",{fields}") };
    settlement(id, visit, &format!(r#""setl_time":"{time}"{fields}"#))
}

#[test]
fn dup_02_takes_all_within_24_hours_of_the_first() {
    let same_span = r#""begndate":"2024-03-01","enddate":"2024-03-02""#;
    let s = |id: &str, day: u32, clock: &str| settled(id, "V", day, clock, same_span);
    let a = s("A", 1, "08:00:00");
    assert_eq!(findings("DUP-02", &[a.clone(), s("B", 2, "08:00:00")]), ["V,100.00,A high 60.00"]);
    assert!(findings("DUP-02", &[a.clone(), s("B", 2, "08:00:01")]).is_empty());
    // C is too late for A's group and opens the next with D.
    let four = [a, s("B", 2, "08:00:00"), s("C", 2, "08:00:01"), s("D", 2, "09:00:00")];
    assert_eq!(findings("DUP-02", &four), ["V,100.00,A high 60.00", "V,100.00,C high 60.00"]);
    assert_eq!(
        evidence("DUP-02", &four[..2], &Tables::default()),
        ["involved settlement A 2024-03-01 08:00:00", "violating settlement B 2024-03-02 08:00:00"]
    );
}

#[test]
fn dup_02_spans_that_share_one_day_meet() {
    let pair = |first: &str, second: &str| {
        findings("DUP-02", &[settled("A", "V", 1, "08:00:00", first), settled("B", "V", 1, "09:00:00", second)]).len()
    };
    let span = |begin: u32, end: u32| format!(r#""begndate":"2024-02-{begin}","enddate":"2024-02-{end}""#);
    assert_eq!(pair(&span(10, 12), &span(12, 14)), 1);
    assert_eq!(pair(&span(10, 12), &span(13, 14)), 0);
    assert_eq!(pair("", ""), 1);
    // A missing date is the day of `setl_time`.
    assert_eq!(pair("", &span(10, 29)), 0);
    assert_eq!(pair("", r#""begndate":"2024-02-10""#), 1);
    assert_eq!(pair("", r#""enddate":"2024-03-09""#), 1);
}

#[test]
fn dup_02_only_normal_settlements_of_one_amount_above_zero() {
    let other = |fields: &str| findings("DUP-02", &[settlement("A", "V", ""), settlement("B", "V", fields)]).len();
    assert_eq!(other(r#""psn_no":"P2","med_type":"21""#), 1);
    assert_eq!(other(r#""mid_setl_flag":"1""#), 0);
    assert_eq!(other(r#""mid_setl_flag":"01""#), 1);
    assert_eq!(other(r#""medfee_sumamt":100.01"#), 0);
    assert_eq!(other(r#""mdtrt_id":"W""#), 0);
    let zero = r#""medfee_sumamt":0"#;
    assert!(findings("DUP-02", &[settlement("A", "V", zero), settlement("B", "V", zero)]).is_empty());
}

#[test]
fn dup_03_joins_links_to_chains() {
    let chain = [
        settled("C", "V3", 1, "08:20:00", ""),
        settled("A", "V1", 1, "08:00:00", ""),
        settled("B", "V2", 1, "08:10:00", r#""fund_pay_sumamt":0.05"#),
    ];
    assert_eq!(findings("DUP-03", &chain), ["P1,H1,100.00,A medium 60.05"]);
    assert_eq!(
        evidence("DUP-03", &chain, &Tables::default()),
        [
            "involved settlement A 2024-03-01 08:00:00",
            "violating settlement B 2024-03-01 08:10:00",
            "violating settlement C 2024-03-01 08:20:00",
        ]
    );
    let late = settled("B", "V2", 1, "08:10:01", "");
    assert!(findings("DUP-03", &[chain[1].clone(), late]).is_empty());
    for fields in [r#""psn_no":"P2""#, r#""fixmedins_code":"H2""#, r#""mdtrt_id":"V1""#, r#""medfee_sumamt":1"#] {
        let other = settled("B", "V2", 1, "08:10:00", fields);
        assert!(findings("DUP-03", &[chain[1].clone(), other]).is_empty(), "{fields}");
    }
}

#[test]
fn dup_03_jaccard_of_nine_tenths_is_enough() {
    let lines = |first: usize, second: usize| {
        let mut lines = vec![settlement("A", "V1", ""), settlement("B", "V2", "")];
        for (visit, id, count) in [("V1", "A", first), ("V2", "B", second)] {
            for item in 0..count {
                let fields = format!(r#""setl_id":"{id}""#);
                lines.push(detail(visit, &item.to_string(), &format!("I{item}"), 1, &fields));
            }
        }
        lines
    };
    assert_eq!(findings("DUP-03", &lines(9, 10)).len(), 1);
    assert_eq!(findings("DUP-03", &lines(8, 9)).len(), 0);
    assert_eq!(findings("DUP-03", &lines(10, 11)).len(), 1);
    assert_eq!(findings("DUP-03", &lines(0, 9)).len(), 1);
    // The set is of items of live details: a deleted or netted one is not in it.
    let mut netted = lines(8, 9);
    netted.push(detail("V2", "r", "I8", -1, r#""init_feedetl_sn":"8""#));
    assert_eq!(findings("DUP-03", &netted).len(), 1);
}

#[test]
fn dup_04_is_by_person_and_day() {
    let tables = exclusive(&[("M", "I", "day"), ("M", "I", "day"), ("M", "I", "visit"), ("M", "J", "6h")]);
    let lines = |fields: &str| [detail("V1", "1", "M", 1, ""), detail("V2", "2", "I", 2, fields)];
    // Across institutions and visits, settled or not.
    let elsewhere = lines(r#""fixmedins_code":"H2","setl_id":"S","inscp_scp_amt":7.5"#);
    assert_eq!(findings_with("DUP-04", &elsewhere, &tables), ["P1,2024-03-01,M,I medium 7.50"]);
    assert_eq!(
        evidence("DUP-04", &elsewhere, &tables),
        ["involved fee_detail V1/1 2024-03-01 08:00:00", "violating fee_detail V2/2 2024-03-01 08:00:00"]
    );
    for fields in
        [r#""fee_ocur_time":"2024-03-02 00:00:00""#, r#""psn_no":"P2""#, r#""med_list_codg":"J""#, r#""vali_flag":0"#]
    {
        assert!(findings_with("DUP-04", &lines(fields), &tables).is_empty(), "{fields}");
    }
    // Each row is a finding of its own, also in both directions.
    let both = exclusive(&[("M", "I", "day"), ("I", "M", "day")]);
    assert_eq!(
        findings_with("DUP-04", &lines(""), &both),
        ["P1,2024-03-01,I,M medium 10.00", "P1,2024-03-01,M,I medium 20.00"]
    );
}

#[test]
fn dup_05_is_by_visit() {
    let tables = exclusive(&[("M", "I", "visit"), ("M", "I", "day")]);
    let lines = |fields: &str| [detail("V", "1", "M", 1, ""), detail("V", "2", "I", 2, fields)];
    let another_day = lines(r#""fee_ocur_time":"2024-03-09 00:00:00","psn_no":"P2""#);
    assert_eq!(findings_with("DUP-05", &another_day, &tables), ["V,M,I medium 20.00"]);
    assert!(findings_with("DUP-05", &lines(r#""mdtrt_id":"W""#), &tables).is_empty());
}

#[test]
fn dup_07_is_above_the_limit_and_rounds_half_up() {
    let lines = |cnt: &str, fields: &str| {
        [detail("V1", "1", "I", 1, ""), detail("V2", "2", "I", 1, &format!(r#""cnt":{cnt}{fields}"#))]
    };
    let tables = limit("I", "2");
    assert!(findings_with("DUP-07", &lines("1", ""), &tables).is_empty());
    // 20.00 × 0.0001 / 2.0001 = 0.00099995…: rounds to 0.00.
    assert_eq!(findings_with("DUP-07", &lines("1.0001", ""), &tables), ["P1,I,2024-03-01 medium 0.00"]);
    // 10.01 × (4 − 2) / 4 = 5.005: half up.
    let half = lines("3", r#","det_item_fee_sumamt":0.01,"fixmedins_code":"H2""#);
    assert_eq!(findings_with("DUP-07", &half, &tables), ["P1,I,2024-03-01 medium 5.01"]);
    // Of two limits the smaller holds.
    let mut two = limit("I", "9");
    two.limits.push(("I".into(), "1.5".into()));
    assert_eq!(findings_with("DUP-07", &lines("1", ""), &two), ["P1,I,2024-03-01 medium 5.00"]);
    assert!(findings_with("DUP-07", &lines("9", r#","psn_no":"P2""#), &limit("I", "10")).is_empty());
}

#[test]
fn chg_01_has_a_tolerance_that_does_not_count_for_the_amount() {
    let stay = |cnt: &str, fields: &str| {
        [
            admission("V", "P1", &at(1, "23:00:00"), ""),
            discharge("V", "P1", &at(2, "01:00:00"), ""),
            detail("V", "1", "B", 1, &format!(r#""med_chrgitm_type":"01","cnt":{cnt}{fields}"#)),
        ]
    };
    // Two calendar days; three are tolerated.
    assert!(findings("CHG-01", &stay("3", "")).is_empty());
    // 10.00 × (4 − 2) / 4
    assert_eq!(findings("CHG-01", &stay("4", "")), ["V medium 5.00"]);
    assert_eq!(findings("CHG-01", &stay("3.0001", "")).len(), 1);
    // Whatever their day; but of the visit, of type `01`, and of a discharged stay.
    assert_eq!(findings("CHG-01", &stay("4", r#","fee_ocur_time":"2025-01-01 00:00:00""#)).len(), 1);
    assert!(findings("CHG-01", &stay("4", r#","med_chrgitm_type":1"#)).is_empty());
    assert!(findings("CHG-01", &stay("4", r#","mdtrt_id":"W""#)).is_empty());
    let open = [stay("4", "")[0].clone(), stay("4", "")[2].clone()];
    assert!(findings("CHG-01", &open).is_empty());
    assert_eq!(
        evidence("CHG-01", &stay("4", ""), &Tables::default()),
        ["violating fee_detail V/1 2024-03-01 08:00:00"]
    );
}
