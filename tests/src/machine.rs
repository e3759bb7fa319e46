//! A machine as its agent and its mains see it: an operating system that stops when it is told to,
//! a supervisor for the agent, a power button, a firmware.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use curfew_coordinator::Time;
use nix::sys::signal::Signal;

use crate::agent::Paths;
use crate::debian::server;
use crate::directory::replace;
use crate::ground::now;
use crate::host::Host;
use crate::process::Process;
use crate::talos::node::Event;
use crate::talos::{Bare, Container, Node};

/// How long a machine takes for what it does.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From the call to stop until the services are down and the agent is told to end.
    pub services: Duration,
    /// From there until the power is off.
    pub halt: Duration,
    /// From the power button until the agent is started.
    pub boot: Duration,
    /// From the end of an agent until its supervisor starts it again.
    pub restart: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self { services: millis(800), halt: millis(800), boot: millis(1000), restart: millis(300) }
    }
}

/// What a machine does next by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// The services are down: the agent is told to end.
    Halt,
    /// The power goes off.
    PowerOff,
    /// The operating system is gone and its last hook has the UPS cut.
    Cut,
    /// The power comes on, the kernel starts.
    PowerOn,
    /// The kernel and the services are up: the agent is started.
    Boot,
    /// The supervisor starts the agent again.
    RestartAgent,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Power {
    Off,
    On,
    /// Its operating system goes down.
    Stopping,
}

/// What a machine is made of.
#[derive(Debug)]
enum Body {
    /// An agent in a namespace, around which the laboratory plays the operating system.
    Played { namespace: String, agent: Option<Process> },
    /// A machine that boots Debian and starts its agent itself.
    Booted(Box<server::Machine>),
    /// A Talos node, whose machined starts and ends the agent.
    Talos(Box<Node>),
    /// A Talos node whose agent is a plain process.
    Bare(Box<Bare>),
}

/// One machine.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "settings of a machine, each for itself")]
pub struct Machine {
    /// Which.
    pub host: Host,
    /// How long it takes for what it does.
    pub timing: Timing,
    /// The firmware's "after power loss: on".
    pub does_start_after_power_loss: bool,
    /// Its power button works; the firmware's start after a power loss does not need it.
    pub has_button: bool,
    /// The laboratory starts its agent; else it is on, and no more.
    pub has_agent: bool,
    /// A supervisor starts an agent that has ended again.
    pub is_supervised: bool,
    /// Its network cable is plugged in.
    pub is_plugged: bool,
    paths: Paths,
    body: Body,
    power: Power,
    due: VecDeque<(Time, Next)>,
}

impl Machine {
    /// Makes a machine that is off, whose operating system is played.
    pub fn new(host: Host, paths: Paths, namespace: String) -> Self {
        Self::with_body(host, paths, Body::Played { namespace, agent: None })
    }

    /// Makes a machine that is off and boots Debian.
    pub fn booted(host: Host, paths: Paths, machine: server::Machine) -> Self {
        Self::with_body(host, paths, Body::Booted(Box::new(machine)))
    }

    /// Makes a Talos node that is off.
    pub fn talos(host: Host, paths: Paths, node: Node) -> Self {
        Self::with_body(host, paths, Body::Talos(Box::new(node)))
    }

    /// Makes a Talos node that is off and has no container.
    pub fn bare(host: Host, paths: Paths, node: Bare) -> Self {
        Self::with_body(host, paths, Body::Bare(Box::new(node)))
    }

    fn with_body(host: Host, paths: Paths, body: Body) -> Self {
        Self {
            host,
            timing: Timing::default(),
            does_start_after_power_loss: true,
            has_button: true,
            has_agent: true,
            is_supervised: true,
            is_plugged: true,
            paths,
            body,
            power: Power::Off,
            due: VecDeque::new(),
        }
    }

    /// Returns whether it has power and runs.
    pub const fn is_on(&self) -> bool {
        matches!(self.power, Power::On | Power::Stopping)
    }

    /// Returns whether it is off and stays so.
    pub fn is_at_rest(&self) -> bool {
        !self.is_on() && self.due.is_empty()
    }

    /// Returns whether its operating system goes down.
    pub const fn is_stopping(&self) -> bool {
        matches!(self.power, Power::Stopping)
    }

    /// Returns its agent, if one runs that the laboratory has started.
    pub fn agent(&self) -> Option<&Process> {
        match &self.body {
            Body::Played { agent, .. } => agent.as_ref(),
            Body::Booted(_) => None,
            Body::Talos(node) => node.container().map(Container::process),
            Body::Bare(node) => node.agent(),
        }
    }

    /// Returns the machine that boots Debian, if it is one.
    pub const fn debian(&self) -> Option<&server::Machine> {
        match &self.body {
            Body::Played { .. } | Body::Talos(_) | Body::Bare(_) => None,
            Body::Booted(machine) => Some(machine),
        }
    }

    /// Returns the machine that boots Debian, to change it.
    pub const fn debian_mut(&mut self) -> Option<&mut server::Machine> {
        match &mut self.body {
            Body::Played { .. } | Body::Talos(_) | Body::Bare(_) => None,
            Body::Booted(machine) => Some(machine),
        }
    }

