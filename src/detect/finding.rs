//! Writing a finding down: identity, evidence, figures, amount, severity and words.

use super::plan::RuleNumber;
use super::{Found, World};
use crate::alert::{AlertId, Evidence, Finding, Reason, Role, Subject, figure, yuan};
use crate::live::details::LiveDetail;
use crate::live::settlements::LiveSettlement;
use crate::live::stays::Stay;
use crate::record::{Admission, Code, Discharge, FeeDetail, InstitutionId, PersonId, Time, VisitId};
use crate::rules::rule::{Amount, Bilingual, Rule, Severity, SubjectKind};
use crate::rules::severity::{Band, Bound, Comparison, SeverityBands};
use std::sync::Arc;

/// One, in the units of figures.
pub const ONE: i64 = 10_000;
/// A fen, in the units of figures, which show yuan.
pub const FEN: i64 = 100;

/// A finding in the making.
pub struct Draft<'w> {
    world: &'w World<'w>,
    number: RuleNumber,
    rule: &'w Rule,
    parts: Vec<(&'static str, String)>,
    figures: Vec<Reason>,
    evidence: Vec<Piece>,
    /// For an amount by excess: units allowed, units billed, their `inscp`.
    excess: Option<(i64, i64, i64)>,
    /// For an amount by visit.
    visit: Option<VisitId>,
    bed: Option<(InstitutionId, Code)>,
}

/// A piece of evidence and whose it is.
struct Piece {
    evidence: Evidence,
    person: PersonId,
    visit: VisitId,
    institution: InstitutionId,
    area: Code,
}

impl<'w> Draft<'w> {
    /// A finding of a rule.
    pub fn new(world: &'w World<'w>, number: RuleNumber) -> Self {
        Self {
            world,
            number,
            rule: world.rule(number),
            parts: Vec::new(),
            figures: Vec::new(),
            evidence: Vec::new(),
            excess: None,
            visit: None,
            bed: None,
        }
    }

    /// A named part of its identity.
    pub fn part(mut self, name: &'static str, value: String) -> Self {
        self.parts.push((name, value));
        self
    }

    /// A figure in units of 10^-4, and what it was compared with.
    pub fn figure(mut self, name: &'static str, value: i64, limit: Option<i64>) -> Self {
        self.figures.push(Reason { name, value, limit });
        self
    }

    /// What of `billed` units (10^-4) with `inscp` (fen) goes beyond `allowed`.
    pub fn excess(mut self, allowed: i64, billed: i64, inscp: i64) -> Self {
        self.excess = Some((allowed, billed, inscp));
        self
    }

    /// The visit whose fund money is at stake.
    pub fn visit(mut self, visit: VisitId) -> Self {
        self.visit = Some(visit);
        self
    }

    /// The bed it is about.
    pub fn bed(mut self, institution: InstitutionId, bed: Code) -> Self {
        self.bed = Some((institution, bed));
        self
    }

    /// A settlement as evidence.
    pub fn settlement(mut self, role: Role, settlement: &LiveSettlement) -> Self {
        let row = &settlement.row;
        self.evidence.push(Piece {
            evidence: Evidence {
                role,
                record: "settlement",
                id: row.setl_id.string(self.world.ids),
                time: row.setl_time,
                amount: Some(row.fund_pay_sumamt.units()),
            },
            person: row.psn_no,
            visit: row.mdtrt_id,
            institution: row.fixmedins_code,
            area: row.insuplc_admdvs,
        });
        self
    }

    /// A live fee detail as evidence, net of its refund rows.
    pub fn detail(self, role: Role, detail: &LiveDetail) -> Self {
        self.fee_detail(role, &detail.row, detail.inscp)
    }

    /// A fee detail or a refund row as evidence, as it was billed.
    pub fn billed(self, role: Role, row: &FeeDetail) -> Self {
        self.fee_detail(role, row, row.inscp())
    }

    fn fee_detail(mut self, role: Role, row: &FeeDetail, inscp: i64) -> Self {
        self.evidence.push(Piece {
            evidence: Evidence {
                role,
                record: "fee_detail",
                id: detail_id(row, self.world),
                time: row.fee_ocur_time,
                amount: Some(inscp),
            },
            person: row.psn_no,
            visit: row.mdtrt_id,
            institution: row.fixmedins_code,
            area: Code::ABSENT,
        });
        self
    }

