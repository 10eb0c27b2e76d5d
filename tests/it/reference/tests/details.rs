//! Points 2, 5, 6 and 7: which fee details are live, and with which net amounts.

use super::{detail, facts, order, settlement};

/// Live details as `serial count inscp`.
fn live(lines: &[String]) -> Vec<String> {
    let facts = facts(lines);
    let details = facts.details.iter();
    details.map(|detail| format!("{} {} {}", detail.feedetl_sn, detail.cnt, detail.inscp)).collect()
}

fn refund_of(setl_id: &str) -> String {
    settlement("R", "V", &format!(r#""refd_setl_flag":"1","init_setl_id":"{setl_id}""#))
}

#[test]
fn a_detail_dies_with_its_settlement() {
    let carried = detail("V", "1", "I", 2, r#""setl_id":"S""#);
    assert_eq!(live(std::slice::from_ref(&carried)), ["1 20000 2000"]);
    assert_eq!(live(&[carried.clone(), settlement("S", "V", "")]), ["1 20000 2000"]);
    assert!(live(&[carried.clone(), settlement("S", "V", ""), refund_of("S")]).is_empty());
    assert!(live(&[carried.clone(), settlement("S", "V", r#""vali_flag":"0""#)]).is_empty());
    assert!(live(&[carried, settlement("S", "V", r#""refd_setl_flag":"1""#)]).is_empty());
    assert_eq!(live(&[detail("V", "1", "I", 2, "")]), ["1 20000 2000"]);
    assert!(live(&[detail("V", "1", "I", 2, r#""vali_flag":0"#)]).is_empty());
}

#[test]
fn a_detail_settled_anew_counts() {
    let settlements = [settlement("S1", "V", ""), refund_of("S1"), settlement("S2", "V", "")];
    let old = detail("V", "1", "I", 2, r#""setl_id":"S1","rxno":"more fields""#);
    let new = detail("V", "1", "I", 3, r#""setl_id":"S2""#);
    let lines = [&settlements[..], &[old.clone(), new.clone()]].concat();
    assert_eq!(live(&lines), ["1 30000 3000"]);
    // Without the refund the one with more fields is kept.
    assert_eq!(live(&[old.clone(), new.clone()]), ["1 20000 2000"]);
    // A greater `updt_time` goes before that.
    let later = detail("V", "1", "I", 2, r#""setl_id":"S1","updt_time":"2024-03-02 00:00:00""#);
    assert!(live(&[&settlements[..], &[later, new]].concat()).is_empty());
}

#[test]
fn refund_rows_are_netted() {
    let original = detail("V", "1", "I", 3, "");
    let row =
        |sn: &str, cnt: i32, fields: &str| detail("V", sn, "I", cnt, &format!(r#""init_feedetl_sn":"1"{fields}"#));
    assert_eq!(live(&[original.clone(), row("2", -1, "")]), ["1 20000 2000"]);
    assert_eq!(live(&[row("3", -1, ""), original.clone(), row("2", -1, "")]), ["1 10000 1000"]);
    assert!(live(&[original.clone(), row("2", -3, "")]).is_empty());
    assert!(live(&[original.clone(), row("2", -4, "")]).is_empty());
    assert_eq!(live(&[original.clone(), row("2", 0, r#","inscp_scp_amt":-1"#)]), ["1 30000 2900"]);
    // Not valid, deleted, of another visit: no effect.
    assert_eq!(live(&[original.clone(), row("2", -1, r#","vali_flag":"0""#)]), ["1 30000 3000"]);
    let delete = order("fee_detail_delete", "V", r#""feedetl_sn":"2""#);
    assert_eq!(live(&[original.clone(), row("2", -1, ""), delete]), ["1 30000 3000"]);
    assert_eq!(live(&[original.clone(), row("2", -1, r#","mdtrt_id":"W""#)]), ["1 30000 3000"]);
    // `inscp` of each is its own: 30.00 in-scope 21.00, less 10.00 without its own in-scope amount.
    let in_scope = detail("V", "1", "I", 3, r#""inscp_scp_amt":21"#);
    assert_eq!(live(&[in_scope, row("2", -1, "")]), ["1 20000 1100"]);
}

#[test]
fn a_refund_row_nets_whatever_settlement_it_carries_except_a_dead_one() {
    let original = detail("V", "1", "I", 3, "");
    let row = detail("V", "2", "I", -1, r#""init_feedetl_sn":"1","setl_id":"S""#);
    let lines = |settlements: &[String]| live(&[&[original.clone(), row.clone()], settlements].concat());
    assert_eq!(lines(&[]), ["1 20000 2000"]);
    assert_eq!(lines(&[settlement("S", "V", r#""refd_setl_flag":"1""#)]), ["1 20000 2000"]);
    assert_eq!(lines(&[settlement("S", "V", ""), refund_of("S")]), ["1 30000 3000"]);
    assert_eq!(lines(&[settlement("S", "V", r#""vali_flag":"0""#)]), ["1 30000 3000"]);
}

#[test]
fn the_rows_of_a_refund_net_also_when_a_refund_names_or_matches_it() {
    let lines = |second: &str| {
        live(&[
            detail("V", "1", "I", 3, ""),
            detail("V", "2", "I", -1, r#""init_feedetl_sn":"1","setl_id":"R""#),
            settlement("R", "V", r#""refd_setl_flag":"1","medfee_sumamt":-100"#),
            settlement("Q", "V", second),
        ])
    };
    // A refund is never taken out, neither by name nor by amount.
    let by_name = lines(r#""refd_setl_flag":"1","init_setl_id":"R""#);
    assert_eq!(by_name, ["1 20000 2000"]);
    assert_eq!(lines(r#""refd_setl_flag":"1""#), ["1 20000 2000"]);
}

#[test]
fn a_refund_row_of_itself_or_of_a_refund_row_has_no_effect() {
    let lines = [
        detail("V", "1", "I", 3, ""),
        detail("V", "2", "I", -1, r#""init_feedetl_sn":"1""#),
        detail("V", "3", "I", -1, r#""init_feedetl_sn":"2""#),
        detail("V", "4", "I", -1, r#""init_feedetl_sn":"4""#),
    ];
    assert_eq!(live(&lines), ["1 20000 2000"]);
}

#[test]
fn a_detail_billed_with_nothing_is_not_live() {
    assert!(live(&[detail("V", "1", "I", 0, ""), detail("V", "2", "I", -1, "")]).is_empty());
}

#[test]
fn deletes_take_out_unsettled_details_that_fit() {
    let details = [
        detail("V", "1", "I", 1, ""),
        detail("V", "2", "I", 1, r#""chrg_bchno":"B""#),
        detail("V", "3", "I", 1, r#""chrg_bchno":"B","setl_id":"S""#),
        detail("V", "0000", "I", 1, r#""chrg_bchno":"C""#),
    ];
    let left = |fields: &str| -> Vec<String> {
        let delete = order("fee_detail_delete", "V", fields);
        let lines = [&[delete], &details[..]].concat();
        facts(&lines).details.iter().map(|detail| detail.feedetl_sn.clone()).collect()
    };
    assert_eq!(left(r#""feedetl_sn":"1""#), ["0000", "2", "3"]);
    assert_eq!(left(r#""feedetl_sn":"0000""#), ["3"]);
    assert_eq!(left(r#""feedetl_sn":"3""#), ["0000", "1", "2", "3"]);
    assert_eq!(left(r#""chrg_bchno":"B""#), ["0000", "1", "3"]);
    assert_eq!(left(r#""chrg_bchno":"0000""#), ["3"]);
    assert_eq!(left(r#""feedetl_sn":"1","chrg_bchno":"B""#), ["0000", "1", "2", "3"]);
    assert_eq!(left(r#""feedetl_sn":"2","chrg_bchno":"B""#), ["0000", "1", "3"]);
    assert_eq!(left(r#""feedetl_sn":"0000","chrg_bchno":"B""#), ["0000", "1", "3"]);
    assert_eq!(left(r#""feedetl_sn":"1","chrg_bchno":"0000""#), ["0000", "2", "3"]);
    assert_eq!(left(r#""feedetl_sn":"0000","vali_flag":"0""#), ["0000", "1", "2", "3"]);
}

#[test]
fn a_detail_updated_after_the_delete_stays() {
    let delete = order("fee_detail_delete", "V", r#""feedetl_sn":1,"updt_time":"2024-03-02 00:00:00""#);
    let updated = |time: &str| detail("V", "1", "I", 1, &format!(r#""updt_time":"2024-03-02 {time}""#));
    assert!(live(&[delete.clone(), updated("00:00:00")]).is_empty());
    assert_eq!(live(&[delete.clone(), updated("00:00:01")]).len(), 1);
    assert!(live(&[delete, detail("V", "1", "I", 1, "")]).is_empty());
    let timeless = order("fee_detail_delete", "V", r#""feedetl_sn":"1""#);
    assert!(live(&[timeless, updated("00:00:01")]).is_empty());
}

#[test]
fn deletes_look_at_the_kept_version() {
    let delete = order("fee_detail_delete", "V", r#""feedetl_sn":"1""#);
    let unsettled = detail("V", "1", "I", 1, "");
    let settled = detail("V", "1", "I", 1, r#""setl_id":"S""#);
    assert_eq!(live(&[delete, unsettled, settled]).len(), 1);
}
