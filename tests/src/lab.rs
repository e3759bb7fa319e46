//! The laboratory: what a story sets up, does and waits for.

use std::fs::File;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use curfew_coordinator::{Line, Presence, Status, Time};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::agent;
use crate::battery::Battery;
use crate::cluster_file::{CLUSTER, Limits, Nodes, Owner, cluster_file, machine_program};
use crate::debian::device::Device;
use crate::debian::server;
use crate::debian::story;
use crate::debian::{Container, Server};
use crate::directory::{Directory, write, write_program, write_secret};
use crate::ground::{self, now};
use crate::host::Host;
use crate::http;
use crate::machine::{Machine, Next};
use crate::network::Network;
use crate::nut::{Nut, PASSWORD, Shown};
use crate::report;
use crate::simulated::Simulated;
use crate::talos;
use crate::talos::bare::Machined;
use crate::timeline::{Fact, Timeline};
use crate::ups::Ups;

mod build;
mod world;

pub(crate) use world::pass_a_moment;

/// What a laboratory is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The limits in the cluster file.
    pub limits: Limits,
    /// What the driver shows besides the status.
    pub shown: Shown,
    /// The agent; none is the one of this build.
    pub binary: Option<PathBuf>,
    /// A UPS that promises to come back, with a battery for so many seconds; none is real NUT.
    pub returning: Option<u32>,
    /// The owner's machine boots Debian; none is played.
    pub server: Option<Server>,
    /// What the others are.
    pub nodes: Nodes,
    /// What machined is like on nodes without a container.
    pub machined: Machined,
}

impl Default for Setup {
    fn default() -> Self {
        let shown = Shown { has_runtime: true, has_charge: true };
        Self {
            limits: Limits::default(),
            shown,
            binary: None,
            returning: None,
            server: None,
            nodes: Nodes::Played,
            machined: Machined::default(),
        }
    }
}

/// Three machines, a switch and a UPS.
///
/// The fields are dropped in their order: machines and UPS before the network, so that nothing runs
/// in a namespace that goes.
#[derive(Debug)]
pub struct Lab {
    timeline: Timeline,
    machines: [Machine; 3],
    ups: Ups,
    has_mains: bool,
    has_output: bool,
    next_second: Time,
    pace: Duration,
    calls: File,
    packets: UdpSocket,
    network: Network,
    directory: Directory,
    has_failed: bool,
}

impl Lab {
    /// Builds a laboratory with everything off, mains on and a full battery.
    pub fn build(setup: &Setup) -> Result<Self> {
        ground::require()?;
        ground::sweep()?;
        let binary = setup.binary.clone().map_or_else(agent::binary, Ok)?;
        let name = ground::unique_name();
        let directory = Directory::new(&name)?;
        if setup.binary.is_none() {
            agent::make_certificates(&binary, CLUSTER, &directory.join("pki"))?;
        }
        let folder = directory.path();
        let text = cluster_file(folder, &setup.limits, kind(setup), setup.nodes);
        write(&folder.join("cluster.toml"), &text)?;
        write_secret(&folder.join("upsd.password"), PASSWORD)?;
        write_program(&folder.join("machine"), &machine_program(folder))?;
        if setup.server.as_ref().is_some_and(|server| server.is_mounted) {
            write_mounts(&folder.join(Host::K8s1.name()).join("proc"))?;
        }
        let calls = world::open_calls(&folder.join("calls"))?;
        let network = Network::build(&name)?;
        let packets = world::open_packets()?;
        let ups = ups(setup, folder, &network)?;
        let machines = build::machines(setup, &name, folder, &binary, &network)?;
        for machine in &machines {
            if machine.debian().is_none() {
                std::fs::create_dir_all(machine.state()).context("make a state directory")?;
            }
            network.plug(machine.host, false)?;
        }
        Ok(Self {
            timeline: Timeline::default(),
            machines,
            ups,
            has_mains: true,
            has_output: true,
            next_second: now(),
            pace: world::MOMENT,
            calls,
            packets,
            network,
            directory,
            has_failed: false,
        })
    }

    /// Builds a laboratory, presses every power button and waits until all agents hear each other
    /// and read mains.
    pub fn whole(setup: &Setup) -> Result<Self> {
        let mut lab = Self::build(setup)?;
        for host in Host::ALL {
            lab.press_button(host);
        }
        let limit = if setup.server.is_some() { story::PATIENCE } else { WHOLE };
        lab.until_whole(limit)?;
        Ok(lab)
    }

    /// Waits until all agents hear each other and read mains, with no shutdown open.
    pub fn until_whole(&mut self, limit: Duration) -> Result<()> {
        self.eventually("all hosts are up, hear each other and read mains", limit, |lab| {
            Host::ALL.into_iter().all(|host| lab.status(host).is_ok_and(|it| is_whole(&it)))
        })
    }

    /// Takes one step of the world after another until `condition` holds.
    pub fn eventually(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        let end = now() + limit;
        loop {
            self.step()?;
            if condition(self) {
                return Ok(());
            }
            if now() >= end {
                self.has_failed = true;
                bail!("not within {limit:?}: {what}");
            }
            world::pass(self.pace);
        }
    }

