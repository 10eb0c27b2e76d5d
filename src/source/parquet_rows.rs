//! Parquet: columns named as the fields, nested details as a list of structures.
//!
//! Values are written as the contract has them: decimals exactly, whole numbers as they are, floating-point numbers
//! with the fewest digits that tell them apart, dates as `yyyy-MM-dd`, timestamps as the clock reading
//! `yyyy-MM-dd HH:mm:ss`. A timestamp with a zone is a moment and is shown in the configured zone; one without is
//! already a clock reading. Parts of a second are cut off, since a clock reading has none.

use super::json_row::{member, text};
use super::lines::Ended;
use super::{Filling, Outlet};
use crate::clock;
use crate::record::{Day, Origin, Time};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

/// Rows that are unpacked at once.
const ROWS: usize = 4_096;

/// Reads rows to the end and sends batches as they fill; what is left stays in `filling`. A position is the number of
/// a row, from 1. `passed` is called with the share of the file that is read.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn feed(
    file: File,
    origin: &Arc<Origin>,
    filling: &mut Filling,
    outlet: &Outlet,
    passed: &dyn Fn(f64),
) -> Result<Ended, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let rows = builder.metadata().file_metadata().num_rows().max(1);
    let reader = builder.with_batch_size(ROWS).build().map_err(|error| error.to_string())?;
    let mut row_number = 0;
    let mut json = Vec::new();
    for columns in reader {
        let columns = plain(columns.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        for row in 0..columns.num_rows() {
            json.clear();
            object(&columns, row, &mut json)?;
            row_number += 1;
            filling.push(&json, origin, row_number);
            if filling.is_full() && outlet.flush(filling).is_err() {
                return Ok(Ended::Stopped);
            }
        }
        passed(row_number as f64 / rows as f64);
    }
    Ok(Ended::AtEnd)
}

/// The columns without dictionaries, which only save room.
fn plain(columns: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = columns.schema();
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (field, array) in schema.fields().iter().zip(columns.columns()) {
        match array.data_type() {
            DataType::Dictionary(_, values) => {
                let dictionary = array.as_any_dictionary();
                let keys: Vec<Option<usize>> = dictionary
                    .normalized_keys()
                    .into_iter()
                    .enumerate()
                    .map(|(row, key)| (!array.is_null(row)).then_some(key))
                    .collect();
                let keys: arrow::array::UInt64Array = keys.into_iter().map(|key| key.map(|key| key as u64)).collect();
                arrays.push(arrow::compute::take(dictionary.values(), &keys, None)?);
                fields.push(Arc::new(field.as_ref().clone().with_data_type((**values).clone()).with_nullable(true)));
            }
            _ => {
                arrays.push(array.clone());
                fields.push(field.clone());
            }
        }
    }
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), arrays)
}

fn object(columns: &RecordBatch, row: usize, json: &mut Vec<u8>) -> Result<(), String> {
    json.push(b'{');
    for (field, column) in columns.schema_ref().fields().iter().zip(columns.columns()) {
        if !column.is_null(row) {
            member(field.name(), json);
            value(column, row, json)?;
        }
    }
    json.push(b'}');
    Ok(())
}

