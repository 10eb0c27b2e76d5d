//! The trained models of a pipeline: a folder with a folder for each, as `fundwatch train` writes them.

use super::file::ModelFileError;
use super::scorer::Scorer;
use super::trained::{Trained, TrainedError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why the models of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder cannot be read.
    #[error("failed to read the folder of models {}", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A trained model cannot be used.
    #[error(transparent)]
    Trained(#[from] TrainedError),
    /// Its features cannot be computed.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// Two have the same id.
    #[error("two models in {} have the id {id}: one that runs beside another needs an id of its own", path.display())]
    Twice {
        /// The folder.
        path: PathBuf,
        /// The id.
        id: String,
    },
}

/// Trained models with where they lie.
pub struct Models {
    path: PathBuf,
    trained: Vec<Trained>,
    /// What was there when it was read last.
    handled: Stamp,
}

/// Folders of models with the time of change and the length of what was learned.
type Stamp = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Models {
    /// Reads all models of a folder, in order of their ids. What else lies there is passed over.
    ///
    /// # Errors
    /// One cannot be used, or two have the same id.
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let handled = stamp(path)?;
        let trained = read(path, &handled)?;
        Ok(Self { path: path.to_owned(), trained, handled })
    }

    /// Puts them to work.
    ///
    /// # Panics
    /// Never: their features were compiled when they were read.
    pub fn scorers(&self) -> Vec<Scorer> {
        let scorer = |trained: &Trained| Scorer::new(trained.clone()).expect("it was checked when it was read");
        self.trained.iter().map(scorer).collect()
    }

    /// Looks at the folder once; `None`: nothing has changed. What is wrong is told once for each state of the files, and
    /// the models stay as they are.
    pub fn poll(&mut self) -> Option<Result<&Self, FolderError>> {
        let now = match stamp(&self.path) {
            Ok(now) if now == self.handled => return None,
            Ok(now) => now,
            // Told once: afterwards it is the state that is known.
            Err(_) if self.handled.is_empty() => return None,
            Err(error) => {
                self.handled.clear();
                return Some(Err(error));
            }
        };
        let read = read(&self.path, &now);
        self.handled = now;
        match read {
            // Touched: the content is what is in use.
            Ok(trained) if trained == self.trained => None,
            Ok(trained) => {
                self.trained = trained;
                Some(Ok(self))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

fn stamp(path: &Path) -> Result<Stamp, FolderError> {
    let failed = |source| FolderError::Read { path: path.to_owned(), source };
    let mut stamp = Stamp::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        if let Ok(data) = std::fs::metadata(Trained::file_in(&folder)) {
            stamp.insert(folder, (data.modified().ok(), data.len()));
        }
    }
    Ok(stamp)
}

fn read(path: &Path, folders: &Stamp) -> Result<Vec<Trained>, FolderError> {
    let mut trained = Vec::new();
    for folder in folders.keys() {
        let one = Trained::read(folder)?;
        // What cannot be computed is told here, once.
        Scorer::new(one.clone())?;
        trained.push(one);
    }
    trained.sort_by(|one, other| one.model().id.cmp(&other.model().id));
    let mut ids = BTreeSet::new();
    if let Some(twice) = trained.iter().find(|one| !ids.insert(&one.model().id)) {
        return Err(FolderError::Twice { path: path.to_owned(), id: twice.model().id.clone() });
    }
    Ok(trained)
}
