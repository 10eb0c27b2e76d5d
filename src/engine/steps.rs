//! The steps of a batch. Each runs over all shards in parallel and ends before the next begins; between them
//! mail is handed over.

use super::Engine;
use crate::detect::World;
use crate::live::checks::{CheckNews, Checks};
use crate::live::settlements::{Paired, RefundChange, Refunder, SettlementChange, Settlements, VisitNews};
use crate::live::visits::{StayChange, VisitInput, VisitMail};
use crate::live::{Mail, Receipts};
use crate::record::decode::{Bad, Decoded, decode};
use crate::record::{Batch, Day, InstitutionId, SettlementId, VisitId};
use crate::timeline::held::FindingChange;
use crate::timeline::shard::{News, TimelineShard};
use rayon::prelude::*;
use std::ops::Range;

/// The least messages that are worth a thread of their own.
const LEAST_CHUNK: usize = 64;

/// Hands mail over: from a list by sender of lists by receiver to a list by receiver.
fn deliver<M: Send>(sent: Vec<Mail<M>>, shards: usize) -> Mail<M> {
    let mut delivered: Mail<M> = (0..shards).map(|_| Vec::new()).collect();
    for mail in sent {
        for (inbox, mut letters) in delivered.iter_mut().zip(mail) {
            if inbox.is_empty() {
                *inbox = letters;
            } else {
                inbox.append(&mut letters);
            }
        }
    }
    delivered
}

/// The threads that steps run on.
pub(super) struct Workers {
    pub pool: rayon::ThreadPool,
    /// Whether the calling thread does all by itself: in a small batch every step would wait longer for the others to
    /// wake up, on a busy machine for milliseconds, than it takes.
    alone: bool,
    least_shared: usize,
}

impl Workers {
    pub fn new(pool: rayon::ThreadPool, least_shared: usize) -> Self {
        Self { pool, alone: false, least_shared }
    }

    /// Settles who works, for a batch of so many messages.
    pub fn share(&mut self, messages: usize) {
        self.alone = messages < self.least_shared;
    }

    /// Runs `step` for every shard, each with what it owns and what it is given; in parallel where there are
    /// several.
    pub fn each<T: Send, I: Send, O: Send>(
        &self,
        owned: &mut [T],
        given: Vec<I>,
        step: impl Fn(usize, &mut T, I) -> O + Sync,
    ) -> Vec<O> {
        if self.alone || owned.len() == 1 {
            let both = owned.iter_mut().zip(given).enumerate();
            return both.map(|(shard, (owned, given))| step(shard, owned, given)).collect();
        }
        self.pool.install(|| {
            let both = owned.par_iter_mut().zip(given).enumerate();
            both.map(|(shard, (owned, given))| step(shard, owned, given)).collect()
        })
    }
}

impl Engine {
    /// Decodes a batch, in as many parts as there are threads.
    pub fn decode(&self, batch: &Batch) -> Vec<Decoded> {
        let messages = batch.messages.len();
        let window = self.time.window();
        let chunk = messages.div_ceil(self.workers.pool.current_num_threads()).max(LEAST_CHUNK);
        if messages <= chunk || self.workers.alone {
            return vec![decode(batch, 0..messages, window, &self.ids)];
        }
        let starts: Vec<usize> = (0..messages).step_by(chunk).collect();
        self.workers.pool.install(|| {
            starts
                .into_par_iter()
                .map(|start| decode(batch, start..(start + chunk).min(messages), window, &self.ids))
                .collect()
        })
    }

    /// Takes decoded records into the live records and timelines, and evaluates what changed.
    pub fn advance(&mut self, lines: usize, decoded: Vec<Decoded>) -> (Vec<FindingChange>, Vec<Bad>) {
        let receipts = Receipts::new(lines);
        self.time.advance(decoded.iter().filter_map(|part| part.latest).max());
        let (changes, mail) = self.receive(&decoded, &receipts);
        let findings = self.evaluate(&changes, mail);
        self.count(lines, &decoded, &receipts);
        (findings, decoded.into_iter().flat_map(|part| part.bad).collect())
    }