    /// A stay as evidence.
    pub fn stay(mut self, role: Role, stay: &Stay) -> Self {
        self.evidence.push(Piece {
            evidence: Evidence {
                role,
                record: "admission",
                id: stay.visit.string(self.world.ids),
                time: stay.event_time(),
                amount: None,
            },
            person: stay.person,
            visit: stay.visit,
            institution: stay.institution,
            area: Code::ABSENT,
        });
        self
    }

    /// An admission as evidence, where it makes no stay.
    pub fn admission(mut self, role: Role, admission: &Admission) -> Self {
        self.evidence.push(Piece {
            evidence: Evidence {
                role,
                record: "admission",
                id: admission.mdtrt_id.string(self.world.ids),
                time: admission.begntime,
                amount: None,
            },
            person: admission.psn_no,
            visit: admission.mdtrt_id,
            institution: admission.fixmedins_code,
            area: Code::ABSENT,
        });
        self
    }

    /// A discharge as evidence.
    pub fn discharge(mut self, role: Role, discharge: &Discharge) -> Self {
        self.evidence.push(Piece {
            evidence: Evidence {
                role,
                record: "discharge",
                id: discharge.mdtrt_id.string(self.world.ids),
                time: discharge.endtime,
                amount: None,
            },
            person: discharge.psn_no,
            visit: discharge.mdtrt_id,
            institution: discharge.fixmedins_code,
            area: Code::ABSENT,
        });
        self
    }

    fn amount(&self) -> Option<i64> {
        let violating = || self.evidence.iter().filter(|piece| piece.evidence.role == Role::Violating);
        match self.rule.amount {
            Amount::None => None,
            Amount::FundOfViolating | Amount::InscpOfViolating => {
                Some(violating().filter_map(|piece| piece.evidence.amount).sum())
            }
            Amount::Excess => {
                let (allowed, billed, inscp) = self.excess?;
                Some(rounded_share(inscp, billed - allowed, billed))
            }
            Amount::FundOfVisit => Some(self.world.fund_of(self.visit?)),
            Amount::OverRefund => {
                let left: i64 = self.evidence.iter().filter_map(|piece| piece.evidence.amount).sum();
                (left <= 0).then_some(-left)
            }
        }
    }

    /// Finishes the finding.
    pub fn finish(mut self) -> Found {
        self.evidence.sort_by(|one, other| {
            fn order(piece: &Piece) -> (Time, &str, &str, Role) {
                let evidence = &piece.evidence;
                (evidence.time, &evidence.id, evidence.record, evidence.role)
            }
            order(one).cmp(&order(other))
        });
        let ids = self.world.ids;
        let amount = self.amount();
        let rule = self.rule;
        let person = common(&self.evidence, |piece| piece.person.get()).map(|id| id.string(ids));
        let visit = common(&self.evidence, |piece| piece.visit.get()).map(|id| id.string(ids));
        let institution = common(&self.evidence, |piece| piece.institution.get()).map(|id| id.string(ids));
        let areas: Vec<Code> = self.evidence.iter().filter_map(|piece| piece.area.get()).collect();
        let area = areas.first().filter(|first| areas.iter().all(|area| area == *first)).map(|id| id.string(ids));
        let subject_id = match rule.subject {
            SubjectKind::Person => person.clone(),
            SubjectKind::Visit => visit.clone(),
            SubjectKind::Institution => institution.clone(),
            SubjectKind::Bed => {
                self.bed.map(|(institution, bed)| format!("{}/{}", institution.string(ids), bed.string(ids)))
            }
            SubjectKind::Doctor | SubjectKind::Item => None,
        };
        let event_time = self.evidence.last().map_or(Time::ABSENT, |piece| piece.evidence.time);
        let first_time = self.evidence.first().map_or(Time::ABSENT, |piece| piece.evidence.time);
        let words = self.world.words(self.number);
        let finding = Finding {
            rule_id: words.id.clone(),
            rule_version: words.version.clone(),
            rule_name: words.name.clone(),
            result: rule.result,
            severity: severity(&rule.severity, &self.figures),
            subject: Subject { kind: rule.subject, id: subject_id.unwrap_or_default() },
            psn_no: person,
            mdtrt_id: visit,
            fixmedins_code: institution,
            insuplc_admdvs: area,
            amount_at_issue: amount,
            event_time,
            message: Bilingual { zh: self.fill(&rule.message.zh, amount), en: self.fill(&rule.message.en, amount) },
            reasons: self.figures.clone(),
            legal_basis: words.legal_basis.clone(),
            evidence: self.evidence.into_iter().map(|piece| piece.evidence).collect(),
            scored: None,
        };
        let alert = alert_id(rule, &self.parts);
        Found { rule: self.number, alert, first_time, finding: Arc::new(finding) }
    }

