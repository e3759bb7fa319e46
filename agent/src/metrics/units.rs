//! The units of systemd, as the collector `systemd` of `node_exporter` shows them.

use curfew_host::systemd::COLLECTOR;
use curfew_host::{CollectError, Collected, Outcome, Samples};

use crate::snapshot::Snapshot;
use crate::units::Report;

/// Returns what the last look at systemd came to, as if that had been asked now; none on a host
/// without it.
pub fn collect_units(snapshot: &Snapshot) -> Option<Collected> {
    let report = snapshot.units.as_deref()?;
    Some(Collected::new(vec![outcome(report)]))
}

fn outcome(report: &Report) -> Outcome {
    let mut samples = Samples::default();
    let result = match &report.found {
        Ok(found) if !report.is_stale() => {
            found.units.show(&mut samples);
            Ok(())
        }
        Ok(_) => Err(CollectError::Late { limit_ms: report.looked.elapsed().as_millis() }),
        // The log and the check `units` say why.
        Err(_) => Err(CollectError::Absent { what: "systemd that answers" }),
    };
    Outcome { collector: COLLECTOR, took: report.took, result, samples, flaw: None }
}

#[cfg(test)]
mod tests;
