//! Stories of an outage from its first second to the last host that is back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use curfew_coordinator::Phase;
use curfew_tests::story::{BACK, DOWN};
use curfew_tests::{Fact, Host, Lab, Setup, Verb, ground, http, report};
use nix::sys::signal::Signal;
use serde_json::Value;

#[test]
fn a_falling_runtime_stops_all_in_order_the_owner_holds_and_mains_bring_all_back() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = lab.fail_mains_with_spare(3)?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    let calls = [(Host::K8s2, Verb::Stop), (Host::K8s1, Verb::Stop), (Host::Nfs, Verb::Hold)];
    assert_eq!(lab.timeline().calls(), calls);
    let declared = report::notes(lab.machine(Host::Nfs), "declared");
    assert!(declared.iter().any(|note| note["trigger"] == "computed"), "{declared:?}");
    lab.throughout("nobody is woken on battery", Duration::from_secs(2), |lab| {
        Host::ALL.into_iter().all(|host| lab.timeline().packets(host) == 0)
    })?;
    lab.eventually("the owner says that it holds", DOWN, |lab| {
        lab.status(Host::Nfs).is_ok_and(|status| status.phase == Phase::Holding)
    })?;

    let mains_back = ground::now();
    lab.restore_mains()?;
    let reboot = lab.until(Host::Nfs, &Fact::Called(Verb::Reboot), DOWN)?;
    assert!(reboot.since(mains_back) >= Duration::from_secs(3), "the mains had not held");
    lab.until_whole(BACK)?;
    assert_came_back_in_order(&lab, mains_back);

    let away = mains_back.since(failure).as_secs_f64();
    lab.eventually("each host tells that all of it is over", DOWN, |lab| {
        Host::ALL.into_iter().all(|host| ensure_told(lab, host, away).is_ok())
    })
    .or_else(|_| Host::ALL.into_iter().try_for_each(|host| ensure_told(&lab, host, away)))?;
    let before = Host::ALL.map(past);
    for host in Host::ALL {
        lab.signal_agent(host, Signal::SIGKILL)?;
    }
    for (host, before) in Host::ALL.into_iter().zip(before) {
        let before = before?;
        lab.eventually(&format!("{host} tells the same after a restart"), BACK, |_| {
            past(host).is_ok_and(|after| after == before)
        })?;
        ensure_told(&lab, host, away)?;
    }
    Ok(())
}

#[test]
fn a_ups_that_promises_to_return_is_cut_last_and_all_come_back_in_order() -> Result<()> {
    let setup = Setup { returning: Some(30), ..Setup::default() };
    let mut lab = Lab::whole(&setup)?;
    // The firmware of the others stays off, so that the order of the wake-ups shows.
    for host in [Host::K8s1, Host::K8s2] {
        lab.machine_mut(host).does_start_after_power_loss = false;
    }
    let failure = ground::now();
    lab.fail_mains(30)?;
    let cut = lab.until(Host::Nfs, &Fact::CutOrdered, DOWN)?;
    lab.until(None, &Fact::OutputOpened, DOWN)?;
    lab.assert_stopped_in_order(failure, Verb::Cut);
    for host in [Host::K8s1, Host::K8s2] {
        let off = lab.timeline().first(host, &Fact::Off);
        assert!(off.is_some_and(|off| off < cut), "{host} had power when the cut was ordered");
    }

    let mains_back = ground::now();
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    assert_came_back_in_order(&lab, mains_back);
    Ok(())
}

#[test]
fn machines_that_start_by_themselves_after_an_exhausted_battery_are_whole_again() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    lab.fail_mains_with_spare(0)?;
    lab.until_held()?;
    // Nobody brings the mains back: the battery ends the hold.
    lab.until(None, &Fact::OutputOpened, DOWN)?;
    lab.restore_mains()?;
    lab.until_whole(BACK)?;
    assert_eq!(lab.timeline().count(Host::Nfs, &Fact::Called(Verb::Reboot)), 0);
    Ok(())
}

#[test]
fn a_low_battery_stops_all_in_order_whatever_its_runtime_says() -> Result<()> {
    let mut lab = Lab::whole(&Setup::default())?;
    let failure = ground::now();
    lab.fail_mains(500)?;
    lab.throughout("all stay up as long as nothing is low", Duration::from_secs(4), |lab| {
        lab.timeline().calls().is_empty()
    })?;
    lab.show_low()?;
    lab.until_held()?;
    lab.assert_stopped_in_order(failure, Verb::Hold);
    let declared = report::notes(lab.machine(Host::Nfs), "declared");
    assert!(declared.iter().any(|note| note["trigger"] == "low-battery"), "{declared:?}");
    Ok(())
}

