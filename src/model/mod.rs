//! The anomaly model: what is strange, beside the rules that say what is forbidden.
//!
//! `days that changed → windows → aggregates → features`, then detectors and what follows from them:
//!
//! - [`file`]: a model as its file says it;
//! - [`window`]: spans of days;
//! - [`aggregate`]: what the live records of an entity sum up to over a window;
//! - [`feature`]: SQL over aggregates, and over those of the windows before;
//! - [`observer`]: keeps the features of every entity and window up to date;
//! - [`replay`], [`matrix`]: features over a history, and as a file.

pub mod aggregate;
pub mod feature;
pub mod file;
pub mod matrix;
pub mod observer;
pub mod replay;
pub mod window;
