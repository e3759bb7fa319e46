//! Watching the UPS (§4): numbers that lie, triggers, and what is no trigger.

use std::time::Duration;

use curfew_coordinator::{Event, Line, Note, Trigger};

use crate::world::World;
use crate::world::reference::{ALL, K1, K2, NFS, cluster};

/// "computed: on battery and `runtime-left ≤ time-needed + reserve`".
#[test]
fn computed_declares_when_the_runtime_left_is_down_to_the_time_needed_and_the_reserve() {
    let mut world = World::reference();
    let needed = world.status(NFS).plan.time_needed;
    let at = world.outage();
    world.check(world.triggers(NFS) == [Trigger::Computed], "by computed, and once");
    let true_left = Duration::from_millis(world.ups.left);
    let reserve = world.cluster.settings.reserve;
    world.check(true_left <= needed + reserve, "not before");
    world.check(true_left + Duration::from_secs(10) >= needed + reserve, "nor much later");
    world.check(world.began(K2).is_some_and(|began| began <= at + 10), "k8s-2 begins at once");
}

/// "Lost contact on mains never triggers."
#[test]
fn lost_contact_on_mains_never_triggers() {
    let mut world = World::reference();
    for host in ALL {
        world.machine_mut(host).sees_upsd = false;
    }
    world.run(900);
    world.check(world.numbers().is_empty(), "nothing is declared");
    world.check_nobody_stopped();
}

