//! Features: SQL expressions over the columns of an aggregate, and over the same columns in the windows before.
//!
//! Every column of [`COLUMNS`] is a number; `past_<column>` is its median over the last windows of the entity that
//! have one, NULL where it has none. A division by zero, or what is no number for another reason, gives a missing
//! value, which is NaN in the matrix.

use super::aggregate::{Aggregate, COLUMNS, READS_BEFORE};
use super::median::median;
use crate::rules::filter::{Compiler, FilterError};
use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_physical_expr::PhysicalExpr;
use std::sync::{Arc, LazyLock};

/// Why a feature cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// Its expression is wrong.
    #[error(transparent)]
    Expression(#[from] FilterError),
    /// Its name is none.
    #[error("a name is of small letters, digits and _, and no column has it")]
    Name,
}

/// The names of all columns: those of the window itself, then those of the windows before.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let past = COLUMNS.iter().map(|(name, ..)| -> &'static str { Box::leak(format!("past_{name}").into_boxed_str()) });
    COLUMNS.iter().map(|(name, ..)| *name).chain(past).collect()
});

/// The features of a model.
pub struct Features {
    names: Vec<String>,
    schema: SchemaRef,
    /// The places in [`NAMES`] of the columns that they read.
    read: Vec<usize>,
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    /// 1 where an entity is looked at; `None`: everybody is.
    enough: Option<Arc<dyn PhysicalExpr>>,
}

impl Features {
    /// Compiles them, and the condition under which there is enough to look at; what fails is told with its name.
    pub fn new(sql: &[(&str, &str)], enough: Option<&str>) -> Result<Self, (String, FeatureError)> {
        let compiler = Compiler::new("window", NAMES.iter().map(|name| (*name, DataType::Float64)).collect());
        let mut parsed = Vec::new();
        for (name, sql) in sql {
            let fail = |error: FeatureError| ((*name).to_owned(), error);
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(fail(FeatureError::Name));
            }
            parsed.push(compiler.parse_number(sql).map_err(|error| fail(error.into()))?);
        }
        let condition = |sql: &str| {
            let number = compiler.parse_number(&format!("CASE WHEN ({sql}) THEN 1 ELSE 0 END"));
            number.map_err(|error| ("enough".to_owned(), FeatureError::from(error)))
        };
        let enough = enough.map(condition).transpose()?;
        let mut columns: Vec<&'static str> =
            parsed.iter().chain(&enough).flat_map(|expression| compiler.columns_of(expression)).collect();
        columns.sort_unstable();
        columns.dedup();
        let schema = compiler.schema_of(&columns);
        let place = |column: &&str| NAMES.iter().position(|name| name == column);
        Ok(Self {
            names: sql.iter().map(|(name, _)| (*name).to_owned()).collect(),
            read: columns.iter().filter_map(place).collect(),
            expressions: parsed.iter().map(|expression| compiler.tie(expression, &schema)).collect(),
            enough: enough.map(|condition| compiler.tie(&condition, &schema)),
            schema,
        })
    }

    /// Their names, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the windows before one are looked at.
    pub fn read_past(&self) -> bool {
        self.read.iter().any(|place| *place >= COLUMNS.len())
    }

    /// How many days before a window, or before those that it looks back on, records are read.
    pub fn days_before(&self) -> i32 {
        let (name, days) = READS_BEFORE;
        let reads = self.read.iter().any(|place| COLUMNS[place % COLUMNS.len()].0 == name);
        if reads { days } else { 0 }
    }

    /// The features of windows, a row each: the window's own aggregate, and those of the windows before it in any order.
    pub fn evaluate(&self, windows: &[(Aggregate, Vec<Aggregate>)]) -> Vec<Vec<f64>> {
        self.compute(&self.expressions, windows)
    }

    /// Whether there is enough in windows to look at.
    pub fn are_enough(&self, windows: &[(Aggregate, Vec<Aggregate>)]) -> Vec<bool> {
        match &self.enough {
            None => vec![true; windows.len()],
            Some(enough) => {
                let values = self.compute(std::slice::from_ref(enough), windows);
                values.into_iter().map(|value| value == [1.0]).collect()
            }
        }
    }

    fn compute(&self, expressions: &[Arc<dyn PhysicalExpr>], windows: &[(Aggregate, Vec<Aggregate>)]) -> Vec<Vec<f64>> {
        let column = |place: &usize| -> ArrayRef {
            let values = windows.iter().map(|(own, past)| match place.checked_sub(COLUMNS.len()) {
                None => Some(own.value(*place)),
                Some(column) => {
                    let mut values: Vec<f64> = past.iter().map(|aggregate| aggregate.value(column)).collect();
                    values.sort_unstable_by(f64::total_cmp);
                    median(&values)
                }
            });
            Arc::new(values.collect::<Float64Array>())
        };
        let columns = self.read.iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(windows.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        let batch = batch.expect("columns of the schema");
        let mut rows = vec![Vec::with_capacity(expressions.len()); windows.len()];
        for expression in expressions {
            // An error would be one of a single row, such as an overflow of whole numbers: nothing but floats is here.
            let values = expression.evaluate(&batch).and_then(|value| value.into_array(windows.len()));
            let values = values.expect("arithmetic of floats cannot fail");
            let values = values.as_primitive::<Float64Type>();
            for (row, value) in rows.iter_mut().zip(values) {
                row.push(value.filter(|value| value.is_finite()).unwrap_or(f64::NAN));
            }
        }
        rows
    }
}
