//! What each queued job sends: the lines of visits, stays, stock movements, dirt and planted cases.

use super::Simulator;
use super::bill::{Detail, Ident};
use super::calendar::{DAY, HOUR, MINUTE, day_of};
use super::json::Form;
use super::notices::{self, Movement};
use super::stay::{Stay, StayStep};
use super::traffic::{Job, LineKind, Sending, Tray};
use super::visit::{Visit, VisitKind, compose};
use super::{dirt, random::Rng};

impl Simulator {
    /// Does a job; true when it appended a line.
    pub(super) fn run(&mut self, at: i64, job: Job, out: &mut Vec<u8>) -> bool {
        match job {
            Job::Visit(visit, sending) => self.send_visit(at, visit, sending, out),
            Job::FollowOn { person, place } => {
                self.sale(person, place, at);
                return false;
            }
            Job::Stay(stay, step) => return self.run_stay(at, stay, step, out),
            Job::StayDetails { stay, day, again } => {
                self.fill_tray(at, &stay, day, again);
                return false;
            }
            Job::Mistake { mut stay, cancel } => {
                stay.ward.mdtrt.serial += 1;
                if cancel {
                    notices::cancel(&mut self.pen, out, &self.city, "admission_cancel", &stay.ward, at, at);
                } else {
                    notices::admission(&mut self.pen, out, &self.city, &stay.ward, at);
                    stay.ward.mdtrt.serial -= 1;
                    let cancelled = at + self.rng.between(10 * MINUTE, HOUR);
                    self.push(cancelled, Job::Mistake { stay, cancel: true });
                }
                self.summary.stay_lines += 1;
            }
            Job::Stock(movement) => {
                notices::inventory(&mut self.pen, out, &self.city, &movement, at);
                self.summary.inventory += 1;
            }
            Job::Dirt(seed) => {
                let serial = self.take_serials(1);
                dirt::write(&mut self.pen, out, &self.city, &mut Rng::new(seed), serial, at);
                self.summary.dead_letters += 1;
            }
            Job::Line { text, kind, again } => {
                out.extend_from_slice(&text);
                self.summary.redelivered += u64::from(again);
                match kind {
                    LineKind::Settlement { details, refund } => {
                        self.summary.settlements += 1;
                        self.summary.refunds += u64::from(refund);
                        self.summary.embedded_details += u64::from(details);
                    }
                    LineKind::Detail => self.summary.detail_lines += 1,
                    LineKind::Stay => self.summary.stay_lines += 1,
                }
            }
        }
        true
    }

    fn send_visit(&mut self, at: i64, visit: Visit, sending: Sending, out: &mut Vec<u8>) {
        let mut details = std::mem::take(&mut self.details);
        compose(&self.city, &visit, &mut self.bill, &mut details);
        let mut form = Form::Normal;
        match sending {
            Sending::Normal => self.stock_sale(at, &visit, &details),
            Sending::Again => self.summary.redelivered += 1,
            Sending::Revised => {
                let blank = Visit { revised: false, ..visit };
                compose(&self.city, &blank, &mut self.bill, &mut details);
                self.bill.updated = at;
            }
            Sending::Refund { time, linked } => {
                form = Form::Refund { of: self.bill.setl, linked };
                self.bill.setl = visit.ident(1);
                self.bill.time = time;
                self.bill.updated = time;
                details.clear();
                self.summary.refunds += 1;
            }
            Sending::Anew { time } => {
                self.bill.setl = visit.ident(2);
                self.bill.time = time;
                self.bill.updated = time + 2;
            }
        }
        self.pen.settlement(out, &self.city, &self.bill, &details, form, at);
        self.summary.settlements += 1;
        self.summary.embedded_details += details.len() as u64;
        self.details = details;
    }

