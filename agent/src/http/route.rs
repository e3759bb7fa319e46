//! What is at which path.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State as Shared};
use axum::routing::get;
use curfew_coordinator::Status;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use hyper::http::{HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::health::{Document, not_ready, page};
use super::{Site, metrics};
use crate::health::{Health, State, under_way};
use crate::snapshot::Snapshot;
use crate::talos::Shown;

/// Returns the routes; what is not here is a 404 that names them.
pub(super) fn router(site: Site) -> Router {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/health", get(health))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(status))
        .route("/api/v1/history", get(history))
        .fallback(not_found)
        .with_state(site)
}

/// Returns a short text for a person.
pub(super) fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", body)
}

/// Adds what every answer has: a browser neither guesses its type nor keeps it.
pub(super) fn harden(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Site {
    pub(super) fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }
}

async fn health(Shared(site): Shared<Site>, headers: HeaderMap) -> Response<Body> {
    let snapshot = site.latest();
    let health = Health::of(&snapshot);
    let status = match health.state {
        State::Pass | State::Unknown | State::Warn => StatusCode::OK,
        State::Fail => StatusCode::SERVICE_UNAVAILABLE,
    };
    let host = snapshot.status.host.as_str();
    if wants_json(&headers) {
        return json(status, HEALTH_JSON, &Document::new(host, VERSION, &health));
    }
    text(status, page(host, under_way(&snapshot).as_deref(), &health))
}

/// The event loop turns.
async fn livez(Shared(site): Shared<Site>) -> Response<Body> {
    if site.latest().is_stale() {
        let sentence = "the coordinator says nothing any more: restart curfew\n";
        return text(StatusCode::SERVICE_UNAVAILABLE, sentence);
    }
    text(StatusCode::OK, "ok\n")
}

/// The plan could be carried out now.
async fn readyz(Shared(site): Shared<Site>, headers: HeaderMap) -> Response<Body> {
    let obstacles = Health::of(&site.latest()).obstacles;
    let is_ready = obstacles.is_empty();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if wants_json(&headers) {
        return json(status, "application/json", &Readiness { is_ready, obstacles });
    }
    text(status, if is_ready { "ready\n".to_owned() } else { not_ready(&obstacles) })
}

async fn status(Shared(site): Shared<Site>) -> Response<Body> {
    let snapshot = site.latest();
    let document = StatusDocument {
        version: VERSION,
        at_ms: snapshot.at.as_millis(),
        age_seconds: to_the_millisecond(snapshot.age()).as_secs_f64(),
        status: &snapshot.status,
        talos: snapshot.talos.as_deref().map(Shown::of),
        health: &Health::of(&snapshot),
    };
    json(StatusCode::OK, "application/json", &document)
}

/// What has been on this host, as far as its history goes back.
async fn history(Shared(site): Shared<Site>, RawQuery(query): RawQuery) -> Response<Body> {
    let limit = match limit(query.as_deref().unwrap_or_default()) {
        Ok(limit) => limit,
        Err(sentence) => return text(StatusCode::BAD_REQUEST, sentence),
    };
    let Some(past) = &site.latest().past else {
        let sentence = "the history of this host is still being read: ask again\n";
        return text(StatusCode::SERVICE_UNAVAILABLE, sentence);
    };
    json(StatusCode::OK, "application/json", &past.document(limit))
}

/// Returns how many of each are wanted, by a query such as `limit=3`.
fn limit(query: &str) -> Result<usize, &'static str> {
    let mut limit = TOLD;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let number = pair.strip_prefix("limit=").and_then(|number| number.parse().ok());
        limit = number.ok_or("this takes ?limit=N alone, with a whole number of each kind\n")?;
    }
    Ok(limit)
}

/// The answer of `/readyz` to a program.
#[derive(Serialize)]
struct Readiness {
    #[serde(rename = "ready")]
    is_ready: bool,
    obstacles: Vec<String>,
}

/// Nobody can use more, and a person reads it easier.
fn to_the_millisecond(span: Duration) -> Duration {
    span.saturating_sub(Duration::from_nanos((span.subsec_nanos() % 1_000_000).into()))
}

async fn not_found() -> Response<Body> {
    let sentence = "nothing here: see /health, /metrics, /readyz, /livez, /api/v1/status or \
                    /api/v1/history\n";
    text(StatusCode::NOT_FOUND, sentence)
}

/// The answer of `/api/v1/status`.
#[derive(Serialize)]
struct StatusDocument<'a> {
    /// Of the agent.
    version: &'a str,
    /// The moment of the status on the boot clock.
    at_ms: u64,
    /// How long ago that was.
    age_seconds: f64,
    status: &'a Status,
    /// Absent on a host without Talos.
    #[serde(skip_serializing_if = "Option::is_none")]
    talos: Option<Shown>,
    health: &'a Health,
}

pub(super) fn json(
    status: StatusCode,
    media_type: &'static str,
    document: &impl Serialize,
) -> Response<Body> {
    match serde_json::to_vec(document) {
        Ok(bytes) => typed(status, media_type, bytes),
        // A map with keys that are no text: a bug, and no reason to take the connection down.
        Err(failure) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{failure}\n")),
    }
}

pub(super) fn typed(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Only who names JSON gets it: a browser and `curl` are read by people.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
        let is_json = ["application/health+json", "application/json"]
            .iter()
            .any(|json| media_type.trim().eq_ignore_ascii_case(json));
        is_json && !parameters.split(';').any(|parameter| parameter.trim() == "q=0")
    })
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How many of each a page of the past has for who does not say.
const TOLD: usize = 20;
pub(super) const HEALTH_JSON: &str = "application/health+json";
