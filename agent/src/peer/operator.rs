//! The operator's end of a command, for the command line.

use std::net::SocketAddr;
use std::path::Path;

use curfew_coordinator::HostName;
use tokio::time::timeout;
use tonic::{Request, Status};

use super::convert::encode_command;
use super::credentials::{Credentials, CredentialsError, Holder};
use super::link::{Link, LinkError};
use super::tls::Expect;
use super::{COMMAND_DEADLINE, CommandAnswer, OperatorCommand, Rebooting};

/// Why a command was not answered.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no operator's certificate to use.
    #[error("cannot use the operator's certificate in {}", directory.display())]
    Credentials {
        /// The directory.
        directory: std::path::PathBuf,
        /// Why not.
        source: CredentialsError,
    },
    /// The agent cannot be reached, or one side does not believe the other.
    #[error("cannot reach the agent")]
    Link(#[source] LinkError),
    /// The agent refused.
    #[error("the agent at {address} refused: {}", status.message())]
    Refused {
        /// Where.
        address: SocketAddr,
        /// What it said.
        status: Box<Status>,
    },
    /// The agent closed the connection without a word.
    #[error(
        "the agent at {address} closed the connection: most likely it does not believe this \
         operator's certificate (revoked, out of date, of another cluster); its log says why"
    )]
    Closed {
        /// Where.
        address: SocketAddr,
    },
    /// The agent did not answer.
    #[error("the agent at {address} does not answer; ask for the status before you repeat it")]
    Deadline {
        /// Where.
        address: SocketAddr,
    },
}

/// Gives `command` to the agent at `address`, with the operator's certificate in `pki`; `host` is
/// whom to expect there, any host of the cluster if none. The operator's name in the command does
/// not go over the wire: it is the certificate's.
pub async fn command(
    address: SocketAddr,
    host: Option<&HostName>,
    pki: &Path,
    command: &OperatorCommand,
) -> Result<CommandAnswer, OperatorError> {
    let credentials = Credentials::load(pki, &Holder::Operator)
        .map_err(|source| OperatorError::Credentials { directory: pki.to_owned(), source })?;
    let expect = host.map_or(Expect::AnyHost, |host| Expect::Host(host.to_string()));
    let mut link = Link::open(address, &credentials, &expect).await.map_err(OperatorError::Link)?;
    let mut request = Request::new(encode_command(command));
    request.set_timeout(ANSWER_DEADLINE);
    let answered = timeout(ANSWER_DEADLINE, link.grpc.command(request)).await;
    match answered {
        Ok(Ok(reply)) => {
            let reply = reply.into_inner();
            Ok(CommandAnswer {
                is_accepted: reply.accepted,
                sentence: reply.sentence,
                status_json: reply.status_json,
                agent: reply.agent,
                rebooting: reply.rebooting.map(|rebooting| Rebooting {
                    status_at: rebooting.status_at,
                    wakers: rebooting.wakers,
                }),
            })
        }
        Ok(Err(status)) => {
            // A certificate that was refused shows only when the connection is used.
            if let Some(source) = link.refusal() {
                return Err(OperatorError::Link(LinkError::Refused { address, source }));
            }
            if status.code() == tonic::Code::Cancelled {
                return Err(OperatorError::Closed { address });
            }
            Err(OperatorError::Refused { address, status: Box::new(status) })
        }
        Err(_) => Err(OperatorError::Deadline { address }),
    }
}

/// The agent's own deadline, and time for the way.
const ANSWER_DEADLINE: std::time::Duration = COMMAND_DEADLINE.saturating_mul(2);