    /// Takes decoded records into the live records.
    pub(super) fn receive(
        &mut self,
        decoded: &[Decoded],
        receipts: &Receipts,
    ) -> (Vec<SettlementChange>, Vec<VisitMail>) {
        let (changes, rechecks, checks) = self.settle(decoded, receipts);
        let funds = self.funds(&changes);
        let mail = self.receive_visits(decoded, rechecks, checks, funds, receipts);
        self.workers.each(&mut self.inventory, (0..self.ids.shards()).collect(), |_, shard, number| {
            for part in decoded {
                shard.receive(&part.inventory[number], &self.ids, receipts);
            }
        });
        (changes, mail)
    }

    /// Settlements and checks: what is live of them now.
    #[allow(clippy::type_complexity)]
    fn settle(
        &mut self,
        decoded: &[Decoded],
        receipts: &Receipts,
    ) -> (Vec<SettlementChange>, Mail<(VisitId, SettlementId)>, Mail<CheckNews>) {
        let (ids, plan, shards) = (&*self.ids, &*self.plan, self.ids.shards());
        let numbers = || (0..shards).collect::<Vec<usize>>();
        let received = self.workers.each(&mut self.settlements, numbers(), |_, shard, number| {
            let mut sent: Vec<(Mail<Refunder>, Mail<VisitNews>)> = Vec::new();
            for part in decoded {
                sent.push(shard.receive(&part.settlements[number], plan, ids, receipts));
            }
            let (refunders, news): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
            (deliver(refunders, shards), deliver(news, shards))
        });
        let (refunders, mut news): (Vec<_>, Vec<_>) = received.into_iter().unzip();
        let refunders = deliver(refunders, shards);
        news.extend(
            self.workers.each(&mut self.settlements, refunders, |_, shard, mail| shard.name_refunds(mail, ids)),
        );
        let settlements = Settlements { shards: &self.settlements, ids };
        let paired: Vec<Mail<Paired>> =
            self.workers.each(&mut self.visits, deliver(news, shards), |_, shard, mail| shard.pair(mail, settlements));
        let settled =
            self.workers.each(&mut self.settlements, deliver(paired, shards), |_, shard, mail| shard.settle(mail, ids));
        let (mut changes, mut refunds, mut rechecks) = (Vec::new(), Vec::new(), Vec::new());
        for settled in settled {
            changes.push(settled.changes);
            refunds.extend(settled.refunds);
            rechecks.push(settled.rechecks);
        }
        self.note_refunds(&refunds);
        let ids = &*self.ids;
        let checks = self.workers.each(&mut self.checks, numbers(), |_, shard, number| {
            let sent = decoded.iter().map(|part| shard.receive(&part.presences[number], ids, receipts));
            deliver(sent.collect(), shards)
        });
        (changes.into_iter().flatten().collect(), deliver(rechecks, shards), deliver(checks, shards))
    }

    /// Tells the timelines of institutions of refunds, which models count.
    fn note_refunds(&mut self, refunds: &[RefundChange]) {
        if !self.watch.institutions {
            return;
        }
        for change in refunds {
            for (at, is_after) in [(change.before, false), (change.after, true)] {
                let Some(at) = at else { continue };
                let shard = self.ids.institutions.shard_of(at.0.0);
                self.timelines[shard].note_refund(change, at, is_after);
            }
        }
    }

    /// The visits whose live settlements changed.
    fn funds(&self, changes: &[SettlementChange]) -> Mail<VisitId> {
        let mut funds = crate::live::mail(&self.ids);
        for change in changes {
            let sides = change.before.iter().chain(&change.after).map(|side| side.row.mdtrt_id);
            let mut last = VisitId::ABSENT;
            for visit in sides {
                if visit != last {
                    funds[self.ids.visits.shard_of(visit.0)].push(visit);
                }
                last = visit;
            }
        }
        funds
    }