    /// Fills in a message: `{name}` is a figure or a part of the identity, `{name_limit}` what a figure was
    /// compared with, `{amount}` the amount at issue.
    fn fill(&self, template: &str, amount: Option<i64>) -> String {
        let mut text = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                text.push('{');
                rest = after;
                continue;
            };
            rest = after;
            let figures = &self.figures;
            let value = figures.iter().find(|reason| reason.name == name).map(|reason| reason.value);
            let limit =
                name.strip_suffix("_limit").and_then(|name| figures.iter().find(|reason| reason.name == name)?.limit);
            match (value.or(limit), self.parts.iter().find(|part| part.0 == name)) {
                // Also where the identity has an amount of its own: the total that is repeated.
                _ if name == "amount" => text.push_str(&amount.map_or_else(|| "-".to_owned(), yuan)),
                (Some(units), _) => text.push_str(&shown(name, units)),
                (None, Some(part)) => text.push_str(&part.1),
                (None, None) => {
                    text.push('{');
                    text.push_str(name);
                    text.push('}');
                }
            }
        }
        text.push_str(rest);
        text
    }
}

/// A figure in words: money with its fen, anything else without needless zeros.
fn shown(name: &str, units: i64) -> String {
    if name.starts_with("medfee_sumamt") { yuan(units / FEN) } else { figure(units) }
}

/// The id of a detail in evidence.
pub fn detail_id(row: &FeeDetail, world: &World<'_>) -> String {
    use crate::record::field::Field;
    format!("{}/{}", row.mdtrt_id.string(world.ids), row.feedetl_sn.text(world.ids))
}

/// What all evidence agrees on.
fn common<T: PartialEq>(evidence: &[Piece], read: impl Fn(&Piece) -> Option<T>) -> Option<T> {
    let first = read(evidence.first()?)?;
    evidence.iter().all(|piece| read(piece).as_ref() == Some(&first)).then_some(first)
}

/// The hash over the rule's id and the parts of the identity that the rule names.
pub fn alert_id(rule: &Rule, parts: &[(&'static str, String)]) -> AlertId {
    let value = |name: &String| parts.iter().find(|part| part.0 == name).map_or("", |part| part.1.as_str());
    AlertId::of(&rule.id, rule.identity.iter().map(value))
}

/// `whole × part / of`, exact until the end, then rounded half up to the fen.
fn rounded_share(whole: i64, part: i64, of: i64) -> i64 {
    if of == 0 {
        return 0;
    }
    let (numerator, denominator) = (i128::from(whole) * i128::from(part), i128::from(of));
    (2 * numerator + denominator).div_euclid(2 * denominator) as i64
}

fn severity(bands: &SeverityBands, figures: &[Reason]) -> Severity {
    let holds = |band: &&Band| {
        let Some(reason) = figures.iter().find(|reason| reason.name == band.figure) else {
            return false;
        };
        let bound = match band.bound {
            Bound::Number(units) => units,
            Bound::TimesLimit(times) => reason.limit.unwrap_or(0) * times,
        };
        match band.comparison {
            Comparison::AtMost => reason.value <= bound,
            Comparison::AtLeast => reason.value >= bound,
            Comparison::Above => reason.value > bound,
            Comparison::Below => reason.value < bound,
        }
    };
    bands.bands.iter().find(holds).map_or(bands.otherwise, |band| band.severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up() {
        assert_eq!(rounded_share(100, 1, 3), 33);
        assert_eq!(rounded_share(100, 2, 3), 67);
        assert_eq!(rounded_share(1, 1, 2), 1);
        assert_eq!(rounded_share(3, 1, 2), 2);
        assert_eq!(rounded_share(-1, 1, 2), 0);
        assert_eq!(rounded_share(i64::MAX / 2, 9_999, 10_000), 4_611_224_849_825_545_164);
    }
}
