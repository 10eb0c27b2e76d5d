//! The anomaly model: what is strange, beside the rules that say what is forbidden.
//!
//! - [`table`]: features by row;
//! - [`detector`]: learn from a table what is usual, score rows, explain a score;
//! - [`calibrate`]: from scores to p-values;
//! - [`counts`]: counts by hour, tested as counts;
//! - [`measure`]: how well scores find what is labelled;
//! - [`random`]: the same numbers for a seed.
//!
//! Features are `f64`: they are ratios, means and counts of amounts, not amounts that are paid.

pub mod calibrate;
pub mod counts;
pub mod detector;
pub mod measure;
pub mod random;
pub mod table;
