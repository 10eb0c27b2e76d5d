//! Boundaries of IDN-01, VIS-01, VIS-03, VIS-04 and PHA-06.

use super::{admission, at, discharge, evidence, findings, findings_with, order, settlement};
use crate::reference::Tables;

fn dead(date: &str) -> Tables {
    Tables { deaths: [("P1".to_string(), date.to_string())].into(), ..Tables::default() }
}

#[test]
fn idn_01_is_more_than_a_day_after_death() {
    let tables = dead("2024-02-28");
    let fires = |fields: &str| findings_with("IDN-01", &[settlement("S", "V", fields)], &tables);
    // The day of `setl_time`, 03-01, is two days after 02-28 in a leap year.
    assert_eq!(fires(""), ["S critical 60.00"]);
    assert!(fires(r#""begndate":"2024-02-29""#).is_empty());
    assert_eq!(fires(r#""begndate":"2024-03-01","setl_time":"2024-01-01 00:00:00""#).len(), 1);
    assert!(fires(r#""psn_no":"P2""#).is_empty());
    assert!(findings_with("IDN-01", &[settlement("S", "V", "")], &dead("")).is_empty());
    assert!(findings_with("IDN-01", &[settlement("S", "V", "")], &dead("2024-02-29")).is_empty());
}

#[test]
fn idn_01_takes_the_earliest_of_registry_and_live_discharges() {
    let died = |visit: &str, date: &str, fields: &str| {
        discharge(visit, "P1", &at(2, "08:00:00"), &format!(r#""die_date":"{date}"{fields}"#))
    };
    let late = settlement("S", "V", "");
    assert_eq!(findings("IDN-01", &[late.clone(), died("D", "2024-02-28", "")]).len(), 1);
    // A discharge of an admission that is no stay counts, one of a cancelled admission does not.
    let no_stay = admission("D", "P1", &at(9, "00:00:00"), r#""med_type":"52""#);
    assert_eq!(findings("IDN-01", &[late.clone(), died("D", "2024-02-28", ""), no_stay]).len(), 1);
    let cancelled = [late.clone(), died("D", "2024-02-28", ""), order("admission_cancel", "D", "")];
    assert!(findings("IDN-01", &cancelled).is_empty());
    let invalid = died("D", "2024-02-28", r#","vali_flag":"0""#);
    assert!(findings("IDN-01", &[late.clone(), invalid]).is_empty());

    // Only discharges that state the earliest date are involved.
    let three = [
        late.clone(),
        died("D", "2024-02-28", ""),
        died("E", "2024-02-29", ""),
        died("F", "2024-02-28", r#","psn_no":"P2""#),
    ];
    let both = ["violating settlement S 2024-03-01 08:00:00", "involved discharge D 2024-03-02 08:00:00"];
    assert_eq!(evidence("IDN-01", &three, &dead("2024-03-01")), both);
    assert_eq!(evidence("IDN-01", &three, &dead("2024-02-28")), both);
    assert_eq!(evidence("IDN-01", &three, &dead("2024-02-27")), both[..1]);
}

fn on_a_day(count: usize, fields: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(|n| settlement(&format!("S{n}"), &format!("V{n}"), &fields(n))).collect()
}

#[test]
fn vis_01_counts_different_visits() {
    let plain = |_| String::new();
    assert!(findings("VIS-01", &on_a_day(3, plain)).is_empty());
    assert_eq!(findings("VIS-01", &on_a_day(4, plain)), ["P1,2024-03-01 medium 240.00"]);
    assert_eq!(findings("VIS-01", &on_a_day(7, plain)), ["P1,2024-03-01 medium 420.00"]);
    assert_eq!(findings("VIS-01", &on_a_day(8, plain)), ["P1,2024-03-01 high 480.00"]);
    // Of every class, interim ones too.
    let odd = |_| r#""med_type":"x","mid_setl_flag":"1""#.to_string();
    assert_eq!(findings("VIS-01", &on_a_day(4, odd)).len(), 1);
    let one_visit = |n: usize| {
        if n == 0 { r#""mdtrt_id":"V1""#.into() } else { String::new() }
    };
    assert!(findings("VIS-01", &on_a_day(4, one_visit)).is_empty());
    let midnight = |n: usize| match n {
        0 => r#""setl_time":"2024-03-02 00:00:00""#.into(),
        _ => r#""setl_time":"2024-03-01 23:59:59""#.into(),
    };
    assert!(findings("VIS-01", &on_a_day(4, midnight)).is_empty());
    assert_eq!(findings("VIS-01", &on_a_day(5, midnight)), ["P1,2024-03-01 medium 240.00"]);
}

#[test]
fn vis_03_counts_different_institutions() {
    let institution = |n: usize| format!(r#""fixmedins_code":"H{n}""#);
    assert!(findings("VIS-03", &on_a_day(2, institution)).is_empty());
    assert_eq!(findings("VIS-03", &on_a_day(3, institution)), ["P1,2024-03-01 medium null"]);
    let two = |n: usize| format!(r#""fixmedins_code":"H{}""#, n % 2);
    assert!(findings("VIS-03", &on_a_day(3, two)).is_empty());
    // All settlements of the day are evidence.
    let four = |n: usize| format!(r#""fixmedins_code":"H{}""#, n % 3);
    assert_eq!(evidence("VIS-03", &on_a_day(4, four), &Tables::default()).len(), 4);
}

#[test]
fn vis_04_is_above_the_limit_of_its_class() {
    let fires = |med_type: &str, fee: &str| {
        let fields = format!(r#""med_type":"{med_type}","medfee_sumamt":{fee}"#);
        findings("VIS-04", &[settlement("S", "V", &fields)])
    };
    for (med_type, at, above, three_times, high) in [
        ("11", "5000", "5000.01", "15000", "15000.01"),
        ("14", "5000", "5000.01", "15000", "15000.01"),
        ("41", "2000", "2000.01", "6000", "6000.01"),
        ("21", "100000", "100000.01", "300000", "300000.01"),
    ] {
        assert!(fires(med_type, at).is_empty());
        assert_eq!(fires(med_type, above), ["S low 60.00"]);
        assert_eq!(fires(med_type, three_times), ["S low 60.00"]);
        assert_eq!(fires(med_type, high), ["S high 60.00"]);
    }
    for other in ["13", "28", "22", "51", "x"] {
        assert!(fires(other, "9999999").is_empty(), "{other}");
    }
}

/// Sales at the given seconds after 23:59:00 of 2024-02-29.
fn sales(seconds: &[u32]) -> Vec<String> {
    let clock = |second: u32| match second {
        0..60 => format!("2024-02-29 23:59:{second:02}"),
        _ => format!("2024-03-01 00:{:02}:{:02}", second / 60 - 1, second % 60),
    };
    let sale = |(index, second): (usize, &u32)| {
        let fields =
            format!(r#""psn_no":"P{index}","med_type":"41","fund_pay_sumamt":1,"setl_time":"{}""#, clock(*second));
        settlement(&format!("{}", index + 1), "V", &fields)
    };
    seconds.iter().enumerate().map(sale).collect()
}

#[test]
fn pha_06_is_ten_sales_each_20_seconds_after_the_one_before() {
    let run: Vec<u32> = (0..10).map(|n| n * 20).collect();
    assert_eq!(findings("PHA-06", &sales(&run)), ["H1,1 high 10.00"]);
    assert!(findings("PHA-06", &sales(&run[..9])).is_empty());
    let mut late = run.clone();
    late[9] += 1;
    assert!(findings("PHA-06", &sales(&late)).is_empty());
    // The run is maximal: two runs are two findings, joined they are one.
    let two: Vec<u32> = (0..10).chain(30..40).collect();
    assert_eq!(findings("PHA-06", &sales(&two)), ["H1,1 high 10.00", "H1,11 high 10.00"]);
    let joined: Vec<u32> = (0..10).chain(29..39).collect();
    assert_eq!(findings("PHA-06", &sales(&joined)), ["H1,1 high 20.00"]);
    // Of equal times the smallest id is the first: as text, "1" < "10" < "2".
    assert_eq!(findings("PHA-06", &sales(&[5; 11])[1..]), ["H1,10 high 10.00"]);
}

#[test]
fn pha_06_other_settlements_do_not_break_a_run() {
    let run: Vec<u32> = (0..10).map(|n| n * 20).collect();
    let mut lines = sales(&run);
    lines.push(settlement("x", "V", r#""setl_time":"2024-02-29 23:59:30""#));
    lines.push(settlement("y", "V", r#""setl_time":"2024-02-29 23:59:30","med_type":"41","fixmedins_code":"H2""#));
    assert_eq!(findings("PHA-06", &lines), ["H1,1 high 10.00"]);
    // A refunded sale is no sale.
    lines.push(settlement("r", "V", r#""refd_setl_flag":"1","init_setl_id":"5""#));
    assert!(findings("PHA-06", &lines).is_empty());
}
