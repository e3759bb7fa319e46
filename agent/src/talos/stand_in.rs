//! A machined for tests: it says what it is told to say, and notes how it was called.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use curfew_proto::talos::common;
use curfew_proto::talos::machine::machine_service_server::{MachineService, MachineServiceServer};
use curfew_proto::talos::machine::{
    self, EventsRequest, MachineStatusEvent, PhaseEvent, RebootRequest, RebootResponse,
    SequenceEvent, ShutdownRequest, ShutdownResponse, VersionInfo, VersionResponse, phase_event,
};
use curfew_proto::talos::resource::state_server::{State, StateServer};
use curfew_proto::talos::resource::{GetRequest, GetResponse, Resource, Spec};
use futures_core::Stream;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tonic::codegen::Service as _;
use tonic::{Request, Response, Status};

use super::node::{Action, Stage};
use crate::test_directory::TestDirectory;

/// A machined on a socket of its own; dropping it ends it.
#[derive(Debug)]
pub(crate) struct FakeMachined {
    state: Arc<Inner>,
    directory: TestDirectory,
    serving: JoinSet<()>,
}

/// What it was asked, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    Shutdown { force: bool },
    Reboot,
    Events(EventsRequest),
}

#[derive(Debug)]
pub(crate) struct Inner {
    asked: Mutex<Vec<Asked>>,
    past: Mutex<Vec<machine::Event>>,
    streams: Mutex<Vec<mpsc::Sender<Result<machine::Event, Status>>>>,
    stage: Mutex<Stage>,
    /// How many requests there were.
    requests: Mutex<usize>,
    /// What each call is refused with.
    refusal: Mutex<Option<Status>>,
    /// The version is not told.
    keeps_version: watch::Sender<bool>,
    /// The streams stand still.
    is_still: Mutex<bool>,
}

impl FakeMachined {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Inner {
            asked: Mutex::default(),
            past: Mutex::default(),
            streams: Mutex::default(),
            stage: Mutex::new(Stage::Running),
            requests: Mutex::default(),
            refusal: Mutex::default(),
            keeps_version: watch::Sender::new(false),
            is_still: Mutex::default(),
        });
        let mut fake =
            Self { state, directory: TestDirectory::in_memory(), serving: JoinSet::new() };
        fake.listen();
        fake
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("machine.sock")
    }

    /// Ends all connections and listens no more.
    pub(crate) async fn end(&mut self) {
        self.serving.shutdown().await;
        remove(&self.socket());
    }

    /// Listens again.
    pub(crate) fn listen(&mut self) {
        remove(&self.socket());
        let listener = UnixListener::bind(self.socket()).expect("the directory is ours");
        let state = Arc::clone(&self.state);
        self.serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("the socket is ours");
                let state = Arc::clone(&state);
                connections.spawn(serve(stream, state));
            }
        });
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Returns how often it was called to shut down, by force or not.
    pub(crate) fn shutdowns(&self) -> Vec<bool> {
        let shutdown = |asked: &Asked| match asked {
            Asked::Shutdown { force } => Some(*force),
            Asked::Reboot | Asked::Events(_) => None,
        };
        self.asked().iter().filter_map(shutdown).collect()
    }

    /// Returns how many requests there were since [`FakeMachined::count_anew`].
    pub(crate) fn count(&self) -> usize {
        *lock(&self.state.requests)
    }

    pub(crate) fn count_anew(&self) {
        *lock(&self.state.requests) = 0;
    }

    pub(crate) fn refuse(&self, refusal: Option<Status>) {
        *lock(&self.state.refusal) = refusal;
    }

    /// Lets whoever asks for the version wait.
    pub(crate) fn keep_version(&self, keeps: bool) {
        self.state.keeps_version.send_replace(keeps);
    }

    /// Has the streams stand still, while calls are answered.
    pub(crate) fn stand_still(&self) {
        *lock(&self.state.is_still) = true;
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        *lock(&self.state.stage) = stage;
    }

    pub(crate) fn sequence(&self, name: &str, action: Action, actor: &str) {
        self.state.sequence(name, action, None, actor);
    }

    pub(crate) fn failed(&self, name: &str, code: common::Code, message: &str) {
        let error = common::Error { code: code.into(), message: message.to_owned() };
        self.state.sequence(name, Action::Noop, Some(error), "");
    }

    pub(crate) fn phase(&self, phase: &str) {
        let action = phase_event::Action::Start.into();
        self.state.tell("PhaseEvent", &PhaseEvent { phase: phase.to_owned(), action }, "");
    }

    pub(crate) fn stage(&self, stage: Stage) {
        let event = MachineStatusEvent { stage: stage.into(), status: None };
        self.state.tell("MachineStatusEvent", &event, "");
    }
}

impl Inner {
    fn sequence(&self, name: &str, action: Action, error: Option<common::Error>, actor: &str) {
        let event = SequenceEvent { sequence: name.to_owned(), action: action.into(), error };
        self.tell("SequenceEvent", &event, actor);
    }

