//! The kernel log of a container: what was written to its `/dev/kmsg`, and when.
//!
//! A container has none, so it is given a terminal in its place, which nobody else reads: journald,
//! which wants to, finds it empty.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use curfew_coordinator::Time;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::unistd::ttyname;

use crate::ground::now;

/// The log, and the end of the terminal at which it arrives.
#[derive(Debug)]
pub struct KernelLog {
    device: PathBuf,
    /// Held open, so that the log never ends.
    _writer: OwnedFd,
    reader: File,
    rest: String,
    copy: File,
    lines: Vec<(Time, String)>,
}

impl KernelLog {
    /// Opens one whose text is kept in the file `copy`.
    pub fn open(copy: &Path) -> Result<Self> {
        let ends = openpty(None, None).context("open a terminal")?;
        let device = ttyname(&ends.slave).context("find a terminal's name")?;
        fcntl(&ends.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .context("read without waiting")?;
        let copy = OpenOptions::new().create(true).append(true).open(copy);
        Ok(Self {
            device,
            _writer: ends.slave,
            reader: File::from(ends.master),
            rest: String::new(),
            copy: copy.context("make the copy of a kernel log")?,
            lines: Vec::new(),
        })
    }

    /// Returns the device that the container gets as `/dev/kmsg`.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Returns all lines so far, each with when it was read.
    pub fn lines(&self) -> &[(Time, String)] {
        &self.lines
    }

    /// Reads what has come, and returns the new lines.
    pub fn read(&mut self) -> Result<Vec<String>> {
        let mut buffer = [0; 4096];
        loop {
            match self.reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    self.copy.write_all(bytes).context("copy a kernel log")?;
                    self.rest.push_str(&String::from_utf8_lossy(bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("read a kernel log"),
            }
        }
        let Some((whole, rest)) = self.rest.rsplit_once('\n') else { return Ok(Vec::new()) };
        let fresh: Vec<_> = whole.lines().map(|line| line.trim_end().to_owned()).collect();
        self.rest = rest.to_owned();
        self.lines.extend(fresh.iter().map(|line| (now(), line.clone())));
        Ok(fresh)
    }
}