/// "If mains were never away longer than `debounce` … no host stops", whatever the numbers say.
#[test]
pub(crate) fn an_outage_shorter_than_the_debounce_is_none() {
    let mut world = World::reference();
    world.ups.lie = Some(Box::new(|reading| {
        reading.runtime = Some(Duration::from_secs(20));
        reading.charge = Some(3);
        reading.is_low = true;
    }));
    world.run(60);
    for _ in 0..5 {
        world.mains_fail();
        world.run(3);
        world.mains_return();
        world.run(20);
    }
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "`OB` together with `LB` is critical; `LB` alone never."
#[test]
pub(crate) fn low_battery_on_mains_never_triggers() {
    let mut world = World::reference();
    world.ups.lie = Some(Box::new(|reading| reading.is_low = true));
    world.run(300);
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "low battery: `OB LB`", whatever the numbers say: "time left: the smaller of a credible
/// runtime-left and `low-battery-left`".
#[test]
fn low_battery_on_battery_declares_with_no_more_than_low_battery_left() {
    let mut world = World::reference();
    world.mains_fail();
    world.ups.low_below = u64::MAX;
    world.until("it is declared", 30, |world| !world.triggers(NFS).is_empty());
    world.check(world.triggers(NFS) == [Trigger::LowBattery], "by low battery");
    let left = world.status(NFS).shutdown.and_then(|open| open.time_left);
    let most = world.cluster.settings.low_battery_left;
    world.check(left.is_some_and(|left| left <= most), "with at most 120 s");
}

/// "From its first reading on, whoever declared, no host reckons with more than
/// `low-battery-left` from that moment".
#[test]
pub(crate) fn from_the_first_low_battery_on_no_host_reckons_with_more() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 900_000;
    world.outage();
    world.ups.low_below = u64::MAX;
    world.run(5);
    let most = world.cluster.settings.low_battery_left;
    for host in [NFS, K1] {
        let left = world.status(host).shutdown.and_then(|open| open.time_left);
        world.check(left.is_some_and(|left| left <= most), "at most 120 s");
    }
    let latest = world.now() + 120_000;
    world.until("nfs begins", 130, |world| world.began(NFS).is_some());
    world.check(world.began(NFS) < Some(latest), "within the 120 s");
}

/// "LB flash of 2 s": each trigger "must stand in every reading over `debounce`".
#[test]
fn a_flash_of_low_battery_is_no_trigger() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    for _ in 0..3 {
        world.ups.low_below = u64::MAX;
        world.run(3);
        world.ups.low_below = 0;
        world.run(10);
    }
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "charge: on battery and below `charge-below`".
#[test]
fn a_charge_below_the_floor_declares_without_any_runtime() {
    let mut world = World::new(cluster(), 600);
    world.say_charge(21);
    world.run(60);
    world.mains_fail();
    world.run(100);
    world.check(world.numbers().is_empty(), "not before");
    world.say_charge(19);
    world.until("it is declared", 60, |world| !world.triggers(NFS).is_empty());
    world.check(world.triggers(NFS) == [Trigger::Charge], "by charge");
    let left = world.status(NFS).shutdown.and_then(|open| open.time_left);
    let assumed = world.status(NFS).plan.time_needed * 2;
    world.check(left.is_some_and(|left| left <= assumed), "at most 2 × time needed are left");
}

impl World {
    fn say_charge(&mut self, percent: u8) {
        self.ups.lie = Some(Box::new(move |reading| {
            reading.charge = Some(percent);
            reading.runtime = None;
        }));
    }
}

/// "time: on battery for longer than `on-battery-for`"; "old «seconds on battery» from the last
/// outage" do not count.
#[test]
fn the_time_on_battery_counts_for_this_outage_alone() {
    let mut cluster = cluster();
    cluster.settings.on_battery_for = Some(Duration::from_secs(30));
    let mut world = World::settled(cluster);
    world.mains_fail();
    world.run(25);
    world.mains_return();
    world.run(10);
    world.mains_fail();
    world.run(25);
    world.check(world.numbers().is_empty(), "two outages of 25 s are none of 50 s");
    world.until("it is declared", 20, |world| !world.triggers(NFS).is_empty());
    world.check(world.triggers(NFS) == [Trigger::Time], "by time");
}

/// "On battery since when, and the last credible runtime, are in the journal and survive a restart
/// in the same boot."
#[test]
fn a_restart_of_the_agent_on_battery_loses_neither_the_time_nor_the_runtime() {
    let mut cluster = cluster();
    cluster.settings.on_battery_for = Some(Duration::from_mins(1));
    let mut world = World::settled(cluster);
    world.mains_fail();
    world.run(40);
    world.restart_agent(NFS);
    world.run(2);
    world.check(world.status(NFS).ups.runtime_left.is_some(), "the runtime counts at once");
    world.until("it is declared", 30, |world| !world.triggers(NFS).is_empty());
}

/// "blind: … the last credible runtime-left counts down at double speed (until the declaration)
/// and meets `computed`".
#[test]
fn who_sees_nothing_on_battery_declares_blind_at_double_speed() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(20);
    let since = world.now();
    for host in ALL {
        world.machine_mut(host).sees_upsd = false;
    }
    world.until("all have latched", 120, |world| ALL.iter().all(|it| world.is_in_shutdown(it)));
    let blind = |host: &&str| world.triggers(host).iter().all(|it| *it == Trigger::Blind);
    world.check(ALL.iter().all(blind), "by blind alone");
    // 580 s were left, 499 s are needed: 40 s at double speed, and the debounce.
    let took = world.now() - since;
    world.check((40_000..52_000).contains(&took), "at double speed");
}

/// "… without any, 60 s".
#[test]
pub(crate) fn who_never_had_a_runtime_and_sees_nothing_declares_blind_after_60_s() {
    let mut world = World::reference();
    world.ups.lie = Some(Box::new(|reading| {
        reading.runtime = None;
        reading.charge = None;
    }));
    world.run(60);
    world.mains_fail();
    world.run(20);
    let since = world.now();
    for host in ALL {
        world.machine_mut(host).sees_upsd = false;
    }
    world.until("all have latched", 120, |world| ALL.iter().all(|it| world.is_in_shutdown(it)));
    let took = world.now() - since;
    world.check((60_000..70_000).contains(&took), "after 60 s");
}

