//! Stories of a person who stops the owner's machine outside an outage: it is told, nobody is
//! surprised, and nobody undoes it.

use std::time::Duration;

use anyhow::Result;
use curfew_coordinator::Presence;
use curfew_tests::debian::story::{PATIENCE, play};
use curfew_tests::debian::{End, Server};
use curfew_tests::http;
use curfew_tests::report::notes;
use curfew_tests::{Fact, Host, Lab, ground};

#[test]
fn a_power_off_and_a_reboot_by_hand_are_told_and_left_alone() -> Result<()> {
    play(Server { is_mounted: true, ..Server::default() }, |lab| {
        tells_who_depends_on_it_and_stays_off(lab)?;
        comes_back_from_a_reboot_without_anybody_waking_anybody(lab)
    })
}

fn tells_who_depends_on_it_and_stays_off(lab: &mut Lab) -> Result<()> {
    let before = ground::now();
    lab.server()?.shell("systemctl poweroff")?;
    lab.until_ended(End::PoweredOff, before)?;
    let console = lab.server()?.console();
    assert!(console.contains("while k8s-1 have its files mounted"), "{console}");
    let seen = lab.owner_notes("planned-stop-seen");
    let hurt = seen.first().and_then(|note| note.get("live_dependents")).cloned();
    assert_eq!(hurt, Some(serde_json::json!(["k8s-1"])), "{seen:?}");
    let journal = std::fs::read_to_string(lab.server()?.keep_journal()?)?;
    assert!(journal.contains("while k8s-1 use its files and will hang"), "{journal}");
    for host in [Host::K8s1, Host::K8s2] {
        let heard = notes(lab.machine(host), "planned-stop-heard");
        // Once that it goes, and once how, as soon as that is known.
        assert!((1..=2).contains(&heard.len()), "{heard:?}");
        // The page shows how things stood up to a second ago.
        lab.eventually("its health page says so", PATIENCE, |_| {
            http::health(host).is_ok_and(|page| page.body.contains("by hand: nfs"))
        })?;
    }
    let has_gone = |lab: &Lab, host| {
        lab.status(host).is_ok_and(|status| {
            let nfs = status.hosts.iter().find(|(name, _)| name.as_str() == Host::Nfs.name());
            nfs.is_some_and(|(_, nfs)| nfs.presence != Presence::Connected)
        })
    };
    let others = [Host::K8s1, Host::K8s2];
    lab.eventually("both see that it has gone", PATIENCE, |lab| {
        others.into_iter().all(|host| has_gone(lab, host))
    })?;
    lab.throughout("nobody minds", Duration::from_secs(8), |lab| {
        others.into_iter().all(|host| lab.machine(host).is_on() && has_gone(lab, host))
    })?;
    lab.ensure_untouched()?;
    assert!(!lab.server()?.is_on());
    assert!(Host::ALL.into_iter().all(|host| lab.timeline().packets(host) == 0));

    lab.press_button(Host::Nfs);
    lab.until_whole(PATIENCE)?;
    lab.ensure_untouched()
}

fn comes_back_from_a_reboot_without_anybody_waking_anybody(lab: &mut Lab) -> Result<()> {
    let before = ground::now();
    lab.server()?.shell("systemctl reboot")?;
    lab.until_ended(End::Reboots, before)?;
    lab.until_whole(PATIENCE)?;
    lab.timeline().assert_order_since(before, &[(Host::Nfs, Fact::Off), (Host::Nfs, Fact::On)]);
    assert!(Host::ALL.into_iter().all(|host| lab.timeline().packets(host) == 0));
    lab.ensure_untouched()
}