    /// Takes steps for `span` and fails as soon as `condition` does not hold.
    pub fn throughout(
        &mut self,
        what: &str,
        span: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        let end = now() + span;
        while now() < end {
            self.step()?;
            if !condition(self) {
                self.has_failed = true;
                bail!("no longer so within {span:?}: {what}");
            }
            world::pass(self.pace);
        }
        Ok(())
    }

    /// Waits until this has happened, and returns when it did so first.
    pub fn until(
        &mut self,
        host: impl Into<Option<Host>>,
        fact: &Fact,
        limit: Duration,
    ) -> Result<Time> {
        let host = host.into();
        let what = format!("{} {fact:?}", host.map_or("world", Host::name));
        self.eventually(&what, limit, |lab| lab.timeline.first(host, fact).is_some())?;
        self.timeline.first(host, fact).context(what)
    }

    /// Asks the agent of `host` for its status.
    pub fn status(&self, host: Host) -> Result<Status> {
        let answer = http::get(host, "/api/v1/status")?;
        let mut page: Value = serde_json::from_str(&answer.body).context("no JSON")?;
        let status = page.get_mut("status").map(Value::take).context("no status")?;
        serde_json::from_value(status).context("another status than ours")
    }

    /// Takes the mains away; a real UPS's battery lasts for another `seconds`.
    pub fn fail_mains(&mut self, seconds: u32) -> Result<()> {
        self.timeline.add(None, Fact::MainsFailed);
        self.has_mains = false;
        self.ups.lose_mains(seconds)
    }

    /// Brings the mains back.
    pub fn restore_mains(&mut self) -> Result<()> {
        self.timeline.add(None, Fact::MainsBack);
        self.has_mains = true;
        self.ups.regain_mains()
    }

    /// Lets a real UPS find its battery low, whatever the numbers say.
    pub fn show_low(&mut self) -> Result<()> {
        self.timeline.add(None, Fact::BatteryLow);
        self.ups.show_low()
    }

    /// Presses the power button of a machine; one that is on or starts already ignores it.
    pub fn press_button(&mut self, host: Host) {
        let machine = self.machine_mut(host);
        if machine.is_at_rest() {
            machine.plan(Duration::ZERO, Next::PowerOn);
            machine.plan(machine.timing.boot, Next::Boot);
        }
    }

    /// Sends the agent of `host` a signal, as a fault.
    pub fn signal_agent(&mut self, host: Host, signal: Signal) -> Result<()> {
        self.timeline.add(host, Fact::Fault(format!("{signal} to the agent")));
        self.machine(host).signal_agent(signal)
    }

    /// Pulls the network cable of `host`, or plugs it in again.
    pub fn plug(&mut self, host: Host, is_in: bool) -> Result<()> {
        let word = if is_in { "in" } else { "out" };
        self.timeline.add(host, Fact::Fault(format!("cable {word}")));
        self.machine_mut(host).is_plugged = is_in;
        let has_link = is_in && self.machine(host).is_on();
        self.network.plug(host, has_link)
    }

    /// Ends or starts `upsd`, as a fault.
    pub fn run_upsd(&mut self, is_running: bool) -> Result<()> {
        let word = if is_running { "runs" } else { "is ended" };
        self.timeline.add(Host::Nfs, Fact::Fault(format!("upsd {word}")));
        let nut = self.nut().context("only real NUT has an upsd to end")?;
        if is_running {
            nut.start_upsd()
        } else {
            nut.stop_upsd();
            Ok(())
        }
    }

    /// Sends the driver of the UPS a signal, as a fault.
    pub fn signal_driver(&mut self, signal: Signal) -> Result<()> {
        self.timeline.add(Host::Nfs, Fact::Fault(format!("{signal} to the driver")));
        let nut = self.nut().context("only real NUT has a driver")?;
        nut.driver().context("no driver runs")?.signal(signal);
        Ok(())
    }

    /// Sends `upsd` a signal, as a fault.
    pub fn signal_upsd(&mut self, signal: Signal) -> Result<()> {
        self.timeline.add(Host::Nfs, Fact::Fault(format!("{signal} to upsd")));
        let nut = self.nut().context("only real NUT has an upsd")?;
        nut.upsd().context("no upsd runs")?.signal(signal);
        Ok(())
    }

    /// Looks more often at what happens, for who measures it.
    pub const fn look_every(&mut self, pace: Duration) {
        self.pace = pace;
    }

    /// Has the laboratory leave its folder and print its report when it ends.
    pub const fn fail(&mut self) {
        self.has_failed = true;
    }

    /// Puts another battery into a UPS that is real, which lasts for `seconds` when it is full.
    pub fn replace_battery(&mut self, seconds: u32) -> Result<()> {
        let fault = format!("a battery for {seconds} s is put in");
        self.timeline.add(None, Fact::Fault(fault));
        self.ups.replace_battery(seconds)
    }

