//! Points 8 and 9: discharges and stays.

use super::{admission, at, detail, discharge, facts, order, presence};

/// Stays as `visit end`, open ones marked.
fn stays(lines: &[String]) -> Vec<String> {
    let facts = facts(lines);
    let stays = facts.stays.iter();
    stays
        .map(|stay| {
            let open = if stay.discharge.is_none() { " open" } else { "" };
            format!("{} {}{open}", stay.mdtrt_id, stay.end.0)
        })
        .collect()
}

fn admitted() -> String {
    admission("V", "P1", &at(1, "08:00:00"), "")
}

fn discharged(day: u32, fields: &str) -> String {
    discharge("V", "P1", &at(day, "08:00:00"), fields)
}

#[test]
fn a_stay_is_an_inpatient_admission_with_its_discharge() {
    assert_eq!(stays(&[admitted(), discharged(3, "")]), ["V 2024-03-03 08:00:00"]);
    assert_eq!(stays(&[admitted(), discharged(1, "")]), ["V 2024-03-01 08:00:00"]);
    for fields in [r#""med_type":"52""#, r#""med_type":"28""#, r#""med_type":"021""#, r#""vali_flag":"0""#] {
        let admission = admission("V", "P1", &at(1, "08:00:00"), fields);
        assert!(stays(&[admission, discharged(3, "")]).is_empty(), "{fields}");
    }
    // A discharge that is not valid leaves the stay open.
    assert_eq!(stays(&[admitted(), discharged(3, r#""vali_flag":"0""#)]), ["V 2024-03-01 08:00:00 open"]);
    // A discharge before its admission makes no stay, and is live nevertheless.
    let early = [admission("V", "P1", &at(1, "08:00:01"), ""), discharged(1, "")];
    assert!(stays(&early).is_empty());
    assert_eq!(facts(&early).discharges.len(), 1);
}

#[test]
fn an_open_stay_lasts_until_the_latest_that_is_known() {
    let billed = |day: u32, cnt: i32, fields: &str| {
        detail("V", "1", "I", cnt, &format!(r#""fee_ocur_time":"{}"{fields}"#, at(day, "09:00:00")))
    };
    assert_eq!(stays(&[admitted(), billed(4, 1, "")]), ["V 2024-03-04 09:00:00 open"]);
    assert_eq!(stays(&[admitted(), billed(4, 0, "")]), ["V 2024-03-01 08:00:00 open"]);
    // Passed or not.
    let check = presence("V", &at(5, "10:00:00"), "");
    assert_eq!(stays(&[admitted(), billed(4, 1, ""), check]), ["V 2024-03-05 10:00:00 open"]);
    let invalid = presence("V", &at(5, "10:00:00"), r#""vali_flag":"0""#);
    assert_eq!(stays(&[admitted(), invalid]), ["V 2024-03-01 08:00:00 open"]);
    let before = presence("V", "2024-02-29 10:00:00", "");
    assert_eq!(stays(&[admitted(), before]), ["V 2024-03-01 08:00:00 open"]);
    // A discharged stay ends at `endtime` whatever is billed later.
    assert_eq!(stays(&[admitted(), billed(9, 1, ""), discharged(3, "")]), ["V 2024-03-03 08:00:00"]);
}

#[test]
fn the_discharge_states_the_diagnosis_or_else_the_admission() {
    let admitted = admission("V", "P1", &at(1, "08:00:00"), r#""dscg_maindiag_code":"A""#);
    let diagnosis = |discharge: String| facts(&[admitted.clone(), discharge]).stays[0].diagnosis.clone();
    assert_eq!(diagnosis(discharged(2, "")).as_deref(), Some("A"));
    assert_eq!(diagnosis(discharged(2, r#""dscg_maindiag_code":"B""#)).as_deref(), Some("B"));
}

#[test]
fn an_admission_cancel_is_for_good() {
    let cancel = order("admission_cancel", "V", r#""updt_time":"2024-01-01 00:00:00""#);
    let later = admission("V", "P1", &at(1, "08:00:00"), r#""updt_time":"2024-06-01 00:00:00""#);
    let lines = [cancel, later, discharged(3, r#""die_date":"2024-03-03""#)];
    assert!(stays(&lines).is_empty());
    assert!(facts(&lines).discharges.is_empty());
    let no_effect = order("admission_cancel", "V", r#""vali_flag":"0""#);
    assert_eq!(stays(&[no_effect, admitted()]).len(), 1);
    assert_eq!(stays(&[order("admission_cancel", "W", ""), admitted()]).len(), 1);
}

#[test]
fn a_discharge_cancel_takes_out_versions() {
    let cancel = |fields: &str| order("discharge_cancel", "V", fields);
    let open = "V 2024-03-01 08:00:00 open";
    assert_eq!(stays(&[admitted(), discharged(3, ""), cancel("")]), [open]);
    assert_eq!(stays(&[admitted(), discharged(3, ""), cancel(r#""vali_flag":"0""#)]), ["V 2024-03-03 08:00:00"]);
    // Without `updt_time` on both: those with the earliest `endtime`; several of one time all go.
    let versions = [admitted(), discharged(3, ""), discharged(3, r#""dscg_way":"1""#), discharged(5, ""), cancel("")];
    assert_eq!(stays(&versions), ["V 2024-03-05 08:00:00"]);
    // With `updt_time` on both: those not later than the cancel's.
    let updated = |day: u32, updt: u32| discharged(day, &format!(r#""updt_time":"2024-04-{updt:02} 00:00:00""#));
    let until_5 = cancel(r#""updt_time":"2024-04-05 00:00:00""#);
    assert_eq!(stays(&[admitted(), updated(3, 4), updated(4, 5), until_5.clone()]), [open]);
    assert_eq!(stays(&[admitted(), updated(3, 4), updated(4, 6), until_5.clone()]), ["V 2024-03-04 08:00:00"]);
    // Both kinds at once: 04-04 goes by its time, of the two without one the earlier goes.
    let mixed = [admitted(), updated(9, 4), discharged(3, ""), discharged(6, ""), until_5];
    assert_eq!(stays(&mixed), ["V 2024-03-06 08:00:00"]);
    // A cancel without a time meets versions with one as "others": the earliest `endtime`.
    assert_eq!(stays(&[admitted(), updated(3, 9), updated(4, 8), cancel("")]), ["V 2024-03-04 08:00:00"]);
    // Two cancels without `updt_time` (Decided): both look at all versions.
    let twice = [admitted(), discharged(3, ""), discharged(5, ""), cancel(""), cancel(r#""vali_flag":"1""#)];
    assert_eq!(stays(&twice), ["V 2024-03-05 08:00:00"]);
}
