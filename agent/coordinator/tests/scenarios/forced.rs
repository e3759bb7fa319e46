//! `FSD` (§4): once per `upsd` process, and only where somebody saw it appear.

use curfew_coordinator::{Cause, Line, Note, Trigger};

use crate::world::reference::{ALL, NFS, cluster};
use crate::world::{Fact, World};

impl World {
    fn forced_by(&self, cause: Cause) -> bool {
        let forced = |note: &Note| {
            let trigger = Trigger::Forced;
            matches!(note, Note::Declared { trigger: by, cause: why, .. }
                if *by == trigger && *why == cause)
        };
        ALL.iter().any(|host| self.noted(host, forced).is_some())
    }

    fn alarms_of_force(&self) -> bool {
        let warned = |note: &Note| matches!(note, Note::Warned { text } if text.contains("FSD"));
        ALL.iter().all(|host| self.noted(host, warned).is_some())
    }

    /// Nobody reads for 10 s, and then over another connection an `FSD` that was not there before.
    fn find_force_after_a_break(&mut self) {
        self.let_all_see_upsd(false);
        self.run(10);
        self.ups.connection += 1;
        self.ups.is_forced = true;
        self.let_all_see_upsd(true);
    }
}

/// "forced: `FSD` appears while the agent watches and no shutdown is open … on mains: order."
#[test]
fn fsd_that_appears_on_mains_is_an_order() {
    let mut world = World::reference();
    world.ups.is_forced = true;
    world.until("all have latched", 20, |world| ALL.iter().all(|it| world.is_in_shutdown(it)));
    let order = |note: &Note| {
        matches!(note, Note::Declared { trigger: Trigger::Forced, cause: Cause::Order, .. })
    };
    world.check(ALL.iter().any(|host| world.noted(host, order).is_some()), "an order");
}

/// "… on battery: battery."
#[test]
fn fsd_that_appears_on_battery_is_the_batterys() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.ups.is_forced = true;
    world.until("it is declared", 20, |world| world.numbers().len() == 1);
    let battery = |note: &Note| {
        matches!(note, Note::Declared { trigger: Trigger::Forced, cause: Cause::Battery, .. })
    };
    world.check(ALL.iter().any(|host| world.noted(host, battery).is_some()), "the battery's");
}

/// "One that was there when the agent started, on mains, is a leftover latch: not acted on,
/// alarmed": "FSD latch makes every booting client go down again".
#[test]
pub(crate) fn fsd_that_was_there_before_the_agent_is_alarmed_and_not_acted_on() {
    let mut world = World::new(cluster(), 600);
    world.ups.is_forced = true;
    world.run(120);
    world.check(world.numbers().is_empty(), "nothing is declared");
    let warned = |note: &Note| matches!(note, Note::Warned { text } if text.contains("FSD"));
    world.check(world.noted(NFS, warned).is_some(), "alarmed");
}

/// "… once per `upsd` process": what is over is not declared anew by a flag that stays.
#[test]
fn fsd_that_stays_declares_once() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.ups.is_forced = true;
    world.until("it is declared", 20, |world| world.numbers().len() == 1);
    world.call_off(NFS);
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
    world.run(60);
    world.check(world.numbers().len() == 1, "one number");
}

/// "One that was there when the agent started, on mains, is a leftover latch": over a new
/// connection nobody knows since when it is there either.
#[test]
pub(crate) fn fsd_that_is_found_over_a_new_connection_on_mains_is_alarmed_and_not_acted_on() {
    let mut world = World::reference();
    world.find_force_after_a_break();
    world.run(120);
    world.check(world.numbers().is_empty(), "nothing is declared");
    world.check(world.alarms_of_force(), "alarmed");
}

/// "… on battery: battery": where it counts, nobody waits for a better proof.
#[test]
fn fsd_that_is_found_over_a_new_connection_on_battery_is_the_batterys() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.find_force_after_a_break();
    world.until("all have latched", 20, |world| ALL.iter().all(|it| world.is_in_shutdown(it)));
    world.check(world.forced_by(Cause::Battery), "the battery's");
}

