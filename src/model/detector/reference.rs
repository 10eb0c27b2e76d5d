//! What ordinary rows look like, column by column: the one place where missing, infinite and constant values are dealt
//! with, so that detectors only ever see finite numbers.

use super::{DetectorError, MOST};
use crate::model::median::median;
use crate::model::table::Table;
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

/// The columns of the table that a detector was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    columns: Vec<Column>,
    /// Whether columns that do not vary are kept: a model from elsewhere reads all of them.
    #[serde(default)]
    whole: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Column {
    name: String,
    /// Of the finite values; 0 where there are none.
    median: f64,
    least: f64,
    greatest: f64,
}

impl Column {
    fn of(name: &str, values: ArrayView1<'_, f64>) -> Self {
        let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.abs() <= MOST).collect();
        finite.sort_unstable_by(f64::total_cmp);
        let (least, greatest) = (finite.first().copied().unwrap_or(0.0), finite.last().copied().unwrap_or(0.0));
        Self { name: name.to_owned(), median: median(&finite).unwrap_or(0.0), least, greatest }
    }

    /// A value that never varied has no scale to measure a departure on.
    fn varies(&self) -> bool {
        self.greatest > self.least
    }

    fn clean(&self, value: f64) -> f64 {
        match value {
            missing if missing.is_nan() => self.median,
            high if high > MOST => self.greatest,
            low if low < -MOST => self.least,
            finite => finite,
        }
    }
}

impl Reference {
    /// Looks at a table.
    pub fn of(table: &Table) -> Self {
        let values = table.values();
        let columns = table.names().iter().zip(values.columns());
        Self { columns: columns.map(|(name, values)| Column::of(name, values)).collect(), whole: false }
    }

    /// Looks at a table of which all columns are read, also those that do not vary.
    pub fn whole(table: &Table) -> Self {
        Self { whole: true, ..Self::of(table) }
    }

    fn keeps(&self, column: &Column) -> bool {
        self.whole || column.varies()
    }

    /// Rows × columns that are kept, with finite values only: what is missing is the median, what is infinite the extreme of
    /// the fitted column.
    ///
    /// # Errors
    /// The table has other columns, or the same in another order.
    pub fn clean(&self, table: &Table) -> Result<Array2<f64>, DetectorError> {
        let known = || self.columns.iter().map(|column| &column.name);
        if !known().eq(table.names()) {
            let missing = known().filter(|name| !table.names().contains(name)).cloned().collect();
            let unknown = table.names().iter().filter(|name| !known().any(|other| other == *name)).cloned().collect();
            return Err(DetectorError::OtherColumns { missing, unknown });
        }
        let kept: Vec<usize> = (0..self.columns.len()).filter(|number| self.keeps(&self.columns[*number])).collect();
        let value = |(row, place): (usize, usize)| {
            let column = kept[place];
            self.columns[column].clean(table.values()[(row, column)])
        };
        Ok(Array2::from_shape_fn((table.rows(), kept.len()), value))
    }

    /// Name and median of every column, and its place among those that are kept.
    pub fn columns(&self) -> impl Iterator<Item = (&str, f64, Option<usize>)> {
        let mut kept = 0;
        self.columns.iter().map(move |column| {
            let place = self.keeps(column).then_some(kept);
            kept += usize::from(place.is_some());
            (column.name.as_str(), column.median, place)
        })
    }

    /// Medians of the columns that are kept.
    pub fn medians(&self) -> Vec<f64> {
        self.columns.iter().filter(|column| self.keeps(column)).map(|column| column.median).collect()
    }
}

/// Squares of this, and sums of many of them, are still numbers.
const FARTHEST: f64 = 1e50;

/// Mean and standard deviation of each column (the latter divided by n, as scikit-learn's StandardScaler does).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scale {
    /// The scale of clean rows, whose columns vary.
    pub fn of(rows: &Array2<f64>) -> Self {
        let count = rows.nrows() as f64;
        let mean: Vec<f64> = rows.columns().into_iter().map(|column| column.sum() / count).collect();
        let deviation = rows.columns().into_iter().zip(&mean).map(|(column, mean)| {
            let squares: f64 = column.iter().map(|value| (value - mean).powi(2)).sum();
            let deviation = (squares / count).sqrt();
            // Values may differ by less than their squares can tell.
            if deviation > 0.0 { deviation } else { 1.0 }
        });
        Self { deviation: deviation.collect(), mean }
    }

    /// A row in standard deviations from the mean.
    pub fn apply(&self, row: ArrayView1<'_, f64>) -> Vec<f64> {
        row.iter().enumerate().map(|(column, value)| self.scaled(column, *value)).collect()
    }

    /// All rows, scaled.
    pub fn apply_all(&self, rows: &Array2<f64>) -> Array2<f64> {
        Array2::from_shape_fn(rows.dim(), |(row, column)| self.scaled(column, rows[(row, column)]))
    }

    fn scaled(&self, column: usize, value: f64) -> f64 {
        ((value - self.mean[column]) / self.deviation[column]).clamp(-FARTHEST, FARTHEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn table(values: Array2<f64>) -> Table {
        Table::new((0..values.ncols()).map(|number| format!("c{number}")).collect(), values).expect("names fit")
    }

    #[test]
    fn missing_is_the_median_infinite_the_extreme_and_constants_are_left_out() {
        let rows = table(array![
            [1.0, 5.0, f64::NAN],
            [2.0, 5.0, f64::NAN],
            [f64::NAN, 5.0, f64::NAN],
            [9.0, 5.0, f64::INFINITY]
        ]);
        let reference = Reference::of(&rows);
        assert_eq!(reference.clean(&rows).expect("clean"), array![[1.0], [2.0], [2.0], [9.0]]);
        let others = table(array![[f64::INFINITY, 7.0, 0.0], [f64::NEG_INFINITY, 7.0, 0.0], [1e200, 7.0, 0.0]]);
        assert_eq!(reference.clean(&others).expect("clean"), array![[9.0], [1.0], [9.0]]);
        let places: Vec<_> = reference.columns().collect();
        assert_eq!(places, [("c0", 2.0, Some(0)), ("c1", 5.0, None), ("c2", 0.0, None)]);
    }

    #[test]
    fn other_columns_are_told() {
        let reference = Reference::of(&table(array![[1.0, 2.0]]));
        let other = Table::new(vec!["c1".to_owned(), "new".to_owned()], array![[1.0, 2.0]]).expect("names fit");
        let told = reference.clean(&other).expect_err("other columns").to_string();
        assert!(told.contains("\"c0\"") && told.contains("\"new\"") && !told.contains("\"c1\""), "{told}");
        let turned = Table::new(vec!["c1".to_owned(), "c0".to_owned()], array![[1.0, 2.0]]).expect("names fit");
        assert!(reference.clean(&turned).expect_err("another order").to_string().contains("order"));
    }
}
