//! What several stories begin with, and what each must end with.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_coordinator::Time;

use crate::ground::now;
use crate::host::Host;
use crate::lab::Lab;
use crate::report;
use crate::timeline::{Fact, Verb};

/// How long a declared shutdown may take in a laboratory until every host has begun.
pub const DOWN: Duration = Duration::from_secs(30);
/// How long a recovery may take in a laboratory.
pub const BACK: Duration = Duration::from_secs(40);

impl Lab {
    /// Takes the mains away, with a battery that lasts `spare` seconds longer than the plan and its
    /// reserve need, so that the computed trigger and no other holds after about that time.
    /// Returns when.
    pub fn fail_mains_with_spare(&mut self, spare: u32) -> Result<Time> {
        let status = self.status(Host::Nfs)?;
        let needed = u32::try_from(status.plan.time_needed.as_secs()).context("a long plan")?;
        let at = now();
        self.fail_mains(needed + RESERVE_SECONDS + spare)?;
        Ok(at)
    }

    /// Waits until the owner holds and both others are off.
    pub fn until_held(&mut self) -> Result<()> {
        self.until(Host::Nfs, &Fact::Called(Verb::Hold), DOWN)?;
        self.until_off(&[Host::K8s1, Host::K8s2])
    }

    /// Waits until these hosts are off.
    pub fn until_off(&mut self, hosts: &[Host]) -> Result<()> {
        let what = format!("{hosts:?} are off");
        self.eventually(&what, DOWN, |lab| hosts.iter().all(|host| !lab.machine(*host).is_on()))
    }

    /// Asserts that since the mains are back the owner has come by itself and has woken the others,
    /// one when the other was up.
    pub fn assert_woken_in_order(&self, mains_back: Time) {
        let packet = Fact::Packet(Host::Nfs.address().to_string());
        self.timeline().assert_order_since(
            mains_back,
            &[
                (Host::Nfs, Fact::AgentStarted),
                (Host::K8s1, packet.clone()),
                (Host::K8s1, Fact::AgentStarted),
                (Host::K8s2, packet),
                (Host::K8s2, Fact::AgentStarted),
            ],
        );
    }

    /// Returns the shutdowns that the agents of all hosts have declared so far, by number.
    pub fn declared(&self) -> Vec<u64> {
        let mut numbers: Vec<_> = Host::ALL
            .into_iter()
            .flat_map(|host| report::notes(self.machine(host), "declared"))
            .filter_map(|note| note.get("number").and_then(serde_json::Value::as_u64))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Fails if anybody's operating system was called, or if anything was declared.
    pub fn ensure_untouched(&self) -> Result<()> {
        let calls = self.timeline().calls();
        ensure!(calls.is_empty(), "somebody was stopped: {calls:?}");
        let declared = self.declared();
        ensure!(declared.is_empty(), "somebody declared {declared:?}");
        Ok(())
    }

    /// Asserts that the three hosts began in the order of their needs since `since`, each when the
    /// one before was halting, that is when its services were gone.
    pub fn assert_stopped_in_order(&self, since: Time, last: Verb) {
        self.timeline().assert_order_since(
            since,
            &[
                (Host::K8s2, Fact::Called(Verb::Stop)),
                (Host::K8s2, Fact::Halting),
                (Host::K8s1, Fact::Called(Verb::Stop)),
                (Host::K8s1, Fact::Halting),
                (Host::Nfs, Fact::Called(last)),
            ],
        );
    }
}

/// The `reserve` of the default limits.
const RESERVE_SECONDS: u32 = 3;
