//! A node: machined as the stand-in plays it, and the container of the extension.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use curfew_machined::{Command, Report, Service, Settings, Times, Tree};
use nix::sys::signal::Signal;

use crate::debian::overlay::Overlay;
use crate::directory::write;
use crate::host::Host;
use crate::talos::container::{self, Container};
use crate::talos::extension::Extension;
use crate::talos::power::Power;
use crate::talos::spec::{self, Config, Ingredients};

/// A Talos node.
///
/// The fields are dropped in their order: the container before the file systems that it has.
#[derive(Debug)]
pub struct Node {
    container: Option<Container>,
    /// Machined knows the process of the container.
    is_registered: bool,
    power: Power,
    root: Option<Overlay>,
    extension: Extension,
    folders: Folders,
    name: String,
    namespace: String,
    log: PathBuf,
    host: Host,
}

/// Where everything is on this machine.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The node's own.
    pub own: PathBuf,
    /// The laboratory's, with the cluster file and the certificates.
    pub common: PathBuf,
}

/// What has happened on a node.
#[derive(Clone, Debug)]
pub enum Event {
    /// Machined says this.
    Said(Report),
    /// The container has ended with this code; none is a signal.
    Ended(Option<i32>),
}

impl Node {
    /// Makes the node of `host`, which is off; its container is called `name` and has the network
    /// of `namespace`.
    pub fn new(host: Host, name: &str, namespace: &str, folders: Folders) -> Result<Self> {
        let tree = folders.tree();
        let settings = Settings {
            times: times(),
            service: Service::OnCri,
            tree: Tree {
                sys: Some(spec::on(&tree, "/sys")),
                mountinfo: Some(spec::on(&tree, "/proc/1/mountinfo")),
                pod_mounts: vec![nfs_mount(host)],
            },
            ..Settings::new(spec::on(&tree, SOCKET))
        };
        for path in ["/proc/1", "/sys/fs/cgroup", "/system/run/machined"] {
            fs::create_dir_all(spec::on(&tree, path)).context("make the tree of a node")?;
        }
        Ok(Self {
            container: None,
            is_registered: false,
            power: Power::new(settings)?,
            root: None,
            extension: Extension::unpack(&folders.own)?,
            log: folders.own.join("agent.log"),
            folders,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            host,
        })
    }

    /// Gives it power, with this boot id.
    pub fn boot(&mut self, id: &str) -> Result<()> {
        let tree = self.folders.tree();
        write(&spec::on(&tree, spec::BOOT_ID), id)?;
        write(&spec::on(&tree, "/etc/resolv.conf"), "")?;
        let hosts = format!("127.0.0.1 localhost\n{} {UPSD_NAME}\n", Host::Nfs.address());
        write(&spec::on(&tree, "/etc/hosts"), &hosts)?;
        // Talos keeps it in memory: nothing that was written there survives.
        self.root = None;
        let folder = self.folders.own.join("overlay");
        if folder.exists() {
            fs::remove_dir_all(&folder).context("forget what an earlier boot has written")?;
        }
        self.root = Some(Overlay::mount(&folder, std::slice::from_ref(&self.extension.root))?);
        self.power.boot();
        Ok(())
    }

    /// Takes its power away.
    pub fn cut(&mut self) {
        self.container = None;
        self.power.cut();
    }

    /// Does to the container what machined says, and returns what has happened since the last look.
    pub fn look(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while let Some(report) = self.power.report() {
            self.follow(&report)?;
            events.push(Event::Said(report));
        }
        if let Some(container) = &mut self.container {
            if !self.is_registered
                && let Some(pid) = container.pid()
            {
                self.is_registered = true;
                self.power.tell(Command::Started(Some(pid)));
            }
            if let Some(status) = container.ended()? {
                self.container = None;
                self.power.tell(Command::Ended);
                // The runtime returns the code of the process, or this much more than its signal.
                let code = status.code().filter(|code| *code < SIGNALED);
                events.push(Event::Ended(code.filter(|_| status.signal().is_none())));
            }
        }
        Ok(events)
    }