    fn receive_visits(
        &mut self,
        decoded: &[Decoded],
        rechecks: Mail<(VisitId, SettlementId)>,
        checks: Mail<CheckNews>,
        funds: Mail<VisitId>,
        receipts: &Receipts,
    ) -> Vec<VisitMail> {
        let ids = &*self.ids;
        let settlements = Settlements { shards: &self.settlements, ids };
        let all_checks = Checks { shards: &self.checks, ids };
        let inputs: Vec<_> = rechecks.into_iter().zip(checks).zip(funds).enumerate().collect();
        let mut mail =
            self.workers.each(&mut self.visits, inputs, |_, shard, (number, ((rechecks, checks), funds))| {
                let input = VisitInput {
                    details: decoded.iter().map(|part| &part.details[number]).collect(),
                    deletes: decoded.iter().map(|part| &part.deletes[number]).collect(),
                    admissions: decoded.iter().map(|part| &part.admissions[number]).collect(),
                    discharges: decoded.iter().map(|part| &part.discharges[number]).collect(),
                    admission_cancels: decoded.iter().map(|part| &part.admission_cancels[number]).collect(),
                    discharge_cancels: decoded.iter().map(|part| &part.discharge_cancels[number]).collect(),
                    rechecks,
                    checks,
                    funds,
                    now: self.time.reached(),
                };
                shard.receive(&input, &self.plan, settlements, all_checks, receipts)
            });
        let named = mail.iter_mut().map(|mail| std::mem::take(&mut mail.named)).collect();
        let named = deliver(named, ids.shards());
        if named.iter().any(|letters| !letters.is_empty()) {
            self.workers.each(&mut self.settlements, named, |_, shard, mail| shard.name_visits(mail));
        }
        mail
    }

    /// Tells the timelines what changed and evaluates the rules.
    fn evaluate(&mut self, changes: &[SettlementChange], mail: Vec<VisitMail>) -> Vec<FindingChange> {
        self.tell(changes, mail, |number, shard, news, world| shard.evaluate(number, &news, world))
    }

    /// Tells the timelines what changed.
    fn tell(
        &mut self,
        changes: &[SettlementChange],
        mail: Vec<VisitMail>,
        step: impl Fn(usize, &mut TimelineShard, News<'_>, &World<'_>) -> Vec<FindingChange> + Sync,
    ) -> Vec<FindingChange> {
        let ids = &*self.ids;
        let shards = ids.shards();
        let mut stays: Vec<StayChange> = Vec::new();
        let (mut days, mut items, mut funds, mut deaths) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for mail in mail {
            days.push(mail.days);
            items.push(mail.items);
            funds.push(mail.funds);
            deaths.push(mail.deaths);
            stays.extend(mail.stays);
        }
        let (days, items) = (deliver(days, shards), deliver(items, shards));
        let mut changed: Mail<(InstitutionId, Day)> = crate::live::mail(ids);
        if self.watch.institutions {
            for (_, institution, time) in items.iter().flatten() {
                changed[ids.institutions.shard_of(institution.0)].push((*institution, time.day()));
            }
        }
        let (funds, deaths) = (deliver(funds, shards), deliver(deaths, shards));
        let mut news: Vec<News<'_>> = days
            .into_iter()
            .zip(items)
            .zip(funds.into_iter().zip(deaths))
            .zip(changed)
            .zip(&self.visits)
            .map(|((((days, items), (funds, deaths)), changed), visits)| News {
                days,
                items,
                funds,
                deaths,
                changed,
                visits: visits.opened(),
                ..News::default()
            })
            .collect();
        // A change concerns the owners of both of its sides, each once.
        let once = |owners: &mut dyn Iterator<Item = usize>| {
            let first = owners.next();
            let second = owners.next().filter(|second| Some(*second) != first);
            first.into_iter().chain(second)
        };
        for change in changes {
            let sides = || change.before.iter().chain(&change.after);
            for shard in once(&mut sides().map(|side| ids.persons.shard_of(side.row.psn_no.0))) {
                news[shard].settlements.push(change);
            }
            if !self.plan.institution.is_empty() || self.watch.institutions {
                for shard in once(&mut sides().map(|side| ids.institutions.shard_of(side.row.fixmedins_code.0))) {
                    news[shard].sales.push(change);
                }
            }
        }
        for change in &stays {
            let sides = || change.before.iter().chain(&change.after);
            for shard in once(&mut sides().map(|stay| ids.persons.shard_of(stay.person.0))) {
                news[shard].stays.push(change);
            }
            for shard in once(&mut sides().map(|stay| ids.institutions.shard_of(stay.institution.0))) {
                news[shard].bed_stays.push(change);
            }
        }
        let world = World::new(&self.plan, &self.settlements, &self.visits, ids, self.watch);
        let found =
            self.workers.each(&mut self.timelines, news, |number, shard, news| step(number, shard, news, &world));
        found.into_iter().flatten().collect()
    }

