//! The HTTP client of object stores: the one we have, on threads that may block. So S3 needs no second client and no
//! second TLS stack in the build.

use crate::client;
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use std::time::Duration;
use ureq::{Agent, Error, http};

/// How long one request may take. A segment is some 100 MB at the most.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer that is taken.
const LONGEST: u64 = 8 << 30;

/// Makes clients.
#[derive(Debug, Default)]
pub struct Http;

impl HttpConnector for Http {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Client(client::agent(TIMEOUT).build().new_agent())))
    }
}

#[derive(Debug, Clone)]
struct Client(Agent);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let agent = self.0.clone();
        let answered = tokio::task::spawn_blocking(move || answer(&agent, parts, &body)).await;
        answered.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?.map_err(|error| {
            let kind = match &error {
                Error::ConnectionFailed | Error::HostNotFound => HttpErrorKind::Connect,
                Error::Timeout(_) => HttpErrorKind::Timeout,
                Error::Io(_) => HttpErrorKind::Interrupted,
                _ => HttpErrorKind::Request,
            };
            HttpError::new(kind, error)
        })
    }
}

fn answer(agent: &Agent, parts: http::request::Parts, body: &Bytes) -> Result<HttpResponse, Error> {
    // An empty body is none: not all methods may have one.
    let answer = if body.is_empty() && parts.method != http::Method::POST && parts.method != http::Method::PUT {
        agent.run(http::Request::from_parts(parts, ()))?
    } else {
        agent.run(http::Request::from_parts(parts, body.to_vec()))?
    };
    let (parts, mut body) = answer.into_parts();
    let bytes = body.with_config().limit(LONGEST).read_to_vec()?;
    Ok(http::Response::from_parts(parts, HttpResponseBody::from(bytes)))
}
