//! Whether the pipeline is ready, and whether it moves at all: a verdict over facts that others gather.
//!
//! *Ready* (`/readyz`) means that alerts are up to date, or nearly. *Stalled* (`/healthz`) means that records wait and
//! none is processed. A reason that may pass by itself (a lag, a sink or a source in trouble) makes it not ready only
//! when it lasts.

use crate::source::Condition;
use crate::status::{Cause, SinkStatus};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The kind.
    pub cause: Cause,
    /// In words.
    pub words: String,
}

/// What is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records that may wait in the source.
    pub ready_lag: u64,
    /// How long more may wait, or a sink or the source be in trouble.
    pub ready_delay: Duration,
    /// How long records may wait without one being processed; zero: for ever.
    pub stalled_after: Duration,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'f> {
    /// The source.
    pub source: &'f Condition,
    /// The sinks.
    pub sinks: &'f [SinkStatus],
    /// Batches that were processed and handed to the sinks.
    pub processed: u64,
    /// Whether a batch waits for room with a sink.
    pub blocked: bool,
    /// Whether the state is being rebuilt.
    pub warming_up: bool,
    /// Whether a stop was asked for.
    pub stopping: bool,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Why it is not ready.
    pub not_ready: Option<Trouble>,
    /// Why it counts as stalled.
    pub stalled: Option<Trouble>,
}

/// Remembers since when things are as they are.
#[derive(Debug)]
pub struct Health {
    limits: Limits,
    /// `processed` and the lag when something last moved, or nothing had to.
    moved: (u64, u64),
    moved_at: Instant,
    /// When the lag was last within its limit.
    caught_up: Option<Instant>,
    /// Since when each is in trouble: sinks by name, the source under no name.
    troubled: BTreeMap<String, Instant>,
}

