//! `curfew reboot HOST`: one host boots again, and is woken where it powers off for that.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use curfew_coordinator::{BootId, Command, HostName};
use tokio::time::{Instant, sleep};

use super::operator::Server;
use super::{complain, in_runtime, say};
use crate::ask;
use crate::peer::{CommandAnswer, OperatorCommand, OperatorError, Rebooting, command};

/// How often it is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many looks in a row without an answer are an agent that has ended.
const MISSED_LOOKS: u32 = 3;
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
        let mut journey = Journey::begin(&server, HostName::from(host), force).await?;
        let end = tokio::select! {
            end = journey.follow() => end,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("cannot be interrupted")?;
                Err(anyhow::anyhow!("interrupted"))
            }
        };
        if end.is_err() {
            complain(journey.left_to_do());
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
    pki: &'a Path,
    host: HostName,
    /// Its agent.
    agent: SocketAddr,
    rebooting: Rebooting,
    /// The agent that was asked to wake it.
    woken_by: Option<String>,
    /// The boot that it leaves, where that could be seen.
    boot: Option<BootId>,
    missed: u32,
    told: Option<String>,
}

impl<'a> Journey<'a> {
    /// Gives the order.
    async fn begin(server: &'a Server, host: HostName, force: bool) -> anyhow::Result<Self> {
        let (mut agent, pki) = (server.address(), server.pki());
        let order = OperatorCommand::Reboot { host: host.clone(), force };
        let mut answer = command(agent, None, pki, &order).await?;
        if let Some(other) = &answer.agent {
            agent = other.parse().context("the agent that was asked names no address")?;
            answer = command(agent, Some(&host), pki, &order).await?;
        }
        let CommandAnswer { is_accepted, sentence, rebooting, .. } = answer;
        let Some(mut rebooting) = rebooting.filter(|_| is_accepted) else {
            bail!("refused: {sentence}");
        };
        // The one that could be reached is the surest.
        let first = server.address().to_string();
        rebooting.wakers.sort_by_key(|waker| *waker != first);
        say(format_args!("{host}: {sentence}"));
        let (boot, woken_by, told) = (None, None, None);
        Ok(Self { pki, host, agent, rebooting, woken_by, boot, missed: 0, told })
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
                    say(format_args!("its agent has ended: {} goes down", self.host));
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
        let shown = match self.rebooting.status_at.parse() {
            Ok(at) => ask::status(at).await.ok(),
            Err(_no_address) => None,
        };
        // Who does not show itself to everybody has come back when its agent answers again.
        let Some(shown) = shown else { return was_gone };
        let problem = shown.talos.and_then(|talos| talos.problem);
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
        for waker in &self.rebooting.wakers {
            let Ok(address) = waker.parse() else { continue };
            let answer: Result<CommandAnswer, OperatorError> =
                command(address, None, self.pki, &order).await;
            if answer.is_ok_and(|answer| answer.is_accepted) {
                say(format_args!("the agent at {waker} wakes it when it is off"));
                self.woken_by = Some(waker.clone());
                return;
            }
        }
    }

    /// Returns what a person has to do who ends this early.
    fn left_to_do(&self) -> String {
        let Self { host, rebooting: Rebooting { wakers, .. }, woken_by, .. } = self;
        match (wakers.first(), woken_by) {
            (None, _) => format!("{host} boots again by itself: see `curfew status`"),
            (Some(_), Some(waker)) => {
                format!("{host} is woken by the agent at {waker}: see `curfew status`")
            }
            (Some(waker), None) => format!(
                "{host} powers off and nobody was asked to wake it: when it is off, \
                 `curfew wake --server {waker} {host}`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journey(wakers: &[&str], woken_by: Option<&str>) -> Journey<'static> {
        Journey {
            pki: Path::new("/nowhere"),
            host: "k8s-2".into(),
            agent: "10.0.0.12:9101".parse().unwrap(),
            rebooting: Rebooting {
                status_at: "10.0.0.12:9100".to_owned(),
                wakers: wakers.iter().map(|&waker| waker.to_owned()).collect(),
            },
            woken_by: woken_by.map(str::to_owned),
            boot: None,
            missed: 0,
            told: None,
        }
    }

    #[test]
    fn who_ends_it_early_is_told_which_command_wakes_the_host() {
        let nfs = "10.0.0.13:9101";
        let powers_off = journey(&[nfs], None).left_to_do();
        assert!(powers_off.contains("`curfew wake --server 10.0.0.13:9101 k8s-2`"), "{powers_off}");
        let woken = journey(&[nfs], Some(nfs)).left_to_do();
        assert!(woken.starts_with("k8s-2 is woken by the agent at 10.0.0.13:9101"), "{woken}");
        let reboots = journey(&[], None).left_to_do();
        assert!(reboots.starts_with("k8s-2 boots again by itself"), "{reboots}");
    }
}
