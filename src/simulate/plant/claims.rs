//! Evidence, and what the rules must and must not find: the stage's claims about its case.

use super::super::bill::{Detail, Ident};
use super::super::city::{bed_code, person_no};
use super::super::json::Naming;
use super::super::notices::Ward;
use super::super::truth::{Evidence, Planted, Role, Truth};
use super::stage::{Case, Stage};

impl Stage<'_> {
    pub(super) fn settlement(&mut self, role: Role, case: &Case) -> Evidence {
        let id = self.simulator.pen.ident_text(Naming::Settlement, case.bill.setl);
        Evidence { role, kind: "settlement", id, time: case.bill.time }
    }

    pub(super) fn detail(&mut self, role: Role, case: &Case, detail: &Detail) -> Evidence {
        let id = format!("{}/{}", self.visit_id(case.bill.mdtrt), detail.serial);
        Evidence { role, kind: "fee_detail", id, time: detail.time }
    }

    /// Evidence of all details of an item.
    pub(super) fn details(&mut self, role: Role, case: &Case, item: usize) -> Vec<Evidence> {
        case.of_item(item).map(|detail| self.detail(role, case, detail)).collect()
    }

    /// Evidence of a discharged stay.
    pub(super) fn stay(&mut self, role: Role, ward: &Ward) -> Evidence {
        Evidence { role, kind: "admission", id: self.visit_id(ward.mdtrt), time: ward.end }
    }

    /// Evidence of a stay that is open in the end.
    pub(super) fn open_stay(&mut self, role: Role, ward: &Ward) -> Evidence {
        Evidence { time: ward.begin, ..self.stay(role, ward) }
    }

    /// Evidence of the discharge that states a death.
    pub(super) fn discharge(&mut self, ward: &Ward) -> Evidence {
        Evidence { kind: "discharge", ..self.stay(Role::Involved, ward) }
    }

    fn visit_id(&mut self, mdtrt: Ident) -> String {
        self.simulator.pen.ident_text(Naming::Visit, mdtrt)
    }

    pub(super) fn person(&self, person: u32) -> (&'static str, String) {
        let number = person_no(person, self.simulator.city.persons[person as usize].area);
        ("person", String::from_utf8_lossy(&number).into_owned())
    }

    pub(super) fn visit_subject(&mut self, case: &Case) -> (&'static str, String) {
        ("visit", self.visit_id(case.bill.mdtrt))
    }

    pub(super) fn institution(&self, place: u16) -> (&'static str, String) {
        ("institution", self.simulator.city.places[usize::from(place)].code_text())
    }

    pub(super) fn bed_subject(&self, ward: &Ward) -> (&'static str, String) {
        let place = self.simulator.city.places[usize::from(ward.place)].code_text();
        ("bed", format!("{place}/{}", bed_code(ward.bed.unwrap_or(0))))
    }

    /// States a finding that the rule must report.
    pub(super) fn fraud(
        &mut self,
        rule_id: &'static str,
        severity: &'static str,
        subject: (&'static str, String),
        amount: Option<i64>,
        evidence: Vec<Evidence>,
    ) {
        self.state(Truth {
            rule_id,
            planted: Planted::Fraud,
            case: self.case,
            subject,
            severity,
            amount,
            evidence,
            needs_registry: false,
        });
    }

    /// States that the rule must not report these.
    pub(super) fn near_miss(
        &mut self,
        rule_id: &'static str,
        subject: (&'static str, String),
        evidence: Vec<Evidence>,
    ) {
        self.state(Truth {
            rule_id,
            planted: Planted::NearMiss,
            case: self.case,
            subject,
            severity: "",
            amount: None,
            evidence,
            needs_registry: false,
        });
    }

    /// The finding just stated needs the person registry.
    pub(super) fn by_registry(&mut self) {
        if let Some(truth) = self.truths.last_mut() {
            truth.needs_registry = true;
        }
    }

    fn state(&mut self, mut truth: Truth) {
        truth.evidence.sort_by(|one, other| (one.time, &one.id).cmp(&(other.time, &other.id)));
        self.truths.push(truth);
    }
}
