//! What the stories of Talos nodes without containers begin with, and what they look at.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_coordinator::{HostStatus, OsStop, Phase, Presence, Time};
use curfew_machined::{Command, Report, Sequence};

use crate::cluster_file::{Limits, Nodes};
use crate::host::Host;
use crate::http;
use crate::lab::{Lab, Setup};
use crate::report;
use crate::talos::bare::Machined;
use crate::timeline::Fact;

/// The node of stories that need one alone: nobody needs it.
pub const NODE: Host = Host::K8s2;
/// How long anything may take that is not measured; far above what it takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Plays a story with these hosts on, whose agents are up and hear each other; all others are off.
pub fn play(
    hosts: &[Host],
    machined: Machined,
    story: impl FnOnce(&mut Lab) -> Result<()>,
) -> Result<()> {
    play_from_off(machined, |lab| {
        for host in hosts {
            lab.press_button(*host);
        }
        for host in hosts {
            lab.until_up(*host)?;
        }
        lab.eventually("they hear each other", PATIENCE, |lab| {
            hosts.iter().all(|host| {
                let others = hosts.iter().filter(|other| *other != host);
                others.clone().all(|other| {
                    lab.seen(*host, *other).is_ok_and(|it| it.presence == Presence::Connected)
                })
            })
        })?;
        story(lab)?;
        lab.ensure_polite()
    })
}

/// Plays a story in a laboratory with everything off.
pub fn play_from_off(machined: Machined, story: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    let setup = Setup { limits: limits(), nodes: Nodes::Bare, machined, ..Setup::default() };
    let mut lab = Lab::build(&setup)?;
    // A story that fails by an error and not by a panic is reported, too.
    story(&mut lab).inspect_err(|_| lab.fail())
}

/// The limits of a cluster with Talos nodes, where no time runs faster.
pub fn limits() -> Limits {
    Limits { time_factor: 1, stop_timeout: "10s", wake_timeout: "60s", ..Limits::default() }
}

impl Lab {
    /// Waits until `host` is up, as its agent says, and as machined does where there is one.
    pub fn until_up(&mut self, host: Host) -> Result<()> {
        let is_node = self.bare(host).is_ok();
        self.until_agent(host)?;
        self.eventually(&format!("machined of {host} is up"), PATIENCE, |lab| {
            let on = lab.timeline().last(host, &Fact::On);
            let up = lab.timeline().last(host, &Fact::Machined(Report::Up));
            !is_node || up >= on
        })
    }

    /// Waits until the agent of `host` is up and can be given orders.
    pub fn until_agent(&mut self, host: Host) -> Result<()> {
        self.eventually(&format!("{host} is up"), PATIENCE, |lab| {
            lab.status(host).is_ok_and(|status| status.phase == Phase::Up)
                && http::health(host)
                    .is_ok_and(|page| !page.body.contains("no certificate is loaded"))
        })
    }

    /// Tells machined of `host` something, or what goes wrong with it.
    pub fn tell(&self, host: Host, command: Command) -> Result<()> {
        self.bare(host)?.tell(command);
        Ok(())
    }

    /// Waits until machined of `host` has said this since `since`, and returns when.
    pub fn until_said(&mut self, host: Host, report: Report, since: Time) -> Result<Time> {
        self.until_since(host, &Fact::Machined(report), since)
    }

    /// Waits until this has happened since `since`, and returns when it last did.
    pub fn until_since(&mut self, host: Host, fact: &Fact, since: Time) -> Result<Time> {
        let what = format!("{host} {fact:?}");
        let last = |lab: &Self| lab.timeline().last(host, fact).filter(|at| *at >= since);
        self.eventually(&what, PATIENCE, |lab| last(lab).is_some())?;
        last(self).context(what)
    }

    /// Returns how often machined of `host` has said this.
    pub fn count_said(&self, host: Host, report: Report) -> usize {
        self.timeline().count(host, &Fact::Machined(report))
    }

