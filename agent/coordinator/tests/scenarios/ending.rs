//! The end and the power race (§6): cut, hold, and mains that return at the worst moment.

use std::time::Duration;

use curfew_coordinator::{BeginReason, End, Event, Note, OsStop, Phase, Standing, TurnReason};

use crate::world::reference::{ALL, K1, K2, NFS, cluster};
use crate::world::{Fact, World};

impl World {
    fn turned_by(&self, host: &str, reason: TurnReason) -> Option<u64> {
        self.noted(host, |note| matches!(note, Note::Turned { why, .. } if *why == reason))
    }

    fn rebooted(&self, host: &str) -> Option<u64> {
        self.timeline.times(host, |fact| *fact == Fact::Rebooted).first().copied()
    }
}

/// "Cut, if return is promised: the owner begins only when each fed host is *off*": released is not
/// enough.
#[test]
pub(crate) fn an_owner_that_cuts_waits_until_each_fed_host_is_off() {
    let mut world = World::promised();
    world.outage();
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    let off = world.off(K1).max(world.off(K2));
    world.check(world.is_off(K1) && world.is_off(K2), "both are truly off");
    world.check(world.began(NFS) >= off.map(|off| off + 5_000), "and proven so");
    let cut = world.facts(NFS, |fact| matches!(fact, Fact::StopCalled(_)));
    let at_once = cut
        .iter()
        .any(|fact| matches!(fact, Fact::StopCalled(call) if call.cut_after == Duration::ZERO));
    world.check(at_once, "then the cut may come at once");
}

/// "… or at its latest start"; "the earliest cut time (at most the owner's own stop time away)".
#[test]
fn an_owner_that_cuts_at_its_latest_start_leaves_the_others_its_own_stop_time() {
    let mut world = World::promised();
    world.machine_mut(K2).stops_in = 9_000_000;
    world.outage();
    world.until("nfs begins", 600, |world| world.began(NFS).is_some());
    let late = |note: &Note| matches!(note, Note::Began { why: BeginReason::LatestStart, .. });
    world.check(world.noted(NFS, late).is_some(), "at its latest start");
    let waits = world.facts(
        NFS,
        |fact| matches!(fact, Fact::StopCalled(call) if call.cut_after == Duration::from_mins(1)),
    );
    world.check(waits.len() == 1, "60 s until the cut");
}

/// "[The late-shutdown hook] cuts only on battery; on mains it reboots the machine."
#[test]
fn mains_that_return_while_the_owner_stops_for_the_cut_bring_all_back() {
    let mut world = World::promised();
    world.outage();
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    world.run(10);
    world.mains_return();
    world.until("all is whole again", 1200, World::is_whole);
    world.check(world.ups.output && world.rebooted(NFS).is_some(), "nothing was cut");
}

/// "Mains stable → it reboots and conducts": a flicker in the hold is no reason to leave it.
#[test]
fn the_hold_is_left_by_a_reboot_when_the_mains_are_stable_and_not_before() {
    let mut world = World::reference();
    world.outage();
    world.until("nfs holds", 200, |world| world.phase(NFS) == Some(Phase::Holding));
    world.mains_return();
    world.run(50);
    world.mains_fail();
    world.run(20);
    world.check(world.rebooted(NFS).is_none(), "50 s of mains are not stable");
    world.mains_return();
    let back = world.now();
    world.until("nfs reboots", 90, |world| world.rebooted(NFS).is_some());
    world.check(world.rebooted(NFS) >= Some(back + 60_000), "after 60 s of mains");
    world.until("all is whole again", 900, World::is_whole);
}

/// "Battery empty → the UPS ends it cleanly, and the return after exhaustion is the one that every
/// UPS has."
#[test]
fn a_battery_that_ends_in_the_hold_strands_nobody() {
    let mut world = World::reference();
    world.outage();
    world.until("the battery ends", 700, |world| !world.ups.output);
    world.run(3600);
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.status(NFS).ended == 1, "and it has ended");
}

/// The same where the firmware of a machine does not switch it on: wake-on-LAN is the second
/// attempt.
#[test]
fn a_machine_whose_firmware_stays_off_is_woken_after_an_exhausted_battery() {
    let mut cluster = cluster();
    cluster.settings.charge_above = 10;
    let mut world = World::settled(cluster);
    world.machine_mut(K1).has_firmware_on = false;
    world.outage();
    world.until("the battery ends", 700, |world| !world.ups.output);
    world.mains_return();
    world.until("all is whole again", 3600, World::is_whole);
    world.check(!world.packets(K1).is_empty(), "k8s-1 was woken");
}

