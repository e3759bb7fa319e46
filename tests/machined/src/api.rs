//! The calls: `machine.MachineService`, and of `cosi.resource.State` what tells the stage.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use curfew_proto::talos::machine::machine_service_server::MachineService;
use curfew_proto::talos::machine::{
    Event, EventsRequest, MachineStatusEvent, PlatformInfo, Reboot, RebootRequest, RebootResponse,
    Shutdown, ShutdownRequest, ShutdownResponse, Version, VersionInfo, VersionResponse,
    reboot_request,
};
use curfew_proto::talos::resource::state_server::State;
use curfew_proto::talos::resource::{GetRequest, GetResponse, Metadata, Resource, Spec};
use futures_core::Stream;
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::{Request, Response, Status};

use crate::event::{Reader, Tail};
use crate::node::Node;
use crate::report::Report;
use crate::sequence::Sequence;
use crate::settings::Fault;

/// Answers calls that have passed the door.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    node: Arc<Node>,
}

impl Api {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        Self { node: Arc::clone(node) }
    }
}

#[tonic::async_trait]
impl MachineService for Api {
    type EventsStream = EventStream;

    async fn events(
        &self,
        request: Request<EventsRequest>,
    ) -> Result<Response<EventStream>, Status> {
        let request = request.into_inner();
        let reader = match tail(&request) {
            Ok(tail) => {
                self.node.report(Report::Reads(tail.clone())).await;
                let actor = Some(request.with_actor_id).filter(|actor| !actor.is_empty());
                Ok(self.node.events.read(&tail, actor))
            }
            Err(refusal) => Err(refusal),
        };
        Ok(Response::new(EventStream::open(reader, Arc::clone(&self.node))))
    }

    async fn reboot(
        &self,
        request: Request<RebootRequest>,
    ) -> Result<Response<RebootResponse>, Status> {
        let force = request.into_inner().mode() == reboot_request::Mode::Force;
        let actor_id = self.node.call(Sequence::Reboot { force }).await;
        let messages = vec![Reboot { metadata: None, actor_id }];
        Ok(Response::new(RebootResponse { messages }))
    }

    async fn shutdown(
        &self,
        request: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        let ShutdownRequest { force } = request.into_inner();
        let actor_id = self.node.call(Sequence::Shutdown { force }).await;
        let messages = vec![Shutdown { metadata: None, actor_id }];
        Ok(Response::new(ShutdownResponse { messages }))
    }

    async fn version(&self, _: Request<()>) -> Result<Response<VersionResponse>, Status> {
        let version = VersionInfo {
            tag: self.node.settings.version.to_string(),
            sha: "00000000".to_owned(),
            arch: "amd64".to_owned(),
        };
        let platform = PlatformInfo { name: "metal".to_owned(), mode: "metal".to_owned() };
        let (version, platform) = (Some(version), Some(platform));
        let messages = vec![Version { metadata: None, version, platform }];
        Ok(Response::new(VersionResponse { messages }))
    }
}

#[tonic::async_trait]
impl State for Api {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let GetRequest { namespace, r#type, id } = request.into_inner();
        if (namespace.as_str(), r#type.as_str(), id.as_str()) != MACHINE_STATUS {
            let what = format!("resource {type}({namespace}/{id}) doesn't exist");
            return Err(Status::not_found(what));
        }
        let status = self.node.events.status();
        let spec = Spec { proto_spec: status.encode_to_vec(), yaml_spec: yaml(&status) };
        let metadata = Metadata { namespace, r#type, id, version: "1".to_owned() };
        let resource = Resource { metadata: Some(metadata), spec: Some(spec) };
        Ok(Response::new(GetResponse { resource: Some(resource) }))
    }
}

/// The stream of events: a greeting without data first (facts §2.3), then what is read, or what
/// machined has against the request.
#[derive(Debug)]
pub(crate) struct EventStream {
    events: mpsc::Receiver<Result<Event, Status>>,
    /// The task that reads; it ends with the stream.
    _reader: JoinSet<()>,
}

impl EventStream {
    fn open(reader: Result<Reader, Status>, node: Arc<Node>) -> Self {
        // The transport keeps some more: who does not read falls behind the ring in the end.
        let (sender, events) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(pump(reader, node, sender));
        Self { events, _reader: task }
    }
}

impl Stream for EventStream {
    type Item = Result<Event, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, Status>>> {
        self.events.poll_recv(context)
    }
}

async fn pump(
    mut reader: Result<Reader, Status>,
    node: Arc<Node>,
    events: mpsc::Sender<Result<Event, Status>>,
) {
    let greeting = prost_types::Any::default();
    let mut next = Some(Ok(Event { data: Some(greeting), ..Event::default() }));
    while let Some(told) = next.take() {
        node.until_not(&Fault::Freezes).await;
        node.until_not(&Fault::FreezesStreams).await;
        let is_last = told.is_err();
        if events.send(told).await.is_err() || is_last {
            return;
        }
        let reader = match &mut reader {
            Ok(reader) => reader,
            Err(refusal) => {
                next = Some(Err(refusal.clone()));
                continue;
            }
        };
        next = tokio::select! {
            // What is there is sent, also when the API ends.
            biased;
            () = node.is_mute.cancelled() => None,
            event = reader.next(&node.events) => event.map(|event| Ok(event.to_wire())),
            () = node.api_ends.cancelled() => None,
        };
    }
}

/// Returns where a request wants to begin; at most one of its tails may be set (facts §2.3).
fn tail(request: &EventsRequest) -> Result<Tail, Status> {
    let EventsRequest { tail_events, tail_id, tail_seconds, .. } = request;
    let tails = [*tail_events != 0, !tail_id.is_empty(), *tail_seconds != 0];
    if tails.into_iter().filter(|is_set| *is_set).count() > 1 {
        return Err(Status::unknown("tails can't be specified at the same time"));
    }
    if *tail_events != 0 {
        return Ok(Tail::Events(*tail_events));
    }
    if !tail_id.is_empty() {
        let id = tail_id.parse();
        return id
            .map(Tail::After)
            .map_err(|error: crate::InvalidId| Status::unknown(error.to_string()));
    }
    let seconds = u32::try_from(*tail_seconds).unwrap_or_default();
    Ok(if seconds > 0 { Tail::Seconds(seconds) } else { Tail::Next })
}

/// Returns the same for people, which spares the definitions of the messages (facts §2.5).
fn yaml(status: &MachineStatusEvent) -> String {
    let stage = status.stage().as_str_name().to_lowercase().replace('_', " ");
    let inner = status.status.clone().unwrap_or_default();
    let mut text = format!("stage: {stage}\nstatus:\n    ready: {}\n", inner.ready);
    if inner.unmet_conditions.is_empty() {
        text.push_str("    unmetConditions: []\n");
    } else {
        text.push_str("    unmetConditions:\n");
        for unmet in inner.unmet_conditions {
            for (key, value) in [("- name", unmet.name), ("  reason", unmet.reason)] {
                text.push_str("        ");
                text.push_str(key);
                text.push_str(": ");
                text.push_str(&value);
                text.push('\n');
            }
        }
    }
    text
}

/// Where the stage is (facts §2.5).
const MACHINE_STATUS: (&str, &str, &str) =
    ("runtime", "MachineStatuses.runtime.talos.dev", "machine");
