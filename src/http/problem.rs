//! Answers that say what went wrong.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error as clients get it: `{"error": "a sentence that helps"}`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    words: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into() }
    }

    pub(super) fn bad_request(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> &str {
        &self.words
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        (self.status, axum::Json(Body { error: self.words })).into_response()
    }
}