/// Returns what a host tells of the past, without what grows with each line.
fn past(host: Host) -> Result<Vec<Value>> {
    let page: Value = serde_json::from_str(&http::get_patiently(host, "/api/v1/history")?.body)?;
    let kinds = ["outages", "shutdowns", "recoveries"];
    kinds.iter().map(|kind| page.get(kind).cloned().context("no history")).collect()
}

/// Fails unless `host` tells one outage that lasted for `away` seconds, its shutdown and its
/// recovery, as pages and as metrics.
fn ensure_told(lab: &Lab, host: Host, away: f64) -> Result<()> {
    let past = past(host)?;
    let [outages, shutdowns, recoveries] = &past[..] else { anyhow::bail!("{past:?}") };
    let (outage, shutdown, recovery) = (&outages[0], &shutdowns[0], &recoveries[0]);
    let all = format!("{host}: {outage:#}\n{shutdown:#}\n{recovery:#}");
    let is_owner = host == Host::Nfs;
    let at = |value: &Value, path: &str| value.pointer(path).cloned().unwrap_or_default();
    ensure!(outages.as_array().is_some_and(|all| all.len() == 1), "{all}");
    let lasted = at(outage, "/duration/seconds").as_f64().context(all.clone())?;
    if is_owner {
        // It was there all the time, until its reboot.
        ensure!(outage["end"] == "seen" && at(outage, "/duration/measured_by") == "boot", "{all}");
        ensure!((lasted - away).abs() < 3.0, "{lasted} s, and not {away} s: {all}");
        ensure!(at(outage, "/charge_percent/lowest").is_u64(), "{all}");
    } else {
        ensure!(outage["end"] == "found" && at(outage, "/duration/measured_by") == "date", "{all}");
        ensure!(lasted > away - 3.0, "{lasted} s, and not more than {away} s: {all}");
    }
    ensure!(outage["shutdown"] == 1 && shutdown["number"] == 1, "{all}");
    ensure!(shutdown["state"] == "ended" && shutdown["declared_by"] == "nfs", "{all}");
    ensure!(at(shutdown, "/reasons/0/trigger") == "computed", "{all}");
    let end = if is_owner { ("hold", "holding") } else { ("off", "halting") };
    let own = (at(shutdown, "/this_host/end"), at(shutdown, "/this_host/reached"));
    ensure!(own.0 == end.0 && own.1 == end.1, "{all}");
    let took = at(shutdown, "/duration/seconds").as_f64().context(all.clone())?;
    let left = shutdown["time_left_seconds"].as_f64().context(all.clone())?;
    let margin = shutdown["margin_seconds"].as_f64().context(all.clone())?;
    ensure!(took > 0.0 && took < away, "{all}");
    ensure!((margin - (left - took)).abs() < 5.0, "{all}");
    ensure!(recovery["state"] == "ended" && recovery["number"] == 1, "{all}");
    ensure!(recovery["is_conducted_here"] == is_owner, "{all}");
    ensure!(at(recovery, "/this_host/away/measured_by") == "date", "{all}");
    if is_owner {
        for other in [Host::K8s1, Host::K8s2] {
            let (released, took) =
                (format!("/hosts/{other}/released"), format!("/hosts/{other}/took/seconds"));
            ensure!(at(shutdown, &released).is_string(), "{all}");
            ensure!(at(recovery, &took).is_f64(), "{all}");
        }
    }
    let page = http::get_patiently(host, "/metrics")?.body;
    for metric in ["outage_duration", "shutdown_duration", "shutdown_margin", "recovery_duration"] {
        let line = format!("\ncurfew_last_{metric}_seconds ");
        ensure!(page.contains(&line), "{host} at {}: no {line}", lab.folder().display());
    }
    Ok(())
}

fn assert_came_back_in_order(lab: &Lab, since: curfew_coordinator::Time) {
    let packet = Fact::Packet(Host::Nfs.address().to_string());
    lab.timeline().assert_order_since(
        since,
        &[
            (Host::Nfs, Fact::AgentStarted),
            (Host::K8s1, packet.clone()),
            (Host::K8s1, Fact::On),
            (Host::K8s1, Fact::AgentStarted),
            (Host::K8s2, packet),
            (Host::K8s2, Fact::On),
            (Host::K8s2, Fact::AgentStarted),
        ],
    );
}