impl Health {
    /// Nothing has happened yet.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, moved: (0, 0), moved_at: now, caught_up: None, troubled: BTreeMap::new() }
    }

    /// How long records may wait without one being processed.
    pub fn stalled_after(&self) -> Duration {
        self.limits.stalled_after
    }

    /// Looks at the facts of this moment.
    pub fn look(&mut self, now: Instant, facts: &Facts<'_>) -> Verdict {
        let lag = facts.source.lag.iter().map(|lag| lag.records).sum();
        let stalled = self.hung(now, facts.source).or(self.stalled(now, facts, lag));
        // All are looked at each time: each remembers since when.
        let warming_up = facts.warming_up || facts.source.warm_up_ahead;
        let reads = facts.source.waits_for.is_none() && !warming_up;
        let lasting = [self.lag(now, lag, reads), self.sinks(now, facts.sinks), self.source(now, facts.source)];
        let at_once = [
            facts.stopping.then(|| trouble(Cause::Stopping, "it stops")),
            warming_up.then(|| trouble(Cause::WarmUp, "the state is being rebuilt from earlier records")),
            facts.source.waits_for.map(|waits_for| trouble(Cause::NoPartitions, waits_for)),
            stalled.clone(),
        ];
        Verdict { not_ready: at_once.into_iter().chain(lasting).flatten().next(), stalled }
    }

    /// A source that hangs in its client does not know of lag either.
    fn hung(&self, now: Instant, source: &Condition) -> Option<Trouble> {
        let silent = now.saturating_duration_since(source.alive?);
        // Calls that wait for an answer take up to a third of this.
        let hangs = !self.limits.stalled_after.is_zero() && silent >= self.limits.stalled_after;
        hangs.then(|| {
            let seconds = silent.as_secs();
            trouble(
                Cause::Stalled,
                format!("the source's client has not come back for {seconds} s (http.stalled_after)"),
            )
        })
    }

    fn stalled(&mut self, now: Instant, facts: &Facts<'_>, lag: u64) -> Option<Trouble> {
        let (processed, lag_before) = self.moved;
        let waits = facts.blocked || lag > 0 || facts.source.pending > 0;
        if !waits || facts.processed != processed || lag < lag_before {
            (self.moved, self.moved_at) = ((facts.processed, lag), now);
        }
        self.moved.1 = lag;
        let still = now.saturating_duration_since(self.moved_at);
        if self.limits.stalled_after.is_zero() || still < self.limits.stalled_after {
            return None;
        }
        let culprit = match (facts.blocked, self.first_in_trouble(facts.sinks), &facts.source.trouble) {
            (true, Some(sink), _) => format!("the {} sink is full and takes nothing: {}", sink.name, words(sink)),
            (true, None, _) => "a sink is full and takes nothing".to_owned(),
            (false, _, Some(trouble)) => format!("the source: {trouble}"),
            (false, _, None) => format!("{lag} wait in the source"),
        };
        let seconds = still.as_secs();
        Some(trouble(
            Cause::Stalled,
            format!("records wait and none was processed for {seconds} s (http.stalled_after): {culprit}"),
        ))
    }

    /// The required sink that is most likely to blame.
    fn first_in_trouble<'s>(&self, sinks: &'s [SinkStatus]) -> Option<&'s SinkStatus> {
        let required = || sinks.iter().filter(|sink| sink.required);
        required().find(|sink| sink.trouble.is_some()).or_else(|| required().max_by_key(|sink| sink.queued))
    }

    /// `reads`: before it reads what is new, a lag of zero means nothing.
    fn lag(&mut self, now: Instant, lag: u64, reads: bool) -> Option<Trouble> {
        let Limits { ready_lag, ready_delay, .. } = self.limits;
        if reads && lag <= ready_lag {
            self.caught_up = Some(now);
        }
        let within = self.caught_up.is_some_and(|at| now.saturating_duration_since(at) < ready_delay);
        (lag > ready_lag && !within)
            .then(|| trouble(Cause::Lag, format!("{lag} records wait; http.ready_lag = {ready_lag} may")))
    }

    fn sinks(&mut self, now: Instant, sinks: &[SinkStatus]) -> Option<Trouble> {
        let mut lasting = None;
        for sink in sinks.iter().filter(|sink| sink.required) {
            if self.lasts(now, &sink.name, sink.trouble.is_some()) && lasting.is_none() {
                let words = format!("the {} sink does not deliver: {}", sink.name, words(sink));
                lasting = Some(trouble(Cause::Sink, words));
            }
        }
        lasting
    }

    fn source(&mut self, now: Instant, source: &Condition) -> Option<Trouble> {
        let lasts = self.lasts(now, "", source.trouble.is_some());
        let words = source.trouble.as_ref().filter(|_| lasts)?;
        Some(trouble(Cause::Source, format!("the source is in trouble: {words}")))
    }

    /// Whether someone has been in trouble for longer than is borne.
    fn lasts(&mut self, now: Instant, name: &str, troubled: bool) -> bool {
        if !troubled {
            self.troubled.remove(name);
            return false;
        }
        let since = *self.troubled.entry(name.to_owned()).or_insert(now);
        now.saturating_duration_since(since) >= self.limits.ready_delay
    }
}

fn words(sink: &SinkStatus) -> String {
    sink.trouble.clone().unwrap_or_else(|| format!("{} items wait for it", sink.queued))
}

