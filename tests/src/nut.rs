//! The real `upsd` with its real `dummy-ups` driver, in the owner's namespace.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::battery::Battery;
use crate::directory::{replace, write, write_secret};
use crate::host::Host;
use crate::process::{Process, Program};

/// What the driver shows besides the status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shown {
    /// `battery.runtime`.
    pub has_runtime: bool,
    /// `battery.charge`.
    pub has_charge: bool,
}

/// The two daemons of NUT; the owner's machine starts and ends them.
#[derive(Debug)]
pub struct Nut {
    folder: PathBuf,
    namespace: String,
    shown: Shown,
    driver: Option<Process>,
    upsd: Option<Process>,
    line: Option<UnixStream>,
}

impl Nut {
    /// Writes the configuration.
    pub fn new(folder: &Path, namespace: &str, shown: Shown) -> Result<Self> {
        std::fs::create_dir_all(folder.join("run")).context("make NUT's folder")?;
        let device = folder.join("ups.dev");
        write(
            &folder.join("ups.conf"),
            &format!(
                "maxretry = 3\npollinterval = 1\n[{UPS}]\n  driver = dummy-ups\n  port = {}\n  \
                 mode = dummy-once\n",
                device.display()
            ),
        )?;
        write(
            &folder.join("upsd.conf"),
            &format!("LISTEN {} {PORT}\nMAXAGE 15\n", Host::Nfs.address()),
        )?;
        write_secret(
            &folder.join("upsd.users"),
            &format!(
                "[{USER}]\n  password = {PASSWORD}\n  actions = SET FSD\n  \
                      instcmds = ALL\n  upsmon primary\n\
                 [{STRANGER}]\n  password = {PASSWORD}\n  upsmon secondary\n"
            ),
        )?;
        let (folder, namespace) = (folder.to_owned(), namespace.to_owned());
        Ok(Self { folder, namespace, shown, driver: None, upsd: None, line: None })
    }

    /// Starts both, as the owner's boot does; what runs goes on.
    pub fn start(&mut self, battery: &Battery) -> Result<()> {
        self.start_driver(battery)?;
        self.start_upsd()
    }

    /// Starts the driver with the UPS as it is now.
    pub fn start_driver(&mut self, battery: &Battery) -> Result<()> {
        if self.driver.is_none() {
            // A driver that was killed leaves its socket, and upsd would knock there in vain.
            if std::fs::remove_file(self.socket()).is_err() {
                // The first start.
            }
            self.write_device(battery)?;
            let program = self.program("/lib/nut/dummy-ups", "driver.log");
            self.driver = Some(program.args(["-u", "root", "-F", "-a", UPS]).start()?);
        }
        Ok(())
    }

    /// Starts `upsd`.
    pub fn start_upsd(&mut self) -> Result<()> {
        if self.upsd.is_none() {
            let program = self.program("/lib/nut/upsd", "upsd.log");
            self.upsd = Some(program.args(["-u", "root", "-F"]).start()?);
        }
        Ok(())
    }

    /// Ends both at once.
    pub fn stop(&mut self) {
        self.stop_upsd();
        self.stop_driver();
    }

    /// Ends `upsd` at once.
    pub fn stop_upsd(&mut self) {
        drop(self.upsd.take());
    }

    /// Ends the driver at once.
    pub fn stop_driver(&mut self) {
        drop((self.line.take(), self.driver.take()));
    }

    /// Returns the driver, to freeze and to thaw it.
    pub fn driver(&self) -> Option<&Process> {
        self.driver.as_ref()
    }

    /// Returns `upsd`, to freeze and to thaw it.
    pub fn upsd(&self) -> Option<&Process> {
        self.upsd.as_ref()
    }

    /// Lets the driver measure the UPS as it is now; one that does not run measures nothing.
    ///
    /// It goes through the driver's own socket, as a command of `upsd` would, so that it works
    /// while `upsd` or the network is away. The status comes last: nobody sees it with old numbers.
    pub fn show(&mut self, battery: &Battery) -> Result<()> {
        if self.driver.is_none() {
            return Ok(());
        }
        let set = |(name, value)| format!("SET {name} \"{value}\"\n");
        let lines =
            variables(battery, self.shown).into_iter().map(set).collect::<Vec<_>>().concat();
        let Some(line) = self.line()? else { return Ok(()) };
        // The driver tells every change to all who listen, and hangs up on those who do not.
        let mut ignored = [0; 4096];
        while line.read(&mut ignored).is_ok_and(|len| len > 0) {}
        match line.write_all(lines.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()), // a frozen driver
            Err(_) => {
                self.line = None;
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Returns the open line to the driver; none while it does not listen yet.
    fn line(&mut self) -> Result<Option<&mut UnixStream>> {
        if self.line.is_none()
            && let Ok(line) = UnixStream::connect(self.socket())
        {
            line.set_nonblocking(true).context("talk to the driver without waiting")?;
            self.line = Some(line);
        }
        Ok(self.line.as_mut())
    }

    /// Writes the file that a driver reads when it starts, or when the file has changed.
    fn write_device(&self, battery: &Battery) -> Result<()> {
        replace(&self.folder.join("ups.dev"), &device(battery, self.shown))
    }

    fn program(&self, program: &str, log: &str) -> Program {
        let run = self.folder.join("run");
        Program::new(&self.namespace, Path::new(program), &self.folder.join(log))
            .env("NUT_CONFPATH", &self.folder)
            .env("NUT_STATEPATH", &run)
            .env("NUT_ALTPIDPATH", &run)
            .env("NUT_PIDPATH", &run)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("run").join(format!("dummy-ups-{UPS}"))
    }
}

/// Returns the file from which a driver reads a UPS.
pub fn device(battery: &Battery, shown: Shown) -> String {
    let mut lines = vec!["ups.mfr: EATON\nups.model: 5E 1100i\nups.load: 20\n".to_owned()];
    lines.extend(variables(battery, shown).into_iter().map(|(name, it)| format!("{name}: {it}\n")));
    lines.concat()
}

fn variables(battery: &Battery, shown: Shown) -> Vec<(&'static str, String)> {
    let runtime = ("battery.runtime", battery.seconds_left().to_string());
    let charge = ("battery.charge", battery.charge_percent().to_string());
    let mut variables = Vec::new();
    variables.extend(shown.has_runtime.then_some(runtime));
    variables.extend(shown.has_charge.then_some(charge));
    variables.push(("ups.status", battery.status().to_owned()));
    variables
}

/// The UPS as `upsd` calls it.
pub const UPS: &str = "eaton";
/// The user whose password the owner has.
pub const USER: &str = "curfew";
/// The user of an `upsmon` that is not ours.
pub const STRANGER: &str = "stranger";
/// Their password.
pub const PASSWORD: &str = "secret";
/// Where `upsd` listens.
pub const PORT: u16 = 3493;
