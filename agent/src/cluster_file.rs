//! The cluster file: one TOML file, the same on every host, read whole or refused whole.
//!
//! A file with a mistake anywhere is refused, and every mistake is reported at once, with its line
//! and what to type instead. Reading goes down this list:
//!
//! 1. [`finding`]: what is reported;
//! 2. [`value`]: the values that have a form of their own;
//! 3. `reader`: the walk over one table of the file, with unknown and missing keys;
//! 4. `form`: how each type of value is read from TOML;
//! 5. `section`: which keys each table has, their bounds and defaults;
//! 6. [`seeing`]: those of the tables on what is watched and shown of a host;
//! 7. `rule`: what must hold between the values;
//! 8. `effective`: the file as it counts, all defaults filled in, and its hash;
//! 9. [`check`]: the report for a person.
//!
//! It opens no socket and resolves no name.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::finding::{Finding, Severity};
use self::seeing::Seeing;
use self::value::{HostPort, Ready};
use crate::wake::Mac;

pub mod check;
mod effective;
pub mod finding;
mod form;
mod reader;
mod rule;
mod section;
pub mod seeing;
pub mod value;

#[cfg(test)]
mod tests;

/// A valid cluster file with all defaults filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterFile {
    /// The cluster's name.
    pub name: String,
    /// By how much the limits built into the code are divided; 1 but in rehearsals.
    pub time_factor: u32,
    /// In the order of the file; only the first is acted on.
    pub ups: Vec<Ups>,
    /// In the order of the file, which decides who conducts when the owner cannot.
    pub hosts: Vec<Host>,
    /// When to stop.
    pub shutdown: Shutdown,
    /// When to come back.
    pub restart: Restart,
    /// What the agents compare.
    pub hash: FileHash,
}

/// A UPS that the hosts watch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ups {
    /// As in `upsd`.
    pub name: String,
    /// The host with the cable.
    pub owner: String,
    /// How every host reads it.
    pub upsd: HostPort,
    /// How the owner logs in to set FSD and send commands; without it, it does neither.
    pub login: Option<Login>,
    /// Whether the operator has proven that it comes back, or that it does not.
    pub returns: Option<bool>,
    /// How often it is read.
    pub poll: Duration,
}

/// A user of `upsd`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Login {
    /// As in `upsd.users`.
    pub username: String,
    /// Read by the owner only.
    pub password_file: PathBuf,
}

/// A machine of the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// As the machine calls itself, and as its certificate says.
    pub name: String,
    /// How it is stopped.
    pub system: System,
    /// The UPSes that feed it; at least one.
    pub ups: Vec<String>,
    /// The hosts that must be ready before it starts, and stop after it.
    pub needs: Vec<String>,
    /// Whether it runs the Kubernetes control plane.
    pub control_plane: bool,
    /// The directories that it serves by NFS.
    pub nfs_exports: Vec<PathBuf>,
    /// How long its stop may take, until it has been measured.
    pub stop_timeout: Duration,
    /// Where it is reached.
    pub network: Network,
    /// How it is woken and seen to be ready.
    pub waking: Waking,
    /// Where its monitors read.
    pub paths: Paths,
    /// What they look for, and what is shown.
    pub seeing: Seeing,
}

/// How a host's machine is stopped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum System {
    /// By logind, or by the hand where logind is of no use.
    Systemd(SystemdSystem),
    /// By machined.
    Talos(TalosSystem),
    /// By the operator's own programs.
    Command(Box<CommandSystem>),
    /// Not at all: the stop is acted out, for rehearsals.
    DryRun,
}

/// How the helpers of the Debian package are reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SystemdSystem {
    /// Where the hand listens and the flag for the cut is raised; the hold's state is in a
    /// directory beside it, whose name has `-hold` at its end.
    pub run: PathBuf,
}

/// How machined is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TalosSystem {
    /// Its unix socket.
    pub socket: PathBuf,
}

/// The programs that stop a machine of no system that Curfew knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandSystem {
    /// Powers the machine off.
    pub stop: Argv,
    /// Enters the hold; a UPS owner has one.
    pub hold: Option<Argv>,
    /// Leaves the hold; a UPS owner has one.
    pub reboot: Option<Argv>,
    /// Powers off and has the UPS cut; without it a UPS that promises return is held instead.
    pub cut: Option<Argv>,
    /// Tells whether a stop runs: exit 0 yes, 1 no; without it a stop is called again.
    pub stopping: Option<Argv>,
    /// How long each of them may run.
    pub timeout: Duration,
}

/// A program with its arguments; no shell is involved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Argv {
    /// An absolute path.
    pub program: PathBuf,
    /// What follows it.
    pub arguments: Vec<String>,
}

/// Where a host is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Network {
    /// An address, never a name, so that no resolver is on the path of a shutdown.
    pub address: IpAddr,
    /// The address to which its agent binds.
    pub listen: IpAddr,
    /// Where it shows itself.
    pub http_port: u16,
    /// By which other names it may be asked there: a page in somebody's browser must not lend it
    /// one.
    pub names: Vec<String>,
    /// Where its peers talk to it.
    pub peer_port: u16,
}

/// How a host is woken and seen to be ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waking {
    /// None: it can only come back by its firmware.
    pub mac: Option<Mac>,
    /// Where magic packets for it go and nowhere else; none: to its link and its subnet.
    pub packets_to: Option<SocketAddr>,
    /// None: its exports, or its agent, say so.
    pub ready: Option<Ready>,
}