fn trouble(cause: Cause, words: impl Into<String>) -> Trouble {
    Trouble { cause, words: words.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Lag;

    const LIMITS: Limits =
        Limits { ready_lag: 100, ready_delay: Duration::from_secs(10), stalled_after: Duration::from_secs(30) };

    /// A clock that is turned by hand, and what is looked at.
    struct World {
        health: Health,
        start: Instant,
        source: Condition,
        sinks: Vec<SinkStatus>,
        processed: u64,
        blocked: bool,
        warming_up: bool,
    }

    impl World {
        fn new() -> Self {
            let start = Instant::now();
            let sink = |name: &str, required| SinkStatus { name: name.to_owned(), required, ..SinkStatus::default() };
            Self {
                health: Health::new(LIMITS, start),
                start,
                source: Condition::default(),
                sinks: vec![sink("terminal", false), sink("kafka", true)],
                processed: 0,
                blocked: false,
                warming_up: false,
            }
        }

        fn lag(&mut self, records: u64) {
            self.source.lag = vec![Lag { partition: "t[0]".to_owned(), records }];
        }

        fn at(&mut self, seconds: u64) -> Verdict {
            let facts = Facts {
                source: &self.source,
                sinks: &self.sinks,
                processed: self.processed,
                blocked: self.blocked,
                warming_up: self.warming_up,
                stopping: false,
            };
            self.health.look(self.start + Duration::from_secs(seconds), &facts)
        }

        fn not_ready(&mut self, seconds: u64) -> Option<Cause> {
            self.at(seconds).not_ready.map(|trouble| trouble.cause)
        }
    }

    #[test]
    fn it_is_ready_once_partitions_are_there_the_state_is_rebuilt_and_the_lag_is_small() {
        let mut world = World::new();
        world.source.waits_for = Some("no partitions");
        assert_eq!(world.not_ready(0), Some(Cause::NoPartitions));
        world.source.waits_for = None;
        world.source.warm_up_ahead = true;
        assert_eq!(world.not_ready(1), Some(Cause::WarmUp));
        world.source.warm_up_ahead = false;
        world.warming_up = true;
        world.lag(5_000);
        assert_eq!(world.not_ready(2), Some(Cause::WarmUp));
        world.warming_up = false;
        assert_eq!(world.not_ready(3), Some(Cause::Lag), "it has never been caught up");
        world.lag(100);
        assert_eq!(world.not_ready(4), None);
        world.lag(101);
        assert_eq!(world.not_ready(13), None, "a burst is borne");
        assert_eq!(world.not_ready(14), Some(Cause::Lag));
        world.lag(0);
        assert_eq!(world.not_ready(15), None);
    }

    #[test]
    fn trouble_of_a_required_sink_or_the_source_counts_when_it_lasts() {
        let mut world = World::new();
        world.sinks[0].trouble = Some("a closed pipe".to_owned());
        assert_eq!((world.not_ready(0), world.not_ready(60)), (None, None), "nobody waits for this one");
        world.sinks[1].trouble = Some("no answer".to_owned());
        assert_eq!((world.not_ready(61), world.not_ready(70)), (None, None));
        let words = world.at(71).not_ready.expect("it lasts").words;
        assert_eq!(words, "the kafka sink does not deliver: no answer");
        world.sinks[1].trouble = None;
        assert_eq!(world.not_ready(72), None);
        world.sinks[1].trouble = Some("no answer".to_owned());
        assert_eq!(world.not_ready(79), None, "the time begins anew");
        world.sinks[1].trouble = None;
        world.source.trouble = Some("no broker".to_owned());
        assert_eq!((world.not_ready(80), world.not_ready(90)), (None, Some(Cause::Source)));
    }

    #[test]
    fn it_is_stalled_when_records_wait_and_none_is_processed() {
        let mut world = World::new();
        assert_eq!(world.at(100).stalled, None, "nothing waits");
        world.lag(5);
        assert_eq!(world.at(101).stalled, None);
        assert_eq!(world.at(129).stalled, None);
        world.lag(7);
        let stalled = world.at(130).stalled.expect("more wait, and none is processed");
        assert_eq!(
            stalled.words,
            "records wait and none was processed for 30 s (http.stalled_after): 7 wait in the source"
        );
        assert_eq!(world.not_ready(131), Some(Cause::Stalled));
        world.processed = 1;
        assert_eq!(world.at(132).stalled, None);
        assert_eq!(world.at(161).stalled, None);
        // Messages without content are no batches, but the lag shrinks.
        world.lag(6);
        assert_eq!(world.at(163).stalled, None);
        world.lag(0);
        world.source.pending = 4;
        world.blocked = true;
        world.sinks[1].trouble = Some("no answer".to_owned());
        assert_eq!(world.at(164).stalled, None);
        let stalled = world.at(200).stalled.expect("a sink blocks");
        assert!(stalled.words.ends_with("the kafka sink is full and takes nothing: no answer"), "{stalled:?}");
        world.health.limits.stalled_after = Duration::ZERO;
        assert_eq!(world.at(10_000).stalled, None, "switched off");
    }

    #[test]
    fn a_source_that_hangs_in_its_client_is_seen_without_any_lag() {
        let mut world = World::new();
        world.source.alive = Some(world.start);
        assert_eq!(world.at(29).stalled, None);
        let stalled = world.at(31).stalled.expect("it hangs");
        assert_eq!(stalled.words, "the source's client has not come back for 31 s (http.stalled_after)");
        world.source.alive = Some(world.start + Duration::from_secs(32));
        assert_eq!(world.at(33).stalled, None);
    }
}