    fn count(&mut self, lines: usize, decoded: &[Decoded], receipts: &Receipts) {
        let dead: usize = decoded.iter().map(|part| part.bad.len()).sum();
        let fresh = receipts.fresh();
        self.totals.records_in += lines as u64;
        self.totals.processed += fresh;
        self.totals.dead_lettered += dead as u64;
        self.totals.redelivered += lines as u64 - dead as u64 - fresh;
        self.totals.revisions += receipts.revisions();
        for part in decoded {
            self.totals.embedded += part.embedded;
            self.totals.future += part.future;
            for (total, count) in self.totals.by_type.iter_mut().zip(part.counts) {
                *total += count;
            }
        }
    }

    /// Evaluates the filters of the rules in place on all records, a part of them at a time.
    pub(super) fn refilter(&mut self) {
        let (ids, plan) = (self.ids.clone(), self.plan.clone());
        for part in parts(self.settlements.iter().map(|shard| shard.places()).max()) {
            let given = vec![part; ids.shards()];
            self.workers.each(&mut self.settlements, given, |_, shard, part| shard.refilter(part, &plan, &ids));
        }
        for part in parts(self.visits.iter().map(|shard| shard.places()).max()) {
            let given = vec![part; ids.shards()];
            self.workers.each(&mut self.visits, given, |number, shard, part| shard.refilter(part, &plan, &ids, number));
        }
    }

    /// Builds all timelines again from the live records, under the rules in place, a part of the records at a time.
    pub(super) fn rebuild(&mut self) -> Vec<FindingChange> {
        let ids = self.ids.clone();
        let shards = ids.shards();
        self.timelines = (0..shards).map(|_| TimelineShard::default()).collect();
        for part in parts(self.settlements.iter().map(|shard| shard.places()).max()) {
            let given = vec![part.clone(); shards];
            let changes = self.workers.each(&mut self.settlements, given, |_, shard, part| shard.retell(part));
            let changes: Vec<SettlementChange> = changes.into_iter().flatten().collect();
            let refunds: Vec<RefundChange> =
                self.settlements.iter().flat_map(|shard| shard.refunds(part.clone())).collect();
            self.note_refunds(&refunds);
            // Keys are evaluated once everything they read is there.
            self.tell(&changes, Vec::new(), |number, shard, news, world| {
                shard.gather(number, &News { visits: &[], ..news }, world)
            });
        }
        let mut findings = Vec::new();
        for part in parts(self.visits.iter().map(|shard| shard.places()).max()) {
            let given = vec![part; shards];
            let visits =
                self.workers.each(&mut self.visits, given, |number, shard, part| shard.retell(part, &ids, number));
            let all = |visits: Vec<VisitId>| visits.into_iter().map(|visit| (visit, SettlementId::ABSENT)).collect();
            let rechecks = visits.into_iter().map(all).collect();
            let (checks, funds) = (crate::live::mail(&ids), crate::live::mail(&ids));
            let mail = self.receive_visits(&[], rechecks, checks, funds, &Receipts::new(0));
            findings.extend(self.tell(&[], mail, |number, shard, news, world| shard.gather(number, &news, world)));
        }
        findings.extend(self.tell(&[], Vec::new(), |_, shard, _, world| {
            let mut findings = Vec::new();
            shard.evaluate_gathered(world, &mut findings);
            findings
        }));
        findings
    }
}

/// The places up to the end of the longest shard, in parts that are looked at at once.
fn parts(end: Option<usize>) -> impl Iterator<Item = Range<usize>> {
    const PART: usize = 4_096;
    (0..end.unwrap_or(0)).step_by(PART).map(|start| start..start + PART)
}
