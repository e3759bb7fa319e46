//! `curfew reboot HOST`: one host boots again, and is woken where it powers off for that.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use curfew_coordinator::{BootId, Command, HostName};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::operator::Server;
use super::{complain, in_runtime, say};
use crate::ask;
use crate::peer::{CommandAnswer, OperatorCommand, OperatorError, Rebooting, command};

/// How often it is looked how far it is: after a drain that failed an agent lives for seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many looks in a row without an answer are an agent that has ended.
const MISSED_LOOKS: u32 = 5;
/// Six minutes for a drain, as many for the way down, ten for the way up.
const LIMIT: Duration = Duration::from_mins(22);

#[derive(Args, Debug)]
pub(super) struct Reboot {
    #[command(flatten)]
    server: Server,
    /// The host.
    host: String,
    /// Leave the pods of a Talos host where they are, and reboot though others use its files.
    #[arg(long)]
    force: bool,
}

pub(super) fn reboot(args: Reboot) -> ExitCode {
    let Reboot { server, host, force } = args;
    let journey = async {
        let mut journey = Journey::new(&server, HostName::from(host), force);
        let end = tokio::select! {
            end = journey.make() => end,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("cannot be interrupted")?;
                Err(anyhow::anyhow!("interrupted"))
            }
        };
        if end.is_err()
            && let Some(left) = journey.left_to_do()
        {
            complain(left);
        }
        end
    };
    match in_runtime(journey) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            complain(format_args!("curfew: {failed:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A host on its way down and up again.
struct Journey<'a> {
    /// The agent that is asked first.
    server: SocketAddr,
    pki: &'a Path,
    host: HostName,
    force: bool,
    /// Its agent.
    agent: SocketAddr,
    order: Order,
    /// The agent that was asked to wake it.
    woken_by: Option<String>,
    /// The boot that it leaves, where that could be seen.
    boot: Option<BootId>,
    missed: u32,
    told: Option<String>,
    /// Its drain has failed: it goes down hard.
    has_failed_drain: bool,
}

/// How far the order has come.
enum Order {
    /// Nobody has it, or who had it refused.
    Open,
    /// It is on its way, and may have been taken without an answer.
    Given,
    /// It was taken.
    Taken(Rebooting),
}

impl<'a> Journey<'a> {
    fn new(server: &'a Server, host: HostName, force: bool) -> Self {
        let (agent, pki) = (server.address(), server.pki());
        Self {
            server: agent,
            pki,
            host,
            force,
            agent,
            order: Order::Open,
            woken_by: None,
            boot: None,
            missed: 0,
            told: None,
            has_failed_drain: false,
        }
    }

    async fn make(&mut self) -> anyhow::Result<()> {
        self.begin().await?;
        self.follow().await
    }

    /// Gives the order.
    async fn begin(&mut self) -> anyhow::Result<()> {
        let mut answer = self.give(None).await?;
        if let Some(other) = &answer.agent {
            self.order = Order::Open;
            self.agent = other.parse().context("the agent that was asked names no address")?;
            answer = self.give(Some(&self.host.clone())).await?;
        }
        let CommandAnswer { is_accepted, sentence, rebooting, .. } = answer;
        let Some(mut rebooting) = rebooting.filter(|_| is_accepted) else {
            self.order = Order::Open;
            bail!("refused: {sentence}");
        };
        // The one that could be reached is the surest.
        let first = self.server.to_string();
        rebooting.wakers.sort_by_key(|waker| *waker != first);
        self.order = Order::Taken(rebooting);
        say(format_args!("{}: {sentence}", self.host));
        Ok(())
    }

    async fn give(&mut self, expected: Option<&HostName>) -> anyhow::Result<CommandAnswer> {
        let order = OperatorCommand::Reboot { host: self.host.clone(), force: self.force };
        self.order = Order::Given;
        let answer = command(self.agent, expected, self.pki, &order).await;
        if answer.as_ref().is_err_and(|failed| !may_be_taken(failed)) {
            self.order = Order::Open;
        }
        Ok(answer?)
    }

    fn rebooting(&self) -> Option<&Rebooting> {
        match &self.order {
            Order::Taken(rebooting) => Some(rebooting),
            Order::Open | Order::Given => None,
        }
    }

    /// Looks after it until it is back.
    async fn follow(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if self.answers().await {
                let was_gone = std::mem::take(&mut self.missed) >= MISSED_LOOKS;
                if self.is_back(was_gone).await {
                    say(format_args!("{} is back", self.host));
                    return Ok(());
                }
            } else {
                self.missed += 1;
                if self.missed == MISSED_LOOKS {
                    say(self.end_of_agent());
                }
                if self.missed >= MISSED_LOOKS && self.woken_by.is_none() {
                    self.wake().await;
                }
            }
            sleep(LOOK_EVERY).await;
        }
        bail!("{} is not back after {} minutes", self.host, LIMIT.as_secs() / 60)
    }

    async fn answers(&self) -> bool {
        let look = command(self.agent, Some(&self.host), self.pki, &OperatorCommand::GetStatus);
        look.await.is_ok()
    }

    /// Returns whether it runs in another boot; tells what is wrong on its way down.
    async fn is_back(&mut self, was_gone: bool) -> bool {
        let shown = match self.rebooting().map(|it| it.status_at.parse()) {
            Some(Ok(at)) => ask::status(at).await.ok(),
            Some(Err(_)) | None => None,
        };
        // Who does not show itself to everybody has come back when its agent answers again.
        let Some(shown) = shown else { return was_gone };
        let talos = shown.talos.unwrap_or_default();
        self.has_failed_drain |= talos.has_failed_drain;
        let problem = talos.problem;
        if let Some(problem) = problem.map(|it| format!("{}: {}", it.reason, it.remedy))
            && self.told.as_ref() != Some(&problem)
        {
            complain(format_args!("{}: {problem}", self.host));
            self.told = Some(problem);
        }
        let boot = shown.status.hosts.get(&self.host).and_then(|host| host.boot.clone());
        if let Some(left) = &self.boot {
            return boot.is_some_and(|boot| boot != *left);
        }
        self.boot = boot;
        was_gone
    }

    /// Has the next agent wake it that takes the order.
    async fn wake(&mut self) {
        let hosts = [self.host.clone()].into();
        let order = Command::Wake { operator: String::new(), hosts };
        let order = OperatorCommand::Coordinator(order);
        let wakers = self.rebooting().map(|it| it.wakers.clone()).unwrap_or_default();
        for waker in wakers {
            let Ok(address) = waker.parse() else { continue };
            let answer: Result<CommandAnswer, OperatorError> =
                command(address, None, self.pki, &order).await;
            if answer.is_ok_and(|answer| answer.is_accepted) {
                say(format_args!("the agent at {waker} wakes it when it is off"));
                self.woken_by = Some(waker);
                return;
            }
        }
    }

    fn end_of_agent(&self) -> String {
        let host = &self.host;
        if self.has_failed_drain {
            return format!(
                "{host} has gone down hard: its drain failed, and its pods were killed and not \
                 moved away"
            );
        }
        format!("its agent has ended: {host} goes down")
    }

    /// Returns what a person has to do where this ends early, if anything.
    fn left_to_do(&self) -> Option<String> {
        let Self { host, agent, server, woken_by, .. } = self;
        let wakers = match &self.order {
            Order::Open => return None,
            Order::Given if self.force => {
                return Some(format!("{host} may boot again all the same: see `curfew status`"));
            }
            // Who took the order cannot be woken by itself.
            Order::Given if agent == server => {
                return Some(format!(
                    "{host} may power off all the same, and nobody was asked to wake it: when it \
                     is off, `curfew wake --server ADDRESS {host}` with the address of another \
                     agent"
                ));
            }
            Order::Given => {
                return Some(format!(
                    "{host} may power off all the same, and nobody was asked to wake it: when it \
                     is off, `curfew wake --server {server} {host}`"
                ));
            }
            Order::Taken(rebooting) => &rebooting.wakers,
        };
        Some(match (wakers.first(), woken_by) {
            (None, _) => format!("{host} boots again by itself: see `curfew status`"),
            (Some(_), Some(waker)) => {
                format!("{host} is woken by the agent at {waker}: see `curfew status`")
            }
            (Some(waker), None) => format!(
                "{host} powers off and nobody was asked to wake it: when it is off, \
                 `curfew wake --server {waker} {host}`"
            ),
        })
    }
}

