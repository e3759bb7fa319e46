//! The socket: who comes in, and what is asked of them before they are heard.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use curfew_proto::talos::machine::machine_service_server::MachineServiceServer;
use curfew_proto::talos::resource::state_server::StateServer;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::metadata::MetadataMap;

use crate::api::Api;
use crate::node::Node;
use crate::ping::Tap;
use crate::report::{Refusal, Report};
use crate::service::mount_namespace;
use crate::settings::Fault;

/// The socket of machined, open; removed when it closes, as Go does.
#[derive(Debug)]
pub(crate) struct Door {
    listener: UnixListener,
    socket: Socket,
    node: Arc<Node>,
}

#[derive(Debug)]
struct Socket(PathBuf);

/// Who calls: taken when the connection is made, checked at every call (facts §2.2).
#[derive(Clone, Debug)]
struct Caller {
    pid: Option<u32>,
    namespace: Option<PathBuf>,
}

impl Door {
    pub(crate) fn open(node: &Arc<Node>) -> io::Result<Self> {
        let path = &node.settings.socket;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        Ok(Self { listener, socket: Socket(path.clone()), node: Arc::clone(node) })
    }

    /// Serves until the API ends; then nobody comes in any more, and who is in may finish within a
    /// grace.
    pub(crate) async fn run(self) {
        let Self { listener, socket, node } = self;
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                () = node.api_ends.cancelled() => break,
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        visits.spawn(visit(stream, Arc::clone(&node)));
                    }
                }
                Some(_) = visits.join_next() => {}
            }
        }
        drop((listener, socket));
        let all = async { while visits.join_next().await.is_some() {} };
        if timeout(node.settings.times.grace, all).await.is_err() {
            // Those who do not leave are put out.
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if std::fs::remove_file(&self.0).is_err() {
            // Somebody else has.
        }
    }
}

async fn visit(stream: UnixStream, node: Arc<Node>) {
    let pid = stream.peer_cred().ok().and_then(|peer| u32::try_from(peer.pid()?).ok());
    let caller = Caller { pid, namespace: pid.and_then(mount_namespace) };
    let stream = TokioIo::new(Tap::new(stream, node.reports.clone()));
    let api = Api::new(&node);
    let answer = service_fn(|request: hyper::Request<Incoming>| {
        let (api, caller, node) = (api.clone(), caller.clone(), Arc::clone(&node));
        async move { Ok::<_, Infallible>(hear(request, api, caller, &node).await) }
    });
    let server = http2::Builder::new(TokioExecutor::new());
    let mut hang_ups = node.hang_ups.subscribe();
    let mut connection = std::pin::pin!(server.serve_connection(stream, answer));
    tokio::select! {
        ended = connection.as_mut() => return drop(ended),
        Ok(()) = hang_ups.changed() => return,
        () = node.api_ends.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

/// Checks a call in the order of machined: the caller, then the role; then has it answered.
async fn hear(
    request: hyper::Request<Incoming>,
    api: Api,
    caller: Caller,
    node: &Node,
) -> hyper::Response<Body> {
    node.until_not(&Fault::Freezes).await;
    if let Err(refusal) = check(&request, caller, node).await {
        node.report(Report::Refused(refusal)).await;
        return Status::permission_denied("not authorized").into_http();
    }
    let path = request.uri().path();
    let answer = if path.starts_with("/machine.MachineService/") {
        MachineServiceServer::new(api).call(request).await
    } else if path.starts_with("/cosi.resource.State/") {
        StateServer::new(api).call(request).await
    } else {
        Ok(Status::unimplemented("not a service of this stand-in").into_http())
    };
    match answer {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn check(
    request: &hyper::Request<Incoming>,
    caller: Caller,
    node: &Node,
) -> Result<(), Refusal> {
    // Facts §2.2: since 1.13.0 the caller must be a registered service; it waits to become one.
    if node.settings.version.checks_callers() {
        let known = async {
            node.until_not(&Fault::KnowsNobody).await;
            node.service.until_known(caller.pid, caller.namespace).await;
        };
        let known = timeout(node.settings.times.caller_check, known).await;
        known.map_err(|_| Refusal::Caller)?;
    }
    let roles = MetadataMap::from_headers(request.headers().clone());
    let roles = roles.get_all("talos-role");
    let mut roles = roles.iter().filter_map(|role| role.to_str().ok());
    let is_allowed = roles.any(|role| allowed_roles(request.uri().path()).contains(&role));
    let is_allowed = is_allowed && !node.has(&Fault::AllowsNoRole);
    is_allowed.then_some(()).ok_or(Refusal::Role)
}

/// Returns the roles of which a call needs one (`services/machined.go`; facts §2.2 and §2.5).
fn allowed_roles(path: &str) -> &'static [&'static str] {
    match Path::new(path).file_name().and_then(|name| name.to_str()) {
        Some("Events" | "Version" | "Get") => &["os:admin", "os:operator", "os:reader"],
        Some("Reboot" | "Shutdown") => &["os:admin", "os:operator"],
        _ => &["os:admin"],
    }
}
