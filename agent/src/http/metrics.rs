//! The page for Prometheus: what the agent knows, and what its host is doing.

use axum::body::Body;
use axum::extract::State as Shared;
use curfew_host::{Collected, Format, render};
use hyper::{Response, StatusCode};

use super::{Site, route};
use crate::metrics::{collect, collect_standby, collect_units};

/// Answers from the thread that has looked at the host: nothing of it keeps other tasks waiting.
pub(super) async fn metrics(Shared(site): Shared<Site>) -> Response<Body> {
    let whole = {
        let site = site.clone();
        move |collected: &Collected| page(&site, Some(collected), Format::Text)
    };
    let page = match site.host.look(whole).await {
        Some(page) => page,
        None => page(&site, None, Format::Text),
    };
    route::typed(StatusCode::OK, Format::Text.media_type(), page)
}

/// Answers for an agent that cannot start.
pub(super) fn standby() -> Response<Body> {
    let mut page = String::new();
    render([&collect_standby()], Format::Text, &mut page);
    route::typed(StatusCode::OK, Format::Text.media_type(), page)
}

/// What the host does was collected first, so that the rest is of this moment.
fn page(site: &Site, host: Option<&Collected>, format: Format) -> String {
    let snapshot = site.latest();
    let own = collect(&snapshot, &site.counters);
    let units = collect_units(&snapshot);
    let host = host.into_iter().chain(&units).flat_map(Collected::samples);
    let mut page = String::with_capacity(PAGE);
    render(std::iter::once(&own).chain(host), format, &mut page);
    page
}

/// A page of a small host; it grows if need be.
const PAGE: usize = 64 << 10;
