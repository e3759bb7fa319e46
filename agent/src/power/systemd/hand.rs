//! The client of the hand: the root script behind a socket that only this user can open.
//!
//! One line is written, the write side is closed, and one line comes back: `ok` or `failed: …`.
//! What the hand knows stands in `systemd/lib/hand`; nothing else can be asked of it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::logind::Way;

/// Where the hand is.
#[derive(Clone, Debug)]
pub struct Hand {
    socket: PathBuf,
}

/// What the hand is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// To take the machine down.
    Stop {
        /// The number of the shutdown.
        shutdown: u64,
        /// Which way.
        way: Way,
        /// Without asking any unit.
        is_now: bool,
    },
    /// To enter the hold.
    Hold {
        /// The number of the shutdown.
        shutdown: u64,
        /// How long mains must be back before the machine reboots by itself.
        mains_stable: Duration,
        /// The last runtime that was read.
        runtime_left: Option<Duration>,
        /// The UPS, as `name@host:port`.
        ups: String,
    },
    /// To write to all terminals.
    Wall(String),
}

/// Why the hand has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// Nobody listens.
    #[error(
        "the hand cannot be reached at {} (`systemctl enable --now curfew-hand.socket`)",
        socket.display()
    )]
    Connect {
        /// Its socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the hand went away in the middle of `{request}`")]
    Talk {
        /// What it was asked.
        request: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It says that it has not done it.
    #[error("the hand has not done `{request}`: {reason}")]
    Refuse {
        /// What it was asked.
        request: String,
        /// What it said.
        reason: String,
    },
    /// It may or may not do it.
    #[error(
        "the hand has not answered `{request}` within {} s (`journalctl -u 'curfew-hand@*'`)",
        limit.as_secs()
    )]
    Answer {
        /// What it was asked.
        request: String,
        /// How long it had.
        limit: Duration,
    },
}