/// Appends a value that is not null.
fn value(column: &ArrayRef, row: usize, json: &mut Vec<u8>) -> Result<(), String> {
    macro_rules! number {
        ($Type:ty) => {
            write!(json, "{}", column.as_primitive::<$Type>().value(row)).expect("memory takes all")
        };
    }
    macro_rules! real {
        ($Type:ty) => {{
            let number = column.as_primitive::<$Type>().value(row);
            if f64::from(number).is_finite() {
                write!(json, "{number}").expect("memory takes all");
            } else {
                // No number of JSON; the decoder says so where the field counts.
                text(number.to_string().as_bytes(), json);
            }
        }};
    }
    macro_rules! decimal {
        ($Type:ty) => {
            json.extend_from_slice(column.as_primitive::<$Type>().value_as_string(row).as_bytes())
        };
    }
    macro_rules! clock_reading {
        ($Type:ty, $second:expr, $zone:expr) => {{
            let moment: i64 = column.as_primitive::<$Type>().value(row);
            let seconds = moment.div_euclid($second);
            let reading = match $zone {
                Some(_) => clock::local_time_of_millis(seconds.saturating_mul(1_000)),
                None => Time(seconds),
            };
            quoted(&reading, json);
        }};
    }
    match column.data_type() {
        DataType::Utf8 => text(column.as_string::<i32>().value(row).as_bytes(), json),
        DataType::LargeUtf8 => text(column.as_string::<i64>().value(row).as_bytes(), json),
        DataType::Utf8View => text(column.as_string_view().value(row).as_bytes(), json),
        DataType::Binary => text(column.as_binary::<i32>().value(row), json),
        DataType::LargeBinary => text(column.as_binary::<i64>().value(row), json),
        DataType::BinaryView => text(column.as_binary_view().value(row), json),
        DataType::Boolean => write!(json, "{}", column.as_boolean().value(row)).expect("memory takes all"),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => real!(Float16Type),
        DataType::Float32 => real!(Float32Type),
        DataType::Float64 => real!(Float64Type),
        DataType::Decimal32(..) => decimal!(Decimal32Type),
        DataType::Decimal64(..) => decimal!(Decimal64Type),
        DataType::Decimal128(..) => decimal!(Decimal128Type),
        DataType::Decimal256(..) => decimal!(Decimal256Type),
        DataType::Date32 => quoted(&Day(column.as_primitive::<Date32Type>().value(row)), json),
        DataType::Date64 => {
            let days = column.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000);
            quoted(&Day(i32::try_from(days).unwrap_or(i32::MAX)), json);
        }
        DataType::Timestamp(unit, zone) => match unit {
            TimeUnit::Second => clock_reading!(TimestampSecondType, 1, zone),
            TimeUnit::Millisecond => clock_reading!(TimestampMillisecondType, 1_000, zone),
            TimeUnit::Microsecond => clock_reading!(TimestampMicrosecondType, 1_000_000, zone),
            TimeUnit::Nanosecond => clock_reading!(TimestampNanosecondType, 1_000_000_000, zone),
        },
        DataType::List(_) => elements(&column.as_list::<i32>().value(row), json)?,
        DataType::LargeList(_) => elements(&column.as_list::<i64>().value(row), json)?,
        DataType::Struct(_) => {
            let structure = column.as_struct();
            json.push(b'{');
            for (name, part) in structure.column_names().into_iter().zip(structure.columns()) {
                if !part.is_null(row) {
                    member(name, json);
                    value(part, row, json)?;
                }
            }
            json.push(b'}');
        }
        DataType::Null => json.extend_from_slice(b"null"),
        other => return Err(format!("columns of type {other} cannot be read as fields of records")),
    }
    Ok(())
}

fn elements(list: &ArrayRef, json: &mut Vec<u8>) -> Result<(), String> {
    json.push(b'[');
    for row in 0..list.len() {
        if row > 0 {
            json.push(b',');
        }
        if list.is_null(row) {
            json.extend_from_slice(b"null");
        } else {
            value(list, row, json)?;
        }
    }
    json.push(b']');
    Ok(())
}

