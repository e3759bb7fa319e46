//! Stopping (§5): who begins when, the pause, the release of dependents, off, and the call.

use std::time::Duration;

use curfew_coordinator::{BeginReason, Note, Phase, Presence, ReleaseProof};

use crate::world::reference::{ALL, K1, K2, NFS, cluster};
use crate::world::{Fact, World};

impl World {
    fn began_by(&self, host: &str, reason: BeginReason) -> Option<u64> {
        self.noted(host, |note| matches!(note, Note::Began { why, .. } if *why == reason))
    }

    fn released(&self, by: &str, of: &str, proof: ReleaseProof) -> Option<u64> {
        let of = of.into();
        self.noted(
            by,
            |note| matches!(note, Note::Released { host, how } if *host == of && *how == proof),
        )
    }

    fn presence(&self, by: &str, of: &str) -> Option<Presence> {
        self.status(by).hosts.get(&of.into()).map(|host| host.presence)
    }
}

/// "Hosts without dependents begin at once. The others begin when all dependents are released."
#[test]
pub(crate) fn hosts_without_dependents_begin_at_once_and_the_others_when_theirs_are_released() {
    let mut world = World::reference();
    let at = world.outage();
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    world.check(world.began_by(K2, BeginReason::NoDependents) <= Some(at), "k8s-2 at once");
    world
        .check(world.began_by(K1, BeginReason::Released).is_some(), "k8s-1 when k8s-2 is released");
    world.check(world.began_by(NFS, BeginReason::Released).is_some(), "nfs when both are");
}

/// "… and never later than their latest start, whatever the others do or fail to do": a host that
/// hangs in its stop.
#[test]
pub(crate) fn a_host_that_hangs_delays_the_others_until_their_latest_start_and_no_longer() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 9_000_000;
    world.mains_fail();
    let end = world.now() + world.ups.left;
    world.until("nfs begins", 900, |world| world.began(NFS).is_some());
    let k1 = world.began_by(K1, BeginReason::LatestStart);
    let nfs = world.began_by(NFS, BeginReason::LatestStart);
    // 15 s of margin; 180 s for k8s-1 and 60 s for nfs after it.
    let is_near = |at: Option<u64>, before: u64| {
        at.is_some_and(|at| at.abs_diff(end - before * 1000) < 6_000)
    };
    world.check(is_near(k1, 15 + 60 + 180), "k8s-1 at its latest start");
    world.check(is_near(nfs, 15 + 60), "nfs at its latest start");
    world.until("nfs holds", 75, |world| world.phase(NFS) == Some(Phase::Holding));
}

/// "Whatever the others do": a host that is alone begins at its latest start too.
#[test]
pub(crate) fn a_host_that_hears_nobody_begins_at_its_latest_start() {
    let mut world = World::reference();
    world.outage();
    world.isolate(K1);
    world.until("k8s-1 begins", 600, |world| world.began(K1).is_some());
    world.check(world.began_by(K1, BeginReason::LatestStart).is_some(), "at its latest start");
}

/// "A plan that does not fit is compressed: a latest start in the past means now, except for the
/// owner: it syncs at once and begins when all are released, or when a third of the time left at
/// the declaration remains."
#[test]
pub(crate) fn a_plan_that_does_not_fit_is_compressed_and_the_owner_stays_for_the_others() {
    let mut world = World::new(cluster(), 250);
    world.run(80);
    for host in [K1, K2] {
        world.machine_mut(host).stops_in = 9_000_000;
    }
    world.mains_fail();
    let end = world.now() + world.ups.left;
    let at = world.until("nfs declares", 60, |world| world.is_in_shutdown(NFS));
    world.run(1);
    let soon = Some(at + 1_100);
    world.check(world.began(K1) < soon && world.began(K1).is_some(), "k8s-1 does not wait");
    let synced = world.timeline.times(NFS, |fact| *fact == Fact::Synced);
    world.check(synced.first().is_some_and(|synced| *synced <= at), "nfs syncs at once");
    world.until("nfs begins", 400, |world| world.began(NFS).is_some());
    // A third of some 215 s, but no more than its stop time of 60 s.
    let left = world.began(NFS).map(|at| end.saturating_sub(at));
    world.check(left.is_some_and(|left| (50_000..70_000).contains(&left)), "a minute is left");
}

