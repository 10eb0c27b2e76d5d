//! The tables of section 1: record types, their fields, value types and longest codes.

use super::values::{MONEY, PRICE, QUANTITY};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Settlement,
    FeeDetail,
    FeeDetailDelete,
    Admission,
    Discharge,
    AdmissionCancel,
    DischargeCancel,
    Presence,
    Inventory,
}

#[derive(Debug, Clone)]
pub enum Type {
    Time,
    Day,
    /// A number with at most so many decimals.
    Decimal(u32),
    Flag,
    /// A code of at most so many characters.
    Code(usize),
}

impl Kind {
    pub fn from_name(name: &str) -> Option<Kind> {
        Some(match name {
            "settlement" => Kind::Settlement,
            "fee_detail" => Kind::FeeDetail,
            "fee_detail_delete" => Kind::FeeDetailDelete,
            "admission" => Kind::Admission,
            "discharge" => Kind::Discharge,
            "admission_cancel" => Kind::AdmissionCancel,
            "discharge_cancel" => Kind::DischargeCancel,
            "presence" => Kind::Presence,
            "inventory" => Kind::Inventory,
            _ => return None,
        })
    }
}

/// The column "required".
pub fn required(kind: Kind) -> Vec<&'static str> {
    words(match kind {
        Kind::Settlement => {
            "setl_id mdtrt_id psn_no fixmedins_code med_type insutype setl_time medfee_sumamt \
             fund_pay_sumamt"
        }
        Kind::FeeDetail => {
            "mdtrt_id feedetl_sn psn_no fixmedins_code fee_ocur_time med_list_codg cnt pric \
             det_item_fee_sumamt"
        }
        Kind::Admission => "mdtrt_id psn_no fixmedins_code med_type begntime",
        Kind::Discharge => "mdtrt_id psn_no fixmedins_code endtime",
        // Of a delete, one of `feedetl_sn` and `chrg_bchno` too: see `records::check`.
        Kind::FeeDetailDelete | Kind::AdmissionCancel | Kind::DischargeCancel => "mdtrt_id",
        Kind::Presence => "check_id psn_no mdtrt_id fixmedins_code check_time check_type passed",
        Kind::Inventory => "fixmedins_code fixmedins_bchno inv_data_type med_list_codg inv_time cnt",
    })
}

/// The column "also read".
fn also_read(kind: Kind) -> Vec<&'static str> {
    words(match kind {
        Kind::Settlement => {
            "init_setl_id refd_setl_flag mid_setl_flag begndate enddate inscp_scp_amt psn_part_amt \
             acct_pay psn_cash_pay balc hosp_lv insuplc_admdvs mdtrtarea_admvs pay_loc dise_codg \
             setl_type gend brdy"
        }
        Kind::FeeDetail => {
            "setl_id init_feedetl_sn inscp_scp_amt med_type med_chrgitm_type chrgitm_lv list_type \
             medins_list_codg medins_list_name bilg_dept_codg bilg_dr_codg rxno drord_no prd_days \
             chrg_bchno drug_trac_codg"
        }
        Kind::FeeDetailDelete => "feedetl_sn chrg_bchno",
        Kind::Admission => "insutype adm_dept_codg adm_bed dscg_maindiag_code adm_way atddr_no days_rinp_flag_31",
        Kind::Discharge => "dscg_dept_codg dscg_bed dscg_way dscg_maindiag_code die_date",
        Kind::AdmissionCancel | Kind::DischargeCancel => "",
        Kind::Presence => "method score threshold device_no approved_leave",
        Kind::Inventory => {
            "drug_trac_codg manu_lotnum expy_end setl_id psn_no trdn_flag inv_chg_type pric \
             spler_name"
        }
    })
}

/// The column "identity"; a delete or cancel has none but its content.
pub fn identity(kind: Kind) -> Vec<&'static str> {
    words(match kind {
        Kind::Settlement => "setl_id",
        Kind::FeeDetail => "mdtrt_id feedetl_sn",
        Kind::Admission | Kind::Discharge => "mdtrt_id",
        Kind::Presence => "check_id",
        Kind::Inventory => "fixmedins_code fixmedins_bchno inv_data_type med_list_codg",
        Kind::FeeDetailDelete | Kind::AdmissionCancel | Kind::DischargeCancel => "",
    })
}

/// All known fields of a record type with their value types.
pub fn known(kind: Kind) -> Vec<(&'static str, Type)> {
    let mut names = words("msgid updt_time vali_flag");
    names.extend(required(kind));
    names.extend(also_read(kind));
    names.into_iter().map(|name| (name, type_of(name))).collect()
}

/// The centre tables' name of a field, where it differs.
pub fn alias_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "inscp_scp_amt" => "inscp_amt",
        "psn_part_amt" => "psn_pay",
        "psn_cash_pay" => "cash_payamt",
        "bilg_dr_codg" => "bilg_dr_code",
        "feedetl_sn" => "bkkp_sn",
        _ => return None,
    })
}

fn type_of(name: &str) -> Type {
    match name {
        "updt_time" | "setl_time" | "fee_ocur_time" | "begntime" | "endtime" | "check_time" | "inv_time" => Type::Time,
        "begndate" | "enddate" | "brdy" | "die_date" | "expy_end" => Type::Day,
        "medfee_sumamt"
        | "fund_pay_sumamt"
        | "inscp_scp_amt"
        | "psn_part_amt"
        | "acct_pay"
        | "psn_cash_pay"
        | "balc"
        | "det_item_fee_sumamt" => Type::Decimal(MONEY),
        "cnt" | "prd_days" | "score" | "threshold" => Type::Decimal(QUANTITY),
        "pric" => Type::Decimal(PRICE),
        "passed" | "approved_leave" => Type::Flag,
        code => Type::Code(longest(code)),
    }
}

/// "Longest codes" of section 1, with `msgid` and `drord_no` of section 5.
fn longest(code: &str) -> usize {
    match code {
        // ids, persons, institutions, departments, doctors, beds, batches
        "setl_id" | "init_setl_id" | "mdtrt_id" | "psn_no" | "fixmedins_code" | "feedetl_sn" | "init_feedetl_sn"
        | "check_id" | "bilg_dept_codg" | "adm_dept_codg" | "dscg_dept_codg" | "bilg_dr_codg" | "atddr_no"
        | "adm_bed" | "dscg_bed" | "chrg_bchno" | "fixmedins_bchno" | "msgid" | "drord_no" => 30,
        "rxno" => 40,
        "med_list_codg" => 50,
        "dscg_maindiag_code" => 20,
        "med_type" | "insutype" | "hosp_lv" | "insuplc_admdvs" | "mdtrtarea_admvs" | "pay_loc" | "setl_type"
        | "gend" | "med_chrgitm_type" | "list_type" | "inv_chg_type" => 6,
        // the flags, and what is named beside them
        "vali_flag" | "refd_setl_flag" | "mid_setl_flag" | "chrgitm_lv" | "dscg_way" | "adm_way"
        | "days_rinp_flag_31" | "trdn_flag" => 3,
        "medins_list_codg" => 150,
        "medins_list_name" | "spler_name" => 200,
        _ => 100,
    }
}

fn words(text: &'static str) -> Vec<&'static str> {
    text.split_whitespace().collect()
}
