//! A client of machined, and what tests make their machines of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use curfew_machined::{Settings, Times};
use curfew_proto::talos::machine::machine_service_client::MachineServiceClient;
use curfew_proto::talos::machine::{
    Event, EventsRequest, MachineStatusEvent, PhaseEvent, RebootRequest, SequenceEvent,
    ShutdownRequest, reboot_request,
};
use curfew_proto::talos::resource::state_client::StateClient;
use curfew_proto::talos::resource::{GetRequest, Spec};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

type Client = InterceptedService<Channel, Role>;

/// A client.
pub(crate) struct Visitor {
    pub(crate) machine: MachineServiceClient<Client>,
    pub(crate) state: StateClient<Client>,
}

/// Sends a role with each call.
#[derive(Clone)]
pub(crate) struct Role(Option<&'static str>);

impl Interceptor for Role {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(role) = self.0 {
            request.metadata_mut().insert("talos-role", role.parse().unwrap());
        }
        Ok(request)
    }
}

impl Visitor {
    pub(crate) async fn new(folder: &Path) -> Self {
        Self::with_role(folder, "os:operator").await
    }

    pub(crate) async fn with_role(folder: &Path, role: &'static str) -> Self {
        Self::open(folder, Some(role), endpoint()).await
    }

    pub(crate) async fn without_role(folder: &Path) -> Self {
        Self::open(folder, None, endpoint()).await
    }

    pub(crate) async fn that_pings(folder: &Path, every: Duration) -> Self {
        let endpoint = endpoint().http2_keep_alive_interval(every).keep_alive_while_idle(true);
        Self::open(folder, Some("os:operator"), endpoint).await
    }

    async fn open(folder: &Path, role: Option<&'static str>, endpoint: Endpoint) -> Self {
        let socket = folder.join("machine.sock");
        let connect = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = endpoint.connect_with_connector(connect).await.unwrap();
        let machine = MachineServiceClient::with_interceptor(channel.clone(), Role(role));
        let state = StateClient::with_interceptor(channel, Role(role));
        Self { machine, state }
    }

    pub(crate) async fn tag(&mut self) -> Result<String, Status> {
        let answer = self.machine.version(()).await?.into_inner();
        Ok(answer.messages[0].version.clone().unwrap().tag)
    }

    /// Asks for the status of the machine.
    pub(crate) async fn status(&mut self, id: &str) -> Result<Spec, Status> {
        let request = GetRequest {
            namespace: "runtime".to_owned(),
            r#type: "MachineStatuses.runtime.talos.dev".to_owned(),
            id: id.to_owned(),
        };
        let answer = self.state.get(request).await?.into_inner();
        Ok(answer.resource.unwrap().spec.unwrap())
    }

    /// Calls for a shutdown; returns its actor.
    pub(crate) async fn shutdown(&mut self, force: bool) -> String {
        let answer = self.machine.shutdown(ShutdownRequest { force }).await.unwrap();
        answer.into_inner().messages[0].actor_id.clone()
    }

    /// Calls for a reboot; returns its actor.
    pub(crate) async fn reboot(&mut self, force: bool) -> String {
        let mode = if force { reboot_request::Mode::Force } else { reboot_request::Mode::Default };
        let answer = self.machine.reboot(RebootRequest { mode: mode.into() }).await.unwrap();
        answer.into_inner().messages[0].actor_id.clone()
    }

    /// Listens from now on.
    pub(crate) async fn listen(&mut self) -> Streaming<Event> {
        let request = EventsRequest::default();
        let mut events = self.machine.events(request).await.unwrap().into_inner();
        assert_eq!(events.message().await.unwrap().unwrap().id, "", "the greeting");
        events
    }
}

fn endpoint() -> Endpoint {
    Endpoint::from_static("http://localhost")
}

/// Returns a machine that does everything at once, and its folder.
pub(crate) fn settings(name: &str) -> (Settings, PathBuf) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let mut settings = Settings::new(folder.join("machine.sock"));
    settings.times = Times::talos().divided_by(2000);
    settings.tree.sys = Some(folder.join("sys"));
    settings.tree.mountinfo = Some(folder.join("mountinfo"));
    settings.tree.pod_mounts = vec![NFS.to_owned()];
    (settings, folder)
}

/// Reads until the stream ends or `last` comes; returns one line for each event that tells
/// something: `actor? what`.
pub(crate) async fn read(events: &mut Streaming<Event>, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while let Ok(Some(event)) = events.message().await {
        lines.extend(line(&event));
        if lines.last().is_some_and(|line| line.ends_with(last)) {
            break;
        }
    }
    lines
}

/// Reads until a sequence has ended badly; returns why.
pub(crate) async fn failure(events: &mut Streaming<Event>) -> String {
    loop {
        let data = events.message().await.unwrap().unwrap().data.unwrap();
        if data.type_url.ends_with(".SequenceEvent") {
            let event = SequenceEvent::decode(data.value.as_slice()).unwrap();
            if let Some(error) = event.error {
                return error.message;
            }
        }
    }
}

fn line(event: &Event) -> Option<String> {
    let data = event.data.as_ref()?;
    let value = data.value.as_slice();
    let what = match data.type_url.rsplit('.').next()? {
        "SequenceEvent" => {
            let event = SequenceEvent::decode(value).unwrap();
            let error = event.error.as_ref().map_or("", |error| error.code().as_str_name());
            format!("{} {}{error}", event.sequence, event.action().as_str_name())
        }
        "PhaseEvent" => {
            let event = PhaseEvent::decode(value).unwrap();
            format!("{} {}", event.phase, event.action().as_str_name())
        }
        "MachineStatusEvent" => {
            MachineStatusEvent::decode(value).unwrap().stage().as_str_name().to_owned()
        }
        _ => return None,
    };
    let actor = if event.actor_id.is_empty() { "-" } else { "actor" };
    Some(format!("{actor} {what}"))
}

/// As the kernel writes a mount of a pod.
pub(crate) const NFS: &str = "812 30 0:61 / /var/lib/kubelet/pods/1/volumes/\
    kubernetes.io~csi/pv/mount rw,relatime shared:400 - nfs4 10.77.0.13:/srv/media \
    rw,vers=4.2,addr=10.77.0.13";
