//! A trained model: what `fundwatch train` learns from a history, as a file that is taken only by the program and the
//! model file that it fits.

use super::aggregate::COLUMNS;
use super::budget::{self, Candidate, Verdict};
use super::confirmation::{Confirmation, ConfirmationError, Rows};
use super::detector::onnx::{Onnx, OnnxError};
use super::detector::{Contribution, Detector, DetectorError, Fitted};
use super::drift::Spread;
use super::file::{Model, ModelFile};
use super::observer::FeatureRow;
use super::peers::Peers;
use super::table::Table;
use super::window_labels::WindowLabels;
use crate::checkpoint::manifest::sha256;
use crate::record::Time;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The name of the file in the folder of a trained model.
const FILE: &str = "model.json";
/// Rises when older programs cannot read what newer ones write.
const FORMAT: u32 = 1;

/// Why there is no trained model.
#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    /// A file cannot be read or written.
    #[error("failed to {action} {}", path.display())]
    File {
        /// A verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no trained model.
    #[error("{} is no trained model: {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What JSON says.
        source: serde_json::Error,
    },
    /// Another program wrote it.
    #[error("{} has format {format}; this program reads format {FORMAT}: train it again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It was trained on other features.
    #[error("{} was trained on other features than {id} has now: train it again", path.display())]
    OtherFeatures {
        /// The file.
        path: PathBuf,
        /// The model.
        id: String,
    },
    /// There is nothing to learn from.
    #[error("there are {rows} rows in windows that are over; {least} at least are needed to learn from")]
    TooLittle {
        /// Rows.
        rows: usize,
        /// Rows that are needed.
        least: usize,
    },
    /// The detector cannot be fitted.
    #[error(transparent)]
    Detector(#[from] DetectorError),
    /// The model from elsewhere cannot be used.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Nothing can be learned from the verdicts.
    #[error(transparent)]
    Confirmation(#[from] ConfirmationError),
}

/// What was learned, and from what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// [`FORMAT`]
    format: u32,
    /// The program that trained it.
    program: String,
    /// The model as it was.
    model: ModelFile,
    /// A hash over everything that features follow from.
    features: String,
    /// From what it was learned.
    pub history: History,
    /// What is usual among peers.
    peers: Peers,
    /// The detector, fitted on departures from peers; one from elsewhere reads the features as they are.
    detector: Fitted,
    /// How each feature's values were spread.
    spreads: Vec<Spread>,
    /// What verdicts have taught; `None` where there were none to learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmation: Option<Confirmation>,
}

/// From what a model was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The first day of the first window.
    pub from: String,
    /// The first day of the last window.
    pub to: String,
    /// Windows.
    pub windows: usize,
    /// Different entities.
    pub entities: usize,
    /// Entities in windows.
    pub rows: usize,
    /// The seed.
    pub seed: u64,
}

/// What a model says of an entity in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The higher the stranger.
    pub score: f64,
    /// The probability of such a score where nothing is wrong.
    pub p: f64,
    /// The probability that a verdict would confirm it as fraud; `None` of a model that has learned from none.
    pub confirmation: Option<f64>,
    /// The group of peers, by their traits; everybody has no name.
    pub group: String,
    /// How many different entities are in it.
    pub peers: usize,
    /// Whether it is raised.
    pub verdict: Verdict,
}

/// The least rows to learn from.
const LEAST: usize = 50;

