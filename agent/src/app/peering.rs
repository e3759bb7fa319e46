//! The way between the peers module and the keeper.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use curfew_coordinator::{Event, HostName};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Agent;
use super::keeper::Input;
use super::reboot::Desk;
use crate::metrics::Counters;
use crate::peer::{
    CommandAnswer, OperatorCommand, Outgoing, PeerAddress, PeerEvent, Peers, PeersConfig,
    PeersError, PeersStatus,
};
use crate::task::Supervisor;

/// The keeper's ends.
#[derive(Debug)]
pub(super) struct Peering {
    /// The state to tell.
    pub(super) state: watch::Sender<Option<Arc<Outgoing>>>,
    /// How things stand with the peers.
    pub(super) status: watch::Receiver<PeersStatus>,
}

/// Events of peers waiting to be taken by the pump.
const QUEUE_LEN: usize = 256;

/// Spawns the peers module.
pub(super) fn spawn(
    agent: &Agent,
    supervisor: &mut Supervisor,
    (inputs, desk): (&mpsc::Sender<Input>, Desk),
    counters: &Arc<Counters>,
) -> Peering {
    let others = agent.file.hosts.iter().filter(|host| host.name != agent.me.name);
    let config = PeersConfig {
        cluster: agent.file.name.clone(),
        host: HostName::from(agent.me.name.as_str()),
        listen: agent.me.network.peer_listen(),
        peers: others
            .map(|host| PeerAddress {
                name: HostName::from(host.name.as_str()),
                address: host.network.peer_endpoint(),
            })
            .collect(),
        pki: PathBuf::from(&agent.options.pki),
    };
    let (state, told) = watch::channel(None);
    let (shown, status) = watch::channel(PeersStatus::default());
    let (shown, inputs) = (Arc::new(shown), inputs.clone());
    let counters = Arc::clone(counters);
    supervisor.driver("peers", move |cancel| {
        let one = One {
            config: config.clone(),
            told: told.clone(),
            inputs: inputs.clone(),
            desk: desk.clone(),
            shown: Arc::clone(&shown),
            counters: Arc::clone(&counters),
        };
        one.run(cancel)
    });
    Peering { state, status }
}

/// One life of the module.
struct One {
    config: PeersConfig,
    told: watch::Receiver<Option<Arc<Outgoing>>>,
    inputs: mpsc::Sender<Input>,
    desk: Desk,
    shown: Arc<watch::Sender<PeersStatus>>,
    counters: Arc<Counters>,
}

impl One {
    async fn run(self, cancel: CancellationToken) -> Result<(), PeersError> {
        let Self { config, told, inputs, desk, shown, counters } = self;
        let (events, mut queue) = mpsc::channel(QUEUE_LEN);
        let (peers, mut status) = Peers::new(config, told, events, counters);
        let pumping = async {
            while let Some(event) = queue.recv().await {
                pump(event, &inputs, &desk).await;
            }
        };
        let showing = async {
            while status.changed().await.is_ok() {
                shown.send_replace(status.borrow_and_update().clone());
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            ended = peers.run(cancel) => ended,
            () = pumping => Ok(()),
            never = showing => match never {},
        }
    }
}

async fn pump(event: PeerEvent, inputs: &mpsc::Sender<Input>, desk: &Desk) {
    let input = match event {
        PeerEvent::Heard(message) => Input::Fact(Event::PeerHeard(message)),
        PeerEvent::SessionClosed(host) => Input::Fact(Event::SessionClosed(host)),
        // Logged and counted where it happened, and shown in the status.
        PeerEvent::SessionOpened(_) | PeerEvent::Refused { .. } => return,
        PeerEvent::CommandReceived {
            operator,
            command: OperatorCommand::Reboot { host, force },
            reply,
        } => {
            tracing::warn!(operator, %host, force, "reboot ordered");
            desk.take(&host, force, reply);
            return;
        }
        PeerEvent::CommandReceived { operator, command, reply } => {
            command_received(operator, command, reply, inputs).await;
            return;
        }
    };
    if inputs.send(input).await.is_err() {
        tracing::debug!("the keeper has ended");
    }
}

async fn command_received(
    operator: String,
    command: OperatorCommand,
    reply: tokio::sync::oneshot::Sender<CommandAnswer>,
    inputs: &mpsc::Sender<Input>,
) {
    let answer = match command {
        OperatorCommand::Coordinator(command) => {
            tracing::warn!(operator, ?command, "command received");
            let (said, sentence) = tokio::sync::oneshot::channel();
            if inputs.send(Input::Command(command, said)).await.is_err() {
                return;
            }
            match sentence.await {
                Ok(answer) => CommandAnswer {
                    is_accepted: answer.is_ok(),
                    sentence: answer.unwrap_or_else(|refusal| refusal),
                    ..CommandAnswer::default()
                },
                Err(_ended) => return,
            }
        }
        OperatorCommand::GetStatus | OperatorCommand::Reboot { .. } => CommandAnswer {
            is_accepted: false,
            sentence: "ask the status over HTTP: curfew status --at ADDRESS:9100".to_owned(),
            ..CommandAnswer::default()
        },
    };
    if reply.send(answer).is_err() {
        tracing::debug!("the operator has gone before the answer");
    }
}
