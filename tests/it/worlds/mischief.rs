//! Revisions, refunds, deletes and cancels of what a story told.

use super::draft::{BEDS, DAY, DEPARTMENTS, Draft, ITEMS, ONE, Story, Value};

/// Does one mischief to a random record of a fitting type, if there is one.
pub fn one_deed(story: &mut Story) {
    match story.dice.below(20) {
        0 | 1 => revise_settlement(story),
        2 | 3 => revise_detail(story),
        4 | 5 => revise_admission(story),
        6 | 7 => revise_discharge(story),
        8..=10 => refund(story),
        11 | 12 => refund_row(story),
        13 => settle_anew(story),
        14 | 15 => delete_details(story),
        16 => cancel(story, "admission_cancel"),
        17 | 18 => cancel(story, "discharge_cancel"),
        _ => revise_anything(story),
    }
}

fn any(story: &mut Story, kind: &str) -> Option<Draft> {
    let matching: Vec<&Draft> = story.records.iter().filter(|draft| draft.kind == kind).collect();
    if matching.is_empty() {
        return None;
    }
    let chosen = story.dice.pick(&matching);
    Some(chosen.clone())
}

/// Tells another version: newer, older, as old, or without `updt_time`.
fn tell_version(story: &mut Story, mut draft: Draft) {
    match story.dice.below(4) {
        0 => draft.remove("updt_time"),
        1 | 2 => {
            let time = story.update_time();
            draft.set_time("updt_time", time);
        }
        _ => {}
    }
    if story.dice.chance(8) {
        draft.set_code("vali_flag", "0");
    }
    story.records.push(draft);
}

fn revise_settlement(story: &mut Story) {
    let Some(mut draft) = any(story, "settlement") else {
        return;
    };
    for _ in 0..story.dice.range(1, 2) {
        let (visit, person, institution) = (story.any_visit(), story.person(), story.institution());
        match story.dice.below(10) {
            0 => draft.set_code("mdtrt_id", &visit),
            1 => draft.set_code("psn_no", &person),
            2 => draft.set_code("fixmedins_code", &institution),
            3 => draft.set_time("setl_time", story.moment()),
            4 => draft.set_money("medfee_sumamt", story.fee()),
            5 => draft.set_money("fund_pay_sumamt", story.fee()),
            6 => draft.set_code("med_type", story.dice.pick(&["11", "41", "21", "0"])),
            7 => draft.set_code("mid_setl_flag", story.dice.pick(&["1", "0", "01"])),
            8 => draft.set_code("refd_setl_flag", story.dice.pick(&["1", "0", "2", "001"])),
            _ => draft.set_money("psn_part_amt", story.fee()),
        }
    }
    tell_version(story, draft);
}

fn revise_detail(story: &mut Story) {
    let Some(mut draft) = any(story, "fee_detail") else {
        return;
    };
    for _ in 0..story.dice.range(1, 2) {
        let (person, setl_id) = (story.person(), any(story, "settlement"));
        let is_refund_row = draft.get("init_feedetl_sn").is_some();
        match story.dice.below(8) {
            0 => draft.set_code("psn_no", &person),
            1 => draft.set_time("fee_ocur_time", story.moment()),
            2 => match setl_id.and_then(|settlement| settlement.code("setl_id")) {
                Some(setl_id) if story.dice.chance(80) => draft.set_code("setl_id", &setl_id),
                _ => draft.remove("setl_id"),
            },
            3 if !is_refund_row => {
                draft.set("cnt", Value::Fixed(story.dice.pick(&[ONE, 2 * ONE, 0, -ONE]), 4));
            }
            4 => draft.set_code("med_list_codg", story.dice.pick(&ITEMS)),
            5 => draft.set_code("med_chrgitm_type", story.dice.pick(&["01", "07", "09"])),
            6 => draft.set_money("inscp_scp_amt", draft.fixed("cnt").signum() * story.fee()),
            // A refund row becomes an ordinary detail, billed with `cnt` ≤ 0.
            _ => draft.remove("init_feedetl_sn"),
        }
    }
    tell_version(story, draft);
}

fn revise_admission(story: &mut Story) {
    let Some(mut draft) = any(story, "admission") else {
        return;
    };
    let (person, institution) = (story.person(), story.institution());
    match story.dice.below(8) {
        0 => draft.set_code("adm_bed", story.dice.pick(&BEDS)),
        1 => draft.set_code("psn_no", &person),
        2 => draft.set_code("fixmedins_code", &institution),
        3 => draft.set_code("med_type", story.dice.pick(&["21", "52", "28", "26"])),
        4 => draft.set_time("begntime", story.moment()),
        5 => draft.set_code("adm_dept_codg", story.dice.pick(&DEPARTMENTS)),
        6 => draft.remove("adm_bed"),
        _ => draft.set_code("days_rinp_flag_31", story.dice.pick(&["1", "0", "01"])),
    }
    tell_version(story, draft);
}

