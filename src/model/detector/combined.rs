//! One score from several kinds of detectors: the mean over families of the log-tail −ln p of their members.
//!
//! What a p-value is to each member is said by its own [`Calibration`], so members need no common scale and none can
//! outvote the others by the size of its numbers; of fitted rows it is their rank, of stranger ones an extrapolation. The sum of log-tails is Fisher's way (1925) of combining tests. Against
//! a mean of ranks it lets one member that is sure outweigh several that are not: a fraud departs in one respect, and
//! most members do not look at that one.
//!
//! The families differ in what they look at, so their mistakes differ too; within a family the members differ in the
//! one setting that nobody can know without labels, the number of neighbours or of components, and their mean takes the
//! place of a choice. Every family has one voice, however many members it has.

use super::forest::{self, Forest};
use super::histogram::{self, Histogram};
use super::mixture::{self, Covariance, Mixture};
use super::neighbours::{self, Neighbours, Over, Space};
use super::robust_z::{self, RobustZ};
use super::{AnyModel, DetectorError, Model};
use crate::model::calibrate::Calibration;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// Numbers of neighbours: the nearest tell of small clusters of frauds, many of sparse regions.
const NEIGHBOURS: [usize; 3] = [5, 20, 50];
/// Numbers of components without correlations, ...
const DIAGONAL: [usize; 5] = [3, 5, 8, 12, 20];
/// ... and with them, which take more rows each.
const FULL: [usize; 3] = [2, 3, 5];
/// A component is worth having with so many rows.
const ROWS_PER_COMPONENT: usize = 10;
/// Rows that neighbours are looked for among, and that mixtures are fitted to: more make the detector slower in
/// proportion and hardly better.
const ROWS: usize = 4_000;
/// A tenth of a feature's standard deviation: features of medical records are rounded and repeated, and a narrower
/// component would be about the repetition.
const RIDGE: f64 = 1e-2;

/// Fitted members by family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Combined {
    families: Vec<Vec<Member>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Member {
    model: AnyModel,
    calibration: Calibration,
}

impl Combined {
    /// Fits clean rows.
    ///
    /// # Errors
    /// A member cannot be computed.
    pub fn fit(rows: &Array2<f64>, seed: u64) -> Result<Self, DetectorError> {
        let near = |space| neighbours::Settings {
            neighbours: NEIGHBOURS.to_vec(),
            over: Over::Mean,
            space,
            ..Default::default()
        };
        let mixtures = |counts: &[usize], covariance| -> Result<Vec<AnyModel>, DetectorError> {
            let enough = |components: &usize| components * ROWS_PER_COMPONENT <= rows.nrows();
            let mut kept: Vec<usize> = counts.iter().copied().filter(enough).collect();
            if kept.is_empty() {
                kept.push(1);
            }
            let fit = |components| {
                Mixture::fit(
                    mixture::Settings { components, covariance, ridge: RIDGE, starts: 1, rows: ROWS },
                    rows,
                    seed,
                )
            };
            kept.into_iter().map(|components| fit(components).map(AnyModel::Mixture)).collect()
        };
        let families = vec![
            vec![AnyModel::Forest(Forest::fit(forest::Settings::default(), rows, seed))],
            vec![AnyModel::Histogram(Histogram::fit(histogram::Settings::default(), rows))],
            vec![AnyModel::RobustZ(RobustZ::fit(robust_z::Settings::default(), rows))],
            vec![AnyModel::Neighbours(Neighbours::fit(near(Space::Standard), rows, seed)?)],
            vec![AnyModel::Neighbours(Neighbours::fit(near(Space::Ranks), rows, seed)?)],
            mixtures(&DIAGONAL, Covariance::Diagonal)?,
            mixtures(&FULL, Covariance::Full)?,
        ];
        let member = |model: AnyModel| Member { calibration: Calibration::fit(&model.scores(rows)), model };
        let calibrated = |family: Vec<AnyModel>| family.into_iter().map(member).collect();
        Ok(Self { families: families.into_iter().map(calibrated).collect() })
    }
}

impl Model for Combined {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        let log_tail = |member: &Member| -member.calibration.p_value(member.model.score(row)).ln();
        let mean = |family: &Vec<Member>| family.iter().map(log_tail).sum::<f64>() / family.len() as f64;
        self.families.iter().map(mean).sum::<f64>() / self.families.len() as f64
    }
}
