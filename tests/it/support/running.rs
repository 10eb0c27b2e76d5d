//! `fundwatch run` as a process, in a folder of its own.

use super::{fundwatch, wait_until};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What no step takes on any machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The program in a folder of its own, its words in the file `words` and its output in `out`; ended when dropped.
pub struct Running {
    pub child: Child,
    dir: Arc<TempDir>,
}

impl Running {
    /// Starts it with variables of its environment.
    pub fn start(variables: &[(&str, &str)], stdin: Stdio) -> Running {
        Running::start_in(Arc::new(tempfile::tempdir().expect("a folder")), variables, stdin)
    }

    /// Starts it where another one has run.
    pub fn start_in(dir: Arc<TempDir>, variables: &[(&str, &str)], stdin: Stdio) -> Running {
        let create = |name: &str| fs::File::create(dir.path().join(name)).expect("a file");
        let mut command = fundwatch();
        command.arg("run").current_dir(dir.path()).env("FUNDWATCH__HTTP__LISTEN", "127.0.0.1:0");
        command.env_remove("RUST_LOG").envs(variables.iter().copied());
        command.stdin(stdin).stdout(create("out")).stderr(create("words"));
        Running { child: command.spawn().expect("it starts"), dir }
    }

    /// Its folder, for the next one.
    pub fn dir(&self) -> Arc<TempDir> {
        self.dir.clone()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Its standard input, where that is piped.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("piped")
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
    }

    /// Waits for the end; the exit status and how long it took. After a signal there is no status.
    pub fn end(&mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        let status = wait_until("the end", LIMIT, || self.child.try_wait().expect("a child"));
        (status.code(), started.elapsed())
    }

    pub fn address(&self) -> String {
        wait_until("an address", LIMIT, || address_in(&self.read("words")))
    }

    /// The status and the body of an answer.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(&self.address(), path)
    }

    /// `/api/status`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/api/status").1).expect("JSON")
    }

    /// The value of a metric with its labels, as in `fundwatch_rules{status="live"}`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        metric(&self.get("/metrics").1, name)
    }

    /// Waits until so many records were received.
    pub fn wait_for_records(&self, count: u64) {
        wait_until(&format!("{count} records"), LIMIT, || {
            (self.status()["records"]["received"] == count).then_some(())
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where the last process of those that said this listens.
pub fn address_in(words: &str) -> Option<String> {
    let (_, after) = words.rsplit_once("status page: http://")?;
    after.split_once('/').map(|(address, _)| address.to_owned())
}

/// The value of a metric with its labels in what `/metrics` answers.
pub fn metric(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// The status and the body of an answer.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
