//! Stays: a live admission to inpatient care joined with its live discharge (contract, section 1, live records
//! 8 and 9, and section 5, "Stays").

use super::versions::compare;
use crate::record::field::Field;
use crate::record::{
    Admission, AdmissionCancel, Code, Day, Discharge, DischargeCancel, Ids, InstitutionId, PersonId, Record, Time,
    VisitId,
};
use crate::rules::filter::{Columns, Verdicts};
use crate::rules::rule::{INPATIENT, RuleSet};
use arrow::array::ArrayRef;

/// The most days between a stay and a readmission: STY-01 of domain.md.
pub const READMISSION: i32 = 15;

/// What is received of a visit's stay. Every version of a discharge is kept: cancels choose among them.
#[derive(Default, Clone, Debug)]
pub struct StayRecords {
    /// The kept version.
    pub admission: Option<Admission>,
    /// All that were received.
    pub admission_cancels: Vec<AdmissionCancel>,
    /// All versions that were received.
    pub discharges: Vec<Discharge>,
    /// All that were received.
    pub discharge_cancels: Vec<DischargeCancel>,
}

/// A stay.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stay {
    /// The visit.
    pub visit: VisitId,
    /// The admission's.
    pub person: PersonId,
    /// The admission's.
    pub institution: InstitutionId,
    /// The admission's.
    pub med_type: Code,
    /// The admission's.
    pub insutype: Code,
    /// The admission's; absent: no bed.
    pub bed: Code,
    /// The department of admission.
    pub adm_dept: Code,
    /// The way of admission.
    pub adm_way: Code,
    /// `days_rinp_flag_31` of the admission.
    pub planned: Code,
    /// Admission.
    pub begin: Time,
    /// Discharge; absent: open.
    pub end: Time,
    /// How long the stay is known to last: `end`, or the latest sign of an open stay.
    pub known_end: Time,
    /// The department of discharge.
    pub dscg_dept: Code,
    /// The way of discharge.
    pub dscg_way: Code,
    /// The discharge's main diagnosis, or else the admission's.
    pub diagnosis: Code,
    /// The verdicts of the stay filters.
    pub passes: Verdicts,
}

impl Stay {
    /// Whether it has a discharge.
    pub fn is_discharged(&self) -> bool {
        self.end.get().is_some()
    }

    /// Whether it began at most [`READMISSION`] days after another stay at the same institution ended. Persons are not
    /// compared.
    pub fn is_readmission_after(&self, other: &Self) -> bool {
        let between = || self.begin.day().0 - other.end.day().0;
        other.visit != self.visit
            && other.institution == self.institution
            && other.is_discharged()
            && other.end <= self.begin
            && between() <= READMISSION
    }

    /// What alerts give as its time: the discharge's, or for an open stay the admission's.
    pub fn event_time(&self) -> Time {
        self.end.get().unwrap_or(self.begin)
    }

    /// Days from admission to discharge, both included; for discharged stays.
    pub fn days(&self) -> i32 {
        self.end.day().0 - self.begin.day().0 + 1
    }
}

impl StayRecords {
    /// No records.
    pub const NONE: Self =
        Self { admission: None, admission_cancels: Vec::new(), discharges: Vec::new(), discharge_cancels: Vec::new() };

    /// The live discharge.
    pub fn discharge(&self, ids: &Ids) -> Option<&Discharge> {
        if self.admission_cancels.iter().any(|cancel| cancel.is_valid(ids)) {
            return None;
        }
        let mut left: Vec<&Discharge> = self.discharges.iter().collect();
        for cancel in self.discharge_cancels.iter().filter(|cancel| cancel.is_valid(ids)) {
            let dated = |row: &Discharge| cancel.updt_time.get().is_some() && row.updt_time.get().is_some();
            let undated = self.discharges.iter().filter(|row| !dated(row));
            let earliest = undated.map(|row| row.endtime).min();
            left.retain(
                |row| {
                    if dated(row) { row.updt_time > cancel.updt_time } else { Some(row.endtime) != earliest }
                },
            );
        }
        let kept = left.into_iter().max_by(|one, other| compare(*one, *other, ids))?;
        kept.is_valid(ids).then_some(kept)
    }