/// The same where another host declared: whoever latches judges the fit by its own reckoning.
#[test]
fn an_owner_that_latches_from_another_judges_the_fit_itself() {
    let mut world = World::reference();
    for host in [K1, K2] {
        world.machine_mut(host).stops_in = 9_000_000;
    }
    world.mains_fail();
    world.run(10);
    world.ups.low_below = u64::MAX;
    let at = world.until("nfs latches", 15, |world| world.is_in_shutdown(NFS));
    let from = |note: &Note| matches!(note, Note::Latched { from, .. } if from.as_str() == K1);
    world.check(world.noted(NFS, from).is_some(), "from k8s-1, which saw `OB LB` first");
    world.check(world.triggers(NFS).is_empty(), "nfs itself does not declare yet");
    let synced = world.timeline.times(NFS, |fact| *fact == Fact::Synced);
    world.check(synced.first().is_some_and(|synced| *synced <= at), "nfs syncs at once");
    let left = world.status(NFS).shutdown.and_then(|open| open.time_left).expect("it knows one");
    let left = u64::try_from(left.as_millis()).expect("two minutes");
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    world.check(world.began_by(NFS, BeginReason::LatestStart).is_some(), "at its latest start");
    // A third of some 115 s, which is less than its stop time and the margin.
    let third = at + left * 2 / 3;
    let differs = world.began(NFS).map(|began| began.abs_diff(third));
    world.check(differs.is_some_and(|it| it < 2_000), "with a third of the time left");
}

/// "Without a time left (order) there is no latest start: a dependent that never gets released is
/// reported and asked about, not overrun."
#[test]
fn an_order_never_overruns_a_dependent() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 90_000_000;
    world.order_shutdown(NFS, false);
    world.run(600);
    let asked = |note: &Note| matches!(note, Note::AskedAbout { .. });
    world.check(world.noted(K1, asked).is_some(), "k8s-1 asks about k8s-2");
    world.check(world.calls(K1).is_empty() && world.calls(NFS).is_empty(), "nobody overruns it");
}

/// "A host that has not begun does not begin, for a reason that the battery gave, while a fresh
/// reading of its own says mains"; "back on battery before the turn it goes on without debounce".
#[test]
pub(crate) fn a_host_that_has_not_begun_pauses_on_mains_and_goes_on_without_debounce() {
    let mut world = World::reference();
    world.outage();
    world.mains_return();
    world.run(45);
    let paused = |note: &Note| matches!(note, Note::Paused);
    world.check(world.noted(K1, paused).is_some(), "k8s-1 pauses");
    world.check(world.is_off(K2) && world.calls(K1).is_empty(), "though k8s-2 is off");
    world.mains_fail();
    let again = world.now();
    world.until("k8s-1 begins", 10, |world| world.began(K1).is_some());
    world.check(world.now() - again < 4_000, "within a poll");
    world.check(world.numbers().len() == 1, "for the same number");
}

/// "… (without one: the owner's)."
#[test]
fn a_host_without_readings_of_its_own_pauses_by_the_owners() {
    let mut world = World::reference();
    world.machine_mut(K1).sees_upsd = false;
    world.outage();
    world.mains_return();
    world.run(50);
    world.check(world.is_off(K2) && world.calls(K1).is_empty(), "k8s-1 pauses");
}

/// "Released: … the dependent said `halting` *and* … X sees nothing of it": on Talos `halting`
/// comes before the NFS unmounts.
#[test]
pub(crate) fn halting_does_not_release_while_the_server_still_sees_the_mounts() {
    let mut world = World::reference();
    world.outage();
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    let halting = |note: &Note| matches!(note, Note::PhaseChanged { phase: Phase::Halting });
    let said = world.noted(K1, halting);
    let released = world.released(NFS, K1, ReleaseProof::Halting);
    // Halting after 20 s, the unmount after 30 s, off after 40 s.
    world.check(released >= said.map(|said| said + 9_000), "not before the unmount");
    world.check(released < world.off(K1).or(Some(u64::MAX)), "and not only when it is off");
}

/// "Released … is proven absent (no session, silent on the network and no NFS client of it, over
/// 10 s)": a host that died before the outage delays nobody.
#[test]
fn a_host_that_died_before_the_outage_is_absent_and_delays_nobody() {
    let mut world = World::reference();
    world.crash(K2);
    world.run(60);
    world.outage_of(&[NFS, K1]);
    world.until("nfs holds", 200, |world| world.phase(NFS) == Some(Phase::Holding));
    let late = |note: &Note| matches!(note, Note::Began { why: BeginReason::LatestStart, .. });
    world.check(ALL.iter().all(|host| world.noted(host, late).is_none()), "nobody waits for it");
    world.mains_return();
    world.until("all is whole again", 900, World::is_whole);
}