/// "[An *order*] never cuts and never holds, powers the owner off at its end (on battery too)."
#[test]
fn an_order_powers_the_owner_off_on_battery_too() {
    for mut world in [World::promised(), World::reference()] {
        world.mains_fail();
        world.run(5);
        world.order_shutdown(NFS, false);
        world.until("all are off", 300, |world| ALL.iter().all(|host| world.is_off(host)));
        world.check(world.called(NFS, End::Off), "off");
        world.check(world.ups.output, "nothing is cut");
    }
}

/// "The owner turns the shutdown to `returning` when mains have held for `mains-stable`."
#[test]
pub(crate) fn a_shutdown_turns_when_the_mains_have_held_and_not_at_a_flicker() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 400_000;
    world.outage();
    world.mains_return();
    world.run(50);
    world.mains_fail();
    world.run(5);
    world.mains_return();
    let back = world.now();
    world.until("nfs turns", 90, |world| world.turned_by(NFS, TurnReason::MainsStable).is_some());
    let turned = world.turned_by(NFS, TurnReason::MainsStable);
    world.check(turned >= Some(back + 60_000), "60 s after the last return");
}

/// "If the owner's agent has been silent for twice `mains-stable` while a host that has not begun
/// reads mains all that time, that host turns N in the owner's place", and conducts.
#[test]
pub(crate) fn a_host_turns_in_place_of_an_owner_whose_agent_is_dead_and_conducts() {
    let mut world = World::reference();
    world.outage();
    world.until("k8s-2 begins", 10, |world| world.began(K2).is_some());
    world.kill_agent(NFS);
    world.mains_return();
    let back = world.now();
    world.until("k8s-1 turns", 200, |world| world.turned_by(K1, TurnReason::OwnerSilent).is_some());
    world.check(world.now() >= back + 119_000, "after 120 s");
    world.until("k8s-2 is back", 300, |world| world.phase(K2) == Some(Phase::Up));
    world.check(!world.packets(K2).is_empty(), "k8s-1 woke it");
    world.start_agent(NFS);
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.calls(NFS).is_empty() && world.calls(K1).is_empty(), "the others stayed");
}

/// "An agent that starts in the same boot with a latched shutdown resumes where the journal
/// stands": one that paused goes on when the mains fail again.
#[test]
fn an_agent_restarted_in_the_pause_goes_on_with_the_same_shutdown() {
    let mut world = World::reference();
    world.outage();
    world.mains_return();
    world.run(10);
    world.restart_agent(K1);
    world.run(3);
    let standing = world.status(K1).shutdown.map(|open| open.standing);
    world.check(standing == Some(Standing::Declared), "still declared");
    world.mains_fail();
    world.until("k8s-1 is off", 200, |world| world.is_off(K1));
    world.check(world.numbers().len() == 1, "one number");
}

/// "Entering the hold is the owner's *begin*: … left only by a reboot": mains that return while it
/// is entered change nothing.
#[test]
fn mains_that_return_while_the_hold_is_entered_lead_through_it() {
    let mut world = World::reference();
    world.machine_mut(NFS).holds_in = 40_000;
    world.outage();
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    world.mains_return();
    world.run(39);
    world.check(world.phase(NFS) == Some(Phase::Stopping), "it goes through with it");
    world.until("all is whole again", 900, World::is_whole);
    world.check(world.rebooted(NFS).is_some(), "by a reboot");
}

/// "No early cut: when the output opens by command, each fed host is truly powered down or the
/// battery truly has less than `cut-margin` left": a host behind a loose cable is not off.
#[test]
fn a_host_behind_a_loose_cable_is_not_cut_before_the_latest_start() {
    let mut world = World::promised();
    world.mains_fail();
    world.run(5);
    world.isolate(K1);
    world.machine_mut(K1).refuses_stop = true;
    world.until("the UPS is cut", 700, |world| !world.ups.output);
    let late = |note: &Note| matches!(note, Note::Began { why: BeginReason::LatestStart, .. });
    world.check(world.noted(NFS, late).is_some(), "nfs waits for its latest start");
}

