//! Decodes the lines of a file with sonic-rs into plain typed structs, several times, and prints the nanoseconds
//! of the fastest pass. Numbers become `f64` and codes borrow from the input: nothing is checked, interned or
//! exact, so this is as little as a decoder can do. Lines whose amounts are written as text stop it early and are not
//! counted among its lines, which is in its favour.

use serde::Deserialize;
use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

type Code<'a> = Option<Cow<'a, str>>;

#[derive(Deserialize)]
#[allow(dead_code)]
struct Settlement<'a> {
    #[serde(borrow)]
    setl_id: Code<'a>,
    #[serde(borrow)]
    mdtrt_id: Code<'a>,
    #[serde(borrow)]
    psn_no: Code<'a>,
    #[serde(borrow)]
    fixmedins_code: Code<'a>,
    #[serde(borrow)]
    med_type: Code<'a>,
    #[serde(borrow)]
    insutype: Code<'a>,
    #[serde(borrow)]
    setl_time: Code<'a>,
    medfee_sumamt: Option<f64>,
    fund_pay_sumamt: Option<f64>,
    inscp_scp_amt: Option<f64>,
    psn_part_amt: Option<f64>,
    acct_pay: Option<f64>,
    psn_cash_pay: Option<f64>,
    balc: Option<f64>,
    #[serde(borrow)]
    init_setl_id: Code<'a>,
    #[serde(borrow)]
    refd_setl_flag: Code<'a>,
    #[serde(borrow)]
    mid_setl_flag: Code<'a>,
    #[serde(borrow)]
    begndate: Code<'a>,
    #[serde(borrow)]
    enddate: Code<'a>,
    #[serde(borrow)]
    hosp_lv: Code<'a>,
    #[serde(borrow)]
    insuplc_admdvs: Code<'a>,
    #[serde(borrow)]
    mdtrtarea_admvs: Code<'a>,
    #[serde(borrow)]
    pay_loc: Code<'a>,
    #[serde(borrow)]
    dise_codg: Code<'a>,
    #[serde(borrow)]
    setl_type: Code<'a>,
    #[serde(borrow)]
    gend: Code<'a>,
    #[serde(borrow)]
    brdy: Code<'a>,
    #[serde(borrow)]
    updt_time: Code<'a>,
    #[serde(borrow)]
    vali_flag: Code<'a>,
    #[serde(borrow, default)]
    fee_details: Vec<FeeDetail<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct FeeDetail<'a> {
    #[serde(borrow)]
    mdtrt_id: Code<'a>,
    #[serde(borrow)]
    feedetl_sn: Code<'a>,
    #[serde(borrow)]
    psn_no: Code<'a>,
    #[serde(borrow)]
    fixmedins_code: Code<'a>,
    #[serde(borrow)]
    fee_ocur_time: Code<'a>,
    #[serde(borrow)]
    med_list_codg: Code<'a>,
    cnt: Option<f64>,
    pric: Option<f64>,
    det_item_fee_sumamt: Option<f64>,
    inscp_scp_amt: Option<f64>,
    prd_days: Option<f64>,
    #[serde(borrow)]
    setl_id: Code<'a>,
    #[serde(borrow)]
    init_feedetl_sn: Code<'a>,
    #[serde(borrow)]
    med_type: Code<'a>,
    #[serde(borrow)]
    med_chrgitm_type: Code<'a>,
    #[serde(borrow)]
    chrgitm_lv: Code<'a>,
    #[serde(borrow)]
    list_type: Code<'a>,
    #[serde(borrow)]
    medins_list_codg: Code<'a>,
    #[serde(borrow)]
    medins_list_name: Code<'a>,
    #[serde(borrow)]
    bilg_dept_codg: Code<'a>,
    #[serde(borrow)]
    bilg_dr_codg: Code<'a>,
    #[serde(borrow)]
    rxno: Code<'a>,
    #[serde(borrow)]
    drord_no: Code<'a>,
    #[serde(borrow)]
    chrg_bchno: Code<'a>,
    #[serde(borrow)]
    drug_trac_codg: Code<'a>,
    #[serde(borrow)]
    updt_time: Code<'a>,
    #[serde(borrow)]
    vali_flag: Code<'a>,
}

/// The other records, which are few.
#[derive(Deserialize)]
#[allow(dead_code)]
struct Other<'a> {
    #[serde(borrow)]
    r#type: Code<'a>,
    #[serde(borrow)]
    mdtrt_id: Code<'a>,
    #[serde(borrow)]
    psn_no: Code<'a>,
    #[serde(borrow)]
    fixmedins_code: Code<'a>,
    #[serde(borrow)]
    med_type: Code<'a>,
    #[serde(borrow)]
    begntime: Code<'a>,
    #[serde(borrow)]
    endtime: Code<'a>,
    #[serde(borrow)]
    check_id: Code<'a>,
    #[serde(borrow)]
    check_time: Code<'a>,
    #[serde(borrow)]
    fixmedins_bchno: Code<'a>,
    #[serde(borrow)]
    med_list_codg: Code<'a>,
    #[serde(borrow)]
    inv_time: Code<'a>,
    cnt: Option<f64>,
    #[serde(borrow)]
    updt_time: Code<'a>,
}

fn pass(text: &[u8]) -> usize {
    let mut good = 0;
    for line in text.split(|byte| *byte == b'\n') {
        let good_line = if line.starts_with(br#"{"type":"settlement""#) {
            black_box(sonic_rs::from_slice::<Settlement>(line)).is_ok()
        } else if line.starts_with(br#"{"type":"fee_detail""#) {
            black_box(sonic_rs::from_slice::<FeeDetail>(line)).is_ok()
        } else {
            black_box(sonic_rs::from_slice::<Other>(line)).is_ok()
        };
        good += usize::from(good_line);
    }
    good
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), passes) = (arguments.next(), arguments.next().and_then(|n| n.parse().ok()).unwrap_or(5)) else {
        eprintln!("usage: sonic-floor RECORDS.jsonl [PASSES]");
        std::process::exit(2);
    };
    let text = std::fs::read(&path).expect("the file of records can be read");
    let mut best = u128::MAX;
    let mut good = 0;
    for _ in 0..passes {
        let start = Instant::now();
        good = pass(&text);
        best = best.min(start.elapsed().as_nanos());
    }
    println!("{{\"decoder\":\"sonic-rs\",\"lines\":{good},\"nanoseconds\":{best}}}");
}
