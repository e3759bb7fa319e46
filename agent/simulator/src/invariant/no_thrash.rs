//! An outage is declared once.

use std::collections::BTreeSet;

use curfew_coordinator::{Note, Trigger};

use super::{Scene, Verdict, millis};
use crate::{Change, Fact};

/// Mains that return for a little less than `mains-stable` may be read as if for as long.
const BLUR: u64 = 4_000;
/// Mains that fail for no longer may be read by nobody.
const DIP: u64 = 3_000;

/// What it remembers.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Memory {
    numbers: BTreeSet<u64>,
    /// What may have led to a number of its own, besides the outage itself.
    allowed: usize,
    returned_at: Option<u64>,
    /// When the mains last failed, and since when they had been there.
    dip: Option<(u64, u64)>,
}

/// Declarations per outage ≤ 1 + the number of mains returns longer than `mains-stable`.
///
/// An outage lasts until the cluster is whole again. Each order, call-off, journal that was lost
/// and boot of the owner, which turns what it had recorded, may lead to a number of its own; a
/// blind declaration that the others did not follow is counted where the others declare it.
pub(super) fn no_thrash(memory: &mut Memory, scene: &Scene<'_>) -> Verdict {
    if scene.history.up_at_failure.is_none() && scene.world.ups().has_mains {
        *memory = Memory::default();
    }
    let stable = millis(scene.world.cluster().settings.mains_stable);
    for happened in scene.news {
        match &happened.fact {
            Fact::MainsReturned => {
                let dip = memory.dip.filter(|(failed_at, _)| happened.at - failed_at <= DIP);
                memory.returned_at = Some(dip.map_or(happened.at, |(_, since)| since));
            }
            Fact::MainsFailed => {
                let since = memory.returned_at.take();
                let is_long = since.is_some_and(|since| happened.at - since + BLUR >= stable);
                memory.allowed += usize::from(is_long);
                memory.dip = since.map(|since| (happened.at, since));
            }
            Fact::Changed(
                Change::CalledOff { .. }
                | Change::WakeOrdered { .. }
                | Change::RecordTorn { .. }
                | Change::DiskFails { .. }
                | Change::Forced
                | Change::Ordered { .. },
            ) => memory.allowed += 1,
            Fact::Booted if happened.host == scene.world.owner() => memory.allowed += 1,
            Fact::Note(Note::Declared { number, trigger, .. }) => {
                memory.count(scene, *number, *trigger)?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Memory {
    fn count(&mut self, scene: &Scene<'_>, number: u64, trigger: Trigger) -> Verdict {
        if trigger == Trigger::Blind {
            return Ok(());
        }
        self.numbers.insert(number);
        let count = self.numbers.len();
        let most = self.allowed + 1;
        if count > most {
            let blind = scene.history.is_blind(number);
            return Err(format!(
                "declared {count} times in one outage, {most} at most: {:?}, blind {blind}",
                self.numbers
            ));
        }
        Ok(())
    }
}
