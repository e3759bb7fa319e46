//! The sequences of Talos, and the phases that each has in each version.

use std::fmt;

/// A version of Talos.
///
/// Three families differ in their phases: 1.8 and 1.9, 1.10 to 1.13, and from 1.14 on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// The second number; the first is 1.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Version {
    /// Returns the version 1.`minor`.`patch`.
    pub const fn new(minor: u32, patch: u32) -> Self {
        Self { minor, patch }
    }

    /// Returns whether callers of the socket are checked: they are since 1.13.0 (facts §2.2).
    pub const fn checks_callers(self) -> bool {
        self.minor >= 13
    }

    /// Returns whether a failed sequence cleans volumes up: it does since 1.13 (facts §3.4).
    pub const fn has_emergency_cleanup(self) -> bool {
        self.minor >= 13
    }

    /// Returns whether `Reboot` knows the mode `FORCE`: it does since 1.12, before that it is an
    /// ordinary reboot (facts §2.3).
    pub const fn knows_forced_reboot(self) -> bool {
        self.minor >= 12
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{}", self.minor, self.patch)
    }
}

/// A sequence, with what it was called with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sequence {
    /// From the start of the kernel until there is a configuration.
    Initialize,
    /// From there until all services are up.
    Boot,
    /// Until the power is off.
    Shutdown {
        /// Without cordon and drain.
        force: bool,
    },
    /// Until the machine restarts.
    Reboot {
        /// By nothing but the restart itself (1.12 and later).
        force: bool,
    },
    /// A new Talos, then a restart.
    Upgrade,
    /// The machine is wiped, then restarts or powers off.
    Reset {
        /// It restarts.
        reboot: bool,
    },
}

impl Sequence {
    /// Returns its name in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Boot => "boot",
            Self::Shutdown { .. } => "shutdown",
            Self::Reboot { .. } => "reboot",
            Self::Upgrade => "upgrade",
            Self::Reset { .. } => "reset",
        }
    }

    /// Returns whether it may take over `running` without being told to (`CanTakeOver` of
    /// `runtime/sequencer.go`). That a shutdown is not taken over by a reboot is facts §2.4.
    pub const fn takes_over(self, running: Self) -> bool {
        match (running, self) {
            (Self::Initialize, Self::Reboot { .. })
            | (Self::Boot, Self::Reboot { .. } | Self::Reset { .. } | Self::Upgrade)
            | (Self::Reboot { .. } | Self::Reset { .. }, Self::Reboot { .. }) => true,
            (
                Self::Initialize
                | Self::Boot
                | Self::Shutdown { .. }
                | Self::Reboot { .. }
                | Self::Upgrade
                | Self::Reset { .. },
                _,
            ) => false,
        }
    }

    /// Returns its phases, in order (facts §3.1).
    pub fn phases(self, version: Version) -> Vec<Phase> {
        match self {
            Self::Initialize => INITIALIZE.to_vec(),
            Self::Boot => BOOT.to_vec(),
            Self::Shutdown { force } => {
                // In 1.8 and 1.9 that is how it is spelled (facts §3.1, row 1).
                let store = if version.minor < 10 { "storeShudown" } else { "storeShutdown" };
                let drain = Phase::new("drain", Task::Drain);
                let mut phases = vec![Phase::new(store, Task::StoreShutdown)];
                phases.extend((!force).then_some(drain));
                phases.extend(stop_all(version, "umount", &[], &[]));
                phases.push(Phase::new("shutdown", Task::PowerOff));
                phases
            }
            // No cordon and no drain at any version (facts §3.1).
            Self::Reboot { force } => {
                let mut phases = Vec::new();
                if !(force && version.knows_forced_reboot()) {
                    phases.extend(stop_all(version, "umount", &[], &[KEXEC]));
                }
                phases.push(Phase::new("reboot", Task::Restart));
                phases
            }
            Self::Upgrade => {
                let upgrade = [Phase::new("upgrade", Task::Other("upgrade")), META, KEXEC];
                let mut phases = vec![Phase::new("drain", Task::Drain)];
                phases.extend(stop_all(version, "unmount", &[], &upgrade));
                // Here it comes first, where it is.
                phases.sort_by_key(|phase| *phase != DENY);
                phases.push(Phase::new("reboot", Task::Restart));
                phases
            }
            Self::Reset { reboot } => {
                let mut phases = vec![Phase::new("drain", Task::Drain)];
                let signal = Phase::new("preReset", Task::Other("sendResetSignal"));
                phases.extend(stop_all(version, "umount", &[signal], &[]));
                phases.push(Phase::new("forceCleanup", Task::Other("forceCleanup")));
                phases.push(Phase::new("reset", Task::Other("resetSystemDisk")));
                phases.push(if reboot {
                    Phase::new("reboot", Task::Restart)
                } else {
                    Phase::new("shutdown", Task::PowerOff)
                });
                phases
            }
        }
    }
}

/// A phase: all but a few have one task, and so has each here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Phase {
    /// Its name in events.
    pub name: &'static str,
    /// What it does.
    pub task: Task,
}

impl Phase {
    const fn new(name: &'static str, task: Task) -> Self {
        Self { name, task }
    }
}

