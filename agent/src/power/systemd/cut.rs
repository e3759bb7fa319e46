//! The flag for the late hook: that the UPS is to be cut once this machine is down, and when.
//!
//! It is on a file system in memory, so that it never outlives the boot, and is replaced as a
//! whole, so that the hook never reads half of it. The hook trusts nothing that it says.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::hand::seconds_up;
use crate::clock;
use crate::power::Cut;

/// The flag of this host.
#[derive(Clone, Debug)]
pub(super) struct Flag {
    path: PathBuf,
    /// As in `upsd`.
    ups: String,
    /// The kernel's name for this boot.
    boot: String,
    stop_timeout: Duration,
}

/// Why the flag is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum FlagError {
    #[error("the flag for the cut cannot be written at {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the flag for the cut cannot be removed at {}: remove it by hand", path.display())]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Flag {
    pub(super) fn new(run: &Path, ups: String, boot: String, stop_timeout: Duration) -> Self {
        Self { path: run.join("cut"), ups, boot, stop_timeout }
    }

    /// Raises the flag. It touches memory only, so that it cannot hold up the caller.
    pub(super) fn raise(&self, shutdown: u64, cut: &Cut) -> Result<(), FlagError> {
        let text = self.text(shutdown, cut, Duration::from_millis(clock::boot_ms()));
        self.replace(&text).map_err(|source| FlagError::Write { path: self.path.clone(), source })
    }

    /// Takes the flag down, if it is up.
    pub(super) fn lower(&self) -> Result<(), FlagError> {
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FlagError::Remove { path: self.path.clone(), source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn text(&self, shutdown: u64, cut: &Cut, now: Duration) -> String {
        let Self { ups, boot, .. } = self;
        let Cut { method, earliest } = cut;
        let at = seconds_up(now + *earliest);
        // A stop that was measured may be longer than the one that was configured.
        let within = seconds_up(self.stop_timeout.max(*earliest));
        format!(
            "version=1\nshutdown={shutdown}\nboot={boot}\nups={ups}\nmethod={method}\n\
             earliest={at}\nstop-within={within}\n"
        )
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o644);
        options.open(&fresh)?.write_all(text.as_bytes())?;
        fs::rename(&fresh, &self.path)
    }
}

/// The late hook has 90 s of systemd, and a minute of them to wait. A cut that is not allowed by
/// then does not come, and the machine boots again: in its turn into the end of its battery.
pub(super) const HOOK_WAITS: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_says_what_the_late_hook_reads() {
        let boot = "0f0e0d0c-0b0a-0908-0706-050403020100".to_owned();
        let minute = Duration::from_mins(1);
        let flag = Flag::new(Path::new("/run/curfew"), "eaton".to_owned(), boot, minute);
        let cut =
            Cut { method: "shutdown.return".to_owned(), earliest: Duration::from_millis(1001) };
        let text = flag.text(7, &cut, Duration::from_secs(99));
        let expected = "version=1\nshutdown=7\nboot=0f0e0d0c-0b0a-0908-0706-050403020100\n\
                        ups=eaton\nmethod=shutdown.return\nearliest=101\nstop-within=60\n";
        assert_eq!(text, expected);
        let late = Cut { earliest: Duration::from_secs(75), ..cut };
        assert!(flag.text(7, &late, Duration::ZERO).ends_with("earliest=75\nstop-within=75\n"));
    }
}