    /// The stay, if there is one. `latest_sign` is the latest live fee detail or valid check of the visit.
    pub fn stay(&self, latest_sign: Time, rules: &RuleSet, ids: &Ids) -> Option<Stay> {
        let admission = self.admission.filter(|admission| admission.is_valid(ids))?;
        if self.admission_cancels.iter().any(|cancel| cancel.is_valid(ids))
            || rules.class(admission.med_type) != INPATIENT
        {
            return None;
        }
        let discharge = self.discharge(ids);
        if discharge.is_some_and(|discharge| is_before(discharge, &admission)) {
            return None;
        }
        let end = discharge.map_or(Time::ABSENT, |discharge| discharge.endtime);
        let mut stay = Stay {
            visit: admission.mdtrt_id,
            person: admission.psn_no,
            institution: admission.fixmedins_code,
            med_type: admission.med_type,
            insutype: admission.insutype,
            bed: admission.adm_bed,
            adm_dept: admission.adm_dept_codg,
            adm_way: admission.adm_way,
            planned: admission.days_rinp_flag_31,
            begin: admission.begntime,
            end,
            known_end: end.get().unwrap_or_else(|| admission.begntime.max(latest_sign)),
            dscg_dept: discharge.map_or(Code::ABSENT, |discharge| discharge.dscg_dept_codg),
            dscg_way: discharge.map_or(Code::ABSENT, |discharge| discharge.dscg_way),
            diagnosis: discharge
                .and_then(|discharge| discharge.dscg_maindiag_code.get())
                .unwrap_or(admission.dscg_maindiag_code),
            passes: 0,
        };
        stay.passes = rules.stay_filters.evaluate(&[&stay], ids, &rules.classes)[0];
        Some(stay)
    }

    /// The date of death that the live discharge states, and of whom.
    pub fn death(&self, ids: &Ids) -> Option<(PersonId, Day)> {
        let discharge = self.discharge(ids)?;
        Some((discharge.psn_no, discharge.die_date.get()?))
    }

    /// The admission and the discharge before it, of whatever class: a finding about the data.
    pub fn reversed(&self, ids: &Ids) -> Option<(&Admission, &Discharge)> {
        let admission = self.admission.as_ref().filter(|admission| admission.is_valid(ids))?;
        let discharge = self.discharge(ids)?;
        is_before(discharge, admission).then_some((admission, discharge))
    }

    /// The persons that the records name.
    pub fn persons(&self) -> impl Iterator<Item = PersonId> + '_ {
        let admission = self.admission.iter().map(|row| row.psn_no);
        admission.chain(self.discharges.iter().map(|row| row.psn_no))
    }

    /// The latest time among the records, for retention.
    pub fn latest(&self) -> Time {
        let ends = self.discharges.iter().map(|row| row.endtime);
        ends.chain(self.admission.map(|row| row.begntime)).max().unwrap_or(Time::ABSENT)
    }
}

/// At the same time is in order.
fn is_before(discharge: &Discharge, admission: &Admission) -> bool {
    discharge.endtime < admission.begntime
}

/// The columns of a stay for filters, by name.
macro_rules! columns {
    ($($name:literal $field:ident;)*) => {
        impl Columns for Stay {
            const OF: &'static str = "stay";

            fn names() -> &'static [&'static str] {
                &[$($name),*]
            }

            fn column(rows: &mut dyn Iterator<Item = &Self>, name: &str, ids: &Ids) -> Option<ArrayRef> {
                match name {
                    $($name => Some(Field::column(&mut rows.map(|row| row.$field), ids)),)*
                    _ => None,
                }
            }

            fn code(&self, name: &str) -> Option<u32> {
                match name {
                    $($name => Field::code(self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

columns! {
    "psn_no" person;
    "mdtrt_id" visit;
    "fixmedins_code" institution;
    "med_type" med_type;
    "insutype" insutype;
    "adm_bed" bed;
    "adm_dept_codg" adm_dept;
    "adm_way" adm_way;
    "days_rinp_flag_31" planned;
    "begntime" begin;
    "endtime" end;
    "dscg_dept_codg" dscg_dept;
    "dscg_way" dscg_way;
    "diagnosis" diagnosis;
}