impl Trained {
    /// Learns from the features of a history; `folder` is where the file of a model from elsewhere lies.
    ///
    /// # Errors
    /// There is too little, or the detector cannot be fitted, or not be read.
    pub fn learn(model: &Model, folder: &Path, rows: &[FeatureRow], seed: u64) -> Result<Self, TrainedError> {
        if rows.len() < LEAST {
            return Err(TrainedError::TooLittle { rows: rows.len(), least: LEAST });
        }
        let names = model.features.names();
        let peers = Peers::learn(&model.file.peers, rows, names.len());
        let entities: BTreeMap<&str, usize> =
            rows.iter().map(|row| row.entity.as_str()).collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        let of_rows: Vec<usize> = rows.iter().map(|row| entities[row.entity.as_str()]).collect();
        let detector = match &model.file.onnx {
            Some(source) => Fitted::adopt(Onnx::read(source, folder, names)?, &plain(names, rows), &of_rows)?,
            None => {
                let detector = Detector::named(&model.file.detector).expect("it was checked when the file was read");
                // An entity is much the same every week: its other weeks must not teach the detector what to make of one.
                detector.fit_crossed(&peers.table(names, rows), &of_rows, seed)?
            }
        };
        let windows: BTreeSet<_> = rows.iter().map(|row| row.start).collect();
        let day = |day: Option<&crate::record::Day>| day.map(ToString::to_string).unwrap_or_default();
        let history = History {
            from: day(windows.first()),
            to: day(windows.last()),
            windows: windows.len(),
            entities: entities.len(),
            rows: rows.len(),
            seed,
        };
        let program = format!("fundwatch {}", env!("CARGO_PKG_VERSION"));
        let features = fingerprint(&model.file);
        let values = |feature: usize| rows.iter().map(|row| row.values[feature]).collect::<Vec<f64>>();
        let spreads = (0..names.len()).map(|feature| Spread::learn(&values(feature))).collect();
        let model = model.file.clone();
        Ok(Self { format: FORMAT, program, model, features, history, peers, detector, spreads, confirmation: None })
    }

    /// Learns besides from the verdicts that were known before a moment on rows that were over by then: which of the strange would
    /// be confirmed.
    ///
    /// # Errors
    /// There are not enough of them, nothing varies among them, or the features are those of another model.
    pub fn learn_verdicts(self, rows: &[FeatureRow], labels: &WindowLabels, at: Time) -> Result<Self, TrainedError> {
        let table = self.table(rows);
        let scores = self.detector.score(&table)?;
        let rows = Rows { file: &self.model, rows, table: &table, scores: &scores };
        let confirmation = Some(Confirmation::learn(rows, labels, at, self.history.seed)?);
        Ok(Self { confirmation, ..self })
    }

    /// What verdicts have taught it.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }

    /// Judges all entities of one window.
    ///
    /// # Errors
    /// Features of another model.
    pub fn judge(&self, rows: &[FeatureRow]) -> Result<Vec<Judgement>, TrainedError> {
        let table = self.table(rows);
        let scores = self.detector.score(&table)?;
        let taken = Rows { file: &self.model, rows, table: &table, scores: &scores };
        let confirmations: Vec<Option<f64>> = match &self.confirmation {
            Some(confirmation) => confirmation.probabilities(taken).into_iter().map(Some).collect(),
            None => vec![None; rows.len()],
        };
        let p_values = self.detector.p_values(&scores);
        let groups: Vec<_> = rows.iter().map(|row| self.peers.of(&row.traits)).collect();
        let cautious = self.detector.cautious_p_values(&scores);
        let candidate = |(place, row): (usize, &FeatureRow)| Candidate {
            p: cautious[place],
            at_stake: row.at_stake,
            confirmation: confirmations[place],
            group: &groups[place].0,
        };
        let candidates: Vec<Candidate<'_>> = rows.iter().enumerate().map(candidate).collect();
        let judgement = |(place, verdict): (usize, Verdict)| Judgement {
            score: scores[place],
            p: p_values[place],
            confirmation: confirmations[place],
            group: groups[place].0.clone(),
            peers: groups[place].1.entities,
            verdict,
        };
        Ok(budget::decide(self.model.budget, &candidates).into_iter().enumerate().map(judgement).collect())
    }

    /// What each feature adds to the score of an entity, the most first, with the feature's own value and what is usual
    /// among its peers.
    ///
    /// # Errors
    /// Features of another model.
    pub fn explain(&self, row: &FeatureRow) -> Result<Vec<Contribution>, TrainedError> {
        let mut contributions = self.detector.explain(&self.table(std::slice::from_ref(row)), 0)?;
        let (_, group) = self.peers.of(&row.traits);
        for (feature, contribution) in contributions.iter_mut().enumerate() {
            contribution.value = row.values[feature];
            contribution.median = group.usual(feature).map_or(f64::NAN, |usual| usual.median);
        }
        contributions.sort_by(|one, other| other.contribution.total_cmp(&one.contribution));
        Ok(contributions)
    }

    /// How far each feature has moved since training: see [`Spread::index`]. By name, in the order of the model file.
    pub fn drift(&self, rows: &[FeatureRow]) -> Vec<(String, f64)> {
        let index = |(feature, spread): (usize, &Spread)| {
            spread.index(&rows.iter().map(|row| row.values[feature]).collect::<Vec<f64>>())
        };
        self.names().into_iter().zip(self.spreads.iter().enumerate().map(index)).collect()
    }

