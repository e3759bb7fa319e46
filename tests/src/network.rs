//! The switch and the cables: a bridge in a namespace of its own, and a namespace for each machine.

use std::fs::File;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use crate::ground::remove_namespace;
use crate::host::Host;
use crate::process::run;

/// The network of one laboratory.
#[derive(Debug)]
pub struct Network {
    name: String,
}

impl Network {
    /// Builds it, and moves the calling thread into the namespace of the bridge, where it hears
    /// every broadcast and can talk to every machine.
    ///
    /// The bridge has an address that answers as the machines' gateway.
    pub fn build(name: &str) -> Result<Self> {
        let network = Self { name: name.to_owned() };
        let lan = network.lan();
        ip(&["netns", "add", &lan])?;
        ip(&["-n", &lan, "link", "set", "lo", "up"])?;
        ip(&["-n", &lan, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &lan, "addr", "add", &format!("{GATEWAY}/24"), "brd", "+", "dev", "br0"])?;
        ip(&["-n", &lan, "link", "set", "br0", "up"])?;
        for host in Host::ALL {
            network.add(host)?;
        }
        network.nft("add table bridge lab")?;
        network.nft("add chain bridge lab faults { type filter hook forward priority 0; }")?;
        let namespace = File::open(format!("/run/netns/{lan}")).context("open a namespace")?;
        setns(namespace, CloneFlags::CLONE_NEWNET).context("enter the switch's namespace")?;
        Ok(network)
    }

    /// Returns the namespace of `host`.
    pub fn namespace(&self, host: Host) -> String {
        format!("{}-{host}", self.name)
    }

    /// Lets every user of `host` ping, which a machine that is booted in a container cannot set by
    /// itself.
    pub fn let_all_ping(&self, host: Host) -> Result<()> {
        let set = ["sysctl", "--quiet", "--write", "net.ipv4.ping_group_range=0 2147483647"];
        run("ip", [&["netns", "exec", &self.namespace(host)], set.as_slice()].concat()).map(drop)
    }

    /// Returns the namespace of the switch, whose address is that of no machine of the file.
    pub fn switch(&self) -> String {
        self.lan()
    }

    /// Plugs the cable of `host` in, or pulls it; the host loses its carrier.
    pub fn plug(&self, host: Host, is_in: bool) -> Result<()> {
        let state = if is_in { "up" } else { "down" };
        ip(&["-n", &self.lan(), "link", "set", &port(host), state])
    }

    /// Drops every frame between two hosts; both keep their carrier.
    pub fn block(&self, one: Host, other: Host) -> Result<()> {
        for (from, to) in [(one, other), (other, one)] {
            self.nft(&format!(
                "add rule bridge lab faults iifname {} oifname {} drop",
                port(from),
                port(to)
            ))?;
        }
        Ok(())
    }

    /// Lets every frame through again.
    pub fn unblock_all(&self) -> Result<()> {
        self.nft("flush chain bridge lab faults")
    }

    /// Runs `work` in the namespace of `host`, in a thread of its own.
    pub fn inside<T: Send>(&self, host: Host, work: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.namespace(host)));
        let namespace = namespace.context("open a namespace")?;
        let enter_and_work = || -> Result<T> {
            setns(namespace, CloneFlags::CLONE_NEWNET).context("enter a namespace")?;
            Ok(work())
        };
        let done = std::thread::scope(|scope| scope.spawn(enter_and_work).join());
        done.map_err(|_panic| anyhow!("work in a namespace panicked"))?
    }

    fn add(&self, host: Host) -> Result<()> {
        let (namespace, lan) = (self.namespace(host), self.lan());
        let mac = host.mac_text();
        let address = format!("{}/24", host.address());
        let gateway = GATEWAY.to_string();
        ip(&["netns", "add", &namespace])?;
        let inside = |args: &[&str]| ip(&[&["-n", namespace.as_str()], args].concat());
        inside(&["link", "set", "lo", "up"])?;
        let port = port(host);
        let peer = ["type", "veth", "peer", "name", &port, "netns", &lan];
        inside(&[&["link", "add", "eth0", "address", &mac], peer.as_slice()].concat())?;
        ip(&["-n", &lan, "link", "set", &port, "master", "br0", "up"])?;
        inside(&["addr", "add", &address, "brd", "+", "dev", "eth0"])?;
        inside(&["link", "set", "eth0", "up"])?;
        inside(&["route", "add", "default", "via", &gateway])
    }

    fn lan(&self) -> String {
        format!("{}-lan", self.name)
    }

    fn nft(&self, rule: &str) -> Result<()> {
        run("ip", ["netns", "exec", &self.lan(), "nft", rule]).map(drop)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in Host::ALL {
            remove_namespace(&self.namespace(host));
        }
        remove_namespace(&self.lan());
    }
}

/// Answers as the machines' gateway: the switch and the router hang on the UPS too.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

fn port(host: Host) -> String {
    format!("v-{host}")
}

fn ip(args: &[&str]) -> Result<()> {
    run("ip", args).map(drop)
}