/// "A blind declaration is latched only by hosts that are blind themselves; the others report it
/// and treat the declarer as leaving", and it is owed.
#[test]
pub(crate) fn a_blind_declaration_is_reported_by_those_who_see_and_its_declarer_is_woken() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.machine_mut(K2).sees_upsd = false;
    world.cut(NFS, K2);
    world.cut(K1, K2);
    world.until("k8s-2 begins", 120, |world| world.began(K2).is_some());
    world.check(world.triggers(K2) == [Trigger::Blind], "blind");
    world.run(2);
    let heard = |note: &Note| matches!(note, Note::BlindHeard { .. });
    world.check(world.noted(NFS, heard).is_some(), "nfs reports it");
    world.check(!world.is_in_shutdown(NFS) && !world.is_in_shutdown(K1), "nobody follows");
    world.mains_return();
    world.until("k8s-2 is off", 60, |world| world.is_off(K2));
    world.heal();
    world.machine_mut(K2).sees_upsd = true;
    world.until("all is whole again", 600, World::is_whole);
    world.check(!world.packets(K2).is_empty(), "k8s-2 was woken");
    world.check(world.calls(NFS).is_empty() && world.calls(K1).is_empty(), "the others stayed");
}

/// "The owner evaluates `computed`, `charge` and `time`; another host does so only when the owner's
/// agent has been silent, or without a fresh reading, for 15 s."
#[test]
fn others_judge_the_numbers_when_the_owner_has_no_reading() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(70);
    world.machine_mut(NFS).sees_upsd = false;
    world.until("it is declared", 60, |world| !world.triggers(K1).is_empty());
    world.check(world.triggers(K1) == [Trigger::Computed], "k8s-1 by computed");
    world.check(world.triggers(NFS).is_empty(), "nfs sees through the others, and is not blind");
}

/// "A plan that does not fit the battery on mains … declares by `computed` only after 30 s on
/// battery."
#[test]
fn a_cluster_whose_plan_does_not_fit_waits_half_a_minute() {
    let mut world = World::new(cluster(), 300);
    world.run(80);
    world.mains_fail();
    let failed = world.now();
    world.until("it is declared", 60, |world| !world.triggers(NFS).is_empty());
    let took = world.now() - failed;
    world.check((30_000..40_000).contains(&took), "after 30 s and the debounce");
}

/// "After an operator's call-off no numeric trigger fires again in this outage with more than half
/// the reserve left; `OB LB` does."
#[test]
fn after_a_call_off_no_number_declares_with_more_than_half_the_reserve_left() {
    let mut world = World::reference();
    // Nobody has begun when the call-off comes: it is given in the second of the declaration.
    world.machine_mut(K2).refuses_stop = true;
    world.outage();
    world.call_off(K1);
    world.run(2);
    world.check(world.numbers().len() == 1, "one number so far");
    world.until("a second number", 60, |world| world.numbers().len() == 2);
    let needed = world.status(NFS).plan.time_needed;
    let left = Duration::from_millis(world.ups.left);
    let half = world.cluster.settings.reserve / 2;
    world.check(left <= needed + half, "with less than half the reserve");
}

/// "… `OB LB` does."
#[test]
fn after_a_call_off_low_battery_still_declares() {
    let mut world = World::reference();
    world.outage();
    world.call_off(NFS);
    world.run(2);
    world.ups.low_below = u64::MAX;
    world.until("a second number", 15, |world| world.numbers().len() == 2);
}

/// "Mains end the battery's reasons; an *order* ends only by an operator."
#[test]
fn mains_end_the_batterys_reasons_and_never_an_order() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 900_000;
    world.outage();
    world.order_shutdown(K1, false);
    world.run(5);
    world.mains_return();
    world.run(300);
    let standing = world.status(NFS).shutdown.map(|open| open.standing.as_str());
    world.check(standing == Some("declared"), "the order stands");
    let left = world.status(NFS).shutdown.and_then(|open| open.time_left);
    world.check(left.is_none(), "and knows no time");
}

