//! A model that was trained elsewhere, for example in scikit-learn or LightGBM, and brought as ONNX; tract runs it.
//!
//! It reads the features as they are, not as distances from peers: one table of 32-bit floats, rows × features in the order of
//! the model file, as `fundwatch features` writes them. What is missing is the median of the history that it was taken over
//! with, and what is infinite the extreme, as for all detectors. Every row is computed on its own.

use super::Model;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, tensor_shape_proto, type_proto};
use tract_onnx::prelude::*;

/// In the metadata of an ONNX file: the names of its features, joined by commas. Where it is given it must fit.
const FEATURES: &str = "features";

/// Which ONNX file scores, and how its output is read: the table `onnx` of a model file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file, from the folder of the model file.
    pub file: PathBuf,
    /// The name of the output that is read; else the last one.
    #[serde(default)]
    pub output: Option<String>,
    /// The column of the output, from 0; else the last one, which of a classifier of two classes is the chance of the
    /// second.
    #[serde(default)]
    pub column: Option<usize>,
    /// Where lower values are stranger, as those of scikit-learn's `score_samples` are.
    #[serde(default)]
    pub lower_is_stranger: bool,
}

/// Why an ONNX model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is for another table.
    #[error("the ONNX model is for other features: {0}")]
    OtherFeatures(String),
    /// There is no such output.
    #[error("the ONNX model has no output \"{asked}\"; it has {}", known.join(", "))]
    NoOutput {
        /// What the model file says.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// tract cannot run it.
    #[error("the ONNX model cannot be run: {0}")]
    Run(String),
}

/// An ONNX model, ready to run.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Onnx {
    stored: Stored,
    plan: Arc<TypedRunnableModel>,
}

/// What is written down of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    source: Source,
    features: usize,
    /// The file, in base64.
    bytes: String,
}

impl TryFrom<Stored> for Onnx {
    type Error = OnnxError;

    fn try_from(stored: Stored) -> Result<Self, OnnxError> {
        let bytes = BASE64_STANDARD.decode(&stored.bytes).map_err(run)?;
        let proto = tract_onnx::onnx().proto_model_for_read(&mut bytes.as_slice()).map_err(run)?;
        let plan = plan(&proto, &stored.source, stored.features)?;
        Ok(Self { stored, plan })
    }
}

impl From<Onnx> for Stored {
    fn from(onnx: Onnx) -> Self {
        onnx.stored
    }
}

impl PartialEq for Onnx {
    fn eq(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}

impl fmt::Debug for Onnx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stored { source, features, bytes } = &self.stored;
        write!(formatter, "Onnx({source:?}, {features} features, {} letters)", bytes.len())
    }
}

impl Onnx {
    /// Reads the file for a table of features; `folder` is that of the model file.
    ///
    /// # Errors
    /// The file cannot be read or run, is for other features, or lacks the output.
    pub fn read(source: &Source, folder: &Path, features: &[String]) -> Result<Self, OnnxError> {
        let path = folder.join(&source.file);
        let bytes = std::fs::read(&path).map_err(|source| OnnxError::Read { path, source })?;
        Self::of_bytes(source, &bytes, features)
    }

    /// Takes the bytes of a file, as [`Onnx::read`] does.
    ///
    /// # Errors
    /// They cannot be run, are for other features, or lack the output.
    pub fn of_bytes(source: &Source, bytes: &[u8], features: &[String]) -> Result<Self, OnnxError> {
        let proto = tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]).map_err(run)?;
        let names = proto.metadata_props.iter().find(|entry| entry.key == FEATURES).map(|entry| entry.value.as_str());
        if let Some(names) = names
            && names.split(',').map(str::trim).ne(features.iter().map(String::as_str))
        {
            let reason = format!("it names {names}, the model file {}", features.join(","));
            return Err(OnnxError::OtherFeatures(reason));
        }
        let plan = plan(&proto, source, features.len())?;
        let bytes = BASE64_STANDARD.encode(bytes);
        Ok(Self { stored: Stored { source: source.clone(), features: features.len(), bytes }, plan })
    }

    /// What the model says of a row: a score, the higher the stranger.
    ///
    /// # Errors
    /// It cannot be run, or its output has no such column.
    pub fn output(&self, row: ArrayView1<'_, f64>) -> Result<f64, OnnxError> {
        let values: Vec<f32> = row.iter().map(|value| *value as f32).collect();
        let input = Tensor::from_shape(&[1, values.len()], &values).map_err(run)?;
        let outputs = self.plan.run(tvec!(input.into())).map_err(run)?;
        let output = outputs[0].cast_to::<f64>().map_err(run)?;
        let output = output.to_plain_array_view::<f64>().map_err(run)?;
        let place = self.stored.source.column.unwrap_or(output.len().saturating_sub(1));
        let value = output.iter().nth(place).copied();
        let value = value.ok_or_else(|| run(format!("its output has {} columns, none is {place}", output.len())))?;
        Ok(if self.stored.source.lower_is_stranger { -value } else { value })
    }
}