fn revise_discharge(story: &mut Story) {
    let Some(mut draft) = any(story, "discharge") else {
        return;
    };
    let person = story.person();
    match story.dice.below(7) {
        0..=2 => draft.set_time("endtime", story.moment() + DAY * story.dice.range(0, 3)),
        3 => draft.set_code("psn_no", &person),
        4 => draft.set_day("die_date", story.start / DAY + story.dice.range(-1, 2)),
        5 => draft.set_code("dscg_way", story.dice.pick(&["1", "2", "5"])),
        _ => draft.set_code("dscg_dept_codg", story.dice.pick(&DEPARTMENTS)),
    }
    tell_version(story, draft);
}

/// A field nobody judges by changes, or nothing but the `updt_time`.
fn revise_anything(story: &mut Story) {
    if story.records.is_empty() {
        return;
    }
    let mut draft = story.dice.pick(&story.records).clone();
    match draft.kind {
        "presence" => draft.set_time("check_time", story.moment() + DAY),
        "settlement" => draft.set_code("dise_codg", "慢-1"),
        "admission" => draft.set_code("insutype", "390"),
        "fee_detail" => draft.set_code("rxno", "rx"),
        _ => {}
    }
    tell_version(story, draft);
}

/// A refund settlement: by name or by amount, of anything, refunds too, with or without rows.
fn refund(story: &mut Story) {
    let Some(original) = any(story, "settlement") else {
        return;
    };
    let named = original.code("setl_id").unwrap_or_default();
    let mut draft = original.clone();
    let setl_id = if story.dice.chance(4) { named.clone() } else { story.new_setl_id() };
    draft.set_code("setl_id", &setl_id);
    draft.set_code("refd_setl_flag", "1");
    draft.set_money("medfee_sumamt", -original.fixed("medfee_sumamt"));
    draft.set_money("fund_pay_sumamt", -original.fixed("fund_pay_sumamt"));
    draft.remove("init_setl_id");
    draft.remove("vali_flag");
    if story.dice.chance(50) {
        let init = if story.dice.chance(90) { named } else { "never-seen".into() };
        draft.set_code("init_setl_id", &init);
        if story.dice.chance(20) {
            draft.set_code("mdtrt_id", &story.any_visit());
        }
    }
    if let Some(Value::Clock(time)) = original.get("setl_time") {
        // The same second, or some other moment: earlier does not pair.
        let other = story.moment() + DAY;
        if story.dice.chance(50) {
            draft.set_time("setl_time", other);
        } else {
            draft.set("setl_time", Value::Clock(time.clone()));
        }
    }
    story.decorate(&mut draft);
    if story.dice.chance(40) {
        refund_rows_of(story, &original, &setl_id);
    }
    story.records.push(draft);
}

/// The refund's own rows, one for each detail of the original settlement.
fn refund_rows_of(story: &mut Story, original: &Draft, refund_id: &str) {
    let details: Vec<Draft> = story
        .records
        .iter()
        .filter(|draft| draft.kind == "fee_detail" && draft.get("setl_id") == original.get("setl_id"))
        .cloned()
        .collect();
    for detail in details {
        let row = row_against(story, &detail, -detail.fixed("cnt").abs());
        story.records.push(row.with("setl_id", refund_id));
    }
}

/// A refund row of `cnt` ≤ 0 with amounts in proportion.
pub fn row_against(story: &mut Story, detail: &Draft, cnt: i64) -> Draft {
    let mut row = detail.clone();
    let visit = detail.code("mdtrt_id").unwrap_or_default();
    let serial = story.new_serial(&visit);
    row.set_code("feedetl_sn", &serial);
    row.set_code("init_feedetl_sn", &detail.code("feedetl_sn").unwrap_or_default());
    row.set("cnt", Value::Fixed(cnt, 4));
    for name in ["det_item_fee_sumamt", "inscp_scp_amt"] {
        let billed = detail.fixed("cnt").abs().max(1);
        if detail.get(name).is_some() {
            row.set_money(name, detail.fixed(name).abs() * cnt / billed);
        }
    }
    row.remove("vali_flag");
    row
}

/// Part, all, or more of a detail is given back.
fn refund_row(story: &mut Story) {
    if let Some(detail) = any(story, "fee_detail") {
        refund_row_of(story, &detail);
    }
}

