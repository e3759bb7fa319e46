//! The clocks of this host and the id of its boot.
//!
//! The boot clock counts suspended time too and starts at zero with the machine: a moment on it
//! has a meaning only together with the boot id. The wall date is for people and certificates;
//! nothing is timed by it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Why the id of this boot is not known.
#[derive(Debug, thiserror::Error)]
pub enum BootIdError {
    /// The file is there but cannot be read.
    #[error("cannot read the boot id from {}", path.display())]
    Read {
        /// The file of the id.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else than an id.
    #[error("{} holds no boot id: remove it or restore the system's own", path.display())]
    Parse {
        /// The file of the id.
        path: PathBuf,
    },
    /// The file of a simulated host cannot be written.
    #[error("cannot write a new boot id to {}", path.display())]
    Write {
        /// The file of the id.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Returns the milliseconds since this machine was started, suspended time included.
///
/// # Panics
///
/// On a kernel older than 2.6.39, which has no such clock.
pub fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .expect("every Linux since 2.6.39 has CLOCK_BOOTTIME, and the argument is valid");
    let seconds = u64::try_from(now.tv_sec()).expect("the boot clock starts at zero");
    let nanos = u64::try_from(now.tv_nsec()).expect("the kernel keeps nanoseconds positive");
    seconds * 1000 + nanos / 1_000_000
}

/// Returns the date in seconds since 1970, negative before: a machine with an empty clock battery
/// may say anything here.
pub fn wall_seconds() -> i64 {
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}

/// Returns the day of a moment as `2026-11-22`.
pub(crate) fn day(seconds: u64) -> String {
    // Days to civil date, by Howard Hinnant's algorithm: years that begin in March, in eras of 400.
    let days = seconds / DAY_SECONDS + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns a moment as `2026-11-22T21:17:04Z`.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let of_day = seconds % DAY_SECONDS;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", day(seconds))
}

/// Where the id of this boot stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BootId {
    /// The kernel's own, below the root of its `/proc`.
    Kernel {
        /// Usually `/proc`.
        proc: PathBuf,
    },
    /// A file of a `command` or `dry-run` host, whose boots are simulated.
    Simulated {
        /// The state directory of the host, which must exist.
        state: PathBuf,
    },
}

impl BootId {
    /// Reads the id; on a simulated host that has none yet, makes one.
    pub fn read(&self) -> Result<String, BootIdError> {
        match self {
            Self::Kernel { proc } => read_id(&proc.join("sys/kernel/random/boot_id")),
            Self::Simulated { state } => {
                let path = state.join(SIMULATED_FILE);
                match read_id(&path) {
                    Err(BootIdError::Read { source, .. })
                        if source.kind() == io::ErrorKind::NotFound =>
                    {
                        renew(state)
                    }
                    known => known,
                }
            }
        }
    }
}

/// Gives a simulated host a new boot id and returns it: this is its power-on.
pub fn renew(state: &Path) -> Result<String, BootIdError> {
    let path = state.join(SIMULATED_FILE);
    let id = random_id();
    match replace(&path, &id) {
        Ok(()) => Ok(id),
        Err(source) => Err(BootIdError::Write { path, source }),
    }
}

fn read_id(path: &Path) -> Result<String, BootIdError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LEN_MAX + 2).read_to_string(&mut text))
        .map_err(|source| BootIdError::Read { path: path.to_owned(), source })?;
    let id = text.trim_end();
    let is_id = (LEN_MIN..=LEN_MAX).contains(&(id.len() as u64))
        && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_id { Ok(id.to_owned()) } else { Err(BootIdError::Parse { path: path.to_owned() }) }
}

/// A crash leaves the old id or the new one, never half of one.
fn replace(path: &Path, id: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&fresh)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The form of the kernel's ids, so that both read alike in logs.
fn random_id() -> String {
    let bits = fastrand::u128(..);
    let part = |shift: u32, digits: u32| (bits >> shift) & ((1_u128 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    )
}

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// In the state directory of a `command` or `dry-run` host.
const SIMULATED_FILE: &str = "boot-id";
/// The kernel's has 36 characters; less than 8 would be no id, more than 64 another file.
const LEN_MIN: u64 = 8;
const LEN_MAX: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;

    #[test]
    fn the_boot_clock_never_falls_and_agrees_with_the_uptime() {
        let before = boot_ms();
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let after = boot_ms();
        let seconds: u64 = uptime.split('.').next().unwrap().parse().unwrap();
        assert!(before <= after);
        // The uptime is cut to whole seconds.
        assert!((before / 1000..=after / 1000).contains(&seconds), "{before} {seconds} {after}");
    }

    #[test]
    fn the_date_is_that_of_the_system() {
        let date = std::process::Command::new("/bin/date").arg("+%s").output().unwrap();
        let seconds: i64 = String::from_utf8(date.stdout).unwrap().trim().parse().unwrap();
        assert!((wall_seconds() - seconds).abs() <= 1);
    }

    #[test]
    fn a_date_is_written_as_everybody_reads_it() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_382_224, "2026-11-22T21:17:04Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    #[test]
    fn the_kernel_names_its_boot() {
        let kernel = BootId::Kernel { proc: PathBuf::from("/proc") };
        let id = kernel.read().unwrap();
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(id, kernel.read().unwrap());
    }

    #[test]
    fn a_simulated_boot_keeps_its_id_until_the_next_power_on() {
        let state = TestDirectory::new();
        let simulated = BootId::Simulated { state: state.path().to_owned() };
        let first = simulated.read().unwrap();
        assert_eq!(first.len(), 36, "{first}");
        assert_eq!(first, simulated.read().unwrap());
        let second = renew(state.path()).unwrap();
        assert_ne!(first, second);
        assert_eq!(second, simulated.read().unwrap());
    }

    #[test]
    fn a_damaged_id_is_an_error_and_not_a_new_boot() {
        let state = TestDirectory::new();
        let simulated = BootId::Simulated { state: state.path().to_owned() };
        for damage in ["", "\n", "no id at all", &"a".repeat(65)] {
            let mut file = File::create(state.path().join("boot-id")).unwrap();
            file.write_all(damage.as_bytes()).unwrap();
            assert!(matches!(simulated.read(), Err(BootIdError::Parse { .. })), "{damage:?}");
        }
    }

    #[test]
    fn a_state_directory_that_is_not_there_is_an_error() {
        let simulated = BootId::Simulated { state: PathBuf::from("/nonexistent/curfew") };
        assert!(matches!(simulated.read(), Err(BootIdError::Write { .. })));
    }
}
