//! Feature tables: what detectors are fitted on and what they score.
//!
//! A row is an entity in a window, a column is a feature. A missing value is NaN; what infinite values mean is said in
//! [`super::detector`].

use flate2::read::MultiGzDecoder;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What stands for a missing value in a CSV file, in any case.
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "none"];

/// Named columns of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    names: Vec<String>,
    /// Rows × columns.
    values: Array2<f64>,
}

/// Why there is no table.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file cannot be opened or read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no CSV.
    #[error("{path} is not a CSV file with the same number of columns in every line: {reason}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// A cell is neither a number nor empty.
    #[error(
        "{path}, line {line}, column \"{column}\": \"{text}\" is not a number; write a number, or nothing where the value is missing"
    )]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// Line of the file, the header being line 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// A label is neither 0 nor 1.
    #[error(
        "{path}, line {line}, column \"{column}\": \"{text}\" is not a label; write 1 or true for what is to be found, 0 or false for the rest"
    )]
    NotALabel {
        /// The file.
        path: PathBuf,
        /// Line of the file, the header being line 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// The column of labels is not there.
    #[error("{path} has no column \"{column}\"; its columns are {}", list(names))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        column: String,
        /// What there is.
        names: Vec<String>,
    },
    /// Two columns have one name.
    #[error("the column \"{column}\" comes twice; give every column a name of its own")]
    SameName {
        /// The name.
        column: String,
    },
    /// Values and names do not fit together.
    #[error("{names} names for {columns} columns")]
    Shape {
        /// Number of names.
        names: usize,
        /// Number of columns of the values.
        columns: usize,
    },
}

/// The first few of the names, quoted.
fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("\"{name}\"")).collect();
    let more =
        if names.len() > shown.len() { format!(" and {} more", names.len() - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

impl Table {
    /// Puts names on a matrix of rows × columns.
    ///
    /// # Errors
    /// Another number of names than of columns, or a name that comes twice.
    pub fn new(names: Vec<String>, values: Array2<f64>) -> Result<Self, TableError> {
        if names.len() != values.ncols() {
            return Err(TableError::Shape { names: names.len(), columns: values.ncols() });
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TableError::SameName { column: pair[0].clone() });
        }
        Ok(Self { names, values })
    }

    /// Reads a CSV file with a header, plain or packed with gzip (`.gz`). Empty cells and NA, NaN, null are missing.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is not a number; it is said where.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        Ok(read(path, None)?.0)
    }

    /// Reads a CSV file as [`Table::read`] does, of which one column is no feature but says which rows are to be found.
    ///
    /// # Errors
    /// As for [`Table::read`]; the column is not there, or has something else than 0, 1, false and true.
    pub fn read_labelled(path: &Path, label: &str) -> Result<(Self, Vec<bool>), TableError> {
        read(path, Some(label))
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Rows × columns.
    pub fn values(&self) -> ArrayView2<'_, f64> {
        self.values.view()
    }

    /// One row, in the order of the names.
    pub fn row(&self, number: usize) -> ArrayView1<'_, f64> {
        self.values.row(number)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.nrows()
    }

    /// The rows with these numbers, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { names: self.names.clone(), values: self.values.select(Axis(0), rows) }
    }
}

fn read(path: &Path, label: Option<&str>) -> Result<(Table, Vec<bool>), TableError> {
    let file = File::open(path).map_err(|source| TableError::Read { path: path.to_owned(), source })?;
    let input: Box<dyn Read> = match path.extension() {
        Some(ending) if ending == "gz" => Box::new(MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    let wrong = |error: csv::Error| {
        let reason = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => TableError::Read { path: path.to_owned(), source },
            _ => TableError::Csv { path: path.to_owned(), reason },
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let header: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    let label_at = match label {
        None => None,
        Some(label) => Some(header.iter().position(|name| name == label).ok_or_else(|| TableError::NoColumn {
            path: path.to_owned(),
            column: label.to_owned(),
            names: header.clone(),
        })?),
    };
    let (mut values, mut labels, mut record) = (Vec::new(), Vec::new(), csv::StringRecord::new());
    while reader.read_record(&mut record).map_err(wrong)? {
        let line = record.position().map_or(0, csv::Position::line);
        for (number, (text, column)) in record.iter().zip(&header).enumerate() {
            let (path, column, text) = (path.to_owned(), column.clone(), text.to_owned());
            if Some(number) == label_at {
                let found = label_of(&text).ok_or(TableError::NotALabel { path, line, column, text })?;
                labels.push(found);
            } else {
                values.push(number_of(&text).ok_or(TableError::NotANumber { path, line, column, text })?);
            }
        }
    }
    let mut names = header;
    if let Some(number) = label_at {
        names.remove(number);
    }
    let rows = if names.is_empty() { labels.len() } else { values.len() / names.len() };
    let shape = TableError::Shape { names: names.len(), columns: 0 };
    let values = Array2::from_shape_vec((rows, names.len()), values).map_err(|_| shape)?;
    Ok((Table::new(names, values)?, labels))
}

fn number_of(text: &str) -> Option<f64> {
    let missing = MISSING.iter().any(|word| text.eq_ignore_ascii_case(word));
    if missing { Some(f64::NAN) } else { text.parse().ok() }
}

fn label_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        number => match number.parse::<f64>() {
            Ok(1.0) => Some(true),
            Ok(0.0) => Some(false),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn numbers_missing_values_and_labels_are_read() {
        let csv = file("a, label ,b\n1,0,2.5\n,true,inf\nNaN,1.0,-1e3\n");
        let (table, labels) = Table::read_labelled(csv.path(), "label").expect("a table");
        assert_eq!(table.names(), ["a", "b"]);
        assert_eq!(labels, [false, true, true]);
        assert_eq!(table.values().dim(), (3, 2));
        assert!(table.row(1)[0].is_nan() && table.row(2)[0].is_nan());
        assert_eq!((table.row(1)[1], table.row(2)[1]), (f64::INFINITY, -1000.0));
        assert_eq!(table.select(&[2, 0]).row(1)[1], 2.5);
    }

    #[test]
    fn packed_files_are_read() {
        let mut out = tempfile::Builder::new().suffix(".csv.gz").tempfile().expect("a file");
        let mut packer = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
        packer.write_all(b"a\n7\n").expect("written");
        packer.finish().expect("packed");
        assert_eq!(Table::read(out.path()).expect("a table").row(0)[0], 7.0);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let told = |text: &str| Table::read_labelled(file(text).path(), "label").expect_err("a mistake").to_string();
        assert!(told("a,label\n1,0\nx1,0\n").contains("line 3, column \"a\": \"x1\" is not a number"));
        assert!(told("a,label\n1,2\n").contains("line 2, column \"label\": \"2\" is not a label"));
        assert!(told("a,b\n1,2\n").contains("has no column \"label\"; its columns are \"a\", \"b\""));
        assert!(told("a,a,label\n1,2,0\n").contains("\"a\" comes twice"));
        assert!(told("a,label\n1\n").contains("line: 2"));
        let missing = Table::read(Path::new("/nowhere.csv")).expect_err("no file");
        assert!(matches!(missing, TableError::Read { .. }));
    }
}
