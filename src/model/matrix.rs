//! The matrix of features as a file, for other tools.

use super::observer::FeatureRow;
use anyhow::{Context as _, Result, bail};
use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The columns before the features.
const KEYS: [&str; 9] =
    ["entity", "window_start", "institution", "level", "class", "department", "gender", "age", "fund_at_stake"];

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet, packed with Zstandard.
    Parquet,
    /// CSV with a line of names.
    Csv,
}

impl Format {
    /// That of a path, by how it ends.
    ///
    /// # Errors
    /// It is none of them.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            _ => bail!("{}: the name must end in .parquet or .csv", path.display()),
        }
    }
}

/// Writes rows with the names of their features.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, format: Format, features: &[String], rows: &[FeatureRow]) -> Result<()> {
    let failed = || format!("failed to write {}", path.display());
    let file = File::create(path).with_context(failed)?;
    match format {
        Format::Parquet => parquet(file, features, rows).with_context(failed),
        Format::Csv => csv(file, features, rows).with_context(failed),
    }
}

fn parquet(file: File, features: &[String], rows: &[FeatureRow]) -> Result<()> {
    let text = |of: fn(&FeatureRow) -> &str| -> ArrayRef {
        // An empty text is none.
        let values = rows.iter().map(|row| Some(of(row)).filter(|text| !text.is_empty()));
        Arc::new(values.collect::<StringArray>())
    };
    let mut columns: Vec<ArrayRef> = vec![
        text(|row| &row.entity),
        Arc::new(rows.iter().map(|row| Some(row.start.0)).collect::<Date32Array>()),
        text(|row| row.institution.as_deref().unwrap_or_default()),
        text(|row| &row.traits.level),
        text(|row| &row.traits.class),
        text(|row| &row.traits.department),
        text(|row| &row.traits.gender),
        text(|row| &row.traits.age),
        Arc::new(rows.iter().map(|row| Some(row.at_stake)).collect::<Int64Array>()),
    ];
    for feature in 0..features.len() {
        let values = rows.iter().map(|row| Some(row.values[feature]).filter(|value| !value.is_nan()));
        columns.push(Arc::new(values.collect::<Float64Array>()));
    }
    let names = KEYS.into_iter().chain(features.iter().map(String::as_str));
    let batch =
        RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(name, column)| (name, column, true)))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

fn csv(file: File, features: &[String], rows: &[FeatureRow]) -> Result<()> {
    let mut out = csv::Writer::from_writer(file);
    out.write_record(KEYS.into_iter().chain(features.iter().map(String::as_str)))?;
    for row in rows {
        let FeatureRow { entity, start, institution, traits, at_stake, values } = row;
        let number = |value: &f64| if value.is_nan() { String::new() } else { value.to_string() };
        let institution = institution.clone().unwrap_or_default();
        let keys = [
            entity.clone(),
            start.to_string(),
            institution,
            traits.level.clone(),
            traits.class.clone(),
            traits.department.clone(),
            traits.gender.clone(),
            traits.age.clone(),
            at_stake.to_string(),
        ];
        out.write_record(keys.into_iter().chain(values.iter().map(number)))?;
    }
    out.flush()?;
    Ok(())
}
