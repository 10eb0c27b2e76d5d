//! Signals: the first asks the pipeline to finish, the second ends the process at once.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Whether and when someone asked the process to stop. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Arc<OnceLock<Instant>>);

impl Shutdown {
    /// Whether it is time to stop.
    pub fn requested(&self) -> bool {
        self.0.get().is_some()
    }

    /// What is left of the time that a shutdown may take; all of it where none was asked for.
    pub fn left_of(&self, time: Duration) -> Duration {
        self.0.get().map_or(time, |since| time.saturating_sub(since.elapsed()))
    }

    /// Asks for it.
    pub fn request(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// Listens for SIGTERM and SIGINT on a thread of its own, as long as the process lives.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::default();
        let asked = shutdown.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Registered here, so that no signal is missed once this returns.
        let _inside = runtime.enter();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        drop(_inside);
        let wait = move || {
            runtime.block_on(async move {
                loop {
                    let number = tokio::select! {
                        _ = terminate.recv() => 15,
                        _ = interrupt.recv() => 2,
                    };
                    if asked.requested() {
                        exit_at_once(number);
                    }
                    asked.request();
                }
            });
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(shutdown)
    }
}

#[expect(clippy::disallowed_methods, reason = "a second signal means: now; what is not done comes again")]
fn exit_at_once(signal: i32) {
    std::process::exit(128 + signal);
}

/// Makes a panic in any thread end the process. A half-dead one would keep its partitions and do nothing.
pub fn end_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name").to_owned();
        tracing::error!(
            "thread {name} has panicked: this is a mistake in fundwatch; the process ends. What was not acknowledged comes again after a restart"
        );
        exit_after_panic();
    }));
}

#[expect(clippy::disallowed_methods, reason = "a panic must not leave a half-dead process in the consumer group")]
fn exit_after_panic() {
    std::process::exit(2);
}
