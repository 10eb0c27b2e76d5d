//! Stays as numbers, and the writers of the records around them: admissions, discharges, cancels,
//! deletes, presence checks; and of stock movements.

use super::bill::Ident;
use super::catalogue::DEPARTMENTS;
use super::city::{City, bed_code, doctor_code, person_no};
use super::json::{Naming, Pen, key, text};

/// A stay in a hospital, as its admission and discharge tell it.
#[derive(Debug, Clone)]
pub(super) struct Ward {
    pub(super) person: u32,
    pub(super) place: u16,
    pub(super) bed: Option<u16>,
    pub(super) department: u8,
    pub(super) department_unsaid: bool,
    /// Department at discharge.
    pub(super) out_department: u8,
    pub(super) doctor: u8,
    /// Department and number of the diagnosis at admission, and at discharge.
    pub(super) diagnosis: Option<(u8, u8)>,
    /// A diagnosis code that stands in no department's list.
    pub(super) foreign_code: Option<&'static str>,
    pub(super) out_diagnosis: Option<(u8, u8)>,
    pub(super) mdtrt: Ident,
    pub(super) med_type: &'static str,
    pub(super) begin: i64,
    pub(super) end: i64,
    /// `dscg_way`.
    pub(super) way: u8,
    /// `days_rinp_flag_31`.
    pub(super) planned_return: bool,
    pub(super) die_day: Option<i64>,
}

/// A presence check at a patient's bed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) ident: Ident,
    pub(super) time: i64,
    pub(super) kind: &'static str,
    pub(super) passed: bool,
    pub(super) on_leave: bool,
    /// In 1/10,000.
    pub(super) score: i64,
}

/// A sale or purchase of an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Movement {
    pub(super) place: u16,
    pub(super) item: u16,
    pub(super) batch: Ident,
    pub(super) time: i64,
    /// In 1/10,000.
    pub(super) count: i64,
    /// Settlement and buyer of a sale; `None` for a purchase.
    pub(super) sale: Option<(Ident, u32)>,
}

fn who(pen: &mut Pen, out: &mut Vec<u8>, city: &City, ward: &Ward) {
    let person = &city.persons[ward.person as usize];
    text!(out, "mdtrt_id", pen.ident(Naming::Visit, ward.mdtrt));
    text!(out, "psn_no", person_no(ward.person, person.area));
    text!(out, "fixmedins_code", city.places[usize::from(ward.place)].code);
}

pub(super) fn admission(pen: &mut Pen, out: &mut Vec<u8>, city: &City, ward: &Ward, sent: i64) {
    let place = &city.places[usize::from(ward.place)];
    let person = &city.persons[ward.person as usize];
    pen.open(out, "admission", place, sent);
    who(pen, out, city, ward);
    text!(out, "med_type", ward.med_type);
    text!(out, "insutype", if person.employee { "310" } else { "390" });
    text!(out, "begntime", pen.time(ward.begin));
    text!(out, "ipt_no", pen.ident(Naming::Visit, ward.mdtrt)[11..]);
    if !ward.department_unsaid {
        text!(out, "adm_dept_codg", DEPARTMENTS[usize::from(ward.department)].code);
        text!(out, "adm_dept_name", DEPARTMENTS[usize::from(ward.department)].name);
    }
    if let Some(bed) = ward.bed {
        text!(out, "adm_bed", bed_code(bed).as_bytes());
    }
    if let Some(code) = ward.foreign_code {
        text!(out, "dscg_maindiag_code", code);
    } else if let Some((department, diagnosis)) = ward.diagnosis {
        let (code, name) = DEPARTMENTS[usize::from(department)].diagnoses[usize::from(diagnosis)];
        text!(out, "dscg_maindiag_code", code);
        text!(out, "dscg_maindiag_name", name);
    }
    text!(out, "adm_way", "1");
    text!(out, "atddr_no", doctor_code(place, ward.department, ward.doctor));
    text!(out, "days_rinp_flag_31", if ward.planned_return { "1" } else { "0" });
    text!(out, "vali_flag", "1");
    text!(out, "updt_time", pen.time(ward.begin + 60));
    out.extend_from_slice(b"}\n");
}

/// The discharge, last changed at `updated`.
pub(super) fn discharge(pen: &mut Pen, out: &mut Vec<u8>, city: &City, ward: &Ward, updated: i64, sent: i64) {
    pen.open(out, "discharge", &city.places[usize::from(ward.place)], sent);
    who(pen, out, city, ward);
    text!(out, "endtime", pen.time(ward.end));
    text!(out, "dscg_dept_codg", DEPARTMENTS[usize::from(ward.out_department)].code);
    text!(out, "dscg_dept_name", DEPARTMENTS[usize::from(ward.out_department)].name);
    if let Some(bed) = ward.bed {
        text!(out, "dscg_bed", bed_code(bed).as_bytes());
    }
    text!(out, "dscg_way", [b'0' + ward.way]);
    if let Some((department, diagnosis)) = ward.out_diagnosis {
        let (code, name) = DEPARTMENTS[usize::from(department)].diagnoses[usize::from(diagnosis)];
        text!(out, "dscg_maindiag_code", code);
        text!(out, "dscg_maindiag_name", name);
    }
    if let Some(day) = ward.die_day {
        text!(out, "die_date", pen.date(day));
    }
    text!(out, "vali_flag", "1");
    text!(out, "updt_time", pen.time(updated));
    out.extend_from_slice(b"}\n");
}

