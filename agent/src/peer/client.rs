//! Tells our state to one peer: the newest, once a second and at once when it changes.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use curfew_proto::{PROTOCOL, v1};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tracing::debug;

use super::credentials::{Credentials, CredentialsState};
use super::link::{Link, LinkError};
use super::refusal::Refusal;
use super::session::{Connection, Direction, Fact};
use super::tls::Expect;
use super::{Me, Outgoing, PeerAddress, convert};
use crate::clock;

/// Tells one peer.
#[derive(Debug)]
pub(super) struct Client {
    peer: PeerAddress,
    expect: Expect,
    me: Arc<Me>,
    state: watch::Receiver<Option<Arc<Outgoing>>>,
    credentials: watch::Receiver<CredentialsState>,
    facts: mpsc::Sender<Fact>,
}

impl Client {
    pub(super) fn new(
        peer: PeerAddress,
        me: Arc<Me>,
        state: watch::Receiver<Option<Arc<Outgoing>>>,
        credentials: watch::Receiver<CredentialsState>,
        facts: mpsc::Sender<Fact>,
    ) -> Self {
        let expect = Expect::Host(peer.name.to_string());
        Self { peer, expect, me, state, credentials, facts }
    }

    /// Connects and tells until cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        cancel.run_until_cancelled(self.tell_for_ever()).await;
    }

    async fn tell_for_ever(&mut self) {
        let mut pause = Duration::ZERO;
        for number in 0.. {
            sleep(pause).await;
            let Some(credentials) = self.usable_credentials().await else { return };
            let address = self.peer.address;
            match Link::open(address, &credentials, &self.expect).await {
                Ok(link) => {
                    if self.talk(link, &credentials, number).await {
                        // It was good, so it is worth trying again at once.
                        pause = Duration::ZERO;
                        continue;
                    }
                }
                Err(LinkError::Refused { source, .. }) => self.refuse(source).await,
                Err(error) => {
                    let why = super::chain(&error);
                    debug!(peer = %self.peer.name, error = why, "no connection");
                    let peer = self.peer.name.clone();
                    self.report(Fact::Unreached { peer, why }).await;
                }
            }
            pause = backoff(pause);
        }
    }

    /// Waits for certificates; none if there never will be any.
    async fn usable_credentials(&mut self) -> Option<Arc<Credentials>> {
        let is_usable = |state: &CredentialsState| state.current.is_some();
        self.credentials.wait_for(is_usable).await.ok()?.current.clone()
    }

    /// Tells over one connection until it ends; returns whether the peer ever acknowledged.
    async fn talk(&mut self, mut link: Link, credentials: &Arc<Credentials>, number: u64) -> bool {
        let connection =
            Connection { peer: self.peer.name.clone(), direction: Direction::Out, number };
        let mut was_good = false;
        loop {
            let next = Instant::now() + BEAT;
            match self.tell(&mut link, &connection).await {
                ControlFlow::Continue(is_acked) => was_good |= is_acked,
                ControlFlow::Break(()) => break,
            }
            tokio::select! {
                () = link.ended() => break,
                Ok(()) = self.state.changed() => {}
                Ok(()) = self.credentials.changed() => {
                    if !self.is_still_good(&link, credentials).await {
                        break;
                    }
                }
                () = sleep_until(next) => {}
            }
        }
        if let Some(refusal) = link.refusal() {
            self.refuse(refusal).await;
        }
        self.report(Fact::Ended(connection)).await;
        was_good
    }

    /// Says whether a connection may go on after our certificates have changed: the peer must
    /// still be believed, and must see our newest certificate.
    async fn is_still_good(&mut self, link: &Link, old: &Arc<Credentials>) -> bool {
        let Some(new) = self.credentials.borrow_and_update().current.clone() else { return true };
        if let Err(refusal) = link.check(&new, &self.expect) {
            self.refuse(refusal).await;
            return false;
        }
        new.own == old.own
    }

    /// Tells the newest state once; breaks if the connection is of no use any more.
    async fn tell(&mut self, link: &mut Link, connection: &Connection) -> ControlFlow<(), bool> {
        let Some(outgoing) = self.state.borrow_and_update().clone() else {
            return ControlFlow::Continue(false);
        };
        let message = outgoing.at(clock::boot_ms());
        let mut request = Request::new(v1::TellRequest {
            protocol: PROTOCOL,
            cluster: self.me.cluster.clone(),
            state: Some(convert::encode(&message)),
        });
        request.set_timeout(TELL_DEADLINE);
        let validity = link.certificate.validity;
        let told = timeout(TELL_DEADLINE, link.grpc.tell(request)).await;
        match told {
            Ok(Ok(_)) => {
                self.report(Fact::Acked { connection: connection.clone(), validity }).await;
                ControlFlow::Continue(true)
            }
            Ok(Err(status)) => self.on_status(link, &status).await,
            Err(_) => {
                debug!(peer = %self.peer.name, "no answer in time");
                ControlFlow::Break(())
            }
        }
    }

    async fn on_status(&self, link: &Link, status: &Status) -> ControlFlow<(), bool> {
        match status.code() {
            // It reads us and refuses: it may think better of it when its file has changed.
            Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::InvalidArgument
            | Code::OutOfRange
            | Code::Unimplemented => {
                self.refuse(Refusal::RefusedUs(status.message().to_owned())).await;
                ControlFlow::Continue(false)
            }
            // Busy; the next beat has a newer state.
            Code::Unavailable if link.is_open() => ControlFlow::Continue(false),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
            | Code::Unauthenticated => {
                debug!(peer = %self.peer.name, %status, "the connection broke");
                ControlFlow::Break(())
            }
        }
    }

    async fn refuse(&self, refusal: Refusal) {
        let address = self.peer.address.ip();
        let peer = Some(self.peer.name.clone());
        self.report(Fact::Refused { address, peer, refusal }).await;
    }

    async fn report(&self, fact: Fact) {
        // The owner of the sessions ends only when all of us do.
        drop(self.facts.send(fact).await);
    }
}

/// Returns the pause after the one before: doubling up to the limit, and never in step with the
/// other clients.
fn backoff(before: Duration) -> Duration {
    let full = (before * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// How often a state that has not changed is told.
const BEAT: Duration = Duration::from_secs(1);
/// How long a peer may take to acknowledge.
const TELL_DEADLINE: Duration = Duration::from_secs(2);
/// The first pause after a connection that came to nothing.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// The longest: a host that has just booted is heard within three beats.
const BACKOFF_MAX: Duration = Duration::from_secs(3);
