//! What an agent that cannot start shows at the usual paths.

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::routing::get;
use hyper::http::HeaderMap;
use hyper::{Response, StatusCode};

use super::health::{Document, REASON, not_ready, what_to_do, word};
use super::{metrics, route};
use crate::health::{Check, Health, State};
use crate::wrap::put;

/// Why there is no agent behind this port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standby {
    /// The host, as far as it is known.
    pub host: String,
    /// What keeps the agent from starting.
    pub reason: String,
    /// More on that, one thing each.
    pub details: Vec<String>,
    /// What to do about it.
    pub remedy: String,
}

/// Returns the routes.
pub(super) fn router(standby: Standby) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/livez", get(livez))
        .route("/metrics", get(metrics::standby))
        .fallback(refused)
        .with_state(standby)
}

async fn health(Shared(standby): Shared<Standby>, headers: HeaderMap) -> Response<Body> {
    if route::wants_json(&headers) {
        let health = standby.health();
        let document = Document::new(&standby.host, env!("CARGO_PKG_VERSION"), &health);
        return route::json(StatusCode::SERVICE_UNAVAILABLE, route::HEALTH_JSON, &document);
    }
    route::text(StatusCode::SERVICE_UNAVAILABLE, standby.page())
}

/// The process lives, and whoever restarts it gains nothing.
async fn livez() -> Response<Body> {
    route::text(StatusCode::OK, "ok\n")
}

/// `/readyz` and all else.
async fn refused(Shared(standby): Shared<Standby>) -> Response<Body> {
    let obstacles = [standby.sentence()];
    route::text(StatusCode::SERVICE_UNAVAILABLE, not_ready(&obstacles))
}

impl Standby {
    fn sentence(&self) -> String {
        format!("the agent cannot start: {}", one_line(&self.reason))
    }

    fn health(&self) -> Health {
        let reason = std::iter::once(&self.reason).chain(&self.details);
        let reason: Vec<_> = reason.map(|text| one_line(text)).collect();
        let check = Check::fail("agent", reason.join("; "), &self.remedy);
        Health { state: State::Fail, obstacles: vec![self.sentence()], checks: vec![check] }
    }

    /// Returns the page for a person, whose lines begin as those of every other page of health.
    fn page(&self) -> String {
        let mut page = String::new();
        let summary = "the agent cannot start: this host takes part in no shutdown";
        put(&mut page, word(State::Fail), REASON, &format!("{}: {summary}", self.host));
        page.push('\n');
        put(&mut page, word(State::Fail), REASON, &format!("agent: {}", self.reason));
        for detail in &self.details {
            put(&mut page, &format!("{:REASON$}- ", ""), REASON + 2, detail);
        }
        what_to_do(&mut page, &self.remedy);
        page
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::WIDTH;

    #[test]
    fn the_page_says_what_is_wrong_and_what_to_do_in_eighty_columns() {
        let standby = Standby {
            host: "k8s-1".to_owned(),
            reason: "the cluster file /etc/curfew/cluster.toml has 2 mistakes".to_owned(),
            details: vec![
                "line 3: `adress` is no key of [[host]]; did you mean `address`?".to_owned(),
                "line 9: k8s-1 needs nas, but no host of that name\nis in the file".to_owned(),
            ],
            remedy: "correct these lines and apply the document again, whoever wrote them and \
                     whatever for"
                .to_owned(),
        };
        let page = standby.page();
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        let is_start = |line: &&str| !line.starts_with(' ') && !line.is_empty();
        let starts: Vec<_> = page.lines().filter(is_start).collect();
        assert_eq!(starts.len(), 2, "{page}");
        assert!(starts.iter().all(|line| line.starts_with("FAIL  ")), "{page}");
        for text in ["cannot start", "has 2 mistakes", "- line 3", "- line 9", "What to do: "] {
            assert!(page.contains(text), "{text} in\n{page}");
        }
        assert!(standby.health().checks[0].sentence().contains("line 9"));
    }
}
