//! A model file: `models/<name>.toml`.

use super::budget::Budget;
use super::detector::{Detector, onnx};
use super::feature::{FeatureError, Features};
use super::peers::PeerRule;
use super::window::Window;
use crate::detect::Watch;
use crate::engine::observe::EntityKind;
use crate::record::Day;
use crate::rules::rule::{Bilingual, Severity, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the detector that is a model from elsewhere.
const ONNX: &str = "onnx";

/// What is wrong with a model file.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// It cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what a model file is.
    #[error("{}: {message}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and what, as the TOML parser says it.
        message: String,
    },
    /// A feature cannot be computed.
    #[error("{}: feature `{feature}`: {source}", path.display())]
    Feature {
        /// The file.
        path: PathBuf,
        /// Its name.
        feature: String,
        /// Why.
        source: FeatureError,
    },
    /// A value makes no sense.
    #[error("{}: {key}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Where.
        key: &'static str,
        /// What it must be.
        message: String,
    },
}

/// A model as its file says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// What alerts give as `rule_id`: letters, digits and `-`.
    pub id: String,
    /// What people read.
    pub name: Name,
    /// Who is looked at.
    pub entity: EntityKind,
    /// Over which days.
    pub window: Window,
    /// Days after the end of a window before it is looked at: records come late. What comes later than 72 hours is late (DQ-04).
    #[serde(default = "default_grace")]
    pub grace_days: u16,
    /// How many windows before this one `past_…` columns look at; their median counts.
    #[serde(default = "default_history")]
    pub history: u16,
    /// SQL over the columns of aggregates: an entity is looked at in a window only where it is true. A share of few records says
    /// nothing.
    #[serde(default)]
    pub enough: Option<String>,
    /// SQL over the columns of aggregates, by name; in the order of the file.
    pub features: toml::Table,
    /// Who is looked at beside whom.
    #[serde(default)]
    pub peers: PeerRule,
    /// The detector: see `docs/detectors.md`.
    #[serde(default = "default_detector")]
    pub detector: String,
    /// With the detector `onnx`: a model that was trained elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onnx: Option<onnx::Source>,
    /// How much may be told of.
    #[serde(default)]
    pub budget: Budget,
    /// Whether its alerts are sent, or counted and stored only.
    #[serde(default = "default_status")]
    pub status: Status,
    /// How grave its alerts are.
    #[serde(default = "default_severity")]
    pub severity: Severity,
    /// Keys of the law that its alerts refer to: those of `knowledge/legal_basis.csv` of the rules.
    #[serde(default)]
    pub legal_basis: Vec<String>,
    /// What people read instead of a feature's name.
    #[serde(default)]
    pub labels: BTreeMap<String, Name>,
}

/// A name in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl From<Name> for Bilingual {
    fn from(Name { zh, en }: Name) -> Self {
        Self { zh, en }
    }
}

fn default_detector() -> String {
    "combined".to_owned()
}

fn default_status() -> Status {
    Status::Live
}

fn default_severity() -> Severity {
    Severity::Medium
}

fn default_grace() -> u16 {
    3
}

fn default_history() -> u16 {
    8
}

/// A model that can be computed.
pub struct Model {
    /// As its file says it.
    pub file: ModelFile,
    /// Its features, compiled.
    pub features: Features,
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong.
    pub fn read(path: &Path) -> Result<Self, ModelFileError> {
        let text = fs::read_to_string(path).map_err(|source| ModelFileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Parses the text of a model file; `path` is for messages.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ModelFileError> {
        let form = |error: toml::de::Error| ModelFileError::Form { path: path.to_owned(), message: error.to_string() };
        Self::new(toml::from_str(text).map_err(form)?, path)
    }

    /// Compiles a model; `path` is for messages.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn new(file: ModelFile, path: &Path) -> Result<Self, ModelFileError> {
        let path = || path.to_owned();
        let value = |key, message: &str| ModelFileError::Value { path: path(), key, message: message.to_owned() };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if file.id.is_empty() || !file.id.bytes().all(plain) {
            return Err(value("id", "must be of letters, digits and -, for example `STA-11`"));
        }
        if let Window::Rolling { days, step } = file.window
            && !(1 <= step && step <= days && days <= 400)
        {
            return Err(value("window", "days must be 1 to 400, and step 1 to days"));
        }
        if !(1..=60).contains(&file.history) {
            return Err(value("history", "must be 1 to 60 windows"));
        }
        match (file.detector.as_str(), &file.onnx) {
            (ONNX, Some(_)) => {}
            (ONNX, None) => return Err(value("onnx", "must say the file: [onnx] file = \"own.onnx\"")),
            (_, Some(_)) => return Err(value("onnx", "goes with detector = \"onnx\"")),
            (name, None) if Detector::named(name).is_some() => {}
            _ => {
                let names: Vec<&str> = Detector::all().into_iter().map(|(name, _)| name).chain([ONNX]).collect();
                return Err(value("detector", &format!("must be one of {}", names.join(", "))));
            }
        }
        if !(file.budget.q > 0.0 && file.budget.q < 1.0) {
            return Err(value("budget", "q must be between 0 and 1"));
        }
        if file.features.is_empty() {
            return Err(value("features", "must have one at least: name = \"SQL\""));
        }
        if let Some(unknown) = file.labels.keys().find(|name| !file.features.contains_key(*name)) {
            return Err(value("labels", &format!("`{unknown}` is no feature")));
        }
        if !matches!(file.status, Status::Live | Status::Shadow) {
            return Err(value("status", "must be live or shadow"));
        }
        let mut sql = Vec::new();
        for (name, expression) in &file.features {
            let Some(expression) = expression.as_str() else {
                return Err(value("features", &format!("`{name}` must be a text of SQL")));
            };
            sql.push((name.as_str(), expression));
        }
        let features = Features::new(&sql, file.enough.as_deref())
            .map_err(|(feature, source)| ModelFileError::Feature { path: path(), feature, source })?;
        Ok(Self { file, features })
    }

    /// The starts of the windows before one that its history has, latest first.
    pub fn before(&self, start: Day) -> impl Iterator<Item = Day> + use<'_> {
        let before = move |start: &Day| Some(self.file.window.before(*start));
        std::iter::successors(Some(start), before).skip(1).take(usize::from(self.file.history))
    }

    /// The first day that is read for a window: alerts give the medians of features over the windows before, which may
    /// themselves look at windows before them.
    pub fn reads_from(&self, start: Day) -> Day {
        let past = |start: Day| self.before(start).last().unwrap_or(start);
        let first = if self.features.read_past() { past(past(start)) } else { past(start) };
        Day(first.0 - self.features.days_before())
    }

    /// The most days from the first one that features of a window read to the one on which it is judged.
    pub fn days_needed(&self) -> i32 {
        // Months differ in length: over four years all of them have come.
        let starts = (20_454..20_454 + 1_461).filter_map(|day| self.file.window.starts(Day(day)).last());
        let needed =
            |start: Day| self.file.window.end(start).0 + i32::from(self.file.grace_days) - self.reads_from(start).0;
        starts.map(needed).max().unwrap_or(0)
    }

    /// What the engine must watch for it.
    pub fn watch(&self) -> Watch {
        let persons = self.file.entity == EntityKind::Person;
        Watch { persons, institutions: !persons }
    }
}
