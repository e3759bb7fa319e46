//! Stories of NUT clients that are not ours: a real `upsmon` on the owner's real `upsd`.

use std::time::Duration;

use anyhow::{Context, Result};
use curfew_coordinator::Time;
use curfew_tests::story::{BACK, DOWN};
use curfew_tests::{Fact, Host, Lab, Setup, Upsmon, Verb, http, report};

/// The owner looks every 10 s.
const SEEN: Duration = Duration::from_secs(15);
/// `foreign-stop` of the laboratory, less the rounding of its clocks.
const FOREIGN_STOP: Duration = Duration::from_millis(7_900);

/// Starts an `upsmon` on a machine that is not in the file.
fn stranger(lab: &Lab) -> Result<Upsmon> {
    Upsmon::start(&lab.network().switch(), &lab.folder().join("stranger"))
}

/// Waits until the owner says this of those who are logged in.
fn until_said(lab: &mut Lab, words: &str) -> Result<()> {
    lab.eventually(&format!("the owner says: {words}"), SEEN, |_| {
        http::health(Host::Nfs).is_ok_and(|health| health.body.contains(words))
    })
}

/// Returns when the owner's agent noted this first.
fn noted(lab: &Lab, event: &str) -> Option<Time> {
    let note = report::notes(lab.machine(Host::Nfs), event).into_iter().next()?;
    note.get("boot_ms")?.as_u64().map(Time::from_millis)
}

#[test]
fn a_foreign_upsmon_goes_down_after_the_dependents_and_before_the_owner() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let mut upsmon = stranger(&lab)?;
    until_said(&mut lab, "1 NUT clients that are not of the file (10.77.0.254) get FSD")?;
    let needed = lab.status(Host::Nfs)?.plan.time_needed;
    let failure = lab.fail_mains_with_spare(3)?;
    lab.until(Host::K8s1, &Fact::Halting, DOWN)?;
    assert_eq!(upsmon.stopped_at(), None, "it goes after all that depends on the owner");
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);

    let released = lab.timeline().first(Host::K8s1, &Fact::Halting).context("k8s-1 halted")?;
    let sent = noted(&lab, "foreign-sent").context("FSD was not set")?;
    let stopped = upsmon.stopped_at().context("upsmon did not stop its machine")?;
    let held = lab.timeline().first(Host::Nfs, &Fact::Called(Verb::Hold)).context("no hold")?;
    let order = [failure, released, sent, stopped, held];
    assert!(order.is_sorted(), "mains, dependents, FSD, its stop, the owner: {order:?}");
    assert!(!upsmon.is_running()?, "it had logged out");
    assert!(held.since(sent) >= FOREIGN_STOP, "a logout is not yet its end");
    assert!(held.since(failure) <= needed + Duration::from_secs(3), "within the plan");

    // The hold ends by a reboot, and with it the latch.
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    let health = http::health(Host::Nfs)?.body;
    assert!(health.contains("no FSD is left over"), "{health}");
    Ok(())
}

#[test]
fn an_upsmon_on_a_host_of_the_file_is_a_fault_and_on_the_owner_no_fsd_is_set() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let network = |lab: &Lab, host| lab.network().namespace(host);
    let on_worker = Upsmon::start(&network(&lab, Host::K8s2), &lab.folder().join("upsmon-k8s-2"))?;
    until_said(&mut lab, "upsmon on k8s-2 (10.77.0.12) is logged in to eaton")?;
    drop(on_worker);

    let _on_owner = Upsmon::start(&network(&lab, Host::Nfs), &lab.folder().join("upsmon-nfs"))?;
    let mut foreign = stranger(&lab)?;
    until_said(&mut lab, "upsmon on nfs itself (10.77.0.13) is logged in to eaton")?;
    let health = http::health(Host::Nfs)?;
    assert_eq!(health.code, 503, "{}", health.body);
    assert!(health.body.contains("systemctl mask --now nut-monitor"), "{}", health.body);

    let failure = lab.fail_mains_with_spare(3)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    assert_eq!(noted(&lab, "foreign-sent"), None, "its own upsmon would have stopped the owner");
    assert!(foreign.is_running()? && foreign.stopped_at().is_none(), "nobody was sent down");
    let warned = report::notes(lab.machine(Host::Nfs), "warned");
    let is_said = |note: &serde_json::Value| note.to_string().contains("are not sent down");
    assert!(warned.iter().any(is_said), "and that is reported: {warned:?}");
    Ok(())
}
