//! `/`: the status page, one document without anything from elsewhere.

use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
const WORDS: &str = include_str!("page/words.js");

struct Page {
    html: String,
    policy: HeaderValue,
}

/// The document, with a policy that lets the browser run and load only what is in it.
static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let script = format!("\"use strict\";\n{WORDS}\n{SCRIPT}");
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(&script),
        hash(STYLE)
    );
    Page {
        html: FRAME.replacen("/*STYLE*/", STYLE, 1).replacen("/*SCRIPT*/", &script, 1),
        policy: HeaderValue::from_str(&policy).expect("hashes and constants are visible ASCII"),
    }
});

pub(super) async fn show() -> Response {
    let mut response = Html(PAGE.html.as_str()).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, PAGE.policy.clone());
    response
}
