//! Which requests get an answer at all: of these methods, without a body, to this host by name.
//!
//! The `Host` check keeps a web page that somebody reads in the same network from reading this
//! one: by DNS rebinding its own name can be made to lead here, but it cannot change the name
//! under which the browser asks.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::body::Body;
use hyper::header::{ALLOW, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::http::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};

use super::route::text;

/// Knows the names of this host.
#[derive(Debug)]
pub(super) struct Guard {
    names: BTreeSet<String>,
}

impl Guard {
    pub(super) fn new(names: &BTreeSet<String>) -> Self {
        Self { names: names.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Returns the answer to a request that is not let in; `own` is the address that it came to.
    pub(super) fn refusal<B>(
        &self,
        request: &Request<B>,
        own: Option<IpAddr>,
    ) -> Option<Response<Body>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let sentence = "this is read-only: use GET or HEAD (orders are given by `curfew`)\n";
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, sentence);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(response);
        }
        if has_body(request) {
            let sentence = "a request here has no body: leave it out\n";
            return Some(text(StatusCode::PAYLOAD_TOO_LARGE, sentence));
        }
        let mut hosts = request.headers().get_all(HOST).iter();
        let (host, second) = (hosts.next(), hosts.next());
        let Some(host) = host.filter(|_| second.is_none()) else {
            let sentence = "the request needs one Host header\n";
            return Some(text(StatusCode::BAD_REQUEST, sentence));
        };
        let asked = request.uri().authority().map(hyper::http::uri::Authority::as_str);
        let is_known = |host: &str| self.knows(host);
        if host.to_str().is_ok_and(is_known) && asked.is_none_or(is_known) {
            return None;
        }
        let own = own.map_or(String::new(), |own| format!(" ({own})"));
        let sentence = format!(
            "this host does not go by that name: use its address{own}, localhost, or its name in \
             the cluster file; or add the name to `names` of this host there\n"
        );
        Some(text(StatusCode::FORBIDDEN, sentence))
    }

    fn knows(&self, host: &str) -> bool {
        let Some(name) = name(host) else { return false };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        name.parse::<IpAddr>().is_ok() || name == "localhost" || self.names.contains(&name)
    }
}

/// Returns the name or address in `name`, `name:port` or `[address]:port`.
fn name(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        return (is_port && address.contains(':')).then_some(address);
    }
    match host.split_once(':') {
        None => Some(host),
        Some((name, port)) => is_number(port).then_some(name),
    }
}

fn is_number(port: &str) -> bool {
    port.parse::<u16>().is_ok()
}

fn has_body<B>(request: &Request<B>) -> bool {
    let length = request.headers().get(CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || request.headers().contains_key(TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_and_addresses_are_known() {
        let guard = Guard::new(&BTreeSet::from(["nfs".to_owned(), "NFS.lan".to_owned()]));
        for known in [
            "nfs",
            "NFS",
            "nfs:9100",
            "nfs.:9100",
            "nfs.lan",
            "localhost",
            "LOCALHOST:1",
            "10.0.0.13",
            "10.0.0.13:9100",
            "[::1]",
            "[fe80::1]:9100",
        ] {
            assert!(guard.knows(known), "{known}");
        }
        for foreign in [
            "",
            ":9100",
            "evil.example",
            "nfs.evil.example",
            "10.0.0.13.evil.example",
            "nfs:x",
            "nfs:9100:1",
            "[::1",
            "[nfs]",
            "[::1]x",
            "::1",
            "localhost.evil.example",
            "nfs@evil",
            "nfs,evil.example",
            "nfs:99999",
        ] {
            assert!(!guard.knows(foreign), "{foreign}");
        }
    }
}