fn quoted(value: &dyn std::fmt::Display, json: &mut Vec<u8>) {
    write!(json, "\"{value}\"").expect("memory takes all");
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::channel::{Event, Received, channel};
    use super::*;
    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray,
        StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Fields};
    use parquet::arrow::ArrowWriter;
    use std::time::Duration;

    fn rows(columns: Vec<(&str, ArrayRef)>) -> Vec<String> {
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.parquet");
        let mut writer =
            ArrowWriter::try_new(File::create(&path).expect("a file"), batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("written");
        let (outlet, inlet) = channel(9);
        let origin = Arc::new(Origin { name: "x.parquet".to_owned(), separator: ':', default_type: None });
        let mut filling = Filling::new(Limits::bulk());
        let file = File::open(&path).expect("a file");
        feed(file, &origin, &mut filling, &outlet, &|share| assert!(share > 0.0)).expect("readable");
        outlet.flush(&mut filling).expect("room");
        let Received::Event(Event::Batch(delivery)) = inlet.receive(Duration::ZERO) else { panic!("a batch") };
        let batch = &delivery.batch;
        assert_eq!(batch.position(&batch.messages[0]), "x.parquet:1");
        let row = |message| String::from_utf8_lossy(batch.payload(message)).into_owned();
        batch.messages.iter().map(row).collect()
    }

    #[test]
    fn values_are_written_as_the_contract_has_them() {
        let money = Decimal128Array::from(vec![Some(1_250), None, Some(-5), Some(9_999_999_999_999_999)]);
        let zone = TimestampMillisecondArray::from(vec![0, 0, 0, 1_767_225_599_999]).with_timezone("UTC");
        let rows = rows(vec![
            ("money", Arc::new(money.with_precision_and_scale(18, 2).expect("fits"))),
            ("real", Arc::new(Float64Array::from(vec![0.1, 1e16, 12.35, f64::NAN]))),
            ("whole", Arc::new(Int64Array::from(vec![Some(1), Some(-2), None, Some(i64::MAX)]))),
            ("text", Arc::new(StringArray::from(vec!["a\"b", "门诊", "", "x"]))),
            ("word", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("p"), None, Some("q"), Some("p")]))),
            ("passed", Arc::new(BooleanArray::from(vec![true, false, true, false]))),
            ("day", Arc::new(Date32Array::from(vec![0, 19_782, -1, 1]))),
            ("local", Arc::new(TimestampMicrosecondArray::from(vec![0, -1, 1_999_999, 86_399_000_000]))),
            ("moment", Arc::new(zone)),
        ]);
        assert_eq!(
            rows[0],
            r#"{"money":12.50,"real":0.1,"whole":1,"text":"a\"b","word":"p","passed":true,"day":"1970-01-01","local":"1970-01-01 00:00:00","moment":"1970-01-01 08:00:00"}"#
        );
        assert_eq!(
            rows[1],
            r#"{"real":10000000000000000,"whole":-2,"text":"门诊","passed":false,"day":"2024-02-29","local":"1969-12-31 23:59:59","moment":"1970-01-01 08:00:00"}"#
        );
        assert!(rows[2].starts_with(r#"{"money":-0.05,"real":12.35,"text":"","word":"q""#), "{}", rows[2]);
        assert!(rows[3].starts_with(r#"{"money":99999999999999.99,"real":"NaN","whole":9223372036854775807"#));
        assert!(rows[3].ends_with(r#""local":"1970-01-01 23:59:59","moment":"2026-01-01 07:59:59"}"#), "{}", rows[3]);
    }

    #[test]
    fn details_are_a_list_of_structures() {
        let fields = Fields::from(vec![
            Field::new("feedetl_sn", DataType::Utf8, true),
            Field::new("cnt", DataType::Int64, true),
        ]);
        let details = StructArray::new(
            fields.clone(),
            vec![
                Arc::new(StringArray::from(vec![Some("1"), Some("2")])),
                Arc::new(Int64Array::from(vec![Some(3), None])),
            ],
            None,
        );
        let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
        let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 0]), Arc::new(details), None);
        let rows = rows(vec![("fee_details", Arc::new(lists))]);
        assert_eq!(
            rows,
            [r#"{"fee_details":[{"feedetl_sn":"1","cnt":3},{"feedetl_sn":"2"}]}"#, r#"{"fee_details":[]}"#]
        );
    }
}
