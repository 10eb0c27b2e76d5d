//! Models in the engine: what they find goes into the same book of alerts as what rules find.

use super::Engine;
use crate::alert::Alert;
use crate::detect::Watch;
use crate::model::scorer::Scorer;
use crate::timeline::held::FindingChange;
use std::time::Instant;

impl Engine {
    /// Puts models to work, from the first record on.
    ///
    /// # Panics
    /// Where there are records already.
    pub fn use_models(&mut self, models: Vec<Scorer>) {
        if !models.is_empty() {
            self.watch(watch(&models));
        }
        self.models = models;
    }

    /// Whether models can be put in place of those at work: the engine keeps no more than the first ones needed.
    pub fn can_use(&self, models: &[Scorer]) -> bool {
        let needed = watch(models);
        (self.watch.institutions || !needed.institutions) && (self.watch.persons || !needed.persons)
    }

    /// Puts other models in place and judges all windows: alerts follow at once.
    ///
    /// # Panics
    /// Where the engine lacks what they need: see [`Engine::can_use`].
    pub fn replace_models(&mut self, models: Vec<Scorer>) -> Vec<Alert> {
        assert!(self.can_use(&models), "other models need other records");
        self.models = models;
        self.start_over()
    }

    /// Judges the windows that have changed, and returns the revisions of alerts that follow. How often it is called changes
    /// only what is open for a while.
    pub fn score(&mut self) -> Vec<Alert> {
        self.score_until(None)
    }

    /// Goes on with judging the windows that have changed, until a moment, and a little longer. See [`Engine::is_behind`].
    pub fn score_until(&mut self, until: Option<Instant>) -> Vec<Alert> {
        let changes = self.judge(until);
        let alerts = self.revise(changes);
        if !alerts.is_empty() {
            self.record(&alerts);
        }
        alerts
    }

    /// Whether there are windows left to be judged, for want of time.
    pub fn is_behind(&self) -> bool {
        self.models.iter().any(Scorer::is_behind)
    }

    /// The models at work.
    pub fn models(&self) -> &[Scorer] {
        &self.models
    }

    /// What models say of the windows that have changed.
    pub(super) fn judge(&mut self, until: Option<Instant>) -> Vec<FindingChange> {
        if self.models.is_empty() {
            return Vec::new();
        }
        let days = self.take_changed_days();
        let mut models = std::mem::take(&mut self.models);
        let mut changes = Vec::new();
        for (number, model) in (self.plan.rules.len()..).zip(&mut models) {
            model.note(&days);
            changes.extend(model.judge(self, u16::try_from(number).expect("fewer rules and models"), until));
        }
        self.models = models;
        changes
    }
}

fn watch(models: &[Scorer]) -> Watch {
    models.iter().map(Scorer::watch).fold(Watch::default(), |one, other| Watch {
        persons: one.persons || other.persons,
        institutions: one.institutions || other.institutions,
    })
}
