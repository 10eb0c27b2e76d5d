//! A model file: `models/<name>.toml`.

use super::budget::Budget;
use super::detector::Detector;
use super::feature::{FeatureError, Features};
use super::peers::PeerRule;
use super::window::Window;
use crate::detect::Watch;
use crate::engine::observe::EntityKind;
use crate::rules::rule::Bilingual;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

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
    /// Days after the end of a window before it is looked at: records come late.
    #[serde(default = "default_grace")]
    pub grace_days: u16,
    /// How many windows before this one `past_…` columns look at; their median counts.
    #[serde(default = "default_history")]
    pub history: u16,
    /// SQL over the columns of aggregates, by name; in the order of the file.
    pub features: toml::Table,
    /// Who is looked at beside whom.
    #[serde(default)]
    pub peers: PeerRule,
    /// The detector: see `docs/detectors.md`.
    #[serde(default = "default_detector")]
    pub detector: String,
    /// How much may be told of.
    #[serde(default)]
    pub budget: Budget,
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

fn default_grace() -> u16 {
    1
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
        let path = || path.to_owned();
        let file: ModelFile =
            toml::from_str(text).map_err(|error| ModelFileError::Form { path: path(), message: error.to_string() })?;
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
        if Detector::named(&file.detector).is_none() {
            let names: Vec<&str> = Detector::all().into_iter().map(|(name, _)| name).collect();
            return Err(value("detector", &format!("must be one of {}", names.join(", "))));
        }
        if !(file.budget.q > 0.0 && file.budget.q < 1.0) {
            return Err(value("budget", "q must be between 0 and 1"));
        }
        if file.features.is_empty() {
            return Err(value("features", "must have one at least: name = \"SQL\""));
        }
        let mut sql = Vec::new();
        for (name, expression) in &file.features {
            let Some(expression) = expression.as_str() else {
                return Err(value("features", &format!("`{name}` must be a text of SQL")));
            };
            sql.push((name.as_str(), expression));
        }
        let features = Features::new(&sql).map_err(|(feature, source)| ModelFileError::Feature {
            path: path(),
            feature,
            source,
        })?;
        Ok(Self { file, features })
    }

    /// What the engine must watch for it.
    pub fn watch(&self) -> Watch {
        let persons = self.file.entity == EntityKind::Person;
        Watch { persons, institutions: !persons }
    }
}