    fn tell(&self, kind: &str, payload: &impl Message, actor: &str) {
        let mut past = lock(&self.past);
        let data = prost_types::Any {
            type_url: format!("talos/runtime/machine.{kind}"),
            value: payload.encode_to_vec(),
        };
        let event = machine::Event {
            metadata: None,
            data: Some(data),
            id: format!("{:0ID_LEN$}", past.len() + 1),
            actor_id: actor.to_owned(),
        };
        if *lock(&self.is_still) {
            past.push(event);
            return;
        }
        lock(&self.streams).retain(|stream| stream.try_send(Ok(event.clone())).is_ok());
        past.push(event);
    }

    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        *lock(&self.requests) += 1;
        if request.metadata().get("talos-role").is_none_or(|role| role != "os:operator") {
            return Err(Status::permission_denied("not authorized"));
        }
        lock(&self.refusal).clone().map_or(Ok(()), Err)
    }
}

/// One connection.
async fn serve(stream: tokio::net::UnixStream, state: Arc<Inner>) {
    let machine = MachineServiceServer::from_arc(Arc::clone(&state));
    let resources = StateServer::from_arc(state);
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (mut machine, mut resources) = (machine.clone(), resources.clone());
        async move {
            let is_resource = request.uri().path().starts_with("/cosi.resource.State/");
            let answered = if is_resource {
                resources.call(request).await
            } else {
                machine.call(request).await
            };
            Ok::<_, Infallible>(answered.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new());
    drop(connection.serve_connection(TokioIo::new(stream), answer).await);
}

/// Events by a queue, which is a stream.
pub(crate) struct Told(mpsc::Receiver<Result<machine::Event, Status>>);

impl Stream for Told {
    type Item = Result<machine::Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

#[tonic::async_trait]
impl MachineService for Inner {
    type EventsStream = Told;

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Told>, Status> {
        self.check(&request)?;
        let asked = request.into_inner();
        lock(&self.asked).push(Asked::Events(asked.clone()));
        let past = lock(&self.past);
        let is_wanted = |event: &&machine::Event| {
            asked.tail_events == -1 || (!asked.tail_id.is_empty() && event.id > asked.tail_id)
        };
        let (events, told) = mpsc::channel(2000);
        let greeting = machine::Event::default();
        for event in std::iter::once(&greeting).chain(past.iter().filter(is_wanted)) {
            events.try_send(Ok(event.clone())).expect("the queue is longer than the past");
        }
        if asked.tail_id.is_empty() || asked.tail_id.len() == ID_LEN {
            lock(&self.streams).push(events);
        } else {
            // As Talos does: after the greeting.
            let invalid = Status::unknown("error parsing tail_id: xid: invalid ID");
            events.try_send(Err(invalid)).expect("it is as long as that");
        }
        Ok(Response::new(Told(told)))
    }

    async fn reboot(
        &self,
        request: Request<RebootRequest>,
    ) -> Result<Response<RebootResponse>, Status> {
        self.check(&request)?;
        lock(&self.asked).push(Asked::Reboot);
        let message = machine::Reboot { metadata: None, actor_id: "reboot".to_owned() };
        Ok(Response::new(RebootResponse { messages: vec![message] }))
    }

    async fn shutdown(
        &self,
        request: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        self.check(&request)?;
        let force = request.into_inner().force;
        lock(&self.asked).push(Asked::Shutdown { force });
        let actor_id = format!("call-{}", lock(&self.asked).len());
        let message = machine::Shutdown { metadata: None, actor_id };
        Ok(Response::new(ShutdownResponse { messages: vec![message] }))
    }

    async fn version(&self, request: Request<()>) -> Result<Response<VersionResponse>, Status> {
        self.check(&request)?;
        let mut keeps = self.keeps_version.subscribe();
        keeps.wait_for(|keeps| !keeps).await.expect("the sender is ours");
        let tag = "v1.11.6".to_owned();
        let version = Some(VersionInfo { tag, ..VersionInfo::default() });
        let message = machine::Version { version, ..machine::Version::default() };
        Ok(Response::new(VersionResponse { messages: vec![message] }))
    }
}

#[tonic::async_trait]
impl State for Inner {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        self.check(&request)?;
        let asked = request.into_inner();
        let path = [asked.namespace.as_str(), asked.r#type.as_str(), asked.id.as_str()];
        if path != ["runtime", "MachineStatuses.runtime.talos.dev", "machine"] {
            return Err(Status::not_found("no such resource"));
        }
        let stage = *lock(&self.stage);
        let status = MachineStatusEvent { stage: stage.into(), status: None };
        let spec = Spec { proto_spec: status.encode_to_vec(), yaml_spec: String::new() };
        let resource = Resource { metadata: None, spec: Some(spec) };
        Ok(Response::new(GetResponse { resource: Some(resource) }))
    }
}

/// As long as an id of Talos is.
const ID_LEN: usize = 20;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(path: &Path) {
    if path.exists() {
        std::fs::remove_file(path).expect("it is ours");
    }
}
