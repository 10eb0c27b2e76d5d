//! `/api/alerts/stream`: each revision as it comes, as server-sent events.
//!
//! Events are named `alert`, with `<alert_id>-<revision>` as id and the alert's JSON as data. A comment every
//! few seconds shows that the line is alive. A client that reads too slowly gets a last event `lagged` with the
//! number of revisions it has missed, and is dropped; it should read `/api/alerts` and come again.

use super::Inner;
use super::problem::Problem;
use crate::sink::live::LiveAlert;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use prometheus::IntGauge;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Clients at a time.
const CLIENTS: i64 = 256;
/// Events between a client's task and its connection; what is more waits in the common backlog.
const BUFFER: usize = 32;
/// How long a client may take no event at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between signs of life.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) async fn follow(Shared(inner): Shared<Inner>) -> Response {
    let clients = Client::new(inner.state.metrics.stream_clients());
    if clients.0.get() > CLIENTS {
        let words = format!("{CLIENTS} clients follow the stream already");
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    }
    let (sender, receiver) = mpsc::channel(BUFFER);
    tokio::spawn(feed(inner.state.live.subscribe(), sender, inner.stop.clone(), clients));
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("heartbeat");
    let events = ReceiverStream::new(receiver).map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(heartbeat).into_response()
}

/// Counts a client as long as it is there.
struct Client(IntGauge);

impl Client {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Passes revisions on until the client goes, falls behind, or the server stops.
async fn feed(
    mut live: broadcast::Receiver<Arc<LiveAlert>>,
    client: mpsc::Sender<Event>,
    mut stop: watch::Receiver<bool>,
    _counted: Client,
) {
    if client.send(Event::default().comment("connected").retry(Duration::from_secs(2))).await.is_err() {
        return;
    }
    loop {
        let next = tokio::select! {
            next = live.recv() => next,
            () = client.closed() => return,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (event, last) = match next {
            Ok(alert) => (Event::default().event("alert").id(&alert.key).data(&alert.json), false),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                (Event::default().event("lagged").data(format!("{{\"missed\":{missed}}}")), true)
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        let sent = tokio::select! {
            sent = client.send_timeout(event, PATIENCE) => sent.is_ok(),
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if last || !sent {
            return;
        }
    }
}
