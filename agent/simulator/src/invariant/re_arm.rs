//! A shutdown that has ended leaves nothing behind.

use curfew_coordinator::Note;

use super::{Scene, Verdict};

/// When N has ended on a host, its coordinator equals a freshly built one with the same file,
/// history and `ended`.
///
/// A host that has begun goes through with it, and one whose evidence still holds has declared anew
/// in the same step: neither is re-armed, nor meant to be.
pub(super) fn re_arm(scene: &Scene<'_>) -> Verdict {
    for (host, note) in scene.notes() {
        if !matches!(note, Note::Ended { .. } | Note::EndedHeard { .. }) {
            continue;
        }
        let Some(agent) = scene.world.agent(host) else { continue };
        let is_over = agent.open().is_none() && !agent.phase().has_begun();
        if is_over && !agent.is_rearmed() {
            return Err(format!("{} keeps something of what has ended", scene.name(host)));
        }
    }
    Ok(())
}