    /// A hash over all that it says: the `rule_version` of its alerts.
    pub fn version(&self) -> String {
        let text = serde_json::to_string(self).expect("what was read can be written");
        let mut version = sha256(text.as_bytes());
        version.truncate(16);
        version
    }

    /// What the detector reads.
    fn table(&self, rows: &[FeatureRow]) -> Table {
        match self.model.onnx {
            Some(_) => plain(&self.names(), rows),
            None => self.peers.table(&self.names(), rows),
        }
    }

    fn names(&self) -> Vec<String> {
        self.model.features.keys().cloned().collect()
    }

    /// Writes it into a folder, which is made where it is missing. The same history, model and seed give the same bytes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, TrainedError> {
        let path = Self::file_in(folder);
        let failed = |source| TrainedError::File { action: "write", path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        // In one step, so that a running pipeline never reads half of it.
        let new = path.with_extension("new");
        let mut file = BufWriter::new(File::create(&new).map_err(failed)?);
        serde_json::to_writer(&mut file, self).map_err(|error| failed(error.into()))?;
        file.flush().map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
        Ok(path)
    }

    /// Its file in a folder.
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads it from a folder.
    ///
    /// # Errors
    /// It cannot be read, or is none that this program reads.
    pub fn read(folder: &Path) -> Result<Self, TrainedError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let path = Self::file_in(folder);
        let open = || {
            let file = File::open(&path);
            file.map(BufReader::new).map_err(|source| TrainedError::File { action: "read", path: path.clone(), source })
        };
        let form = |source| TrainedError::Form { path: path.clone(), source };
        let Head { format } = serde_json::from_reader(open()?).map_err(form)?;
        if format != FORMAT {
            return Err(TrainedError::Format { path, format });
        }
        let trained: Self = serde_json::from_reader(open()?).map_err(form)?;
        let is_of_this_program = trained.confirmation.as_ref().is_none_or(Confirmation::is_of_this_program);
        if trained.features != fingerprint(&trained.model) || !is_of_this_program {
            return Err(TrainedError::OtherFeatures { path, id: trained.model.id });
        }
        Ok(trained)
    }

    /// The model file that it was trained with.
    pub fn model(&self) -> &ModelFile {
        &self.model
    }

    /// Checks that it fits a model file as that is now.
    ///
    /// # Errors
    /// It was trained on other features.
    pub fn check(&self, model: &ModelFile, folder: &Path) -> Result<(), TrainedError> {
        match self.features == fingerprint(model) {
            true => Ok(()),
            false => Err(TrainedError::OtherFeatures { path: folder.join(FILE), id: model.id.clone() }),
        }
    }
}

/// The features as they are.
fn plain(names: &[String], rows: &[FeatureRow]) -> Table {
    let value = |(row, feature): (usize, usize)| rows[row].values[feature];
    Table::new(names.to_vec(), Array2::from_shape_fn((rows.len(), names.len()), value)).expect("a value for each name")
}

