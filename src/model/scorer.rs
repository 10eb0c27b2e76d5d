//! A trained model at work: which of its findings stand.
//!
//! What stands is a function of the live records: a window is judged once it is over, as a whole, and again whenever a record
//! that its features read has changed. A window that reads days which are no longer retained is not judged any more; what was
//! found in it stands.

use super::budget::Decision;
use super::file::{Model, ModelFileError};
use super::finding::{self, Raised};
use super::left_out::LeftOut;
use super::observer::{FeatureRow, Observer};
use super::trained::{Judgement, Trained};
use crate::alert::AlertId;
use crate::alert::scored::FeatureContribution;
use crate::detect::Watch;
use crate::engine::Engine;
use crate::engine::observe::{EntityKind, Owner, Part};
use crate::record::{Day, Time};
use crate::rules::rule::Status;
use crate::timeline::held::FindingChange;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A trained model in an engine.
pub struct Scorer {
    trained: Trained,
    model: Model,
    version: Arc<str>,
    observer: Observer,
    /// The alerts that stand, by window.
    standing: BTreeMap<Day, BTreeSet<AlertId>>,
    /// What the budget has cut, by window; those with the greatest expected loss first.
    left_out: BTreeMap<Day, Vec<LeftOut>>,
    last: Option<Report>,
}

/// How a model sees the latest window.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The model's id.
    pub model: String,
    /// The first day of the window.
    pub window: Day,
    /// Entities that are raised.
    pub raised: usize,
    /// Entities as strange, that the budget has cut.
    pub cut: usize,
    /// The scores of all entities, in order.
    pub scores: Vec<f64>,
    /// The p-values of all entities, in order.
    pub p_values: Vec<f64>,
    /// How far each feature has moved since training.
    pub drift: Vec<(String, f64)>,
    /// What became of the entities of each group of peers.
    pub groups: BTreeMap<String, GroupCounts>,
    /// The most entities that the budget lets be raised.
    pub budget: usize,
    /// The institutions with the highest scores, [`TOP`] at most, the highest first; none of models of others.
    pub top: Vec<TopInstitution>,
    /// What the fund paid institutions against their own past, of the [`TOP`] with the most growth; none of models of others.
    pub growth: Vec<(String, f64)>,
}

/// Institutions that a report tells of by name.
pub const TOP: usize = 10;
/// Features that it tells of each: those that add most to its score.
const TOP_FEATURES: usize = 3;

/// What became of the entities of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupCounts {
    /// Entities that are raised.
    pub raised: usize,
    /// Entities as strange, that the budget has cut.
    pub cut: usize,
    /// Entities that are not strange enough.
    pub usual: usize,
}

