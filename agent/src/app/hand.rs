//! Whether the hand is there, on a host that is stopped by systemd.
//!
//! The hold has no other way in, and a power-off without polkit has none, so that a hand that is
//! missing is to be found out while the mains are there.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curfew_nut::error::Chain;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Agent;
use crate::cluster_file::System;
use crate::health::{Check, HAND};
use crate::power::systemd::hand::{Hand, SightError};
use crate::task::Supervisor;

/// A person who mends it looks again within a minute.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Spawns the task, on a host that has a hand; returns where the check is told.
pub(super) fn spawn(agent: &Agent, supervisor: &mut Supervisor) -> Option<watch::Receiver<Check>> {
    let System::Systemd(system) = &agent.me.system else { return None };
    let looker = Looker { hand: Hand::new(&system.run), proc: agent.me.paths.proc.clone() };
    let (told, check) = watch::channel(looker.look());
    // A restarted task tells through the same channel.
    let told = Arc::new(told);
    supervisor.driver("hand", move |cancel| looker.clone().run(Arc::clone(&told), cancel));
    Some(check)
}

#[derive(Clone, Debug)]
struct Looker {
    hand: Hand,
    proc: PathBuf,
}

impl Looker {
    async fn run(
        self,
        told: Arc<watch::Sender<Check>>,
        cancel: CancellationToken,
    ) -> Result<(), Infallible> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        while cancel.run_until_cancelled(looks.tick()).await.is_some() {
            let check = self.look();
            if last.as_ref() != Some(&check) {
                match &check.remedy {
                    None => info!("{}", check.reason),
                    Some(remedy) => warn!("{}: {remedy}", check.reason),
                }
                told.send_replace(check.clone());
                last = Some(check);
            }
        }
        Ok(())
    }

    /// Both files are in memory, so that this does not wait for a disk.
    fn look(&self) -> Check {
        match self.hand.look(&self.proc) {
            Ok(()) => Check::pass(HAND, "the hand is there"),
            Err(failed @ SightError::Table { .. }) => {
                let remedy = "look at `systemctl status curfew-hand.socket`";
                Check::warn(HAND, Chain(&failed).to_string(), remedy)
            }
            Err(failed) => Check::fail(HAND, Chain(&failed).to_string(), REMEDY),
        }
    }
}

const REMEDY: &str = "`systemctl enable --now curfew-hand.socket` (where it is masked, `systemctl \
                      unmask` first): without it this host cannot be held, nor powered off \
                      without polkit; it is looked for every 30 s";