/// "A host not heard since this agent started is *unknown* and is waited for."
#[test]
pub(crate) fn a_host_never_heard_is_waited_for_until_the_latest_start() {
    let mut world = World::reference();
    world.crash(K2);
    for host in [NFS, K1] {
        world.kill_agent(host);
    }
    world.run(3);
    for host in [NFS, K1] {
        world.start_agent(host);
    }
    world.run(40);
    world.outage_of(&[NFS, K1]);
    world.until("k8s-1 begins", 600, |world| world.began(K1).is_some());
    world.check(world.began_by(K1, BeginReason::LatestStart).is_some(), "at its latest start");
}

/// "A host last heard in `stopping` or later and then silent … for 5 s of 1 s probes is off."
#[test]
fn a_host_that_said_stopping_and_is_silent_for_5_s_is_off() {
    let mut world = World::reference();
    world.outage();
    let off = |note: &Note| matches!(note, Note::Off { host } if host.as_str() == K2);
    world.until("nfs knows it", 100, |world| world.noted(NFS, off).is_some());
    let lag = world.noted(NFS, off).zip(world.off(K2)).map(|(known, off)| known - off);
    world.check(lag.is_some_and(|lag| (5_000..8_000).contains(&lag)), "5 s after it was");
}

/// "A host that fell silent without ever having said `stopping` is *lost*: off only after its stop
/// timeout."
#[test]
fn a_host_that_fell_silent_without_a_word_is_lost_first() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.crash(K2);
    world.run(20);
    world.check(world.presence(NFS, K2) == Some(Presence::Lost), "lost");
    let lost = |note: &Note| matches!(note, Note::Lost { .. });
    world.check(world.noted(NFS, lost).is_some(), "and said");
    world.run(150);
    world.check(world.presence(NFS, K2) == Some(Presence::Lost), "still lost");
    world.until("nfs takes it for off", 30, |world| world.presence(NFS, K2) == Some(Presence::Off));
}

/// "Silence proves nothing unless X has carrier on that link": "the switch is not on the UPS".
#[test]
fn a_switch_that_dies_with_the_mains_proves_nobody_off() {
    let mut world = World::promised();
    world.is_switch_on_ups = false;
    world.mains_fail();
    world.until("the UPS is cut", 700, |world| !world.ups.output);
    let off = |note: &Note| matches!(note, Note::Off { .. });
    world.check(ALL.iter().all(|host| world.noted(host, off).is_none()), "nobody is proven off");
    let latest = world.began_by(NFS, BeginReason::LatestStart);
    world.check(latest.is_some(), "nfs stays until its latest start");
    world.run(60);
    world.mains_return();
    world.until("all is whole again", 1500, World::is_whole);
}

/// "One loose cable": an owner that lost its own link neither declares others off nor overruns
/// them.
#[test]
pub(crate) fn an_owner_with_a_loose_cable_waits_for_its_latest_start() {
    let mut world = World::reference();
    world.outage();
    world.isolate(NFS);
    world.until("nfs begins", 600, |world| world.began(NFS).is_some());
    let off = |note: &Note| matches!(note, Note::Off { .. });
    world.check(world.noted(NFS, off).is_none(), "nobody is proven off");
    world.check(world.began_by(NFS, BeginReason::LatestStart).is_some(), "at its latest start");
    world.check(world.is_off(K1) && world.is_off(K2), "the others were long off");
}

/// "ARP alone is no sign of life after `halting`."
#[test]
pub(crate) fn a_network_card_that_answers_arp_for_a_halted_machine_keeps_nobody_waiting() {
    let mut world = World::promised();
    for host in [K1, K2] {
        world.machine_mut(host).answers_arp_when_off = true;
    }
    world.outage();
    world.until("the UPS is cut", 200, |world| !world.ups.output);
    world.check(world.began_by(NFS, BeginReason::AllOff).is_some(), "all were proven off");
}

/// "Any sign of life takes `off` back": also one that another host has heard.
#[test]
fn any_sign_of_life_takes_off_back() {
    let mut world = World::reference();
    world.machine_mut(NFS).holds_in = 900_000;
    world.outage();
    world.until("k8s-2 is known off", 100, |world| world.presence(NFS, K2) == Some(Presence::Off));
    world.boot(K2);
    world.run(50);
    world.check(world.presence(NFS, K2) == Some(Presence::Connected), "it is there");
}