/// A cut that cannot be called would leave the battery to end a server with everything mounted: the
/// hold is "the owner's safe state".
#[test]
fn an_owner_whose_cut_fails_twice_holds_instead() {
    let mut world = World::promised();
    world.machine_mut(NFS).refuses_cut = true;
    world.outage();
    world.until("nfs holds", 300, |world| world.phase(NFS) == Some(Phase::Holding));
    let cuts =
        world.facts(NFS, |fact| matches!(fact, Fact::StopCalled(call) if call.end == End::Cut));
    world.check(cuts.len() == 2, "after two tries");
    let warned = |note: &Note| matches!(note, Note::Warned { text } if text.contains("holds"));
    world.check(world.noted(NFS, warned).is_some(), "and says so");
    world.check(world.ups.output, "nothing is cut");
    world.run(20);
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
}

/// A call that nobody answered may still power the owner off: it is called again, and not held.
#[test]
fn an_owner_whose_cut_nobody_answers_goes_on_to_cut() {
    let mut world = World::promised();
    world.machine_mut(NFS).ignores_cut = true;
    world.outage();
    let is_cut = |fact: &Fact| matches!(fact, Fact::StopCalled(call) if call.end == End::Cut);
    world.until("it is called often", 300, |world| world.facts(NFS, is_cut).len() > 4);
    let held = |fact: &Fact| matches!(fact, Fact::StopCalled(call) if call.end == End::Hold);
    world.check(world.facts(NFS, held).is_empty(), "no hold");
    world.machine_mut(NFS).ignores_cut = false;
    world.until("the UPS is cut", 60, |world| !world.ups.output);
}

/// "Each fed host is truly powered down": one whose cable is pulled while it stops is stopping
/// still, and is given the time that its stop takes by the plan.
#[test]
fn a_host_whose_cable_is_pulled_while_it_stops_is_given_its_stop_time() {
    let mut world = World::promised();
    world.machine_mut(K1).stops_in = 100_000;
    world.outage();
    world.until("k8s-1 stops", 300, |world| world.phase(K1) == Some(Phase::Stopping));
    world.run(10);
    world.isolate(K1);
    world.until("k8s-1 is taken for off", 60, |world| {
        world.noted(NFS, |note| matches!(note, Note::Off { host } if host.as_str() == K1)).is_some()
    });
    world.check(!world.is_off(K1), "it stops behind the cable");
    world.until("the UPS is cut", 700, |world| !world.ups.output);
    world.check(world.off(K1) < world.began(NFS), "and was truly off before nfs began");
}

/// An owner that somebody powers off in an outage would stay off when the mains return: the UPS is
/// cut, if it comes back with them, but not while it carries others; and that can be taken back.
#[test]
fn a_power_off_by_hand_in_an_outage_has_the_ups_cut_late_and_no_more_when_it_is_taken_back() {
    let raised = |fact: &Fact| matches!(fact, Fact::CutRaised(_));
    let mut world = World::promised();
    world.outage();
    world.until("it is declared", 60, |world| world.phase(NFS) == Some(Phase::Waiting));
    world.tell(&NFS.into(), Event::OsStopSeen(Some(OsStop::Off)));
    let facts = world.facts(NFS, raised);
    let own = Duration::from_mins(1);
    world.check(
        matches!(facts.as_slice(), [Fact::CutRaised(after)] if *after > own),
        "the others get what the battery has",
    );
    let leaves = |note: &Note| *note == Note::OwnerLeaves { is_cut: true };
    world.check(world.noted(NFS, leaves).is_some(), "and somebody hears of it");
    world.tell(&NFS.into(), Event::OsStopSeen(None));
    let lowered = |fact: &Fact| *fact == Fact::CutLowered;
    world.check(world.facts(NFS, lowered).len() == 1, "a later power-off is another one");
}

#[test]
fn a_power_off_by_hand_is_only_told_where_the_ups_may_not_come_back_and_a_reboot_is_not() {
    let leaves = |note: &Note| *note == Note::OwnerLeaves { is_cut: false };
    let mut world = World::reference();
    world.outage();
    world.until("it is declared", 60, |world| world.phase(NFS) == Some(Phase::Waiting));
    world.tell(&NFS.into(), Event::OsStopSeen(Some(OsStop::Reboot)));
    world.check(world.noted(NFS, leaves).is_none(), "it boots again");
    world.tell(&NFS.into(), Event::OsStopSeen(None));
    world.tell(&NFS.into(), Event::OsStopSeen(Some(OsStop::Off)));
    world.check(world.noted(NFS, leaves).is_some(), "it stays off");
    world.check(world.facts(NFS, |fact| matches!(fact, Fact::CutRaised(_))).is_empty(), "no cut");
}