    /// Tells machined something, or what goes wrong with it.
    pub fn tell(&self, command: Command) {
        self.power.tell(command);
    }

    /// Returns the container, if one runs.
    pub const fn container(&self) -> Option<&Container> {
        self.container.as_ref()
    }

    /// Returns the folder that is the root file system of the node.
    pub fn tree(&self) -> PathBuf {
        self.folders.tree()
    }

    /// Returns the folder with what the container has written to its root file system, and what was
    /// made there to mount something on.
    pub fn written(&self) -> PathBuf {
        self.folders.own.join("overlay/upper")
    }

    fn follow(&mut self, report: &Report) -> Result<()> {
        if *report == Report::Start {
            self.start()
        } else if *report == Report::Term {
            self.signal(Signal::SIGTERM)
        } else if *report == Report::Kill {
            self.signal(Signal::SIGKILL)
        } else {
            Ok(())
        }
    }

    fn start(&mut self) -> Result<()> {
        let root = self.root.as_ref().context("a node that is off starts nothing")?.root();
        let config = self.config()?;
        let config = spec::config(&Ingredients {
            extension: &self.extension,
            root: &root,
            node: &self.folders.tree(),
            network: &self.namespace,
            cgroup: &self.name,
            config: &config,
        })?;
        self.is_registered = false;
        let bundle = self.folders.bundle();
        self.container = Some(Container::start(&bundle, &self.name, &config, &self.log)?);
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.container.as_ref().map_or(Ok(()), |container| container.signal(signal))
    }

    /// The `ExtensionServiceConfig`: cluster file, certificates, and the password where the cluster
    /// file says that it is.
    fn config(&self) -> Result<Config> {
        let common = &self.folders.common;
        let pki = common.join("pki").join(self.host.name());
        let password = common.join("upsd.password");
        let files = [
            (PathBuf::from("/etc/curfew/cluster.toml"), common.join("cluster.toml")),
            ("/etc/curfew/pki/ca.crt".into(), pki.join("ca.crt")),
            ("/etc/curfew/pki/host.crt".into(), pki.join("host.crt")),
            ("/etc/curfew/pki/host.key".into(), pki.join("host.key")),
            (password.clone(), password),
        ];
        let read = |(place, file): (PathBuf, PathBuf)| {
            let text = fs::read_to_string(&file);
            Ok((place, text.with_context(|| format!("read {}", file.display()))?))
        };
        Ok(Config {
            files: files.into_iter().map(read).collect::<Result<_>>()?,
            environment: vec![format!("CURFEW_HOST={}", self.host), "RUST_BACKTRACE=1".to_owned()],
        })
    }
}

impl Folders {
    /// Returns the root file system of the node.
    pub fn tree(&self) -> PathBuf {
        self.own.join("node")
    }

    fn bundle(&self) -> PathBuf {
        bundle(&self.own)
    }
}

/// Ends the containers that a laboratory has left in its folder.
pub fn sweep(folder: &Path) {
    for host in Host::ALL {
        container::sweep(&bundle(&folder.join(host.name())));
    }
}

fn bundle(own: &Path) -> PathBuf {
    own.join("container")
}

/// A twentieth of what Talos takes; but what it does with the process of a service is as it is.
fn times() -> Times {
    Times {
        grace: Duration::from_secs(10),
        caller_check: Duration::from_secs(5),
        restart: Duration::from_secs(5),
        ..Times::talos().divided_by(20)
    }
}

/// As the kernel writes it on a client whose pods have an export of the owner's.
pub(super) fn nfs_mount(host: Host) -> String {
    let (server, client) = (Host::Nfs.address(), host.address());
    format!(
        "36 30 0:31 / /var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/media rw,relatime shared:9 \
         - nfs4 {server}:/srv/media rw,vers=4.2,proto=tcp,clientaddr={client},addr={server}"
    )
}

/// The name by which the nodes know where `upsd` is.
pub const UPSD_NAME: &str = "upsd.lab";
/// Where machined listens.
const SOCKET: &str = "/system/run/machined/machine.sock";
/// `runc` adds this to the number of the signal that ended the process.
const SIGNALED: i32 = 128;
