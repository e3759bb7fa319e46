//! A real `upsmon` that is not ours, in any namespace: a secondary with a machine of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use curfew_coordinator::Time;

use crate::directory::write_secret;
use crate::host::Host;
use crate::nut::{PASSWORD, PORT, STRANGER, UPS};
use crate::process::{Process, Program};

/// A running `upsmon`; it ends by itself once it has called its machine's stop.
#[derive(Debug)]
pub struct Upsmon {
    process: Process,
    stopped: PathBuf,
}

impl Upsmon {
    /// Starts one in `namespace`, with its files in `folder`.
    pub fn start(namespace: &str, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).context("make upsmon's folder")?;
        let stopped = folder.join("stopped");
        let owner = Host::Nfs.address();
        let config = format!(
            "MONITOR {UPS}@{owner}:{PORT} 1 {STRANGER} {PASSWORD} secondary\n\
             MINSUPPLIES 1\nRUN_AS_USER root\nPOLLFREQ 1\nPOLLFREQALERT 1\nHOSTSYNC 15\n\
             DEADTIME 15\nFINALDELAY 1\nSHUTDOWNCMD \"cat /proc/uptime > {}\"\n",
            stopped.display()
        );
        write_secret(&folder.join("upsmon.conf"), &config)?;
        // It has the folder of its PID file compiled in; a namespace has mounts of its own.
        let script = "mkdir -p /run/nut && mount -t tmpfs tmpfs /run/nut && \
                      exec /lib/nut/upsmon -F -p";
        let program = Program::new(namespace, Path::new("/bin/sh"), &folder.join("upsmon.log"));
        let process = program.args(["-c", script]).env("NUT_CONFPATH", folder).start()?;
        Ok(Self { process, stopped })
    }

    /// Returns whether it runs; it logs out when it ends.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// Returns when it called its machine's stop.
    pub fn stopped_at(&self) -> Option<Time> {
        let text = std::fs::read_to_string(&self.stopped).ok()?;
        let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
        let (seconds, hundredths) = (seconds.parse::<u64>().ok()?, hundredths.parse::<u64>().ok()?);
        Some(Time::from_millis(seconds * 1000 + hundredths * 10))
    }
}