    /// Returns what agents have called machined of `host` for.
    pub fn calls_of(&self, host: Host) -> Vec<Sequence> {
        let mut calls = Vec::new();
        for entry in self.timeline().entries() {
            if entry.host == Some(host)
                && let Fact::Machined(Report::Called(sequence, _)) = &entry.fact
            {
                calls.push(*sequence);
            }
        }
        calls
    }

    /// Waits until the agent of `host` was started once more since `since`.
    pub fn until_restarted(&mut self, host: Host, since: Time) -> Result<()> {
        self.eventually(&format!("the agent of {host} is started again"), PATIENCE, |lab| {
            let started = lab.timeline().last(host, &Fact::AgentStarted);
            started.is_some_and(|at| at >= since) && lab.status(host).is_ok()
        })
    }

    /// Returns how `host` sees `other`.
    pub fn seen(&self, host: Host, other: Host) -> Result<HostStatus> {
        let status = self.status(host)?;
        let seen = status.hosts.into_iter().find(|(name, _)| name.as_str() == other.name());
        seen.map(|(_, seen)| seen).with_context(|| format!("{host} knows no {other}"))
    }

    /// Waits until the agent of `host` has noted that somebody takes its machine down in this way,
    /// and returns when.
    pub fn until_noted(
        &mut self,
        host: Host,
        event: &str,
        stop: OsStop,
        since: Time,
    ) -> Result<Time> {
        let at = |lab: &Self| {
            let notes = report::history(lab.machine(host)).into_iter();
            let mut parsed = notes.filter_map(|(at, text)| {
                let note: serde_json::Value = serde_json::from_str(&text).ok()?;
                (note.get("event")? == event && note.get("stop")? == stop.as_str()).then_some(at)
            });
            parsed.next_back().filter(|at| *at >= since)
        };
        let what = format!("{host} notes {event}: {}", stop.as_str());
        self.eventually(&what, PATIENCE, |lab| at(lab).is_some())?;
        at(self).context(what)
    }

    /// Returns how many notes of this kind the agent of `host` has made.
    pub fn count_noted(&self, host: Host, event: &str) -> usize {
        report::notes(self.machine(host), event).len()
    }

    /// Waits until the health page of `host` says this.
    pub fn until_health_says(&mut self, host: Host, words: &str) -> Result<()> {
        self.eventually(&format!("/health of {host} says {words:?}"), PATIENCE, |_| {
            http::health(host).is_ok_and(|page| page.body.contains(words))
        })
    }

    /// Fails unless the agents of all nodes have behaved towards machined: no pings, no call that
    /// was refused, no calls for anything but a shutdown.
    pub fn ensure_polite(&self) -> Result<()> {
        for host in [Host::K8s1, Host::K8s2] {
            ensure!(self.count_said(host, Report::Pinged) == 0, "{host} pings machined");
            let calls = self.calls_of(host);
            let is_shutdown = |call: &Sequence| matches!(call, Sequence::Shutdown { .. });
            ensure!(calls.iter().all(is_shutdown), "{host} called for {calls:?}");
        }
        Ok(())
    }

    /// Fails unless the agent of `host` ended by itself, well and within five seconds, every time
    /// that it was told to since `since`.
    pub fn ensure_ended_in_time(&self, host: Host, since: Time) -> Result<()> {
        let entries = self.timeline().entries().iter();
        let mut entries = entries.filter(|entry| entry.host == Some(host) && entry.at >= since);
        let mut count = 0;
        while let Some(told) = entries.find(|entry| entry.fact == Fact::Halting) {
            let ended = entries.find(|entry| matches!(entry.fact, Fact::AgentEnded(_)));
            let ended = ended.with_context(|| format!("the agent of {host} has not ended"))?;
            let took = ended.at.since(told.at);
            ensure!(ended.fact == Fact::AgentEnded(Some(0)), "it ended badly: {:?}", ended.fact);
            ensure!(took < Duration::from_secs(5), "it took {took:?} to end");
            count += 1;
        }
        ensure!(count > 0, "the agent of {host} was never told to end");
        Ok(())
    }
}
