//! What a machine is made of, how long it takes, and what goes wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use crate::sequence::Version;

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where machined listens.
    pub socket: PathBuf,
    /// The version of Talos.
    pub version: Version,
    /// How long everything takes.
    pub times: Times,
    /// The service that is the agent.
    pub service: Service,
    /// Where the parts of `/sys` and `/proc` are played that tell of pods.
    pub tree: Tree,
    /// What is wrong from the start.
    pub faults: Vec<Fault>,
}

impl Settings {
    /// Returns a machine whose machined listens on `socket`: Talos 1.11, a hundredth of its times,
    /// without an agent that it would have to end.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            version: Version::new(11, 6),
            times: Times::talos().divided_by(100),
            service: Service::Absent,
            tree: Tree::default(),
            faults: Vec::new(),
        }
    }
}

/// The extension service that is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// There is none: nothing is started, and nothing waited for. Callers are not checked.
    Absent,
    /// `depends: - service: cri`: ended in phase `stopServices`, before anything is unmounted
    /// (facts §3.5, variant A).
    OnCri,
    /// No dependency on `cri`: ended in phase `stopEverything`, after all is unmounted, while the
    /// API goes (variant B).
    Alone,
}

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// What a sequence gets to end that is taken over (facts §2.4).
    pub takeover: Duration,
    /// What a service gets between SIGTERM and SIGKILL (facts §3.5).
    pub grace: Duration,
    /// How long an unknown caller waits until it is refused (facts §2.2).
    pub caller_check: Duration,
    /// From the start of a service until its callers are known (facts §2.2).
    pub registration: Duration,
    /// Until a service that has ended is started again (facts §1.6).
    pub restart: Duration,
    /// Phase `drain`, or until it fails (facts §3.2).
    pub drain: Duration,
    /// Phase `cleanup`: kubelet's graceful end of pods (facts §3.3).
    pub pods: Duration,
    /// Phase `umount`.
    pub unmount: Duration,
    /// Every other phase.
    pub phase: Duration,
    /// From the last phase until the power is off: all processes are killed, disks are synced
    /// (facts §3.2, last row).
    pub halt: Duration,
    /// What a machine waits that restarts since something failed.
    pub countdown: Duration,
    /// What all services together get to come up (facts §0.6).
    pub boot: Duration,
}

impl Times {
    /// Returns the limits of Talos, and for what has none what is usual.
    pub const fn talos() -> Self {
        let seconds = Duration::from_secs;
        Self {
            takeover: seconds(60),
            grace: seconds(10),
            caller_check: seconds(5),
            registration: Duration::ZERO,
            restart: seconds(5),
            drain: seconds(60),
            pods: seconds(30),
            unmount: seconds(2),
            phase: seconds(1),
            halt: seconds(10),
            countdown: seconds(11),
            boot: seconds(70 * 60),
        }
    }

    /// Returns the same, all shorter by `factor`.
    #[must_use]
    pub fn divided_by(self, factor: u32) -> Self {
        let factor = factor.max(1);
        Self {
            takeover: self.takeover / factor,
            grace: self.grace / factor,
            caller_check: self.caller_check / factor,
            registration: self.registration / factor,
            restart: self.restart / factor,
            drain: self.drain / factor,
            pods: self.pods / factor,
            unmount: self.unmount / factor,
            phase: self.phase / factor,
            halt: self.halt / factor,
            countdown: self.countdown / factor,
            boot: self.boot / factor,
        }
    }
}

/// Where the parts of `/sys` and `/proc` are played that tell of pods; none is not played.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Stands for `/sys`: `fs/cgroup/kubepods/cgroup.events` is made in it.
    pub sys: Option<PathBuf>,
    /// Stands for `/proc/1/mountinfo`.
    pub mountinfo: Option<PathBuf>,
    /// The lines of `mountinfo` that pods have mounted, such as NFS; gone after phase `umount`.
    pub pod_mounts: Vec<String>,
}

/// Something that goes wrong; it lasts until it is mended.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    /// This phase fails at its end, as `drain` does without an API server (facts §0.2).
    Fails(String),
    /// This phase never ends and cannot be cancelled, as an unmount of dead NFS (facts §0.8).
    /// `startEverything` hangs after the agent was started.
    Hangs(String),
    /// Some containers cannot be stopped: phase `cleanup` ends all the same (facts §3.6).
    PodsSurvive,
    /// Calls are answered, and nothing comes of them: no event, no sequence (facts §2.4: a
    /// takeover that was dropped; only the log of machined has a line).
    DropsCalls,
    /// Calls arrive and are never answered, streams stand still.
    Freezes,
    /// Streams stand still, and calls are answered.
    FreezesStreams,
    /// Nobody is a caller that is known (facts §2.2).
    KnowsNobody,
    /// The roles that are sent are not among those allowed (facts §2.2).
    AllowsNoRole,
    /// What is published while services are shut down reaches nobody any more (facts §3.6:
    /// "may not reach the agent").
    LosesLastWords,
}

/// Reads a fault as it is written in a line: its name, and for some a phase.
impl std::str::FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let (name, phase) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match (name, phase) {
            ("fails", phase) if !phase.is_empty() => Self::Fails(phase.to_owned()),
            ("hangs", phase) if !phase.is_empty() => Self::Hangs(phase.to_owned()),
            ("pods-survive", "") => Self::PodsSurvive,
            ("drops-calls", "") => Self::DropsCalls,
            ("freezes", "") => Self::Freezes,
            ("freezes-streams", "") => Self::FreezesStreams,
            ("knows-nobody", "") => Self::KnowsNobody,
            ("allows-no-role", "") => Self::AllowsNoRole,
            ("loses-last-words", "") => Self::LosesLastWords,
            _ => return Err(UnknownFault),
        })
    }
}

/// A text that is no fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "faults are: fails PHASE, hangs PHASE, pods-survive, drops-calls, freezes, freezes-streams, \
     knows-nobody, allows-no-role, loses-last-words"
)]
pub struct UnknownFault;