    /// Returns the Talos node, if it is one.
    pub const fn node(&self) -> Option<&Node> {
        match &self.body {
            Body::Played { .. } | Body::Booted(_) | Body::Bare(_) => None,
            Body::Talos(node) => Some(node),
        }
    }

    /// Returns the Talos node without a container, if it is one.
    pub const fn bare_node(&self) -> Option<&Bare> {
        match &self.body {
            Body::Played { .. } | Body::Booted(_) | Body::Talos(_) => None,
            Body::Bare(node) => Some(node),
        }
    }

    /// Looks at what has happened on a Talos node since the last look.
    pub fn look_at_node(&mut self) -> Result<Vec<Event>> {
        match &mut self.body {
            Body::Played { .. } | Body::Booted(_) => Ok(Vec::new()),
            Body::Talos(node) => node.look(),
            Body::Bare(node) => node.look(),
        }
    }

    /// Returns the Talos node, to change it.
    pub const fn node_mut(&mut self) -> Option<&mut Node> {
        match &mut self.body {
            Body::Played { .. } | Body::Booted(_) | Body::Bare(_) => None,
            Body::Talos(node) => Some(node),
        }
    }

    /// Returns whether its operating system is real enough to start the agent by itself.
    pub const fn does_start_agent(&self) -> bool {
        matches!(self.body, Body::Booted(_) | Body::Talos(_) | Body::Bare(_))
    }

    /// Returns where its agent's output is.
    pub const fn log(&self) -> &PathBuf {
        &self.paths.log
    }

    /// Returns its state directory.
    pub const fn state(&self) -> &PathBuf {
        &self.paths.state
    }

    /// Returns where its agent finds what it needs, to point it elsewhere.
    pub const fn paths_mut(&mut self) -> &mut Paths {
        &mut self.paths
    }

    /// Plans what it does after `span`.
    pub fn plan(&mut self, span: Duration, next: Next) {
        let at = now() + span;
        let place = self.due.partition_point(|(other, _)| *other <= at);
        self.due.insert(place, (at, next));
    }

    /// Begins the way of an operating system that goes down, up to the end of its agent; one that
    /// does so already goes on. Returns whether it was new.
    pub fn plan_stop(&mut self) -> bool {
        if self.power == Power::Stopping {
            return false;
        }
        self.power = Power::Stopping;
        self.plan(self.timing.services, Next::Halt);
        true
    }

    /// Takes all that it plans.
    pub fn take_plans(&mut self) -> VecDeque<(Time, Next)> {
        std::mem::take(&mut self.due)
    }

    /// Puts plans back.
    pub fn put_plans(&mut self, plans: VecDeque<(Time, Next)>) {
        self.due = plans;
    }

    /// Returns the next thing that is due.
    pub fn pop_due(&mut self) -> Option<Next> {
        let (at, next) = *self.due.front()?;
        (at <= now()).then(|| {
            self.due.pop_front();
            next
        })
    }

    /// Turns the power on: from here on it is another boot.
    pub fn power_on(&mut self) -> Result<()> {
        self.power = Power::On;
        let id = || std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("make an id");
        match &mut self.body {
            Body::Played { .. } => replace(&self.paths.state.join("boot-id"), &id()?),
            Body::Booted(machine) => machine.container_mut().boot(),
            Body::Talos(node) => node.boot(&id()?),
            Body::Bare(node) => node.boot(&id()?),
        }
    }

    /// Takes the power away; nothing gets to say goodbye.
    pub fn power_off(&mut self) -> Result<()> {
        self.power = Power::Off;
        self.due.clear();
        match &mut self.body {
            Body::Played { .. } => self.end_agent(),
            Body::Booted(machine) => return machine.cut(),
            Body::Talos(node) => node.cut(),
            Body::Bare(node) => node.cut(),
        }
        Ok(())
    }

    /// Ends the agent at once.
    pub fn end_agent(&mut self) {
        if let Body::Played { agent, .. } = &mut self.body {
            drop(agent.take());
        }
    }

    /// Starts the agent, unless it runs or the machine does so itself.
    pub fn start_agent(&mut self) -> Result<()> {
        if let Body::Played { namespace, agent } = &mut self.body
            && agent.is_none()
            && self.has_agent
        {
            *agent = Some(self.paths.start(namespace)?);
        }
        Ok(())
    }

    /// Sends its agent a signal.
    pub fn signal_agent(&self, signal: Signal) -> Result<()> {
        match &self.body {
            Body::Played { agent, .. } => {
                if let Some(agent) = agent {
                    agent.signal(signal);
                }
                Ok(())
            }
            Body::Booted(machine) => {
                let kill = format!("systemctl kill --kill-who=main --signal={signal} curfew");
                machine.container().shell(&kill).map(drop)
            }
            Body::Talos(node) => {
                node.container().map_or(Ok(()), |container| container.signal(signal))
            }
            Body::Bare(node) => {
                node.signal(signal);
                Ok(())
            }
        }
    }

    /// Returns the exit code of an agent that has ended since the last look; none within is a
    /// signal.
    pub fn reap(&mut self) -> Result<Option<Option<i32>>> {
        let Body::Played { agent: running, .. } = &mut self.body else { return Ok(None) };
        let Some(agent) = running else { return Ok(None) };
        let Some(status) = agent.ended()? else { return Ok(None) };
        *running = None;
        Ok(Some(status.code()))
    }
}
