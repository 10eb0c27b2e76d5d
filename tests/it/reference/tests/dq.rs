//! DQ-03 and DQ-08.

use super::{admission, at, detail, discharge, evidence, findings, order, settlement};
use crate::reference::Tables;

fn admitted(fields: &str) -> String {
    admission("V", "P1", &at(5, "08:00:00"), fields)
}

fn discharged(time: &str, fields: &str) -> String {
    discharge("V", "P2", time, fields)
}

#[test]
fn a_discharge_before_its_admission_is_found_whatever_the_class() {
    let early = discharged(&at(5, "07:59:59"), "");
    for fields in ["", r#""med_type":"52""#, r#""med_type":"none""#] {
        assert_eq!(findings("DQ-03", &[admitted(fields), early.clone()]), ["V medium null"], "{fields}");
    }
    assert_eq!(
        evidence("DQ-03", &[admitted(""), early], &Tables::default()),
        ["violating discharge V 2024-03-05 07:59:59", "violating admission V 2024-03-05 08:00:00"]
    );
    for clock in ["08:00:00", "08:00:01"] {
        assert!(findings("DQ-03", &[admitted(""), discharged(&at(5, clock), "")]).is_empty(), "{clock}");
    }
}

#[test]
fn only_live_admissions_and_discharges_are_in_the_wrong_order() {
    let early = discharged(&at(1, "08:00:00"), "");
    let invalid = r#""vali_flag":"0""#;
    assert!(findings("DQ-03", &[admitted(invalid), early.clone()]).is_empty());
    assert!(findings("DQ-03", &[admitted(""), discharged(&at(1, "08:00:00"), invalid)]).is_empty());
    for cancel in ["admission_cancel", "discharge_cancel"] {
        assert!(findings("DQ-03", &[admitted(""), early.clone(), order(cancel, "V", "")]).is_empty(), "{cancel}");
    }
    let corrected = admission("V", "P1", &at(1, "07:00:00"), r#""updt_time":"2024-03-06 00:00:00""#);
    assert!(findings("DQ-03", &[admitted(""), early.clone(), corrected]).is_empty());
    assert!(findings("DQ-03", &[early]).is_empty());
}

fn given_back(serial: &str, cnt: i32, fields: &str) -> String {
    detail("V", serial, "I", cnt, &[r#""init_feedetl_sn":"1""#, fields].join(if fields.is_empty() { "" } else { "," }))
}

#[test]
fn more_units_back_than_billed_are_found_with_the_money_beyond() {
    let billed = detail("V", "1", "I", 2, "");
    assert_eq!(findings("DQ-08", &[billed.clone(), given_back("2", -3, "")]), ["V,1 low 10.00"]);
    assert!(findings("DQ-08", &[billed.clone(), given_back("2", -2, "")]).is_empty());
    let two =
        [billed.clone(), given_back("2", -1, ""), given_back("3", -2, r#""fee_ocur_time":"2024-02-01 08:00:00""#)];
    assert_eq!(findings("DQ-08", &two), ["V,1 low 10.00"]);
    assert_eq!(
        evidence("DQ-08", &two, &Tables::default()),
        [
            "violating fee_detail V/3 2024-02-01 08:00:00",
            "involved fee_detail V/1 2024-03-01 08:00:00",
            "violating fee_detail V/2 2024-03-01 08:00:00"
        ]
    );
    // Of `inscp`; exactly the money is 0.00, less is no amount.
    let in_scope = |amount: &str| given_back("2", -3, &format!(r#""inscp_scp_amt":{amount}"#));
    assert_eq!(findings("DQ-08", &[billed.clone(), in_scope("-25.5")]), ["V,1 low 5.50"]);
    assert_eq!(findings("DQ-08", &[billed.clone(), in_scope("-20")]), ["V,1 low 0.00"]);
    assert_eq!(findings("DQ-08", &[billed, in_scope("-19.99")]), ["V,1 low null"]);
}

#[test]
fn only_rows_that_count_exceed_a_detail_that_would_be_live() {
    let billed = detail("V", "1", "I", 2, r#""setl_id":"S""#);
    let row = given_back("2", -3, "");
    let refund = settlement("R", "V", r#""refd_setl_flag":"1","init_setl_id":"S""#);
    assert_eq!(findings("DQ-08", &[billed.clone(), row.clone(), settlement("S", "V", "")]).len(), 1);
    assert!(findings("DQ-08", &[billed.clone(), row.clone(), settlement("S", "V", ""), refund]).is_empty());
    let delete = order("fee_detail_delete", "V", r#""feedetl_sn":"2""#);
    assert!(findings("DQ-08", &[billed.clone(), row, delete]).is_empty());
    assert!(findings("DQ-08", &[billed, given_back("2", -3, r#""vali_flag":"0""#)]).is_empty());
    assert!(findings("DQ-08", &[detail("V", "1", "I", 0, ""), given_back("2", -3, "")]).is_empty());
    assert!(findings("DQ-08", &[given_back("2", -3, "")]).is_empty());
}