impl Model for Onnx {
    fn score(&self, row: ArrayView1<'_, f64>) -> f64 {
        // It has scored the whole history when it was taken. Where it finds no number nothing is known to be strange.
        let score = self.output(row).unwrap_or(f64::NAN);
        if score.is_nan() { -super::MOST } else { score.clamp(-super::MOST, super::MOST) }
    }
}

fn run(reason: impl fmt::Display) -> OnnxError {
    OnnxError::Run(format!("{reason:#}"))
}

/// The plan that computes one row.
fn plan(proto: &ModelProto, source: &Source, features: usize) -> Result<Arc<TypedRunnableModel>, OnnxError> {
    let graph = proto.graph.as_ref().ok_or_else(|| run("there is no graph in it"))?;
    check_input(graph, features)?;
    let known: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let output = match &source.output {
        Some(asked) if !known.contains(asked) => {
            return Err(OnnxError::NoOutput { asked: asked.clone(), known });
        }
        Some(asked) => asked.clone(),
        None => known.last().cloned().ok_or_else(|| run("it has no output"))?,
    };
    // The output that is read is made a whole one: others, such as scikit-learn's list of maps, are left out.
    let model = tract_onnx::onnx().model_for_proto_model(proto).map_err(run)?;
    let model = model.with_outputs_by_name([&output]).map_err(run)?;
    let model = model.with_input_fact(0, f32::fact([1, features]).into()).map_err(run)?;
    model.into_optimized().and_then(IntoRunnable::into_runnable).map_err(run)
}