/// "Each state message … repeats what the sender last heard of every other host …, so that one
/// hearer is enough."
#[test]
fn one_hearer_is_enough() {
    let mut world = World::reference();
    world.cut_sessions.insert((K2.into(), NFS.into()));
    world.outage();
    world.until("k8s-2 is off", 100, |world| world.is_off(K2));
    world.until("nfs begins", 400, |world| world.began(NFS).is_some());
    world.check(world.released(NFS, K2, ReleaseProof::Halting).is_some(), "by what k8s-1 heard");
    world.check(world.began_by(NFS, BeginReason::Released).is_some(), "not by its latest start");
}

/// "Every host … has an accepted stop, or has exhausted and reported all ways": a call that fails
/// is repeated.
#[test]
fn a_call_that_fails_is_repeated_every_5_s_and_asks_first() {
    let mut world = World::reference();
    world.machine_mut(K2).refuses_stop = true;
    world.outage();
    world.run(30);
    let failed = |note: &Note| matches!(note, Note::StopFailed { .. });
    world.check(world.noted(K2, failed).is_some(), "said");
    world.check((6..=7).contains(&world.calls(K2).len()), "every 5 s");
    world.machine_mut(K2).refuses_stop = false;
    world.until("it is off", 60, |world| world.is_off(K2));
}

/// "Found after a restart in the same boot, the driver first asks the OS": also after the OS had
/// accepted, since "one that does not run is [called again]".
#[test]
fn a_restarted_agent_asks_its_os_about_a_stop_that_was_accepted() {
    let mut world = World::reference();
    world.outage();
    world.run(2);
    // The OS gave the stop up, for whatever reason.
    world.machine_mut(K2).stopping = None;
    world.restart_agent(K2);
    let calls: Vec<Fact> = world.facts(K2, |fact| matches!(fact, Fact::StopCalled(_)));
    let asks = calls.last().is_some_and(
        |fact| matches!(fact, Fact::StopCalled(call) if call.ask_first && call.number == 1),
    );
    world.check(calls.len() == 2 && asks, "it asks and calls again");
}

/// "An agent that stops for another reason (restart, configuration, upgrade) never says `halting`."
#[test]
fn an_agent_that_is_told_to_end_outside_a_stop_never_says_halting() {
    let mut world = World::reference();
    world.tell(&K2.into(), curfew_coordinator::Event::HaltSeen);
    world.check(world.phase(K2) == Some(Phase::Up), "it is up");
    world.outage();
    world.check(world.phase(K2) == Some(Phase::Stopping), "and stops like any other");
}

/// "A host with fresh readings of its own uses those, both ways": a battery that holds longer than
/// its declarer thought gives more time.
#[test]
pub(crate) fn a_host_reckons_with_its_own_readings() {
    let mut world = World::reference();
    world.machine_mut(K2).stops_in = 9_000_000;
    world.outage();
    world.ups.left += 120_000;
    world.run(65);
    let left = world.status(K1).shutdown.and_then(|open| open.time_left);
    let truth = Duration::from_millis(world.ups.left);
    let differs = left.map(|left| left.abs_diff(truth));
    world.check(differs.is_some_and(|it| it < Duration::from_secs(10)), "by its own readings");
}

/// `halting` is said when the OS halts: a host whose stop is refused goes on running, whoever ends
/// its agent.
#[test]
fn a_host_whose_stop_is_refused_never_says_halting() {
    let mut world = World::reference();
    world.machine_mut(K2).refuses_stop = true;
    world.outage();
    world.run(2);
    world.tell(&K2.into(), curfew_coordinator::Event::HaltSeen);
    world.check(world.phase(K2) == Some(Phase::Stopping), "it is still stopping");
    world.run(20);
    world.check(world.released(K1, K2, ReleaseProof::Halting).is_none(), "k8s-1 waits for it");
    world.until("k8s-1 begins", 600, |world| world.began(K1).is_some());
    world.check(world.began_by(K1, BeginReason::LatestStart).is_some(), "until its latest start");
}

/// "For stopping, every host that a UPS feeds counts as a dependent of that UPS's owner."
#[test]
pub(crate) fn the_owner_waits_for_a_fed_host_that_needs_nothing() {
    let mut cluster = cluster();
    for host in cluster.hosts.iter_mut().filter(|host| host.name.as_str() == K2) {
        host.needs.clear();
        host.stop_timeout = Duration::from_mins(5);
    }
    let mut world = World::settled(cluster);
    world.machine_mut(K2).stops_in = 80_000;
    world.outage();
    world.until("nfs begins", 300, |world| world.began(NFS).is_some());
    world.check(!world.machine(K2).has_mounts, "not before k8s-2 has unmounted");
}