    /// Lets the battery of the UPS last for another `seconds`, with the mains away.
    pub fn drain(&mut self, seconds: u32) -> Result<()> {
        self.ups.lose_mains(seconds)
    }

    /// Returns the network, for faults between hosts.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Returns everything that has happened.
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Returns the folder with all files.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the daemons of NUT, if they are real.
    pub const fn nut(&mut self) -> Option<&mut Nut> {
        match &mut self.ups {
            Ups::Real(nut, _) => Some(nut),
            Ups::Simulated(_) | Ups::Attached(_) => None,
        }
    }

    /// Returns the owner's machine, which boots Debian.
    pub fn server(&self) -> Result<&Container> {
        self.machine(Host::Nfs).debian().map(server::Machine::container).context(PLAYED)
    }

    /// Returns the owner's machine, which boots Debian, with its disk, to change it.
    pub fn server_mut(&mut self) -> Result<&mut server::Machine> {
        self.machine_mut(Host::Nfs).debian_mut().context(PLAYED)
    }

    /// Returns the Talos node of `host`.
    pub fn node(&self, host: Host) -> Result<&talos::Node> {
        self.machine(host).node().with_context(|| format!("{host} is no Talos node"))
    }

    /// Returns the Talos node of `host`, which has no container.
    pub fn bare(&self, host: Host) -> Result<&talos::Bare> {
        self.machine(host).bare_node().with_context(|| format!("{host} is no bare Talos node"))
    }

    /// Returns the machine of `host`.
    pub fn machine(&self, host: Host) -> &Machine {
        let [nfs, first, second] = &self.machines;
        match host {
            Host::Nfs => nfs,
            Host::K8s1 => first,
            Host::K8s2 => second,
        }
    }

    /// Has `host` stop for longer than the driver may take until it shows mains that return, so
    /// that these are seen before the next host is released.
    pub fn stop_slowly(&mut self, host: Host) {
        self.machine_mut(host).timing.services = SLOW_STOP;
    }

    /// Returns the machine of `host`, to change it.
    pub fn machine_mut(&mut self, host: Host) -> &mut Machine {
        let [nfs, first, second] = &mut self.machines;
        match host {
            Host::Nfs => nfs,
            Host::K8s1 => first,
            Host::K8s2 => second,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let has_failed = self.has_failed || std::thread::panicking();
        if has_failed || std::env::var_os("CURFEW_LAB_REPORT").is_some() {
            self.directory.keep();
            if let Some(machine) = self.machine(Host::Nfs).debian()
                && machine.container().keep_journal().is_err()
            {
                // The report shows what there is of it.
            }
            report::print(&self.timeline, &self.machines, self.directory.path());
        }
    }
}

/// Returns whether a host sees the whole cluster at rest.
pub fn is_whole(status: &Status) -> bool {
    let is_there = |(_, host): (_, &curfew_coordinator::HostStatus)| {
        host.presence == Presence::Connected && host.phase == Some(curfew_coordinator::Phase::Up)
    };
    let others = || status.hosts.iter().filter(|(name, _)| **name != status.host);
    status.shutdown.is_none()
        && status.ups.line == Line::Mains
        && others().count() + 1 == Host::ALL.len()
        && others().all(is_there)
}

fn kind(setup: &Setup) -> Owner {
    let does_cut = setup.returning.is_some();
    setup.server.as_ref().map_or(Owner::Played { does_cut }, |server| Owner::Debian {
        does_return: server.does_return,
        is_mounted: server.is_mounted,
    })
}

/// Writes what an agent reads in `/proc`, with an NFS mount of the owner's; the rest is real.
fn write_mounts(proc: &Path) -> Result<()> {
    write(&proc.join("self/mountinfo"), MOUNTS)?;
    for name in ["net", "sys"] {
        std::os::unix::fs::symlink(Path::new("/proc").join(name), proc.join(name))
            .context("link a part of /proc")?;
    }
    Ok(())
}

fn ups(setup: &Setup, folder: &Path, network: &Network) -> Result<Ups> {
    let owner = network.namespace(Host::Nfs);
    if setup.server.is_some() {
        return Ok(Ups::Attached(Box::new(Device::new(&folder.join("ups"), setup.shown)?)));
    }
    if let Some(seconds) = setup.returning {
        return Ok(Ups::Simulated(Simulated::start(&owner, seconds)?));
    }
    Ok(Ups::Real(Nut::new(&folder.join("nut"), &owner, setup.shown)?, Battery::default()))
}

/// Agents without an operating system to boot hear each other within seconds.
const WHOLE: Duration = Duration::from_secs(20);
/// A driver that is asked every second shows the mains up to two seconds late.
const SLOW_STOP: Duration = Duration::from_secs(3);
/// As the kernel writes it on a client.
const MOUNTS: &str = "25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
    36 25 0:31 / /mnt rw,relatime shared:9 - nfs4 10.77.0.13:/srv/media \
    rw,vers=4.2,proto=tcp,clientaddr=10.77.0.11,addr=10.77.0.13\n";
const PLAYED: &str = "the owner's machine of this story is played and boots nothing";
