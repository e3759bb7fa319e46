//! A stream that remembers why the other side refused us.
//!
//! In TLS 1.3 a caller learns only after the handshake that its certificate was refused, when it
//! first reads; HTTP/2 then keeps the text of that error but not its type.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::refusal::Refusal;

/// What was remembered.
pub(super) type Remembered = Arc<OnceLock<Refusal>>;

/// Passes everything through and remembers the first refusal.
#[derive(Debug)]
pub(super) struct Witness<S> {
    stream: S,
    remembered: Remembered,
}

impl<S> Witness<S> {
    pub(super) fn new(stream: S) -> (Self, Remembered) {
        let remembered = Remembered::default();
        (Self { stream, remembered: Arc::clone(&remembered) }, remembered)
    }

    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled
            && let Some(refusal) = Refusal::among_causes(error)
        {
            self.remembered.get_or_init(|| refusal);
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Witness<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.note(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Witness<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
