//! What goes wrong around the running program: records that come late or from the future, floods of bad ones, sinks
//! that do not deliver, and signals in the middle of it.

mod records;
