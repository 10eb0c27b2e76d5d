//! Distance from the median in units of the median absolute deviation (Iglewicz and Hoaglin 1993).

use super::Model;
use crate::model::median::median;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// Makes the median absolute deviation of normal values their standard deviation: 1 / Φ⁻¹(3/4).
const MEDIAN_DEVIATION: f64 = 1.482_602_218_505_602;
/// The same for the mean absolute deviation: √(π/2).
const MEAN_DEVIATION: f64 = 1.253_314_137_315_500_3;

/// Which departures count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Both directions.
    #[default]
    Both,
    /// Only values that are too high: fraud inflates.
    Right,
}

/// How the features make one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// The strangest feature decides.
    #[default]
    Max,
    /// All features count alike.
    Mean,
}

/// Settings of [`RobustZ`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Which departures count.
    pub sides: Sides,
    /// How the features make one score.
    pub over: Over,
}

/// Fitted medians and deviations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobustZ {
    settings: Settings,
    /// Median and scale of each feature.
    features: Vec<(f64, f64)>,
}

impl RobustZ {
    /// Fits clean rows, whose columns vary.
    pub fn fit(settings: Settings, rows: &Array2<f64>) -> Self {
        let feature = |column: ArrayView1<'_, f64>| {
            let mut sorted = column.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            let middle = median(&sorted).expect("a table has rows");
            let mut deviations: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
            deviations.sort_unstable_by(f64::total_cmp);
            let robust = MEDIAN_DEVIATION * median(&deviations).expect("as many");
            // More than half of the values are equal: the mean deviation is not 0, because the column varies.
            let mean = MEAN_DEVIATION * deviations.iter().sum::<f64>() / deviations.len() as f64;
            (middle, if robust > 0.0 { robust } else { mean })
        };
        Self { settings, features: rows.columns().into_iter().map(feature).collect() }
    }

    fn z(&self, row: ArrayView1<'_, f64>) -> Vec<f64> {
        let z = row.iter().zip(&self.features).map(|(value, (middle, scale))| (value - middle) / scale);
        match self.settings.sides {
            Sides::Both => z.map(f64::abs).collect(),
            Sides::Right => z.map(|z| z.max(0.0)).collect(),
        }
    }
}

impl Model for RobustZ {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        let z = self.z(row);
        match self.settings.over {
            Over::Max => z.into_iter().fold(0.0, f64::max),
            Over::Mean => z.iter().sum::<f64>() / z.len().max(1) as f64,
        }
    }

    fn parts(&self, row: ArrayView1<'_, f64>) -> Option<Vec<f64>> {
        let mut z = self.z(row);
        if self.settings.over == Over::Mean {
            let count = z.len().max(1) as f64;
            z.iter_mut().for_each(|z| *z /= count);
        }
        Some(z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn by_hand() {
        // Medians 3 and 0; median deviations 1 and 0, the latter with a mean deviation of 10 / 5.
        let rows = array![[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0], [100.0, 10.0]];
        let score =
            |sides, over, row: [f64; 2]| RobustZ::fit(Settings { sides, over }, &rows).score(ArrayView1::from(&row));
        let (left, right) = (2.0 / MEDIAN_DEVIATION, 10.0 / (2.0 * MEAN_DEVIATION));
        assert_eq!(score(Sides::Both, Over::Max, [1.0, 10.0]), right);
        assert_eq!(score(Sides::Both, Over::Mean, [1.0, 10.0]), (left + right) / 2.0);
        assert_eq!(score(Sides::Right, Over::Mean, [1.0, 10.0]), right / 2.0);
        assert_eq!(score(Sides::Right, Over::Max, [1.0, -10.0]), 0.0);
    }
}
