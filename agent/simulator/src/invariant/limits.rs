//! There is always a next deadline.

use super::{Scene, Verdict};

/// While a shutdown is open `next_deadline` is never none, and it lies ahead.
///
/// An agent that runs always has one, shutdown or not.
pub(super) fn limits(scene: &Scene<'_>) -> Verdict {
    let world = scene.world;
    for host in world.hosts() {
        let Some(agent) = world.agent(host) else { continue };
        let is_ahead = agent.next_deadline().is_some_and(|deadline| deadline > agent.now());
        if !is_ahead {
            return Err(format!("{} waits for nothing", scene.name(host)));
        }
        if world.deadline(host).is_some_and(|deadline| deadline < scene.now()) {
            return Err(format!("{} has missed its deadline", scene.name(host)));
        }
    }
    Ok(())
}
