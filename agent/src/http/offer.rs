//! Which form of the page a client would rather have, by what its request says (RFC 9110, 12.5).

use curfew_host::Format;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};
use hyper::http::HeaderMap;

/// What a client gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Offer {
    /// The text.
    pub(super) format: Format,
    /// Whether it is compressed.
    pub(super) is_gzip: bool,
}

impl Offer {
    /// Takes what the client says; of what it likes alike, the plainer.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let liked =
            |format| wish(headers, ACCEPT, |range| media(range, format)).unwrap_or_default();
        let (text, open_metrics) = (liked(Format::Text), liked(Format::OpenMetrics));
        let is_open_metrics = open_metrics.quality > 0 && open_metrics > text;
        let format = if is_open_metrics { Format::OpenMetrics } else { Format::Text };
        Self { format, is_gzip: likes_gzip(headers) }
    }
}

/// How much a client wants something; of ranges alike in quality, the one it named closer.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Wish {
    /// In thousandths; 0 is a refusal.
    quality: u16,
    closeness: u8,
}

/// Compressed only for who asks for it: what is not named is not wanted, but plain text is.
fn likes_gzip(headers: &HeaderMap) -> bool {
    let coding = |names: &'static [&'static str]| {
        move |member: &str| {
            let name = member.split(';').next()?.trim();
            let is_named = names.iter().any(|known| name.eq_ignore_ascii_case(known));
            if is_named { Some(1) } else { (name == "*").then_some(0) }
        }
    };
    let gzip = wish(headers, ACCEPT_ENCODING, coding(&["gzip", "x-gzip"]));
    let plain = wish(headers, ACCEPT_ENCODING, coding(&["identity"]));
    // A star stands for what is not named; plain text need not be named to be welcome.
    let plain = plain.filter(|wish| wish.closeness > 0 || wish.quality == 0);
    match (gzip.map(|wish| wish.quality), plain.map(|wish| wish.quality)) {
        (None | Some(0), _) => false,
        (Some(gzip), plain) => plain.is_none_or(|plain| gzip >= plain),
    }
}

/// Returns how a range of media fits the format: the closer, the more.
fn media(range: &str, format: Format) -> Option<u8> {
    let (of_format, version) = match format {
        Format::Text => ("text/plain", "0.0.4"),
        Format::OpenMetrics => ("application/openmetrics-text", "1.0.0"),
    };
    let mut parts = outside_quotes(range, ';').map(str::trim);
    let range = parts.next()?;
    let (family, _) = of_format.split_once('/')?;
    if range == "*/*" {
        return Some(0);
    }
    if range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(family)) {
        return Some(1);
    }
    if !range.eq_ignore_ascii_case(of_format) {
        return None;
    }
    // Other parameters, as how names are to be escaped, make no difference here.
    match parts.find_map(|part| parameter(part, "version")) {
        None => Some(2),
        Some(wanted) => (wanted.trim_matches('"') == version).then_some(3),
    }
}

/// Returns the wish of the member of a header that fits closest; none if none fits.
fn wish(
    headers: &HeaderMap,
    name: HeaderName,
    closeness: impl Fn(&str) -> Option<u8>,
) -> Option<Wish> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let members = lines.flat_map(|line| outside_quotes(line, ','));
    let wishes = members.filter_map(|member| {
        let mut parts = outside_quotes(member, ';').map(str::trim);
        let quality = parts.find_map(|part| parameter(part, "q")).map_or(Some(ALL), quality)?;
        Some(Wish { quality, closeness: closeness(member)? })
    });
    wishes.max_by_key(|wish| (wish.closeness, wish.quality))
}

fn parameter<'a>(part: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = part.split_once('=')?;
    found.trim_end().eq_ignore_ascii_case(name).then(|| value.trim_start())
}

/// Reads a weight in thousandths: `0.5`, `1`, `1.000`.
fn quality(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_number = rest.len() <= 3 && rest.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{rest:0<3}").parse().ok().filter(|_| is_number)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(ALL),
        _ => None,
    }
}

/// Splits at a sign, but not within a quoted text.
fn outside_quotes(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let is_plain = !std::mem::take(&mut is_escaped);
        match character {
            '"' if is_plain => is_quoted = !is_quoted,
            '\\' if is_quoted && is_plain => is_escaped = true,
            _ => {}
        }
        character == sign && !is_quoted
    })
}

/// The weight of what has none.
const ALL: u16 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(lines: &[(HeaderName, &str)]) -> Offer {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        Offer::of(&headers)
    }

    #[test]
    fn the_text_is_the_one_that_is_liked_best() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,\
            */*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,\
            */*;q=0.1";
        let prometheus_3_with_protobuf = "application/vnd.google.protobuf;\
            proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,\
            */*;q=0.2";
        for accept in [
            prometheus_2,
            prometheus_3,
            prometheus_3_with_protobuf,
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\"",
            "application/openmetrics-text, */*",
            "text/plain;q=0.2, application/*;q=0.3",
            "text/plain;q=0, */*",
            "text/plain;note=\"a, application/x\";q=0.5, application/openmetrics-text",
        ] {
            assert_eq!(offer(&[(ACCEPT, accept)]).format, Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            "text/plain, application/openmetrics-text",
            "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.000, application/*;q=0.9",
            "application/openmetrics-text;q=nonsense",
            "application/openmetrics-text;q=1.001",
            "application/openmetrics-text;q=0.1, text/*;q=0.101",
            "image/png",
            "/,;=\"\\",
        ] {
            assert_eq!(offer(&[(ACCEPT, accept)]).format, Format::Text, "{accept}");
        }
        assert_eq!(offer(&[]).format, Format::Text);
        let lines = [(ACCEPT, "text/plain;q=0.1"), (ACCEPT, "application/openmetrics-text;q=0.2")];
        assert_eq!(offer(&lines).format, Format::OpenMetrics);
    }

    #[test]
    fn compressed_is_what_is_asked_for() {
        for accept in [
            "gzip",
            "GZip",
            "x-gzip",
            "deflate, gzip;q=1.0, *;q=0.5",
            "gzip;q=0.001",
            "*",
            "*;q=0.2",
            "gzip;q=0.5, identity;q=0.5",
            "identity;q=0, gzip;q=0.1",
            "br;q=1.0, gzip;q=0.8, *;q=0.1",
            "*;q=0, gzip",
            "deflate,gzip ; q=0.3",
        ] {
            assert!(offer(&[(ACCEPT_ENCODING, accept)]).is_gzip, "{accept}");
        }
        for accept in [
            "",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000",
            "*;q=0",
            "gzip;q=0, *",
            "deflate, br",
            "gzip;q=0.5, identity",
            "gzip;q=0.5, identity;q=0.8",
            "gzip;q=2",
            "gzip;q=",
            "gzipped",
            "gzip/1",
        ] {
            assert!(!offer(&[(ACCEPT_ENCODING, accept)]).is_gzip, "{accept}");
        }
        assert!(!offer(&[]).is_gzip);
        assert!(offer(&[(ACCEPT_ENCODING, "br"), (ACCEPT_ENCODING, "gzip")]).is_gzip);
    }
}