/// Why the hand cannot be counted on.
#[derive(Debug, thiserror::Error)]
pub enum SightError {
    /// There is no socket.
    #[error("the hand has no socket at {}", socket.display())]
    Find {
        /// Where it should be.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// This user may not open it.
    #[error("the hand at {} is not for this user", socket.display())]
    Open {
        /// Its socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is there, and nobody is behind it.
    #[error("nobody listens for the hand at {}", socket.display())]
    Listen {
        /// Its socket, or what is in its place.
        socket: PathBuf,
    },
    /// Who listens cannot be read.
    #[error("whether somebody listens for the hand cannot be read from {}", table.display())]
    Table {
        /// The kernel's table of sockets.
        table: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl HandError {
    /// Whether what was asked may still come to pass.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Talk { .. } | Self::Answer { .. } => true,
            Self::Connect { .. } | Self::Refuse { .. } => false,
        }
    }
}

impl Hand {
    /// Returns the hand below this directory, which is usually `/run/curfew`.
    pub fn new(run: &Path) -> Self {
        Self { socket: run.join("hand") }
    }

    /// Returns where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Looks whether somebody listens, by the kernel's table of sockets below `proc`: a connection
    /// would have systemd start a hand, and write of it, each time.
    pub fn look(&self, proc: &Path) -> Result<(), SightError> {
        let socket = || self.socket.clone();
        let path = fs::canonicalize(&self.socket)
            .map_err(|source| SightError::Find { socket: socket(), source })?;
        nix::unistd::access(&path, nix::unistd::AccessFlags::W_OK)
            .map_err(|failed| SightError::Open { socket: socket(), source: failed.into() })?;
        let table = proc.join("net/unix");
        let sockets = fs::read_to_string(&table)
            .map_err(|source| SightError::Table { table: table.clone(), source })?;
        // The path of a socket unit that was stopped stays behind.
        let path = format!(" {}", path.display());
        let is_heard = sockets.lines().any(|line| line.ends_with(&path) && is_listening(line));
        if is_heard { Ok(()) } else { Err(SightError::Listen { socket: socket() }) }
    }

    /// Asks for one thing and waits for the answer, within the limit of that thing.
    pub async fn ask(&self, request: &Request) -> Result<(), HandError> {
        self.ask_within(request, request.limit()).await
    }

    pub(super) async fn ask_within(
        &self,
        request: &Request,
        limit: Duration,
    ) -> Result<(), HandError> {
        let said = request.to_string();
        match timeout(limit, self.talk(&said)).await {
            Ok(Ok(answer)) if answer == "ok" => Ok(()),
            Ok(Ok(answer)) => {
                let reason = answer.strip_prefix("failed: ").map(str::to_owned);
                let reason = reason.unwrap_or_else(|| format!("it answered {answer:?}"));
                Err(HandError::Refuse { request: said, reason })
            }
            Ok(Err(failed)) => Err(failed),
            Err(_late) => Err(HandError::Answer { request: said, limit }),
        }
    }

    /// Returns the answer without its line end.
    async fn talk(&self, request: &str) -> Result<String, HandError> {
        let mut stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| HandError::Connect { socket: self.socket.clone(), source })?;
        let talking = async {
            stream.write_all(format!("{request}\n").as_bytes()).await?;
            stream.shutdown().await?;
            let mut answer = Vec::new();
            stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
            let answer = String::from_utf8_lossy(&answer).trim_end().to_owned();
            if answer.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            Ok(answer)
        };
        talking.await.map_err(|source| HandError::Talk { request: request.to_owned(), source })
    }
}

impl Request {
    fn limit(&self) -> Duration {
        match self {
            Self::Stop { .. } | Self::Wall(_) => CALL_LIMIT,
            Self::Hold { .. } => HOLD_LIMIT,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop { shutdown, way, is_now } => {
                let word = match way {
                    Way::Off => "poweroff",
                    Way::Reboot => "reboot",
                };
                let now = if *is_now { "-now" } else { "" };
                write!(f, "{word}{now} {shutdown}")
            }
            Self::Hold { shutdown, mains_stable, runtime_left, ups } => {
                let stable = seconds_up(*mains_stable);
                let left = runtime_left.map_or(0, |left| left.as_secs());
                write!(f, "hold {shutdown} {stable} {left} {ups}")
            }
            Self::Wall(text) => write!(f, "wall {}", printable(text)),
        }
    }
}

/// Returns whether a line of the kernel's table of sockets has the flag of one that accepts.
fn is_listening(line: &str) -> bool {
    let flags = line.split_ascii_whitespace().nth(3);
    let flags = flags.and_then(|flags| u32::from_str_radix(flags, 16).ok());
    flags.is_some_and(|flags| flags & ACCEPTS != 0)
}

/// Rounded up: nothing may come earlier than it was meant to.
pub(super) fn seconds_up(span: Duration) -> u128 {
    span.as_millis().div_ceil(1000)
}

/// The hand takes one line of printable ASCII and no more than this.
fn printable(text: &str) -> String {
    let ascii = text.chars().map(|it| if it == ' ' || it.is_ascii_graphic() { it } else { '?' });
    ascii.take(WALL_MAX).collect()
}

/// `__SO_ACCEPTCON` of the kernel.
const ACCEPTS: u32 = 1 << 16;
/// As the hand has it.
const WALL_MAX: usize = 400;
/// A sentence, or the end of what a program said.
const ANSWER_MAX: u64 = 4096;
/// The hand gives logind three seconds and then systemd two; one more for its own start.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(6);
/// Services stop and disks are unmounted; what takes longer hangs.
const HOLD_LIMIT: Duration = Duration::from_mins(3);

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;
    use crate::power::systemd::stand_in::{run_directory, write};

    #[test]
    fn a_hand_is_there_only_while_somebody_listens() {
        let (_directory, run) = run_directory();
        let hand = Hand::new(&run);
        let look = || hand.look(Path::new("/proc"));
        assert!(matches!(look(), Err(SightError::Find { .. })), "{:?}", look());
        let listener = UnixListener::bind(hand.socket()).unwrap();
        assert!(look().is_ok(), "{:?}", look());
        drop(listener);
        assert!(matches!(look(), Err(SightError::Listen { .. })), "{:?}", look());
        fs::remove_file(hand.socket()).unwrap();
        let _deaf = UnixDatagram::bind(hand.socket()).unwrap();
        assert!(matches!(look(), Err(SightError::Listen { .. })), "{:?}", look());
        fs::remove_file(hand.socket()).unwrap();
        write(hand.socket(), "");
        assert!(matches!(look(), Err(SightError::Listen { .. })), "{:?}", look());
        assert!(matches!(hand.look(&run), Err(SightError::Table { .. })));
    }
}