/// A hash over everything that features follow from: entity, window, history, who has enough records, expressions, and the columns as this
/// program defines them.
fn fingerprint(model: &ModelFile) -> String {
    let ModelFile { id, entity, window, grace_days, history, enough, features, .. } = model;
    let columns: Vec<_> = COLUMNS.iter().map(|(name, unit, meaning)| (name, format!("{unit:?}"), meaning)).collect();
    let features: Vec<_> = features.iter().map(|(name, sql)| (name, sql.as_str())).collect();
    let all = serde_json::to_vec(&(id, entity, window, grace_days, history, enough, features, columns));
    let digest = Sha256::digest(all.expect("texts and numbers"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::budget::Decision;
    use crate::model::observer::FeatureRow;
    use crate::model::random::Random;
    use crate::record::Day;

    const FILE_TEXT: &str = r#"
        id = "T-1"
        name = { zh = "一", en = "one" }
        entity = "institution"
        window = "week"
        [features]
        share = "night / settlements"
        mean = "fund / visits"
        [peers]
        alike_in = [["level"]]
        least = 5
    "#;

    fn model(text: &str) -> Model {
        Model::parse(text, Path::new("model.toml")).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Eight weeks of forty institutions at two levels, whose usual means differ.
    fn rows() -> Vec<FeatureRow> {
        let mut random = Random::new(3, 0);
        let mut rows = Vec::new();
        for week in 0..8 {
            for entity in 0..40 {
                let level = if entity % 2 == 0 { "03" } else { "09" };
                let mean = if level == "03" { 900.0 } else { 90.0 };
                rows.push(FeatureRow {
                    entity: format!("H{entity:02}"),
                    start: Day(20_517 + 7 * week),
                    institution: None,
                    traits: crate::engine::observe::Traits { level: level.to_owned(), ..Default::default() },
                    at_stake: 100_000,
                    values: vec![0.1 + 0.02 * random.normal(), mean * (1.0 + 0.1 * random.normal())],
                });
            }
        }
        rows
    }

    #[test]
    fn what_is_usual_at_one_level_is_strange_at_another() {
        let (model, mut rows) = (model(FILE_TEXT), rows());
        let trained = Trained::learn(&model, Path::new(""), &rows, 1).expect("enough rows");
        let week = 40 * 7..40 * 8;
        let raised = |rows: &[FeatureRow]| -> Vec<String> {
            let judged = trained.judge(rows).expect("its features");
            let raised = judged.iter().zip(rows).filter(|(one, _)| one.verdict.decision == Decision::Raised);
            raised.map(|(_, row)| row.entity.clone()).collect()
        };
        assert_eq!(raised(&rows[week.clone()]), [""; 0]);
        // A small clinic that bills like a large hospital.
        rows[40 * 7 + 5].values[1] = 900.0;
        assert_eq!(raised(&rows[week]), ["H05"]);
        let why = trained.explain(&rows[40 * 7 + 5]).expect("its features");
        assert_eq!((why[0].feature.as_str(), why[0].value), ("mean", 900.0));
        assert!((80.0..100.0).contains(&why[0].median), "{}", why[0].median);
    }

    #[test]
    fn the_same_history_gives_the_same_bytes_and_comes_back() {
        let (model, rows, folder) = (model(FILE_TEXT), rows(), tempfile::tempdir().expect("a folder"));
        let bytes = |name: &str| {
            let trained = Trained::learn(&model, Path::new(""), &rows, 7).expect("enough rows");
            std::fs::read(trained.write(&folder.path().join(name)).expect("there is room")).expect("a file")
        };
        assert!(bytes("a") == bytes("b"));
        let back = Trained::read(&folder.path().join("a")).expect("it was written a moment ago");
        assert_eq!(back, Trained::learn(&model, Path::new(""), &rows, 7).expect("enough rows"));
        back.check(&model.file, folder.path()).expect("the same features");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_words() {
        let (model, rows, folder) = (model(FILE_TEXT), rows(), tempfile::tempdir().expect("a folder"));
        let error = Trained::learn(&model, Path::new(""), &rows[..49], 1).expect_err("too few");
        assert_eq!(
            error.to_string(),
            "there are 49 rows in windows that are over; 50 at least are needed to learn from"
        );
        let trained = Trained::learn(&model, Path::new(""), &rows, 1).expect("enough rows");
        let path = trained.write(folder.path()).expect("there is room");
        let other = self::model(&FILE_TEXT.replace("night /", "weekend /"));
        let error = trained.check(&other.file, folder.path()).expect_err("other features").to_string();
        assert!(error.ends_with("was trained on other features than T-1 has now: train it again"), "{error}");
        // Other peers or another budget are no other features.
        let budget = self::model(&FILE_TEXT.replace("least = 5", "least = 6"));
        trained.check(&budget.file, folder.path()).expect("the same features");
        let text = std::fs::read_to_string(&path).expect("a file");
        std::fs::write(&path, text.replacen("\"format\":1", "\"format\":2", 1)).expect("there is room");
        let error = Trained::read(folder.path()).expect_err("newer").to_string();
        assert!(error.ends_with("has format 2; this program reads format 1: train it again"), "{error}");
        std::fs::write(&path, "{").expect("there is room");
        assert!(matches!(Trained::read(folder.path()), Err(TrainedError::Form { .. })));
        assert!(matches!(Trained::read(&folder.path().join("no")), Err(TrainedError::File { action: "read", .. })));
    }
}