/// "`CAL`, `TEST`, `OFF`, `BYPASS`, `ALARM` never trigger by themselves": what the driver cannot
/// tell from an outage is unknown, and unknown is not battery.
#[test]
fn an_unknown_line_on_mains_is_not_battery() {
    let mut world = World::reference();
    world.ups.lie = Some(Box::new(|reading| {
        reading.line = Line::Unknown;
        reading.is_calibrating = true;
        reading.is_low = true;
        reading.runtime = Some(Duration::from_secs(10));
    }));
    world.run(600);
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "USB drop at the moment of transfer": contact that is lost with the mains and comes back is no
/// reason, and hides none.
#[test]
fn contact_that_drops_at_the_transfer_neither_declares_nor_hides_the_outage() {
    let mut world = World::reference();
    world.ups.lie = Some(Box::new(|reading| reading.line = Line::Unknown));
    world.mains_fail();
    world.run(30);
    world.check(world.numbers().is_empty(), "nothing is declared");
    world.ups.lie = None;
    world.until("all have latched", 200, |world| ALL.iter().all(|it| world.is_in_shutdown(it)));
    world.check(world.ups.left >= 480_000, "in time");
}

/// "Received readings are used, never passed on": who reads nothing itself tells nothing.
#[test]
fn a_reading_that_was_received_is_used_and_not_passed_on() {
    let mut world = World::reference();
    world.machine_mut(K2).sees_upsd = false;
    world.run(10);
    let told = world.compose(K2).reading;
    world.check(told.is_none(), "k8s-2 tells none");
    world.mains_fail();
    world.run(95);
    world.check(world.numbers().is_empty(), "nor is it blind, since it hears of one");
}

/// Each trigger "must stand in every reading over `debounce`": a reading that comes late is none
/// that says otherwise.
#[test]
fn low_battery_declares_though_upsd_answers_late_every_time() {
    let mut world = World::reference();
    world.let_all_see_upsd(false);
    world.mains_fail();
    world.ups.low_below = u64::MAX;
    // Later than 3 s each answer leaves a gap, and earlier than 5 s nobody is blind.
    for _ in 0..3 {
        world.run_millis(3_500);
        world.answer_all();
    }
    for host in ALL {
        world.check(world.triggers(host) == [Trigger::LowBattery], "by low battery, and once");
    }
}

/// "blind: … the last credible runtime-left counts down at double speed": a peer that knows none
/// takes nobody's away.
#[test]
fn a_peer_that_knows_no_runtime_takes_away_none_that_is_known() {
    let mut world = World::new(cluster(), 1_800);
    world.run(40);
    world.mains_fail();
    world.run(20);
    world.isolate(K1);
    let since = world.now();
    world.run(4);
    world.check(world.status(K1).ups.line == Line::Unknown, "k8s-1 reads nothing");
    let mut message = world.compose(K2);
    let told = message.reading.as_mut().expect("k8s-2 reads");
    told.runtime_left = None;
    world.tell(&K1.into(), Event::PeerHeard(message.into()));
    world.until("k8s-1 declares", 900, |world| !world.triggers(K1).is_empty());
    world.check(world.triggers(K1) == [Trigger::Blind], "blind");
    // 1780 s were left, 499 s are needed: 640 s at double speed, and the debounce.
    let took = world.now() - since;
    world.check((630_000..660_000).contains(&took), "by the countdown");
}

/// "`CAL` … never trigger[s] by themselves": the driver may say `OB` before it says `OB CAL`.
#[test]
fn a_calibration_that_looked_like_battery_at_first_is_never_blind() {
    let mut world = World::reference();
    world.mains_fail();
    let is_on_battery = |world: &World| {
        let reads = |host: &&str| world.status(host).ups.line == Line::Battery;
        ALL.iter().all(reads)
    };
    world.until("all have read battery", 10, is_on_battery);
    world.ups.lie = Some(Box::new(|reading| {
        reading.line = Line::Unknown;
        reading.is_calibrating = true;
    }));
    world.run(400);
    world.check(world.numbers().is_empty(), "nothing is declared");
}

/// "From its first reading on … no host reckons with more than `low-battery-left` …, until mains":
/// "old seconds on battery from the last outage".
#[test]
pub(crate) fn low_battery_of_one_outage_is_forgotten_in_the_next() {
    let mut world = World::reference();
    world.ups.low_below = u64::MAX;
    world.outage();
    world.ups.low_below = 0;
    world.mains_return();
    world.until("all is whole again", 1200, World::is_whole);
    world.ups.left = world.ups.full;
    world.run(100);
    world.outage();
    let left = world.status(NFS).shutdown.and_then(|open| open.time_left);
    world.check(left > Some(world.cluster.settings.low_battery_left), "the runtime counts");
}