    /// A third of the pharmacies' sales come with the stock record of their first drug.
    fn stock_sale(&mut self, at: i64, visit: &Visit, details: &[Detail]) {
        if visit.kind != VisitKind::Pharmacy || !visit.seed.is_multiple_of(3) {
            return;
        }
        let Some(detail) = details.first() else { return };
        let movement = Movement {
            place: visit.place,
            item: detail.item,
            batch: Ident { day: day_of(at), serial: self.take_serials(1) },
            time: visit.time,
            count: detail.count,
            sale: Some((visit.ident(0), visit.person)),
        };
        let at = at + self.rng.between(1, 90);
        self.push(at, Job::Stock(movement));
    }

    fn run_stay(&mut self, at: i64, stay: Box<Stay>, number: u16, out: &mut Vec<u8>) -> bool {
        let Some((step, time)) = stay.step(number) else { return false };
        if self.end.is_some_and(|end| time >= end) {
            return false;
        }
        let sent = match step {
            StayStep::Admission => {
                notices::admission(&mut self.pen, out, &self.city, &stay.ward, at);
                self.summary.stay_lines += 1;
                true
            }
            StayStep::Round(day, round) => {
                let check = stay.check(day, round, time);
                notices::presence(&mut self.pen, out, &self.city, &stay.ward, &check, at);
                self.summary.stay_lines += 1;
                true
            }
            StayStep::Details(day) => {
                let delay = match self.rng.below(1000) {
                    0..15 if self.dirty => self.rng.between(HOUR, 3 * DAY),
                    _ => 0,
                };
                if delay > 0 {
                    self.push(at + delay, Job::StayDetails { stay: stay.clone(), day, again: false });
                } else {
                    self.fill_tray(at, &stay, day, false);
                    if self.dirty && self.rng.chance(6) {
                        let again = at + self.rng.between(20, 900);
                        self.push(again, Job::StayDetails { stay: stay.clone(), day, again: true });
                    }
                }
                false
            }
            StayStep::Discharge => {
                notices::discharge(&mut self.pen, out, &self.city, &stay.ward, time, at);
                self.summary.stay_lines += 1;
                true
            }
            StayStep::Settlement => {
                let mut details = std::mem::take(&mut self.details);
                let bill = stay.settlement(&self.city, &mut details);
                self.pen.settlement(out, &self.city, &bill, &details, Form::Normal, at);
                self.summary.settlements += 1;
                self.summary.embedded_details += details.iter().filter(|detail| !detail.erroneous).count() as u64;
                self.details = details;
                true
            }
        };
        if let Some((_, next)) = stay.step(number + 1) {
            let jitter = (stay.seed >> (number % 50)) as i64 & 31;
            self.push(at.max(next + 1 + jitter), Job::Stay(stay, number + 1));
        }
        sent
    }

    fn fill_tray(&mut self, at: i64, stay: &Stay, day: i64, again: bool) {
        let mut details = Vec::new();
        stay.compose_day(&self.city, day, &mut details);
        // As last changed at the ward in the evening, whenever it is uploaded.
        let updated = details.iter().map(|detail| detail.time).max().unwrap_or(at) + 5;
        self.tray = Some(Tray { at, bill: stay.bill(), details, next: 0, updated, again, deletes: 0 });
    }

    /// Sends the next detail that lies in the tray.
    pub(super) fn send_from_tray(&mut self, out: &mut Vec<u8>) -> Option<i64> {
        let tray = self.tray.as_mut()?;
        let at = tray.at;
        if let Some(detail) = tray.details.get(tray.next) {
            self.pen.unsettled(out, &self.city, &tray.bill, detail, tray.updated, at);
            tray.next += 1;
            self.summary.detail_lines += 1;
            self.summary.redelivered += u64::from(tray.again);
            return Some(at);
        }
        let erroneous = tray.details.iter().filter(|detail| detail.erroneous).nth(tray.deletes).copied();
        if let Some(detail) = erroneous.filter(|_| !tray.again) {
            let visit = (tray.bill.place, tray.bill.mdtrt);
            let deleted = tray.updated + 60;
            notices::delete(&mut self.pen, out, &self.city, visit, Some(detail.serial), deleted, at);
            tray.deletes += 1;
            self.summary.stay_lines += 1;
            return Some(at);
        }
        self.tray = None;
        None
    }
}