/// What a phase does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Task {
    /// Takes its time; the name of its task.
    Other(&'static str),
    /// Notes that the machine powers off even if the sequence fails (facts §3.4).
    StoreShutdown,
    /// Cordons the node and evicts its pods (facts §3.2).
    Drain,
    /// Ends kubelet and all pods.
    StopPods,
    /// Ends `cri` and all that depends on it: of service files, variant A (facts §3.5).
    StopServices,
    /// Unmounts what pods had mounted, NFS too (facts §3.8).
    Unmount,
    /// Ends all services, the API of machined included: variant B (facts §3.5).
    StopEverything,
    /// Starts all services and waits for them (facts §4).
    StartEverything,
    /// The power goes off.
    PowerOff,
    /// The machine restarts.
    Restart,
}

impl Task {
    /// Returns its name in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other(name) => name,
            Self::StoreShutdown => "storeShutdownEmergency",
            Self::Drain => "cordonAndDrainNode",
            Self::StopPods => "stopAllPods",
            Self::StopServices => "stopServicesForUpgrade",
            Self::Unmount => "unmountPodMounts",
            Self::StopEverything => "stopAllServices",
            Self::StartEverything => "startAllServices",
            Self::PowerOff => "shutdown",
            Self::Restart => "reboot",
        }
    }
}

/// The phases 3 to 13 of the table in facts §3.1, which all sequences share that take the machine
/// down: `before` stands before services stop, `late` before everything stops.
fn stop_all(
    version: Version,
    unmount: &'static str,
    before: &[Phase],
    late: &[Phase],
) -> Vec<Phase> {
    let other = |name, task| Phase::new(name, Task::Other(task));
    let mut phases = vec![Phase::new("cleanup", Task::StopPods), other("dbus", "stopDBus")];
    phases.extend(before);
    if version.minor >= 14 {
        phases.push(DENY);
    }
    phases.push(Phase::new("stopServices", Task::StopServices));
    if version.minor < 10 {
        phases.push(other("unmountUser", "unmountUserDisks"));
    }
    phases.push(Phase::new(unmount, Task::Unmount));
    phases.push(other("unmountBind", "unmountSystemDiskBindMounts"));
    if version.minor >= 14 {
        phases.push(other("unmountPromotable", "unmountPromotableSystemPartitions"));
    }
    phases.push(other("unmountSystem", "unmountEphemeralPartition"));
    phases.push(other("volumeFinalize", "teardownLifecycle"));
    phases.extend(late);
    phases.push(Phase::new("stopEverything", Task::StopEverything));
    phases
}

const DENY: Phase = Phase::new("denyNewServices", Task::Other("denyNewServices"));
const META: Phase = Phase::new("meta", Task::Other("reloadMeta"));
const KEXEC: Phase = Phase::new("kexec", Task::Other("kexecPrepare"));
const INITIALIZE: [Phase; 3] = [
    Phase::new("systemRequirements", Task::Other("enforceKSPPRequirements")),
    Phase::new("earlyServices", Task::Other("startMachined")),
    Phase::new("config", Task::Other("loadConfig")),
];
const BOOT: [Phase; 4] = [
    Phase::new("env", Task::Other("setUserEnvVars")),
    Phase::new("dbus", Task::Other("startDBus")),
    Phase::new("ephemeral", Task::Other("mountEphemeralPartition")),
    Phase::new("startEverything", Task::StartEverything),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sequence: Sequence, minor: u32) -> String {
        let phases = sequence.phases(Version::new(minor, 0));
        phases.iter().map(|phase| phase.name).collect::<Vec<_>>().join(" ")
    }

    /// The columns of the table in facts §3.1.
    #[test]
    fn a_shutdown_has_the_phases_of_its_version() {
        let shutdown = Sequence::Shutdown { force: false };
        for minor in [8, 9] {
            assert_eq!(
                names(shutdown, minor),
                "storeShudown drain cleanup dbus stopServices unmountUser umount unmountBind \
                 unmountSystem volumeFinalize stopEverything shutdown"
            );
        }
        for minor in [10, 11, 12, 13] {
            assert_eq!(
                names(shutdown, minor),
                "storeShutdown drain cleanup dbus stopServices umount unmountBind unmountSystem \
                 volumeFinalize stopEverything shutdown"
            );
        }
        assert_eq!(
            names(shutdown, 14),
            "storeShutdown drain cleanup dbus denyNewServices stopServices umount unmountBind \
             unmountPromotable unmountSystem volumeFinalize stopEverything shutdown"
        );
    }

    /// Facts §0.3.
    #[test]
    fn force_leaves_out_the_drain_and_nothing_else() {
        for minor in 8..=14 {
            let gentle = names(Sequence::Shutdown { force: false }, minor);
            assert_eq!(
                gentle.replace(" drain", ""),
                names(Sequence::Shutdown { force: true }, minor)
            );
        }
    }

    /// Facts §3.1, below the table.
    #[test]
    fn a_reboot_never_drains() {
        for minor in 8..=14 {
            assert!(!names(Sequence::Reboot { force: false }, minor).contains("drain"));
        }
    }

    /// Facts §2.3 and §3.1.
    #[test]
    fn a_forced_reboot_is_nothing_but_the_restart_where_it_is_known() {
        let forced = Sequence::Reboot { force: true };
        assert_eq!(names(forced, 11), names(Sequence::Reboot { force: false }, 11));
        assert_eq!(names(forced, 12), "reboot");
    }

    /// Facts §2.4.
    #[test]
    fn nothing_takes_over_a_shutdown_by_itself() {
        let running = Sequence::Shutdown { force: true };
        for sequence in [
            Sequence::Shutdown { force: true },
            Sequence::Reboot { force: false },
            Sequence::Upgrade,
            Sequence::Reset { reboot: true },
        ] {
            assert!(!sequence.takes_over(running), "{sequence:?}");
        }
    }
}
