//! One HTTP request of which only the status is read.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::{Place, ProbeError, connect};

/// Returns the status with which `at` answers a GET of `path`.
pub(super) async fn status(
    tls: Option<&TlsConnector>,
    at: &Place,
    path: &str,
) -> Result<u16, ProbeError> {
    let stream = connect(at).await?;
    let Some(tls) = tls else { return exchange(stream, at, path).await };
    let name = ServerName::try_from(at.host.clone())
        .map_err(|source| ProbeError::Resolve(at.host.clone(), std::io::Error::other(source)))?;
    let stream = tls.connect(name, stream).await;
    exchange(stream.map_err(|source| ProbeError::Handshake(at.clone(), source))?, at, path).await
}

async fn exchange<Stream>(mut stream: Stream, at: &Place, path: &str) -> Result<u16, ProbeError>
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {at}\r\nUser-Agent: curfew\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    let failed = |source| ProbeError::Exchange(at.clone(), source);
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut start = [0; STATUS_LEN];
    stream.read_exact(&mut start).await.map_err(failed)?;
    parse_status(&start).ok_or_else(|| ProbeError::NoHttp(at.clone()))
}

/// Reads the three digits of `HTTP/1.x NNN`.
fn parse_status(start: &[u8; STATUS_LEN]) -> Option<u16> {
    let start = std::str::from_utf8(start).ok()?;
    let (version, status) = start.split_once(' ')?;
    let is_http = matches!(version, "HTTP/1.0" | "HTTP/1.1");
    let is_number = status.bytes().all(|digit| digit.is_ascii_digit());
    status.parse().ok().filter(|status| is_http && is_number && *status >= 100)
}

/// `HTTP/1.1 200`, all that we want to know.
const STATUS_LEN: usize = 12;
