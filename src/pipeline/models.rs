//! Models beside the rules: when windows are judged, and when other models are taken.

use super::Pipeline;
use crate::config;
use crate::model::folder::{FolderError, Models};
use crate::model::scorer::Scorer;
use anyhow::{Context as _, bail};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// For how long windows are judged at a time, while batches wait.
const AT_A_TIME: Duration = Duration::from_millis(10);

/// The models of a pipeline, with what is due next.
pub struct ModelKeeper {
    models: Models,
    /// Days that the engine retains; `None`: all.
    retained: Option<u32>,
    interval: Duration,
    next: Instant,
    reload_interval: Duration,
    next_look: Instant,
}

impl ModelKeeper {
    /// Reads the models of a configuration; `None` where it has none.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn of_config(config: &config::Config) -> anyhow::Result<Option<Self>> {
        let Some(dir) = &config.models.dir else {
            return Ok(None);
        };
        let models = Models::read(dir).context("the models cannot be used")?;
        let retained = config.engine.retention.0;
        for model in models.scorers() {
            if let Some(reason) = too_far_back(&model, retained) {
                bail!("the models cannot be used: {reason}");
            }
        }
        let (interval, reload_interval) = (config.models.interval, config.models.reload_interval);
        let (next, next_look) = (Instant::now() + interval, Instant::now() + reload_interval);
        Ok(Some(Self { models, retained, interval, next, reload_interval, next_look }))
    }

    /// The models, to be put to work.
    pub fn scorers(&self) -> Vec<Scorer> {
        self.models.scorers()
    }

    /// Other models, where there are some and they can be used; what is wrong is told once for each state of the files.
    fn poll(&mut self, can_use: impl Fn(&[Scorer]) -> bool) -> Option<Result<Vec<Scorer>, String>> {
        let models = match self.models.poll() {
            None => return None,
            Some(Err(error)) => return Some(Err(words(&error))),
            Some(Ok(models)) => models,
        };
        let scorers = models.scorers();
        if let Some(reason) = scorers.iter().find_map(|model| too_far_back(model, self.retained)) {
            return Some(Err(reason));
        }
        if !can_use(&scorers) {
            return Some(Err("they look at persons or institutions, which none did at the start: restart".to_owned()));
        }
        Some(Ok(scorers))
    }
}

/// An error with its causes.
fn words(error: &FolderError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

/// Why a model would never judge anything: what its features read is gone when a window is over.
fn too_far_back(model: &Scorer, retained: Option<u32>) -> Option<String> {
    let needed = model.model().days_needed();
    let retained = i32::try_from(retained?).unwrap_or(i32::MAX);
    (retained < needed).then(|| {
        let id = &model.model().file.id;
        format!("{id} looks back {needed} days, but engine.retention keeps {retained}")
    })
}

impl Pipeline {
    /// Judges windows and takes other models as they are due. Returns whether to go on.
    pub(super) fn keep_models(&mut self, now: Instant) -> anyhow::Result<bool> {
        let Some(keeper) = self.models.as_mut().filter(|_| self.warm_up.is_none()) else {
            return Ok(true);
        };
        if !keeper.reload_interval.is_zero() && now >= keeper.next_look {
            keeper.next_look = now + keeper.reload_interval;
            let engine = &self.engine;
            match keeper.poll(|models| engine.can_use(models)) {
                None => {}
                Some(Ok(models)) => {
                    let alerts = self.engine.replace_models(models);
                    info!(alerts = alerts.len(), models = self.engine.models().len(), "other models are at work");
                    self.publisher.models(&self.engine, Some(true));
                    return self.send(alerts, Vec::new());
                }
                Some(Err(reason)) => {
                    warn!("the models on disk are not taken, the old ones stay at work: {reason}");
                    self.publisher.models(&self.engine, Some(false));
                }
            }
        }
        if now < self.models.as_ref().map_or(now, |keeper| keeper.next) {
            return Ok(true);
        }
        self.judge_windows(Some(now + AT_A_TIME))
    }

    /// Judges the windows that have changed, those for which there is time until a moment. Returns whether to go on.
    pub(super) fn judge_windows(&mut self, until: Option<Instant>) -> anyhow::Result<bool> {
        let Some(keeper) = &mut self.models else {
            return Ok(true);
        };
        let alerts = self.engine.score_until(until);
        if self.engine.is_behind() {
            // It goes on after the next batch.
            keeper.next = Instant::now();
        } else {
            keeper.next = Instant::now() + keeper.interval;
            self.publisher.models(&self.engine, None);
        }
        if alerts.is_empty() { Ok(true) } else { self.send(alerts, Vec::new()) }
    }
}
