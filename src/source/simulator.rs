//! The built-in city as a source, for a first look and for load.

use super::{Filling, Limits, Outlet, Source, SourceError};
use crate::checkpoint::manifest::Positions;
use crate::config;
use crate::record::Origin;
use crate::simulate::{Options, Simulator};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far records may run ahead of the pace: below it nobody notices, and sleeping is cheap.
const SLACK: Duration = Duration::from_millis(1);

/// A city that sends its records in order of upload.
///
/// With a rate, so many settlements are sent in a second of the real clock, each with what the city uploads around
/// it; the clock of the records runs as fast as that makes it. Nights pass in a moment, since nothing happens.
pub struct SimulatorSource {
    options: Options,
    rate: f64,
    limits: Limits,
    read: Positions,
}

impl SimulatorSource {
    /// The source of a configuration.
    pub fn new(config: &config::SimulatorSource, limits: Limits) -> Self {
        let days = (config.days > 0).then_some(config.days);
        let options = Options { persons: config.persons, days, seed: config.seed, ..Options::default() };
        Self { options, rate: config.rate, limits, read: Positions::new() }
    }

    /// Passes over what was read before: the city comes to it again, as fast as it can.
    pub fn after(mut self, read: Positions) -> Self {
        self.read = read;
        self
    }
}

impl Source for SimulatorSource {
    fn name(&self) -> String {
        match self.rate {
            rate if rate > 0.0 => format!("simulator: {} persons, {rate} settlements/s", self.options.persons),
            _ => format!("simulator: {} persons", self.options.persons),
        }
    }

    fn run(self: Box<Self>, outlet: &Outlet) -> Result<(), SourceError> {
        let origin = Arc::new(Origin { name: "simulator".to_owned(), separator: ':', default_type: None });
        let mut city = Simulator::new(self.options.clone());
        let read = self.read.get(&origin.name).copied().unwrap_or(0);
        let mut line = Vec::new();
        let mut number = 0;
        while number + 1 < read && city.next_line(&mut line).is_some() {
            drop(city.take_truth());
            number += 1;
            line.clear();
            if number % 10_000 == 0 && outlet.stopping() {
                return Ok(());
            }
        }
        let mut filling = Filling::new(self.limits);
        let (started, passed) = (Instant::now(), city.summary().settlements);
        while city.next_line(&mut line).is_some() {
            // Nobody asks for the truth here, and an endless city would keep it all.
            drop(city.take_truth());
            number += 1;
            filling.push(line.strip_suffix(b"\n").unwrap_or(&line), &origin, number);
            line.clear();
            let ahead = self.ahead(city.summary().settlements - passed, started);
            let waits = ahead > SLACK;
            let overdue = filling.time_left() == Some(Duration::ZERO);
            if (filling.is_full() || waits || overdue) && outlet.flush(&mut filling).is_err() {
                return Ok(());
            }
            if waits && outlet.pause(ahead) {
                return Ok(());
            }
        }
        let _stopping = outlet.flush(&mut filling);
        Ok(())
    }
}

impl SimulatorSource {
    /// How long before its time the settlement of a number is.
    fn ahead(&self, settlements: u64, started: Instant) -> Duration {
        if self.rate <= 0.0 {
            return Duration::ZERO;
        }
        let due = Duration::try_from_secs_f64(settlements as f64 / self.rate).unwrap_or(Duration::MAX);
        due.saturating_sub(started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::{Event, Received};
    use super::*;

    fn count(rate: f64, until: Duration) -> (u64, bool) {
        let config = config::SimulatorSource { seed: 7, persons: 2_000, days: 2, rate };
        let source = SimulatorSource::new(&config, Limits { linger: Duration::from_millis(2), ..Limits::bulk() });
        let running = super::super::start(Box::new(source), 4).expect("a thread");
        let deadline = Instant::now() + until;
        let mut settlements = 0;
        let mut ended = false;
        while !ended && Instant::now() < deadline {
            match running.inlet.receive(Duration::from_millis(10)) {
                Received::Event(Event::Batch(delivery)) => {
                    let batch = delivery.batch;
                    let tag = b"\"type\":\"settlement\"";
                    let is_settlement = |bytes: &[u8]| bytes.windows(tag.len()).any(|part| part == tag);
                    settlements += batch.messages.iter().filter(|m| is_settlement(batch.payload(m))).count() as u64;
                }
                Received::Event(_) => panic!("no warm-up"),
                Received::Nothing => {}
                Received::End => ended = true,
            }
        }
        running.inlet.stop();
        while !matches!(running.inlet.receive(Duration::from_millis(10)), Received::End) {}
        running.join().expect("no error");
        (settlements, ended)
    }

    #[test]
    fn a_rate_is_kept_and_none_is_fast() {
        let (all, ended) = count(0.0, Duration::from_secs(60));
        assert!(ended && all > 50, "{all}");
        let (paced, ended) = count(50.0, Duration::from_millis(600));
        assert!(!ended && (10..=40).contains(&paced), "{paced}");
    }
}
