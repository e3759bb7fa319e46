//! What gRPC-Go does to clients that ping: machined sets no keepalive policy, so that pings more
//! often than every 5 minutes are answered with GOAWAY (facts §2.1).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::report::Report;

/// A connection whose frames are looked at as they pass.
#[derive(Debug)]
pub(crate) struct Tap {
    stream: UnixStream,
    from_client: Frames,
    to_client: Frames,
    policy: Policy,
    /// What is still to be written before the connection ends.
    last_words: Option<&'static [u8]>,
    reports: mpsc::Sender<Report>,
}

impl Tap {
    pub(crate) fn new(stream: UnixStream, reports: mpsc::Sender<Report>) -> Self {
        Self {
            stream,
            from_client: Frames::after(PREFACE_LEN),
            to_client: Frames::after(0),
            policy: Policy::default(),
            last_words: None,
            reports,
        }
    }

    /// Says goodbye and ends the connection.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(words) = self.last_words.filter(|words| !words.is_empty()) {
            let len = ready!(Pin::new(&mut self.stream).poll_write(context, words))?;
            self.last_words = words.get(len..);
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "too many pings")))
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.last_words.is_some() {
            return self.poll_end(context);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default().to_vec();
        let mut pings = 0;
        self.from_client.pass(&new, |kind, flags| {
            pings += usize::from(kind == PING && flags & ACK == 0);
        });
        for _ in 0..pings {
            if self.policy.is_struck(Instant::now()) {
                self.last_words = Some(GOAWAY);
                if self.reports.try_send(Report::Pinged).is_err() {
                    // Nobody wants to know.
                }
                return self.poll_end(context);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let len = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        let mut has_data = false;
        let written = bytes.get(..len).unwrap_or_default();
        self.to_client.pass(written, |kind, _| has_data |= kind == DATA || kind == HEADERS);
        self.policy.is_forgiven |= has_data;
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// gRPC-Go's patience: the third ping too early is one too many. What it sends forgives the rest.
#[derive(Debug, Default)]
struct Policy {
    last: Option<Instant>,
    strikes: u32,
    is_forgiven: bool,
}

impl Policy {
    /// Takes a ping; returns whether the connection ends by it.
    fn is_struck(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        if std::mem::take(&mut self.is_forgiven) {
            self.strikes = 0;
            return false;
        }
        self.strikes += u32::from(last.is_some_and(|last| now < last + PING_EVERY));
        self.strikes > STRIKES_MAX
    }
}

/// Finds the frames in the bytes of one direction.
#[derive(Debug)]
struct Frames {
    /// How many bytes are still to be passed until the next head.
    skip: usize,
    head: Vec<u8>,
}

impl Frames {
    const fn after(skip: usize) -> Self {
        Self { skip, head: Vec::new() }
    }

    /// Passes bytes; tells kind and flags of each frame that begins in them.
    fn pass(&mut self, bytes: &[u8], mut tell: impl FnMut(u8, u8)) {
        for byte in bytes {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            self.head.push(*byte);
            if let [a, b, c, kind, flags, _, _, _, _] = *self.head {
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.head.clear();
                tell(kind, flags);
            }
        }
    }
}

/// What a client sends before its first frame.
const PREFACE_LEN: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const ACK: u8 = 1;
/// The default of gRPC-Go.
const PING_EVERY: Duration = Duration::from_mins(5);
const STRIKES_MAX: u32 = 2;
/// A frame GOAWAY with the error `ENHANCE_YOUR_CALM`.
const GOAWAY: &[u8] = b"\0\0\x16\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_pings";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_in_pieces() {
        let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
        let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), ping, ping].concat();
        for size in 1..bytes.len() {
            let mut frames = Frames::after(PREFACE_LEN);
            let mut kinds = Vec::new();
            for piece in bytes.chunks(size) {
                frames.pass(piece, |kind, _| kinds.push(kind));
            }
            assert_eq!(kinds, [PING, PING], "in pieces of {size}");
        }
    }

    #[test]
    fn the_fourth_ping_at_once_is_one_too_many() {
        let mut policy = Policy::default();
        let now = Instant::now();
        assert_eq!([0; 4].map(|_| policy.is_struck(now)), [false, false, false, true]);
    }

    #[test]
    fn pings_every_five_minutes_are_fine() {
        let mut policy = Policy::default();
        let now = Instant::now();
        assert!((0..100).all(|count| !policy.is_struck(now + PING_EVERY * count)));
    }

    #[test]
    fn the_goaway_is_as_long_as_it_says() {
        let mut frames = Frames::after(0);
        let mut kinds = Vec::new();
        frames.pass(&[GOAWAY, GOAWAY].concat(), |kind, _| kinds.push(kind));
        assert_eq!(kinds, [7, 7]);
        assert_eq!(frames.skip, 0);
    }
}
