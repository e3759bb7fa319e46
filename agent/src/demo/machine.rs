//! A machine of the demo: off, booting, or on with its agent as a child process.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use curfew_coordinator::Time;
use tokio::process::{Child, Command};

use super::cast::Role;
use super::history::History;
use super::timeline::Fact;
use crate::clock::{self, BootId, BootIdError};

/// Why a machine cannot be played.
#[derive(Debug, thiserror::Error)]
pub(super) enum MachineError {
    /// The folder of the machine cannot be made or written to.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// What could not be made.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The boot id cannot be read or renewed.
    #[error("cannot keep the boot id of {}", role.name())]
    BootId {
        /// Whose.
        role: Role,
        /// What went wrong.
        #[source]
        source: BootIdError,
    },
    /// The agent cannot be started.
    #[error("cannot start the agent of {}", role.name())]
    Start {
        /// Whose.
        role: Role,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nobody can tell whether the agent still runs.
    #[error("cannot look at the agent of {}", role.name())]
    Look {
        /// Whose.
        role: Role,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A machine.
#[derive(Debug)]
pub(super) struct Machine {
    role: Role,
    home: PathBuf,
    cluster: PathBuf,
    pki: PathBuf,
    /// What its agent recorded.
    pub(super) history: History,
    power: Power,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are three of them, and they do not move")]
enum Power {
    Off,
    Booting { until: Time },
    On { agent: Child, boot: String },
}

impl Machine {
    /// Prepares a machine in the folder of the demo; it is off.
    pub(super) fn new(role: Role, folder: &Path) -> Result<Self, MachineError> {
        let home = folder.join(role.name());
        let made = std::fs::create_dir_all(&home);
        made.map_err(|source| MachineError::Prepare { path: home.clone(), source })?;
        Ok(Self {
            role,
            history: History::new(home.join("history.jsonl")),
            cluster: folder.join("cluster.toml"),
            pki: folder.join("pki").join(role.name()),
            power: Power::Off,
            home,
        })
    }

    /// Returns which one it is.
    pub(super) const fn role(&self) -> Role {
        self.role
    }

    /// Returns whether its agent runs.
    pub(super) const fn is_on(&self) -> bool {
        matches!(self.power, Power::On { .. })
    }

    /// Returns the word for people.
    pub(super) const fn word(&self) -> &'static str {
        match self.power {
            Power::Off => "off",
            Power::Booting { .. } => "booting",
            Power::On { .. } => "on",
        }
    }

    /// Switches it on, in a new boot; one that is on or boots already ignores that.
    pub(super) fn press_button(&mut self, now: Time) -> Result<Option<Fact>, MachineError> {
        if !matches!(self.power, Power::Off) {
            return Ok(None);
        }
        let source = |source| MachineError::BootId { role: self.role, source };
        clock::renew(&self.home).map_err(source)?;
        self.power = Power::Booting { until: now + BOOT };
        Ok(Some(Fact::PoweredOn))
    }

    /// Takes the power away at once.
    pub(super) fn pull_plug(&mut self) {
        // The child is killed when it is dropped.
        self.power = Power::Off;
    }

    /// Lets happen what is due.
    pub(super) fn tick(&mut self, now: Time) -> Result<Option<Fact>, MachineError> {
        match &mut self.power {
            Power::Off => Ok(None),
            Power::Booting { until } if *until > now => Ok(None),
            Power::Booting { .. } => {
                self.boot()?;
                Ok(Some(Fact::Booted))
            }
            Power::On { agent, boot } => {
                let role = self.role;
                let ended = agent.try_wait();
                let ended = ended.map_err(|source| MachineError::Look { role, source })?;
                let before = boot.clone();
                ended.map(|ended| self.on_ended(ended, &before, now)).transpose()
            }
        }
    }

    /// An agent that ends in peace did so because its acted operating system went down.
    fn on_ended(
        &mut self,
        ended: ExitStatus,
        before: &str,
        now: Time,
    ) -> Result<Fact, MachineError> {
        self.power = Power::Off;
        if !ended.success() {
            return Ok(Fact::Crashed { how: ended.to_string() });
        }
        if self.boot_id()? == before {
            return Ok(Fact::PoweredOff);
        }
        // A dry run renews the id itself when it reboots.
        self.power = Power::Booting { until: now + BOOT };
        Ok(Fact::Rebooted)
    }

    fn boot(&mut self) -> Result<(), MachineError> {
        let role = self.role;
        let boot = self.boot_id()?;
        let path = self.log();
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.map_err(|source| MachineError::Prepare { path, source })?;
        let mut command = Command::new(THIS_BINARY);
        command.arg0("curfew");
        command.arg("run").args(["--host", role.name()]);
        command.arg("--end-with").arg(std::process::id().to_string());
        command.arg("--cluster").arg(&self.cluster);
        command.arg("--state").arg(&self.home);
        command.arg("--pki").arg(&self.pki);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // Ctrl-C is meant for the demo, which then ends its agents.
        command.process_group(0).kill_on_drop(true);
        let agent = command.spawn().map_err(|source| MachineError::Start { role, source })?;
        self.power = Power::On { agent, boot };
        Ok(())
    }

    fn boot_id(&self) -> Result<String, MachineError> {
        let id = BootId::Simulated { state: self.home.clone() }.read();
        id.map_err(|source| MachineError::BootId { role: self.role, source })
    }

    /// Returns the file with what its agent logged.
    pub(super) fn log(&self) -> PathBuf {
        self.home.join("agent.log")
    }
}

/// From the button to the agent.
const BOOT: std::time::Duration = std::time::Duration::from_millis(1500);
/// This very binary, also when its file was replaced while the demo runs.
const THIS_BINARY: &str = "/proc/self/exe";
