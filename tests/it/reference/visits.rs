//! Points 8 and 9 of section 1: discharges, cancels and stays.

use std::collections::BTreeSet;

use super::fields::Kind;
use super::live::{Detail, Discharge, ReversedVisit, Stay, all_kept, effective, kept, of_kind};
use super::records::Record;

/// Whether an `admission_cancel` of the visit was received; it is for good.
fn is_admission_cancelled(received: &BTreeSet<Record>, mdtrt_id: &str) -> bool {
    let cancels = effective(received, Kind::AdmissionCancel);
    cancels.iter().any(|cancel| cancel.text("mdtrt_id") == mdtrt_id)
}

/// Point 8.
pub fn live_discharges(received: &BTreeSet<Record>) -> Vec<Discharge> {
    let discharges = of_kind(received, Kind::Discharge);
    let visits: BTreeSet<&str> = discharges.iter().map(|record| record.text("mdtrt_id")).collect();
    let mut live = Vec::new();
    for mdtrt_id in visits {
        // `admission_cancel` takes out the visit's discharge too.
        if is_admission_cancelled(received, mdtrt_id) {
            continue;
        }
        let versions: Vec<&Record> =
            discharges.iter().copied().filter(|record| record.text("mdtrt_id") == mdtrt_id).collect();
        let mut taken_out: BTreeSet<&Record> = BTreeSet::new();
        for cancel in effective(received, Kind::DischargeCancel) {
            if cancel.text("mdtrt_id") == mdtrt_id {
                taken_out.extend(taken_out_by(cancel, &versions));
            }
        }
        let rest: Vec<&Record> = versions.into_iter().filter(|version| !taken_out.contains(version)).collect();
        // The kept version is chosen among the rest; if that is not valid there is none.
        let Some(record) = kept(&rest, None).filter(|record| record.is_valid()) else {
            continue;
        };
        live.push(Discharge {
            mdtrt_id: mdtrt_id.into(),
            psn_no: record.text("psn_no").into(),
            endtime: record.time("endtime"),
            dscg_dept_codg: record.owned("dscg_dept_codg"),
            dscg_way: record.owned("dscg_way"),
            dscg_maindiag_code: record.owned("dscg_maindiag_code"),
            die_date: record.day("die_date"),
        });
    }
    live
}

/// The versions of a discharge that one `discharge_cancel` takes out.
///
/// Decided: each cancel looks at all versions (invalid ones too), whatever other cancels take out.
fn taken_out_by<'a>(cancel: &Record, versions: &[&'a Record]) -> Vec<&'a Record> {
    // Where both carry `updt_time`, those not later than the cancel's.
    let (both, others): (Vec<&Record>, Vec<&Record>) = versions
        .iter()
        .copied()
        .partition(|version| version.get("updt_time").is_some() && cancel.get("updt_time").is_some());
    let not_later = both.into_iter().filter(|version| version.get("updt_time") <= cancel.get("updt_time"));
    // Of the others, those with the earliest `endtime`.
    let earliest = others.iter().map(|version| version.time("endtime")).min();
    let earliest_others = others.into_iter().filter(|version| Some(version.time("endtime")) == earliest);
    not_later.chain(earliest_others).collect()
}

/// Point 9.
pub fn stays(received: &BTreeSet<Record>, details: &[Detail], discharges: &[Discharge]) -> Vec<Stay> {
    let presence = all_kept(received, Kind::Presence, None);
    let mut stays = Vec::new();
    for admission in all_kept(received, Kind::Admission, None) {
        let mdtrt_id = admission.text("mdtrt_id");
        let begntime = admission.time("begntime");
        if !admission.is_valid()
            || is_admission_cancelled(received, mdtrt_id)
            || super::rules::class(admission.text("med_type")) != "INPATIENT"
        {
            continue;
        }
        let discharge = discharges.iter().find(|discharge| discharge.mdtrt_id == mdtrt_id).cloned();
        let end = match &discharge {
            // A discharge before its admission makes no stay.
            Some(discharge) if discharge.endtime < begntime => continue,
            // A discharged stay ends at `endtime` whatever is billed later.
            Some(discharge) => discharge.endtime.clone(),
            None => {
                let billed = details.iter().filter(|detail| detail.mdtrt_id == mdtrt_id);
                let checked = presence.iter().filter(|check| check.is_valid() && check.text("mdtrt_id") == mdtrt_id);
                let known = billed
                    .map(|detail| detail.fee_ocur_time.clone())
                    .chain(checked.map(|check| check.time("check_time")));
                known.chain([begntime.clone()]).max().expect("at least its begntime")
            }
        };
        stays.push(Stay {
            mdtrt_id: mdtrt_id.into(),
            psn_no: admission.text("psn_no").into(),
            fixmedins_code: admission.text("fixmedins_code").into(),
            begntime,
            adm_dept_codg: admission.owned("adm_dept_codg"),
            adm_bed: admission.owned("adm_bed"),
            days_rinp_flag_31: admission.owned("days_rinp_flag_31"),
            diagnosis: discharge
                .as_ref()
                .and_then(|discharge| discharge.dscg_maindiag_code.clone())
                .or(admission.owned("dscg_maindiag_code")),
            discharge,
            end,
        });
    }
    stays
}

/// Point 9: a discharge before its admission is a data-quality finding.
///
/// Decided: of whatever class, since the finding is about the data. At the same time is not before.
pub fn reversed_visits(received: &BTreeSet<Record>, discharges: &[Discharge]) -> Vec<ReversedVisit> {
    let mut reversed = Vec::new();
    for admission in all_kept(received, Kind::Admission, None) {
        let mdtrt_id = admission.text("mdtrt_id");
        if !admission.is_valid() || is_admission_cancelled(received, mdtrt_id) {
            continue;
        }
        let begntime = admission.time("begntime");
        if let Some(discharge) = discharges.iter().find(|discharge| discharge.mdtrt_id == mdtrt_id)
            && discharge.endtime < begntime
        {
            reversed.push(ReversedVisit { begntime, discharge: discharge.clone() });
        }
    }
    reversed
}
