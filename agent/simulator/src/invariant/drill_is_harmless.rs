//! A rehearsal moves nobody.

use curfew_coordinator::{Note, ReleaseProof};

use super::{Scene, Verdict};
use crate::Fact;
use crate::world::DRILL_NUMBER;

/// A host is only judged off by its silence after this long.
const SILENCE: u64 = 10_000;

/// No power action beyond its scope, no proof and no number leaves a drill.
///
/// A drill tells its phases under a number that no outage reaches: whoever repeats, latches, ends
/// or acts on such a number has it from the drill; and so has whoever releases the host that
/// rehearses, or takes it for off, while it truly runs.
pub(super) fn drill_is_harmless(scene: &Scene<'_>) -> Verdict {
    for happened in scene.news {
        let number = match &happened.fact {
            Fact::Note(note) => {
                is_no_proof(scene, happened.host, note)?;
                number_of(note)
            }
            Fact::StopCalled(call) => Some(call.number),
            _ => None,
        };
        if let Some(number) = number.filter(|number| *number >= DRILL_NUMBER) {
            let host = scene.name(happened.host);
            return Err(format!("{host} knows the number {number}, which is of a drill"));
        }
    }
    Ok(())
}

fn number_of(note: &Note) -> Option<u64> {
    match note {
        Note::Declared { number, .. }
        | Note::Latched { number, .. }
        | Note::BlindHeard { number, .. }
        | Note::EndedHeard { number }
        | Note::Turned { number, .. }
        | Note::Ended { number, .. } => Some(*number),
        Note::Recovered { number } | Note::Conducting { number } => *number,
        _ => None,
    }
}

fn is_no_proof(scene: &Scene<'_>, by: usize, note: &Note) -> Verdict {
    let (Note::Released { host, how: ReleaseProof::Halting } | Note::Off { host }) = note else {
        return Ok(());
    };
    let Some(place) = scene.world.find(host) else { return Ok(()) };
    let machine = scene.world.machine(place);
    let runs = machine.runs() && machine.stop.is_none();
    let is_apart = scene.history.apart_for(scene.now(), by, place).is_some();
    let is_new = scene.history.has_booted_within(scene.now(), place, SILENCE);
    if scene.world.is_rehearsing(place) && runs && !is_apart && !is_new {
        let by = scene.name(by);
        return Err(format!("{by} lets {host} go, which only rehearses"));
    }
    Ok(())
}
