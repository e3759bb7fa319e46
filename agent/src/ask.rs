//! Asks an agent over HTTP how things stand, as `curfew status` and the demo do, or what has been.

use std::net::SocketAddr;
use std::time::Duration;

use curfew_coordinator::Status;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::talos::Shown;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no agent answers at {at}")]
    Connect {
        /// Where.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It took the connection and said nothing in time.
    #[error("{at} takes connections but has not answered within {} s", LIMIT.as_secs())]
    TimeOut {
        /// Where.
        at: SocketAddr,
    },
    /// What answers does not speak HTTP.
    #[error("what listens at {at} does not answer over HTTP")]
    Exchange {
        /// Where.
        at: SocketAddr,
        /// What went wrong.
        #[source]
        source: hyper::Error,
    },
    /// The answer broke off, or is far longer than a status is.
    #[error("the answer of {at} cannot be read to its end")]
    Body {
        /// Where.
        at: SocketAddr,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An agent that cannot start and waits until that is mended, or that too many ask at once.
    #[error("the agent at {at} runs and has no status to tell")]
    Standby {
        /// Where.
        at: SocketAddr,
    },
    /// It answers, but not with a status.
    #[error(
        "what answers at {at} is no agent of Curfew, or an older one: it says {status} to {path}"
    )]
    Refuse {
        /// Where.
        at: SocketAddr,
        /// What it said.
        status: StatusCode,
        /// What it was asked for.
        path: String,
    },
    /// An answer that this version cannot read.
    #[error("the answer of {at} is not one that this version of curfew can read")]
    Decode {
        /// Where.
        at: SocketAddr,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
}

/// The document of `/api/v1/status`, as far as it is read here.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// The version of the agent.
    pub version: String,
    /// How old the status is.
    pub age_seconds: f64,
    /// What the coordinator says.
    pub status: Status,
    /// What it says of Talos; none on a host without it.
    #[serde(default)]
    pub talos: Option<Shown>,
    /// What the checks say.
    pub health: HealthAnswer,
}

/// The checks of the document.
#[derive(Clone, Debug, Deserialize)]
pub struct HealthAnswer {
    /// `pass`, `warn` or `fail`.
    pub state: String,
    /// Each check.
    pub checks: Vec<CheckAnswer>,
}

/// One check of the document.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckAnswer {
    /// Its name.
    pub name: String,
    /// `pass`, `warn` or `fail`.
    pub state: String,
    /// What was found.
    pub reason: String,
    /// What to do about it.
    #[serde(default)]
    pub remedy: Option<String>,
}

/// Asks the agent at `at`, and returns its document as it came.
pub async fn document(at: SocketAddr) -> Result<Bytes, AskError> {
    within_limit(at, PATH).await
}

/// Asks the agent at `at` what has been, at most `limit` of each, and returns its document.
pub async fn history(at: SocketAddr, limit: usize) -> Result<Bytes, AskError> {
    within_limit(at, &format!("{HISTORY}?limit={limit}")).await
}

/// Asks the agent at `at`, and reads its document.
pub async fn status(at: SocketAddr) -> Result<Answer, AskError> {
    decode(at, &document(at).await?)
}

/// Reads the document of the agent at `at`.
pub fn decode(at: SocketAddr, document: &[u8]) -> Result<Answer, AskError> {
    serde_json::from_slice(document).map_err(|source| AskError::Decode { at, source })
}

async fn within_limit(at: SocketAddr, path: &str) -> Result<Bytes, AskError> {
    timeout(LIMIT, exchange(at, path)).await.unwrap_or(Err(AskError::TimeOut { at }))
}

async fn exchange(at: SocketAddr, path: &str) -> Result<Bytes, AskError> {
    let stream = TcpStream::connect(at).await;
    let stream = stream.map_err(|source| AskError::Connect { at, source })?;
    let failed = |source| AskError::Exchange { at, source };
    let (mut requests, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asking = async {
        let request = Request::get(path)
            .header(HOST, at.to_string())
            .body(Empty::<Bytes>::new())
            .expect("a path of ours and an address make a request");
        let answer = requests.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::OK => {}
            // An agent with a coordinator has a status for everybody whom it lets in.
            StatusCode::SERVICE_UNAVAILABLE => return Err(AskError::Standby { at }),
            status => {
                let path = path.to_owned();
                return Err(AskError::Refuse { at, status, path });
            }
        }
        let body = Limited::new(body, LEN_MAX).collect().await;
        Ok(body.map_err(|source| AskError::Body { at, source })?.to_bytes())
    };
    // The connection has to be driven until the answer is there, and then ends with it.
    let driving = async {
        match connection.await {
            Ok(()) => std::future::pending().await,
            Err(source) => Err(failed(source)),
        }
    };
    tokio::select! {
        biased;
        answer = asking => answer,
        failure = driving => failure,
    }
}

/// Where the status is.
const PATH: &str = "/api/v1/status";
/// Where the past is.
const HISTORY: &str = "/api/v1/history";
/// An agent answers from memory: in milliseconds, or on a machine that is in deep trouble.
const LIMIT: Duration = Duration::from_secs(3);
/// A status of a hundred hosts is some 100 KiB.
const LEN_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn ask_one_that_says(answer: &'static str) -> Result<Bytes, AskError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..len]).into_owned();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            request
        };
        let (outcome, request) = tokio::join!(document(at), answering);
        assert!(request.starts_with("GET /api/v1/status HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: {at}\r\n")), "{request}");
        outcome
    }

    #[tokio::test]
    async fn the_document_comes_as_it_is() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(ask_one_that_says(answer).await.unwrap(), "{}");
    }

    #[tokio::test]
    async fn what_is_no_agent_is_named_so() {
        let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let refused = ask_one_that_says(answer).await.unwrap_err();
        assert!(matches!(refused, AskError::Refuse { status: StatusCode::NOT_FOUND, .. }));
        let no_http = ask_one_that_says("220 mail.example ESMTP\r\n").await.unwrap_err();
        assert!(matches!(no_http, AskError::Exchange { .. }), "{no_http:?}");
    }

    #[tokio::test]
    async fn an_agent_on_standby_is_no_stranger() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        let refused = ask_one_that_says(answer).await.unwrap_err();
        assert!(matches!(refused, AskError::Standby { .. }), "{refused:?}");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_an_error() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n{";
        let broken = ask_one_that_says(answer).await.unwrap_err();
        assert!(matches!(broken, AskError::Body { .. }), "{broken:?}");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(document(at).await, Err(AskError::Connect { .. })));
    }
}
