//! Calls to machined over its unix socket: one call, one connection.
//!
//! machined takes any number of connections and answers HTTP/2 pings that come too often by closing
//! them, so there are no pings: a call has a deadline instead, and the stream of events ends with
//! machined. Who may call what is decided by the role that is sent along, and from 1.13 on by who
//! has opened the connection, which machined may take some seconds to find out of a process that
//! has just been started.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use curfew_proto::talos::common::Code as FailureCode;
use curfew_proto::talos::machine::machine_service_client::MachineServiceClient;
use curfew_proto::talos::machine::{
    self, EventsRequest, MachineStatusEvent, PhaseEvent, RebootRequest, SequenceEvent,
    ShutdownRequest, phase_event,
};
use curfew_proto::talos::resource::GetRequest;
use curfew_proto::talos::resource::state_client::StateClient;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message as _;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Response, Status, Streaming};

use super::node::{Action, Event, Failure, Happening, Stage};
use crate::grpc::Sender;

/// Calls machined.
#[derive(Clone, Debug)]
pub struct Machined {
    socket: PathBuf,
}

/// From where on events are told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Tail {
    /// From the first that is kept.
    All,
    /// From the one after this.
    After(String),
}

/// Why machined has not done or said what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens there.
    #[error("machined cannot be called at {}", socket.display())]
    Connect {
        /// The path of the socket.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It does not speak HTTP/2.
    #[error("no HTTP/2 with machined at {}", socket.display())]
    Open {
        /// The path of the socket.
        socket: PathBuf,
        /// The cause.
        source: hyper::Error,
    },
    /// It does not let this process do that.
    #[error("machined refuses `{call}`: {said}")]
    Refuse {
        /// The call.
        call: &'static str,
        /// What it said.
        said: String,
    },
    /// It has answered with an error, or not at all.
    #[error("machined did not answer `{call}`: {said} ({code:?})")]
    Answer {
        /// The call.
        call: &'static str,
        /// The kind of the error.
        code: Code,
        /// What it said.
        said: String,
    },
    /// It took too long.
    #[error("machined did not answer `{call}` within {} s", limit.as_secs_f32())]
    Late {
        /// The call.
        call: &'static str,
        /// The time that it had.
        limit: Duration,
    },
    /// There is nothing in its answer.
    #[error("the answer of machined to `{call}` is empty")]
    Lack {
        /// The call.
        call: &'static str,
    },
    /// Its answer means nothing to this version.
    #[error("the answer of machined to `{call}` cannot be read")]
    Decode {
        /// The call.
        call: &'static str,
        /// The cause.
        source: prost::DecodeError,
    },
}

impl CallError {
    /// Returns whether the call may have been taken all the same.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Open { .. } | Self::Refuse { .. } => false,
            Self::Late { .. } | Self::Lack { .. } | Self::Decode { .. } => true,
            // What machined says itself is a no; what breaks on the way is told with these.
            Self::Answer { code, .. } => matches!(
                code,
                Code::Unknown
                    | Code::Cancelled
                    | Code::Unavailable
                    | Code::Internal
                    | Code::DeadlineExceeded
            ),
        }
    }

    /// Returns whether machined does not believe that this process may call it.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refuse { .. })
    }

    fn of(call: &'static str, status: &Status) -> Self {
        let said = status.message().to_owned();
        let code = status.code();
        if matches!(code, Code::PermissionDenied | Code::Unauthenticated) {
            return Self::Refuse { call, said };
        }
        Self::Answer { call, code, said }
    }
}

impl Machined {
    /// Takes the path of the socket; calls nobody.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Queues a power-off, which takes over whatever runs: a power-off as well, which then starts
    /// over. With `force` the pods are not moved to other nodes first. Returns what its events
    /// will carry.
    pub async fn shutdown(&self, force: bool) -> Result<String, CallError> {
        const CALL: &str = "Shutdown";
        let answer = self.ask(CALL, async |link| {
            link.machine().shutdown(request(ShutdownRequest { force })).await
        });
        let answered = answer.await?.messages.into_iter().next();
        Ok(answered.ok_or(CallError::Lack { call: CALL })?.actor_id)
    }

    /// Queues a reboot, which takes no power-off over. Returns what its events will carry.
    pub async fn reboot(&self) -> Result<String, CallError> {
        const CALL: &str = "Reboot";
        let mode = machine::reboot_request::Mode::Default.into();
        let answer = self
            .ask(CALL, async |link| link.machine().reboot(request(RebootRequest { mode })).await);
        let answered = answer.await?.messages.into_iter().next();
        Ok(answered.ok_or(CallError::Lack { call: CALL })?.actor_id)
    }

    /// Returns the version of Talos, such as `v1.11.6`.
    pub async fn version(&self) -> Result<String, CallError> {
        const CALL: &str = "Version";
        let answer = self.ask(CALL, async |link| link.machine().version(request(())).await);
        let answered = answer.await?.messages.into_iter().next();
        let version = answered.and_then(|it| it.version).map(|it| it.tag);
        version.filter(|tag| !tag.is_empty()).ok_or(CallError::Lack { call: CALL })
    }

    /// Returns the stage of the node.
    pub async fn stage(&self) -> Result<Stage, CallError> {
        const CALL: &str = "Get";
        let asked = GetRequest {
            namespace: "runtime".to_owned(),
            r#type: "MachineStatuses.runtime.talos.dev".to_owned(),
            id: "machine".to_owned(),
        };
        let answer = self.ask(CALL, async |link| link.state().get(request(asked)).await).await?;
        let spec = answer.resource.and_then(|it| it.spec);
        let spec = spec.ok_or(CallError::Lack { call: CALL })?.proto_spec;
        // The fields of the resource are those of the event.
        let status = MachineStatusEvent::decode(spec.as_slice());
        Ok(status.map_err(|source| CallError::Decode { call: CALL, source })?.stage())
    }

