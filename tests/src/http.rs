//! The smallest HTTP client that can ask an agent how it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::Host;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The body as text.
    pub body: String,
}

/// Asks the agent of `host` for `path`; an agent that does not answer at once is an error.
pub fn get(host: Host, path: &str) -> Result<Answer> {
    ask(SocketAddr::from((host.address(), PORT)), path, LIMIT)
}

/// Asks as [`get`] does, of a busy machine: where nothing happens that must not be missed.
pub fn get_patiently(host: Host, path: &str) -> Result<Answer> {
    ask(SocketAddr::from((host.address(), PORT)), path, PATIENCE)
}

/// Asks the agent of `host` for its health, and puts what it says of each thing on one line.
pub fn health(host: Host) -> Result<Answer> {
    let mut answer = get(host, "/health")?;
    answer.body = unwrapped(&answer.body);
    Ok(answer)
}

fn unwrapped(page: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines() {
        match lines.last_mut().filter(|_| line.starts_with(' ')) {
            Some(begun) => *begun = format!("{begun} {}", line.trim_start()),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// Asks whoever listens at `address` for `path`; each step of it may take `limit`.
pub fn ask(address: SocketAddr, path: &str, limit: Duration) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, limit).context("connect")?;
    stream.set_read_timeout(Some(limit)).context("set a limit")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context("ask")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("read the answer")?;
    parse(&String::from_utf8_lossy(&bytes)).context("no answer of HTTP")
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { join_chunks(body) } else { body.to_owned() };
    Some(Answer { code, body })
}

fn join_chunks(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let (Some(chunk), true) = (after.get(..size), size > 0) else { break };
        body.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    body
}

/// Where agents show themselves.
const PORT: u16 = 9100;
/// The world stands still while an agent is asked.
const LIMIT: Duration = Duration::from_millis(800);
/// What the slowest machine needs many times over.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_the_chunks_of_an_answer() {
        let text =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let answer = parse(text).unwrap();
        assert_eq!((answer.code, answer.body.as_str()), (200, "abcde"));
    }

    #[test]
    fn lines_that_hang_belong_to_the_one_above() {
        let page = "warn  nfs: one\n\nwarn  a: b c\n      d\n      What to do: e\nok    f   g\n";
        assert_eq!(
            unwrapped(page),
            "warn  nfs: one\n\nwarn  a: b c d What to do: e\nok    f   g\n"
        );
    }

    #[test]
    fn takes_a_plain_body_as_it_is() {
        let answer = parse("HTTP/1.1 503 Nope\r\nContent-Length: 2\r\n\r\nno").unwrap();
        assert_eq!((answer.code, answer.body.as_str()), (503, "no"));
    }
}
