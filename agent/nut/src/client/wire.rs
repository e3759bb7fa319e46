//! Bytes to and from the server: one stream, one buffer, one line at a time.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::codec::answer::{Answer, Collector};
use crate::codec::line::LineAssembler;
use crate::codec::request::Request;
use crate::error::ClientError;

/// What one read takes at most; eight of the longest lines.
const READ_BUFFER: usize = 4096;

/// An open connection. TLS will make `stream` an enum; nothing else needs to know.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    assembler: LineAssembler,
    quick_acknowledge: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, quick_acknowledge: bool) -> Self {
        // Requests are one write each: waiting for more would only delay them. Without this the
        // protocol still works, so a refusal is not an error.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let stream = BufReader::with_capacity(READ_BUFFER, stream);
        Self { stream, assembler: LineAssembler::default(), quick_acknowledge }
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.stream.get_ref().peer_addr().ok()
    }

    /// Returns whether everything that came was read as part of an answer.
    pub(crate) fn is_drained(&self) -> bool {
        self.stream.buffer().is_empty() && self.assembler.is_empty()
    }

    /// Sends one request and reads its answer. Not cancel safe: the stream is then out of step.
    pub(crate) async fn exchange(
        &mut self,
        request: &Request,
        line: &str,
    ) -> Result<Answer, ClientError> {
        let keywords = request.keywords();
        let sent = self.stream.get_mut().write_all(line.as_bytes()).await;
        sent.map_err(|source| ClientError::Send { request: keywords, source })?;
        let mut collector = Collector::new(request);
        loop {
            let line = self.next_line(keywords).await?;
            let progress = collector.on_line(&line);
            let progress =
                progress.map_err(|source| ClientError::Mismatch { request: keywords, source })?;
            if let Some(answer) = progress {
                return Ok(answer);
            }
        }
    }

    async fn next_line(&mut self, request: &'static str) -> Result<String, ClientError> {
        loop {
            if self.stream.buffer().is_empty() {
                self.acknowledge_quickly();
            }
            let input = self.stream.fill_buf().await;
            let input = input.map_err(|source| ClientError::Receive { request, source })?;
            if input.is_empty() {
                return Err(ClientError::Closed { request });
            }
            let fed = self.assembler.feed(input);
            let fed = fed.map_err(|source| ClientError::Frame { request, source })?;
            self.stream.consume(fed.used);
            if let Some(line) = fed.line {
                return Ok(line);
            }
        }
    }

    /// Asks the kernel to acknowledge at once. `upsd` writes each row by itself and with Nagle's
    /// algorithm on, so that a delayed acknowledgement costs every list 40 ms. The kernel forgets
    /// the option, so it is renewed before each read. A refusal costs those 40 ms only.
    fn acknowledge_quickly(&self) {
        #[cfg(target_os = "linux")]
        if self.quick_acknowledge {
            let socket = socket2::SockRef::from(self.stream.get_ref());
            if let Err(error) = socket.set_tcp_quickack(true) {
                tracing::trace!(%error, "cannot set TCP_QUICKACK");
            }
        }
    }
}