    /// Has the events told from `tail` on; returns when machined has begun to.
    pub async fn events(&self, tail: &Tail) -> Result<Events, CallError> {
        const CALL: &str = "Events";
        let asked = match tail {
            Tail::All => EventsRequest { tail_events: -1, ..EventsRequest::default() },
            Tail::After(id) => EventsRequest { tail_id: id.clone(), ..EventsRequest::default() },
        };
        let opening = async {
            let link = Link::open(&self.socket).await?;
            let opened = link.machine().events(request(asked)).await;
            let stream = opened.map_err(|status| CallError::of(CALL, &status))?.into_inner();
            let mut events = Events { stream, _link: link };
            // What machined has against the caller comes in place of the greeting, and after it
            // what it has against the tail.
            events.next().await?.ok_or(CallError::Lack { call: CALL })?;
            Ok(events)
        };
        let late = |_| CallError::Late { call: CALL, limit: EVENTS_LIMIT };
        timeout(EVENTS_LIMIT, opening).await.map_err(late)?
    }

    async fn ask<T>(
        &self,
        call: &'static str,
        ask: impl AsyncFnOnce(&Link) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        let asking = async {
            let link = Link::open(&self.socket).await?;
            let answer = ask(&link).await.map_err(|status| CallError::of(call, &status))?;
            Ok(answer.into_inner())
        };
        timeout(CALL_LIMIT, asking)
            .await
            .map_err(|_| CallError::Late { call, limit: CALL_LIMIT })?
    }
}

/// The events of machined, over a connection of their own.
pub struct Events {
    stream: Streaming<machine::Event>,
    /// Dropping it ends the stream.
    _link: Link,
}

impl Events {
    /// Waits for the next event; none if machined tells no more. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Event>, CallError> {
        let told = self.stream.message().await;
        Ok(told.map_err(|status| CallError::of("Events", &status))?.map(decode))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// One open connection; dropping it ends it.
struct Link {
    sender: http2::SendRequest<tonic::body::Body>,
    /// The task that moves the bytes; it ends with the connection.
    _pump: JoinSet<Result<(), hyper::Error>>,
}

impl Link {
    async fn open(socket: &Path) -> Result<Self, CallError> {
        let stream = UnixStream::connect(socket).await;
        let stream =
            stream.map_err(|source| CallError::Connect { socket: socket.to_owned(), source })?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|source| CallError::Open { socket: socket.to_owned(), source })?;
        let mut pump = JoinSet::new();
        pump.spawn(connection);
        Ok(Self { sender, _pump: pump })
    }

    fn machine(&self) -> MachineServiceClient<Sender> {
        let origin = hyper::Uri::from_static(ORIGIN);
        MachineServiceClient::with_origin(Sender(self.sender.clone()), origin)
            .max_decoding_message_size(MESSAGE_MAX)
    }

    fn state(&self) -> StateClient<Sender> {
        let origin = hyper::Uri::from_static(ORIGIN);
        StateClient::with_origin(Sender(self.sender.clone()), origin)
            .max_decoding_message_size(MESSAGE_MAX)
    }
}

/// Without a role nobody is let in; more than this one is not needed for anything here.
fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(ROLE_KEY, MetadataValue::from_static(ROLE));
    request
}

/// The type of a payload is `talos/runtime/machine.…`: no usual type URL, so that its name alone
/// counts. What cannot be read is passed over: the stream is worth more than one event.
fn decode(event: machine::Event) -> Event {
    let machine::Event { data, id, actor_id: actor, .. } = event;
    let data = data.unwrap_or_default();
    let name = data.type_url.rsplit('.').next().unwrap_or_default();
    let what = match name {
        "SequenceEvent" => SequenceEvent::decode(data.value.as_slice()).map(sequence),
        "PhaseEvent" => PhaseEvent::decode(data.value.as_slice()).map(phase),
        "MachineStatusEvent" => MachineStatusEvent::decode(data.value.as_slice())
            .map(|event| Happening::Staged(event.stage())),
        _ => Ok(Happening::Other),
    };
    Event { id, actor, what: what.unwrap_or(Happening::Other) }
}

fn sequence(event: SequenceEvent) -> Happening {
    let action = event.action();
    let error = event.error.map(|error| Failure {
        // A kind that this version does not know is as bad as the worst.
        code: FailureCode::try_from(error.code).unwrap_or(FailureCode::Fatal),
        message: error.message,
    });
    // An action that this version does not know is read as none.
    let action = if error.is_some() { Action::Noop } else { action };
    Happening::Sequence { name: event.sequence, action, error }
}

fn phase(event: PhaseEvent) -> Happening {
    match event.action() {
        phase_event::Action::Start => Happening::PhaseStarted(event.phase),
        phase_event::Action::Stop => Happening::Other,
    }
}

/// As Talos' own clients say.
const ORIGIN: &str = "http://localhost";
const ROLE_KEY: &str = "talos-role";
const ROLE: &str = "os:operator";
/// An event is some hundred bytes; a resource carries a copy for people.
const MESSAGE_MAX: usize = 1024 * 1024;
/// machined answers in milliseconds. Whoever calls to stop has a deadline of ten seconds, and needs
/// some of it to ask first.
pub const CALL_LIMIT: Duration = Duration::from_millis(3500);
/// A process that has just been started is looked for by machined for five seconds.
const EVENTS_LIMIT: Duration = Duration::from_secs(7);

#[cfg(test)]
mod tests;