/// "What it cannot read counts as still there."
#[test]
pub(crate) fn mounts_that_cannot_be_read_count_as_still_there() {
    let mut world = World::reference();
    world.machine_mut(K1).can_read_mounts = false;
    world.outage();
    world.until("nfs begins", 200, |world| world.began(NFS).is_some());
    world.check(!world.machine(K1).has_mounts, "not before k8s-1 has unmounted");
}

/// "An `NFSv4` client … that has not renewed for a lease, of a host that said `stopping`, counts as
/// gone": one that hangs in its unmount.
#[test]
fn a_client_that_does_not_renew_is_gone_when_its_host_said_stopping() {
    let mut world = World::reference();
    world.machine_mut(K1).can_read_mounts = false;
    world.machine_mut(K1).stops_in = 9_000_000;
    world.outage();
    world.until("k8s-1 halts", 200, |world| world.phase(K1) == Some(Phase::Stopping));
    world.tell(&K1.into(), curfew_coordinator::Event::HaltSeen);
    world.run(20);
    world.check(world.began(NFS).is_none(), "not while its client renews");
    world.machine_mut(K1).is_stale = true;
    world.until("nfs begins", 5, |world| world.began(NFS).is_some());
    world.check(world.released(NFS, K1, ReleaseProof::Halting).is_some(), "its client is gone");
}

/// "… of a host that said `stopping`": one that fell silent without a word may run behind a loose
/// cable, with all that it has mounted.
#[test]
fn a_client_that_does_not_renew_is_still_there_when_its_host_fell_silent() {
    let mut world = World::reference();
    world.mains_fail();
    world.run(10);
    world.isolate(K2);
    world.machine_mut(K2).is_stale = true;
    world.run(60);
    world.check(world.presence(NFS, K2) == Some(Presence::Lost), "nobody hears it");
    world.outage_of(&[NFS, K1]);
    world.run(15);
    world.check(world.released(NFS, K2, ReleaseProof::Absent).is_none(), "it is not absent");
}

/// "What it cannot read counts as still there": also a look that is too old.
#[test]
fn a_server_without_a_recent_look_at_its_clients_waits() {
    let mut world = World::reference();
    world.machine_mut(K1).can_read_mounts = false;
    world.machine_mut(NFS).looks_at_clients = false;
    world.outage();
    world.until("nfs begins", 400, |world| world.began(NFS).is_some());
    world.check(world.released(NFS, K1, ReleaseProof::Halting).is_none(), "by halting it is not");
    world.check(world.released(NFS, K1, ReleaseProof::Off).is_some(), "only when it is off");
}

/// "While a fresh reading of its own says mains": who has not read yet looks first.
#[test]
pub(crate) fn an_agent_restarted_in_the_pause_looks_at_the_ups_before_it_begins() {
    let mut world = World::reference();
    world.outage();
    world.run(5);
    world.mains_return();
    world.until("k8s-2 halts", 60, |world| world.phase(K2) == Some(Phase::Halting));
    world.run(2);
    world.restart_agent(K1);
    world.run(30);
    world.check(world.began(K1).is_none(), "k8s-1 stays");
}

/// "Any sign of life takes `off` back", and who cannot look does not know: a host that was found
/// off in the last shutdown, and woken since, is no host that is off in the next one.
#[test]
fn a_host_that_was_woken_behind_a_dead_switch_is_waited_for() {
    let mut world = World::reference();
    world.outage();
    world.until("k8s-2 is off", 120, |world| world.is_off(K2));
    world.mains_return();
    world.until("k8s-2 is woken", 300, |world| !world.packets(K2).is_empty());
    world.is_switch_on_ups = false;
    world.mains_fail();
    world.until("k8s-2 runs again", 120, |world| world.machine(K2).runs());
    world.outage_of(&[NFS]);
    world.until("nfs begins", 600, |world| world.began(NFS).is_some());
    world.check(world.released(NFS, K2, ReleaseProof::Off).is_none(), "nfs does not know");
    let latest = world.began_by(NFS, BeginReason::LatestStart);
    world.check(latest.is_some(), "and stays until its latest start");
}
