//! Foreign NUT clients (§5): a tier of their own, after the owner's dependents and before its own
//! end, "all within the plan".

use std::time::Duration;

use curfew_coordinator::{BeginReason, Call, Note};

use crate::world::reference::{ALL, K1, K2, NFS, cluster};
use crate::world::{Fact, World};

impl World {
    /// Two `upsmon` of nobody in the file hang on the owner's `upsd`.
    fn with_foreign_clients(mut self) -> Self {
        self.machine_mut(NFS).foreign_clients = 2;
        self.ups.lie = Some(Box::new(|reading| reading.foreign_clients = Some(2)));
        self.run(2);
        self
    }

    /// Returns when the owner's OS was called.
    fn os_called(&self) -> Option<u64> {
        self.timeline.times(NFS, |fact| *fact == Fact::OsCalled).first().copied()
    }

    /// Returns when `FSD` was set.
    fn sent(&self) -> Vec<u64> {
        self.timeline.times(NFS, |fact| matches!(fact, Fact::Note(Note::ForeignSent { .. })))
    }

    /// Returns the calls that the owner made.
    fn owners_calls(&self) -> Vec<Call> {
        let call = |fact: &Fact| {
            if let Fact::StopCalled(call) = fact { Some(call.clone()) } else { None }
        };
        self.timeline.of(NFS).filter_map(call).collect()
    }

    fn until_os_is_called(&mut self) -> u64 {
        self.until("the owner calls its OS", 900, |world| world.os_called().is_some())
    }
}

/// "Once the owner's other dependents are released the owner […] sets FSD if anybody is logged in,
/// waits for their logout and `foreign-stop`"; "never set before the point of no return".
#[test]
fn foreign_clients_go_down_after_the_dependents_and_before_the_owner() {
    let mut world = World::reference().with_foreign_clients();
    world.outage();
    world.until("FSD is set", 600, |world| !world.sent().is_empty());
    let begun = world.machine(NFS).journal.as_ref().and_then(|saved| saved.begun.clone());
    world.check(begun.is_some_and(|begun| !begun.is_accepted), "the begin is durable");
    for host in [K1, K2] {
        let released =
            |note: &Note| matches!(note, Note::Released { host: it, .. } if *it == host.into());
        world.check(world.noted(NFS, released).is_some(), "and each dependent is released");
    }
    let called = world.until_os_is_called();
    let sent = world.sent().first().copied().unwrap_or_default();
    world.check(called == sent + 60_000, "their 60 s have passed");
    let late = |note: &Note| matches!(note, Note::Began { why: BeginReason::LatestStart, .. });
    world.check(ALL.iter().all(|host| world.noted(host, late).is_none()), "all within the plan");
    world.until("nfs holds", 60, |world| world.machine(NFS).is_held);
}

/// "No foreign clients → … no delay".
#[test]
fn without_foreign_clients_nothing_is_waited_for() {
    let mut world = World::reference();
    world.outage();
    let called = world.until_os_is_called();
    world.check(world.began(NFS) == Some(called), "at once");
    world.check(world.sent().is_empty(), "and no FSD");
}

/// "All within the plan": who hangs takes the time of the foreign clients, not that of the owner.
#[test]
fn a_dependent_that_hangs_costs_the_foreign_clients_their_time_and_not_the_owner() {
    let mut world = World::reference().with_foreign_clients();
    world.machine_mut(K2).stops_in = 9_000_000;
    world.outage();
    let called = world.until_os_is_called();
    let late = |note: &Note| matches!(note, Note::Began { why: BeginReason::LatestStart, .. });
    world.check(world.noted(NFS, late) == Some(called), "called at the latest start, at once");
    let calls = world.owners_calls();
    world.check(calls.iter().all(|call| call.foreign.wait.is_zero()), "nothing was left for them");
}

/// The battery may fall faster than it said: the owner does not wait beyond its latest start.
#[test]
fn a_battery_that_turns_low_meanwhile_ends_the_waiting() {
    let mut cluster = cluster();
    cluster.settings.low_battery_left = Duration::from_secs(95);
    let mut world = World::settled(cluster).with_foreign_clients();
    world.outage();
    world.until("FSD is set", 600, |world| !world.sent().is_empty());
    world.run(5);
    world.ups.low_below = world.ups.full;
    let called = world.until_os_is_called();
    let sent = world.sent().first().copied().unwrap_or_default();
    // 95 s, less 15 s that no plan touches, less 60 s for the owner itself, from the next reading.
    world.check((sent + 24_000..sent + 29_000).contains(&called), "after 20 s more");
    let hurries = world.timeline.times(NFS, |fact| *fact == Fact::Hurried);
    world.check(hurries.len() == 1, "said once");
}

/// "Without a time left (order) there is no latest start": they get all of their time.
#[test]
fn an_order_gives_foreign_clients_all_of_their_time() {
    let mut world = World::reference().with_foreign_clients();
    world.order_shutdown(NFS, false);
    let called = world.until_os_is_called();
    let sent = world.sent().first().copied().unwrap_or_default();
    world.check(called == sent + 60_000, "60 s");
}

/// "After an agent restart in the middle": what is left of their time, and they were told already.
#[test]
fn an_agent_that_restarts_while_they_stop_goes_on_where_it_was() {
    let mut world = World::reference().with_foreign_clients();
    world.outage();
    world.until("FSD is set", 600, |world| !world.sent().is_empty());
    world.run(20);
    world.restart_agent(NFS);
    let called = world.until_os_is_called();
    let sent = world.sent();
    world.check(sent.len() == 1, "they were sent down once");
    let since = called - sent.first().copied().unwrap_or_default();
    world.check((59_000..=61_000).contains(&since), "and have had their 60 s");
    let calls = world.owners_calls();
    let told: Vec<bool> = calls.iter().map(|call| call.foreign.is_sent).collect();
    world.check(told == [false, true], "the second call knows");
}

/// Only the owner has an `upsd`.
#[test]
fn no_other_host_waits_for_foreign_clients() {
    let mut world = World::reference().with_foreign_clients();
    world.outage();
    world.until_os_is_called();
    for host in [K1, K2] {
        let waits =
            |fact: &Fact| matches!(fact, Fact::StopCalled(call) if !call.foreign.wait.is_zero());
        world.check(world.facts(host, waits).is_empty(), "no wait");
    }
}