/// Its only input must be a table of 32-bit floats with so many columns.
fn check_input(graph: &GraphProto, features: usize) -> Result<(), OnnxError> {
    // Constants are listed beside the inputs in older files.
    let is_constant = |name: &str| graph.initializer.iter().any(|constant| constant.name == name);
    let inputs: Vec<_> = graph.input.iter().filter(|input| !is_constant(&input.name)).collect();
    let [input] = inputs.as_slice() else {
        return Err(OnnxError::OtherFeatures(format!("it has {} inputs; it must have one table", inputs.len())));
    };
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return Err(OnnxError::OtherFeatures("its input is no table of numbers".to_owned()));
    };
    if tensor.elem_type != DataType::Float as i32 {
        return Err(OnnxError::OtherFeatures("its input is not of 32-bit floats".to_owned()));
    }
    let columns = tensor.shape.as_ref().and_then(|shape| shape.dim.get(1)).and_then(|dim| dim.value.as_ref());
    match columns {
        Some(tensor_shape_proto::dimension::Value::DimValue(columns)) if *columns != features as i64 => {
            Err(OnnxError::OtherFeatures(format!("it reads {columns} of them, the model file has {features}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::detector::Fitted;
    use crate::model::table::Table;
    use ndarray::{Array2, array};
    use prost::Message as _;
    use tract_onnx::pb::{
        NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    };

    fn value(name: &str, kind: DataType, columns: i64) -> ValueInfoProto {
        let size = |size| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(size)),
            ..Default::default()
        };
        let shape = TensorShapeProto { dim: vec![tensor_shape_proto::Dimension::default(), size(columns)] };
        let tensor = type_proto::Tensor { elem_type: kind as i32, shape: Some(shape) };
        let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..Default::default() }
    }

    /// score = 2 a + 3 b, as the second of two outputs.
    fn linear(kind: DataType) -> ModelProto {
        let node = |inputs: [&str; 2], output: &str, operation: &str| NodeProto {
            input: inputs.map(str::to_owned).to_vec(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: operation.to_owned(),
            ..Default::default()
        };
        let weights = TensorProto {
            dims: vec![2, 1],
            data_type: DataType::Float as i32,
            float_data: vec![2.0, 3.0],
            name: "weights".to_owned(),
            ..Default::default()
        };
        let graph = GraphProto {
            node: vec![node(["x", "x"], "doubled", "Add"), node(["x", "weights"], "score", "MatMul")],
            initializer: vec![weights],
            input: vec![value("x", kind, 2)],
            output: vec![value("doubled", DataType::Float, 2), value("score", DataType::Float, 1)],
            ..Default::default()
        };
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 15 }],
            graph: Some(graph),
            ..Default::default()
        }
    }

    fn source(output: Option<&str>) -> Source {
        let output = output.map(str::to_owned);
        Source { file: "own.onnx".into(), output, column: None, lower_is_stranger: false }
    }

    fn names() -> Vec<String> {
        ["a", "b"].map(str::to_owned).to_vec()
    }

    fn taken(source: &Source, proto: &ModelProto) -> Result<Onnx, OnnxError> {
        Onnx::of_bytes(source, &proto.encode_to_vec(), &names())
    }

    fn words(result: Result<Onnx, OnnxError>) -> String {
        result.expect_err("it cannot be used").to_string()
    }

    #[test]
    fn it_is_run_and_comes_back() {
        let proto = linear(DataType::Float);
        let onnx = taken(&source(None), &proto).expect("it can be run");
        assert_eq!(onnx.score(array![1.0, 10.0].view()), 32.0);
        assert_eq!(onnx.score(array![1.0, f64::NAN].view()), -1e100);
        let first = Source { column: Some(0), lower_is_stranger: true, ..source(Some("doubled")) };
        let onnx = taken(&first, &proto).expect("it can be run");
        assert_eq!(onnx.score(array![4.0, 10.0].view()), -8.0);
        let text = serde_json::to_string(&onnx).expect("it can be written");
        let back: Onnx = serde_json::from_str(&text).expect("it was written a moment ago");
        assert!(back == onnx && back.score(array![4.0, 10.0].view()) == -8.0);
    }

    #[test]
    fn a_table_is_scored_calibrated_and_explained() {
        let onnx = taken(&source(None), &linear(DataType::Float)).expect("it can be run");
        // The second column never varies, but the model reads it.
        let rows = Array2::from_shape_fn((99, 2), |(row, column)| if column == 0 { row as f64 } else { 1.0 });
        let table = Table::new(names(), rows).expect("names fit");
        let fitted = Fitted::adopt(onnx, &table, &(0..99).collect::<Vec<usize>>()).expect("it can be run");
        let strange = Table::new(names(), array![[200.0, 1.0], [f64::NAN, 1.0]]).expect("names fit");
        let scores = fitted.score(&strange).expect("its columns");
        assert_eq!(scores, [403.0, 101.0]);
        let p = fitted.p_values(&scores);
        assert!(p[0] <= 0.01 && (0.45..0.55).contains(&p[1]), "{p:?}");
        let why = fitted.explain(&strange, 0).expect("its columns");
        assert_eq!((why[0].contribution, why[1].contribution), (2.0 * (200.0 - 49.0), 0.0));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let proto = linear(DataType::Float);
        let told = words(taken(&source(Some("label")), &proto));
        assert_eq!(told, "the ONNX model has no output \"label\"; it has doubled, score");
        let told = words(Onnx::of_bytes(&source(None), &proto.encode_to_vec(), &["a".to_owned()]));
        assert_eq!(told, "the ONNX model is for other features: it reads 2 of them, the model file has 1");
        let told = words(taken(&source(None), &linear(DataType::Double)));
        assert_eq!(told, "the ONNX model is for other features: its input is not of 32-bit floats");
        let mut named = proto.clone();
        named.metadata_props = vec![StringStringEntryProto { key: FEATURES.to_owned(), value: "b,a".to_owned() }];
        let told = words(taken(&source(None), &named));
        assert_eq!(told, "the ONNX model is for other features: it names b,a, the model file a,b");
        named.metadata_props[0].value = "a, b".to_owned();
        taken(&source(None), &named).expect("the same features");
        let told = words(Onnx::of_bytes(&source(None), b"no protobuf", &names()));
        assert!(told.starts_with("the ONNX model cannot be run: "), "{told}");
        let mut unknown = proto.clone();
        unknown.graph.as_mut().expect("a graph").node[1].op_type = "Scaler".to_owned();
        let told = words(taken(&source(None), &unknown));
        assert!(told.contains("Scaler"), "{told}");
        // What is not read need not be known.
        taken(&source(Some("doubled")), &unknown).expect("the other output");
        let column = Source { column: Some(7), ..source(None) };
        let onnx = taken(&column, &proto).expect("columns are seen when it runs");
        let table = Table::new(names(), array![[1.0, 2.0], [2.0, 3.0]]).expect("names fit");
        let told = Fitted::adopt(onnx, &table, &[0, 1]).expect_err("no such column").to_string();
        assert!(told.contains("its output has 1 columns, none is 7"), "{told}");
    }
}
