//! Standard input: JSON Lines from whatever is piped in.

use super::lines::{self, BUFFER, Ended, Pace};
use super::{Filling, Limits, Outlet, Source, SourceError};
use crate::config;
use crate::record::Origin;
use std::io::{self, BufReader};
use std::sync::Arc;

/// Standard input, read to its end.
pub struct StdinSource {
    default_type: Option<String>,
    limits: Limits,
}

impl StdinSource {
    /// The source of a configuration.
    pub fn new(config: &config::StdinSource, limits: Limits) -> Self {
        let default_type = Some(config.default_type.clone()).filter(|tag| !tag.is_empty());
        Self { default_type, limits }
    }
}

impl Source for StdinSource {
    fn name(&self) -> String {
        "stdin".to_owned()
    }

    /// A read from a pipe cannot be interrupted: after a stop this thread may hang there until the process ends.
    fn run(self: Box<Self>, outlet: &Outlet) -> Result<(), SourceError> {
        let origin = Origin { name: "stdin".to_owned(), separator: ':', default_type: self.default_type };
        let mut filling = Filling::new(self.limits);
        let mut reader = BufReader::with_capacity(BUFFER, io::stdin());
        let ended = lines::feed(&mut reader, &Arc::new(origin), Pace::Waiting, &mut filling, outlet);
        if matches!(ended, Ok(Ended::AtEnd) | Err(_)) {
            let _stopping = outlet.flush(&mut filling);
        }
        ended.map(|_| ()).map_err(SourceError::Stdin)
    }
}
