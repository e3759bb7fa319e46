//! A Talos node whose agent runs as a plain process: for stories of what machined does and how the
//! agent takes it, not of the container that it does it in.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use curfew_machined::{Command, Report, Service, Settings, Times, Tree, Version};
use nix::sys::signal::Signal;

use crate::agent::Paths;
use crate::directory::write;
use crate::host::Host;
use crate::process::Process;
use crate::talos::node::{Event, nfs_mount};
use crate::talos::power::Power;

/// What machined of such a node is like.
#[derive(Clone, Copy, Debug)]
pub struct Machined {
    /// The version of Talos.
    pub version: Version,
    /// On what the service of the agent depends.
    pub service: Service,
    /// How long everything takes.
    pub times: Times,
}

impl Default for Machined {
    fn default() -> Self {
        let millis = Duration::from_millis;
        let times = Times {
            takeover: Duration::from_secs(2),
            restart: millis(300),
            drain: Duration::from_secs(30),
            pods: millis(500),
            unmount: millis(200),
            phase: millis(20),
            halt: millis(500),
            countdown: millis(200),
            ..Times::talos()
        };
        Self { version: Version::new(13, 9), service: Service::OnCri, times }
    }
}

/// A node.
#[derive(Debug)]
pub struct Bare {
    agent: Option<Process>,
    power: Power,
    paths: Paths,
    namespace: String,
    tree: PathBuf,
}

impl Bare {
    /// Makes the node of `host`, which is off. Its agent has the network of `namespace`; what it
    /// sees of the machine is in the folder `tree`.
    pub fn new(
        host: Host,
        machined: &Machined,
        paths: &Paths,
        namespace: String,
        tree: PathBuf,
    ) -> Result<Self> {
        let settings = Settings {
            version: machined.version,
            times: machined.times,
            service: machined.service,
            tree: Tree {
                sys: Some(tree.join("sys")),
                mountinfo: Some(tree.join("proc/1/mountinfo")),
                pod_mounts: vec![nfs_mount(host)],
            },
            ..Settings::new(socket(&tree))
        };
        for (folder, links) in LINKS {
            let own = tree.join(folder);
            fs::create_dir_all(&own).context("make the tree of a node")?;
            for name in links {
                symlink(Path::new("/").join(folder).join(name), own.join(name))
                    .context("link what a node has in common with this machine")?;
            }
        }
        let power = Power::new(settings)?;
        let paths = paths.clone();
        Ok(Self { agent: None, power, paths, namespace, tree })
    }

    /// Gives it power, with this boot id.
    pub fn boot(&mut self, id: &str) -> Result<()> {
        write(&self.tree.join("proc/sys/kernel/random/boot_id"), id)?;
        self.power.boot();
        Ok(())
    }

    /// Takes its power away.
    pub fn cut(&mut self) {
        self.agent = None;
        self.power.cut();
    }

    /// Does to the agent what machined says, and returns what has happened since the last look.
    pub fn look(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while let Some(report) = self.power.report() {
            if report == Report::Start {
                let agent = self.paths.start(&self.namespace)?;
                self.power.tell(Command::Started(Some(agent.id())));
                self.agent = Some(agent);
            } else if report == Report::Term {
                self.signal(Signal::SIGTERM);
            } else if report == Report::Kill {
                self.signal(Signal::SIGKILL);
            }
            events.push(Event::Said(report));
        }
        if let Some(agent) = &mut self.agent
            && let Some(status) = agent.ended()?
        {
            self.agent = None;
            self.power.tell(Command::Ended);
            events.push(Event::Ended(status.code()));
        }
        Ok(events)
    }

    /// Tells machined something, or what goes wrong with it.
    pub fn tell(&self, command: Command) {
        self.power.tell(command);
    }

    /// Sends the agent a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(agent) = &self.agent {
            agent.signal(signal);
        }
    }

    /// Returns the agent, if it runs.
    pub const fn agent(&self) -> Option<&Process> {
        self.agent.as_ref()
    }
}

/// Returns where machined of the node with this tree listens.
pub fn socket(tree: &Path) -> PathBuf {
    tree.join("machine.sock")
}

/// What a node has in common with this machine, below `/proc` and `/sys`.
const LINKS: [(&str, &[&str]); 2] = [
    ("proc", &["diskstats", "loadavg", "meminfo", "net", "pressure", "self", "stat", "uptime"]),
    ("sys", &["block", "bus", "class", "devices"]),
];