/// Where a host's monitors read, as `node_exporter`'s `--path.*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paths {
    /// Usually `/proc`; `/host/proc` in Talos' container.
    pub proc: PathBuf,
    /// Usually `/sys`; `/host/sys` there.
    pub sys: PathBuf,
    /// Usually `/`.
    pub root: PathBuf,
}

/// When to stop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shutdown {
    /// Slack of the whole chain, in the trigger only.
    pub reserve: Duration,
    /// Battery that no plan may touch.
    pub cut_margin: Duration,
    /// A floor under the computed trigger; 0 is none.
    pub charge_below_percent: u8,
    /// None: the time on battery alone never triggers.
    pub on_battery_for: Option<Duration>,
    /// Of a host that says nothing else; already in each [`Host::stop_timeout`].
    pub stop_timeout: Duration,
    /// How long a trigger must stand.
    pub debounce: Duration,
    /// Assumed at `OB LB` without a credible runtime.
    pub low_battery_left: Duration,
    /// How long foreign NUT clients are waited for after FSD.
    pub foreign_stop: Duration,
    /// What counts as proof that a host is off.
    pub off_proof: OffProof,
}

/// What counts as proof that a host is off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OffProof {
    /// Silence on the network that is known to work.
    Network,
    /// The end of its session, where hosts share one machine.
    Session,
}

/// When to come back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restart {
    /// How long mains must hold before anything is woken.
    pub mains_stable: Duration,
    /// The charge that must be exceeded before anything is woken.
    pub charge_above_percent: u8,
    /// How long that charge is waited for.
    pub charge_wait: Duration,
    /// The pause between two magic packets.
    pub wake_every: Duration,
    /// How long one host is waited for.
    pub wake_timeout: Duration,
}

/// The SHA-256 of what a file says, whatever its layout and comments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileHash([u8; 32]);

/// What came of reading a file.
#[derive(Debug)]
pub struct Parsed {
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// There if every value could be read, also when a rule between them is broken.
    file: Option<ClusterFile>,
}

/// Why there is no usable cluster file.
#[derive(Debug, thiserror::Error)]
pub enum ClusterFileError {
    /// It could not be read.
    #[error("cannot read the cluster file {}", path.display())]
    Read {
        /// The path as given.
        path: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
    /// It has mistakes; `curfew check` shows them all.
    #[error("the cluster file {} has {}", path.display(), count_errors(findings))]
    Refuse {
        /// The path as given.
        path: PathBuf,
        /// All that was found, the harmless included.
        findings: Vec<Finding>,
    },
    /// It lacks the host on which the agent runs.
    #[error(
        "no host `{host}` is in the cluster file; start with --host and one of {known}, or add \
         [[host]] name = \"{host}\""
    )]
    FindHost {
        /// The name looked for.
        host: String,
        /// The names that there are.
        known: String,
    },
}

impl ClusterFile {
    /// Parses the text of a file, reporting all mistakes at once.
    pub fn parse(text: &str) -> Parsed {
        section::parse(text, &|_| true)
    }

    /// Reads a file; what it returns beside it are warnings and notes.
    pub fn load(path: &Path) -> Result<(Self, Vec<Finding>), ClusterFileError> {
        let text = read(path)?;
        let Parsed { findings, file } = Self::parse(&text);
        match file.filter(|_| !has_errors(&findings)) {
            Some(file) => Ok((file, findings)),
            None => Err(ClusterFileError::Refuse { path: path.to_owned(), findings }),
        }
    }

    /// Returns the host of that name, which is looked for without regard to case.
    pub fn host(&self, name: &str) -> Result<&Host, ClusterFileError> {
        let found = self.hosts.iter().find(|host| host.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let known: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            ClusterFileError::FindHost { host: name.to_owned(), known: known.join(", ") }
        })
    }

    /// Returns the file as TOML with all defaults filled in; it parses to the same hash.
    pub fn to_toml(&self) -> String {
        effective::to_toml(self)
    }
}

impl Parsed {
    /// Returns the file if it is free of errors.
    pub fn file(&self) -> Option<&ClusterFile> {
        self.file.as_ref().filter(|_| !has_errors(&self.findings))
    }
}

impl System {
    /// Returns the word for it in the file.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Systemd(_) => "systemd",
            Self::Talos(_) => "talos",
            Self::Command(_) => "command",
            Self::DryRun => "dry-run",
        }
    }

    /// Returns whether the machine is a real one, on which nothing may be sped up.
    pub fn is_machine(&self) -> bool {
        match self {
            Self::Systemd(_) | Self::Talos(_) => true,
            Self::Command(_) | Self::DryRun => false,
        }
    }
}

impl Network {
    /// Returns where peers connect.
    pub fn peer_endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.peer_port)
    }

    /// Returns where the agent listens for peers.
    pub fn peer_listen(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.peer_port)
    }

    /// Returns where the agent listens for HTTP.
    pub fn http_listen(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.http_port)
    }
}

impl OffProof {
    /// Returns the word for it in the file.
    pub fn label(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Session => "session",
        }
    }
}

impl FileHash {
    /// Returns all of it, for messages to peers.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for FileHash {
    /// Writes the first 16 hexadecimal digits, which is enough for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn read(path: &Path) -> Result<String, ClusterFileError> {
    let failed = |source| ClusterFileError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    let length = file.take(MAX_FILE_LEN + 1).read_to_string(&mut text).map_err(failed)?;
    if length as u64 > MAX_FILE_LEN {
        return Err(failed(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(text)
}

fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

fn count_errors(findings: &[Finding]) -> String {
    match findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    }
}

/// A thousand times what the reference cluster needs; more is another file given by mistake.
const MAX_FILE_LEN: u64 = 1024 * 1024;
