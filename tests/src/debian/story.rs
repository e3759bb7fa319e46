//! What the stories of booted machines begin with, and what they look at.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_coordinator::{Phase, Time};

use crate::agent::OPERATOR;
use crate::cluster_file::Limits;
use crate::debian::container::End;
use crate::debian::mount::Mount;
use crate::debian::{Server, ability};
use crate::ground::now;
use crate::host::Host;
use crate::lab::{Lab, Setup};
use crate::process::{Process, Program};
use crate::report;
use crate::timeline::{Fact, Verb};

/// How long a booted machine may take for what it does; far above what it takes, since the stories
/// share two cores with others.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Plays a story in a laboratory whose owner boots Debian, and says how long it took; says instead
/// why it is skipped where no machine can be booted.
#[expect(clippy::print_stderr, reason = "shown beside the result of the story")]
pub fn play(server: Server, story: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    if !ability::can_be_played() {
        return Ok(());
    }
    // Before the clock starts: the first story of a checkout also installs Debian.
    drop(crate::debian::tree::installed(&crate::agent::binary()?)?);
    let start = now();
    let setup = Setup { limits: limits(), server: Some(server), ..Setup::default() };
    let mut lab = Lab::whole(&setup)?;
    let whole = now().since(start);
    // A story that fails by an error and not by a panic is reported, too.
    if let Err(error) = story(&mut lab) {
        lab.fail();
        return Err(error);
    }
    let (whole, all) = (whole.as_secs_f32(), now().since(start).as_secs_f32());
    eprintln!("the cluster was whole after {whole:.1} s, the story over after {all:.1} s");
    Ok(())
}

/// The limits of a cluster with a real machine in it, where no time runs faster.
fn limits() -> Limits {
    Limits {
        time_factor: 1,
        stop_timeout: "10s",
        wake_timeout: "60s",
        charge_wait: "20s",
        ..Limits::default()
    }
}

impl Lab {
    /// Waits until the owner's hold says this of itself.
    pub fn until_hold(&mut self, word: &str) -> Result<Time> {
        self.until(Host::Nfs, &Fact::Hold(word.to_owned()), PATIENCE)
    }

    /// Asserts that from `since` on the others stopped in their order, and the owner then entered
    /// the hold.
    ///
    /// # Panics
    ///
    /// When they did not, with the whole timeline.
    pub fn assert_held_in_order(&self, since: Time) {
        self.timeline().assert_order_since(
            since,
            &[
                (Host::K8s2, Fact::Called(Verb::Stop)),
                (Host::K8s2, Fact::Halting),
                (Host::K8s1, Fact::Called(Verb::Stop)),
                (Host::K8s1, Fact::Halting),
                (Host::Nfs, Fact::Hold("entering".to_owned())),
                (Host::Nfs, Fact::Hold("held".to_owned())),
            ],
        );
    }

    /// Waits until the agent of `host` is in this phase.
    pub fn until_phase(&mut self, host: Host, phase: Phase) -> Result<()> {
        self.eventually(&format!("{host} is {phase:?}"), PATIENCE, |lab| {
            lab.status(host).is_ok_and(|status| status.phase == phase)
        })
    }

    /// Waits until the owner's operating system has ended its run in this way since `since`.
    pub fn until_ended(&mut self, end: End, since: Time) -> Result<()> {
        self.eventually(&format!("nfs ends: {end:?}"), PATIENCE, |lab| {
            lab.timeline().last(Host::Nfs, &Fact::Ended(end)).is_some_and(|at| at >= since)
        })
    }

    /// Returns what is mounted read-write from a disk on the owner's machine at this moment.
    pub fn writable(&self) -> Result<Vec<Mount>> {
        let mounts = self.server()?.mounts()?;
        Ok(mounts.into_iter().filter(|mount| mount.is_on_disk() && mount.is_writable).collect())
    }

    /// Fails unless the owner holds for real: nothing of what it serves runs or is written, and
    /// everything that says so answers.
    pub fn ensure_held(&self) -> Result<()> {
        let writable = self.writable()?;
        ensure!(writable.is_empty(), "still written: {writable:?}");
        let server = self.server()?;
        let media = server.run(["systemctl", "is-active", "media.service"])?;
        ensure!(media.output.trim() != "active", "the service on the data disk runs");
        for unit in ["nut-server.service", "nut-driver@eaton.service"] {
            let state = server.run(["systemctl", "is-active", unit])?;
            ensure!(state.output.trim() == "active", "{unit} is {}", state.output.trim());
        }
        let status = self.status(Host::Nfs)?;
        ensure!(status.phase == Phase::Holding, "the agent is {:?}", status.phase);
        let upsd = format!("upsc eaton@{} ups.status", Host::Nfs.address());
        let line = server.shell(&upsd)?;
        ensure!(!line.trim().is_empty(), "upsd says nothing");
        let health = crate::http::health(Host::Nfs)?;
        ensure!(health.body.to_lowercase().contains("hold"), "/health: {}", health.body);
        Ok(())
    }

    /// Has an operator give an order, such as `shutdown`, to the agent of k8s-1.
    pub fn order(&self, words: &[&str]) -> Result<()> {
        self.order_at(Host::K8s1, words)
    }

    /// As [`Lab::order`], to the agent of `host`.
    pub fn order_at(&self, host: Host, words: &[&str]) -> Result<()> {
        crate::process::run(crate::agent::binary()?, self.order_args(host, words)).map(drop)
    }

    /// Has an operator give an order that takes its time to the agent of k8s-1.
    pub fn operator(&self, words: &[&str]) -> Result<Process> {
        let log = self.folder().join("operator.log");
        let program = Program::on_this_machine(&crate::agent::binary()?, &log);
        program.args(self.order_args(Host::K8s1, words)).start()
    }

    fn order_args(&self, host: Host, words: &[&str]) -> Vec<OsString> {
        let pki = self.folder().join("pki").join(format!("operator-{OPERATOR}"));
        let server = format!("{}:9101", host.address());
        let options = ["--server", &server, "--pki"];
        let args = words.iter().copied().chain(options).map(OsString::from);
        args.chain([pki.into()]).collect()
    }

    /// Returns how often systemd has started the owner's agent again in this boot.
    pub fn restarts(&self) -> Result<u32> {
        let shown = self.server()?.shell("systemctl show --value --property=NRestarts curfew")?;
        shown.trim().parse().context("a number of restarts")
    }

    /// Returns the notes of the owner's agent of this kind.
    pub fn owner_notes(&self, event: &str) -> Vec<serde_json::Value> {
        report::notes(self.machine(Host::Nfs), event)
    }
}