impl GroupCounts {
    /// The counts with the words of metrics for them.
    pub fn by_decision(self) -> [(&'static str, usize); 3] {
        [(Decision::Raised, self.raised), (Decision::Cut, self.cut), (Decision::Usual, self.usual)]
            .map(|(decision, count)| (decision.word(), count))
    }
}

/// An institution with one of the highest scores.
#[derive(Debug, Clone, PartialEq)]
pub struct TopInstitution {
    /// `fixmedins_code`
    pub code: String,
    /// Its score.
    pub score: f64,
    /// Its p-value.
    pub p_value: f64,
    /// The features that add most to the score, the most first.
    pub features: Vec<FeatureContribution>,
}

impl Scorer {
    /// Puts a trained model to work.
    ///
    /// # Errors
    /// Its features cannot be computed by this program.
    pub fn new(trained: Trained) -> Result<Self, ModelFileError> {
        let model = Model::new(trained.model().clone(), Path::new(&trained.model().id))?;
        let version = trained.version().into();
        let (observer, standing) = (Observer::default(), BTreeMap::new());
        let left_out = BTreeMap::new();
        Ok(Self { trained, model, version, observer, standing, left_out, last: None })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The `rule_version` of its alerts.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether its alerts are not sent.
    pub fn is_in_shadow(&self) -> bool {
        self.model.file.status == Status::Shadow
    }

    /// What the engine must watch for it.
    pub fn watch(&self) -> Watch {
        self.model.watch()
    }

    /// How it sees the latest window; `None` before the first.
    pub fn last(&self) -> Option<&Report> {
        self.last.as_ref()
    }

    /// What its budget has cut in the windows that are retained, by window; those with the greatest expected loss first.
    pub fn left_out(&self) -> impl Iterator<Item = &LeftOut> {
        self.left_out.values().flatten()
    }

    /// How many entities in windows it holds.
    pub fn observed(&self) -> usize {
        self.observer.len()
    }

    /// Takes note of days that changed: see [`Engine::take_changed_days`].
    pub fn note(&mut self, days: &[(Owner, Day)]) {
        self.observer.note(&self.model, days);
    }

    /// Whether windows that have changed are not judged again yet, for want of time.
    pub fn is_behind(&self) -> bool {
        self.observer.is_behind()
    }

    /// Judges the windows that have changed, those for which there is time until a moment; `number` tells the model apart from
    /// the engine's others.
    pub fn judge(&mut self, engine: &Engine, number: u16, until: Option<Instant>) -> Vec<FindingChange> {
        let Some(reached) = engine.event_time().map(Time::day) else {
            return Vec::new();
        };
        let horizon = engine.horizon();
        if let Some(horizon) = horizon {
            self.observer.forget_before(horizon);
            self.standing = self.standing.split_off(&horizon);
            self.left_out = self.left_out.split_off(&horizon);
        }
        let due = self.observer.advance_until(&self.model, engine, reached, until);
        let mut windows: BTreeSet<Day> = due.iter().copied().collect();
        for start in due {
            // Later ones that read it.
            let later =
                self.observer.windows().filter(|later| *later > start && self.model.reads_from(*later) <= start);
            windows.extend(later);
        }
        // What is seen in part is judged when it is seen as a whole.
        windows.retain(|start| !self.observer.is_in_between(*start));
        windows.retain(|start| horizon.is_none_or(|horizon| self.model.reads_from(*start) >= horizon));
        windows.into_iter().flat_map(|start| self.judge_window(engine, start, number)).collect()
    }

    fn judge_window(&mut self, engine: &Engine, start: Day, number: u16) -> Vec<FindingChange> {
        let rows = self.observer.features(&self.model, start);
        let judgements =
            self.trained.judge(&rows).expect("the features are those of the model that it was trained with");
        let both = || rows.iter().zip(&judgements);
        let raised: Vec<(&FeatureRow, &Judgement)> =
            both().filter(|(_, judgement)| judgement.verdict.decision == Decision::Raised).collect();
        let parts: Vec<Part> = raised.iter().map(|(row, _)| self.part(row)).collect();
        let evidence = engine.costliest(self.model.file.entity, &parts);
        let mut changes = Vec::new();
        let mut standing = BTreeSet::new();
        for ((row, judgement), evidence) in raised.iter().zip(evidence) {
            let contributions = self.trained.explain(row).expect("as above");
            let own_past = self.observer.own_past(&self.model, start, &row.entity);
            let raised = Raised { row, judgement, contributions, own_past, evidence };
            let alert = finding::alert_id(&self.model, row);
            let finding = Arc::new(finding::write(&self.model, &self.version, raised));
            standing.insert(alert);
            changes.push(FindingChange { alert, finding: Some((number, finding)) });
        }
        let cut = both().filter(|(_, judgement)| judgement.verdict.decision == Decision::Cut);
        let mut left_out: Vec<LeftOut> =
            cut.map(|(row, judgement)| LeftOut::of(&self.model, &self.version, row, judgement)).collect();
        left_out.sort_by(|one, other| (other.expected_loss, &one.entity).cmp(&(one.expected_loss, &other.entity)));
        self.left_out.insert(start, left_out);
        let before = self.standing.insert(start, standing).unwrap_or_default();
        let gone = before.difference(&self.standing[&start]);
        changes.extend(gone.map(|alert| FindingChange { alert: *alert, finding: None }));
        // Of several windows only the latest is told of.
        if self.observer.windows().last() == Some(start) {
            self.last = Some(self.report(start, &rows, &judgements));
        }
        changes
    }

    fn part(&self, row: &FeatureRow) -> Part {
        let owner = match &row.institution {
            Some(institution) => Owner::Institution(institution.clone()),
            None => Owner::Person(row.entity.clone()),
        };
        Part { owner, entity: row.entity.clone(), from: row.start, to: self.model.file.window.end(row.start) }
    }

    fn report(&self, window: Day, rows: &[FeatureRow], judgements: &[Judgement]) -> Report {
        let count = |decision| judgements.iter().filter(|judgement| judgement.verdict.decision == decision).count();
        let sorted = |of: fn(&Judgement) -> f64| {
            let mut values: Vec<f64> = judgements.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let mut groups: BTreeMap<String, GroupCounts> = BTreeMap::new();
        for Judgement { group, verdict, .. } in judgements {
            let counts = groups.entry(group.clone()).or_default();
            match verdict.decision {
                Decision::Raised => counts.raised += 1,
                Decision::Cut => counts.cut += 1,
                Decision::Usual => counts.usual += 1,
            }
        }
        Report {
            model: self.model.file.id.clone(),
            window,
            raised: count(Decision::Raised),
            cut: count(Decision::Cut),
            scores: sorted(|judgement| judgement.score),
            p_values: sorted(|judgement| judgement.p),
            drift: self.trained.drift(rows),
            budget: self.model.file.budget.per_group * groups.len(),
            groups,
            top: self.top(window, rows, judgements),
            growth: self.growth(window, rows),
        }
    }

    /// The institutions with the highest scores; of equal ones the first by code.
    fn top(&self, window: Day, rows: &[FeatureRow], judgements: &[Judgement]) -> Vec<TopInstitution> {
        if self.model.file.entity != EntityKind::Institution {
            return Vec::new();
        }
        let mut both: Vec<(&FeatureRow, &Judgement)> = rows.iter().zip(judgements).collect();
        both.sort_by(|(_, one), (_, other)| other.score.total_cmp(&one.score));
        let tell = |(row, judgement): (&FeatureRow, &Judgement)| {
            let contributions = self.trained.explain(row).expect("as above");
            let own_past = self.observer.own_past(&self.model, window, &row.entity);
            let mut features = finding::beside_own_past(&self.model, contributions, &own_past);
            features.retain(|feature| feature.contribution > 0.0);
            features.truncate(TOP_FEATURES);
            TopInstitution { code: row.entity.clone(), score: judgement.score, p_value: judgement.p, features }
        };
        both.into_iter().take(TOP).map(tell).collect()
    }

    fn growth(&self, window: Day, rows: &[FeatureRow]) -> Vec<(String, f64)> {
        if self.model.file.entity != EntityKind::Institution {
            return Vec::new();
        }
        let growth =
            |row: &FeatureRow| Some((row.entity.clone(), self.observer.fund_growth(&self.model, window, &row.entity)?));
        let mut growths: Vec<(String, f64)> = rows.iter().filter_map(growth).collect();
        growths.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        growths.truncate(TOP);
        growths
    }
}
