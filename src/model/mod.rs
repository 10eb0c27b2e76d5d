//! The anomaly model: what is strange, beside the rules that say what is forbidden.
//!
//! `days that changed → windows → aggregates → features → departures from peers → detectors → p-values →
//! budget`, in the order of the data:
//!
//! - [`file`]: a model as its file says it;
//! - [`window`]: spans of days;
//! - [`aggregate`]: what the live records of an entity sum up to over a window, by [`tally`], with [`counts`] by hour tested as
//!   counts;
//! - [`feature`]: SQL over aggregates, and over those of the windows before;
//! - [`observer`]: keeps the features of every entity and window up to date;
//! - [`replay`], [`matrix`]: features over a history, and as a file;
//! - [`peers`]: what is usual among entities like one another;
//! - [`table`]: features by row, as detectors take them;
//! - [`detector`]: learn from a table what is usual, score rows, explain a score;
//! - [`calibrate`]: from scores to p-values;
//! - [`budget`]: which of the strange are told of, [`left_out`]: and which are not;
//! - [`trained`]: all that was learned, as a file;
//! - [`drift`]: how far features have moved since;
//! - [`scorer`]: a trained model at work in the engine, [`finding`]: what it found, written down;
//! - [`label_file`], [`recent`]: verdicts as files tell them, and what was known of them at a moment;
//! - [`window_labels`], [`confirmation`]: verdicts on entities in windows, and what they teach a model;
//! - [`labels`], [`supervised`]: verdicts on settlements, and what learns from them;
//! - [`folder`]: the trained models of a pipeline, looked at for changes;
//! - [`measure`]: how well scores find what is labelled, [`evaluation`]: how a trained model does over a history;
//! - [`random`]: the same numbers for a seed.
//!
//! To detectors features are `f64`: they are ratios, means and counts of amounts, not amounts that are paid.

pub mod aggregate;
pub mod budget;
pub mod calibrate;
pub mod confirmation;
pub mod counts;
pub mod detector;
pub mod drift;
pub mod evaluation;
pub mod feature;
pub mod file;
pub mod finding;
pub mod folder;
pub mod label_file;
pub mod labels;
pub mod left_out;
pub mod matrix;
pub mod measure;
mod median;
pub mod observer;
pub mod peers;
pub mod random;
pub mod recent;
pub mod replay;
pub mod scorer;
pub mod supervised;
pub mod table;
pub mod tally;
pub mod trained;
pub mod window;
pub mod window_labels;
