//! `/api/alerts`: lists, and single alerts with their history.

use super::problem::Problem;
use super::{Inner, query};
use crate::sink::SinkError;
use crate::sink::store::Store;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// `{"alerts": […], "next": "…"}`, newest first.
pub(super) async fn list(
    Shared(inner): Shared<Inner>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let query = query::parse(&pairs)?;
    let page = read(&inner, move |store| store.list(&query.filter, query.before, query.limit)).await?;
    let next = page.next.map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
    Ok(json(format!("{{\"alerts\":[{}],\"next\":{next}}}", page.alerts.join(","))))
}

/// `{"alert": …, "shadow": …, "revisions": […]}`; the alert is the last revision.
pub(super) async fn one(Shared(inner): Shared<Inner>, Path(alert_id): Path<String>) -> Result<Response, Problem> {
    let missing = || {
        let words = format!("no alert has the id \"{alert_id}\"; ids are 32 hexadecimal digits");
        Problem::new(StatusCode::NOT_FOUND, words)
    };
    let id = alert_id.to_ascii_lowercase();
    let history = read(&inner, move |store| store.get(&id)).await?.ok_or_else(missing)?;
    let current = history.revisions.last().ok_or_else(missing)?;
    let (shadow, revisions) = (history.shadow, history.revisions.join(","));
    Ok(json(format!("{{\"alert\":{current},\"shadow\":{shadow},\"revisions\":[{revisions}]}}")))
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Reads the store on a thread that may block.
async fn read<R: Send + 'static>(
    inner: &Inner,
    read: impl FnOnce(&Store) -> Result<R, SinkError> + Send + 'static,
) -> Result<R, Problem> {
    let no_store = || {
        let words = "alerts are not stored here; set sinks.sqlite.enabled = true to keep them";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, words)
    };
    let store = inner.state.store.clone().ok_or_else(no_store)?;
    let outcome = tokio::task::spawn_blocking(move || read(&store)).await;
    match outcome {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")),
    }
}