/// Returns whether the order may have been taken though its answer is not there.
fn may_be_taken(failed: &OperatorError) -> bool {
    match failed {
        OperatorError::Credentials { .. } | OperatorError::Link(_) => false,
        OperatorError::Refused { status, .. } => !matches!(
            status.code(),
            Code::PermissionDenied
                | Code::Unauthenticated
                | Code::FailedPrecondition
                | Code::InvalidArgument
                | Code::OutOfRange
                | Code::Unimplemented
        ),
        OperatorError::Closed { .. } | OperatorError::Deadline { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journey(order: Order, woken_by: Option<&str>) -> Journey<'static> {
        Journey {
            server: "10.0.0.13:9101".parse().unwrap(),
            pki: Path::new("/nowhere"),
            host: "k8s-2".into(),
            force: false,
            agent: "10.0.0.12:9101".parse().unwrap(),
            order,
            woken_by: woken_by.map(str::to_owned),
            boot: None,
            missed: 0,
            told: None,
            has_failed_drain: false,
        }
    }

    fn taken(wakers: &[&str]) -> Order {
        Order::Taken(Rebooting {
            status_at: "10.0.0.12:9100".to_owned(),
            wakers: wakers.iter().map(|&waker| waker.to_owned()).collect(),
        })
    }

    #[test]
    fn who_ends_it_early_is_told_which_command_wakes_the_host() {
        let nfs = "10.0.0.13:9101";
        let powers_off = journey(taken(&[nfs]), None).left_to_do().unwrap();
        assert!(powers_off.contains("`curfew wake --server 10.0.0.13:9101 k8s-2`"), "{powers_off}");
        let woken = journey(taken(&[nfs]), Some(nfs)).left_to_do().unwrap();
        assert!(woken.starts_with("k8s-2 is woken by the agent at 10.0.0.13:9101"), "{woken}");
        let reboots = journey(taken(&[]), None).left_to_do().unwrap();
        assert!(reboots.starts_with("k8s-2 boots again by itself"), "{reboots}");
    }

    #[test]
    fn an_order_without_an_answer_may_leave_a_host_off() {
        let given = journey(Order::Given, None).left_to_do().unwrap();
        assert!(given.contains("`curfew wake --server 10.0.0.13:9101 k8s-2`"), "{given}");
        let mut own = journey(Order::Given, None);
        own.server = own.agent;
        let own = own.left_to_do().unwrap();
        assert!(own.contains("`curfew wake --server ADDRESS k8s-2`"), "{own}");
        assert_eq!(journey(Order::Open, None).left_to_do(), None, "nobody has the order");
    }

    #[tokio::test]
    async fn an_order_that_was_sent_is_open_until_it_is_answered() {
        let address = "10.0.0.12:9101".parse().unwrap();
        let refused = |code| OperatorError::Refused {
            address,
            status: Box::new(tonic::Status::new(code, "no")),
        };
        assert!(may_be_taken(&OperatorError::Deadline { address }));
        assert!(may_be_taken(&refused(Code::Unavailable)), "the agent did not answer in time");
        assert!(!may_be_taken(&refused(Code::PermissionDenied)));
        let mut nowhere = journey(Order::Open, None);
        nowhere.begin().await.expect_err("there are no certificates");
        assert_eq!(nowhere.left_to_do(), None, "it was never sent");
    }

    #[test]
    fn a_host_that_went_down_hard_is_said_to_have() {
        let mut journey = journey(taken(&["10.0.0.13:9101"]), None);
        assert!(journey.end_of_agent().contains("k8s-2 goes down"));
        journey.has_failed_drain = true;
        assert!(journey.end_of_agent().starts_with("k8s-2 has gone down hard: its drain failed"));
    }
}
