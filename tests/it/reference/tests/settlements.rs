//! Points 2, 3 and 4: which settlements are live.

use super::{facts, settlement};

fn live(lines: &[String]) -> Vec<String> {
    facts(lines).settlements.iter().map(|settlement| settlement.setl_id.clone()).collect()
}

fn fee(lines: &[String]) -> i128 {
    facts(lines).settlements[0].medfee_sumamt
}

#[test]
fn the_greatest_update_time_is_kept_and_absent_is_smallest() {
    let version = |fee: u32, updt: &str| {
        let updt = if updt.is_empty() { String::new() } else { format!(r#","updt_time":"{updt}""#) };
        settlement("S", "V", &format!(r#""medfee_sumamt":{fee}{updt}"#))
    };
    let old = version(1, "2024-03-01 00:00:00");
    let new = version(2, "2024-03-01 00:00:01");
    let without = version(3, "");
    assert_eq!(fee(&[new.clone(), old.clone(), without.clone()]), 200);
    assert_eq!(fee(&[without, old]), 100);
}

#[test]
fn then_more_fields_then_the_greater_content() {
    let more = settlement("S", "V", r#""medfee_sumamt":1,"gend":"1""#);
    assert_eq!(fee(&[settlement("S", "V", r#""medfee_sumamt":9"#), more]), 100);
    // As text `9.00` is greater than `10.00`.
    let (nine, ten) = (r#""medfee_sumamt":9"#, r#""medfee_sumamt":10"#);
    assert_eq!(fee(&[settlement("S", "V", nine), settlement("S", "V", ten)]), 900);
    // The pairs are compared by name first: `gend` is greater than `balc` as the first that differs.
    let balc = settlement("S", "V", r#""medfee_sumamt":1,"balc":9"#);
    let gend = settlement("S", "V", r#""medfee_sumamt":2,"gend":1"#);
    assert_eq!(fee(&[gend, balc]), 200);
}

#[test]
fn a_kept_version_that_is_not_valid_is_not_live() {
    let later = r#""vali_flag":"0","updt_time":"2024-03-02 00:00:00""#;
    assert!(live(&[settlement("S", "V", ""), settlement("S", "V", later)]).is_empty());
    let again = settlement("S", "V", r#""updt_time":"2024-03-03 00:00:00""#);
    assert_eq!(live(&[settlement("S", "V", later), again]), ["S"]);
    // Flags count only as exactly `0`.
    assert_eq!(live(&[settlement("S", "V", r#""vali_flag":"00""#)]), ["S"]);
}

#[test]
fn a_refund_takes_out_what_it_names() {
    let refund = |fields: &str| settlement("R", "V", &format!(r#""refd_setl_flag":1{fields}"#));
    let one = settlement("S", "V", "");
    assert!(live(&[one.clone(), refund(r#","init_setl_id":"S""#)]).is_empty());
    // Nothing else of the refund matters: person, visit, amount or time.
    let foreign = refund(
        r#","init_setl_id":"S","psn_no":"P9","mdtrt_id":"V9","medfee_sumamt":-1,"setl_time":"2020-01-01 00:00:00""#,
    );
    assert!(live(&[foreign, one.clone()]).is_empty());
    // One never seen takes out nothing, also not by amount.
    assert_eq!(live(&[one.clone(), refund(r#","init_setl_id":"X","medfee_sumamt":-100"#)]), ["S"]);
    // A refund that is not valid has no effect, and a flag `01` is no refund.
    assert_eq!(live(&[one.clone(), refund(r#","init_setl_id":"S","vali_flag":0"#)]), ["S"]);
    let no_refund = settlement("R", "V", r#""refd_setl_flag":"01","init_setl_id":"S""#);
    assert_eq!(live(&[one, no_refund]), ["R", "S"]);
}

#[test]
fn a_refund_of_a_refund_changes_nothing() {
    let lines = [
        settlement("S", "V", ""),
        settlement("R", "V", r#""refd_setl_flag":"1","init_setl_id":"S""#),
        settlement("Q", "V", r#""refd_setl_flag":"1","init_setl_id":"R""#),
    ];
    assert!(live(&lines).is_empty());
}

#[test]
fn a_refund_whose_kept_version_is_none_is_an_ordinary_settlement() {
    let lines = [
        settlement("S", "V", ""),
        settlement("R", "V", r#""refd_setl_flag":"1","init_setl_id":"S""#),
        settlement("R", "V", r#""refd_setl_flag":"0","init_setl_id":"S","updt_time":"2024-03-02 00:00:00""#),
    ];
    assert_eq!(live(&lines), ["R", "S"]);
}

#[test]
fn refunds_without_a_name_pair_by_amount_with_the_latest_not_later() {
    let at = |id: &str, clock: &str| settlement(id, "V", &format!(r#""setl_time":"2024-03-01 {clock}""#));
    let refund = |id: &str, clock: &str, fields: &str| {
        settlement(
            id,
            "V",
            &format!(r#""setl_time":"2024-03-01 {clock}","refd_setl_flag":"1","medfee_sumamt":-100{fields}"#),
        )
    };
    let three = [at("A", "08:00:00"), at("B", "09:00:00"), at("C", "10:00:00")];
    let with = |refunds: &[String]| live(&[&three[..], refunds].concat());
    assert_eq!(with(&[refund("R", "09:00:00", "")]), ["A", "C"]);
    assert_eq!(with(&[refund("R", "08:59:59", "")]), ["B", "C"]);
    assert_eq!(with(&[refund("R", "07:59:59", "")]), ["A", "B", "C"]);
    // In order of time: the first takes B, the second C.
    assert_eq!(with(&[refund("R", "11:00:00", ""), refund("Q", "09:30:00", "")]), ["A"]);
    // Named ones go first: C is taken out already, so that the other takes B.
    let named = refund("Q", "23:00:00", r#","init_setl_id":"C""#);
    assert_eq!(with(&[refund("R", "11:00:00", ""), named]), ["A"]);
    // Other person, other visit, other amount: no pair.
    for fields in [r#","psn_no":"P2""#, r#","mdtrt_id":"V2""#, r#","medfee_sumamt":-100.01"#] {
        assert_eq!(with(&[refund("R", "11:00:00", fields)]), ["A", "B", "C"], "{fields}");
    }
    // Of one second, the greater id, as text.
    let same_time = [at("10", "08:00:00"), at("9", "08:00:00"), refund("R", "08:00:00", "")];
    assert_eq!(live(&same_time), ["10"]);
    // A settlement that is not valid is no candidate.
    let invalid = settlement("9", "V", r#""vali_flag":"0""#);
    assert!(live(&[at("10", "08:00:00"), invalid, refund("R", "08:00:00", "")]).is_empty());
}
