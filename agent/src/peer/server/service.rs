//! What a caller may say: a host its own state, an operator commands.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use curfew_coordinator::{HostName, StateMessage};
use curfew_proto::{PROTOCOL, v1};
use rustls::pki_types::CertificateDer;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

use super::Shared;
use crate::peer::COMMAND_DEADLINE;
use crate::peer::believed::Believed;
use crate::peer::convert::{decode, decode_command};
use crate::peer::refusal::Refusal;
use crate::peer::session::{Connection, Direction, Fact};
use crate::peer::tls::{Expect, Usage};
use crate::pki::{Certificate, Subject};

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    pub(super) number: u64,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) certificate: Certificate,
    pub(super) believed: Believed,
}

impl Caller {
    /// Returns the host, unless it is an operator.
    pub(super) fn host(&self) -> Option<HostName> {
        self.certificate.identity.as_host().map(HostName::from)
    }
}

/// Serves one caller.
#[derive(Clone, Debug)]
pub(super) struct PeerService {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Arc<Caller>,
}

#[tonic::async_trait]
impl v1::peer_server::Peer for PeerService {
    async fn tell(
        &self,
        request: Request<v1::TellRequest>,
    ) -> Result<Response<v1::TellReply>, Status> {
        let message = match self.check_tell(request.into_inner()) {
            Ok(message) => message,
            Err(refusal) => return Err(self.refuse(refusal).await),
        };
        let Caller { address, number, certificate, .. } = &*self.caller;
        let connection =
            Connection { peer: message.host.clone(), direction: Direction::In, number: *number };
        let message = Arc::new(message);
        let validity = certificate.validity;
        let from = address.to_canonical();
        self.pass_on(Fact::Heard { connection, from, message, validity }).await?;
        Ok(Response::new(v1::TellReply { protocol: PROTOCOL }))
    }

    async fn command(
        &self,
        request: Request<v1::CommandRequest>,
    ) -> Result<Response<v1::CommandReply>, Status> {
        let (reply, answer) = oneshot::channel();
        let fact = match self.check_command(request.into_inner(), reply) {
            Ok(fact) => fact,
            Err(refusal) => return Err(self.refuse(refusal).await),
        };
        self.pass_on(fact).await?;
        let Ok(Ok(answer)) = timeout(COMMAND_DEADLINE, answer).await else {
            return Err(Status::unavailable(
                "the agent did not answer in time, and may or may not have taken the command: \
                 ask for the status before you repeat it",
            ));
        };
        Ok(Response::new(v1::CommandReply {
            accepted: answer.is_accepted,
            sentence: answer.sentence,
            status_json: answer.status_json,
            agent: answer.agent,
            rebooting: answer.rebooting.map(|rebooting| v1::Rebooting {
                status_at: rebooting.status_at,
                wakers: rebooting.wakers,
            }),
        }))
    }
}

impl PeerService {
    fn check_tell(&self, request: v1::TellRequest) -> Result<StateMessage, Refusal> {
        self.check_certificate()?;
        let identity = &self.caller.certificate.identity;
        let host = match identity.subject() {
            Subject::Host(host) => host,
            Subject::Operator(_) | Subject::Authority => {
                return Err(Refusal::NotAllowed {
                    who: identity.subject().to_string(),
                    what: "tell the state of a host",
                    remedy: "issue a certificate for the host with `curfew pki issue HOST`",
                });
            }
        };
        check_protocol(request.protocol)?;
        let ours = &self.shared.me.cluster;
        if request.cluster != *ours {
            let theirs = request.cluster.chars().take(CLUSTER_SHOWN_LEN).collect();
            return Err(Refusal::OtherCluster { theirs, ours: ours.clone() });
        }
        let state = request.state.unwrap_or_default();
        if state.host != *host {
            let claimed = state.host.chars().take(CLUSTER_SHOWN_LEN).collect();
            return Err(Refusal::SpeaksForAnother { host: host.clone(), claimed });
        }
        decode(state).map_err(Refusal::Invalid)
    }

    fn check_command(
        &self,
        request: v1::CommandRequest,
        reply: oneshot::Sender<crate::peer::CommandAnswer>,
    ) -> Result<Fact, Refusal> {
        self.check_certificate()?;
        let identity = &self.caller.certificate.identity;
        let Some(operator) = identity.as_operator() else {
            return Err(Refusal::NotAllowed {
                who: identity.subject().to_string(),
                what: "give commands",
                remedy: "issue an operator's certificate with `curfew pki issue --operator NAME`",
            });
        };
        check_protocol(request.protocol)?;
        let command = decode_command(request, operator).map_err(Refusal::Invalid)?;
        Ok(Fact::Commanded { operator: operator.to_owned(), command, reply })
    }

    /// Checks the certificate anew: it may have been revoked, or run out, since the handshake.
    fn check_certificate(&self) -> Result<(), Refusal> {
        let Some(credentials) = self.shared.credentials.borrow().current.clone() else {
            return Ok(());
        };
        let expect = Expect::Caller(Arc::clone(&self.shared.hosts));
        let Caller { chain, certificate, believed, .. } = &*self.caller;
        believed.check(&credentials, certificate, || {
            credentials.verify(Some(chain), Usage::Client, &expect).map(|_| ())
        })
    }

    async fn pass_on(&self, fact: Fact) -> Result<(), Status> {
        // The sender tries again with a newer state; a stale one must not wait here.
        match self.shared.facts.send_timeout(fact, QUEUE_DEADLINE).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Status::unavailable("the agent is busy")),
        }
    }

    async fn refuse(&self, refusal: Refusal) -> Status {
        let text = format!("{} says: {refusal}", self.shared.me.host);
        let status = Status::new(code(&refusal), text);
        self.shared.refuse(self.caller.address, self.caller.host(), refusal).await;
        status
    }
}

fn check_protocol(theirs: u32) -> Result<(), Refusal> {
    match theirs {
        PROTOCOL => Ok(()),
        // There is nothing older than 1, so 0 is a message without a version.
        0 => Err(Refusal::Invalid(crate::peer::DecodeError::Missing("protocol"))),
        _ => Err(Refusal::NewerProtocol { theirs, ours: PROTOCOL }),
    }
}

/// None of these codes may be one that tonic uses by itself for what it cannot decode.
fn code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::Invalid(_) | Refusal::Unreadable(_) => Code::InvalidArgument,
        Refusal::NewerProtocol { .. } | Refusal::OtherCluster { .. } => Code::FailedPrecondition,
        Refusal::NoCertificate
        | Refusal::BadCertificate(_)
        | Refusal::ForeignAuthority(_)
        | Refusal::Unusable { .. }
        | Refusal::Revoked(_)
        | Refusal::OtherHost { .. }
        | Refusal::UnknownHost(_)
        | Refusal::Expired { .. }
        | Refusal::NotAllowed { .. }
        | Refusal::SpeaksForAnother { .. }
        | Refusal::NotTls(_)
        | Refusal::HandshakeTimeout
        | Refusal::TooManyConnections
        | Refusal::RefusedUs(_) => Code::PermissionDenied,
    }
}

/// How long a state may wait for the owner of the sessions: until its sender has a newer one.
const QUEUE_DEADLINE: Duration = Duration::from_secs(1);
/// How much of a foreign name is repeated.
const CLUSTER_SHOWN_LEN: usize = 80;
