//! Checkpoints: the state on disk or in a bucket, so that a restart goes on where the last run was.
//!
//! While the engine works, every shard writes down what a batch has changed ([`log`]). Every few seconds, between
//! two batches, that is cut off and becomes a [`segment`]; a [`manifest`] names the segments that together hold
//! everything, the positions of the source they belong to, and what is small. Both are written beside the running
//! engine ([`writer`]), into any object [`store`]. A restart takes the newest whole checkpoint back ([`restore`]),
//! which [`read`]s the records in it and lets an empty engine receive them again.

mod http;
pub mod log;
pub mod manifest;
pub mod read;
pub mod restore;
pub mod segment;
pub mod store;
pub mod writer;
