//! The HTTP server: status page, metrics, health, and the API of alerts.
//!
//! It runs on a small runtime of its own and reads what the pipeline leaves for it: the [`Board`], the
//! [`Metrics`], the [`Store`] and the live event stream. Nothing here can hold up the pipeline.
//!
//! There is no login. On a loopback address, requests must also name a loopback host, so that no web page that
//! someone opens can read alerts through a name that it lets point here (DNS rebinding).

use crate::metrics::Metrics;
use crate::sink::live::LiveSender;
use crate::sink::store::Store;
use crate::status::Board;
use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use problem::Problem;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

mod alerts;
mod page;
mod problem;
mod query;
mod stream;

/// Threads that serve requests.
const WORKERS: usize = 2;
/// Threads that read the store.
const READERS: usize = 4;

/// What the server shows.
#[derive(Clone)]
pub struct State {
    /// The store of alerts; `None`: there is none, and the API says so.
    pub store: Option<Store>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The snapshot of the pipeline.
    pub board: Board,
    /// Where revisions are announced.
    pub live: LiveSender,
}

/// What handlers share.
#[derive(Clone)]
struct Inner {
    state: State,
    /// Turns true when the server stops.
    stop: watch::Receiver<bool>,
    /// Whether the server listens on a loopback address.
    loopback: bool,
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("failed to listen on {listen}: {source}{}", hint(.source))]
    Listen {
        /// The address as it is configured.
        listen: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such address.
    #[error("{listen} is no address to listen on; write for example 127.0.0.1:9464")]
    Address {
        /// The address as it is configured.
        listen: String,
    },
    /// The runtime could not be started.
    #[error("failed to start the HTTP server: {0}")]
    Start(#[source] std::io::Error),
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; is another fundwatch running? http.listen sets another port",
        _ => "",
    }
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to listen and to serve. Port 0 takes a free one.
    ///
    /// # Errors
    /// The address is none, or is in use.
    pub fn start(listen: &str, state: State) -> Result<Self, HttpError> {
        let no_address = || HttpError::Address { listen: listen.to_owned() };
        let address = listen.to_socket_addrs().map_err(|_| no_address())?.next().ok_or_else(no_address)?;
        let fail = |source| HttpError::Listen { listen: listen.to_owned(), source };
        let listener = TcpListener::bind(address).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(READERS)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(HttpError::Start)?;
        let (stop, stopped) = watch::channel(false);
        let router = router(Inner { state, stop: stopped.clone(), loopback: address.ip().is_loopback() });
        let serve = move || {
            runtime.block_on(async move {
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!("the HTTP server cannot listen: {error}"),
                };
                let server = axum::serve(listener, router).with_graceful_shutdown(until(stopped.clone()));
                // Whoever does not finish soon after the signal is cut off.
                let limit = async {
                    until(stopped).await;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                };
                tokio::select! {
                    served = server => if let Err(error) = served {
                        tracing::error!("the HTTP server has stopped: {error}");
                    },
                    () = limit => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(500));
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(serve).map_err(HttpError::Start)?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends event streams, lets requests finish for up to two seconds, and stops.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the HTTP server has panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the server's handle is gone, which stops it as well.
    let _either_way = stopped.wait_for(|stopped| *stopped).await;
}

fn router(inner: Inner) -> Router {
    Router::new()
        .route("/", get(page::show))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/api/status", get(status))
        .route("/api/models", get(models))
        .route("/api/alerts", get(alerts::list))
        .route("/api/alerts/stream", get(stream::follow))
        .route("/api/alerts/{alert_id}", get(alerts::one))
        .fallback(nothing_here)
        .method_not_allowed_fallback(only_get)
        .layer(middleware::from_fn_with_state(inner.clone(), guard))
        .with_state(inner)
}

/// Refuses foreign host names on loopback, and adds what every answer carries.
async fn guard(Shared(inner): Shared<Inner>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if inner.loopback && !host.is_none_or(names_loopback) {
        let words = "this server listens on a loopback address and answers only to localhost, 127.0.0.1 and [::1]";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, words).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a `Host` header names this machine's loopback.
fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn metrics(Shared(inner): Shared<Inner>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, inner.state.metrics.render()).into_response()
}

/// The process lives, and its pipeline has not failed and moves where there is something to do.
async fn healthy(Shared(inner): Shared<Inner>) -> Response {
    match inner.state.board.ill() {
        None => "ok\n".into_response(),
        Some(words) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, words).into_response(),
    }
}

/// Records are being processed, and alerts are up to date or nearly.
async fn ready(Shared(inner): Shared<Inner>) -> Response {
    let trouble = inner.state.board.read(|status| (!status.ready).then(|| status.trouble.clone().unwrap_or_default()));
    match trouble.or_else(|| inner.state.board.ill()) {
        None => "ready\n".into_response(),
        Some(words) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {words}")).into_response(),
    }
}

async fn status(Shared(inner): Shared<Inner>) -> Response {
    axum::Json(inner.state.board.report()).into_response()
}

async fn models(Shared(inner): Shared<Inner>) -> Response {
    axum::Json(inner.state.board.models()).into_response()
}

async fn nothing_here(request: Request) -> Problem {
    let words = format!(
        "nothing is at {}; there are /, /metrics, /healthz, /readyz, /api/status, /api/models, /api/alerts, \
         /api/alerts/<alert_id> and /api/alerts/stream",
        request.uri().path()
    );
    Problem::new(StatusCode::NOT_FOUND, words)
}

async fn only_get(request: Request) -> Problem {
    let words = format!("{} takes GET only: nothing can be changed here", request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_pass() {
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1", "127.0.0.1:80", "127.1.2.3", "[::1]:9464", "[::1]"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in ["example.org", "example.org:9464", "127.0.0.1.example.org", "10.0.0.1", "[2001:db8::1]:80", ""] {
            assert!(!names_loopback(host), "{host}");
        }
    }
}
