//! Fundwatch.
pub mod alert;
pub mod clock;
pub mod config;
pub mod detect;
pub mod engine;
pub mod http;
pub mod live;
pub mod metrics;
pub mod record;
pub mod rules;
pub mod simulate;
pub mod sink;
pub mod source;
pub mod status;
pub mod timeline;