/// "… once per `upsd` process": a latch that was there before the break is the same one.
#[test]
fn fsd_that_was_there_before_a_break_is_not_acted_on_after_it_either() {
    let mut world = World::new(cluster(), 600);
    world.ups.is_forced = true;
    world.run(40);
    world.mains_fail();
    world.run(5);
    world.find_force_after_a_break();
    world.run(30);
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "«unknown», never OL or OB": an `FSD` that comes without a line waits for one, and on mains it
/// is the leftover that it always was.
#[test]
fn fsd_that_was_there_before_the_line_was_known_is_not_acted_on_when_that_is_mains() {
    let mut world = World::new(cluster(), 600);
    world.ups.is_forced = true;
    world.ups.lie = Some(Box::new(|reading| reading.line = Line::Unknown));
    world.run(20);
    world.ups.lie = None;
    world.run(120);
    world.check(world.numbers().is_empty(), "nothing is declared");
    world.check(world.alarms_of_force(), "alarmed");
}

/// The same where the line turns out to be battery.
#[test]
fn fsd_that_was_there_before_the_line_was_known_is_the_batterys_when_that_is_battery() {
    let mut world = World::new(cluster(), 600);
    world.ups.is_forced = true;
    world.ups.lie = Some(Box::new(|reading| reading.line = Line::Unknown));
    world.mains_fail();
    world.run(20);
    world.check(world.numbers().is_empty(), "not before");
    world.ups.lie = None;
    world.until("all have latched", 20, |world| ALL.iter().all(|it| world.is_in_shutdown(it)));
    world.check(world.forced_by(Cause::Battery), "the battery's");
}

/// The same where the outage in which it was found ends before it has stood for `debounce`: nobody
/// saw it appear, and mains make no order of it.
#[test]
fn fsd_that_was_found_on_battery_is_a_leftover_when_the_mains_return_at_once() {
    let mut world = World::reference();
    world.mains_fail();
    world.find_force_after_a_break();
    world.run(3);
    world.mains_return();
    world.run(60);
    world.check(world.numbers().is_empty(), "nothing is declared");
    world.check(world.alarms_of_force(), "and all say so");
}

/// "FSD latch makes every booting client go down again": a shutdown that is called off leaves it.
#[test]
fn fsd_that_outlives_its_shutdown_is_alarmed_once_and_until_upsd_is_restarted() {
    let mut world = World::reference();
    world.ups.is_forced = true;
    world.until("all have latched", 20, |world| ALL.iter().all(|it| world.is_in_shutdown(it)));
    world.check(!world.status(NFS).ups.is_force_left_over, "it has its shutdown");
    // Before anybody begins: the hosts that go first are asked too late otherwise.
    world.call_off(NFS);
    world.until("all is whole again", 900, World::is_whole);
    world.run(60);
    world.check(world.status(NFS).ups.is_force_left_over, "left over");
    let alarms = world.timeline.times(
        NFS,
        |fact| matches!(fact, Fact::Note(Note::Warned { text }) if text.contains("FSD")),
    );
    world.check(alarms.len() == 1, "said once");
    world.ups.is_forced = false;
    world.run(5);
    world.check(!world.status(NFS).ups.is_force_left_over, "gone with upsd's process");
}

/// The same alarm stands through an outage that nothing was declared in.
#[test]
fn a_leftover_latch_is_not_said_anew_after_each_outage() {
    let mut world = World::new(cluster(), 600);
    world.ups.is_forced = true;
    world.run(40);
    world.mains_fail();
    world.run(10);
    world.mains_return();
    world.run(20);
    let alarms = world.timeline.times(
        NFS,
        |fact| matches!(fact, Fact::Note(Note::Warned { text }) if text.contains("FSD")),
    );
    world.check(alarms.len() == 1, "once");
}
