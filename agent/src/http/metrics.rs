//! The page for Prometheus: what the agent knows, and what its host is doing.

use axum::body::Body;
use axum::extract::State as Shared;
use curfew_host::{Collected, Samples, render, systemd};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use hyper::http::{HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use zlib_rs::{DeflateConfig, ReturnCode, compress_bound, compress_slice};

use super::offer::Offer;
use super::{Site, route};
use crate::metrics::{collect, collect_standby, collect_units};

/// Answers from the thread that has looked at the host: nothing of it keeps other tasks waiting.
/// When that takes too long, the rest is made here, where all else runs: so it is small, and as it
/// is.
pub(super) async fn metrics(Shared(site): Shared<Site>, headers: HeaderMap) -> Response<Body> {
    let offer = Offer::of(&headers);
    let whole = {
        let site = site.clone();
        move |host: &Collected| all(&site, host, offer)
    };
    match site.host.look(whole).await {
        Some(response) => response,
        None => without_host(&site, offer),
    }
}

/// Answers for an agent that cannot start.
pub(super) async fn standby(headers: HeaderMap) -> Response<Body> {
    response(&[&collect_standby()], Offer::of(&headers))
}

/// What the host does was collected first, so that the rest is of this moment.
fn all(site: &Site, host: &Collected, offer: Offer) -> Response<Body> {
    let snapshot = site.latest();
    let own = collect(&snapshot, &site.counters);
    let units = site.host.shows_units().then(|| collect_units(&snapshot)).flatten();
    let others = units.iter().chain([host]).flat_map(Collected::samples);
    response(&std::iter::once(&own).chain(others).collect::<Vec<_>>(), offer)
}

/// What the agent knows itself, and that each collector has failed: those of the units, too, which
/// may be thousands of series.
fn without_host(site: &Site, offer: Offer) -> Response<Body> {
    let snapshot = site.latest();
    let own = collect(&snapshot, &site.counters);
    let has_units = site.host.shows_units() && snapshot.units.is_some();
    let units = Collected::silent(has_units.then_some(systemd::COLLECTOR));
    let host = site.host.silence();
    let others = units.samples().chain(host.samples());
    let offer = Offer { is_gzip: false, ..offer };
    response(&std::iter::once(&own).chain(others).collect::<Vec<_>>(), offer)
}

fn response(samples: &[&Samples], offer: Offer) -> Response<Body> {
    let mut page = String::with_capacity(PAGE);
    render(samples.iter().copied(), offer.format, &mut page);
    let packed = offer.is_gzip.then(|| gzip(page.as_bytes())).flatten();
    let is_packed = packed.is_some();
    let body = packed.unwrap_or_else(|| page.into_bytes());
    let mut response = route::typed(StatusCode::OK, offer.format.media_type(), body);
    let headers = response.headers_mut();
    for header in [ACCEPT, ACCEPT_ENCODING] {
        headers.append(VARY, HeaderValue::from(header));
    }
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Compresses a page; none if that fails, which it does for want of memory alone.
fn gzip(page: &[u8]) -> Option<Vec<u8>> {
    let config = DeflateConfig { level: LEVEL, window_bits: GZIP, ..DeflateConfig::default() };
    let mut room = vec![0; compress_bound(page.len()).saturating_add(FRAME)];
    let (packed, code) = compress_slice(&mut room, page, config);
    // A copy of its size: the room is that of the whole page.
    (code == ReturnCode::Ok).then(|| packed.to_vec())
}

/// A page of a small host; it grows if need be.
const PAGE: usize = 64 << 10;
/// A fifth of the page, for half of what a level more costs.
const LEVEL: i32 = 2;
/// The largest window, in the frame of gzip.
const GZIP: i32 = 15 + 16;
/// That frame is by so much larger than zlib's, which the bound is for.
const FRAME: usize = 12;

#[cfg(test)]
mod tests {
    use zlib_rs::{InflateConfig, decompress_slice};

    use super::*;

    #[test]
    fn what_is_compressed_can_be_had_back() {
        let lines: Vec<_> = (0..2000).map(|n| format!("node_a{{b=\"{n}\"}} {}", n * n)).collect();
        for page in ["", "a 1\n", &lines.join("\n")] {
            let packed = gzip(page.as_bytes()).unwrap();
            let mut room = vec![0; page.len() + 1];
            let config = InflateConfig { window_bits: GZIP };
            let (plain, code) = decompress_slice(&mut room, &packed, config);
            assert_eq!((code, &*plain), (ReturnCode::Ok, page.as_bytes()));
            assert!(page.len() < 1000 || packed.len() * 3 < page.len(), "{}", packed.len());
        }
    }

    #[test]
    fn noise_fits_too() {
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(100_000)
        .collect();
        assert!(gzip(&noise).is_some());
    }
}