/// `admission_cancel` or `discharge_cancel`.
pub(super) fn cancel(pen: &mut Pen, out: &mut Vec<u8>, city: &City, kind: &str, ward: &Ward, updated: i64, sent: i64) {
    pen.open(out, kind, &city.places[usize::from(ward.place)], sent);
    who(pen, out, city, ward);
    text!(out, "updt_time", pen.time(updated));
    out.extend_from_slice(b"}\n");
}

/// Deletes the unsettled details of a visit with a serial number, or all of them.
pub(super) fn delete(
    pen: &mut Pen,
    out: &mut Vec<u8>,
    city: &City,
    (place, mdtrt): (u16, Ident),
    serial: Option<u32>,
    updated: i64,
    sent: i64,
) {
    let place = &city.places[usize::from(place)];
    pen.open(out, "fee_detail_delete", place, sent);
    text!(out, "mdtrt_id", pen.ident(Naming::Visit, mdtrt));
    text!(out, "fixmedins_code", place.code);
    out.extend_from_slice(b",\"feedetl_sn\":\"");
    match serial {
        Some(serial) => pen.integer(out, i64::from(serial)),
        None => out.extend_from_slice(b"0000"),
    }
    out.push(b'"');
    text!(out, "updt_time", pen.time(updated));
    out.extend_from_slice(b"}\n");
}

pub(super) fn presence(pen: &mut Pen, out: &mut Vec<u8>, city: &City, ward: &Ward, check: &Check, sent: i64) {
    pen.open(out, "presence", &city.places[usize::from(ward.place)], sent);
    text!(out, "check_id", pen.ident(Naming::Check, check.ident));
    who(pen, out, city, ward);
    text!(out, "check_time", pen.time(check.time));
    text!(out, "check_type", check.kind);
    text!(out, "method", "FACE");
    key!(out, "score");
    pen.fine(out, check.score);
    out.extend_from_slice(b",\"threshold\":0.8,\"passed\":");
    out.extend_from_slice(if check.passed { b"true" } else { b"false" });
    out.extend_from_slice(b",\"approved_leave\":");
    out.extend_from_slice(if check.on_leave { b"true" } else { b"false" });
    out.extend_from_slice(b",\"device_no\":\"NS");
    pen.integer(out, i64::from(ward.place) * 100 + i64::from(ward.bed.unwrap_or(0) / 40));
    out.extend_from_slice(b"\"}\n");
}

pub(super) fn inventory(pen: &mut Pen, out: &mut Vec<u8>, city: &City, movement: &Movement, sent: i64) {
    let place = &city.places[usize::from(movement.place)];
    let item = usize::from(movement.item);
    pen.open(out, "inventory", place, sent);
    text!(out, "fixmedins_code", place.code);
    text!(out, "fixmedins_bchno", pen.ident(Naming::Batch, movement.batch));
    text!(out, "inv_data_type", if movement.sale.is_some() { "4" } else { "3" });
    text!(out, "med_list_codg", city.item_code[item].as_bytes());
    text!(out, "inv_time", pen.time(movement.time));
    key!(out, "cnt");
    pen.fine(out, movement.count);
    key!(out, "pric");
    pen.fine(out, city.price(item, movement.place));
    out.extend_from_slice(b",\"manu_lotnum\":\"L");
    pen.integer(out, movement.batch.day - 40 - i64::from(movement.item));
    out.push(b'"');
    text!(out, "expy_end", pen.date(movement.batch.day + 500 + i64::from(movement.item)));
    if let Some((setl, person)) = movement.sale {
        text!(out, "setl_id", pen.ident(Naming::Settlement, setl));
        text!(out, "psn_no", person_no(person, city.persons[person as usize].area));
        text!(out, "trdn_flag", "0");
        out.extend_from_slice(b",\"drug_trac_codg\":\"8");
        out.extend_from_slice(&pen.ident(Naming::Batch, movement.batch)[1..]);
        out.push(b'"');
    } else {
        text!(out, "inv_chg_type", "108");
        text!(out, "spler_name", "云溪医药有限公司");
    }
    text!(out, "updt_time", pen.time(movement.time + 5));
    out.extend_from_slice(b"}\n");
}
