//! A story of an agent that is gone while its machine runs, as after an upgrade with the stock
//! installer.

use std::time::Duration;

use anyhow::{Context, Result};
use curfew_coordinator::Absence;
use curfew_tests::machine::Next;
use curfew_tests::story::DOWN;
use curfew_tests::{Host, Lab, Setup, http, report};
use nix::sys::signal::Signal;

/// Three minutes and a look, at a time factor of 8, and as much again for a busy machine.
const MISSED: Duration = Duration::from_mins(1);

#[test]
fn a_machine_without_its_agent_is_said_by_the_others_and_that_it_is_over() -> Result<()> {
    let mut setup = Setup::default();
    setup.limits.time_factor = 8;
    let mut lab = Lab::whole(&setup)?;
    lab.machine_mut(Host::K8s2).is_supervised = false;
    lab.signal_agent(Host::K8s2, Signal::SIGKILL)?;
    let others = [Host::Nfs, Host::K8s1];
    lab.eventually("both say that it runs without its agent", MISSED, |lab| {
        let sees = |host| absence(lab, host) == Some(Absence::WithoutAgent);
        others.into_iter().all(sees)
    })?;
    let health = http::health(Host::Nfs)?;
    let line = health.body.lines().find(|line| line.contains("peer-k8s-2")).context("a check")?;
    assert!(line.contains("its machine runs without its agent"), "{line}");
    let metrics = http::get_patiently(Host::Nfs, "/metrics")?.body;
    assert!(metrics.contains("curfew_peer_without_agent{peer=\"k8s-2\"} 1"), "{metrics}");
    assert!(metrics.contains("curfew_peer_without_agent{peer=\"k8s-1\"} 0"), "{metrics}");

    lab.plug(Host::K8s2, false)?;
    lab.eventually("they say that the machine does not answer", MISSED, |lab| {
        let sees = |host| absence(lab, host) == Some(Absence::NoMachine);
        others.into_iter().all(sees)
    })?;
    lab.plug(Host::K8s2, true)?;
    lab.machine_mut(Host::K8s2).plan(Duration::ZERO, Next::RestartAgent);
    lab.until_whole(DOWN)?;
    for host in others {
        assert_eq!(absence(&lab, host), None);
        for event in ["without-agent", "agent-back"] {
            let notes = report::notes(lab.machine(host), event);
            assert_eq!(notes.len(), 1, "{host} {event}: {notes:?}");
        }
    }
    lab.ensure_untouched()
}

fn absence(lab: &Lab, by: Host) -> Option<Absence> {
    let status = lab.status(by).ok()?;
    status.hosts.get(&Host::K8s2.name().into())?.absence
}