/// A refund row of a detail, or of itself, a refund row, nothing, or another visit's detail.
pub fn refund_row_of(story: &mut Story, detail: &Draft) {
    let billed = detail.fixed("cnt").abs();
    let cnt = match story.dice.below(6) {
        0 => -billed,
        1 => -billed - story.dice.pick(&[1, ONE]),
        2 => 0,
        3 => 1 - billed.max(1),
        _ => -billed / 2,
    };
    let mut row = row_against(story, detail, cnt);
    let itself = row.code("feedetl_sn").unwrap_or_default();
    match story.dice.below(14) {
        12 => row.set_code("vali_flag", "0"),
        13 => {
            let visit = story.any_visit();
            row.set_code("mdtrt_id", &visit);
        }
        0 => row.set_code("init_feedetl_sn", &itself),
        1 => row.set_code("init_feedetl_sn", "no-such-row"),
        2 | 3 => row.remove("setl_id"),
        4 | 5 => {
            let settlement = any(story, "settlement");
            if let Some(setl_id) = settlement.and_then(|settlement| settlement.code("setl_id")) {
                row.set_code("setl_id", &setl_id);
            }
        }
        6 => row.remove("inscp_scp_amt"),
        // An ordinary detail turns into a refund row: a revision under its own serial.
        7 => row.set_code("feedetl_sn", &detail.code("feedetl_sn").unwrap_or_default()),
        _ => {}
    }
    story.decorate(&mut row);
    story.records.push(row);
}

/// Refunded by name and settled anew: the details come again, carrying the new `setl_id`.
fn settle_anew(story: &mut Story) {
    let Some(original) = any(story, "settlement") else {
        return;
    };
    let named = original.code("setl_id").unwrap_or_default();
    let (refund_id, new_id) = (story.new_setl_id(), story.new_setl_id());
    let mut refund = original.clone().with("setl_id", &refund_id).with("refd_setl_flag", "1");
    refund.set_code("init_setl_id", &named);
    refund.set_money("medfee_sumamt", -original.fixed("medfee_sumamt"));
    let mut again = original.clone().with("setl_id", &new_id);
    again.remove("vali_flag");
    let details: Vec<Draft> = story
        .records
        .iter()
        .filter(|draft| draft.kind == "fee_detail" && draft.get("setl_id") == original.get("setl_id"))
        .cloned()
        .collect();
    for detail in details {
        let mut moved = detail.with("setl_id", &new_id);
        if story.dice.chance(30) {
            moved.remove("inscp_scp_amt");
        }
        story.records.push(moved);
    }
    story.records.extend([refund, again]);
}

/// All, one serial, one batch, or both, before or after the detail's `updt_time`.
fn delete_details(story: &mut Story) {
    let detail = any(story, "fee_detail");
    delete_near(story, detail);
}

pub fn delete_near(story: &mut Story, detail: Option<Draft>) {
    let visit = detail.as_ref().and_then(|detail| detail.code("mdtrt_id"));
    let visit = visit.unwrap_or_else(|| story.any_visit());
    let mut delete = Draft::new("fee_detail_delete").with("mdtrt_id", &visit);
    // The detail comes once more, unsettled, before or after the delete.
    if let Some(mut again) = detail.clone()
        && story.dice.chance(40)
    {
        let time = story.update_time();
        again.set_time("updt_time", time);
        again.remove("setl_id");
        story.records.push(again);
    }
    let serial = detail.and_then(|detail| detail.code("feedetl_sn")).unwrap_or("1".into());
    let batch = story.dice.pick(&["1", "2", "0000"]);
    match story.dice.below(5) {
        0 => delete.set_code("feedetl_sn", "0000"),
        1 | 2 => delete.set_code("feedetl_sn", &serial),
        3 => delete.set_code("chrg_bchno", batch),
        _ => {
            delete.set_code("feedetl_sn", &serial);
            delete.set_code("chrg_bchno", batch);
        }
    }
    if story.dice.chance(60) {
        let time = story.update_time();
        delete.set_time("updt_time", time);
    }
    if story.dice.chance(10) {
        delete.set_code("vali_flag", story.dice.pick(&["0", "1"]));
    }
    story.records.push(delete);
}

fn cancel(story: &mut Story, kind: &'static str) {
    let known = any(story, if kind == "admission_cancel" { "admission" } else { "discharge" });
    let visit = known.and_then(|draft| draft.code("mdtrt_id"));
    let visit = visit.unwrap_or_else(|| story.any_visit());
    let mut draft = Draft::new(kind).with("mdtrt_id", &visit);
    if story.dice.chance(40) {
        let time = story.update_time();
        draft.set_time("updt_time", time);
    }
    if story.dice.chance(15) {
        draft.set_code("vali_flag", story.dice.pick(&["0", "1"]));
    }
    story.records.push(draft);
}
