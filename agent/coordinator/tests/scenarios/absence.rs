//! Hosts without an agent: "a node that comes back without the agent (stock installer) is reported
//! by the peers".

use curfew_coordinator::{Absence, Answer, Event, Line, Note, OsStop, Phase, Presence};

use crate::world::World;
use crate::world::reference::{K1, K2, NFS};

fn absence(world: &World, by: &str, of: &str) -> Option<Absence> {
    world.status(by).hosts.get(&of.into()).and_then(|host| host.absence)
}

fn is_missed(note: &Note) -> bool {
    *note == Note::WithoutAgent { host: K2.into() }
}

fn is_overdue(note: &Note) -> bool {
    matches!(note, Note::PlannedStopOverdue { .. })
}

fn count(world: &World, by: &str, is: impl Fn(&Note) -> bool) -> usize {
    world.timeline.notes(by).into_iter().filter(|note| is(note)).count()
}

#[test]
fn a_machine_that_answers_without_its_agent_is_said_once_by_all_and_that_it_is_over() {
    let mut world = World::reference();
    let killed = world.now();
    world.kill_agent(K2);
    world.run(170);
    world.check(absence(&world, NFS, K2).is_none(), "an agent may be restarted");
    for host in [NFS, K1] {
        world.until("it is said", 120, |world| {
            absence(world, host, K2) == Some(Absence::WithoutAgent)
        });
    }
    world.check(world.now() - killed < 260_000, "three minutes and a look later");
    world.run(1800);
    for host in [NFS, K1] {
        world.check(count(&world, host, is_missed) == 1, "once");
        world.check(world.status(host).hosts[&K2.into()].presence != Presence::Off, "not off");
    }
    world.check(world.packets(K2).is_empty(), "nobody wakes it");
    world.start_agent(K2);
    world.run(5);
    for host in [NFS, K1] {
        world.check(absence(&world, host, K2).is_none(), "it is there");
        let back = |note: &Note| *note == Note::AgentBack { host: K2.into() };
        world.check(count(&world, host, back) == 1, "and that is noted");
        world.check(world.machine(host).watch.absent.is_empty(), "nobody looks any more");
    }
}

/// Before a session could open nobody is missed, and with all agents there nobody looks.
#[test]
fn a_whole_cluster_looks_at_nobody() {
    let mut world = World::reference();
    for host in [NFS, K1, K2] {
        world.restart_agent(host);
        world.run(60);
        world.check(world.machine(host).watch.absent.is_empty(), "nobody is absent");
    }
}

#[test]
fn a_machine_that_does_not_answer_is_off_or_cut_off() {
    let mut world = World::reference();
    world.isolate(K2);
    world.until("the others see nothing of it", 200, |world| {
        absence(world, NFS, K2) == Some(Absence::NoMachine)
    });
    world.run(1200);
    world.check(world.noted(NFS, is_missed).is_none(), "nobody says that it runs");
    world.heal();
    world.run(10);
    world.check(absence(&world, NFS, K2).is_none(), "it is there");
}

/// A boot answers before its agent does.
#[test]
fn a_machine_that_boots_is_not_without_its_agent() {
    let mut world = World::reference();
    world.kill_agent(K2);
    world.crash(K2);
    world.run(3600);
    world.machine_mut(K2).has_no_agent = true;
    world.boot(K2);
    world.run(170);
    world.check(absence(&world, NFS, K2) != Some(Absence::WithoutAgent), "its agent may come");
    world.start_agent(K2);
    world.run(1200);
    world.check(world.noted(NFS, is_missed).is_none(), "it came");
}

/// An agent that is heard by anybody is there: what is wrong lies between it and this host.
#[test]
fn an_agent_that_another_host_hears_is_not_missing() {
    let mut world = World::reference();
    world.cut_sessions.insert((K2.into(), NFS.into()));
    world.cut_sessions.insert((NFS.into(), K2.into()));
    world.run(1200);
    world.check(world.status(NFS).hosts[&K2.into()].presence != Presence::Connected, "cut");
    world.check(world.noted(NFS, is_missed).is_none(), "k8s-1 hears it");
}

/// The stock installer: the agent says that its host reboots, and never comes back with it.
#[test]
fn a_node_that_comes_back_from_its_upgrade_without_the_agent_is_said_and_not_overdue() {
    let mut world = World::reference();
    world.machine_mut(K2).has_no_agent = true;
    world.stop_by_hand(K2, OsStop::Reboot);
    world.until("it is away", 60, |world| world.machine(K2).agent.is_none());
    let away = world.now();
    world.until("it is said", 1200, |world| absence(world, NFS, K2) == Some(Absence::WithoutAgent));
    world.check(world.now() - away >= 590_000, "a reboot has its time");
    world.run(1800);
    world.check(world.noted(NFS, is_overdue).is_none(), "its machine has come");
    world.check(world.status(NFS).warnings.is_empty(), "that is all that is wrong with it");
}

/// "During an outage nothing changes in the order": who answers without an agent is waited for.
#[test]
fn a_host_without_an_agent_is_waited_for_in_an_outage_and_not_looked_at_besides() {
    let mut world = World::reference();
    world.kill_agent(K2);
    world.until("it is said", 300, |world| absence(world, NFS, K2).is_some());
    world.outage_of(&[K1, NFS]);
    world.check(world.machine(NFS).watch.absent.is_empty(), "all are looked at each beat");
    world.check(absence(&world, NFS, K2).is_none(), "what was seen in calm times is over");
    let began = world.until("k8s-1 begins", 300, |world| world.began(K1).is_some());
    let latest = |note: &Note| {
        matches!(note, Note::Began { why: curfew_coordinator::BeginReason::LatestStart, .. })
    };
    world.check(world.noted(K1, latest).is_some(), "it waited for what k8s-2 may hold");
    world.check(began > 0 && world.phase(NFS) != Some(Phase::Up), "the outage goes on");
    world.mains_return();
    world.until("calm again", 2400, |world| {
        world.status(NFS).ups.line == Line::Mains && world.ended(NFS) == Some(1)
    });
    world.until("it is still so", 600, |world| {
        absence(world, NFS, K2) == Some(Absence::WithoutAgent)
    });
    world.check(count(&world, NFS, is_missed) <= 2, "said once in a boot");
}

#[test]
fn one_lost_packet_is_no_proof_and_a_look_that_cannot_be_taken_says_nothing() {
    let mut world = World::reference();
    world.kill_agent(K2);
    world.until("it is said", 300, |world| absence(world, NFS, K2).is_some());
    let looked = |answer| Event::AbsentProbed { host: K2.into(), answer };
    world.tell(&NFS.into(), looked(Answer::Silent));
    world.check(absence(&world, NFS, K2) == Some(Absence::WithoutAgent), "one look");
    world.tell(&NFS.into(), looked(Answer::ArpOnly));
    world.check(absence(&world, NFS, K2) == Some(Absence::NoMachine), "two looks");
    world.tell(&NFS.into(), looked(Answer::Unknown));
    world.check(absence(&world, NFS, K2).is_none(), "nothing is known");
    world.run(600);
    world.check(absence(&world, NFS, K2) == Some(Absence::WithoutAgent), "it answers again");
    world.check(count(&world, NFS, is_missed) == 1, "and that was said");
}
